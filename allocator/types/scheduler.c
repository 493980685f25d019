/*
 * The scheduler. Tasks that are ready wait in one queue; a task that a running one makes ready goes
 * before them into its thread's slot, so that sender and receiver take turns on one processor, from
 * stack to stack, without the queue or a wake-up (Go's runnext).
 *
 * A thread without a task sleeps. One of the sleepers, the watcher, looks again from time to time:
 * it takes tasks out of slots whose threads are busy with something else, and wakes those whose
 * time has come. Its looks are WATCH_MIN_NS apart while they find something, and up to WATCH_MAX_NS
 * while they do not, as those of Go's sysmon.
 *
 * Nobody is stopped by a collection in the middle of a switch: the thread's depth counter is raised
 * before it and lowered after it, on the other stack. What the collector knows of the thread's
 * stack changes in between.
 */
#define _GNU_SOURCE
#include "types/task.h"
#include "types/timer.h"

#include "collector/parked.h"
#include "collector/settings.h"
#include "collector/threads.h"
#include "collector/world.h"
#include "heap/os.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define WATCH_MIN_NS UINT64_C(50000)
#define WATCH_MAX_NS UINT64_C(5000000)
#define WORKERS_MAX 256
#define QUEUE_EVERY 61 /* switches after which the queue comes before the slot, as in Go */
#define SIGNAL_STACK_B ((size_t)64 << 10)

void task_switch(uintptr_t *save, uintptr_t stack);
extern const char task_begin[];
void task_main(void);

struct worker {
    _Atomic(struct task *) slot; /* ready, to run next here */
    struct task *current;        /* NULL: on the thread's own stack */
    struct task *left;           /* was turned off by the switch that just happened */
    uint32_t left_state;
    void (*after)(void *arg); /* the switch */
    void *after_arg;
    uintptr_t home_sp, home_low, home_high;
    struct flow home_flow;
    struct fiber home_fiber;
    uint32_t switches;
    bool look_at_timers; /* after the switch */
} __attribute__((aligned(CACHE_LINE_B)));

static _Thread_local struct worker *worker_self __attribute__((tls_model("initial-exec")));

static struct {
    struct lock lock;
    _Atomic(struct task *) first; /* the queue; a look without the lock is allowed */
    struct task *last;
    struct worker *workers[WORKERS_MAX];
    _Atomic uint32_t nworkers;
    _Atomic uint32_t wanted; /* most workers; 0: not known yet */
    _Atomic uint32_t idle;
    _Atomic uint32_t calls; /* sleepers wait on it */
    _Atomic bool watched;
    _Atomic bool all_sleep; /* the watcher does not look again by itself: nobody runs a task */
    _Atomic uint64_t newest;
    _Atomic size_t alive;
    bool prepared;
} sched SH_STATE = {.lock = {.rank = RANK_TASKS}};

/* TLS is read anew after a switch: never inlined. */
static __attribute__((noinline)) struct worker *
this_worker(void)
{
    return worker_self;
}

struct task *
task_self(void)
{
    struct worker *w = this_worker();
    return w == NULL ? NULL : w->current;
}

/* ---- The queue ---- */

static void
enqueue_task(struct task *t)
{
    t->next = NULL;
    lock_take(&sched.lock);
    if (sched.last != NULL)
        sched.last->next = t;
    else
        atomic_store(&sched.first, t);
    sched.last = t;
    lock_drop(&sched.lock);
}

static struct task *
dequeue_task(void)
{
    if (atomic_load_explicit(&sched.first, memory_order_relaxed) == NULL)
        return NULL;
    lock_take(&sched.lock);
    struct task *t = atomic_load(&sched.first);
    if (t != NULL) {
        atomic_store(&sched.first, t->next);
        if (t->next == NULL)
            sched.last = NULL;
    }
    lock_drop(&sched.lock);
    return t;
}

static void
call_one(void)
{
    if (atomic_load(&sched.idle) == 0)
        return;
    atomic_fetch_add(&sched.calls, 1);
    os_futex_wake_one(&sched.calls);
}

void
task_call_watcher(void)
{
    if (atomic_load(&sched.idle) == 0)
        return;
    atomic_fetch_add(&sched.calls, 1);
    os_futex_wake_all(&sched.calls);
}

static struct task *
take_slot_of(struct worker *w)
{
    return atomic_load_explicit(&w->slot, memory_order_relaxed) == NULL
               ? NULL
               : atomic_exchange(&w->slot, NULL);
}

