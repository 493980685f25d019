/* Some of all that asks for memory, of malloc or (-DON_GC) of gc.h, by two threads. NULL is an
   answer, a wrong one is not. Says how often there was none. */
#ifdef ON_GC
#define GC_THREADS
#include <gc/gc.h>
#define NEW(size) GC_MALLOC(size)
#define RESIZE(p, size) GC_REALLOC(p, size)
#define RELEASE(p) GC_FREE(p)
#define SAYS_WHY 0
#else
#define NEW(size) malloc(size)
#define RESIZE(p, size) realloc(p, size)
#define RELEASE(p) free(p)
#define SAYS_WHY 1
#endif
#include "check.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

enum { OBJECTS = 2000, LARGE = 20, LARGE_B = 5 << 20 };

static _Atomic unsigned refused;

static void *
may_be_refused(void *p)
{
    CHECK(p != NULL || !SAYS_WHY || errno == ENOMEM);
    refused += p == NULL;
    return p;
}

static size_t
size_of(size_t i)
{
    return 16 + i * 7;
}

static void
check(const unsigned char *p, size_t i)
{
    CHECK(p == NULL || (p[0] == i % 251 && p[size_of(i) - 1] == i % 251));
}

static void
work(void)
{
    unsigned char *objects[OBJECTS], *large[LARGE];
    for (size_t i = 0; i < OBJECTS; i++) {
        objects[i] = may_be_refused(NEW(size_of(i)));
        if (objects[i] != NULL)
            memset(objects[i], (int)(i % 251), size_of(i));
    }
    for (size_t i = 0; i < LARGE; i++) {
        large[i] = may_be_refused(NEW(LARGE_B));
        if (large[i] != NULL)
            large[i][0] = large[i][LARGE_B - 1] = 1;
    }
    for (size_t i = 0; i < OBJECTS; i++) {
        check(objects[i], i);
        if (i % 3 != 0 || objects[i] == NULL)
            continue;
        unsigned char *moved = may_be_refused(RESIZE(objects[i], 3 * size_of(i)));
        if (moved != NULL)
            objects[i] = moved;
        check(objects[i], i);
    }
    for (size_t i = 0; i < LARGE; i++)
        RELEASE(large[i]);
    for (size_t i = 0; i < OBJECTS; i++) {
        check(objects[i], i);
        RELEASE(objects[i]);
    }
}

static void *
work_elsewhere(void *arg)
{
    work();
    return arg;
}

int
main(void)
{
    pthread_t thread;
#ifdef ON_GC
    GC_INIT();
    GC_set_warn_proc(GC_ignore_warn_proc);
#endif
    int made = pthread_create(&thread, NULL, work_elsewhere, NULL) == 0;
    work();
    if (made)
        CHECK(pthread_join(thread, NULL) == 0);
#ifdef ON_GC
    GC_gcollect();
#endif
    work();
    fprintf(stderr, "refused %u\n", refused);
    return 0;
}
