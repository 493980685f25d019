/* A heap of which always the same lives does not grow, however often it is collected. */
#define GC_THREADS
#include "check.h"

#include <gc/gc.h>

enum { THREADS = 3, LISTS = 2000, LENGTH = 20, COLLECTIONS = 200 };

struct list {
    struct list *next;
    long numbers[3];
};
static struct list *lists[LISTS];

static void *
renew_lists(void *arg)
{
    size_t i = (uintptr_t)arg;
    GC_word before = GC_get_gc_no();
    while (GC_get_gc_no() < before + COLLECTIONS) {
        struct list *made = NULL;
        for (int k = 0; k < LENGTH; k++) {
            struct list *l = GC_MALLOC(sizeof *l);
            l->next = made;
            made = l;
        }
        i = (i * 6364136223846793005u + 1442695040888963407u) % (LISTS * 1000003ul);
        __atomic_store_n(&lists[i % LISTS], made, __ATOMIC_RELEASE);
    }
    return NULL;
}

static void
renew_in_threads(void)
{
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, renew_lists, (void *)(i + 1)) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
}

int
main(void)
{
    GC_INIT();
    renew_in_threads();
    size_t before_b = GC_get_heap_size();
    for (int i = 0; i < 3; i++)
        renew_in_threads();
    size_t after_b = GC_get_heap_size();
    if (after_b > before_b + before_b / 4)
        fprintf(stderr, "%zu bytes, then %zu\n", before_b, after_b);
    CHECK(after_b <= before_b + before_b / 4);
    return 0;
}
