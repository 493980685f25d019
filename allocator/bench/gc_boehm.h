/*
 * The Boehm-Demers-Weiser collector for the works of bench/: see gc_api.h.
 *
 * Two configurations. As it comes: a pointer into an object keeps it, for which one byte is added
 * to every object (16 bytes become 32), and a program with one thread is marked by one thread.
 * With -DGC_BOEHM_PARALLEL: only the start of an object counts inside the heap, nothing is added,
 * and all processors mark.
 *
 * GC_MALLOC_ATOMIC does not zero, so gc_new_data() does: every peer gives zeroed memory.
 */
#ifndef SPANHEAP_BENCH_GC_BOEHM_H
#define SPANHEAP_BENCH_GC_BOEHM_H

#define GC_THREADS
#include <gc/gc.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#ifdef GC_BOEHM_PARALLEL
#define GC_PEER "boehm-parallel"
enum {
    GC_PARALLEL = 1,
};
#else
#define GC_PEER "boehm"
enum {
    GC_PARALLEL = 0,
};
#endif
#define GC_COLLECTS 1
#define GC_TYPE(name, type, mask) static const gc_type name = {sizeof(type)}
#define GC_POINTER(type, field) 0

typedef struct {
    size_t size;
} gc_type;

/* From before the threads are signalled until after they were let go. Called with the collector's
 * lock held, by one thread at a time. */
static inline void
gc_event(GC_EventType event)
{
    static uint64_t began_ns;

    if (event == GC_EVENT_PRE_STOP_WORLD)
        began_ns = work_now_ns();
    else if (event == GC_EVENT_POST_START_WORLD)
        work_stop_seen(work_now_ns() - began_ns);
}

static inline void
gc_init(void)
{
    if (GC_PARALLEL)
        GC_set_all_interior_pointers(0);
    GC_INIT();
    if (GC_PARALLEL)
        GC_start_mark_threads();
    GC_set_on_collection_event(gc_event);
}

static inline void *
gc_new(const gc_type *type)
{
    return GC_MALLOC(type->size);
}

static inline void *
gc_new_data(size_t size)
{
    return memset(GC_MALLOC_ATOMIC(size), 0, size);
}

static inline void *
gc_new_pointers(size_t n)
{
    return GC_MALLOC_IGNORE_OFF_PAGE(n * sizeof(void *));
}

static inline void
gc_store(void *slot, const void *value)
{
    *(const void **)slot = value;
}

static inline void
gc_free(void *p)
{
    (void)p;
}

static bool gc_growth_is_off;

/* While growth is off nothing collects, not even GC_gcollect(). */
static inline void
gc_collect(void)
{
    if (gc_growth_is_off)
        GC_enable();
    GC_gcollect();
    if (gc_growth_is_off)
        GC_disable();
}

static inline void
gc_growth_off(void)
{
    gc_growth_is_off = true;
    GC_disable();
}

static inline int
gc_thread_create(pthread_t *thread, void *(*start)(void *), void *arg)
{
    return pthread_create(thread, NULL, start, arg); /* gc.h makes this GC_pthread_create */
}

static inline int
gc_thread_join(pthread_t thread)
{
    return pthread_join(thread, NULL);
}

#endif
