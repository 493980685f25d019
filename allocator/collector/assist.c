#include "collector/assist.h"

#include "collector/cycle.h"
#include "collector/pacing.h"
#include "collector/saturate.h"
#include "collector/world.h"
#include "observe/events.h"

/* An assist does at least so much, so that the cost of entering is small against it; what is too
   much is the thread's credit. */
#define LEAST_ASSIST_B ((int64_t)64 << 10)

static _Atomic int64_t credit_b SH_STATE;

void
assist_begin(void)
{
    atomic_store(&credit_b, 0);
    for (struct thread *t = world.threads; t != NULL; t = t->next)
        t->cache.unpaid_b = 0;
}

void
assist_add_credit(uint64_t work_b)
{
    atomic_fetch_add(&credit_b, (int64_t)work_b);
}

/* Up to `wanted` of the workers' credit. */
static int64_t
take_credit(int64_t wanted)
{
    int64_t left = atomic_load(&credit_b), taken;
    do {
        if (left <= 0)
            return 0;
        taken = left < wanted ? left : wanted;
    } while (!atomic_compare_exchange_weak(&credit_b, &left, left - taken));
    return taken;
}

struct assist {
    int64_t wanted_b, done_b;
};

static void
work(void *arg)
{
    struct assist *a = arg;
    while (a->done_b < a->wanted_b && cycle_is_marking()) {
        int64_t n = (int64_t)markers_work(MARKER_ASSIST, (uint64_t)(a->wanted_b - a->done_b));
        a->done_b += n;
        if (n > 0)
            continue;
        if (markers_idle()) {
            cycle_try_end();
            continue;
        }
        /* Others hold all the work. The program goes on, until the heap is as large as it may be.
         */
        int64_t from_others = take_credit(a->wanted_b - a->done_b);
        a->done_b += from_others;
        if (from_others == 0 && !pacing_heap_is_over())
            return;
        markers_wait();
    }
}

void
assist_pay(struct cache *c)
{
    double ratio = pacing_work_per_byte();
    if (unlikely(c->unpaid_b < 0 && pacing_heap_is_over()))
        c->unpaid_b = 0;
    if (ratio <= 0)
        pacing_revise(); /* the limiter forbids it: without workers, nobody else looks again */
    if (c->unpaid_b <= 0 || ratio <= 0)
        return;
    double owed = (double)c->unpaid_b * ratio;
    struct assist a = {.wanted_b = owed < (double)LEAST_ASSIST_B ? LEAST_ASSIST_B : (int64_t)owed};
    a.done_b = take_credit((int64_t)owed);
    if ((double)a.done_b < owed) {
        a.wanted_b -= a.done_b;
        int64_t by_credit = a.done_b;
        a.done_b = 0;
        uint64_t start_ns = events_begin();
        world_safe_call(work, &a);
        events_end(EVENT_ASSIST, start_ns, (uint64_t)a.done_b, 0);
        a.done_b += by_credit;
        pacing_revise();
    }
    if (cycle_is_marking())
        c->unpaid_b -= saturate_to_int64((double)a.done_b / ratio); /* without a goal, endless */
}
