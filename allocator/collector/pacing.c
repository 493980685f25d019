#include "collector/pacing.h"

#include "collector/cycle.h"
#include "collector/limiter.h"
#include "collector/pacer.h"
#include "collector/parked.h"
#include "collector/saturate.h"
#include "collector/scavenge_pacer.h"
#include "collector/sweep.h"
#include "collector/sweep_pacer.h"
#include "collector/world.h"
#include "heap/meta.h"
#include "heap/os.h"
#include "heap/pageheap.h"

#include <spanheap.h>

static struct {
    _Atomic uint32_t busy; /* guards what follows; nobody waits for it but in a stop */
    struct pacer pacer;
    struct limiter limiter;
    struct sweep_pacer sweep;
    struct scavenge_goals scavenge;
    uint64_t last_goal_b;
    struct marker_figures told;    /* to the limiter, ... */
    uint64_t told_process_ns;      /* ... and the processor time of the process then */
    _Atomic double work_per_byte;  /* published */
    _Atomic double sweep_per_byte; /* published; 0: nothing to sweep */
    _Atomic uint64_t scavenge_heap_b, scavenge_limit_b;
    _Atomic uint64_t limit_b;    /* for all memory; UINT64_MAX: none */
    _Atomic bool limiting;       /* what the limiter said last */
    _Atomic uint64_t release_ns; /* spent by threads on keeping the limit, not yet accounted */
} pacing SH_STATE;

/* The pacer is used for some hundred nanoseconds at a time, and in the stop too: whoever has it
   holds stops off. */
static bool
try_enter(void)
{
    if (cache_self != NULL)
        cache_enter(cache_self);
    if (atomic_exchange(&pacing.busy, 1) == 0)
        return true;
    if (cache_self != NULL)
        cache_leave(cache_self);
    return false;
}

static void
enter(void)
{
    while (!try_enter()) {
    }
}

static void
leave(void)
{
    atomic_store(&pacing.busy, 0);
    if (cache_self != NULL)
        cache_leave(cache_self);
}

/* ---- What the pacers are told ---- */

struct memory {
    uint64_t mapped_b; /* all of the library that is not given back */
    uint64_t free_b;   /* of these, in no span */
    uint64_t in_use_b; /* of these, in spans */
};

static struct memory
memory_now(void)
{
    lock_take(&pageheap.lock);
    uint64_t used_b = atomic_load(&pageheap.used_b);
    uint64_t gone_b = pageheap.pages.scavenged_pages * PAGE_B;
    uint64_t free_b = pageheap.pages.free_pages * PAGE_B - gone_b;
    uint64_t in_use_b = pageheap.inuse_pages * PAGE_B;
    lock_drop(&pageheap.lock);
    uint64_t own_b = meta_sys_b() + used_b / PAGE_B * sizeof *pageheap.page_span;
    return (struct memory){used_b - gone_b + own_b, free_b, in_use_b};
}

/* The rest of the spans, free slots beside survivors above all, is no room that can be counted on:
   objects of another class cannot have it. */
static void
tell_memory(struct pacer *p, const struct memory *m)
{
    uint64_t objects_b = atomic_load(&heap_size.live_b) + sweep_dead_b();
    p->memory = (struct pacer_memory){m->mapped_b, m->free_b, size_min(objects_b, m->in_use_b)};
}

static void
tell(struct pacer *p)
{
    p->live_b = atomic_load(&heap_size.live_b);
    p->scannable_b = atomic_load(&heap_size.scannable_b);
    if (p->memory_limit_b == UINT64_MAX)
        return;
    struct memory m = memory_now();
    tell_memory(p, &m);
}

/* The roots' words are copied in the stop, so their work is done when marking begins; but parked
   stacks are scanned beside the program. */
static void
tell_work(struct pacer *p)
{
    uint64_t stacks_b = cycle.roots.stacks + parked_scanned_b();
    p->done = (struct pacer_work){markers_figures().scanned_b, stacks_b, cycle.roots.data};
    if (p->stacks_b < stacks_b)
        p->stacks_b = stacks_b;
}

/*
 * Who had the processors since the last time. What this process did not use is nobody's, and so is
 * what workers took beyond their quarter, and marking that a thread has asked for: a program of one
 * thread on many processors must not look as if it had them all.
 */
static void
tell_limiter(uint64_t now_ns)
{
    struct limiter *l = &pacing.limiter;
    struct marker_figures f = markers_figures();
    uint64_t process_ns = os_process_cpu_ns();
    uint64_t all_ns = saturate_sub(now_ns, l->updated_ns) * l->processors;
    uint64_t background_ns = f.cpu_ns[MARKER_BACKGROUND] - pacing.told.cpu_ns[MARKER_BACKGROUND];
    uint64_t share_ns = size_min(background_ns, (uint64_t)((double)all_ns * PACER_BACKGROUND));
    l->background = all_ns == 0 ? 0 : (double)share_ns / (double)all_ns;
    l->assist_ns += f.cpu_ns[MARKER_ASSIST] - pacing.told.cpu_ns[MARKER_ASSIST] +
                    atomic_exchange(&pacing.release_ns, 0);
    l->idle_ns += saturate_sub(all_ns, process_ns - pacing.told_process_ns) +
                  (background_ns - share_ns) +
                  (f.cpu_ns[MARKER_FORCED] - pacing.told.cpu_ns[MARKER_FORCED]);
    pacing.told = f;
    pacing.told_process_ns = process_ns;
    limiter_update(l, now_ns);
}

