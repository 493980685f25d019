/*
 * The collector's part of sh_explain() and sh_heap_dump(): a stop in which what the roots lead to
 * is walked over, group by group. Names are the business of observe/.
 */
#ifndef SPANHEAP_COLLECTOR_EXPLAIN_H
#define SPANHEAP_COLLECTOR_EXPLAIN_H

#include "collector/parked.h"
#include "collector/walk.h"

#include <spanheap/explain.h>

/* In the order in which they are asked. */
enum root_group {
    GROUP_GLOBALS,
    GROUP_RANGES,
    GROUP_THREAD_LOCAL,
    GROUP_KEYS,
    GROUP_THREADS, /* arguments and results */
    GROUP_SPECIALS,
    GROUP_TASKS,     /* parked stacks */
    GROUP_STACKS,    /* of other threads, and their registers */
    GROUP_OWN_STACK, /* the caller's */
    NGROUPS
};

/** Adds what a group's words lead to, and does not follow it. In the stop. */
void explain_add_group(struct walk *w, enum root_group group);

/** A root as it was found in the stop. */
struct explain_root {
    enum sh_root_kind kind;
    uintptr_t address, start; /* of the word; of the range it lies in */
    size_t number;            /* the loader's number of a module; the first key of a range */
    uintptr_t owner;          /* object with a note */
    uintptr_t code;           /* in the function whose frame it is; 0: not known */
    bool is_return;           /* code is a return address */
    bool past_end, caller;
    int thread;
    struct parked_owner task; /* number 0: none */
};

struct profile_bucket;

struct explanation {
    enum sh_explained result;
    struct profile_bucket *sample; /* that the object is; NULL: it is none */
    struct explain_root root;
    struct sh_explain_step *steps; /* all of them; memory from the system */
    size_t n;
};

/**
 * Explains an address, given as its complement so that it is on no stack. In the safe state.
 * explain_forget() gives the memory back.
 */
void explain_hidden(uintptr_t hidden, struct explanation *out);
void explain_forget(struct explanation *e);
/** Runs work(arg) while the world is stopped, no collection marks, the table of segments is up to
 * date, and dead objects have been swept. In the safe state. */
void explain_stopped(void (*work)(void *arg), void *arg);
/** Describes an object in which an address lies. */
struct sh_explain_step explain_step(uintptr_t object, size_t offset);

#endif
