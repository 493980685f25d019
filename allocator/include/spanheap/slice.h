/*
 * Slices as in Go: a window (pointer, length, capacity) into a backing array on the heap.
 * Windows share their array; whoever holds one byte of it holds all of it. A slice of zeroes is
 * Go's nil slice, and may be used as an empty one.
 *
 * A slice of a C type, with the type's own pointer in it (int_type: a struct sh_type, as for
 * sh_alloc_array):
 *
 *     SH_SLICE_OF(int) numbers = {0};
 *     sh_append(&int_type, &numbers, 7);
 *     for (size_t i = 0; i < numbers.len; i++)
 *         sum += numbers.data[i];
 *     struct sh_slice two = sh_slice_window(&int_type, numbers.any, 0, 2);
 *
 * What panics in Go panics here (panic.h), with Go's words; so does an element type that is NULL,
 * and a slice that has elements or capacity, but no array.
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

/** A slice of a C type: its fields are those of struct sh_slice, `any` is it as one. */
#define SH_SLICE_OF(element)                                                                       \
    union {                                                                                        \
        struct sh_slice any;                                                                       \
        struct {                                                                                   \
            __typeof__(element) *data;                                                             \
            size_t len, cap;                                                                       \
        };                                                                                         \
    }

/**
 * A new zeroed array of cap elements, len of them in use; cap 0 allocates nothing. Panics as Go's
 * make: len or cap is too large to be one, or len is over cap.
 */
SH_API struct sh_slice sh_slice_make(const struct sh_type *element, size_t len, size_t cap);

/**
 * Appends count elements from src (NULL: zeroed ones) and returns the longer slice, in a new array
 * if cap is too small: see sh_slice_grow_cap(). src may lie in s. Panics if the length overflows.
 */
SH_API struct sh_slice sh_slice_append(const struct sh_type *element, struct sh_slice s,
                                       const void *src, size_t count);

/** s[low:high], sharing the array; cap runs to its end. Panics unless low <= high <= cap. */
SH_API struct sh_slice sh_slice_window(const struct sh_type *element, struct sh_slice s, size_t low,
                                       size_t high);
/** s[low:high:max]: the capacity ends at max. Panics unless low <= high <= max <= cap. */
SH_API struct sh_slice sh_slice_window3(const struct sh_type *element, struct sh_slice s,
                                        size_t low, size_t high, size_t max);

/** The address of s[i]. Panics unless i < len. */
SH_API void *sh_slice_at(const struct sh_type *element, struct sh_slice s, size_t i);

/** Go's copy: as many elements as both have, which may overlap. Returns how many. */
SH_API size_t sh_slice_copy(const struct sh_type *element, struct sh_slice dst,
                            struct sh_slice src);

/** A copy of s in an array of its own, with the capacity that appending to an empty slice gives. */
SH_API struct sh_slice sh_slice_clone(const struct sh_type *element, struct sh_slice s);

/** s[:len:len]: the next append makes a new array, and leaves what follows in the old one alone. */
static inline struct sh_slice
sh_slice_clip(struct sh_slice s)
{
    s.cap = s.len;
    return s;
}

/** Used by sh_append: whether a plain store does. */
static inline bool
sh_append_is_plain(const struct sh_type *element)
{
    return element != NULL && element->pointer_mask == NULL;
}

/** Appends a value to a SH_SLICE_OF(); element is its struct sh_type. The slice is evaluated
 * several times. */
#define sh_append(element, slice, value)                                                           \
    do {                                                                                           \
        __typeof__(*(slice)->data) sh_append_value = (value);                                      \
        if (sh_append_is_plain(element) && (slice)->len < (slice)->cap)                            \
            (slice)->data[(slice)->len++] = sh_append_value;                                       \
        else                                                                                       \
            (slice)->any = sh_slice_append_sized((element), (slice)->any, &sh_append_value, 1,     \
                                                 sizeof sh_append_value);                          \
    } while (0)
/** Used by sh_append: fatal if the element's size is not that of its type. */
SH_API struct sh_slice sh_slice_append_sized(const struct sh_type *element, struct sh_slice s,
                                             const void *src, size_t count, size_t size);

/** How append chooses a capacity, by the version of Go that began it. */
enum sh_slice_rule {
    SH_SLICE_GO_1_18, /**< the default: doubles below 256 elements, then from twice to 1.25 times */
    SH_SLICE_GO_1_0,  /**< until 1.17: doubles below 1024 elements, then 1.25 times */
    SH_SLICE_GO_1_22, /**< 1.18's, but arrays with pointers over 512 bytes lose 8 to a header */
};

/** Chooses the rule of all appends; SH_SLICE_RULE (go1.0, go1.18, go1.22) does so at the start.
 * Returns the old one. Fatal: an unknown rule. */
SH_API enum sh_slice_rule sh_slice_set_rule(enum sh_slice_rule rule);

/**
 * The capacity that append picks by a rule for a slice of old_cap elements of a type which must
 * hold need: need if that is over twice old_cap; else old_cap doubled or grown until it fits; then
 * up to the size class. For elements of no size: need. Panics if it overflows. Source:
 * runtime.growslice of Go 1.17, 1.19 and 1.22.
 */
SH_API size_t sh_slice_cap_by(enum sh_slice_rule rule, const struct sh_type *element,
                              size_t old_cap, size_t need);
/** The same by Go 1.18's rule, for elements of a size without pointers. */
SH_API size_t sh_slice_grow_cap(size_t element_size, size_t old_cap, size_t need);

#ifdef __cplusplus
}
#endif
#endif
