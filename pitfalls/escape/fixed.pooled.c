/* Fixed, pooled: header and array stay on the heap, but are used again instead of made again. */
#include "pitfall.h"

enum {
    LENGTH = 3,
};

static void *
make(void)
{
    struct sh_slice *s = sh_alloc_typed(&PITFALL_SLICE);

    *s = sh_slice_make(&PITFALL_INT64, LENGTH, LENGTH);
    return s;
}

static struct sh_pool pool = {.make = make};

/* Whoever calls this gives the slice back when it is done with it. */
static PITFALL_NOINLINE struct sh_slice *
numbers(void)
{
    struct sh_slice *s = sh_pool_get(&pool);

    memcpy(s->data, (int64_t[]){1, 2, 3}, LENGTH * sizeof(int64_t));
    return s;
}

static uint64_t
run(uint64_t n)
{
    uint64_t work = 0;

    for (uint64_t i = 0; i < n; i++) {
        struct sh_slice *s = numbers();
        pitfall_keep(s);
        work += s->len;
        sh_pool_put(&pool, s);
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
