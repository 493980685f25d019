/*
 * When events are kept, and when they become a file: from the start to the normal end of the
 * program with SH_TRACE=FILE, or between sh_trace_start() and sh_trace_stop(), written by
 * sh_trace_write(). What is kept of a stop is in pauses.c, of a sweep in collector/sweep.c.
 */
#define _GNU_SOURCE
#include "collector/cycle.h"
#include "collector/world.h"
#include "heap/central.h"
#include "heap/meta.h"
#include "heap/os.h"
#include "observe/events.h"
#include "observe/observe.h"
#include "observe/trace_json.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct {
    const char *setting; /* SH_TRACE as it was given; NULL: nothing is written at the end */
    const char *path;    /* the same from the root directory on; may contain %p */
    pid_t pid;           /* who started */
} trace SH_STATE;

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

/* ---- The file ---- */

struct job {
    const char *path;
    int error; /* errno; 0: it is written */
};

/* May run in the safe state: a disk that is slow delays no collection. */
static void
write_file(void *arg)
{
    struct job *job = arg;
    int old_cancel;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old_cancel);
    errno = 0;
    FILE *out = fopen(job->path, "we");
    job->error = out == NULL ? errno : trace_json_write(out);
    if (out != NULL && fclose(out) != 0 && job->error == 0)
        job->error = errno;
    pthread_setcancelstate(old_cancel, NULL);
}

static int
write_to(const char *path)
{
    struct job job = {path, 0};
    if (cache_self != NULL)
        world_safe_call(write_file, &job);
    else
        write_file(&job);
    return job.error;
}

/* The path with the first %p replaced. False: too long. */
static bool
expand(char out[PATH_MAX], pid_t pid)
{
    const char *mark = strstr(trace.path, "%p");
    int n = mark == NULL ? snprintf(out, PATH_MAX, "%s", trace.path)
                         : snprintf(out, PATH_MAX, "%.*s%d%s", (int)(mark - trace.path), trace.path,
                                    (int)pid, mark + 2);
    return n > 0 && n < PATH_MAX;
}

/* A child of fork would write over its parent's file, so it needs a name of its own. This runs
   after the functions that the program gave to atexit(). */
__attribute__((destructor)) static void
write_at_exit(void)
{
    char path[PATH_MAX];
    if (trace.path == NULL)
        return;
    pid_t pid = getpid();
    bool own_name = pid == trace.pid || strstr(trace.path, "%p") != NULL;
    if (!own_name || !expand(path, pid))
        return;
    int error = write_to(path);
    if (error != 0)
        sh_warn("SH_TRACE=%s: the trace cannot be written: %s", trace.setting, strerror(error));
}

/* ---- Start ---- */

/* The program may change its directory before it ends. */
static void
remember_path(const char *setting)
{
    char here[PATH_MAX] = "";
    bool relative = setting[0] != '/' && getcwd(here, sizeof here) != NULL;
    size_t size = strlen(here) + strlen(setting) + 2;
    sh_require(size <= PATH_MAX, "SH_TRACE=%s: %s", setting, strerror(ENAMETOOLONG));
    char *path = meta_alloc(size);
    sh_require(path != NULL, "no memory for the name in SH_TRACE");
    strcpy(path, here);
    strcat(path, relative ? "/" : "");
    strcat(path, setting);
    trace.setting = setting;
    trace.path = path;
    trace.pid = getpid();
}

/* Better now than after an hour. A pipe that nobody reads yet is good (ENXIO). */
static void
check_path(void)
{
    char path[PATH_MAX];
    errno = ENAMETOOLONG;
    int fd = -1;
    if (expand(path, trace.pid))
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);
    sh_require(fd >= 0 || errno == ENXIO, "SH_TRACE=%s cannot be written: %s", trace.setting,
               strerror(errno));
    if (fd >= 0)
        close(fd);
}

void
observe_trace_init(const char *file, size_t nevents)
{
    if (nevents > 0)
        events_set_capacity(nevents);
    if (file == NULL)
        return;
    remember_path(file);
    check_path();
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
    int error = path == NULL || !events_exist() ? EINVAL : write_to(path);
    if (error == 0)
        return 0;
    errno = error;
    return -1;
}
