/*
 * The line that Go prints with GODEBUG=gctrace=1, field by field:
 *   gc # @seconds percent: stop + mark + stop ms clock, the same ms cpu with mark split into
 *   assist/background/idle, heap at start -> at mark's end -> marked MB, goal, stacks, globals, P
 * Where marking stops the world, the first field is the time to stop it, the second is marking and
 * the third is the rest of the stop.
 */
#include "collector/cycle.h"
#include "heap/os.h"
#include "observe/observe.h"

#include <stdio.h>
#include <string.h>

#define LINE_MAX_B 512

/* Milliseconds as Go prints them: whole from 10 on, else two digits, at most three decimals. */
static const char *
format_ms(char out[32], uint64_t ns)
{
    if (ns >= 10000000u) {
        snprintf(out, 32, "%llu", (unsigned long long)(ns / 1000000u));
        return out;
    }
    uint64_t us = ns / 1000u;
    if (us == 0)
        return strcpy(out, "0");
    int decimals = 3;
    for (; us >= 100; us /= 10)
        decimals--;
    unsigned scale = decimals == 3 ? 1000 : decimals == 2 ? 100 : 10;
    snprintf(out, 32, "%llu.%0*llu", (unsigned long long)(us / scale), decimals,
             (unsigned long long)(us % scale));
    return out;
}

struct trace_times {
    char stop[32], mark[32], end[32];
    char stop_cpu[32], assist_cpu[32], background_cpu[32], idle_cpu[32], end_cpu[32];
};

static void
fill_times(struct trace_times *t, const struct cycle_record *r, unsigned processors)
{
    format_ms(t->stop, r->stop_ns);
    format_ms(t->mark, r->mark_ns);
    format_ms(t->end, r->end_stop_ns);
    format_ms(t->stop_cpu, r->stop_ns * processors);
    format_ms(t->assist_cpu, r->assist_cpu_ns);
    format_ms(t->background_cpu, r->background_cpu_ns);
    format_ms(t->idle_cpu, r->idle_cpu_ns);
    format_ms(t->end_cpu, r->end_stop_ns * processors);
}

static unsigned long long
mb(uint64_t bytes)
{
    return (unsigned long long)(bytes >> 20);
}

size_t
observe_format_trace(const struct cycle_record *r, char *out, size_t size)
{
    unsigned processors = os_processors();
    uint64_t elapsed_ns = r->end_ns - cycle.start_ns,
             since_ms = (r->start_ns - cycle.start_ns) / 1000000u;
    unsigned percent =
        elapsed_ns == 0 ? 0 : (unsigned)(cycle.cpu_ns * 100 / (elapsed_ns * processors));
    struct trace_times t;
    fill_times(&t, r, processors);
    int n = snprintf(out, size,
                     "gc %u @%llu.%03llus %u%%: %s+%s+%s ms clock, %s+%s/%s/%s+%s ms cpu, "
                     "%llu->%llu->%llu MB, %llu MB goal, %llu MB stacks, %llu MB globals, %u P%s\n",
                     r->pause.cycle, (unsigned long long)(since_ms / 1000),
                     (unsigned long long)(since_ms % 1000), percent, t.stop, t.mark, t.end,
                     t.stop_cpu, t.assist_cpu, t.background_cpu, t.idle_cpu, t.end_cpu,
                     mb(r->live_before_b), mb(r->live_after_b), mb(r->marked_b), mb(r->goal_b),
                     mb(cycle.stacks_b), mb(cycle.roots.data), processors,
                     r->pause.trigger == SH_TRIGGER_FORCED ? " (forced)" : "");
    return n < 0 ? 0 : size_min((size_t)n, size - 1);
}

void
observe_print_trace(const struct cycle_record *r)
{
    char line[LINE_MAX_B];
    size_t n = observe_format_trace(r, line, sizeof line);
    os_write_error(line, n);
}
