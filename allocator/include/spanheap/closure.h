/*
 * Closures as in Go: an object that begins with a function and goes on with what it has captured,
 * by value, or by reference to a variable that lies on the heap for that (sh_box). Whoever holds
 * the closure holds all that it has captured, used or not.
 *
 *     struct adder { struct sh_closure closure; int *total; int step; };
 *     static const struct sh_type adder_type = SH_TYPE(struct adder, SH_POINTER_AT(struct adder,
 * total));
 *
 *     static void add(struct sh_closure *self, void *arg)
 *     {
 *         struct adder *captured = (struct adder *)self;
 *         *captured->total += captured->step;
 *     }
 *
 *     int zero = 0, *total = sh_box(&int_type, &zero);             // captured by reference
 *     struct adder captured = {{add}, total, 5};                   // 5: by value
 *     struct sh_closure *c = sh_closure_make(&adder_type, &captured);
 *     sh_closure_call(c, NULL);
 */
#ifndef SPANHEAP_CLOSURE_H
#define SPANHEAP_CLOSURE_H

#include <spanheap.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The first member of a struct with what is captured. */
struct sh_closure {
    void (*function)(struct sh_closure *self, void *arg);
};

/** A copy of *captured, a struct of the given type that begins with a struct sh_closure, on the
 * heap. Fatal if the type is too small to begin so. */
SH_API struct sh_closure *sh_closure_make(const struct sh_type *type, const void *captured);

/** Calls it. Panics as Go does if c, or its function, is NULL. */
SH_API void sh_closure_call(struct sh_closure *c, void *arg);

/** A variable on the heap, for those who share it: a copy of *initial (NULL: zero). */
SH_API void *sh_box(const struct sh_type *type, const void *initial);

#ifdef __cplusplus
}
#endif
#endif
