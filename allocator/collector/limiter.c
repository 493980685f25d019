#include "collector/limiter.h"

#include "collector/pacer.h"
#include "collector/saturate.h"
#include "heap/base.h"

void
limiter_init(struct limiter *l, uint64_t now_ns, unsigned processors)
{
    *l = (struct limiter){
        .processors = processors,
        .background = PACER_BACKGROUND,
        .capacity_ns = saturate_mul(processors, LIMITER_CAPACITY_NS),
        .updated_ns = now_ns,
    };
}

static void
pour_in(struct limiter *l, uint64_t ns)
{
    uint64_t room_ns = l->capacity_ns - l->fill_ns;
    if (ns < room_ns) {
        l->fill_ns += ns;
        return;
    }
    l->overflow_ns = saturate_add(l->overflow_ns, ns - room_ns);
    l->fill_ns = l->capacity_ns;
    l->limiting = true;
}

static void
pour_out(struct limiter *l, uint64_t ns)
{
    l->fill_ns = saturate_sub(l->fill_ns, ns);
    l->limiting = false;
}

/* Equal times leave all as it is, a full bucket too. */
static void
account(struct limiter *l, uint64_t collector_ns, uint64_t program_ns)
{
    if (collector_ns > program_ns)
        pour_in(l, collector_ns - program_ns);
    else if (collector_ns < program_ns)
        pour_out(l, program_ns - collector_ns);
}

/* Processor time since the last update; the clock is moved. */
static uint64_t
window(struct limiter *l, uint64_t now_ns)
{
    uint64_t length_ns = saturate_sub(now_ns, l->updated_ns);
    l->updated_ns += length_ns;
    return saturate_mul(length_ns, l->processors);
}

static void
update(struct limiter *l, uint64_t now_ns)
{
    if (now_ns < l->updated_ns)
        return;
    uint64_t all_ns = window(l, now_ns), collector_ns = l->assist_ns;
    if (l->marking)
        collector_ns =
            saturate_add(collector_ns, saturate_to_uint64((double)all_ns * l->background));
    /* Background workers get their share of all processors, idle ones too. But beside what idle
       processors do for nothing, a collector that thrashes would look small: so the program's part
       is without them. It may be below 0: the rest is then on the collector's side. */
    uint64_t others_ns = saturate_add(collector_ns, l->idle_ns);
    uint64_t deficit_ns = saturate_sub(others_ns, all_ns);
    account(l, saturate_add(collector_ns, deficit_ns), saturate_sub(all_ns, others_ns));
    l->assist_ns = l->idle_ns = 0;
}

void
limiter_update(struct limiter *l, uint64_t now_ns)
{
    sh_invariant(!l->in_transition);
    update(l, now_ns);
}

bool
limiter_is_due(const struct limiter *l, uint64_t now_ns)
{
    return saturate_sub(now_ns, l->updated_ns) > LIMITER_PERIOD_NS;
}

void
limiter_begin_transition(struct limiter *l, bool marking, uint64_t now_ns)
{
    sh_invariant(!l->in_transition && l->marking != marking);
    update(l, now_ns);
    l->marking = marking;
    l->in_transition = true;
}

void
limiter_end_transition(struct limiter *l, uint64_t now_ns)
{
    sh_invariant(l->in_transition);
    account(l, window(l, now_ns), 0);
    l->in_transition = false;
}

void
limiter_set_processors(struct limiter *l, unsigned processors, uint64_t now_ns)
{
    sh_invariant(!l->in_transition && !l->marking);
    update(l, now_ns);
    l->processors = processors;
    l->capacity_ns = saturate_mul(processors, LIMITER_CAPACITY_NS);
    if (l->fill_ns > l->capacity_ns) {
        l->fill_ns = l->capacity_ns;
        l->limiting = true;
    } else if (l->fill_ns < l->capacity_ns) {
        l->limiting = false;
    }
}
