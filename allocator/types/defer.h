/* What defer and panic know of each other: the flow of control of one thread, or of one task. */
#ifndef SPANHEAP_TYPES_DEFER_H
#define SPANHEAP_TYPES_DEFER_H

#include <spanheap/defer.h>

struct unwinding;

/* Something half done while code of the user's runs that may panic: abandon(arg) is called when a
   panic has left it for good. Lies in the frame of the function that does it. */
struct flow_guard {
    struct flow_guard *outer;
    void (*abandon)(void *arg);
    void *arg;
};

struct flow {
    struct sh_defer_scope *scopes; /* entered, the innermost first */
    struct unwinding *panics;      /* the newest first */
    struct flow_guard *guards;     /* entered, the innermost first */
    bool may_recover;              /* a deferred call runs because of the newest one */
};
extern _Thread_local struct flow flow_self;

/** Puts a scope in front of the list, if it is not in it. */
void defer_enter(struct sh_defer_scope *scope);
/** Takes the first scope out. Fatal: it is not the first. */
void defer_leave(struct sh_defer_scope *scope);
struct deferred {
    void (*call)(void *arg);
    void *arg;
};
/** Takes the newest call of a scope that has one. */
struct deferred defer_pop(struct sh_defer_scope *scope);

static inline void
flow_guard_enter(struct flow_guard *g, void (*abandon)(void *arg), void *arg)
{
    *g = (struct flow_guard){flow_self.guards, abandon, arg};
    flow_self.guards = g;
}

/** It is done: g is the innermost again. */
static inline void
flow_guard_leave(const struct flow_guard *g)
{
    flow_self.guards = g->outer;
}

#endif
