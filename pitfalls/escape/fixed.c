/* Fixed: the slice is returned by value, into storage that the caller has on its stack. */
#include "pitfall.h"

enum {
    LENGTH = 3,
};

/* The caller owns the array, and the header travels by value: nothing outlives its frame. */
static PITFALL_NOINLINE struct sh_slice
numbers(int64_t storage[LENGTH])
{
    struct sh_slice s = {.data = storage, .len = LENGTH, .cap = LENGTH};

    memcpy(s.data, (int64_t[]){1, 2, 3}, LENGTH * sizeof(int64_t));
    return s;
}

static uint64_t
run(uint64_t n)
{
    uint64_t work = 0;

    for (uint64_t i = 0; i < n; i++) {
        int64_t storage[LENGTH];
        struct sh_slice s = numbers(storage);
        pitfall_keep(&s);
        work += s.len;
    }
    return work;
}

const struct pitfall PITFALL = {
    .id = "escape",
    .variant = PITFALL_VARIANT,
    .work_unit = "elements",
    .default_n = 100000,
    .op = PITFALL_OP_IS_ONE_OF_N,
    .parallel = 1,
    .run = run,
};
