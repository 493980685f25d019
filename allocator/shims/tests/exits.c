/* What a thread gives to pthread_exit() lives until somebody joins it. (Boehm's library keeps what
   a thread returns, but not that.) */
#define GC_THREADS
#include "check.h"

#include <gc/gc.h>
#include <pthread.h>

enum { THREADS = 20, LENGTH = 100 };

struct list {
    struct list *next;
    long number;
};

static volatile int left;

static void *
leave_with_list(void *arg)
{
    struct list *first = NULL;
    for (long i = 0; i < LENGTH; i++) {
        struct list *l = GC_MALLOC(sizeof *l);
        *l = (struct list){first, i};
        first = l;
    }
    __atomic_fetch_add(&left, 1, __ATOMIC_SEQ_CST);
    GC_pthread_exit(first);
    return arg;
}

int
main(void)
{
    pthread_t threads[THREADS];
    GC_INIT();
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, leave_with_list, NULL) == 0);
    while (left < THREADS)
        GC_gcollect();
    for (int round = 0; round < 10; round++) {
        GC_gcollect();
        for (int i = 0; i < 5000; i++)
            memset(GC_MALLOC_ATOMIC(sizeof(struct list)), 0x77, sizeof(struct list));
    }
    for (int i = 0; i < THREADS; i++) {
        void *result = NULL;
        long sum = 0;
        CHECK(pthread_join(threads[i], &result) == 0);
        for (const struct list *l = result; l != NULL; l = l->next)
            sum += l->number;
        CHECK(sum == LENGTH * (LENGTH - 1) / 2);
    }
    return 0;
}
