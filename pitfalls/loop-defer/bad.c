/* Bad: the releases wait for the end of the function, so the loop holds every buffer at once. */
#include "pitfall.h"

enum {
    BUFFER_B = 1024,
};

static uint64_t released;

static void
release(void *buffer)
{
    pitfall_look();
    released += *(unsigned char *)buffer;
    sh_free(buffer);
}

static PITFALL_NOINLINE void
process(uint64_t n)
{
    struct sh_defer_scope scope = {0};
    for (uint64_t i = 0; i < n; i++) {
        void *buffer = sh_alloc_noscan(BUFFER_B);
        if (i == 0)
            pitfall_retains(buffer);
        sh_defer(&scope, release, buffer);
        memset(buffer, 1, BUFFER_B);
    }
    sh_defer_run(&scope);
}

static uint64_t
run(uint64_t n)
{
    released = 0;
    process(n);
    return released;
}

const struct pitfall PITFALL = {
    .id = "loop-defer",
    .variant = PITFALL_VARIANT,
    .work_unit = "buffers released",
    .default_n = 3000,
    .op = PITFALL_OP_IS_ONE_OF_N,
    .run = run,
};
