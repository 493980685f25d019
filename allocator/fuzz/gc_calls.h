/*
 * For the target of the gc.h drop-in: ways to allocate, calls that are wrong and end with a message
 * or give nothing, questions, and settings.
 */
#ifndef SPANHEAP_FUZZ_GC_CALLS_H
#define SPANHEAP_FUZZ_GC_CALLS_H

#include "objects.h"

#include "shims/include/gc/gc.h"
#include "shims/include/gc/gc_gcj.h"
#include "shims/include/gc/gc_inline.h"
#include "shims/include/gc/gc_mark.h"
#include "shims/include/gc/gc_typed.h"

/** What an allocation gave. */
struct allocated {
    void *p;
    size_t size, align;
    bool has_end; /* the address just past its end lies in it */
    bool stays;   /* until it is freed */
    size_t nfields, at[FIELDS];
};

/** Before the first input. */
void make_kinds(void);
/** Of size bytes or less, in some way. */
struct allocated allocate_somehow(struct input *in, size_t size);
/** Whether an allocation has failed because the largest size was set for the heap, which is taken
 * back then. */
bool is_limited(const void *p);
/** Copies of strings are strings. */
void copy_string(struct input *in);

/** Some wrong call, of an object that is in use. */
void call_wrongly(struct input *in, size_t i);
/** An object has just been freed. */
void check_freed(void *p);
/** Asks what the heap is full of. */
void ask(struct input *in, size_t i);
/** Changes something that changes nothing for objects. */
void set_something(struct input *in);
/** As it was. */
void set_all_back(void);

#endif