/* ---- What follows ---- */

static void
publish_rate(void)
{
    bool limiting = pacing.limiter.limiting;
    double rate = limiting ? 0 : pacing.pacer.assist_work_per_byte;
    atomic_store_explicit(&pacing.work_per_byte, rate, memory_order_relaxed);
    atomic_store_explicit(&pacing.limiting, limiting, memory_order_relaxed);
}

static void
publish_goal(void)
{
    struct pacer *p = &pacing.pacer;
    uint64_t goal_b = pacer_goal(p);
    atomic_store(&cycle.goal_b, goal_b);
    atomic_store(&cycle.trigger_b, cycle.mode == MODE_STW ? goal_b : pacer_trigger(p));
}

static void
commit(bool sweep_done)
{
    tell(&pacing.pacer);
    pacer_commit(&pacing.pacer, sweep_done);
    publish_goal();
}

static void
publish_sweep(void)
{
    lock_take(&pageheap.lock);
    uint64_t in_use_pages = pageheap.inuse_pages;
    lock_drop(&pageheap.lock);
    uint64_t swept = size_min(sweep_swept_pages(), in_use_pages);
    sweep_pacer_set(&pacing.sweep, atomic_load(&cycle.trigger_b), atomic_load(&heap_size.live_b),
                    in_use_pages, swept);
    atomic_store(&pacing.sweep_per_byte, pacing.sweep.pages_per_byte);
}

static void
publish_scavenging(void)
{
    struct memory m = memory_now();
    struct scavenge_state s = {
        .goal_b = atomic_load(&cycle.goal_b),
        .last_goal_b = pacing.last_goal_b,
        .last_in_use_b = m.in_use_b,
        .retained_b = m.in_use_b + m.free_b,
        .memory_limit_b = pacing.pacer.memory_limit_b,
        .mapped_b = m.mapped_b,
        .page_b = 4096,
    };
    struct scavenge_goals goals = scavenge_pacer_goals(&s);
    atomic_store(&pacing.scavenge_heap_b, goals.heap_b);
    atomic_store(&pacing.scavenge_limit_b, goals.limit_b);
}

/* ---- Settings ---- */

void
pacing_init(int percent, uint64_t limit_b)
{
    pacer_init(&pacing.pacer, percent, limit_b);
    limiter_init(&pacing.limiter, os_now_ns(), os_processors());
    atomic_store(&pacing.scavenge_heap_b, UINT64_MAX);
    atomic_store(&pacing.scavenge_limit_b, UINT64_MAX);
    atomic_store(&pacing.limit_b, limit_b);
    commit(true);
}

static void
settings_changed(void)
{
    commit(!sweep_is_pending());
    if (cycle_is_marking()) {
        pacer_revise(&pacing.pacer);
        publish_rate();
    }
    publish_sweep();
    publish_scavenging();
}

int
pacing_set_gogc(int percent)
{
    enter();
    int old = pacer_set_gogc(&pacing.pacer, percent);
    settings_changed();
    leave();
    return old;
}

void
pacing_set_least_goal(uint64_t least_b)
{
    enter();
    pacing.pacer.least_goal_b = least_b;
    leave();
}

uint64_t
pacing_percent_goal_b(void)
{
    enter();
    uint64_t goal_b = pacing.pacer.percent_goal_b;
    leave();
    return goal_b;
}

uint64_t
pacing_set_memory_limit(uint64_t limit_b)
{
    enter();
    uint64_t old = pacer_set_memory_limit(&pacing.pacer, limit_b);
    atomic_store(&pacing.limit_b, limit_b);
    settings_changed();
    leave();
    return old;
}

/* ---- A cycle ---- */

void
pacing_begin(bool periodic)
{
    struct pacer *p = &pacing.pacer;
    uint64_t now_ns = os_now_ns();
    unsigned processors = world.processors;
    enter();
    pacing.told = (struct marker_figures){0};
    tell_limiter(now_ns);
    if (pacing.limiter.processors != processors)
        limiter_set_processors(&pacing.limiter, processors, now_ns);
    limiter_begin_transition(&pacing.limiter, true, now_ns);
    tell(p);
    p->stacks_b = cycle.roots.stacks + parked_most_b();
    p->globals_b = cycle.roots.data;
    pacer_start_cycle(p, processors, periodic);
    tell_work(p);
    pacer_revise(p);
    publish_rate();
    limiter_end_transition(&pacing.limiter, os_now_ns());
    leave();
}

void
pacing_revise(void)
{
    if (!try_enter())
        return; /* another thread is at it */
    if (cycle_is_marking()) {
        tell(&pacing.pacer);
        tell_work(&pacing.pacer);
        uint64_t now_ns = os_now_ns();
        if (limiter_is_due(&pacing.limiter, now_ns))
            tell_limiter(now_ns);
        pacer_revise(&pacing.pacer);
        publish_rate();
    }
    leave();
}

