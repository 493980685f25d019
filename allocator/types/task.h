/*
 * Tasks from the inside. A task is
 *   TASK_FREE      a record and a stack without a task;
 *   TASK_PARKED    it waits, and somebody will call task_ready();
 *   TASK_READY     in a queue, to be run by whoever comes;
 *   TASK_RUNNING   on a thread.
 * Parked and ready ones are off: their registers lie on their stacks, from `sp` up.
 *
 * Who parks holds the lock of what it waits for until it is off, else it could be made ready, and
 * run by another thread, while it still runs here: so the lock is dropped by whoever runs next on
 * this thread (task_park).
 */
#ifndef SPANHEAP_TYPES_TASK_H
#define SPANHEAP_TYPES_TASK_H

#include "heap/base.h"
#include "types/defer.h"
#include "types/fiber.h"

#include <spanheap/task.h>

enum task_state { TASK_FREE, TASK_PARKED, TASK_READY, TASK_RUNNING };

struct task {
    uintptr_t sp; /* of a task that is off */
    uintptr_t stack_low, stack_high;
    uint64_t *canary;       /* at the low end of a stack without a guard; NULL: it has one */
    _Atomic uint32_t state; /* enum task_state */
    _Atomic uint32_t scan;  /* parked_epoch in which its stack was scanned, times 2; odd: being
                               scanned */
    struct task *next;      /* in a queue, or among the free ones */
    struct flow flow;       /* of a task that is off */
    struct fiber fiber;
    void (*run)(void *arg);
    void *arg; /* until it runs: lies on its stack too */
    /* For those who look. */
    _Atomic uint64_t number;
    const void *started_at;
    uint64_t started_by;
    _Atomic(const char *) why; /* it is parked */
    _Atomic(const void *) waits_on, waits_at;
    _Atomic uint64_t since_ns;
};

/* ---- Records and stacks: stacks.c ---- */

/** A free record with a stack; NULL: no memory. Its state stays TASK_FREE. */
struct task *stacks_take(void);
/** Gives it back. Nobody is on the stack. */
void stacks_give(struct task *t);
/** Calls visit() for each record that is or was in use. */
void stacks_each(void (*visit)(struct task *t, void *arg), void *arg);
/** In the child of a fork: all but `keep` are free. */
void stacks_after_fork(struct task *keep);
/** Fatal if the stack has been run over. */
void stacks_check(const struct task *t);
/** Scans the stack of a task that is about to be run, if a collection needs that. */
void stacks_before_run(struct task *t);

/* ---- For those who look: task.c ---- */

/** One line that says where a task was started. Returns its length. */
size_t task_format_start(char *line, size_t size, uint64_t started_by, const void *started_at);

/* ---- Scheduling: scheduler.c ---- */

/** The running task; NULL: the caller is a thread. */
struct task *task_self(void);
/**
 * Turns the calling task off. unlock(arg) is called when it is, on this thread. Returns when
 * somebody has made it ready. `why` is a constant.
 */
void task_park(void (*unlock)(void *arg), void *arg, const char *why, const void *on,
               const void *at);
/** Makes a parked task ready. Any thread. */
void task_ready(struct task *t);
/** Puts a new one into the queue, and has threads that run it. */
void task_begin_running(struct task *t);

/** Has the sleeping thread that looks at timers look again. */
void task_call_watcher(void);
/** Has at least one thread that runs tasks, and looks at timers. */
void task_have_workers(void);

#endif
