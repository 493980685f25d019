#include "observe/observe.h"

#include "collector/world.h"
#include "heap/meta.h"
#include "heap/os.h"
#include "observe/events.h"
#include "observe/histogram.h"

#define KEPT 256                        /* as many as Go's MemStats.PauseNs */
#define CAUSES (SH_STOP_STATISTICS + 1) /* the first stands for all */

static struct {
    struct sh_pause *ring;
    struct histogram *by_cause; /* [CAUSES]; only the pages in use have memory behind them */
    uint64_t count;
    _Atomic(sh_pause_hook) hook;
} pauses SH_STATE;

void
observe_init(void)
{
    pauses.ring = meta_alloc(KEPT * sizeof *pauses.ring);
    pauses.by_cause = os_map_sparse(CAUSES * sizeof *pauses.by_cause);
    sh_require(pauses.ring != NULL && pauses.by_cause != NULL, "no memory for the list of pauses");
}

static void
append_event(const struct sh_pause *p)
{
    events_append((struct event){
        .kind = EVENT_STOP,
        .start_ns = p->start_ns,
        .end_ns = p->start_ns + p->length_ns,
        .args = {p->signal_ns, p->roots_ns, p->root_b,
                 event_stop_word(p->cycle, p->cause, p->trigger)},
    });
}

void
observe_record_pause(const struct sh_pause *pause)
{
    sh_invariant(pause->cause > SH_STOP_ANY && pause->cause < CAUSES);
    pauses.ring[pauses.count++ % KEPT] = *pause;
    histogram_record(&pauses.by_cause[SH_STOP_ANY], pause->length_ns);
    histogram_record(&pauses.by_cause[pause->cause], pause->length_ns);
    if (events_are_on())
        append_event(pause);
}

void
observe_call_pause_hook(const struct sh_pause *pause)
{
    sh_pause_hook hook = atomic_load(&pauses.hook);
    if (hook != NULL)
        hook(pause);
}

uint64_t
observe_pause_total_ns(void)
{
    return pauses.by_cause[SH_STOP_ANY].sum;
}

sh_pause_hook
sh_set_pause_hook(sh_pause_hook hook)
{
    return atomic_exchange(&pauses.hook, hook);
}

size_t
sh_pauses_read(struct sh_pause *out, size_t max)
{
    sh_init();
    world_lock_safely(&world.cycle_lock);
    size_t n = size_min(size_min(pauses.count, KEPT), max);
    for (size_t i = 0; i < n; i++)
        out[i] = pauses.ring[(pauses.count - n + i) % KEPT];
    lock_drop(&world.cycle_lock);
    return n;
}

void
sh_pause_histogram_read(enum sh_stop_cause cause, struct sh_pause_histogram *out,
                        const double *quantiles, uint64_t *lengths_ns, size_t n)
{
    sh_require((unsigned)cause < CAUSES, "sh_pause_histogram_read: cause %d is none", (int)cause);
    for (size_t i = 0; i < n; i++)
        sh_require(quantiles[i] >= 0 && quantiles[i] <= 1,
                   "sh_pause_histogram_read: a quantile lies between 0 and 1");
    sh_init();
    world_lock_safely(&world.cycle_lock);
    const struct histogram *h = &pauses.by_cause[cause];
    *out = (struct sh_pause_histogram){h->count, h->sum, h->max};
    for (size_t i = 0; i < n; i++)
        lengths_ns[i] = histogram_quantile(h, quantiles[i]);
    lock_drop(&world.cycle_lock);
}
