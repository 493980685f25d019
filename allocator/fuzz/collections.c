/* Collections that an input takes step by step, for targets whose marking runs beside them. */
#include "fuzz.h"

#include "collector/cycle.h"
#include "collector/world.h"

/* At least so many bytes; ends the collection when there is nothing left. */
static void
mark_some(void *bytes)
{
    if (!cycle_is_marking())
        return;
    if (markers_work(MARKER_FORCED, *(uint64_t *)bytes) == 0 && markers_idle())
        cycle_try_end();
}

static void
begin_or_mark(uint64_t bytes)
{
    if (cycle_is_marking())
        world_safe_call(mark_some, &bytes);
    else
        cycle_begin(SH_TRIGGER_FORCED);
}

void
tick(void)
{
    if (is_time_for_step())
        begin_or_mark(1);
}

void
collect_somehow(struct input *in)
{
    size_t what = choose(in, 16);
    if (what < 4)
        sh_collect();
    else
        begin_or_mark((uint64_t)1 << what);
}
