#include "collector/cycle.h"

#include "collector/assist.h"
#include "collector/background.h"
#include "collector/client.h"
#include "collector/fault.h"
#include "collector/pacing.h"
#include "collector/parked.h"
#include "collector/reach.h"
#include "collector/segments.h"
#include "collector/stress.h"
#include "collector/sweep.h"
#include "collector/verify.h"
#include "heap/central.h"
#include "heap/os.h"
#include "observe/events.h"
#include "observe/observe.h"

#include <time.h>

/* The stop that ends marking may do a little of it (some 40 objects: a few microseconds), so that a
   handful of recorded values does not make another round. More with each round, so that there is an
   end. */
#define END_WORK_B ((uint64_t)4 << 10)

/* Until a thread that wants to begin a collection sleeps: some fifty microseconds. */
#define BEGIN_SPINS 2000

/* A heap that is full and can be scanned so soon is marked in the stop that begins the collection:
   it takes less than a second stop would. */
#define STOP_WORK_B ((uint64_t)16 << 10)

struct cycle cycle SH_STATE = {.barrier = BARRIER_DELETION};

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

/* ---- The first stop ---- */

static void
run_start_functions(void)
{
    for (size_t i = 0; i < sizeof cycle.on_start / sizeof *cycle.on_start; i++)
        if (cycle.on_start[i] != NULL)
            cycle.on_start[i]();
}

/* What a thread has at hand becomes black, and its tiny block too: objects are handed out of it
   without any look at its mark. Returns the bytes of free slots that the heap's size counts
   already.
 */
static uint64_t
blacken_cache(struct cache *c)
{
    uint64_t free_b = 0;
    for (unsigned row = 0; row < NROWS; row++) {
        struct span *s = c->spans[row];
        if (s == &cache_empty_span)
            continue;
        span_blacken(s);
        free_b += span_free_ahead(s) * s->elem_b;
    }
    if (c->tiny != 0) {
        struct span *s = pageheap_span_of(c->tiny);
        if (!fault(FAULT_TINY_BLOCK))
            span_mark_born(s, span_index(s, c->tiny));
        free_b += s->elem_b; /* nor will marking count it */
    }
    return free_b;
}

static void
begin_beside_program(void)
{
    if (!fault(FAULT_BARRIER_OFF) && !fault(FAULT_BARRIER_LATE))
        atomic_store(&barrier_enabled, cycle.barrier);
    if (cycle.barrier != BARRIER_INSERTION && !fault(FAULT_BORN_WHITE))
        atomic_store(&span_allocate_black, 1);
    cycle.uncharged_b = 0;
    for (struct thread *t = world.threads; t != NULL; t = t->next)
        if (atomic_load(&span_allocate_black))
            cycle.uncharged_b += blacken_cache(&t->cache);
    assist_begin();
}

static void
flush_all_caches(void)
{
    for (struct thread *t = world.threads; t != NULL; t = t->next)
        if (!fault(FAULT_CACHE_NOT_FLUSHED))
            cache_flush(&t->cache);
}

static void
read_roots(struct sh_pause *pause, enum root_set set)
{
    uint64_t start_ns = os_now_ns();
    cycle.roots = roots_read(set);
    pause->roots_ns += os_now_ns() - start_ns;
    pause->root_b = cycle.roots.stacks + cycle.roots.data;
}

/* What was scanned last time; at first, all that there is to scan. */
static uint64_t
expected_work_b(void)
{
    return atomic_load(&cycle.cycles) == 0 ? atomic_load(&heap_size.scannable_b)
                                           : markers_figures().scanned_b + parked_scanned_b();
}

/* Sets up marking: afterwards it needs nothing but markers. The world is stopped. */
static void
begin_marking(struct sh_pause *pause)
{
    struct cycle_record *r = &cycle.now;
    *r = (struct cycle_record){.start_ns = pause->start_ns, .pause = *pause};
    cycle.tries = 0;
    run_start_functions();
    for (struct thread *t = world.threads; t != NULL; t = t->next)
        cache_tell(&t->cache);
    cycle.small = pause->trigger == SH_TRIGGER_HEAP && !stress_is_on() &&
                  cycle.barrier == BARRIER_DELETION && expected_work_b() <= STOP_WORK_B;
    r->live_before_b = atomic_load(&heap_size.live_b);
    r->goal_b = atomic_load(&cycle.goal_b);
    atomic_store(&heap_marking, 1);
    if (cycle.mode == MODE_CONCURRENT)
        begin_beside_program();
    else
        flush_all_caches();
    stress_edge();
    bool late = cycle.mode == MODE_CONCURRENT && cycle.barrier == BARRIER_INSERTION;
    read_roots(pause, late ? ROOTS_SHARED : ROOTS_ALL);
    stress_edge();
    if (unlikely(cycle.verify))
        reach_begin();
    regions_begin();
    markers_open();
    pacing_begin(pause->trigger == SH_TRIGGER_TIME);
    atomic_store(&cycle.phase, PHASE_MARK);
}

