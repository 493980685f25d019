/* Fixed, array: the largest possible n is known, so the room is there before the program starts. */
#include "growth.h"

static int64_t room[100000];

static uint64_t
run(uint64_t n)
{
    struct sh_slice s = watch((struct sh_slice){.data = room, .cap = sizeof room / sizeof room[0]});

    for (uint64_t i = 0; i < n; i++)
        s = append(s, i);
    return finish(s);
}

const struct pitfall PITFALL = {
    .id = "growth",
    .variant = PITFALL_VARIANT,
    .work_unit = "elements",
    .default_n = 10000,
    .max_n = sizeof room / sizeof room[0],
    .op = PITFALL_OP_IS_A_ROUND,
    .run = run,
    .report = report,
};
