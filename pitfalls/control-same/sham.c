/*
 * The control without a difference: bad.c and sham.c are the same bytes, and must come out the
 * same. Whatever the suite reports between the two is an error of the suite.
 */
#include "pitfall.h"

static uint64_t
run(uint64_t n)
{
    uint64_t work = 0;

    for (uint64_t i = 0; i < n; i++) {
        uint64_t *object = sh_alloc_noscan(64);
        *object = i;
        pitfall_keep(object);
        work += *object == i;
    }
    return work;
}

const struct pitfall PITFALL = {
    .id = "control-same",
    .variant = PITFALL_VARIANT,
    .work_unit = "objects",
    .default_n = 100000,
    .op = PITFALL_OP_IS_ONE_OF_N,
    .parallel = 1,
    .run = run,
};
