/* Bad: a 16-byte window into a large buffer is kept, and with it the whole buffer. */
#include "pitfall.h"

enum {
    WINDOWS = 16,
    WINDOW_B = 16,
};

static struct sh_slice kept[WINDOWS];

/* Stands for reading a file or a message of parent_b bytes. */
static PITFALL_NOINLINE struct sh_slice
read_buffer(uint64_t parent_b)
{
    struct sh_slice buffer = sh_slice_make(&PITFALL_BYTE, parent_b, parent_b);

    memset(buffer.data, 1, parent_b);
    return buffer;
}

static uint64_t
run(uint64_t parent_b)
{
    uint64_t work = 0;

    for (int i = 0; i < WINDOWS; i++) {
        struct sh_slice buffer = read_buffer(parent_b);
        pitfall_retains(buffer.data);
        struct sh_slice window = sh_slice_window(&PITFALL_BYTE, buffer, 0, WINDOW_B);
        kept[i] = window;
        work += kept[i].len;
    }
    return work;
}

static void
teardown(void)
{
    memset(kept, 0, sizeof kept);
}

static void
report(uint64_t parent_b)
{
    pitfall_metric("windows", WINDOWS);
    pitfall_metric("window_b", WINDOW_B);
    pitfall_metric("parent_b", parent_b);
}

const struct pitfall PITFALL = {
    .id = "slice-retention",
    .variant = PITFALL_VARIANT,
    .work_unit = "bytes kept",
    .default_n = 1 << 20,
    .op = PITFALL_OP_IS_A_ROUND,
    .run = run,
    .teardown = teardown,
    .report = report,
};