/* ---- The last stop ---- */

/* What was allocated black is in no marker's count: the growth of the heap since the start, which
   counts only what has been handed out, now that the caches have returned the rest. */
static uint64_t
born_black_b(void)
{
    if (!atomic_load(&span_allocate_black))
        return 0;
    return atomic_load(&heap_size.live_b) + cycle.uncharged_b - cycle.now.live_before_b;
}

static void
charge_cpu(const struct marker_figures *f)
{
    struct cycle_record *r = &cycle.now;
    uint64_t share_ns = r->mark_ns * world.processors / 4;
    uint64_t background_ns = f->cpu_ns[MARKER_BACKGROUND];
    r->assist_cpu_ns = f->cpu_ns[MARKER_ASSIST];
    r->background_cpu_ns = f->cpu_ns[MARKER_FORCED] + background_ns;
    if (cycle.mode == MODE_CONCURRENT && background_ns > share_ns) {
        r->idle_cpu_ns = background_ns - share_ns; /* what others did not want */
        r->background_cpu_ns -= r->idle_cpu_ns;
    }
    cycle.cpu_ns += r->assist_cpu_ns + r->background_cpu_ns + r->idle_cpu_ns +
                    (r->stop_ns + r->end_stop_ns) * world.processors;
}

/* From here on everything unmarked is free; sweeping finds it. */
static void
end_marking(void)
{
    struct cycle_record *r = &cycle.now;
    struct marker_figures f = markers_figures();
    atomic_store(&cycle.phase, PHASE_MARK_TERMINATION);
    stress_edge();
    r->live_after_b = atomic_load(&heap_size.live_b);
    flush_all_caches();
    r->marked_b = f.marked_b + born_black_b();
    if (unlikely(cycle.verify)) {
        verify_or_die();
        reach_check(cycle.barrier != BARRIER_INSERTION);
    }
    barrier_off();
    atomic_store(&span_allocate_black, 0);
    atomic_store(&heap_marking, 0);
    atomic_fetch_add(&heap_sweepgen, 2);
    sweep_begin(atomic_load(&heap_size.live_b) - r->marked_b);
    cycle.marked_b = r->marked_b;
    cycle.most_marked_b = r->marked_b > cycle.most_marked_b ? r->marked_b : cycle.most_marked_b;
    atomic_store(&heap_size.live_b, r->marked_b);
    pacing_end(&f, r->mark_ns);
    cycle.forced += r->pause.trigger == SH_TRIGGER_FORCED;
    r->pause.cycle = atomic_fetch_add(&cycle.cycles, 1) + 1;
    atomic_store(&cycle.phase, PHASE_OFF);
}

static void
note_end(struct sh_pause *pause)
{
    struct cycle_record *r = &cycle.now;
    pause->cycle = r->pause.cycle;
    r->end_ns = os_now_ns();
    pause->length_ns = r->end_ns - pause->start_ns;
    r->pause = *pause;
    atomic_store(&cycle.last_end_ns, r->end_ns);
}

/* Marks what the barriers have recorded, or with the insertion barrier from all roots once more.
   False: it is too much for a stop. */
static bool
mark_rest(struct sh_pause *pause)
{
    struct marker m;
    uint64_t work_b = END_WORK_B << (cycle.tries < 32 ? cycle.tries : 32);
    mark_init(&m);
    for (struct thread *t = world.threads; t != NULL; t = t->next)
        if (!fault(FAULT_BUFFER_KEPT))
            barrier_flush(t);
    if (cycle.barrier == BARRIER_INSERTION) {
        read_roots(pause, ROOTS_ALL);
        work_b = UINT64_MAX;
    }
    bool done = mark_drain(&m, work_b);
    mark_flush(&m);
    markers_add(&m);
    return done;
}

