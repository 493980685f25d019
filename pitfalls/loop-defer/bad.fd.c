/* Bad: the files are closed at the end of the function, so the loop holds all of them open. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "pitfall.h"

static uint64_t closed;

static void
close_file(void *file)
{
    pitfall_look();
    closed += close((int)(intptr_t)file) == 0;
}

static PITFALL_NOINLINE void
process(uint64_t n)
{
    struct sh_defer_scope scope = {0};
    for (uint64_t i = 0; i < n; i++) {
        int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (file < 0)
            pitfall_fail("/dev/null cannot be opened: %s", strerror(errno));
        sh_defer(&scope, close_file, (void *)(intptr_t)file);
    }
    sh_defer_run(&scope);
}

static uint64_t
run(uint64_t n)
{
    closed = 0;
    process(n);
    return closed;
}

const struct pitfall PITFALL = {
    .id = "loop-defer",
    .variant = PITFALL_VARIANT,
    .work_unit = "files closed",
    .default_n = 3000,
    .op = PITFALL_OP_IS_ONE_OF_N,
    .setup = pitfall_need_descriptors,
    .run = run,
};
