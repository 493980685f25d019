/*
 * How threads come and go. A thread is in the list from before it exists: its argument is a root
 * until it runs, its result until it is joined. It leaves in the last round of the destructors of
 * its pthread keys, since those of the program may still use the heap.
 */
#define _GNU_SOURCE
#include "collector/threads.h"

#include "collector/barrier.h"
#include "heap/central.h"
#include "heap/meta.h"
#include "heap/os.h"
#include "heap/watch.h"

#include <limits.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_key_t leave_key SH_STATE;

struct threads_real threads_real SH_STATE;

/* ---- The list ---- */

static void
lock_list(void)
{
    if (cache_self != NULL)
        world_lock_safely(&world.lock);
    else
        lock_take(&world.lock);
}

struct thread *
world_make_thread(enum thread_life life)
{
    struct thread *t = meta_alloc(sizeof *t);
    if (t == NULL)
        return NULL;
    cache_init(&t->cache);
    t->life = life;
    atomic_store(&t->state, THREAD_SAFE);
    return t;
}

static struct {
    uint64_t used[THREAD_NUMBERS / 64]; /* guarded by world.lock */
    _Atomic uint32_t end;
} numbers SH_STATE;

uint32_t
threads_numbers(void)
{
    return atomic_load_explicit(&numbers.end, memory_order_relaxed);
}

static void
note_end_of_numbers(void)
{
    uint32_t end = 0;
    for (uint32_t i = 0; i < THREAD_NUMBERS / 64; i++)
        if (numbers.used[i] != 0)
            end = 64 * i + 64 - (uint32_t)__builtin_clzll(numbers.used[i]);
    atomic_store(&numbers.end, end);
}

/* The list's lock is held, as below. */
static void
take_number(struct cache *c)
{
    c->number = NO_NUMBER;
    for (uint32_t i = 0; i < THREAD_NUMBERS / 64 && c->number == NO_NUMBER; i++) {
        if (~numbers.used[i] == 0)
            continue;
        uint32_t bit = (uint32_t)__builtin_ctzll(~numbers.used[i]);
        numbers.used[i] |= UINT64_C(1) << bit;
        c->number = 64 * i + bit;
    }
    note_end_of_numbers();
}

static void
give_number(struct cache *c)
{
    if (c->number == NO_NUMBER)
        return;
    numbers.used[c->number / 64] &= ~(UINT64_C(1) << (c->number % 64));
    c->number = NO_NUMBER;
    note_end_of_numbers();
}

void
world_add_thread(struct thread *t)
{
    lock_list();
    take_number(&t->cache);
    t->next = world.threads;
    if (t->next != NULL)
        t->next->prev = t;
    world.threads = t;
    world.nthreads += t->life != LIFE_ENDED && !t->internal;
    lock_drop(&world.lock);
}

/* The list's lock is held. */
static void
unlink_thread(struct thread *t)
{
    if (t->prev != NULL)
        t->prev->next = t->next;
    else
        world.threads = t->next;
    if (t->next != NULL)
        t->next->prev = t->prev;
    world.nthreads -= t->life != LIFE_ENDED && !t->internal;
    if (t->life != LIFE_ENDED)
        central_leave_shard(t->cache.shard);
    give_number(&t->cache);
}

void
world_remove_thread(struct thread *t)
{
    lock_list();
    unlink_thread(t);
    counts_move(&world.ended_counts, &t->cache.counts);
    lock_drop(&world.lock);
    meta_free(t, sizeof *t);
}

/* The main thread's stack grows below what its limit says today, if the limit is raised later; the
   kernel keeps at least this gap free of other mappings. */
#define MAIN_STACK_GAP_B ((size_t)128 << 20)

/* The upper end of the main thread's stack, where the kernel has put the program's name. 0: it did
   not. */
static uintptr_t
end_of_main_stack(void)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), name = getauxval(AT_EXECFN);
    return name == 0 ? 0 : (name | (page - 1)) + 1;
}

static struct range
find_own_stack(const struct thread *t)
{
    pthread_attr_t attr;
    void *low = NULL;
    size_t size = 0;
    if (pthread_getattr_np(pthread_self(), &attr) != 0) {
        /* Of the main thread the C library reads it from /proc, which a container may not have. */
        uintptr_t end = t->tid == getpid() ? end_of_main_stack() : 0;
        sh_require(end != 0, "cannot find the stack of thread %d", (int)t->tid);
        return (struct range){end - MAIN_STACK_GAP_B, end};
    }
    pthread_attr_getstack(&attr, &low, &size);
    pthread_attr_destroy(&attr);
    uintptr_t high = (uintptr_t)low + size;
    if (t->tid == getpid() && size < MAIN_STACK_GAP_B)
        return (struct range){high - MAIN_STACK_GAP_B, high};
    return (struct range){(uintptr_t)low, high};
}

/* The signal may be blocked by inheritance: over exec, from the creating thread, by an attribute.
 */
static void
unblock_stop_signal(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, world.signal);
    threads_real.set_mask(SIG_UNBLOCK, &set, NULL);
}

