/*
 * Slices as in Go: a window (pointer, length, capacity) into a backing array on the heap.
 * Windows share their array; whoever holds one byte of it holds all of it.
 */
#ifndef SPANHEAP_SLICE_H
#define SPANHEAP_SLICE_H

#include <spanheap.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sh_slice {
    void *data;
    size_t len; /**< elements in use */
    size_t cap; /**< elements up to the end of the backing array */
};

/**
 * A new zeroed array of cap elements, len of them in use. Fatal if len > cap or the size overflows.
 * cap 0 allocates nothing.
 */
SH_API struct sh_slice sh_slice_make(const struct sh_type *element, size_t len, size_t cap);

/**
 * Appends count elements from src (NULL: zeroed ones) and returns the longer slice, in a new array
 * if cap is too small. Growth is Go's since 1.18: see sh_slice_grow_cap().
 */
SH_API struct sh_slice sh_slice_append(const struct sh_type *element, struct sh_slice s,
                                       const void *src, size_t count);

/** s[low:high], sharing the array; cap runs to its end. Fatal unless low <= high <= cap. */
SH_API struct sh_slice sh_slice_window(const struct sh_type *element, struct sh_slice s, size_t low,
                                       size_t high);

/** A copy of s in an array of its own, with the capacity that appending to an empty slice gives. */
SH_API struct sh_slice sh_slice_clone(const struct sh_type *element, struct sh_slice s);

/**
 * The capacity that append picks for a slice of old_cap elements of element_size bytes which must
 * hold need: need if over twice old_cap; twice old_cap below 256; else old_cap grown by
 * (cap + 768) / 4 until it fits; then up to the size class. Source: Go 1.19, runtime.growslice.
 */
SH_API size_t sh_slice_grow_cap(size_t element_size, size_t old_cap, size_t need);

#ifdef __cplusplus
}
#endif
#endif
