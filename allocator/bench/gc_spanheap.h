/* spanheap for the works of bench/: see gc_api.h. */
#ifndef SPANHEAP_BENCH_GC_SPANHEAP_H
#define SPANHEAP_BENCH_GC_SPANHEAP_H

#include <spanheap.h>

#define GC_PEER "spanheap"
#define GC_COLLECTS 1
#define GC_TYPE(name, type, mask) static const struct sh_type name = SH_PLAIN_TYPE(type, mask)
#define GC_POINTER(type, field) SH_POINTER_AT(type, field)

typedef struct sh_type gc_type;

/* A stop for reading statistics is not a collection's. */
static inline void
gc_stop_seen(const struct sh_pause *pause)
{
    if (pause->cause != SH_STOP_STATISTICS)
        work_stop_seen(pause->length_ns);
}

static inline void
gc_init(void)
{
    sh_init();
    sh_set_pause_hook(gc_stop_seen);
}

static inline void *
gc_new(const gc_type *type)
{
    return sh_alloc_typed(type);
}

static inline void *
gc_new_data(size_t size)
{
    return sh_alloc_noscan(size);
}

static inline void *
gc_new_pointers(size_t n)
{
    static const uint64_t mask[] = {1};
    static const struct sh_type pointer = {"pointer", sizeof(void *), mask, 0};

    return sh_alloc_array(&pointer, n);
}

static inline void
gc_store(void *slot, const void *value)
{
    sh_store(slot, value);
}

static inline void
gc_free(void *p)
{
    (void)p;
}

static inline void
gc_collect(void)
{
    sh_collect();
}

static inline void
gc_growth_off(void)
{
    sh_set_gogc(SH_GOGC_OFF);
}

static inline int
gc_thread_create(pthread_t *thread, void *(*start)(void *), void *arg)
{
    return sh_thread_create(thread, NULL, start, arg);
}

static inline int
gc_thread_join(pthread_t thread)
{
    return sh_thread_join(thread, NULL);
}

#endif
