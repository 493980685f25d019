#include "collector/scavenge_pacer.h"

#include "collector/saturate.h"

#define RETAIN_EXTRA 10  /* one part in so many is kept beyond what is expected to be used */
#define LIMIT_SHARE 0.95 /* of a memory limit */

static uint64_t
heap_goal(const struct scavenge_state *s)
{
    if (s->last_goal_b == 0 || s->goal_b == UINT64_MAX)
        return UINT64_MAX;
    double growth = (double)s->goal_b / (double)s->last_goal_b;
    uint64_t goal = saturate_to_uint64((double)s->last_in_use_b * growth);
    goal = saturate_add(goal, goal / RETAIN_EXTRA);
    goal = saturate_add(goal, s->page_b - 1) & ~(s->page_b - 1);
    /* Less than a page cannot be released. */
    return saturate_sub(s->retained_b, goal) < s->page_b ? UINT64_MAX : goal;
}

static uint64_t
limit_goal(const struct scavenge_state *s)
{
    uint64_t goal = saturate_to_uint64((double)s->memory_limit_b * LIMIT_SHARE);
    return s->memory_limit_b == UINT64_MAX || s->mapped_b <= goal ? UINT64_MAX : goal;
}

struct scavenge_goals
scavenge_pacer_goals(const struct scavenge_state *s)
{
    return (struct scavenge_goals){.heap_b = heap_goal(s), .limit_b = limit_goal(s)};
}
