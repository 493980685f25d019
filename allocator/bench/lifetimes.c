/*
 * lifetimes: many live objects of random size without pointers; an operation replaces a random one.
 * Lifetimes are random (exponential), so objects of every age lie side by side: no generation to
 * hope for, and no free list in order.
 */
#include "gc_api.h"

static unsigned char **table; /* static: a root for every collector */

enum {
    MIN_B = 16,
    MAX_B = 1024,
};

/* Puts a new object in place of a random one; the old one's first byte is read. */
static inline uint64_t
replace(size_t n, struct rng *r)
{
    size_t i = rng_below(r, n), size = MIN_B + rng_below(r, MAX_B - MIN_B + 1);
    unsigned char *old = table[i];
    uint64_t sum = old[0];

    gc_free(old);
    unsigned char *p = gc_new_data(size);
    p[0] = p[size - 1] = (unsigned char)size;
    gc_store(&table[i], p);
    return sum;
}

int
main(int argc, char **argv)
{
    double live = 100000, operations = 5e6;
    const struct work_option options[] = {
        {"--live", &live, "objects"},
        {"--ops", &operations, "replacements"},
    };
    struct rng random = {WORK_SEED};
    uint64_t checksum = 0;

    work_begin("lifetimes", options, 2, argc, argv);
    gc_init();
    size_t n = (size_t)live + 1;
    table = (unsigned char **)gc_new_pointers(n);
    for (size_t i = 0; i < n; i++) {
        unsigned char *p = gc_new_data(MIN_B);
        p[0] = 1;
        gc_store(&table[i], p);
    }
    for (size_t i = 0; i < 2 * n; i++) /* warm up: most objects have their random size now */
        checksum += replace(n, &random);
    work_start();
    for (size_t i = 0; i < (size_t)operations; i++)
        checksum += replace(n, &random);
    work_stop();
    work_metric("ns_per_op", work_seconds() * 1e9 / operations);
    work_end(checksum);
    return 0;
}