/* Workers that had more than a quarter of the processors had what nobody else wanted. */
static struct pacer_times
times_of(const struct marker_figures *f, uint64_t mark_ns)
{
    struct pacer_times t = {.duration_ns = mark_ns, .processors = world.processors};
    uint64_t all_ns = mark_ns * t.processors, share_ns = all_ns / 4;
    uint64_t background_ns = f->cpu_ns[MARKER_BACKGROUND];
    t.assist_ns = f->cpu_ns[MARKER_ASSIST];
    t.idle_ns = f->cpu_ns[MARKER_FORCED];
    if (background_ns > share_ns) {
        t.idle_ns += background_ns - share_ns;
        background_ns = share_ns;
    }
    t.background = all_ns == 0 ? 0 : (double)background_ns / (double)all_ns;
    return t;
}

void
pacing_end(const struct marker_figures *figures, uint64_t mark_ns)
{
    struct pacer *p = &pacing.pacer;
    struct pacer_times times = times_of(figures, mark_ns);
    uint64_t now_ns = os_now_ns();
    enter();
    tell_limiter(now_ns);
    limiter_begin_transition(&pacing.limiter, false, now_ns);
    p->live_b = cycle.now.live_after_b;
    p->scannable_b = atomic_load(&heap_size.scannable_b);
    tell_work(p);
    cycle.stacks_b = p->done.stacks_b;
    p->globals_b = cycle.roots.data; /* the insertion barrier has read more of it meanwhile */
    pacing.last_goal_b = pacer_goal(p);
    pacer_end_cycle(p, &times);
    pacer_reset_live(p, cycle.marked_b);
    atomic_store(&heap_size.scannable_b, size_min(p->done.heap_b, cycle.marked_b));
    commit(false);
    publish_sweep();
    publish_scavenging();
    publish_rate();
    limiter_end_transition(&pacing.limiter, os_now_ns());
    leave();
}

void
pacing_sweep_done(void)
{
    enter();
    atomic_store(&pacing.sweep_per_byte, 0);
    if (!cycle_is_marking())
        commit(true);
    leave();
}

void
pacing_count_live(uint64_t size)
{
    enter();
    pacing.pacer.marked_b = saturate_add(pacing.pacer.marked_b, size);
    commit(!sweep_is_pending());
    leave();
}

void
pacing_abandon(void)
{
    atomic_store(&pacing.busy, 0);
    enter();
    limiter_init(&pacing.limiter, os_now_ns(), os_processors());
    pacing.told = markers_figures();
    pacing.told_process_ns = os_process_cpu_ns();
    pacing.pacer.triggered_b = UINT64_MAX;
    commit(!sweep_is_pending());
    publish_sweep();
    leave();
}

/* ---- Figures for others ---- */

double
pacing_work_per_byte(void)
{
    return atomic_load_explicit(&pacing.work_per_byte, memory_order_relaxed);
}

bool
pacing_heap_is_over(void)
{
    uint64_t goal_b = atomic_load(&cycle.goal_b);
    return atomic_load(&heap_size.live_b) > goal_b + goal_b / 10;
}

uint64_t
pacing_sweep_debt(size_t span_b)
{
    if (atomic_load_explicit(&pacing.sweep_per_byte, memory_order_relaxed) == 0 || !try_enter())
        return 0;
    uint64_t debt = sweep_pacer_debt(&pacing.sweep, atomic_load(&heap_size.live_b), span_b,
                                     sweep_swept_pages(), 0);
    leave();
    return debt;
}

uint64_t
pacing_scavenge_debt(bool *urgent)
{
    struct memory m = memory_now();
    uint64_t limit_b = atomic_load(&pacing.scavenge_limit_b);
    uint64_t heap_b = atomic_load(&pacing.scavenge_heap_b), retained_b = m.in_use_b + m.free_b;
    *urgent = m.mapped_b > limit_b;
    if (*urgent)
        return size_min(m.free_b, m.mapped_b - limit_b);
    return retained_b > heap_b ? size_min(m.free_b, retained_b - heap_b) : 0;
}

uint64_t
pacing_over_limit(void)
{
    uint64_t limit_b = atomic_load_explicit(&pacing.limit_b, memory_order_relaxed);
    if (likely(limit_b == UINT64_MAX))
        return 0;
    struct memory m = memory_now();
    if (!cycle_is_marking() && try_enter()) { /* while marking the goal stays where it was */
        tell_memory(&pacing.pacer, &m);
        publish_goal();
        if (pacing.limiter.limiting) {
            tell_limiter(os_now_ns());
            publish_rate();
        }
        leave();
    }
    bool over = m.mapped_b > limit_b && !pacing_is_limiting();
    return over ? size_min(m.free_b, m.mapped_b - limit_b) : 0;
}

bool
pacing_is_limiting(void)
{
    return atomic_load_explicit(&pacing.limiting, memory_order_relaxed);
}

void
pacing_add_release(uint64_t ns)
{
    atomic_fetch_add(&pacing.release_ns, ns);
}
