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

void threads_init(void);
int threads_create(threads_create_function create, pthread_t *thread, const pthread_attr_t *attr,
                   void *(*start)(void *), void *arg);
int threads_join(threads_join_function join, pthread_t thread, void **result);
int threads_detach(threads_detach_function detach, pthread_t thread);
/** What pthread_exit passes on: a root until the thread is joined. */
void threads_set_result(void *result);
/** The record of a thread that can still be joined, or NULL. */
struct thread *threads_find(pthread_t handle);
/** Nobody will ask for this thread's result any more. NULL is ignored. */
void threads_forget(struct thread *t);
/** The set itself, or a copy in *buffer without the stop signal. */
const sigset_t *threads_without_stop_signal(const sigset_t *set, sigset_t *buffer);
/** Called from assembly; see registers.S. */
void blocking_begin_spilled(void *sp, void *arg);

#endif
