/* Fixed, pooled: the array of the round before is used again, grown as it already is. */
#include "growth.h"

static void *
make(void)
{
    return sh_alloc_typed(&PITFALL_SLICE);
}

static struct sh_pool pool = {.make = make};

static uint64_t
run(uint64_t n)
{
    struct sh_slice *pooled = sh_pool_get(&pool);
    struct sh_slice s = watch((struct sh_slice){.data = pooled->data, .cap = pooled->cap});

    for (uint64_t i = 0; i < n; i++)
        s = append(s, i);
    sh_memmove(pooled, &s, sizeof s);
    sh_pool_put(&pool, pooled);
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
