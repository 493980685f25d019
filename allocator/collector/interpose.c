/*
 * Only in the shared library: functions of the C library that are taken over, so that a program
 * linked with it needs no sh_thread_*() of its own.
 *   Threads are attached from their creation on (pthread_create, thrd_create, their join, detach
 * and exit). The stop signal gets through: it is taken out of every set of signals that a thread
 * blocks or waits for, and its handler cannot be replaced.
 */
#define _GNU_SOURCE
#include "collector/threads.h"

#include <dlfcn.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <threads.h>

/* The C library's functions of these names, looked up once at the start: dlsym takes the loader's
   lock, which a signal handler or the child of a fork may find held. */
#define TAKEN_OVER(X)                                                                              \
    X(pthread_tryjoin_np)                                                                          \
    X(pthread_timedjoin_np)                                                                        \
    X(pthread_clockjoin_np)                                                                        \
    X(sigaction)                                                                                   \
    X(signal)                                                                                      \
    X(sigsuspend)                                                                                  \
    X(sigwait)                                                                                     \
    X(sigwaitinfo)                                                                                 \
    X(sigtimedwait)                                                                                \
    X(signalfd)                                                                                    \
    X(ppoll)                                                                                       \
    X(pselect)                                                                                     \
    X(epoll_pwait)                                                                                 \
    X(epoll_pwait2)

#define MEMBER(name) __typeof__(&(name)) real_##name;
static struct {
    TAKEN_OVER(MEMBER)
} real SH_STATE;

static void *
look_up(const char *name)
{
    void *function = dlsym(RTLD_NEXT, name);
    sh_require(function != NULL, "the C library has no %s", name);
    return function;
}

/* Found at the first call where that comes before the library's start. */
#define REAL(name)                                                                                 \
    (*(real.real_##name != NULL ? real.real_##name : (__typeof__(&(name)))look_up(#name)))
#define FIND(name) real.real_##name = (__typeof__(&(name)))look_up(#name);

void
threads_real_init(struct threads_real *r)
{
    r->create = (threads_create_function)look_up("pthread_create");
    r->join = (threads_join_function)look_up("pthread_join");
    r->detach = (threads_detach_function)look_up("pthread_detach");
    r->exit = (threads_exit_function)look_up("pthread_exit");
    r->set_mask = (threads_mask_function)look_up("pthread_sigmask");
    TAKEN_OVER(FIND)
}

/* ---- Threads ---- */

SH_API int
pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg)
{
    sh_init();
    return threads_create(threads_real.create, thread, attr, start, arg);
}

SH_API int
pthread_join(pthread_t thread, void **result)
{
    sh_init();
    return threads_join(threads_real.join, thread, result);
}

SH_API int
pthread_detach(pthread_t thread)
{
    sh_init();
    return threads_detach(threads_real.detach, thread);
}

SH_API void
pthread_exit(void *result)
{
    sh_init();
    threads_set_result(result);
    threads_real.exit(result);
    __builtin_unreachable();
}

SH_API int
pthread_tryjoin_np(pthread_t thread, void **result)
{
    struct thread *t = threads_claim(thread);
    int error = REAL(pthread_tryjoin_np)(thread, result);
    threads_settle(t, error == 0);
    return error;
}

SH_API int
pthread_clockjoin_np(pthread_t thread, void **result, clockid_t clock, const struct timespec *end)
{
    struct thread *t = threads_claim(thread);
    int error = REAL(pthread_clockjoin_np)(thread, result, clock, end);
    threads_settle(t, error == 0);
    return error;
}

SH_API int
pthread_timedjoin_np(pthread_t thread, void **result, const struct timespec *end)
{
    return pthread_clockjoin_np(thread, result, CLOCK_REALTIME, end);
}

SH_API int
thrd_create(thrd_t *thread, thrd_start_t start, void *arg)
{
    /* A C11 thread returns an int; on both architectures it is the low half of a pointer's
       register, and thrd_join reads no more. */
    void *(*as_pointer)(void *) = (void *(*)(void *))(void (*)(void))start;
    int error = pthread_create(thread, NULL, as_pointer, arg);
    return error == 0 ? thrd_success : error == EAGAIN ? thrd_nomem : thrd_error;
}

SH_API int
thrd_join(thrd_t thread, int *result)
{
    void *value = NULL;
    if (pthread_join(thread, &value) != 0)
        return thrd_error;
    if (result != NULL)
        *result = (int)(intptr_t)value;
    return thrd_success;
}

SH_API int
thrd_detach(thrd_t thread)
{
    return pthread_detach(thread) == 0 ? thrd_success : thrd_error;
}

SH_API void
thrd_exit(int result)
{
    pthread_exit((void *)(intptr_t)result);
}

/* ---- Signals ---- */

SH_API int
pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
    sh_init();
    sigset_t allowed;
    return threads_real.set_mask(how, threads_without_stop_signal(set, &allowed), old);
}

