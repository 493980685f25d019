/* Addresses are limited (ulimit -v): NULL when there are no more, and memory again when what was
   kept is let go. */
#include "check.h"

#include <gc/gc.h>
#include <sys/resource.h>
#include <unistd.h>

enum { OBJECT_B = 100000, LEAST = 500, MOST = 6000 };
#define LIMIT_B ((rlim_t)512 << 20)

struct kept {
    struct kept *next;
    char rest[OBJECT_B];
};
static struct kept *all;

static int
fill(void)
{
    int n = 0;
    for (struct kept *k; n < MOST && (k = GC_MALLOC(sizeof *k)) != NULL; n++) {
        k->next = all;
        all = k;
    }
    return n;
}

/* A collector may reserve addresses before main(), so the limit is there from before. */
static void
begin_again_with_limit(char **argv)
{
    struct rlimit limit = {LIMIT_B, LIMIT_B};
    if (getenv("LIMITED") != NULL)
        return;
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0 && setenv("LIMITED", "1", 1) == 0);
    execv("/proc/self/exe", argv);
    CHECK(!"it begins again");
}

int
main(int argc, char **argv)
{
    volatile size_t huge = (size_t)100 << 30, largest = SIZE_MAX - 100;
    (void)argc;
    begin_again_with_limit(argv);
    GC_INIT();
    GC_set_warn_proc(GC_ignore_warn_proc);
    for (int round = 0; round < 3; round++) {
        int n = fill();
        if (n < LEAST || n == MOST)
            fprintf(stderr, "%d objects in round %d\n", n, round);
        CHECK(n >= LEAST && n < MOST);
        CHECK(GC_MALLOC(huge) == NULL && GC_MALLOC(largest) == NULL);
        all = NULL;
        wipe_stack();
        GC_gcollect();
    }
    return 0;
}
