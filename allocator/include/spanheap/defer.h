/*
 * Deferred calls as in Go: they run when the scope ends, the newest first, also on an early return
 * and when a panic passes by (panic.h).
 *
 *     SH_SCOPE(scope);                       // ends where its block ends
 *     FILE *f = fopen(path, "r");
 *     sh_defer(&scope, close_file, f);       // runs at the end, not here: beware of loops
 *
 * Three forms, as Go's compiler has them. They differ in where the record of a call lies:
 *   sh_defer()          on the heap, 80 bytes each: what Go makes of a defer in a loop. A thread
 *                       keeps 32 that have run for later calls, as a processor of Go's does;
 *   sh_defer_record()   in a variable of the caller's: Go's "stack record";
 *   sh_defer_open()     in the scope itself, at most SH_OPEN_MAX of them: Go's "open-coded" form.
 *
 * How it differs from Go, whose compiler picks a form for the whole function. More than eight
 * defers, one in a loop, or more than 15 as the product of returns and defers: then no call of the
 * function is open-coded; those outside of loops get stack records, those in loops heap records.
 * Here the caller picks, call by call, since C cannot count them when it compiles: the first
 * eight of a scope stay open, each further one takes a heap record, and a loop or a return too many
 * changes nothing. Order, early return and panics are the same in all forms, here as there.
 *
 * A scope that is not made by SH_SCOPE is a local variable that is zero, and is ended by
 * sh_defer_run(). Scopes of a thread nest like its functions: one that began later ends earlier.
 */
#ifndef SPANHEAP_DEFER_H
#define SPANHEAP_DEFER_H

#include <spanheap.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One call that waits. Its fields are the library's. */
struct sh_defer_record {
    struct sh_defer_record *older;
    void (*call)(void *arg);
    void *arg;
    bool on_heap;
};

struct sh_defer_scope {
    struct sh_defer_record *last; /**< newest record; NULL: none */
    size_t count;                 /**< calls that wait */
    struct sh_defer_scope *outer; /* the library's, as the rest: of the same thread */
    void *landing;                /* see panic.h */
    bool entered;                 /* in the thread's list */
    bool may_recover;             /* where the landing is, a panic runs the function */
};

/** A scope for the block in which it stands. */
#define SH_SCOPE(name) __attribute__((cleanup(sh_defer_run))) struct sh_defer_scope name = {0}

/** Adds call(arg) to the scope. Allocates one record (80 bytes), if none is kept. As in Go, call
 * may be NULL, and panics as a nil dereference when its turn comes. */
SH_API void sh_defer(struct sh_defer_scope *scope, void (*call)(void *arg), void *arg);

/**
 * The same in a record of the caller's, which must live until the scope ends and be used once only:
 * not in a loop, not in an inner block.
 */
SH_API void sh_defer_record(struct sh_defer_scope *scope, struct sh_defer_record *record,
                            void (*call)(void *arg), void *arg);

/** Runs the scope's calls, newest first, and empties it. A call may add further ones. */
SH_API void sh_defer_run(struct sh_defer_scope *scope);

#define SH_OPEN_MAX 8 /**< as many as Go's compiler codes openly */
/** A scope with room for a few records. */
struct sh_open_scope {
    struct sh_defer_scope scope;
    uint32_t used;
    struct sh_defer_record open[SH_OPEN_MAX];
};
/** The same for a block; name.scope is a struct sh_defer_scope, for the other forms too. */
#define SH_OPEN_SCOPE(name)                                                                        \
    __attribute__((cleanup(sh_open_run))) struct sh_open_scope name;                               \
    sh_open_begin(&(name))

/** Used by SH_OPEN_SCOPE. The records need not be zero. */
static inline void
sh_open_begin(struct sh_open_scope *s)
{
    s->scope = (struct sh_defer_scope){0};
    s->used = 0;
}

/** Adds call(arg) to the scope, in its own room. The ninth and later ones are sh_defer()'s. */
static inline void
sh_defer_open(struct sh_open_scope *s, void (*call)(void *arg), void *arg)
{
    if (s == NULL)
        sh_defer(NULL, call, arg); /* panics */
    else if (s->used < SH_OPEN_MAX)
        sh_defer_record(&s->scope, &s->open[s->used++], call, arg);
    else
        sh_defer(&s->scope, call, arg);
}

/** Used by SH_OPEN_SCOPE. */
static inline void
sh_open_run(struct sh_open_scope *s)
{
    sh_defer_run(&s->scope);
}

#ifdef __cplusplus
}
#endif
#endif
