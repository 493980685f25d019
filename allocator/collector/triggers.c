/*
 * What the heap asks of the collector while it allocates: to begin a collection, because the heap
 * has grown to its trigger, time has passed or there is no memory; to have the thread pay for one
 * that runs, by marking, or for the last one, by sweeping; and to give pages back beyond a limit.
 */
#include "collector/assist.h"
#include "collector/client.h"
#include "collector/cycle.h"
#include "collector/markers.h"
#include "collector/pacing.h"
#include "collector/sweep.h"
#include "collector/world.h"
#include "heap/os.h"
#include "heap/pageheap.h"
#include "heap/scavenger.h"
#include "heap/watch.h"
#include "observe/events.h"

/* Scanned by the thread that begins a collection because the heap is full. */
#define FIRST_PIECE_B ((uint64_t)64 << 10)

static _Atomic(sh_oom_hook) oom_hook SH_STATE;

static void
pay_by_sweeping(struct cache *c)
{
    uint64_t npages = pacing_sweep_debt(PAGE_B);
    if (npages > 0)
        sweep_pay(c, npages);
}

bool
cycle_is_due(void)
{
    if (cycle.period_ns == 0 || atomic_load(&cycle.goal_b) == UINT64_MAX)
        return false;
    return os_now_ns() - atomic_load(&cycle.last_end_ns) >= cycle.period_ns;
}

/* A small heap is marked before the workers have woken: then what is allocated meanwhile would only
   be born black for nothing. */
static void
mark_first_piece(void *arg)
{
    (void)arg;
    assist_add_credit(markers_work(MARKER_ASSIST, FIRST_PIECE_B));
    if (cycle_is_marking() && markers_idle())
        cycle_try_end();
}

static void
begin_by_heap(void)
{
    cycle_begin(SH_TRIGGER_HEAP);
    if (cycle_is_marking())
        world_safe_call(mark_first_piece, NULL);
}

/* Go looks at its trigger when the object is there, so that an array and the one that it replaces
   are both live and the next goal is made for both. Here the collection comes first, and what it
   frees can be used for the object; but the goal is the same. */
uint32_t
hook_trigger(size_t coming_b)
{
    uint32_t cycles = atomic_load(&cycle.cycles);
    if (unlikely(cycle_is_marking()))
        return cycles;
    bool full = atomic_load(&heap_size.live_b) + coming_b >= atomic_load(&cycle.trigger_b);
    if (unlikely(full && (client == NULL || client->may_begin(SH_TRIGGER_HEAP))))
        begin_by_heap();
    else if (unlikely(!full && cycle_is_due()))
        cycle_begin(SH_TRIGGER_TIME);
    return cycles;
}

/* While one marks, the object is born black and counts by itself. */
void
hook_count_live(size_t size, uint32_t cycles)
{
    if (unlikely(!cycle_is_marking() && atomic_load(&cycle.cycles) != cycles))
        pacing_count_live(size);
}

void
hook_pay(struct cache *c)
{
    if (unlikely(cycle_is_marking()))
        assist_pay(c);
    else if (unlikely(sweep_is_pending()))
        pay_by_sweeping(c);
}

void
hook_pages_taken(struct cache *c)
{
    uint64_t over_b;
    while (unlikely((over_b = pacing_over_limit()) > 0)) {
        uint64_t start_ns = os_now_ns(), started = events_begin();
        size_t released_b = scavenger_release_inside(c, over_b);
        events_end(EVENT_SCAVENGE, started, released_b, 0);
        pacing_add_release(os_now_ns() - start_ns);
        if (!atomic_load(&c->stop_pending))
            break;
        hook_stop_here(c);
    }
}

static void
let_go_of_freed(void)
{
    struct cache *c = cache_of_caller();
    cache_enter(c);
    cache_slow_enter(c);
    watch_let_go_all();
    cache_slow_leave(c);
    cache_leave(c);
}

bool
hook_out_of_memory(size_t size, unsigned attempt)
{
    if (attempt == 0 && size <= pageheap.reserved_b) {
        let_go_of_freed();
        cycle_run(SH_TRIGGER_MEMORY);
        return true;
    }
    sh_oom_hook hook = atomic_load(&oom_hook);
    return hook != NULL && hook(size);
}

sh_oom_hook
sh_set_oom_hook(sh_oom_hook hook)
{
    return atomic_exchange(&oom_hook, hook);
}
