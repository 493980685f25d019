/*
 * malloc and free for the works of bench/: see gc_api.h. Which malloc is a matter of linking.
 */
#ifndef SPANHEAP_BENCH_GC_MALLOC_H
#define SPANHEAP_BENCH_GC_MALLOC_H

#include <pthread.h>
#include <stdlib.h>

#define GC_PEER "malloc"
#define GC_COLLECTS 0
#define GC_TYPE(name, type, mask) static const gc_type name = {sizeof(type)}
#define GC_POINTER(type, field) 0

typedef struct {
    size_t size;
} gc_type;

static inline void *
gc_checked(void *p)
{
    if (p == NULL)
        work_fail("malloc: no memory");
    return p;
}

static inline void
gc_init(void)
{
}

static inline void *
gc_new(const gc_type *type)
{
    return gc_checked(malloc(type->size));
}

static inline void *
gc_new_data(size_t size)
{
    return gc_checked(malloc(size));
}

static inline void *
gc_new_pointers(size_t n)
{
    return gc_checked(calloc(n, sizeof(void *)));
}

static inline void
gc_store(void *slot, const void *value)
{
    *(const void **)slot = value;
}

static inline void
gc_free(void *p)
{
    free(p);
}

static inline void
gc_collect(void)
{
}

static inline void
gc_growth_off(void)
{
}

static inline int
gc_thread_create(pthread_t *thread, void *(*start)(void *), void *arg)
{
    return pthread_create(thread, NULL, start, arg);
}

static inline int
gc_thread_join(pthread_t thread)
{
    return pthread_join(thread, NULL);
}

#endif
