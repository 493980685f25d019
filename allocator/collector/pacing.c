#include "collector/pacing.h"

#include "collector/cycle.h"
#include "collector/pacer.h"
#include "heap/pageheap.h"

static struct {
    _Atomic double work_per_byte;
    uint64_t expected_work_b;
} pacing SH_STATE;

void
pacing_set_goal(void)
{
    uint64_t goal =
        pacer_heap_goal(cycle.marked_b, cycle.roots.stacks, cycle.roots.data, cycle.gogc);
    uint64_t trigger = goal;
    if (cycle.mode == MODE_CONCURRENT && goal != UINT64_MAX)
        trigger = cycle.marked_b + (goal - cycle.marked_b) / 64 * 45;
    atomic_store(&cycle.goal_b, goal);
    atomic_store(&cycle.trigger_b, trigger);
}

void
pacing_begin(void)
{
    pacing.expected_work_b = atomic_load(&heap_live_b);
    pacing_revise();
}

void
pacing_revise(void)
{
    struct marker_figures f = markers_figures();
    double left = (double)pacing.expected_work_b - (double)f.scanned_b;
    double room = (double)atomic_load(&cycle.goal_b) - (double)atomic_load(&heap_live_b);
    if (left < 1000)
        left = 1000;
    if (room < 65536)
        room = 65536;
    atomic_store(&pacing.work_per_byte, left / room);
}

double
pacing_work_per_byte(void)
{
    return atomic_load_explicit(&pacing.work_per_byte, memory_order_relaxed);
}

bool
pacing_heap_is_over(void)
{
    uint64_t goal = atomic_load(&cycle.goal_b);
    return atomic_load(&heap_live_b) > goal + goal / 10;
}

void
pacing_end(const struct marker_figures *figures, uint64_t mark_ns)
{
    (void)figures;
    (void)mark_ns;
}
