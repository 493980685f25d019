#include "observe/observe.h"

#include "collector/world.h"
#include "heap/meta.h"

#define KEPT 256 /* as many as Go's MemStats.PauseNs */

static struct {
    struct sh_pause *ring;
    uint64_t count, total_ns;
    _Atomic(sh_pause_hook) hook;
} pauses SH_STATE;

void
observe_init(void)
{
    pauses.ring = meta_alloc(KEPT * sizeof *pauses.ring);
    sh_require(pauses.ring != NULL, "no memory for the list of pauses");
}

void
observe_record_pause(const struct sh_pause *pause)
{
    pauses.ring[pauses.count++ % KEPT] = *pause;
    pauses.total_ns += pause->length_ns;
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
    return pauses.total_ns;
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
