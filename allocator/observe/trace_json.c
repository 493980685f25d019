/* The format: "Trace Event Format" of the Chromium project. */
#define _GNU_SOURCE
#include "observe/trace_json.h"

#include "collector/cycle.h"
#include "collector/sweep.h"
#include "heap/central.h"
#include "heap/os.h"
#include "observe/events.h"
#include "observe/json_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

/* Tracks that are no threads: Linux's largest thread id is 2^22. */
#define TRACK_PHASES ((UINT32_C(1) << 22) + 1)
#define TRACK_STOPS (TRACK_PHASES + 1)

#define ARGS_B 160

struct writer {
    FILE *out;
    int error; /* errno of the first failure; after it nothing is written */
    pid_t pid;
    uint64_t events, lost;
};

static void __attribute__((format(printf, 2, 3))) print(struct writer *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (w->error == 0 && vfprintf(w->out, format, args) < 0)
        w->error = errno != 0 ? errno : EIO;
    va_end(args);
}

static void
put_string(struct writer *w, const char *string)
{
    if (w->error == 0 && !json_put_string(w->out, string))
        w->error = errno != 0 ? errno : EIO;
}

/* ---- Records ---- */

static void
put_us(struct writer *w, const char *label, uint64_t ns)
{
    print(w, ",\"%s\":%" PRIu64 ".%03u", label, ns / 1000, (unsigned)(ns % 1000));
}

static void
put_start(struct writer *w, uint64_t ns)
{
    put_us(w, "ts", ns > cycle.start_ns ? ns - cycle.start_ns : 0);
}

/* args: members of an object in JSON. */
static void
put_slice(struct writer *w, const char *name, uint32_t track, uint64_t start_ns, uint64_t end_ns,
          const char *args)
{
    print(w, ",\n{\"name\":\"%s\",\"cat\":\"gc\",\"ph\":\"X\",\"pid\":%d,\"tid\":%" PRIu32, name,
          (int)w->pid, track);
    put_start(w, start_ns);
    put_us(w, "dur", end_ns - start_ns);
    print(w, ",\"args\":{%s}}", args);
}

static void
put_counter(struct writer *w, const char *name, uint64_t ns, uint64_t bytes)
{
    print(w, ",\n{\"name\":\"%s\",\"ph\":\"C\",\"pid\":%d", name, (int)w->pid);
    put_start(w, ns);
    print(w, ",\"args\":{\"bytes\":%" PRIu64 "}}", bytes);
}

static void
put_heap(struct writer *w, uint64_t ns, uint64_t live_b, uint64_t goal_b)
{
    put_counter(w, "live heap", ns, live_b);
    if (goal_b != UINT64_MAX)
        put_counter(w, "heap goal", ns, goal_b);
}

static void
put_part(struct writer *w, const char *name, uint64_t start_ns, uint64_t end_ns)
{
    if (end_ns > start_ns)
        put_slice(w, name, TRACK_STOPS, start_ns, end_ns, "");
}

static void
put_stop(struct writer *w, const struct event *e)
{
    static const char *const causes[] = {"stop", "stop: mark", "stop: mark start", "stop: mark end",
                                         "stop: statistics"};
    static const char *const triggers[] = {"none", "heap", "forced", "time", "memory"};
    unsigned cause = e->args[3] >> 16 & 0xffff, trigger = e->args[3] & 0xffff;
    uint64_t stopped_ns = e->start_ns + e->args[0], scanned_ns = stopped_ns + e->args[1];
    char args[ARGS_B];
    snprintf(args, sizeof args,
             "\"cycle\":%u,\"trigger\":\"%s\",\"root_b\":%" PRIu64 ",\"thread\":%" PRIu32,
             (unsigned)(e->args[3] >> 32),
             trigger < sizeof triggers / sizeof *triggers ? triggers[trigger] : "?", e->args[2],
             e->thread);
    put_slice(w, cause < sizeof causes / sizeof *causes ? causes[cause] : causes[0], TRACK_STOPS,
              e->start_ns, e->end_ns, args);
    put_part(w, "signal", e->start_ns, stopped_ns);
    put_part(w, "roots", stopped_ns, scanned_ns);
    put_part(w, "rest", scanned_ns, e->end_ns);
}

