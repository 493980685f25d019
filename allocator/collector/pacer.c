#include "collector/pacer.h"

#include "collector/saturate.h"
#include "heap/base.h"

/* The trigger lies between these parts, in 64ths, of the way from what is marked to the goal.
   Earlier, and a program that allocates fast would be collected without a break, its heap growing
   by what is allocated black. Later, and a small heap would have no runway at all. */
#define EARLIEST_TRIGGER 45
#define LATEST_TRIGGER 61
#define TRIGGER_PARTS 64

#define OFF_PERCENT 100000 /* stands for GOGC=off when a collection is forced */
#define OVERSHOOT 1.1      /* a goal that was missed is moved by this factor */
#define LEAST_WORK_LEFT_B                                                                          \
    1000                  /* objects are scanned twice at times: work left is never taken for 0 */
#define WORKERS_ERROR 0.3 /* of the planned share, before fractional workers are called */

/* ---- Settings ---- */

void
pacer_init(struct pacer *p, int percent, uint64_t memory_limit_b)
{
    *p = (struct pacer){
        .triggered_b = UINT64_MAX,
        /* Slightly overdamped: measurements of a real program jump. Clipping is hardly ever
           reached and is forgotten slowly. */
        .pi = {.gain = 0.9, .integral_time = 4, .reset_time = 1000, .min = -1000, .max = 1000},
    };
    pacer_set_gogc(p, percent);
    pacer_set_memory_limit(p, memory_limit_b);
    pacer_commit(p, true);
}

int
pacer_set_gogc(struct pacer *p, int percent)
{
    int old = p->percent;
    p->percent = percent < 0 ? -1 : percent;
    return old;
}

uint64_t
pacer_set_memory_limit(struct pacer *p, uint64_t limit_b)
{
    uint64_t old_b = p->memory_limit_b;
    p->memory_limit_b = limit_b;
    return old_b;
}

/* ---- The goal ---- */

static uint64_t
percent_of(uint64_t n, uint64_t percent)
{
    /* n / 100 first would lose small heaps, n * percent alone overflows early */
    return saturate_add(saturate_mul(n / 100, percent), n % 100 * percent / 100);
}

uint64_t
pacer_heap_goal(uint64_t marked_b, uint64_t stacks_b, uint64_t globals_b, int percent)
{
    if (percent < 0)
        return UINT64_MAX;
    uint64_t base = saturate_add(saturate_add(marked_b, stacks_b), globals_b);
    uint64_t goal = saturate_add(marked_b, percent_of(base, (uint64_t)percent));
    uint64_t least = percent_of(PACER_HEAP_MIN_B, (uint64_t)percent);
    return goal < least ? least : goal;
}

uint64_t
pacer_limit_goal(uint64_t limit_b, const struct pacer_memory *memory, uint64_t marked_b)
{
    if (limit_b == UINT64_MAX)
        return UINT64_MAX;
    /* Free pages will hold objects, so they do not count against the heap. What does: the library's
       own structures, and what size classes and spans lose. */
    uint64_t for_objects_b = saturate_add(memory->free_b, memory->objects_b);
    uint64_t overhead_b = saturate_sub(memory->mapped_b, for_objects_b);
    uint64_t over_b = saturate_sub(memory->mapped_b, limit_b);
    uint64_t goal = saturate_sub(limit_b, saturate_add(overhead_b, over_b));
    if (goal == 0)
        return marked_b; /* collect without a break; the limiter sees to the rest */
    goal = goal < 2 * PACER_HEADROOM_B ? PACER_HEADROOM_B : goal - PACER_HEADROOM_B;
    return goal < marked_b ? marked_b : goal;
}

/* The goal, and the least trigger that goes with it. */
static uint64_t
goal_and_least_trigger(const struct pacer *p, uint64_t *least_b)
{
    uint64_t goal = p->percent_goal_b;
    uint64_t by_limit = pacer_limit_goal(p->memory_limit_b, &p->memory, p->marked_b);
    *least_b = 0;
    if (by_limit < goal)
        return by_limit; /* what follows would move it up, beyond the limit */
    *least_b = p->sweep_until_b;
    if (goal < p->sweep_until_b)
        goal = p->sweep_until_b;
    /* A cycle may start late, or a large object may carry the heap far beyond the trigger. */
    if (p->triggered_b != UINT64_MAX && goal < saturate_add(p->triggered_b, PACER_LEAST_RUNWAY_B))
        goal = saturate_add(p->triggered_b, PACER_LEAST_RUNWAY_B);
    return goal;
}

uint64_t
pacer_goal(const struct pacer *p)
{
    uint64_t least_b;
    return goal_and_least_trigger(p, &least_b);
}

/* ---- The trigger ---- */

/* This many parts of the way from what is marked to the goal. */
static uint64_t
part_of_way(const struct pacer *p, uint64_t goal, unsigned parts)
{
    return p->marked_b + (goal - p->marked_b) / TRIGGER_PARTS * parts;
}

uint64_t
pacer_trigger(const struct pacer *p)
{
    uint64_t earliest, goal = goal_and_least_trigger(p, &earliest);
    if (goal == UINT64_MAX || goal <= p->marked_b)
        return goal;
    uint64_t lower_bound = part_of_way(p, goal, EARLIEST_TRIGGER);
    if (earliest < lower_bound)
        earliest = lower_bound;
    /* A large heap with little to scan needs no more runway than the smallest heap has. */
    uint64_t latest = part_of_way(p, goal, LATEST_TRIGGER);
    if (latest < saturate_sub(goal, PACER_HEAP_MIN_B))
        latest = goal - PACER_HEAP_MIN_B;
    if (latest < earliest)
        latest = earliest;
    uint64_t trigger = saturate_sub(goal, p->runway_b);
    if (trigger < earliest)
        trigger = earliest;
    if (trigger > latest)
        trigger = latest;
    sh_invariant(trigger <= goal);
    return trigger;
}