SH_API int
sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
    int error = pthread_sigmask(how, set, old);
    if (error != 0)
        errno = error;
    return error == 0 ? 0 : -1;
}

SH_API int
sigsuspend(const sigset_t *set)
{
    sigset_t allowed;
    return REAL(sigsuspend)(threads_without_stop_signal(set, &allowed));
}

SH_API int
sigwait(const sigset_t *set, int *signal)
{
    sigset_t allowed;
    return REAL(sigwait)(threads_without_stop_signal(set, &allowed), signal);
}

SH_API int
sigwaitinfo(const sigset_t *set, siginfo_t *info)
{
    sigset_t allowed;
    return REAL(sigwaitinfo)(threads_without_stop_signal(set, &allowed), info);
}

SH_API int
sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *timeout)
{
    sigset_t allowed;
    return REAL(sigtimedwait)(threads_without_stop_signal(set, &allowed), info, timeout);
}

SH_API int
signalfd(int fd, const sigset_t *set, int flags)
{
    sigset_t allowed;
    return REAL(signalfd)(fd, threads_without_stop_signal(set, &allowed), flags);
}

SH_API int
ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *set)
{
    sigset_t allowed;
    return REAL(ppoll)(fds, n, timeout, threads_without_stop_signal(set, &allowed));
}

SH_API int
pselect(int n, fd_set *reads, fd_set *writes, fd_set *others, const struct timespec *timeout,
        const sigset_t *set)
{
    sigset_t allowed;
    return REAL(pselect)(n, reads, writes, others, timeout,
                         threads_without_stop_signal(set, &allowed));
}

SH_API int
epoll_pwait(int fd, struct epoll_event *events, int max, int timeout_ms, const sigset_t *set)
{
    sigset_t allowed;
    return REAL(epoll_pwait)(fd, events, max, timeout_ms,
                             threads_without_stop_signal(set, &allowed));
}

SH_API int
epoll_pwait2(int fd, struct epoll_event *events, int max, const struct timespec *timeout,
             const sigset_t *set)
{
    sigset_t allowed;
    return REAL(epoll_pwait2)(fd, events, max, timeout, threads_without_stop_signal(set, &allowed));
}

/* The stop signal's own handler stays: EINVAL, as for SIGKILL. world_init() comes through here too,
   before the handler is installed. No other handler runs with the stop signal blocked. */
SH_API int
sigaction(int signal, const struct sigaction *action, struct sigaction *old)
{
    if (action == NULL || !world.handler_installed)
        return REAL(sigaction)(signal, action, old);
    if (signal == world.signal) {
        errno = EINVAL;
        return -1;
    }
    struct sigaction allowed = *action;
    sigdelset(&allowed.sa_mask, world.signal);
    return REAL(sigaction)(signal, &allowed, old);
}

SH_API sighandler_t
signal(int number, sighandler_t handler)
{
    if (number == world.signal && world.handler_installed) {
        errno = EINVAL;
        return SIG_ERR;
    }
    return REAL(signal)(number, handler);
}