struct ending {
    struct sh_pause pause;
    bool ended;
};

static void
stop_to_end(void *arg)
{
    struct ending *e = arg;
    struct cycle_record *r = &cycle.now;
    stress_edge();
    e->pause.start_ns = os_now_ns();
    world_stop();
    e->pause.signal_ns = os_now_ns() - e->pause.start_ns;
    e->ended = mark_rest(&e->pause);
    if (e->ended) {
        r->mark_ns = e->pause.start_ns - (r->start_ns + r->stop_ns);
        end_marking();
        note_end(&e->pause);
        r->end_stop_ns = e->pause.length_ns;
        struct marker_figures f = markers_figures();
        charge_cpu(&f);
    } else {
        cycle.tries++;
        e->pause.length_ns = os_now_ns() - e->pause.start_ns;
        e->pause.cycle = atomic_load(&cycle.cycles) + 1;
        markers_reopen();
    }
    world_start();
    stress_edge();
}

static void
report_stop(const struct sh_pause *pause, bool last)
{
    observe_record_pause(pause);
    if (last)
        observe_record_cycle(&cycle.now);
    if (last && cycle.trace)
        observe_print_trace(&cycle.now);
    observe_call_pause_hook(pause);
}

void
cycle_try_end(void)
{
    struct ending e = {.pause = {.cause = SH_STOP_MARK_END}};
    lock_take(&world.cycle_lock);
    bool stop = cycle_is_marking() && markers_close();
    if (stop) {
        e.pause.trigger = cycle.now.pause.trigger;
        if (cycle.barrier == BARRIER_INSERTION)
            segments_with_loader_locked(stop_to_end, &e);
        else
            stop_to_end(&e);
        report_stop(&e.pause, e.ended);
    }
    lock_drop(&world.cycle_lock);
    if (e.ended)
        background_wake_to_sweep();
    else if (stop)
        background_wake();
}

/* ---- Beginning ---- */

struct request {
    enum sh_gc_trigger trigger;
    uint32_t seen_cycles; /* when the wish arose */
    struct sh_pause pause;
    bool ended; /* in the stop that began it */
};

static void
mark_in_stop(void)
{
    struct cycle_record *r = &cycle.now;
    uint64_t start_ns = os_now_ns();
    background_wake();
    markers_finish();
    if (unlikely(client != NULL))
        client->after_mark();
    r->mark_ns = os_now_ns() - start_ns + r->pause.roots_ns;
}

/* Whether nothing is left for after the stop. */
static bool
mark_small_heap(void)
{
    struct marker m;
    uint64_t start_ns = os_now_ns();
    mark_init(&m);
    bool done = mark_drain(&m, STOP_WORK_B);
    mark_flush(&m);
    markers_add(&m);
    cycle.now.mark_ns = os_now_ns() - start_ns + cycle.now.pause.roots_ns;
    return done && markers_close();
}

/* Whether it is all done in this stop. */
static bool
mark_stopped(void)
{
    if (cycle.mode == MODE_CONCURRENT)
        return cycle.small && mark_small_heap();
    mark_in_stop();
    return true;
}

static void
tell_client(enum client_event event)
{
    if (unlikely(client != NULL))
        client->on_event(event);
}

static void
stop_to_begin(void *arg)
{
    struct request *q = arg;
    struct sh_pause *pause = &q->pause;
    *pause =
        (struct sh_pause){.trigger = (uint16_t)q->trigger, .cycle = atomic_load(&cycle.cycles) + 1};
    roots_fetch();
    pause->start_ns = os_now_ns();
    world_stop();
    pause->signal_ns = os_now_ns() - pause->start_ns;
    tell_client(CLIENT_STOPPED);
    begin_marking(pause);
    struct cycle_record *r = &cycle.now;
    r->pause.roots_ns = pause->roots_ns;
    q->ended = mark_stopped();
    pause->cause = q->ended ? SH_STOP_MARK : SH_STOP_MARK_START;
    if (q->ended) {
        end_marking();
        note_end(pause);
        r->stop_ns = pause->signal_ns;
        r->end_stop_ns = pause->length_ns - pause->signal_ns - r->mark_ns;
        struct marker_figures f = markers_figures();
        charge_cpu(&f);
    } else {
        pause->length_ns = os_now_ns() - pause->start_ns;
        r->stop_ns = pause->length_ns;
    }
    tell_client(CLIENT_RELEASING);
    world_start();
    tell_client(CLIENT_RELEASED);
    stress_edge();
    if (fault(FAULT_BARRIER_LATE) && !q->ended) {
        struct timespec late = {0, 200000};
        nanosleep(&late, NULL);
        atomic_store(&barrier_enabled, cycle.barrier);
    }
}