/* What is to be scanned if the next cycle is like the last. */
static uint64_t
expected_work(const struct pacer *p)
{
    return saturate_add(saturate_add(p->last_heap_b, p->last_stacks_b), p->globals_b);
}

/* What is allocated while that is scanned, when the background workers have their share of the
   processors and the program the rest. A controller that swings can bring the estimate below 0:
   such an estimate is worthless, and the earliest trigger is the safe answer. Go's conversion to an
   unsigned number comes to the same on amd64. */
static uint64_t
runway(const struct pacer *p)
{
    double bytes =
        p->cons_mark * (1 - PACER_BACKGROUND) / PACER_BACKGROUND * (double)expected_work(p);
    return bytes <= -1 ? UINT64_MAX : saturate_to_uint64(bytes);
}

void
pacer_commit(struct pacer *p, bool sweep_done)
{
    p->sweep_until_b = sweep_done ? 0 : saturate_add(p->live_b, PACER_SWEEP_ROOM_B);
    p->percent_goal_b = pacer_heap_goal(p->marked_b, p->last_stacks_b, p->globals_b, p->percent);
    if (p->percent_goal_b < p->least_goal_b)
        p->percent_goal_b = p->least_goal_b;
    p->runway_b = runway(p);
}

/* ---- A cycle ---- */

struct pacer_workers
pacer_plan_workers(unsigned processors, bool periodic)
{
    double share = processors * PACER_BACKGROUND;
    struct pacer_workers w = {.dedicated = (unsigned)(share + 0.5)};
    double error = w.dedicated / share - 1;
    if (error < -WORKERS_ERROR || error > WORKERS_ERROR) {
        w.dedicated -= w.dedicated > share;
        w.fractional = (share - w.dedicated) / processors;
    }
    /* Fractional workers alone may never get their turn on an idle machine. */
    w.idle_max = periodic ? w.dedicated == 0 : processors - w.dedicated;
    return w;
}

void
pacer_start_cycle(struct pacer *p, unsigned processors, bool periodic)
{
    sh_invariant(processors > 0);
    p->done = (struct pacer_work){0};
    p->triggered_b = pacer_trigger(p);
    p->workers = pacer_plan_workers(processors, periodic);
    pacer_revise(p);
}

static uint64_t
work_done(const struct pacer *p)
{
    return saturate_add(saturate_add(p->done.heap_b, p->done.stacks_b), p->done.globals_b);
}

/* More is to be scanned than expected: the heap is growing. The goal moves as far as keeps the
   assist ratio where it was, up to what the next cycle would use anyway. */
static int64_t
moved_goal(const struct pacer *p, int64_t goal, int64_t expected, int64_t most)
{
    int percent = p->percent < 0 ? OFF_PERCENT : p->percent;
    int64_t hard = saturate_to_int64((1.0 + percent / 100.0) * (double)goal);
    if (expected == 0)
        return hard;
    int64_t start = saturate_signed(p->triggered_b), moved;
    int64_t way = saturate_to_int64((double)(goal - start) / (double)expected * (double)most);
    if (__builtin_add_overflow(way, start, &moved) || moved > hard)
        return hard;
    return moved;
}

void
pacer_revise(struct pacer *p)
{
    int64_t live = saturate_signed(p->live_b), done = saturate_signed(work_done(p));
    int64_t goal = saturate_signed(pacer_goal(p)), work = saturate_signed(expected_work(p));
    int64_t most =
        saturate_signed(saturate_add(saturate_add(p->scannable_b, p->stacks_b), p->globals_b));
    if (done > work) {
        goal = moved_goal(p, goal, work, most);
        work = most;
    }
    if (live > goal) {
        goal = saturate_to_int64((double)goal * OVERSHOOT);
        work = most;
    }
    int64_t work_left = work - done < LEAST_WORK_LEFT_B ? LEAST_WORK_LEFT_B : work - done;
    int64_t way_left = goal > live ? goal - live : 1;
    p->assist_work_per_byte = (double)work_left / (double)way_left;
    p->assist_bytes_per_work = (double)way_left / (double)work_left;
}

/* The cons/mark that this cycle should have been started with. utilization < 1. */
static double
measured_cons_mark(const struct pacer *p, double utilization, double idle)
{
    /* Idle workers had processors that the program could have taken back at any time: their time
       counts for scanning, but is not taken from allocating. */
    return (double)(p->live_b - p->triggered_b) * (utilization + idle) /
           ((double)work_done(p) * (1 - utilization));
}

void
pacer_end_cycle(struct pacer *p, const struct pacer_times *times)
{
    p->last_goal_b = pacer_goal(p);
    double utilization = times->background, idle = 0;
    double all_ns = (double)saturate_mul(times->duration_ns, times->processors);
    if (all_ns > 0) {
        utilization += (double)times->assist_ns / all_ns;
        idle = (double)times->idle_ns / all_ns;
    }
    /* A cycle that nothing was allocated in, or that left the program no time, teaches nothing. */
    if (p->live_b <= p->triggered_b || utilization >= 1)
        return;
    double measured = measured_cons_mark(p, utilization, idle);
    if (!pi_controller_step(&p->pi, p->cons_mark, measured, 1, &p->cons_mark))
        p->cons_mark = 0;
}

void
pacer_reset_live(struct pacer *p, uint64_t marked_b)
{
    p->marked_b = p->live_b = marked_b;
    p->scannable_b = p->last_heap_b = p->done.heap_b;
    p->last_stacks_b = p->done.stacks_b;
    p->triggered_b = UINT64_MAX;
}
