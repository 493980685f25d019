#define _GNU_SOURCE
#include "collector/world.h"

#include "collector/fault.h"
#include "collector/stress.h"
#include "heap/meta.h"
#include "heap/os.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define RED_ZONE_B 128
#define STOP_PATIENCE_NS 1000000000u
#define NOTE_SPINS 400   /* until the notes are followed by signals: some microseconds */
#define START_SPINS 5000 /* until a stopped thread sleeps: some fifty microseconds */

struct world world SH_STATE = {
    .cycle_lock = {.rank = RANK_CYCLE},
    .lock = {.rank = RANK_WORLD},
};

static bool
on_ordinary_stack(const struct thread *t, uintptr_t address)
{
    return address >= t->stack_low && address < t->stack_high;
}

static void
acknowledge(void)
{
    atomic_fetch_add(&world.acks, 1);
    if (atomic_load(&world.awaiting))
        os_futex_wake_all(&world.acks);
}

static void
wait_for_start(void)
{
    for (int i = 0; i < START_SPINS && !atomic_load(&world.crowded); i++) {
        if (!atomic_load_explicit(&world.stopping, memory_order_relaxed))
            return;
        pause_processor();
    }
    atomic_fetch_add(&world.asleep, 1);
    os_futex_wait(&world.stopping, 1, 0);
    atomic_fetch_sub(&world.asleep, 1);
}

void
world_enter_safe(struct thread *t, uintptr_t sp)
{
    t->sp = sp;
    atomic_store(&t->state, THREAD_SAFE);
    if (unlikely(atomic_load(&world.stopping)))
        acknowledge();
}

void
world_leave_safe(struct thread *t)
{
    for (;;) {
        /* Before it counts as running: a signal after that is for the next stop, and its note
         * stays. */
        atomic_store(&t->cache.stop_pending, 0);
        atomic_store(&t->state, THREAD_RUNNING);
        if (likely(!atomic_load(&world.stopping)))
            return;
        atomic_store(&t->state, THREAD_SAFE);
        acknowledge();
        wait_for_start();
    }
}

/* Where a thread that becomes safe by itself inside a user's signal handler has its frames: on its
   alternate stack. Empty on the ordinary one. */
static struct range
own_signal_stack(const struct thread *t, uintptr_t sp)
{
    if (on_ordinary_stack(t, sp))
        return (struct range){0, 0};
    stack_t alternate;
    sigaltstack(NULL, &alternate);
    uintptr_t low = (uintptr_t)alternate.ss_sp;
    sh_require(sp >= low && sp - low < alternate.ss_size,
               "thread %d uses the heap on a stack that is neither its own nor its signal stack",
               (int)t->tid);
    return (struct range){low, low + alternate.ss_size};
}

void
world_enter_safe_here(struct thread *t, uintptr_t sp)
{
    t->other_stack = own_signal_stack(t, sp);
    world_enter_safe(t, t->other_stack.end == 0 ? sp : 0);
}

/* The stopper counts and then looks at the state; who is safe looks in the other order. */
void
world_take_signals(struct thread *t)
{
    uint32_t sent = atomic_load(&t->signals);
    if (likely(sent == t->signals_taken))
        return;
    while (sent % 2 == 1) {
        pause_processor();
        sent = atomic_load(&t->signals);
    }
    syscall(SYS_gettid); /* a pending signal is delivered when a system call returns */
    t->signals_taken = sent;
}

struct safe_work {
    void (*work)(void *arg);
    void *arg;
};

void
world_safe_call_spilled(void *sp, void (*work)(void *arg), void *arg)
{
    struct thread *t = thread_self();
    if (atomic_load_explicit(&t->state, memory_order_relaxed) == THREAD_SAFE) {
        work(arg);
        return;
    }
    world_enter_safe_here(t, (uintptr_t)sp);
    work(arg);
    world_leave_safe(t);
}

static void
run_safely(void *sp, void *arg)
{
    struct safe_work *w = arg;
    world_safe_call_spilled(sp, w->work, w->arg);
}

void
world_safe_call(void (*work)(void *arg), void *arg)
{
    struct safe_work w = {work, arg};
    if (unlikely(cache_self == NULL))
        hook_attach_caller();
    registers_spill_call(run_safely, &w);
}