/* Whether a thread's allocations take the fast path. The list's lock is held. */
static void
choose_path(struct thread *t)
{
    bool fast = atomic_load(&cache_sampling) == 0 && !heap_watch.on && !span_keep_types;
    if (t->fast != NULL)
        atomic_store(t->fast, fast ? &t->cache : NULL);
}

void
world_set_sampling(uint32_t sampling)
{
    atomic_store(&cache_sampling, sampling);
    for (struct thread *t = world.threads; t != NULL; t = t->next)
        choose_path(t);
}

void
world_adopt_self(struct thread *t)
{
    t->tid = (pid_t)syscall(SYS_gettid);
    struct range stack = find_own_stack(t);
    pthread_setspecific(leave_key, t);
    lock_take(&world.lock); /* a collection sees all of this or nothing */
    t->stack_low = stack.start;
    t->stack_high = stack.end;
    t->sp = (uintptr_t)__builtin_frame_address(0);
    t->thread_pointer = (uintptr_t)__builtin_thread_pointer();
    t->life = LIFE_ATTACHED;
    t->handle = pthread_self();
    t->fast = &cache_fast;
    choose_path(t);
    lock_drop(&world.lock);
    cache_self = &t->cache;
    unblock_stop_signal();
    world_leave_safe(t);
}

static void
leave_self(void *arg)
{
    struct thread *t = arg;
    cache_flush(&t->cache);
    barrier_flush(t);
    lock_take(&world.lock);
    atomic_store(&cache_fast, NULL);
    t->fast = NULL;
    counts_move(&world.ended_counts, &t->cache.counts);
    bool keep = t->created && !t->detached;
    if (keep) {
        world.nthreads--;
        central_leave_shard(t->cache.shard);
        give_number(&t->cache);
    } else {
        unlink_thread(t);
    }
    t->life = LIFE_ENDED;
    t->stack_high = t->stack_low = t->thread_pointer = 0;
    t->other_stack = (struct range){0, 0};
    lock_drop(&world.lock);
    if (!keep)
        meta_free(t, sizeof *t);
}

/*
 * The thread becomes safe and stays so: nothing of it is scanned any more but its result. The cycle
 * lock keeps a collection from running while its cache is flushed.
 */
static void
leave_for_good(void *sp, void *arg)
{
    struct thread *t = arg;
    world_enter_safe_here(t, (uintptr_t)sp);
    lock_take(&world.cycle_lock);
    cache_self = NULL;
    leave_self(t);
    lock_drop(&world.cycle_lock);
}

void
world_leave_self(struct thread *t)
{
    pthread_setspecific(leave_key, NULL);
    registers_spill_call(leave_for_good, t);
}

/* ThreadSanitizer's own end of a thread is in the last round, and nothing that it has instrumented
   may run after it. */
#if defined(__SANITIZE_THREAD__)
#define LEAVE_ROUND (PTHREAD_DESTRUCTOR_ITERATIONS - 1)
#else
#define LEAVE_ROUND PTHREAD_DESTRUCTOR_ITERATIONS
#endif

static _Thread_local int leave_rounds __attribute__((tls_model("initial-exec")));

bool
threads_is_ending(void)
{
    return leave_rounds >= LEAVE_ROUND;
}

static void
on_thread_end(void *arg)
{
    struct thread *t = arg;
    if (atomic_load(&t->state) == THREAD_SAFE) /* cancelled inside a blocking region */
        world_leave_safe(t);
    t->blocking_depth = 0;
    atomic_store(&t->away, false);
    if (++leave_rounds < LEAVE_ROUND)
        pthread_setspecific(leave_key, arg);
    else
        world_leave_self(arg);
}

void
threads_init(void)
{
    threads_real_init(&threads_real);
    sh_require(pthread_key_create(&leave_key, on_thread_end) == 0,
               "no pthread key is left for the library (PTHREAD_KEYS_MAX)");
}

/* ---- Threads made here ---- */

static struct thread *
caller(const char *function)
{
    if (cache_self == NULL)
        hook_attach_caller();
    sh_require(cache_self != NULL, "%s: the calling thread is not attached", function);
    return thread_self();
}

static void *
run_thread(void *arg)
{
    struct thread *t = arg;
    while (!atomic_load(&t->handle_known))
        os_futex_wait(&t->handle_known, 0, 0);
    world_adopt_self(t);
    void *start_arg = t->arg;
    SH_KEEP_ALIVE(start_arg);
    t->arg = NULL;
    t->result = t->start(start_arg);
    return t->result;
}

int
threads_create(threads_create_function create, pthread_t *thread, const pthread_attr_t *attr,
               void *(*start)(void *), void *arg)
{
    caller("sh_thread_create");
    int detach_state = PTHREAD_CREATE_JOINABLE;
    if (attr != NULL)
        pthread_attr_getdetachstate(attr, &detach_state);
    struct thread *t = world_make_thread(LIFE_STARTING);
    if (t == NULL)
        return EAGAIN;
    t->created = true;
    t->detached = detach_state == PTHREAD_CREATE_DETACHED;
    t->start = start;
    t->arg = arg;
    world_add_thread(t);
    int error = create(thread, attr, run_thread, t);
    if (error != 0) {
        world_remove_thread(t);
        return error;
    }
    lock_list();
    t->handle = *thread;
    lock_drop(&world.lock);
    atomic_store(&t->handle_known, 1);
    os_futex_wake_all(&t->handle_known);
    return 0;
}

