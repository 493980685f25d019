/* The heap's limits, what the program is told when memory ends, and how it ends itself then. */
#include "check.h"

#include <gc/gc.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BLOCK_B = 256 << 10, MIB = 1 << 20, LIMIT_B = 32 * MIB, BLOCKS = 2 * LIMIT_B / BLOCK_B };

static void *blocks[BLOCKS];

/* ---- Out of memory ---- */

static size_t refused;

static void *
refuse(size_t size)
{
    refused = size;
    return NULL;
}

static int warnings;

static void
note_warning(char *text, GC_word arg)
{
    char line[400];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    CHECK(text != NULL && snprintf(line, sizeof line, text, arg) > 0 && line[0] != '\0');
#pragma GCC diagnostic pop
    warnings++;
}

static void
warned(void)
{
    volatile size_t huge = (size_t)1 << 50;
    GC_warn_proc before = GC_get_warn_proc();
    GC_set_warn_proc(note_warning);
    GC_set_oom_fn(refuse);
    CHECK(GC_get_warn_proc() == note_warning);
    CHECK(GC_MALLOC(huge) == NULL && refused >= huge && warnings > 0);
    GC_set_warn_proc(before);
}

/* ---- The largest heap ---- */

static int
fill_blocks(void)
{
    int n = 0;
    while (n < BLOCKS && (blocks[n] = GC_MALLOC_ATOMIC(BLOCK_B)) != NULL)
        n++;
    return n;
}

static void
largest_heap(void)
{
    GC_set_warn_proc(note_warning);
    GC_set_oom_fn(refuse);
    GC_set_max_heap_size(LIMIT_B);
    for (int round = 0; round < 3; round++) {
        refused = 0;
        warnings = 0;
        int n = fill_blocks();
        CHECK(refused >= BLOCK_B && warnings > 0);
        CHECK(n > BLOCKS / 4 && n <= BLOCKS / 2 && GC_get_heap_size() <= LIMIT_B);
        CHECK(GC_expand_hp(LIMIT_B) == 0);
        memset(blocks, 0, sizeof blocks);
        wipe_stack();
        GC_gcollect();
        GC_gcollect();
    }
    refused = 0;
    void *small = NULL;
    for (void **p; (p = GC_MALLOC(1000)) != NULL; small = p)
        *p = small;
    CHECK(small != NULL && refused >= 1000 && GC_get_heap_size() <= LIMIT_B);
    small = NULL;
    GC_set_max_heap_size(0);
    refused = 0;
    CHECK(fill_blocks() == BLOCKS && refused == 0);
    memset(blocks, 0, sizeof blocks);
}

/* ---- Growing ---- */

static GC_word last_size;
static int resizes;

static void
note_size(GC_word size)
{
    last_size = size;
    resizes++;
}

static void
grown(void)
{
    GC_set_on_heap_resize(note_size);
    GC_word before_b = GC_get_heap_size();
    for (size_t b = 0; b < before_b + 16 * MIB; b += BLOCK_B)
        blocks[b / BLOCK_B % BLOCKS] = memset(GC_MALLOC_ATOMIC(BLOCK_B), 1, BLOCK_B);
    void *large = memset(GC_MALLOC_ATOMIC(before_b + 32 * MIB), 1, before_b + 32 * MIB);
    GC_gcollect();
    CHECK(resizes > 0 && last_size >= 16 * MIB);
    GC_set_on_heap_resize(NULL);
    GC_reachable_here(large);
    memset(blocks, 0, sizeof blocks);
}

static void
grown_by_hand(void)
{
    GC_gcollect();
    CHECK(GC_expand_hp(64 * MIB) == 1);
    GC_word n = GC_get_gc_no();
    for (int b = 0; b < 32 * MIB; b += 4096)
        GC_MALLOC_ATOMIC(4000);
    CHECK(GC_get_gc_no() == n);
}

/* ---- The end ---- */

static void
leave_with_7(const char *text)
{
    _exit(text != NULL && text[0] != '\0' ? 7 : 8);
}

static void
leave_with_9(const char *text)
{
    _exit(text == NULL ? 9 : 8);
}

static int
status_of(void (*fn)(void))
{
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK(freopen("/dev/null", "w", stderr) != NULL);
        fn();
        _exit(0);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    return status;
}

static void
register_badly(void)
{
    static char row[32] __attribute__((aligned(16)));
    GC_general_register_disappearing_link((void **)(row + 4), GC_MALLOC(16));
}

static void
die(void)
{
    register_badly();
}

static void
die_by_own_function(void)
{
    GC_set_abort_func(leave_with_7);
    CHECK(GC_get_abort_func() == leave_with_7);
    register_badly();
}

static void
end_without_memory(void)
{
    GC_abort_on_oom();
}

static void
end_without_memory_by_own_function(void)
{
    GC_set_abort_func(leave_with_9);
    GC_abort_on_oom();
}

static void
ends(void)
{
    int status = status_of(die);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    status = status_of(die_by_own_function);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    status = status_of(end_without_memory);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_FAILURE);
    status = status_of(end_without_memory_by_own_function);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 9);
}

int
main(void)
{
    GC_set_handle_fork(1);
    GC_INIT();
    warned();
    largest_heap();
    grown_by_hand();
    grown();
    ends();
    return 0;
}
