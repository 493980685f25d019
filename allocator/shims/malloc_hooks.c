/* What heap/hooks.h asks of a collector, where there is none. */
#include "heap/hooks.h"

/* Asked by heap/lock.c of a thread with a cache. There is none here. */
void
hook_stop_here(struct cache *c)
{
    (void)c;
}

/* Asked by heap/watch.c of a heap that is watched. This one is not. */
const char *
hook_site_text(uint32_t site)
{
    (void)site;
    return NULL;
}
