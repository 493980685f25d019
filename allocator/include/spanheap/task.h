/*
 * Tasks: Go's goroutines. A task is a function that runs on a stack of its own; any number of them
 * share a few threads, and one that waits (for a channel, a time, a wait group) costs no thread.
 *
 *     static void consume(void *arg) { struct sh_channel *c = arg; int v;
 *                                      while (sh_channel_receive(c, &v)) use(v); }
 *     sh_task_start(consume, channel);
 *
 * How it differs from Go. Tasks are not interrupted: one that computes for long calls
 * sh_task_yield() now and then, or it keeps its thread to itself. A stack has a fixed size,
 * SH_TASK_STACK (default 64 KiB of addresses), as C code cannot be moved to a larger one; memory
 * comes as it is touched, so that a task that waits takes a page of 4 KiB and some 300 bytes, where
 * a goroutine takes 2 KiB and 400. Running over the stack's end is fatal: at once where the kernel
 * can guard it (Linux 6.13), else when the task waits the next time. A system call that blocks
 * keeps the thread. The program's end does not wait for tasks.
 *
 * A task may go on in another thread after each call that can wait: errno, thread-local variables
 * and pthread mutexes do not go along. Threads that are no tasks may use channels as well; they
 * block.
 *
 * After fork the child has the task that forked, if it was one, and no other; what others waited
 * for must not be used there.
 */
#ifndef SPANHEAP_TASK_H
#define SPANHEAP_TASK_H

#include <spanheap.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Starts a task that runs run(arg) and ends when it returns. arg is kept alive. Returns the task's
 * number, from 1. Fatal if run is NULL (as in Go), or without memory for a stack. */
SH_API uint64_t sh_task_start(void (*run)(void *arg), void *arg);

/** Lets other tasks run. Of a thread that is no task: sched_yield(). */
SH_API void sh_task_yield(void);
/** Waits, at least so long. */
SH_API void sh_task_sleep(uint64_t ns);
/** The number of the calling task; 0: the caller is a thread. */
SH_API uint64_t sh_task_number(void);
/** How many tasks have been started and not ended. */
SH_API size_t sh_task_count(void);

/**
 * The threads that run tasks: the processors, or SH_TASK_THREADS, unless this says otherwise (Go's
 * GOMAXPROCS). Threads that were started stay. Returns the old number. Fatal: 0.
 */
SH_API unsigned sh_task_set_threads(unsigned threads);

/* ---- Waiting for several tasks ----------------------------------------------------------------
 */

struct sh_waiter;
/** Go's sync.WaitGroup: a variable that is zero. */
struct sh_wait_group {
    int64_t count;
    struct sh_waiter *first; /* the library's, as the rest */
    uint32_t lock;
};

/** Adds to the count, or subtracts. At 0 all who wait go on. Panics below 0. */
SH_API void sh_wait_group_add(struct sh_wait_group *group, int64_t delta);
/** sh_wait_group_add(group, -1). */
SH_API void sh_wait_group_done(struct sh_wait_group *group);
/** Waits until the count is 0. */
SH_API void sh_wait_group_wait(struct sh_wait_group *group);

/* ---- Looking at tasks -------------------------------------------------------------------------
 */

/** A task, as it was a moment ago. */
struct sh_task_info {
    uint64_t number;
    const char *state;      /**< "running", "runnable", or what it waits for, in Go's words */
    uint64_t waiting_ns;    /**< since when; 0: it does not wait */
    const void *waits_on;   /**< the channel or wait group; NULL: none, several, or a time */
    const void *waits_at;   /**< the code that called what waits; NULL: it does not wait */
    const void *runs;       /**< its function */
    const void *started_at; /**< the code that called sh_task_start() */
    uint64_t started_by;    /**< the number of the task that did; 0: a thread */
};

/** Copies what is known of the tasks with numbers above `after`, by number, at most max. Returns
 * how many there are. */
SH_API size_t sh_tasks_read(uint64_t after, struct sh_task_info *out, size_t max);

/**
 * Writes all tasks to a file descriptor, as Go's runtime does when it ends by a panic: number,
 * state, since when, where it waits, its function, where it was started. Names are those of the
 * symbol tables. Returns how many.
 */
SH_API size_t sh_tasks_dump(int fd);

/** The number of the newest task, for sh_tasks_leaked(). */
SH_API uint64_t sh_tasks_newest(void);
/**
 * Leak check: waits until no task with a number above `after` is left, looking again after 1, 2, 4,
 * ... up to 100 ms, but no longer than timeout_ns. Returns how many are left, and copies what is
 * known of at most max of them. After the manner of Uber's goleak:
 *
 *     uint64_t before = sh_tasks_newest();
 *     ...
 *     assert(sh_tasks_leaked(before, 1000000000, info, 10) == 0);
 */
SH_API size_t sh_tasks_leaked(uint64_t after, uint64_t timeout_ns, struct sh_task_info *out,
                              size_t max);
/**
 * The same, and writes those that are left, and no others, to a file descriptor, each as
 * sh_tasks_dump() does: what it waits for and where, its function, where it was started. Returns
 * how many are left; writes nothing if none is.
 *
 *     assert(sh_tasks_print_leaked(STDERR_FILENO, before, 1000000000) == 0);
 */
SH_API size_t sh_tasks_print_leaked(int fd, uint64_t after, uint64_t timeout_ns);

#ifdef __cplusplus
}
#endif
#endif
