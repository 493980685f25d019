/* Threads, their stacks, and the lock that keeps collections away. */
#include "shims/gc_shim.h"

#include "collector/threads.h"

#include <unistd.h>

/* Where a coroutine's stack may begin, below its end: only to tell it from an alternate signal
   stack. */
#define STACK_WINDOW_B ((uintptr_t)256 << 20)

static bool may_register SH_STATE;

/* ---- Made here ---- */

int
GC_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg)
{
    gc_start();
    return threads_create(threads_real.create, thread, attr, start, arg);
}

int
GC_pthread_join(pthread_t thread, void **result)
{
    return threads_join(threads_real.join, thread, result);
}

int
GC_pthread_detach(pthread_t thread)
{
    return threads_detach(threads_real.detach, thread);
}

int
GC_pthread_cancel(pthread_t thread)
{
    return pthread_cancel(thread);
}

void
GC_pthread_exit(void *result)
{
    threads_set_result(result);
    threads_real.exit(result);
    __builtin_unreachable();
}

int
GC_pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
    gc_start();
    sigset_t allowed;
    return threads_real.set_mask(how, threads_without_stop_signal(set, &allowed), old);
}

/* No collection is in the way of the loader here: its lock is held for the lists alone. */
void *
GC_dlopen(const char *path, int mode)
{
    return dlopen(path, mode);
}

/* ---- Made elsewhere ---- */

void
GC_allow_register_threads(void)
{
    gc_start();
    may_register = true;
}

int
GC_register_my_thread(const struct GC_stack_base *base)
{
    (void)base; /* the C library knows */
    if (!may_register)
        gc_die("GC_register_my_thread: call GC_allow_register_threads first");
    if (cache_self != NULL)
        return GC_DUPLICATE;
    sh_thread_attach();
    return GC_SUCCESS;
}

/* A thread made by GC_pthread_create() stays to its end. */
int
GC_unregister_my_thread(void)
{
    sh_thread_leave();
    return GC_SUCCESS;
}

int
GC_thread_is_registered(void)
{
    return cache_self != NULL;
}

/* The stop finds by itself on which stack a thread is. */
void
GC_register_altstack(void *stack, GC_word size, void *altstack, GC_word alt_size)
{
    (void)stack;
    (void)size;
    (void)altstack;
    (void)alt_size;
}

/* ---- Stacks ---- */

int
GC_get_stack_base(struct GC_stack_base *base)
{
    pthread_attr_t attr;
    void *low = NULL;
    size_t size = 0;
    if (pthread_getattr_np(pthread_self(), &attr) != 0)
        return GC_UNIMPLEMENTED;
    pthread_attr_getstack(&attr, &low, &size);
    pthread_attr_destroy(&attr);
    base->mem_base = (char *)low + size;
    return GC_SUCCESS;
}

void *
GC_call_with_stack_base(GC_stack_base_func fn, void *arg)
{
    struct GC_stack_base base = {__builtin_frame_address(0)};
    void *result = fn(&base, arg);
    SH_KEEP_ALIVE(&base); /* no tail call: the frame is there */
    return result;
}

static struct thread *
caller(const char *function)
{
    gc_start();
    if (cache_self == NULL)
        gc_die("%s: the thread is not registered", function);
    return thread_self();
}

void *
GC_get_my_stackbottom(struct GC_stack_base *base)
{
    struct thread *t = caller("GC_get_my_stackbottom");
    base->mem_base = (void *)t->stack_high;
    return t;
}

void
GC_set_stackbottom(void *thread, const struct GC_stack_base *base)
{
    struct thread *t = thread == NULL ? caller("GC_set_stackbottom") : thread;
    uintptr_t high = (uintptr_t)base->mem_base;
    struct cache *own = cache_self;
    cache_enter(own); /* no stop between the two */
    t->stack_low = high > STACK_WINDOW_B ? high - STACK_WINDOW_B : 0;
    t->stack_high = high;
    cache_leave(own);
}

/* ---- Blocking ---- */

struct call {
    GC_fn_type fn;
    void *arg, *result;
    bool away;
};

static void
run_call(void *call)
{
    struct call *c = call;
    struct thread *t = thread_self();
    if (t == NULL) {
        c->result = c->fn(c->arg);
        return;
    }
    bool was_away = atomic_load(&t->away);
    atomic_store(&t->away, c->away);
    c->result = c->fn(c->arg);
    atomic_store(&t->away, was_away);
}

void *
GC_do_blocking(GC_fn_type fn, void *arg)
{
    struct call c = {fn, arg, NULL, true};
    gc_start();
    world_safe_call(run_call, &c);
    return c.result;
}

void *
GC_call_with_gc_active(GC_fn_type fn, void *arg)
{
    struct call c = {fn, arg, NULL, false};
    gc_start();
    world_running_call(run_call, &c);
    return c.result;
}

/* Of those that the collector has to stop, as Boehm's tells: not of its own thread, nor of one in
   GC_do_blocking(). */
void
gc_tell_of_stopped(void)
{
    GC_on_thread_event_proc proc = GC_get_on_thread_event();
    for (struct thread *t = world.threads; t != NULL; t = t->next) {
        t->told_of = proc != NULL && t != thread_self() && t->life == LIFE_ATTACHED &&
                     !t->internal && !atomic_load(&t->away);
        if (t->told_of)
            proc(GC_EVENT_THREAD_SUSPENDED, (void *)t->handle);
    }
}

void
gc_tell_of_released(void)
{
    GC_on_thread_event_proc proc = GC_get_on_thread_event();
    for (struct thread *t = world.threads; t != NULL; t = t->next)
        if (t->told_of && proc != NULL)
            proc(GC_EVENT_THREAD_UNSUSPENDED, (void *)t->handle);
}

/* ---- The lock ---- */

_Thread_local unsigned gc_alloc_lock_depth __attribute__((tls_model("initial-exec")));
_Thread_local bool gc_in_stop __attribute__((tls_model("initial-exec")));

/* Who collects or stops the world holds it from beginning to end. */
void
gc_alloc_lock_take(void)
{
    gc_start();
    if (gc_alloc_lock_depth++ > 0)
        return;
    if (cache_self != NULL)
        world_lock_safely(&world.cycle_lock);
    else
        lock_take(&world.cycle_lock);
}

void
gc_alloc_lock_drop(void)
{
    if (--gc_alloc_lock_depth == 0)
        lock_drop(&world.cycle_lock);
}

void
GC_alloc_lock(void)
{
    gc_alloc_lock_take();
}

void
GC_alloc_unlock(void)
{
    gc_alloc_lock_drop();
}

void *
GC_call_with_alloc_lock(GC_fn_type fn, void *arg)
{
    gc_alloc_lock_take();
    void *result = fn(arg);
    gc_alloc_lock_drop();
    return result;
}

/* ---- Signals, markers, fork: by the library itself ---- */

void
GC_set_suspend_signal(int number)
{
    (void)number;
}

void
GC_set_thr_restart_signal(int number)
{
    (void)number;
}

int
GC_get_suspend_signal(void)
{
    gc_start();
    return world.signal;
}

/* Threads are let go without a signal; Boehm's number, for those who block it. */
int
GC_get_thr_restart_signal(void)
{
    return SIGXCPU;
}

void
GC_start_mark_threads(void)
{
}

void
GC_set_markers_count(unsigned n)
{
    (void)n;
}

void
GC_set_handle_fork(int how)
{
    (void)how;
}

void
GC_atfork_prepare(void)
{
}

void
GC_atfork_parent(void)
{
}

void
GC_atfork_child(void)
{
}
