/* Tasks for those who look at them: what there is, where it waits, what is left over. */
#include "types/panic.h"
#include "types/timer.h"

#include "collector/world.h"
#include "heap/os.h"
#include "observe/symbols.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define DUMP_LINE_MAX_B 600

static void
sleep_in_safety(void *ns)
{
    uint64_t n = *(uint64_t *)ns;
    struct timespec left = {(time_t)(n / 1000000000), (long)(n % 1000000000)};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

void
sh_task_sleep(uint64_t ns)
{
    if (task_self() != NULL)
        timer_wait(timer_due(ns), __builtin_return_address(0));
    else
        world_safe_call(sleep_in_safety, &ns);
}

/* ---- What there is ---- */

struct task_reading {
    uint64_t after, now_ns;
    struct sh_task_info *out;
    size_t n, max;
};

static void
read_task(struct task *t, void *reading)
{
    struct task_reading *r = reading;
    uint64_t number = atomic_load(&t->number);
    uint32_t state = atomic_load(&t->state);
    if (state == TASK_FREE || number <= r->after)
        return;
    if (r->n++ >= r->max)
        return;
    struct sh_task_info *info = &r->out[r->n - 1];
    const char *why = atomic_load(&t->why);
    bool waits = state == TASK_PARKED && why != NULL;
    uint64_t since_ns = atomic_load(&t->since_ns);
    *info = (struct sh_task_info){
        .number = number,
        .state = waits                   ? why
                 : state == TASK_RUNNING ? "running"
                                         : "runnable",
        .runs = (const void *)(uintptr_t)t->run,
        .started_at = t->started_at,
        .started_by = t->started_by,
    };
    if (waits) {
        info->waiting_ns = r->now_ns > since_ns ? r->now_ns - since_ns : 1;
        info->waits_on = atomic_load(&t->waits_on);
        info->waits_at = atomic_load(&t->waits_at);
    }
}

static int
by_number(const void *a, const void *b)
{
    const struct sh_task_info *x = a, *y = b;
    return x->number < y->number ? -1 : x->number > y->number;
}

size_t
sh_tasks_read(uint64_t after, struct sh_task_info *out, size_t max)
{
    struct task_reading r = {after, os_now_ns(), out, 0, max};
    if (max > 0)
        refuse_nil(out, "sh_tasks_read: out");
    stacks_each(read_task, &r);
    size_t read = size_min(r.n, max);
    if (read > 1)
        qsort(out, read, sizeof *out, by_number);
    return r.n;
}

/* ---- The dump ---- */

static size_t
format_code(char *line, size_t size, const char *prefix, const void *code, bool is_return)
{
    char where[DUMP_LINE_MAX_B / 2];
    if (code == NULL)
        return 0;
    symbols_format(where, sizeof where, (uintptr_t)code + (is_return ? 0 : 1));
    int n = snprintf(line, size, "    %s%s", prefix, where + 4);
    return n < 0 ? 0 : size_min((size_t)n, size - 1);
}

static size_t
format_waiting(char *text, size_t size, const struct sh_task_info *info)
{
    uint64_t minutes = info->waiting_ns / 60000000000u;
    int n = minutes > 0 ? snprintf(text, size, "task %llu [%s, %llu minutes]:\n",
                                   (unsigned long long)info->number, info->state,
                                   (unsigned long long)minutes)
                        : snprintf(text, size, "task %llu [%s]:\n",
                                   (unsigned long long)info->number, info->state);
    return n < 0 ? 0 : (size_t)n;
}

size_t
task_format_start(char *line, size_t size, uint64_t started_by, const void *started_at)
{
    char by[64];
    snprintf(by, sizeof by, started_by == 0 ? "started at " : "started by task %llu at ",
             (unsigned long long)started_by);
    return format_code(line, size, by, started_at, true);
}

static void
dump_one(int fd, const struct sh_task_info *info)
{
    char text[4 * DUMP_LINE_MAX_B];
    size_t n = format_waiting(text, sizeof text, info);
    n += format_code(text + n, sizeof text - n, "waits at ", info->waits_at, true);
    n += format_code(text + n, sizeof text - n, "runs ", info->runs, false);
    n += task_format_start(text + n, sizeof text - n, info->started_by, info->started_at);
    text[n++] = '\n';
    for (size_t at = 0; at < n;) {
        ssize_t wrote = write(fd, text + at, n - at);
        if (wrote < 0 && errno != EINTR)
            return;
        at += wrote > 0 ? (size_t)wrote : 0;
    }
}

static size_t
dump_tasks(int fd, uint64_t after)
{
    size_t n = sh_tasks_read(after, NULL, 0), room = n + 16;
    struct sh_task_info *all = malloc(room * sizeof *all);
    if (all == NULL)
        return 0;
    n = size_min(sh_tasks_read(after, all, room), room);
    for (size_t i = 0; i < n; i++)
        dump_one(fd, &all[i]);
    free(all);
    return n;
}

size_t
sh_tasks_dump(int fd)
{
    return dump_tasks(fd, 0);
}

/* ---- Leaks ---- */

size_t
sh_tasks_leaked(uint64_t after, uint64_t timeout_ns, struct sh_task_info *out, size_t max)
{
    uint64_t end_ns = timer_due(timeout_ns), pause_ns = 1000000;
    size_t n;
    if (max > 0)
        refuse_nil(out, "sh_tasks_leaked: out");
    while ((n = sh_tasks_read(after, out, max)) > 0 && os_now_ns() < end_ns) {
        uint64_t left_ns = end_ns - os_now_ns();
        sh_task_sleep(pause_ns < left_ns ? pause_ns : left_ns);
        pause_ns = 2 * pause_ns < 100000000 ? 2 * pause_ns : 100000000;
    }
    return n;
}

size_t
sh_tasks_print_leaked(int fd, uint64_t after, uint64_t timeout_ns)
{
    size_t n = sh_tasks_leaked(after, timeout_ns, NULL, 0);
    if (n > 0)
        dump_tasks(fd, after);
    return n;
}
