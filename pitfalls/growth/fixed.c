/* Fixed, presized: the slice starts with room for all of them. */
#include "growth.h"

static uint64_t
run(uint64_t n)
{
    struct sh_slice s = watch(sh_slice_make(&PITFALL_INT64, 0, n));

    for (uint64_t i = 0; i < n; i++)
        s = append(s, i);
    return finish(s);
}

const struct pitfall PITFALL = {
    .id = "growth",
    .variant = PITFALL_VARIANT,
    .work_unit = "elements",
    .default_n = 10000,
    .max_n = 100000,
    .op = PITFALL_OP_IS_A_ROUND,
    .run = run,
    .report = report,
};
