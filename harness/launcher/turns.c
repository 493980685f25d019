/* --turns: see launcher.c. */
#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Waits for a turn. False: there is none, as whoever gives them has gone or wants an end. */
static int
await_turn(void)
{
    char byte;
    ssize_t got;

    do
        got = stop_signal != 0 ? 0 : read(STDIN_FILENO, &byte, 1);
    while (got < 0 && errno == EINTR);
    return got == 1;
}

/* Until the program has ended (true), or for so long. */
static int
ends_within(int pidfd, uint64_t ns)
{
    struct pollfd wait_for = {.fd = pidfd, .events = POLLIN};
    struct timespec limit = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};

    return ppoll(&wait_for, 1, &limit, NULL) > 0;
}

/* To the program's group, and to the program if it has left that. */
static void
signal_all(pid_t child, int number)
{
    kill(-child, number);
    if (getpgid(child) != child)
        kill(child, number);
}

/* Lets it go on. A processor of a virtual machine is slow or fast for seconds, so its first thread
   begins each turn on the same one as that of its rivals. It is put there by the wake-up, within
   the call of kill(); from then on it may go where it likes. */
static void
resume(const struct options *o, pid_t child)
{
    if (o->cpu >= 0)
        confine(child, o->cpu);
    signal_all(child, SIGCONT);
    if (o->cpu >= 0)
        sched_setaffinity(child, sizeof(o->processors), &o->processors);
}

/* Stops it with all its threads. True: it has ended instead. One that waits in the kernel, for its
   disk or for a child that it shares memory with (vfork), does not run, and stops later. */
static int
halt(pid_t child)
{
    static const struct timespec long_enough = {0, 20000000};
    sigset_t news;
    siginfo_t info = {0};

    sigemptyset(&news);
    sigaddset(&news, SIGCHLD);
    signal_all(child, SIGSTOP);
    for (;;) {
        if (waitid(P_PID, (id_t)child, &info, WSTOPPED | WEXITED | WNOWAIT | WNOHANG) != 0)
            die("waitid");
        if (info.si_pid != 0)
            break;
        if (sigtimedwait(&news, NULL, &long_enough) < 0 && errno == EAGAIN)
            return 0;
    }
    if (info.si_code != CLD_STOPPED)
        return 1;
    waitid(P_PID, (id_t)child, &info, WSTOPPED);
    return 0;
}

static void
note_turn(struct outcome *result, struct turn turn)
{
    size_t n = result->turn_count++;

    if ((n & (n - 1)) == 0) {
        result->turns = realloc(result->turns, (n == 0 ? 1 : 2 * n) * sizeof(turn));
        if (result->turns == NULL)
            die("turns");
    }
    result->turns[n] = turn;
    result->wall_ns += turn.end_ns - turn.begin_ns;
}

static uint64_t
turn_length_ns(const struct options *o, size_t number)
{
    double ms = o->turn_ms;

    for (; number >= TURNS_A_LENGTH && ms < 1000; number -= TURNS_A_LENGTH)
        ms *= 2;
    return (uint64_t)(ms * 1e6);
}

pid_t
run_in_turns(struct options *o, struct outcome *result, int *pidfd)
{
    pid_t child = -1;
    int ended = 0;
    sigset_t news;

    sigemptyset(&news);
    sigaddset(&news, SIGCHLD);
    sigprocmask(SIG_BLOCK, &news, NULL); /* halt() waits for it */
    while (!ended && !result->timed_out) {
        struct turn turn;

        if (!await_turn()) {
            if (child == -1)
                exit(3);
            stop_signal = SIGTERM;
            result->timed_out = 1;
            break;
        }
        turn.begin_ns = now_ns();
        if (child == -1)
            child = start_program(o, pidfd);
        else
            resume(o, child);
        ended = ends_within(*pidfd, turn_length_ns(o, result->turn_count)) || halt(child);
        turn.end_ns = now_ns();
        note_turn(result, turn);
        result->timed_out = !ended && (double)result->wall_ns > o->timeout_s * 1e9;
        if (!ended && write(STDOUT_FILENO, "s", 1) != 1)
            result->timed_out = stop_signal = SIGTERM;
    }
    return child;
}
