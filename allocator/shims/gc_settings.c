/* What a program may set: procedures that are called, and numbers that are kept. */
#include "shims/gc_shim.h"

#include "collector/background.h"
#include "collector/pacing.h"
#include "heap/pageheap.h"

#include <stdio.h>
#include <stdlib.h>

#define GROWTH_PERCENT 120 /* divided by GC_free_space_divisor */

static struct {
    GC_word divisor;    /* that the heap grows by */
    uint64_t reached_b; /* by the heap, at the beginning of a collection */
    GC_on_collection_event_proc on_event;
    GC_on_thread_event_proc on_thread;
    GC_start_callback_proc on_start;
    GC_stop_func stop;
    GC_warn_proc warn;
    bool no_automatic;
    GC_word allocd_b_per_finalizer;
    size_t min_allocd_b;
    int rate, prior_attempts, executable, vdb, unmaps;
    unsigned long time_limit_ns; /* beside GC_time_limit */
} set SH_STATE = {
    .divisor = 3,
    .allocd_b_per_finalizer = 10000,
    .min_allocd_b = 1,
    .rate = 10,
    .prior_attempts = 1,
};

static _Atomic bool was_forbidden SH_STATE; /* a collection, since the last one */

/* ---- How far the heap grows ---- */

static int
growth_percent(void)
{
    return set.divisor > GROWTH_PERCENT ? 1 : (int)(GROWTH_PERCENT / set.divisor);
}

/* Memory that the program has had once is used up again before the next collection, as Boehm's
   collector does: a heap never shrinks, but for GC_gcollect_and_unmap(). What was had beyond the
   growth of what lived does not count, as sweeping was late or until all threads stood still: next
   time there would be as much beyond that, and so on for ever. What was had while collections were
   forbidden does. */
void
gc_keep_reached_size(void)
{
    uint64_t reached_b = atomic_load(&heap_size.live_b);
    if (!atomic_exchange(&was_forbidden, false))
        reached_b = size_min(reached_b, pacing_percent_goal_b());
    if (reached_b <= set.reached_b)
        return;
    set.reached_b = reached_b;
    pacing_set_least_goal(reached_b);
}

void
gc_settings_look(void)
{
    GC_word divisor = GC_free_space_divisor == 0 ? 1 : GC_free_space_divisor;
    if (divisor == set.divisor)
        return;
    set.divisor = divisor;
    pacing_set_gogc(growth_percent());
}

void
GC_set_free_space_divisor(GC_word divisor)
{
    gc_alloc_lock_take();
    GC_free_space_divisor = divisor;
    gc_settings_look();
    gc_alloc_lock_drop();
}

GC_word
GC_get_free_space_divisor(void)
{
    return GC_free_space_divisor;
}

/* Collections come more often towards it (see sh_set_memory_limit), and no object's pages go beyond
   it. 0: none. */
void
GC_set_max_heap_size(GC_word size)
{
    gc_alloc_lock_take();
    pacing_set_memory_limit(size == 0 ? SH_NO_MEMORY_LIMIT : size);
    pageheap_set_most(size == 0 ? SIZE_MAX : size);
    gc_alloc_lock_drop();
    background_wake();
}

/* From now on, not from the next goal on. */
static void
set_reached_size(uint64_t reached_b)
{
    set.reached_b = reached_b;
    pacing_set_least_goal(reached_b);
    pacing_set_gogc(growth_percent());
}

/* The heap grows by itself: nothing collects before it has. */
int
GC_expand_hp(size_t size)
{
    gc_start();
    if (size > pageheap.reserved_b || size > pageheap_left_b())
        return 0;
    gc_alloc_lock_take();
    uint64_t live_b = atomic_load(&heap_size.live_b);
    set_reached_size(size + (set.reached_b > live_b ? set.reached_b : live_b));
    gc_alloc_lock_drop();
    return 1;
}

/* ---- When it collects ---- */

/* The stop function is asked of those that the program does not ask for. */
static bool
is_unwanted(enum sh_gc_trigger trigger)
{
    bool automatic = trigger == SH_TRIGGER_HEAP || trigger == SH_TRIGGER_TIME;
    return automatic && (set.no_automatic || (set.stop != NULL && set.stop() != 0));
}

bool
gc_is_disabled(enum sh_gc_trigger trigger)
{
    bool disabled = __atomic_load_n(&GC_dont_gc, __ATOMIC_RELAXED) != 0 || is_unwanted(trigger);
    if (disabled)
        atomic_store(&was_forbidden, true);
    return disabled;
}

void
GC_disable(void)
{
    __atomic_fetch_add(&GC_dont_gc, 1, __ATOMIC_SEQ_CST);
}

void
GC_enable(void)
{
    __atomic_fetch_sub(&GC_dont_gc, 1, __ATOMIC_SEQ_CST);
}

int
GC_is_disabled(void)
{
    return __atomic_load_n(&GC_dont_gc, __ATOMIC_SEQ_CST) != 0;
}

void
GC_set_disable_automatic_collection(int on)
{
    set.no_automatic = on != 0;
}

int
GC_get_disable_automatic_collection(void)
{
    return set.no_automatic;
}

static int
never_stop(void)
{
    return 0;
}

int
GC_try_to_collect(GC_stop_func stop)
{
    gc_start();
    if (GC_is_disabled() || stop())
        return 0;
    sh_collect();
    if (set.unmaps)
        sh_release_memory();
    gc_do_due();
    return 1;
}

void
GC_gcollect(void)
{
    GC_try_to_collect(GC_get_stop_func());
}

void
GC_gcollect_and_unmap(void)
{
    if (!GC_try_to_collect(never_stop))
        return;
    gc_alloc_lock_take();
    set_reached_size(0);
    gc_alloc_lock_drop();
    sh_release_memory();
}

