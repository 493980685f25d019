/* What is set can be read again, before the collector starts and after that; what was there before
   is printed, to be compared with Boehm's. */
#define GC_THREADS
#include "check.h"

#include <gc/gc.h>
#include <gc/gc_mark.h>
#include <gc/javaxfc.h>

/* Numbers: two values that differ from the usual one. */
#define NUMBERS(X)                                                                                 \
    X(int, all_interior_pointers, 0, 1)                                                            \
    X(GC_word, allocd_bytes_per_finalizer, 5000, 77)                                               \
    X(int, disable_automatic_collection, 1, 0)                                                     \
    X(int, dont_expand, 1, 0)                                                                      \
    X(int, dont_precollect, 1, 0)                                                                  \
    X(int, finalize_on_demand, 1, 0)                                                               \
    X(int, find_leak, 1, 0)                                                                        \
    X(int, force_unmap_on_gcollect, 1, 0)                                                          \
    X(GC_word, free_space_divisor, 7, 2)                                                           \
    X(int, full_freq, 5, 30)                                                                       \
    X(int, java_finalization, 0, 1)                                                                \
    X(int, manual_vdb_allowed, 1, 0)                                                               \
    X(int, max_prior_attempts, 8, 2)                                                               \
    X(GC_word, max_retries, 4, 9)                                                                  \
    X(size_t, min_bytes_allocd, 100000, 5)                                                         \
    X(int, no_dls, 1, 0)                                                                           \
    X(GC_word, non_gc_bytes, 4096, 64)                                                             \
    X(int, pages_executable, 1, 0)                                                                 \
    X(int, rate, 3, 20)                                                                            \
    X(unsigned long, time_limit, 6, 200)

static void
on_text(const char *text)
{
    (void)text;
}

static void
on_object(void *object)
{
    (void)object;
}

static void
on_nothing(void)
{
}

static void
on_event(GC_EventType event)
{
    (void)event;
}

static void
on_thread(GC_EventType event, void *thread)
{
    (void)event;
    (void)thread;
}

static void
on_size(GC_word size)
{
    (void)size;
}

static void *
on_no_memory(size_t size)
{
    (void)size;
    return NULL;
}

static int
on_question(void)
{
    return 0;
}

static void
on_warning(char *text, GC_word arg)
{
    (void)text;
    (void)arg;
}

/* Procedures. */
#define PROCEDURES(X)                                                                              \
    X(GC_abort_func, abort_func, on_text)                                                          \
    X(GC_await_finalize_proc, await_finalize_proc, on_object)                                      \
    X(GC_finalizer_notifier_proc, finalizer_notifier, on_nothing)                                  \
    X(GC_on_collection_event_proc, on_collection_event, on_event)                                  \
    X(GC_on_heap_resize_proc, on_heap_resize, on_size)                                             \
    X(GC_on_thread_event_proc, on_thread_event, on_thread)                                         \
    X(GC_oom_func, oom_fn, on_no_memory)                                                           \
    X(GC_push_other_roots_proc, push_other_roots, on_nothing)                                      \
    X(GC_start_callback_proc, start_callback, on_nothing)                                          \
    X(GC_stop_func, stop_func, on_question)                                                        \
    X(GC_warn_proc, warn_proc, on_warning)

static void
set_numbers(int print)
{
#define X(type, name, first, second)                                                               \
    {                                                                                              \
        type before = GC_get_##name();                                                             \
        if (print)                                                                                 \
            printf("%s %lu\n", #name, (unsigned long)before);                                      \
        GC_set_##name(first);                                                                      \
        CHECK(GC_get_##name() == (first));                                                         \
        GC_set_##name(second);                                                                     \
        CHECK(GC_get_##name() == (second));                                                        \
        GC_set_##name(before);                                                                     \
        CHECK(GC_get_##name() == before);                                                          \
    }
    NUMBERS(X)
#undef X
}

static void
set_procedures(void)
{
#define X(type, name, procedure)                                                                   \
    {                                                                                              \
        type before = GC_get_##name();                                                             \
        GC_set_##name(procedure);                                                                  \
        CHECK(GC_get_##name() == (procedure));                                                     \
        GC_set_##name(before);                                                                     \
        CHECK(GC_get_##name() == before);                                                          \
    }
    PROCEDURES(X)
#undef X
}

/* Two forms of one limit. */
static void
set_time_limit(void)
{
    struct GC_timeval_s before = GC_get_time_limit_tv();
    CHECK(before.tv_ms == GC_get_time_limit() && before.tv_nsec == 0);
    GC_set_time_limit_tv((struct GC_timeval_s){5, 100});
    CHECK(GC_get_time_limit() == 5 && GC_get_time_limit_tv().tv_nsec == 100);
    GC_set_time_limit(7);
    CHECK(GC_get_time_limit_tv().tv_ms == 7 && GC_get_time_limit_tv().tv_nsec == 100);
    GC_set_time_limit_tv(before);
}

int
main(void)
{
    set_numbers(1);
    set_procedures();
    set_time_limit();
    GC_INIT();
    set_numbers(0);
    set_procedures();
    set_time_limit();
    GC_gcollect();
    return 0;
}
