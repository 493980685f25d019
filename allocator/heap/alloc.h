/* The allocation entry that the public functions and Go's types share. */
#ifndef SPANHEAP_ALLOC_H
#define SPANHEAP_ALLOC_H

#include "heap/cache.h"

/** size bytes of a kind, zeroed; type for KIND_TYPED, else NULL. NULL: no memory after all
 * attempts. */
void *alloc_object(size_t size, enum span_kind kind, const struct sh_type *type);
/** The same for objects without a type, by the shortest way. */
void *alloc_untyped(size_t size);
void *alloc_noscan(size_t size);
/** The same as alloc_object(); fatal instead of NULL. */
void *alloc_or_die(size_t size, enum span_kind kind, const struct sh_type *type);
/** How an array of this type is kept: KIND_TYPED, or KIND_NOSCAN without pointers. Checks the type.
 */
enum span_kind alloc_kind_of(const struct sh_type *type);
/** count * size; fatal, naming the type, if it overflows. */
size_t alloc_array_b(const struct sh_type *type, size_t count);

#endif