/* What the callers keep in registers they have spilled where they became safe. */
void
world_running_call(void (*work)(void *arg), void *arg)
{
    struct thread *t = thread_self();
    if (t == NULL || atomic_load_explicit(&t->state, memory_order_relaxed) == THREAD_RUNNING) {
        work(arg);
        return;
    }
    uintptr_t sp = t->sp;
    struct range other_stack = t->other_stack;
    world_leave_safe(t);
    work(arg);
    t->other_stack = other_stack;
    world_enter_safe(t, sp);
    world_take_signals(t);
}

static void
take_lock(void *lock)
{
    lock_take(lock);
}

void
world_lock_safely(struct lock *lock)
{
    world_safe_call(take_lock, lock);
}

static void
nothing(void *arg)
{
    (void)arg;
}

void
hook_stop_here(struct cache *c)
{
    atomic_store_explicit(&c->stop_pending, 0, memory_order_relaxed);
    if (atomic_load(&world.stopping))
        world_safe_call(nothing, NULL);
}

void
sh_safepoint(void)
{
    if (unlikely(atomic_load(&world.stopping)) && cache_self != NULL)
        hook_stop_here(cache_self);
}

static void
zero(void *arg)
{
    struct range *r = arg;
    memset((void *)r->start, 0, r->end - r->start);
}

void
hook_zero_pages(void *p, size_t size)
{
    struct range r = {(uintptr_t)p, (uintptr_t)p + size};
    world_safe_call(zero, &r);
}

/* ---- The stop signal ---- */

static uintptr_t
interrupted_sp(const ucontext_t *context)
{
#if defined(__x86_64__)
    return (uintptr_t)context->uc_mcontext.gregs[REG_RSP];
#else
    return (uintptr_t)context->uc_mcontext.sp;
#endif
}

static uintptr_t
interrupted_pc(const ucontext_t *context)
{
#if defined(__x86_64__)
    return (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
#else
    return (uintptr_t)context->uc_mcontext.pc;
#endif
}

/* A thread found inside sh_store begins it again; see store.S. */
static void
restart_store(ucontext_t *context)
{
    uintptr_t begin = (uintptr_t)sh_store_begin, commit = (uintptr_t)sh_store_commit;
#if defined(__x86_64__)
    greg_t *pc = &context->uc_mcontext.gregs[REG_RIP];
#else
    unsigned long long *pc = &context->uc_mcontext.pc;
#endif
    if ((uintptr_t)*pc > begin && (uintptr_t)*pc <= commit)
        memcpy(pc, &begin, sizeof begin);
}

/*
 * Which memory holds the interrupted frames. The usual case: the handler runs on the thread's own
 * stack, and everything from here up (registers in the kernel's frame included) is one piece.
 * Otherwise it runs on an alternate signal stack: the kernel's frame is there, the interrupted
 * frames are on the ordinary stack, or on the alternate one too, if a user's handler was
 * interrupted.
 */
static uintptr_t
find_stacks(struct thread *t, const ucontext_t *context, uintptr_t here)
{
    t->other_stack = (struct range){0, 0};
    if (on_ordinary_stack(t, here))
        return here;
    uintptr_t low = (uintptr_t)context->uc_stack.ss_sp, high = low + context->uc_stack.ss_size;
    uintptr_t sp = interrupted_sp(context);
    sh_require(here >= low && here < high,
               "thread %d was stopped on a stack that is neither its own nor its signal stack",
               t->tid);
    t->other_stack = (struct range){here & ~(WORD_B - 1), high};
    if (on_ordinary_stack(t, sp))
        return sp - RED_ZONE_B;
    t->other_stack.start = low;
    return 0;
}

static void
on_stop_signal(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)info;
    struct thread *t = thread_self();
    if (t == NULL || !atomic_load(&world.stopping) || atomic_load(&t->state) == THREAD_SAFE)
        return;
    if (atomic_load_explicit(&t->cache.depth, memory_order_relaxed) > 0) {
        atomic_store_explicit(&t->cache.stop_pending, 1, memory_order_relaxed);
        return;
    }
    int saved_errno = errno;
    uintptr_t here = (uintptr_t)&saved_errno & ~(WORD_B - 1);
    if (!fault(FAULT_NO_RESTART))
        restart_store(context);
    uintptr_t sp = find_stacks(t, context, here);
    t->interrupted_pc = interrupted_pc(context);
    t->interrupted_sp = interrupted_sp(context);
    world_enter_safe(t, sp & ~(WORD_B - 1));
    world_leave_safe(t);
    t->interrupted_pc = t->interrupted_sp = 0;
    errno = saved_errno;
}