static struct task *
next_task(struct worker *w)
{
    struct task *t = NULL;
    if (++w->switches % QUEUE_EVERY == 0) {
        w->look_at_timers = true; /* not here: who parks may hold the lock of a channel */
        t = dequeue_task();
    }
    if (t == NULL)
        t = take_slot_of(w);
    return t != NULL ? t : dequeue_task();
}

void
task_ready(struct task *t)
{
    struct worker *w = this_worker();
    atomic_store(&t->state, TASK_READY);
    struct task *displaced = t;
    if (w != NULL && w->current != NULL)
        displaced = atomic_exchange(&w->slot, t);
    if (displaced == NULL)
        return;
    enqueue_task(displaced);
    call_one();
}

/* ---- Switching ---- */

static void
set_stack(uintptr_t low, uintptr_t high)
{
    struct thread *t = thread_self();
    t->stack_low = low;
    t->stack_high = high;
}

/* After a switch, on the new stack: what was left is off now. */
static __attribute__((noinline)) void
arrive(void)
{
    struct worker *w = this_worker();
    fiber_arrive(w->current == NULL ? &w->home_fiber : &w->current->fiber);
    if (w->left != NULL)
        atomic_store(&w->left->state, w->left_state);
    w->left = NULL;
    if (w->after != NULL)
        w->after(w->after_arg);
    w->after = NULL;
    bool look_at_timers = w->look_at_timers;
    w->look_at_timers = false;
    cache_leave(cache_self);
    if (look_at_timers)
        timer_run();
}

/* Where a switch comes from, or leads to. */
struct side {
    uintptr_t *sp;
    uintptr_t low, high;
    struct flow *flow;
    struct fiber *fiber;
};

static struct side
side_of(struct worker *w, struct task *t)
{
    if (t == NULL)
        return (struct side){&w->home_sp, w->home_low, w->home_high, &w->home_flow, &w->home_fiber};
    return (struct side){&t->sp, t->stack_low, t->stack_high, &t->flow, &t->fiber};
}

/* To another task, or home (NULL). */
static __attribute__((noinline)) void
go_to(struct worker *w, struct task *next)
{
    struct side from = side_of(w, w->current), to = side_of(w, next);
    cache_enter(cache_self);
    w->left = w->current;
    if (w->current != NULL)
        stacks_check(w->current);
    *from.flow = flow_self;
    if (next != NULL) {
        stacks_before_run(next);
        atomic_store(&next->state, TASK_RUNNING);
    }
    w->current = next;
    set_stack(to.low, to.high);
    flow_self = *to.flow;
    fiber_leave(from.fiber, to.fiber, to.low, to.high);
    task_switch(from.sp, *to.sp);
    arrive();
}

static void
leave_task(struct worker *w, uint32_t state, void (*after)(void *arg), void *arg)
{
    w->left_state = state;
    w->after = after;
    w->after_arg = arg;
    go_to(w, next_task(w));
}

void
task_park(void (*unlock)(void *arg), void *arg, const char *why, const void *on, const void *at)
{
    struct worker *w = this_worker();
    struct task *t = w->current;
    atomic_store_explicit(&t->why, why, memory_order_relaxed);
    atomic_store_explicit(&t->waits_on, on, memory_order_relaxed);
    atomic_store_explicit(&t->waits_at, at, memory_order_relaxed);
    atomic_store_explicit(&t->since_ns, os_now_ns(), memory_order_relaxed);
    leave_task(w, TASK_PARKED, unlock, arg);
    atomic_store_explicit(&t->why, NULL, memory_order_relaxed);
}

static void
enqueue_left(void *task)
{
    enqueue_task(task);
}

void
sh_task_yield(void)
{
    struct worker *w = this_worker();
    if (w == NULL || w->current == NULL) {
        sched_yield();
        return;
    }
    struct task *next = dequeue_task();
    if (next == NULL)
        next = take_slot_of(w);
    if (next == NULL)
        return;
    w->left_state = TASK_READY;
    w->after = enqueue_left;
    w->after_arg = w->current;
    go_to(w, next);
}

static void
give_task_back(void *task)
{
    stacks_give(task);
    atomic_fetch_sub(&sched.alive, 1);
}