int
GC_collect_a_little(void)
{
    gc_start();
    if (atomic_load(&heap_size.live_b) >= atomic_load(&cycle.trigger_b))
        cycle_begin(SH_TRIGGER_HEAP);
    gc_do_due();
    return 0;
}

void
GC_set_stop_func(GC_stop_func stop)
{
    set.stop = stop;
}

GC_stop_func
GC_get_stop_func(void)
{
    return set.stop != NULL ? set.stop : never_stop;
}

/* Marking beside the program needs to see its stores. */
void
GC_enable_incremental(void)
{
    GC_init();
}

int
GC_is_incremental_mode(void)
{
    return 0;
}

int
GC_incremental_protection_needs(void)
{
    return GC_PROTECTS_NONE;
}

void
GC_start_incremental_collection(void)
{
}

/* ---- Procedures ---- */

void
gc_tell_event(GC_EventType event)
{
    if (set.on_event != NULL)
        set.on_event(event);
}

void
gc_start_callback(void)
{
    if (set.on_start != NULL)
        set.on_start();
}

void
GC_set_on_collection_event(GC_on_collection_event_proc proc)
{
    set.on_event = proc;
}

GC_on_collection_event_proc
GC_get_on_collection_event(void)
{
    return set.on_event;
}

void
GC_set_on_thread_event(GC_on_thread_event_proc proc)
{
    set.on_thread = proc;
}

GC_on_thread_event_proc
GC_get_on_thread_event(void)
{
    return set.on_thread;
}

void
GC_set_start_callback(GC_start_callback_proc proc)
{
    set.on_start = proc;
}

GC_start_callback_proc
GC_get_start_callback(void)
{
    return set.on_start;
}

static void *
return_null(size_t size)
{
    (void)size;
    return NULL;
}

GC_oom_func GC_oom_fn = return_null;

GC_oom_func
gc_oom(void)
{
    return GC_oom_fn;
}

void
GC_set_oom_fn(GC_oom_func fn)
{
    GC_oom_fn = fn;
}

GC_oom_func
GC_get_oom_fn(void)
{
    return GC_oom_fn;
}

/* As Boehm's: the abort function gets no text, and the program's exit handlers run. */
void
GC_abort_on_oom(void)
{
    sh_warn("out of memory");
    if (GC_on_abort != NULL)
        GC_on_abort(NULL);
    exit(EXIT_FAILURE);
}

static void
print_warning(char *text, GC_word arg)
{
    char line[512];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(line, sizeof line, text, arg);
#pragma GCC diagnostic pop
    sh_warn("%s", line);
}

void
GC_ignore_warn_proc(char *text, GC_word arg)
{
    (void)text;
    (void)arg;
}

void
GC_set_warn_proc(GC_warn_proc proc)
{
    set.warn = proc;
}

GC_warn_proc
GC_get_warn_proc(void)
{
    return set.warn != NULL ? set.warn : print_warning;
}

/* Who sets it is called before the library's own message and abort. */
static void
print_nothing(const char *text)
{
    (void)text;
}

void (*GC_on_abort)(const char *text) = print_nothing;

void
GC_set_abort_func(GC_abort_func fn)
{
    GC_on_abort = fn;
}

GC_abort_func
GC_get_abort_func(void)
{
    return GC_on_abort;
}

/* ---- Numbers that are kept: a pair of functions each ---- */

#define KEPT(type, name, at)                                                                       \
    void GC_set_##name(type value)                                                                 \
    {                                                                                              \
        *(at) = value;                                                                             \
    }                                                                                              \
    type GC_get_##name(void)                                                                       \
    {                                                                                              \
        return *(at);                                                                              \
    }

KEPT(int, finalize_on_demand, &GC_finalize_on_demand)
KEPT(int, java_finalization, &GC_java_finalization)
KEPT(GC_finalizer_notifier_proc, finalizer_notifier, &GC_finalizer_notifier)
KEPT(GC_on_heap_resize_proc, on_heap_resize, &GC_on_heap_resize)
KEPT(GC_word, non_gc_bytes, &GC_non_gc_bytes)
KEPT(int, find_leak, &GC_find_leak)
KEPT(int, dont_expand, &GC_dont_expand)
KEPT(int, full_freq, &GC_full_freq)
KEPT(GC_word, max_retries, &GC_max_retries)
KEPT(int, dont_precollect, &GC_dont_precollect)
KEPT(unsigned long, time_limit, &GC_time_limit)
KEPT(GC_word, allocd_bytes_per_finalizer, &set.allocd_b_per_finalizer)
KEPT(int, pages_executable, &set.executable)
KEPT(size_t, min_bytes_allocd, &set.min_allocd_b)
KEPT(int, rate, &set.rate)
KEPT(int, max_prior_attempts, &set.prior_attempts)
KEPT(int, manual_vdb_allowed, &set.vdb)
KEPT(int, force_unmap_on_gcollect, &set.unmaps)

void
GC_set_time_limit_tv(struct GC_timeval_s limit)
{
    GC_time_limit = limit.tv_ms;
    set.time_limit_ns = limit.tv_nsec;
}

struct GC_timeval_s
GC_get_time_limit_tv(void)
{
    return (struct GC_timeval_s){GC_time_limit, set.time_limit_ns};
}

/* Before the first allocation: objects made before are not longer or shorter for it. */
void
GC_set_all_interior_pointers(int on)
{
    GC_all_interior_pointers = on != 0;
    gc_extra_b = on != 0;
}

int
GC_get_all_interior_pointers(void)
{
    return GC_all_interior_pointers;
}