void
world_init(int signal)
{
    world.processors = os_processors();
    world.signal = signal == 0 ? SIGPWR : signal;
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};
    action.sa_sigaction = on_stop_signal;
    sigfillset(&action.sa_mask);
    sh_require(sigaction(world.signal, &action, NULL) == 0,
               "SH_SIGNAL: signal %d cannot be used to stop threads", world.signal);
    world.handler_installed = true;
}

/* ---- Stop and start ---- */

/* Copies the line of /proc/self/task/TID/status that begins with name; no stdio, no malloc. */
static void
status_line(pid_t tid, const char *name, char *out, size_t out_size)
{
    char path[64], text[2048];
    snprintf(path, sizeof path, "/proc/self/task/%d/status", (int)tid);
    out[0] = '\0';
    long fd =
        syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC); /* no cancellation points */
    if (fd < 0)
        return;
    long n = syscall(SYS_read, fd, text, sizeof text - 1);
    syscall(SYS_close, fd);
    text[n > 0 ? n : 0] = '\0';
    const char *line = strstr(text, name);
    if (line == NULL)
        return;
    size_t length = size_min(strcspn(line, "\n"), out_size - 1);
    memcpy(out, line, length);
    out[length] = '\0';
}

static void
name_laggards(void)
{
    for (struct thread *t = world.threads; t != NULL; t = t->next) {
        if (atomic_load(&t->state) == THREAD_SAFE)
            continue;
        char state[64], blocked[64];
        status_line(t->tid, "State:", state, sizeof state);
        status_line(t->tid, "SigBlk:", blocked, sizeof blocked);
        sh_warn("thread %d has not stopped for a second (%s, %s; stop signal %d%s)", (int)t->tid,
                state, blocked, world.signal,
                atomic_load(&t->cache.depth) > 0 ? ", inside the allocator" : "");
    }
}

static unsigned
count_running(void)
{
    unsigned running = 0;
    for (struct thread *t = world.threads; t != NULL; t = t->next)
        running += atomic_load(&t->state) == THREAD_RUNNING;
    return running;
}

/* Asks all running threads to stop. Inside the allocator and on the way out of it a note is enough.
   Returns how many there are. */
static unsigned
leave_notes(void)
{
    unsigned running = 0;
    for (struct thread *t = world.threads; t != NULL; t = t->next) {
        if (atomic_load(&t->state) != THREAD_RUNNING)
            continue;
        atomic_store(&t->cache.stop_pending, 1);
        running++;
    }
    return running;
}

static void
send_signals(void)
{
    pid_t process = getpid();
    for (struct thread *t = world.threads; t != NULL; t = t->next) {
        atomic_fetch_add(&t->signals, 1);
        if (atomic_load(&t->state) == THREAD_RUNNING)
            syscall(SYS_tgkill, process, t->tid, world.signal);
        atomic_fetch_add(&t->signals, 1);
    }
}

/* The stopper says that it will sleep, and then looks; who arrives looks in the other order. */
static void
wait_for_all(void)
{
    uint64_t patience_end = os_now_ns() + STOP_PATIENCE_NS;
    atomic_store(&world.awaiting, 1);
    for (bool named = false;;) {
        uint32_t seen = atomic_load(&world.acks);
        if (count_running() == 0)
            break;
        os_futex_wait(&world.acks, seen, STOP_PATIENCE_NS / 10);
        if (!named && os_now_ns() > patience_end) {
            name_laggards();
            named = true;
        }
    }
    atomic_store(&world.awaiting, 0);
}

void
world_stop(void)
{
    lock_take(&world.lock);
    atomic_store(&world.stopping, 1);
    unsigned running = leave_notes();
    stress_edge();
    bool crowded = running + 1 > world.processors;
    atomic_store(&world.crowded, crowded);
    for (int i = 0; running > 0 && i < NOTE_SPINS && !crowded; i++) {
        pause_processor();
        running = count_running();
    }
    if (running > 0) {
        send_signals();
        wait_for_all();
    }
    world.stops++;
}

void
world_start(void)
{
    atomic_store(&world.stopping, 0);
    if (atomic_load(&world.asleep) > 0)
        os_futex_wake_all(&world.stopping);
    lock_drop(&world.lock);
}
