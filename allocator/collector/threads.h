/* Threads: what sh_thread_*() and the functions that the shared library interposes have in common.
 */
#ifndef SPANHEAP_THREADS_H
#define SPANHEAP_THREADS_H

#include "collector/world.h"

#include <spanheap.h>

#include <errno.h>
#include <signal.h>

typedef int (*threads_create_function)(pthread_t *, const pthread_attr_t *, void *(*)(void *),
                                       void *);
typedef int (*threads_join_function)(pthread_t, void **);
typedef int (*threads_detach_function)(pthread_t);
typedef void (*threads_exit_function)(void *);
typedef int (*threads_mask_function)(int, const sigset_t *, sigset_t *);

/* The C library's own functions. Set by the interposer where ours took their names. */
struct threads_real {
    threads_create_function create;
    threads_join_function join;
    threads_detach_function detach;
    threads_exit_function exit; /* does not return */
    threads_mask_function set_mask;
};
extern struct threads_real threads_real;
/** Finds them. In threads_real.c (static library) or interpose.c (shared). */
void threads_real_init(struct threads_real *real);

/* A thread has a number from its start to its end, the lowest that is free. */
#define THREAD_NUMBERS 256
#define NO_NUMBER UINT32_MAX /* there are too many */
/** One more than the highest that is, or was a moment ago, in use. */
uint32_t threads_numbers(void);

void threads_init(void);
int threads_create(threads_create_function create, pthread_t *thread, const pthread_attr_t *attr,
                   void *(*start)(void *), void *arg);
/** A detached thread of the library's own that runs code of the program: attached like any other,
 * but blocks every signal but the stop signal. 0 or an error number. */
int threads_create_service(pthread_t *thread, void *(*start)(void *), void *arg);
int threads_join(threads_join_function join, pthread_t thread, void **result);
int threads_detach(threads_detach_function detach, pthread_t thread);
/** What pthread_exit passes on: a root until the thread is joined. */
void threads_set_result(void *result);
/**
 * The record of a thread that is about to be joined or detached, or NULL. It is claimed: once the C
 * library has given the handle free, another thread may have it, and must not be taken for this
 * one. To be followed by threads_settle().
 */
struct thread *threads_claim(pthread_t handle);
/** Ends a claim: done, nobody will ask for the result any more; else it can be claimed again. */
void threads_settle(struct thread *t, bool done);
/** The set itself, or a copy in *buffer without the stop signal. */
const sigset_t *threads_without_stop_signal(const sigset_t *set, sigset_t *buffer);
/** Whether the calling thread has been attached, and has left for good. */
bool threads_is_ending(void);
/** Called from assembly; see registers.S. */
void blocking_begin_spilled(void *sp, void *arg);

#endif