/* Where a new stack begins. */
__attribute__((used, visibility("hidden"))) void
task_main(void)
{
    arrive();
    struct task *t = this_worker()->current;
    void *arg = t->arg;
    t->arg = NULL;
    t->run(arg);
    sh_require(flow_self.scopes == NULL, "task %llu has ended inside a scope (defer.h)",
               (unsigned long long)atomic_load(&t->number));
    leave_task(this_worker(), TASK_FREE, give_task_back, t);
    abort(); /* nobody runs it again */
}

/* ---- Threads ---- */

static struct task *
steal_slot(const struct worker *thief)
{
    uint32_t n = atomic_load(&sched.nworkers);
    for (uint32_t i = 0; i < n; i++)
        if (sched.workers[i] != thief) {
            struct task *t = take_slot_of(sched.workers[i]);
            if (t != NULL)
                return t;
        }
    return NULL;
}

struct sleep {
    uint32_t seen;
    uint64_t timeout_ns; /* 0: until called */
};

static void
sleep_now(void *arg)
{
    const struct sleep *s = arg;
    os_futex_wait(&sched.calls, s->seen, s->timeout_ns);
}

/* One round of the watcher. Returns a task, or NULL after it has slept. */
static struct task *
watch(struct worker *w, struct sleep *sleep, uint64_t *pace_ns)
{
    uint64_t due_ns = timer_run(), now_ns = os_now_ns();
    struct task *t = dequeue_task();
    if (t == NULL)
        t = steal_slot(w);
    if (t != NULL)
        return t;
    atomic_store(&sched.all_sleep, true);
    bool others_run = atomic_load(&sched.idle) < atomic_load(&sched.nworkers);
    if (others_run)
        atomic_store(&sched.all_sleep, false);
    sleep->timeout_ns = others_run ? *pace_ns : 0;
    *pace_ns = *pace_ns * 2 < WATCH_MAX_NS ? *pace_ns * 2 : WATCH_MAX_NS;
    if (due_ns != 0) {
        uint64_t left_ns = due_ns > now_ns ? due_ns - now_ns : 1;
        if (sleep->timeout_ns == 0 || left_ns < sleep->timeout_ns)
            sleep->timeout_ns = left_ns;
    }
    world_safe_call(sleep_now, sleep);
    return NULL;
}

/* Until there is a task. Whoever sleeps looks into the queue after it counts as idle; whoever fills
   the queue looks at the number of the idle afterwards. The first one that goes to work has the
   watcher look again from now on: its own slot may have to be emptied. */
static struct task *
wait_for_task(struct worker *w)
{
    struct task *t;
    uint64_t pace_ns = WATCH_MIN_NS;
    atomic_fetch_add(&sched.idle, 1);
    bool watcher = false;
    for (;;) {
        struct sleep sleep = {.seen = atomic_load(&sched.calls)};
        bool expected = false;
        watcher = watcher || atomic_compare_exchange_strong(&sched.watched, &expected, true);
        t = watcher ? watch(w, &sleep, &pace_ns) : dequeue_task();
        if (t != NULL)
            break;
        if (!watcher)
            world_safe_call(sleep_now, &sleep);
    }
    atomic_fetch_sub(&sched.idle, 1);
    if (watcher) {
        atomic_store(&sched.watched, false);
        call_one(); /* somebody else watches */
    } else if (atomic_load(&sched.all_sleep)) {
        task_call_watcher();
    }
    return t;
}

static void
prepare_thread(struct worker *w)
{
    struct thread *t = thread_self();
    stack_t stack = {.ss_size = SIGNAL_STACK_B, .ss_sp = os_map(SIGNAL_STACK_B)};
    sh_require(stack.ss_sp != NULL && sigaltstack(&stack, NULL) == 0,
               "sh_task_start: no memory for a thread's signal stack");
    w->home_low = t->stack_low;
    w->home_high = t->stack_high;
    fiber_adopt(&w->home_fiber);
    worker_self = w;
}

static void *
run_tasks(void *arg)
{
    struct worker *w = arg;
    prepare_thread(w);
    for (;;) {
        struct task *t = next_task(w);
        if (t == NULL)
            t = wait_for_task(w);
        go_to(w, t);
    }
    return NULL;
}

static void
reset_in_child(void)
{
    struct worker *w = worker_self;
    atomic_store(&sched.lock.state, 0);
    atomic_store(&sched.first, NULL);
    sched.last = NULL;
    atomic_store(&sched.nworkers, 0);
    atomic_store(&sched.idle, 0);
    atomic_store(&sched.watched, false);
    atomic_store(&sched.alive, w != NULL && w->current != NULL);
    stacks_after_fork(w == NULL ? NULL : w->current);
    timer_after_fork();
    if (w != NULL) {
        atomic_store(&w->slot, NULL);
        sched.workers[0] = w;
        atomic_store(&sched.nworkers, 1);
    }
}

