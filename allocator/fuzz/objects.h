/*
 * A few objects of a collected heap, as a model knows them: what each contains, what it points to,
 * and what has its address. For the targets whose subject is the heap itself.
 *
 * The model keeps addresses complemented, which no scan takes for pointers. In clear they stand in
 * `roots`, if the object is held, and in fields of other objects. So a lost object is seen: its
 * memory is overwritten, or another's, when it is compared.
 *
 * An object is *reachable* if it is held, or a field of a reachable one leads to it. It is *kept*
 * if that is so from something that the target names (a finalizer, say), without the program having
 * a pointer to it. What is neither is forgotten, whether it has gone or not.
 */
#ifndef SPANHEAP_FUZZ_OBJECTS_H
#define SPANHEAP_FUZZ_OBJECTS_H

#include "fuzz.h"

enum { OBJECTS = 32, FIELDS = 3, NOBODY = OBJECTS };

struct object {
    bool exists; /* reachable or kept, when things were last sorted out */
    bool reachable;
    bool stays;                             /* reachable though nothing holds it */
    bool is_root;                           /* kept, not reachable by that */
    bool is_closed;                         /* nobody may touch it: sh_poison() */
    bool is_typed;                          /* what its fields lead to must not be freed */
    bool is_in_garbage;                     /* something typed that was forgotten leads to it */
    uintptr_t hidden;                       /* the complement of its address */
    uintptr_t *root;                        /* what holds it; NULL: it is not held */
    size_t size;                            /* as asked for */
    uint64_t number;                        /* of its content */
    size_t nfields, at[FIELDS], to[FIELDS]; /* words that are pointers, and to whom; NOBODY: NULL */
    size_t argument;                        /* kept as long as is_root; NOBODY: there is none */
    int kind;                               /* for the target */
    const void *more;                       /* the same */
};

extern struct objects {
    struct object all[OBJECTS];
    uintptr_t roots[OBJECTS]; /* where an object is held, if nothing else is chosen */
    uint64_t made;            /* numbers given */
    bool wrong;
    void (*store)(void *slot, const void *value); /* of a pointer into an object */
} objects;

static inline void *
address_of(size_t i)
{
    return (void *)~objects.all[i].hidden;
}

/** No objects. store: how pointers are stored. */
void objects_begin(void (*store)(void *slot, const void *value));

/** A size of `least` bytes or more, next to each of Go's classes; small ones if the objects have
 * more than most_b bytes together. */
size_t choose_bytes(struct input *in, size_t least, size_t most_b);

/** Whether the model's objects have this range for themselves. */
void need_apart(const void *p, size_t size);

/**
 * A new object of the heap, all zero, with `size` bytes that may be used: it is filled, and held in
 * roots[i]. at: of the words that may be pointers, nfields of them.
 */
void put_object(size_t i, void *p, size_t size, size_t nfields, const size_t *at);
/** Where fields of an object may be of which every word is scanned: at the start, in the middle and
 * at the end. Returns how many. */
size_t spread_fields(size_t size, size_t at[FIELDS]);
/** The object, which was resized, is here now. Its content is compared as far as it should be the
 * same, the rest must be zero if `zeroed`, and all is filled again. */
void object_moved(size_t i, void *p, size_t size, bool zeroed);

/** Lets *root have the address of a byte in the object. */
void hold_object(size_t i, uintptr_t *root, size_t offset);
void let_go(size_t i);
/** Stores the address of `to` (or NULL, for NOBODY) in a field. */
void point(size_t from, size_t field, size_t to);
/** Whom it leads to, held from now on if `held`. Before another is stored there. */
size_t take_out(size_t from, size_t field, bool held);
/** The model's part of it, if the pointer was stored otherwise. */
void note_point(size_t from, size_t field, size_t to);
/** Whether all pointers to an object can be changed, where that counts: it may be freed, or moved.
 */
bool may_go(size_t i);
/** Clears them. */
void unlink_object(size_t i);
/** It is gone. */
void forget_object(size_t i);

/** An object, or NOBODY, that the program may use. */
size_t some_object(struct input *in);

/** Finds out anew what is reachable and kept, and forgets the rest. */
void sort_out(void);
/** Whether object i leads to `to`, by its fields or as what it keeps. */
bool leads_to(size_t i, size_t to);
/** Whether it leads to itself, by way of another one. */
bool leads_back(size_t i);
void compare_object(size_t i);
/** Of a copy of a record: whether the object has its content, fields apart. */
void compare_content(const struct object *o);
void compare_objects(void);

#endif
