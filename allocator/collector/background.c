#define _GNU_SOURCE
#include "collector/background.h"

#include "collector/assist.h"
#include "collector/cycle.h"
#include "collector/pacing.h"
#include "collector/sweep.h"
#include "collector/threads.h"
#include "heap/os.h"
#include "heap/scavenger.h"
#include "observe/events.h"

#include <sys/resource.h>

#define STACK_B ((size_t)256 << 10)
#define MARK_PIECE_B ((size_t)64 << 10) /* scanned between two looks at the rest of the world */
#define PROCESSORS_A_WORKER 4
#define IDLE_WAIT_NS 1000000000u
#define SWEEP_DELAY_NS 2000000u /* after the end of marking */
#define SCAVENGE_PIECE_B ((size_t)64 << 10)
#define SCAVENGE_PERCENT 1

static struct {
    bool started;
    unsigned workers, limit;
    _Atomic uint32_t bell;   /* changes when there is something to do */
    _Atomic uint32_t dozing; /* the first worker will look by itself whether there is a sweep */
} background SH_STATE = {.limit = UINT32_MAX};

/* One worker on p processors: which priority gives it p/4 of them when all are busy. A step of 1 is
   a factor of 1.25 in the scheduler's weight. */
static int
nice_for(unsigned processors)
{
    return processors == 1 ? 5 : processors == 2 ? 2 : processors == 3 ? 1 : 0;
}

static void
mark(void)
{
    while (cycle_is_marking()) {
        uint64_t work_b = markers_work(MARKER_BACKGROUND, MARK_PIECE_B);
        if (work_b > 0) {
            assist_add_credit(work_b);
            pacing_revise();
        } else if (markers_idle()) {
            cycle_try_end();
        } else {
            markers_wait();
        }
    }
}

/* As a running thread, so that no stop finds a span half swept. Not at once: a thread that needs a
   slot sweeps a span and has it, empty or not, which is cheaper than making a new one of its pages.
   Returns how long to wait. */
static uint64_t
sweep_until_idle(struct thread *t)
{
    for (;;) {
        atomic_store(&background.dozing, sweep_is_pending());
        if (!sweep_is_pending()) /* looked at after the note: see background_wake_to_sweep */
            return IDLE_WAIT_NS;
        uint64_t age_ns = os_now_ns() - atomic_load(&cycle.last_end_ns);
        if (age_ns < SWEEP_DELAY_NS)
            return SWEEP_DELAY_NS - age_ns;
        world_leave_safe(t);
        sweep_all(&t->cache);
        world_enter_safe(t, 0);
    }
}

/* Gives one piece of memory back if there is too much. Returns how long to wait before the next
   one: scavenging takes 1 percent of one processor, unless a limit presses. */
static uint64_t
scavenge(struct thread *t)
{
    bool urgent = false;
    if (cycle_is_marking() || pacing_scavenge_debt(&urgent) < SCAVENGE_PIECE_B)
        return IDLE_WAIT_NS;
    uint64_t start_ns = os_cpu_ns();
    uint64_t started = events_begin();
    world_leave_safe(t); /* no stop finds pages on their way */
    size_t released_b = scavenger_release(&t->cache, SCAVENGE_PIECE_B);
    world_enter_safe(t, 0);
    events_end(EVENT_SCAVENGE, started, released_b, 0);
    if (released_b == 0)
        return IDLE_WAIT_NS;
    return urgent ? 1 : (os_cpu_ns() - start_ns) * (100 / SCAVENGE_PERCENT - 1);
}

static _Noreturn void
serve(struct thread *t, bool first)
{
    for (;;) {
        uint64_t wait_ns = IDLE_WAIT_NS;
        uint32_t bell = atomic_load(&background.bell);
        mark();
        if (first) {
            wait_ns = sweep_until_idle(t);
            if (cycle_is_due())
                cycle_begin(SH_TRIGGER_TIME);
            if (wait_ns == IDLE_WAIT_NS)
                wait_ns = scavenge(t);
        }
        if (!cycle_is_marking())
            os_futex_wait(&background.bell, bell, wait_ns);
    }
}

static void *
run_worker(void *arg)
{
    struct thread *t = arg;
    bool first = t->arg == NULL;
    world_adopt_self(t);
    setpriority(PRIO_PROCESS, (id_t)t->tid, nice_for(os_processors()));
    world_enter_safe(t, 0);
    serve(t, first);
}

static bool
start_one(bool first)
{
    static char marker_for_the_others;
    struct thread *t = world_make_thread(LIFE_STARTING);
    if (t == NULL)
        return false;
    t->internal = true;
    t->detached = true;
    t->arg = first ? NULL : &marker_for_the_others;
    world_add_thread(t);
    pthread_attr_t attr;
    pthread_t handle;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK_B);
    int error = threads_real.create(&handle, &attr, run_worker, t);
    pthread_attr_destroy(&attr);
    if (error != 0)
        world_remove_thread(t);
    return error == 0;
}

void
background_start(void)
{
    if (background.started)
        return;
    background.started = true;
    unsigned wanted = (os_processors() + PROCESSORS_A_WORKER / 2) / PROCESSORS_A_WORKER;
    wanted = wanted == 0 ? 1 : wanted;
    wanted = wanted > background.limit ? background.limit : wanted;
    sigset_t all, before;
    sigfillset(&all);
    threads_real.set_mask(SIG_BLOCK, &all, &before);
    while (background.workers < wanted && start_one(background.workers == 0))
        background.workers++;
    threads_real.set_mask(SIG_SETMASK, &before, NULL);
}

void
background_wake(void)
{
    atomic_fetch_add(&background.bell, 1);
    os_futex_wake_all(&background.bell);
    markers_wake();
}

void
background_wake_to_sweep(void)
{
    if (!atomic_load(&background.dozing))
        background_wake();
}

void
background_forget(void)
{
    background.started = false;
    background.workers = 0;
    atomic_store(&background.dozing, 0);
}

bool
background_is_allowed(void)
{
    return background.limit > 0;
}

void
background_limit(unsigned workers)
{
    background.limit = workers;
}
