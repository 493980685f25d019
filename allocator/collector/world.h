/*
 * The world: every thread that may touch the heap, and how all of them are brought to a stop.
 *
 * A thread is
 *   running   it may read and write the heap; a stop sends it the stop signal;
 *   safe      it does not touch the heap and has published its stack pointer and registers: it
 * waits for a lock, zeroes fresh memory, is inside sh_blocking_begin/end, or is stopped. The world
 * is stopped when every other thread is safe and none can become running: leaving the safe state
 * ends in a look at world.stopping (Dekker's protocol: the stopper sets it and then looks at the
 * states; the leaver sets its state and then looks at it).
 *
 * Both sides first wait on the processor, for as long as a short stop takes: a thread that
 * allocates sees its note (stop_pending) sooner than a signal could reach it, and two system calls
 * and two wake-ups cost more than a small heap's marking.
 *
 * Whoever stops the world holds world.cycle_lock and is itself in the safe state, so that its own
 * stack is scanned like any other. It holds no lock of a higher rank, and between stop and start
 * calls nothing that might take a lock of the C library: a stopped thread may hold it.
 */
#ifndef SPANHEAP_WORLD_H
#define SPANHEAP_WORLD_H

#include "collector/registers.h"
#include "collector/workbuf.h"
#include "heap/cache.h"
#include "heap/lock.h"

#include <pthread.h>
#include <sys/types.h>

enum thread_state { THREAD_RUNNING = 0, THREAD_SAFE = 1 };

enum thread_life {
    LIFE_STARTING, /* created, has not run yet: its argument is a root */
    LIFE_ATTACHED,
    LIFE_ENDED, /* its result is a root until somebody joins it */
};

struct range {
    uintptr_t start, end;
};

struct thread {
    struct cache cache; /* first: cache_self points here */
    struct thread *next, *prev;
    _Atomic(struct cache *) *fast; /* its cache_fast; NULL: it does not run */
    _Atomic uint32_t state;        /* enum thread_state */
    _Atomic uint32_t signals; /* stop signals sent to it, times 2; odd while one is being sent */
    uint32_t signals_taken;   /* the same number when it last knew that none was on its way */
    enum thread_life life;
    bool created;  /* by sh_thread_create: there is a handle, an argument, a result */
    bool detached; /* nobody will ask for the result */
    bool claimed;  /* somebody is joining or detaching it: its handle may soon be another's */
    pid_t tid;
    pthread_t handle;
    _Atomic uint32_t handle_known; /* the child waits for it before it runs */
    void *(*start)(void *);
    void *arg, *result;       /* roots */
    uintptr_t thread_pointer; /* leads to its thread-local storage */
    uintptr_t stack_low, stack_high;
    /* Valid while it is safe. */
    uintptr_t sp;                       /* of the ordinary stack; 0: scan all that is mapped */
    struct range other_stack;           /* the alternate signal stack in use; empty: none */
    uintptr_t registers[SPILLED_WORDS]; /* of sh_blocking_begin */
    uint32_t blocking_depth;
    /* For the collector's client. */
    _Atomic bool away; /* it does not touch the heap for a while (GC_do_blocking) */
    bool told_of;      /* as stopped, in this stop */
    uintptr_t interrupted_pc, interrupted_sp; /* by the stop signal; 0: it became safe by itself */
    /* Its own while it runs; read in a stop. NULL: nothing. */
    struct workbuf *recorded; /* by the write barrier */
    struct workbuf *freed;    /* by sh_free while marking: to be scanned */
    bool internal;            /* a worker of the library: holds no reference to an object */
};

struct world {
    struct lock cycle_lock; /* one stop or collection at a time */
    struct lock lock;       /* the list; held from stop to start */
    struct thread *threads;
    unsigned nthreads;
    _Atomic uint32_t stopping;   /* 1 from stop to start; the stopped wait on it */
    _Atomic uint32_t acks;       /* counts arrivals in the safe state during a stop */
    _Atomic uint32_t asleep;     /* in the kernel: threads that wait for the start, ... */
    _Atomic uint32_t awaiting;   /* ... and 1 when the stopper waits for the others */
    _Atomic bool crowded;        /* more threads than processors were running */
    _Atomic unsigned processors; /* that the process may use; looked up before each collection */
    int signal;                  /* that stops a thread */
    bool handler_installed;
    struct counts ended_counts; /* of threads that are gone */
    uint64_t stops;
};
extern struct world world;

static inline struct thread *
thread_self(void)
{
    return (struct thread *)cache_self;
}

/** Installs the stop signal's handler. signal 0: the default. Fatal if it cannot be used. */
void world_init(int signal);
/** Stops all other threads. The caller is safe and holds the cycle lock; takes the list's lock. */
void world_stop(void);
/** Lets them go on. */
void world_start(void);

/** Spills the registers, becomes safe, runs work(arg), becomes running again. Nests. */
void world_safe_call(void (*work)(void *arg), void *arg);
/** The same with the registers spilled already: called by registers_spill_call(). */
void world_safe_call_spilled(void *sp, void (*work)(void *arg), void *arg);
/** The opposite, where a caller has become safe: runs work(arg) as a running thread. */
void world_running_call(void (*work)(void *arg), void *arg);
/** Takes a lock that may be held over a stop, in the safe state. */
void world_lock_safely(struct lock *lock);

/** A record of a thread, in the safe state. NULL: no memory. */
struct thread *world_make_thread(enum thread_life life);
/** Enters it into the list. */
void world_add_thread(struct thread *t);
/** Takes it out and frees the record; its cache must be flushed. */
void world_remove_thread(struct thread *t);
/** The calling thread becomes running, with what is known of its stack. */
void world_adopt_self(struct thread *t);
/** Sets cache_sampling, and each thread's way to allocate by it. The list's lock is held. */
void world_set_sampling(uint32_t sampling);
/** Flushes the caller's cache and ends its life: removed, or kept for its result. */
void world_leave_self(struct thread *t);

/** From the state safe to running; waits while the world is stopped. */
void world_leave_safe(struct thread *t);
void world_enter_safe(struct thread *t, uintptr_t sp);
/** The same from wherever sp is: the ordinary stack or the alternate signal stack. */
void world_enter_safe_here(struct thread *t, uintptr_t sp);
/** In the safe state: lets the stop signal arrive that was sent before. None comes after that. */
void world_take_signals(struct thread *t);

/** fork handlers, see fork.c. */
void fork_init(void);

#endif
