/*
 * A walk over what can be reached, breadth first, that remembers how it came to each object: for
 * the second mark (reach.h), for sh_explain() and for heap dumps. The world is stopped.
 *
 * It marks in bits of its own, one for each 8 bytes of the heap, and keeps 16 bytes for each object
 * found, in memory from the system.
 */
#ifndef SPANHEAP_WALK_H
#define SPANHEAP_WALK_H

#include "heap/span.h"

/* Of `from`: found by a root; or a root itself, by walk_through(). */
#define WALK_ROOT UINT32_MAX
#define WALK_THROUGH (UINT32_MAX - 1)

/* A found object, and from where. */
struct walk_found {
    uintptr_t object;
    uint32_t from; /* index into the same list, or one of these */
    uint32_t word; /* of that object; else what walk_word() was told */
};

struct walk {
    uint64_t *seen;
    size_t seen_b;
    struct walk_found *list;
    size_t n, cap;
    size_t followed;     /* of the list */
    uintptr_t target;    /* the walk ends when this object is found; 0: none */
    bool untyped;        /* follow every word of untyped objects, too */
    bool failed;         /* no memory: the walk is over */
    size_t found_target; /* its index; SIZE_MAX: not found */
    void (*on_find)(const struct walk *w, const struct walk_found *f); /* NULL: nothing */
};

/** Nothing is found yet; the options are as the caller has set them. False: no memory. */
bool walk_begin(struct walk *w);
/** Gives the memory back. */
void walk_end(struct walk *w);
/** The object that a word leads to, if it is one that lives, and is new, joins the list. */
void walk_word(struct walk *w, uintptr_t word, uint32_t from, uint32_t detail);
/** An object joins the list, so that what it points to is found, and does not count as found
 * itself. */
void walk_through(struct walk *w, uintptr_t object);
/** Follows all that was found. */
void walk_follow(struct walk *w);

static inline bool
walk_is_first(const struct walk_found *f)
{
    return f->from >= WALK_THROUGH;
}

/** The object that contains an address, or 0: there is none, or it is dead and not yet swept. */
uintptr_t walk_object_of(uintptr_t address);
/** Whether the object was found. */
bool walk_has_found(const struct walk *w, uintptr_t object);

#endif
