/* A thread that nobody has registered uses the heap, and ends: only on spanheap's library. */
#define GC_THREADS
#define GC_NO_THREAD_REDIRECTS
#include "check.h"

#include <gc/gc.h>
#include <pthread.h>

static void *
work(void *arg)
{
    char **own = GC_MALLOC(100 * sizeof *own);
    CHECK(GC_thread_is_registered());
    for (int i = 0; i < 100; i++) {
        own[i] = GC_MALLOC_ATOMIC(32);
        own[i][31] = (char)i;
    }
    for (int i = 0; i < 20000; i++)
        memset(GC_MALLOC_ATOMIC(32), 0x77, 32);
    for (int i = 0; i < 100; i++)
        CHECK(own[i][31] == (char)i);
    return arg;
}

int
main(void)
{
    pthread_t threads[4];
    GC_INIT();
    for (int i = 0; i < 4; i++)
        CHECK(pthread_create(&threads[i], NULL, work, NULL) == 0);
    for (int i = 0; i < 20; i++)
        GC_gcollect();
    for (int i = 0; i < 4; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    GC_gcollect();
    return 0;
}