int
threads_create_service(pthread_t *thread, void *(*start)(void *), void *arg)
{
    pthread_attr_t attr;
    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    threads_real.set_mask(SIG_BLOCK, &all, &before);
    int error = threads_create(threads_real.create, thread, &attr, start, arg);
    threads_real.set_mask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return error;
}

/* The record of a thread made here; the list's lock is held. */
static struct thread *
find_thread(pthread_t handle)
{
    for (struct thread *t = world.threads; t != NULL; t = t->next)
        if (t->created && !t->detached && !t->claimed && pthread_equal(t->handle, handle))
            return t;
    return NULL;
}

struct thread *
threads_claim(pthread_t handle)
{
    lock_list();
    struct thread *t = find_thread(handle);
    if (t != NULL)
        t->claimed = true;
    lock_drop(&world.lock);
    return t;
}

void
threads_settle(struct thread *t, bool done)
{
    if (t == NULL)
        return;
    lock_list();
    t->claimed = false;
    t->detached = t->detached || done;
    if (done)
        t->result = NULL;
    bool dead = done && t->life == LIFE_ENDED;
    if (dead)
        unlink_thread(t);
    lock_drop(&world.lock);
    if (dead)
        meta_free(t, sizeof *t);
}

struct join {
    struct thread *record;
    threads_join_function join;
    pthread_t thread;
    void **result;
    int error;
};

/* A thread cancelled while it waits runs its clean-up handlers as a running thread. */
static void
end_cancelled_wait(void *arg)
{
    struct join *j = arg;
    world_leave_safe(thread_self());
    threads_settle(j->record, false);
}

static void
wait_for_thread(void *arg)
{
    struct join *j = arg;
    pthread_cleanup_push(end_cancelled_wait, j);
    j->error = j->join(j->thread, j->result);
    pthread_cleanup_pop(0);
}

int
threads_join(threads_join_function join, pthread_t thread, void **result)
{
    void *value = NULL;
    caller("sh_thread_join");
    struct join j = {threads_claim(thread), join, thread, &value, 0};
    world_safe_call(wait_for_thread, &j);
    threads_settle(j.record, j.error == 0);
    if (j.error == 0 && result != NULL)
        *result = value;
    return j.error;
}

int
threads_detach(threads_detach_function detach, pthread_t thread)
{
    caller("sh_thread_detach");
    struct thread *t = threads_claim(thread);
    int error = detach(thread);
    threads_settle(t, error == 0);
    return error;
}

void
threads_set_result(void *result)
{
    struct thread *t = thread_self();
    if (t != NULL)
        t->result = result;
}

int
sh_thread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg)
{
    return threads_create(threads_real.create, thread, attr, start, arg);
}

int
sh_thread_join(pthread_t thread, void **result)
{
    return threads_join(threads_real.join, thread, result);
}

int
sh_thread_detach(pthread_t thread)
{
    return threads_detach(threads_real.detach, thread);
}

void
sh_thread_exit(void *result)
{
    threads_set_result(result);
    threads_real.exit(result);
    __builtin_unreachable();
}

int
sh_thread_sigmask(int how, const void *set, void *old_set)
{
    sigset_t allowed;
    if (set != NULL)
        set = threads_without_stop_signal(set, &allowed);
    return threads_real.set_mask(how, set, old_set);
}

const sigset_t *
threads_without_stop_signal(const sigset_t *set, sigset_t *buffer)
{
    if (set == NULL || !sigismember(set, world.signal))
        return set;
    *buffer = *set;
    sigdelset(buffer, world.signal);
    return buffer;
}

/* ---- Threads made elsewhere, and blocking ---- */

void
sh_thread_attach(void)
{
    sh_init();
    if (cache_self != NULL)
        return;
    struct thread *t = world_make_thread(LIFE_ATTACHED);
    sh_require(t != NULL, "sh_thread_attach: no memory for the thread's record");
    world_add_thread(t);
    world_adopt_self(t);
}

void
sh_thread_leave(void)
{
    struct thread *t = thread_self();
    if (t != NULL && !t->created)
        world_leave_self(t);
}

/* Called by sh_blocking_begin() with the spilled registers, which will soon be overwritten. */
void
blocking_begin_spilled(void *sp, void *arg)
{
    (void)arg;
    struct thread *t = caller("sh_blocking_begin");
    if (t->blocking_depth++ > 0)
        return;
    memcpy(t->registers, sp, sizeof t->registers);
    world_enter_safe_here(t, (uintptr_t)sp);
    world_take_signals(t);
}

void
sh_blocking_end(void)
{
    struct thread *t = caller("sh_blocking_end");
    sh_require(t->blocking_depth > 0, "sh_blocking_end without sh_blocking_begin");
    if (t->blocking_depth == 1)
        world_leave_safe(t); /* the registers it saved are roots up to here */
    t->blocking_depth--;
}
