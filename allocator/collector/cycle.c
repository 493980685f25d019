#include "collector/cycle.h"

#include "collector/pacer.h"
#include "collector/segments.h"
#include "collector/sweep.h"
#include "collector/verify.h"
#include "heap/central.h"
#include "heap/os.h"
#include "observe/observe.h"

#include <unistd.h>

struct cycle cycle SH_STATE = {.gogc = 100};

static _Atomic(sh_oom_hook) oom_hook SH_STATE;

void
cycle_on_start(void (*function)(void))
{
    for (size_t i = 0; i < sizeof cycle.on_start / sizeof *cycle.on_start; i++) {
        if (cycle.on_start[i] != NULL && cycle.on_start[i] != function)
            continue;
        cycle.on_start[i] = function;
        return;
    }
    sh_fatal("cycle_on_start: no room");
}

void
cycle_set_goal(void)
{
    atomic_store(&cycle.goal_b,
                 pacer_heap_goal(cycle.marked_b, cycle.roots.stacks, cycle.roots.data, cycle.gogc));
}

/* ---- The stop ---- */

static void
flush_all_caches(void)
{
    for (struct thread *t = world.threads; t != NULL; t = t->next)
        cache_flush(&t->cache);
}

static void
run_start_functions(void)
{
    for (size_t i = 0; i < sizeof cycle.on_start / sizeof *cycle.on_start; i++)
        if (cycle.on_start[i] != NULL)
            cycle.on_start[i]();
}

/* Marks all that can be reached. The world is stopped. */
static void
mark_all(struct cycle_record *r)
{
    struct marker marker = {0};
    uint64_t start_ns = os_now_ns(), start_cpu_ns = os_cpu_ns();
    atomic_store(&cycle.phase, PHASE_MARK);
    cycle.roots = roots_mark(&marker);
    r->pause.roots_ns = os_now_ns() - start_ns;
    r->pause.root_b = cycle.roots.stacks + cycle.roots.data;
    mark_drain(&marker);
    sh_invariant(!workbuf_any_full());
    r->mark_ns = os_now_ns() - start_ns;
    r->mark_cpu_ns = os_cpu_ns() - start_cpu_ns;
    r->marked_b = marker.marked_b;
}

/* From here on everything unmarked is free; sweeping finds it. */
static void
terminate_mark(struct cycle_record *r)
{
    atomic_store(&cycle.phase, PHASE_MARK_TERMINATION);
    r->live_after_b = atomic_load(&heap_live_b);
    atomic_fetch_add(&heap_sweepgen, 2);
    sweep_begin();
    cycle.marked_b = r->marked_b;
    atomic_store(&heap_live_b, r->marked_b);
    cycle_set_goal();
    cycle.cycles++;
    cycle.forced += r->pause.trigger == SH_TRIGGER_FORCED;
    atomic_store(&cycle.phase, PHASE_OFF);
}

static void
stop_and_mark(void *arg)
{
    struct cycle_record *r = arg;
    r->pause.start_ns = os_now_ns();
    world_stop();
    r->pause.signal_ns = os_now_ns() - r->pause.start_ns;
    flush_all_caches();
    run_start_functions();
    r->live_before_b = atomic_load(&heap_live_b);
    r->goal_b = atomic_load(&cycle.goal_b);
    mark_all(r);
    if (unlikely(cycle.verify))
        verify_or_die();
    terminate_mark(r);
    r->end_ns = os_now_ns();
    r->pause.length_ns = r->end_ns - r->pause.start_ns;
    r->pause.cycle = cycle.cycles;
    unsigned processors = os_processors();
    cycle.cpu_ns += (r->pause.length_ns - r->mark_ns) * processors + r->mark_cpu_ns;
    atomic_store(&cycle.last_end_ns, r->end_ns);
    world_start();
}

/* ---- A collection ---- */

struct request {
    enum sh_gc_trigger trigger;
    uint32_t seen_cycles; /* when the wish arose */
    struct cycle_record record;
};

/* Of several threads that find the heap full at once, one collects. */
static bool
still_needed(const struct request *q)
{
    bool automatic = q->trigger == SH_TRIGGER_HEAP || q->trigger == SH_TRIGGER_TIME;
    return !automatic || atomic_load(&cycle.cycles) == q->seen_cycles;
}

/* In the safe state from beginning to end: nobody else can stop the world meanwhile, and this
   thread's own stack is scanned from where it became safe. */
static void
collect(void *arg)
{
    struct request *q = arg;
    struct cycle_record *r = &q->record;
    lock_take(&world.cycle_lock);
    bool run = still_needed(q);
    if (run) {
        sweep_finish(cache_self);
        segments_with_loader_locked(stop_and_mark, r);
        if (q->trigger == SH_TRIGGER_FORCED || q->trigger == SH_TRIGGER_MEMORY)
            sweep_finish(cache_self);
        observe_record_pause(&r->pause);
        if (cycle.trace)
            observe_print_trace(r);
    }
    lock_drop(&world.cycle_lock);
    if (run)
        observe_call_pause_hook(&r->pause);
}

void
cycle_run(enum sh_gc_trigger trigger)
{
    struct request q = {
        .trigger = trigger,
        .seen_cycles = atomic_load(&cycle.cycles),
        .record.pause = {.cause = SH_STOP_MARK, .trigger = (uint16_t)trigger},
    };
    world_safe_call(collect, &q);
}

static bool
period_has_passed(void)
{
    if (cycle.period_ns == 0 || cycle.gogc < 0)
        return false;
    return os_now_ns() - atomic_load(&cycle.last_end_ns) >= cycle.period_ns;
}

void
hook_allocation_point(struct cache *c, size_t size)
{
    (void)c;
    if (unlikely(atomic_load(&heap_live_b) + size >= atomic_load(&cycle.goal_b)))
        cycle_run(SH_TRIGGER_HEAP);
    else if (unlikely(period_has_passed()))
        cycle_run(SH_TRIGGER_TIME);
}

bool
hook_out_of_memory(size_t size, unsigned attempt)
{
    if (attempt == 0 && size <= pageheap.reserved_b) {
        cycle_run(SH_TRIGGER_MEMORY);
        return true;
    }
    sh_oom_hook hook = atomic_load(&oom_hook);
    return hook != NULL && hook(size);
}

/* ---- Public ---- */

void
sh_collect(void)
{
    sh_init();
    cycle_run(SH_TRIGGER_FORCED);
}

int
sh_set_gogc(int percent)
{
    sh_require(percent >= SH_GOGC_OFF,
               "sh_set_gogc: %d; use a percentage from 0 on, or SH_GOGC_OFF", percent);
    sh_init();
    world_lock_safely(&world.cycle_lock);
    int old = cycle.gogc;
    cycle.gogc = percent;
    cycle_set_goal();
    lock_drop(&world.cycle_lock);
    return old;
}

sh_oom_hook
sh_set_oom_hook(sh_oom_hook hook)
{
    return atomic_exchange(&oom_hook, hook);
}
