/* Bad: the function returns the address of its slice, so the slice cannot stay on the stack. */
#include "pitfall.h"

enum {
    LENGTH = 3,
};

/* Go: arr := []int{1, 2, 3}; return &arr. Header and array outlive the call: both go to the heap.
 */
static PITFALL_NOINLINE struct sh_slice *
numbers(void)
{
    struct sh_slice *s = sh_alloc_typed(&PITFALL_SLICE);

    *s = sh_slice_make(&PITFALL_INT64, LENGTH, LENGTH);
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