/* The kinds that are one slice with at most two numbers. */
static const struct {
    const char *name;
    bool is_phase;
    const char *labels[2];
} slices[EVENT_KINDS] = {
    [EVENT_MARK] = {"mark", true, {"marked_b", "cycle"}},
    [EVENT_SWEEP_PHASE] = {"sweep", true, {NULL}},
    [EVENT_SWEEP] = {"sweep spans", false, {"spans", "freed_pages"}},
    [EVENT_ASSIST] = {"assist", false, {"scanned_b"}},
    [EVENT_SCAVENGE] = {"scavenge", false, {"released_b"}},
};

static void
put_plain(struct writer *w, const struct event *e)
{
    char args[ARGS_B] = "";
    size_t used = 0;
    for (unsigned i = 0; i < 2 && slices[e->kind].labels[i] != NULL; i++)
        used += (size_t)snprintf(args + used, sizeof args - used, "%s\"%s\":%" PRIu64,
                                 i > 0 ? "," : "", slices[e->kind].labels[i], e->args[i]);
    put_slice(w, slices[e->kind].name, slices[e->kind].is_phase ? TRACK_PHASES : e->thread,
              e->start_ns, e->end_ns, args);
}

static void
put_event(struct writer *w, const struct event *e)
{
    if (e->kind == EVENT_STOP)
        put_stop(w, e);
    else if (e->kind == EVENT_HEAP)
        put_heap(w, e->start_ns, e->args[0], e->args[1]);
    else if (e->kind == EVENT_RSS)
        put_counter(w, "resident memory", e->start_ns, e->args[0]);
    else if (e->kind < EVENT_KINDS)
        put_plain(w, e);
}

/* ---- The file ---- */

static void
put_thread_name(struct writer *w, uint32_t track, const char *name)
{
    print(w,
          ",\n{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":%d,\"tid\":%" PRIu32
          ",\"args\":{\"name\":",
          (int)w->pid, track);
    put_string(w, name);
    print(w, "}}");
}

/* A thread that lives may have got another name since. */
static void
read_name_today(uint32_t thread, char name[EVENT_NAME_B])
{
    char path[64], text[EVENT_NAME_B + 1];
    snprintf(path, sizeof path, "/proc/self/task/%" PRIu32 "/comm", thread);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return;
    if (fgets(text, sizeof text, file) != NULL) {
        text[strcspn(text, "\n")] = '\0';
        snprintf(name, EVENT_NAME_B, "%.*s", EVENT_NAME_B - 1, text);
    }
    fclose(file);
}

static void
put_names(struct writer *w)
{
    print(w, "{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":%d,\"tid\":%d,\"args\":{\"name\":",
          (int)w->pid, (int)w->pid);
    put_string(w, program_invocation_short_name);
    print(w, "}}");
    put_thread_name(w, TRACK_PHASES, "collection phases");
    put_thread_name(w, TRACK_STOPS, "world stopped");
    uint32_t thread;
    char name[EVENT_NAME_B];
    for (size_t i = 0; events_thread_name(i, &thread, name); i++) {
        if (thread == 0)
            continue;
        read_name_today(thread, name);
        put_thread_name(w, thread, name);
    }
}

static void
put_ring(struct writer *w)
{
    struct events_window window = events_window();
    for (uint64_t i = window.first; i < window.end; i++) {
        struct event e;
        if (!events_get(i, &e))
            continue;
        put_event(w, &e);
        w->events++;
    }
    w->lost = window.end - w->events;
}

/* How things stand now: without it a program that never collects would show nothing. */
static void
put_now(struct writer *w)
{
    uint64_t now_ns = os_now_ns(), sweep_ns = sweep_began_ns();
    put_heap(w, now_ns, atomic_load(&heap_size.live_b), atomic_load(&cycle.goal_b));
    put_counter(w, "resident memory", now_ns, os_rss_b());
    if (sweep_ns != 0 && sweep_ns < now_ns)
        put_slice(w, slices[EVENT_SWEEP_PHASE].name, TRACK_PHASES, sweep_ns, now_ns,
                  "\"unfinished\":true");
}

int
trace_json_write(FILE *out)
{
    struct writer w = {.out = out, .pid = getpid()};
    print(&w, "{\"displayTimeUnit\":\"ns\",\n\"traceEvents\":[\n");
    put_names(&w);
    put_ring(&w);
    put_now(&w);
    print(&w,
          "\n],\n\"otherData\":{\"version\":\"spanheap %s\",\"events\":%" PRIu64
          ",\"lost_events\":%" PRIu64 "}}\n",
          sh_version(), w.events, w.lost);
    return w.error;
}