void
cycle_stop_to_read(void (*work)(void *arg), void *arg, struct sh_pause *pause)
{
    *pause = (struct sh_pause){.cause = SH_STOP_STATISTICS, .start_ns = os_now_ns()};
    world_stop();
    pause->signal_ns = os_now_ns() - pause->start_ns;
    work(arg);
    pause->length_ns = os_now_ns() - pause->start_ns;
    pause->cycle = atomic_load(&cycle.cycles);
    observe_record_pause(pause);
    world_start();
}

/* Of several threads that find the heap full at once, one collects. */
static bool
still_needed(const struct request *q)
{
    bool automatic = q->trigger == SH_TRIGGER_HEAP || q->trigger == SH_TRIGGER_TIME;
    if (unlikely(client != NULL && !client->may_begin(q->trigger)))
        return false;
    return !automatic || atomic_load(&cycle.cycles) == q->seen_cycles;
}

/* In the safe state from beginning to end: nobody else can stop the world meanwhile, and this
   thread's own stack is scanned from where it became safe. */
static void
begin(void *arg)
{
    struct request *q = arg;
    /* Who holds the lock collects, or has just done so, and is soon done with it. This thread is
       safe meanwhile, so that it can be stopped without a word. */
    lock_take_spinning(&world.cycle_lock, BEGIN_SPINS);
    bool run = !cycle_is_marking() && still_needed(q);
    if (run) {
        world.processors = os_processors(); /* a system call: not in the stop */
        background_start();
        sweep_finish(cache_self);
        tell_client(CLIENT_START);
        segments_with_loader_locked(stop_to_begin, q);
        tell_client(CLIENT_END);
        report_stop(&q->pause, q->ended);
    }
    lock_drop(&world.cycle_lock);
    if (q->ended)
        background_wake_to_sweep();
    else if (run)
        background_wake();
}

void
cycle_begin(enum sh_gc_trigger trigger)
{
    struct request q = {.trigger = trigger, .seen_cycles = atomic_load(&cycle.cycles)};
    world_safe_call(begin, &q);
}

/* ---- A whole collection ---- */

void
cycle_help_to_end(void)
{
    uint32_t cycles = atomic_load(&cycle.cycles);
    while (cycle_is_marking() && atomic_load(&cycle.cycles) == cycles) {
        if (markers_work(MARKER_FORCED, (uint64_t)1 << 20) > 0)
            continue;
        if (markers_idle())
            cycle_try_end();
        else
            markers_wait();
    }
}

static void
run(void *arg)
{
    struct request *q = arg;
    cycle_help_to_end();
    begin(q);
    cycle_help_to_end();
}

void
cycle_run(enum sh_gc_trigger trigger)
{
    struct request q = {.trigger = trigger, .seen_cycles = atomic_load(&cycle.cycles)};
    world_safe_call(run, &q);
    if (trigger == SH_TRIGGER_FORCED || trigger == SH_TRIGGER_MEMORY)
        sweep_all(cache_self);
}

/* The bits may be half set, and the queues held by markers that are not here. */
static void
unmark(void)
{
    barrier_off();
    atomic_store(&span_allocate_black, 0);
    atomic_store(&heap_marking, 0);
    pageheap_each_span(span_clear_marks);
    atomic_store(&cycle.phase, PHASE_OFF);
}

void
cycle_abandon(void)
{
    background_forget();
    markers_forget();
    workbuf_drop_all();
    regions_drop_all();
    for (struct thread *t = world.threads; t != NULL; t = t->next)
        barrier_forget(t);
    if (atomic_load(&cycle.phase) != PHASE_OFF)
        unmark();
    sweep_recount();
    pacing_abandon();
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
    int old = pacing_set_gogc(percent);
    lock_drop(&world.cycle_lock);
    return old;
}

uint64_t
sh_set_memory_limit(uint64_t limit_b)
{
    sh_init();
    world_lock_safely(&world.cycle_lock);
    uint64_t old = pacing_set_memory_limit(limit_b);
    lock_drop(&world.cycle_lock);
    background_wake();
    return old;
}
