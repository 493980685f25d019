/*
 * A binary heap by the time that is due. It is a root, as the channels in it are held by nobody
 * else perhaps; entries that are gone are zero. Its lock is taken before that of a channel.
 */
#include "types/timer.h"

#include "types/channel.h"

#include <string.h>

#define FIRST_TIMERS 1024

struct timer {
    uint64_t due_ns, period_ns;
    struct task *task; /* or: */
    struct sh_channel *channel;
};

static struct {
    uint32_t lock;
    struct timer *heap;
    size_t n, cap;
    _Atomic uint64_t earliest_ns; /* 0: none */
} timers SH_STATE;

static void
note_earliest(void)
{
    atomic_store(&timers.earliest_ns, timers.n == 0 ? 0 : timers.heap[0].due_ns);
}

/* ---- The heap ---- */

static void
put_timer_at(size_t i, struct timer t)
{
    for (; i > 0 && timers.heap[(i - 1) / 2].due_ns > t.due_ns; i = (i - 1) / 2)
        timers.heap[i] = timers.heap[(i - 1) / 2];
    timers.heap[i] = t;
}

static void
take_timer_at(size_t i)
{
    struct timer moved = timers.heap[--timers.n];
    size_t child;
    timers.heap[timers.n] = (struct timer){0};
    if (i == timers.n)
        return;
    while ((child = 2 * i + 1) < timers.n) {
        if (child + 1 < timers.n && timers.heap[child + 1].due_ns < timers.heap[child].due_ns)
            child++;
        if (timers.heap[child].due_ns >= moved.due_ns)
            break;
        timers.heap[i] = timers.heap[child];
        i = child;
    }
    put_timer_at(i, moved);
}

/* A larger array in place of a full one. Nothing is held: the new one is made a root first. */
static void
make_room_for_timers(void)
{
    size_t cap = timers.cap == 0 ? FIRST_TIMERS : 2 * timers.cap;
    struct timer *larger = os_map(cap * sizeof *larger), *old;
    sh_require(larger != NULL, "sh_task_sleep: no memory for one more timer");
    sh_roots_add(larger, cap * sizeof *larger);
    soft_lock(&timers.lock);
    size_t old_cap = timers.cap;
    old = timers.heap;
    if (cap > old_cap) {
        if (timers.n > 0)
            memcpy(larger, old, timers.n * sizeof *larger);
        timers.heap = larger;
        timers.cap = cap;
    } else { /* somebody else has done it */
        old = larger;
        old_cap = cap;
    }
    soft_unlock(&timers.lock);
    if (old != NULL) {
        sh_roots_remove(old);
        os_unreserve(old, old_cap * sizeof *old);
    }
}

static void
lock_with_room(void)
{
    soft_lock(&timers.lock);
    while (timers.n == timers.cap) {
        soft_unlock(&timers.lock);
        make_room_for_timers();
        soft_lock(&timers.lock);
    }
}

/* ---- Starting and stopping ---- */

/* Whether it is the next one now. The lock is held. */
static bool
add_timer(struct timer t)
{
    put_timer_at(timers.n++, t);
    bool is_next = timers.heap[0].due_ns == t.due_ns;
    note_earliest();
    return is_next;
}

static void
unlock_timers(void *arg)
{
    (void)arg;
    soft_unlock(&timers.lock);
}

static void
unlock_timers_and_call(void *arg)
{
    unlock_timers(arg);
    task_call_watcher();
}

/* Takes the timer of a channel out, if there is one. The lock is held. */
static bool
take_timer_of(const struct sh_channel *channel)
{
    for (size_t i = 0; i < timers.n; i++)
        if (timers.heap[i].channel == channel) {
            take_timer_at(i);
            return true;
        }
    return false;
}

void
timer_wait(uint64_t due_ns, const void *at)
{
    lock_with_room();
    bool is_next = add_timer((struct timer){.due_ns = due_ns, .task = task_self()});
    task_park(is_next ? unlock_timers_and_call : unlock_timers, NULL, "sleep", NULL, at);
}

bool
timer_send(uint64_t due_ns, uint64_t period_ns, struct sh_channel *channel, bool is_new)
{
    task_have_workers();
    lock_with_room();
    bool was_there = !is_new && take_timer_of(channel);
    bool is_next = add_timer((struct timer){due_ns, period_ns, NULL, channel});
    soft_unlock(&timers.lock);
    if (is_next)
        task_call_watcher();
    return was_there;
}

bool
timer_stop(const struct sh_channel *channel)
{
    soft_lock(&timers.lock);
    bool was_there = take_timer_of(channel);
    note_earliest();
    soft_unlock(&timers.lock);
    return was_there;
}

/* ---- Running ---- */

/* Ticks that were missed are left out. The lock is held. */
static struct timer
take_due(uint64_t now_ns)
{
    struct timer due = timers.heap[0];
    take_timer_at(0);
    if (due.period_ns > 0) {
        struct timer again = due;
        again.due_ns += ((now_ns - due.due_ns) / due.period_ns + 1) * due.period_ns;
        put_timer_at(timers.n++, again);
    }
    note_earliest();
    return due;
}

/* The timers' lock is held, so that nothing comes once a timer has been stopped. Returns who has to
   be woken. A channel that is full, or that the program has closed, gets nothing. */
static struct parking *
send_time(struct sh_channel *c)
{
    struct parking *wake = NULL;
    soft_lock(&c->lock);
    uint64_t now_ns = os_now_ns();
    channel_send_locked(c, &now_ns, &wake);
    soft_unlock(&c->lock);
    return wake;
}

uint64_t
timer_run(void)
{
    uint64_t now_ns = 0; /* one for all, or a ticker of a few ns would have no end */
    for (;;) {
        uint64_t earliest_ns = atomic_load(&timers.earliest_ns);
        if (earliest_ns != 0 && now_ns == 0)
            now_ns = os_now_ns();
        if (earliest_ns == 0 || earliest_ns > now_ns)
            return earliest_ns;
        struct timer due = {0};
        struct parking *wake = NULL;
        soft_lock(&timers.lock);
        if (timers.n > 0 && timers.heap[0].due_ns <= now_ns)
            due = take_due(now_ns);
        if (due.channel != NULL)
            wake = send_time(due.channel);
        soft_unlock(&timers.lock);
        if (due.task != NULL)
            task_ready(due.task);
        if (wake != NULL)
            wait_wake(wake);
    }
}

void
timer_after_fork(void)
{
    timers.lock = 0;
    if (timers.n > 0)
        memset(timers.heap, 0, timers.n * sizeof *timers.heap);
    timers.n = 0;
    note_earliest();
}
