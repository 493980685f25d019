/*
 * When events are kept, and when they become a file: from the start to the normal end of the
 * program with SH_TRACE=FILE, or between sh_trace_start() and sh_trace_stop(), written by
 * sh_trace_write(). What is kept of a stop is in pauses.c, of a sweep in collector/sweep.c.
 */
#include "collector/cycle.h"
#include "heap/central.h"
#include "heap/os.h"
#include "observe/events.h"
#include "observe/exit_file.h"
#include "observe/observe.h"
#include "observe/trace_json.h"

#include <errno.h>

static struct exit_file trace_file SH_STATE = {
    .variable = "SH_TRACE", .what = "the trace", .write = trace_json_write};

/* ---- What is kept ---- */

static void
sample_rss(void)
{
    uint64_t now_ns = os_now_ns();
    events_add(EVENT_RSS, now_ns, now_ns, os_rss_b(), 0);
}

/* Where the curves begin. */
static void
sample_all(void)
{
    uint64_t now_ns = os_now_ns();
    events_add(EVENT_HEAP, now_ns, now_ns, atomic_load(&heap_size.live_b),
               atomic_load(&cycle.goal_b));
    sample_rss();
}

void
observe_record_cycle(const struct cycle_record *r)
{
    if (!events_are_on())
        return;
    uint64_t mark_ns = r->start_ns + r->stop_ns;
    events_add(EVENT_HEAP, mark_ns, mark_ns, r->live_before_b, r->goal_b);
    events_add(EVENT_MARK, mark_ns, mark_ns + r->mark_ns, r->marked_b, r->pause.cycle);
    events_add(EVENT_HEAP, r->end_ns, r->end_ns, r->marked_b, atomic_load(&cycle.goal_b));
    sample_rss();
}

/* ---- Start ---- */

void
observe_trace_init(const char *file, size_t nevents)
{
    if (nevents > 0)
        events_set_capacity(nevents);
    if (file == NULL)
        return;
    exit_file_keep(&trace_file, file);
    sh_require(events_start(), "no memory for the events of SH_TRACE (see SH_EVENTS)");
    sample_all();
}

/* ---- Public ---- */

int
sh_trace_start(void)
{
    sh_init();
    if (!events_start()) {
        errno = ENOMEM;
        return -1;
    }
    sample_all();
    return 0;
}

void
sh_trace_stop(void)
{
    events_stop();
}

int
sh_trace_write(const char *path)
{
    sh_init();
    int error = path == NULL || !events_exist() ? EINVAL : exit_file_write(path, trace_json_write);
    if (error == 0)
        return 0;
    errno = error;
    return -1;
}
