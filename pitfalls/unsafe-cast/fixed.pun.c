/* Fixed: the bytes are copied into a variable of their own type, and its value is converted. */
#include "pitfall.h"

enum {
    READING = 42,
};

static PITFALL_NOINLINE double
read_value(void)
{
    _Alignas(double) int32_t reading = READING;

    pitfall_keep(&reading);
    int32_t copy;
    memcpy(&copy, &reading, sizeof copy);
    return copy;
}

static uint64_t
run(uint64_t n)
{
    double value = 0;
    uint64_t work = 0;

    for (uint64_t i = 0; i < n; i++) {
        value = read_value();
        pitfall_keep(&value);
        work++;
    }
    pitfall_saw(value, READING);
    return work;
}

const struct pitfall PITFALL = {
    .id = "unsafe-cast",
    .variant = PITFALL_VARIANT,
    .work_unit = "reads",
    .default_n = 1000000,
    .op = PITFALL_OP_IS_ONE_OF_N,
    .run = run,
};