static unsigned
wanted_locked(void)
{
    if (atomic_load(&sched.wanted) == 0) {
        uint64_t set = settings_get()->task_threads;
        unsigned n = set != 0 ? (unsigned)set : os_processors();
        atomic_store(&sched.wanted, n < WORKERS_MAX ? n : WORKERS_MAX);
    }
    return atomic_load(&sched.wanted);
}

/* The lock is held: one more worker, if more are wanted. */
static struct worker *
make_worker_locked(void)
{
    uint32_t n = atomic_load(&sched.nworkers);
    if (n >= wanted_locked())
        return NULL;
    struct worker *w = os_map(sizeof *w);
    sh_require(w != NULL, "sh_task_start: no memory for a thread");
    sched.workers[n] = w;
    atomic_store(&sched.nworkers, n + 1);
    return w;
}

/* A worker for each task up to as many as are wanted. */
void
task_have_workers(void)
{
    if (atomic_load(&sched.idle) > 0 ||
        atomic_load(&sched.nworkers) >= atomic_load(&sched.wanted)) {
        if (atomic_load(&sched.nworkers) > 0)
            return;
    }
    pthread_t thread;
    lock_take(&sched.lock);
    struct worker *w = make_worker_locked();
    bool first = !sched.prepared;
    sched.prepared = true;
    lock_drop(&sched.lock);
    if (first)
        pthread_atfork(NULL, NULL, reset_in_child);
    if (w != NULL)
        sh_require(threads_create_service(&thread, run_tasks, w) == 0,
                   "sh_task_start: no thread can be made");
}

unsigned
sh_task_set_threads(unsigned threads)
{
    sh_require(threads > 0, "sh_task_set_threads: 0 threads run nothing");
    lock_take(&sched.lock);
    unsigned old = wanted_locked();
    atomic_store(&sched.wanted, threads < WORKERS_MAX ? threads : WORKERS_MAX);
    lock_drop(&sched.lock);
    return old;
}

/* ---- Starting ---- */

/* A stack on which task_switch finds seven registers: the last is where it returns to, and one
   keeps the argument alive. */
static void
lay_frame(struct task *t)
{
#if defined(__x86_64__)
    enum {
        FRAME_WORDS = 9,
        FRAME_RETURN = 6,
        FRAME_KEPT = 4
    }; /* and two that keep the alignment */
#else
    enum { FRAME_WORDS = 20, FRAME_RETURN = 1, FRAME_KEPT = 2 };
#endif
    uintptr_t *frame = (uintptr_t *)t->stack_high - FRAME_WORDS;
    memset(frame, 0, FRAME_WORDS * sizeof *frame);
    frame[FRAME_RETURN] = (uintptr_t)task_begin;
    frame[FRAME_KEPT] = (uintptr_t)t->arg;
    t->sp = (uintptr_t)frame;
}

uint64_t
sh_task_start(void (*run)(void *arg), void *arg)
{
    sh_require(run != NULL, "sh_task_start: no function to run");
    sh_init();
    struct task *t = stacks_take();
    sh_require(t != NULL, "sh_task_start: no memory for a stack");
    struct task *self = task_self();
    t->run = run;
    t->arg = arg;
    t->flow = (struct flow){0};
    t->started_at = __builtin_return_address(0);
    t->started_by = self == NULL ? 0 : atomic_load(&self->number);
    atomic_store(&t->why, NULL);
    lay_frame(t);
    fiber_create(&t->fiber);
    uint64_t number = atomic_fetch_add(&sched.newest, 1) + 1;
    atomic_store(&t->number, number);
    atomic_store(&t->scan, atomic_load(&parked_epoch) * 2);
    atomic_fetch_add(&sched.alive, 1);
    task_ready(t);
    task_have_workers();
    SH_KEEP_ALIVE(arg);
    return number;
}

uint64_t
sh_task_number(void)
{
    const struct task *t = task_self();
    return t == NULL ? 0 : atomic_load(&t->number);
}

size_t
sh_task_count(void)
{
    return atomic_load(&sched.alive);
}

uint64_t
sh_tasks_newest(void)
{
    return atomic_load(&sched.newest);
}
