#include "collector/zombie.h"

#include "heap/pageheap.h"
#include "heap/watch.h"

bool zombies_are_fatal SH_STATE = true;

__attribute__((cold)) void
zombie_found(const uintptr_t *slot, uintptr_t address)
{
    if (!zombies_are_fatal)
        return;
    const struct span *s = pageheap_span_of((uintptr_t)slot);
    uintptr_t holder = span_slot(s, span_index(s, (uintptr_t)slot));
    watch_explain((void *)holder);
    watch_explain((void *)address);
    sh_fatal(
        "the typed object at %p points, at offset %zu, to %p, which is free: freed while in use",
        (void *)holder, (size_t)((uintptr_t)slot - holder), (void *)address);
}
