/* Bad: my-pitfall makes a new object in every operation. Say here what the reader should notice. */
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
    .id = "my-pitfall",
    .variant = PITFALL_VARIANT,
    .work_unit = "objects filled",
    .default_n = 10000,
    .op = PITFALL_OP_IS_ONE_OF_N,
    .parallel = 1,
    .run = run,
};
