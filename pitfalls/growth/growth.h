/*
 * What the variants of growth share: an append that notices when the array moves, and the check
 * against the capacities of Go 1.19 (capacities.csv, made by oracle.go).
 */
#ifndef GROWTH_H
#define GROWTH_H

#include "pitfall.h"

enum {
    GROWTHS_MAX = 64,
};

static const uint64_t go_capacities[] = {
    1,     2,     4,     8,     16,    32,    64,    128,    256,    512,
    848,   1280,  1792,  2560,  3408,  5120,  7168,  9216,   12288,  16384,
    21504, 27648, 34816, 44032, 55296, 69632, 88064, 110592, 139264,
};

/* The last round that ran. */
static struct {
    uint64_t capacities[GROWTHS_MAX]; /* the first, and each after a growth */
    size_t ncapacities;
    uint64_t grown_b, copied_b, waste_b, mismatches;
} growth;

/* Begins a round with the slice s. */
static inline struct sh_slice
watch(struct sh_slice s)
{
    memset(&growth, 0, sizeof growth);
    growth.capacities[growth.ncapacities++] = s.cap;
    return s;
}

static PITFALL_NOINLINE void
note_growth(struct sh_slice old, struct sh_slice new)
{
    const size_t ngo = sizeof go_capacities / sizeof go_capacities[0];

    growth.grown_b += new.cap * sizeof(int64_t);
    growth.copied_b += old.len * sizeof(int64_t);
    if (growth.ncapacities < GROWTHS_MAX)
        growth.capacities[growth.ncapacities++] = new.cap;
    for (size_t i = 0; i + 1 < ngo; i++) {
        if (go_capacities[i] == old.cap)
            growth.mismatches += new.cap != go_capacities[i + 1];
    }
}

static inline struct sh_slice
append(struct sh_slice s, uint64_t value)
{
    struct sh_slice longer = sh_slice_append(&PITFALL_INT64, s, &value, 1);

    if (longer.data != s.data)
        note_growth(s, longer);
    return longer;
}

/* Ends a round. Returns the work: elements that are there, and right. */
static inline uint64_t
finish(struct sh_slice s)
{
    const uint64_t *values = s.data;

    if (values[0] != 0 || values[s.len - 1] != s.len - 1)
        pitfall_fail("the slice lost elements while it grew");
    growth.waste_b = (s.cap - s.len) * sizeof(int64_t);
    return s.len;
}

static void
report(uint64_t n)
{
    (void)n;
    pitfall_metric("growths", growth.ncapacities - 1);
    pitfall_metric("final_cap", growth.capacities[growth.ncapacities - 1]);
    pitfall_metric("grown_b", growth.grown_b);
    pitfall_metric("copied_b", growth.copied_b);
    pitfall_metric("waste_b", growth.waste_b);
    pitfall_metric("capacity_mismatches", growth.mismatches);
    pitfall_list("capacities", growth.capacities, growth.ncapacities);
}

#endif /* GROWTH_H */
