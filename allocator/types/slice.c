#include <spanheap/slice.h>

#include "heap/alloc.h"

#include <string.h>

#define DOUBLING_BELOW 256 /* elements, since Go 1.18 */

/* From doubling to a quarter more, smoothly: Go 1.18's formula. */
static size_t
grow_step(size_t cap, size_t need)
{
    while (cap < need) {
        size_t step = (cap + 3 * DOUBLING_BELOW) / 4;
        if (__builtin_add_overflow(cap, step, &cap))
            return need;
    }
    return cap;
}

size_t
sh_slice_grow_cap(size_t element_size, size_t old_cap, size_t need)
{
    size_t cap = need;
    if (need <= 2 * old_cap)
        cap = old_cap < DOUBLING_BELOW ? 2 * old_cap : grow_step(old_cap, need);
    if (element_size == 0)
        return cap;
    size_t bytes;
    sh_require(!__builtin_mul_overflow(cap, element_size, &bytes),
               "slice: a capacity of %zu elements of %zu bytes overflows", cap, element_size);
    return sizeclass_round(bytes) / element_size;
}

struct sh_slice
sh_slice_make(const struct sh_type *element, size_t len, size_t cap)
{
    sh_require(len <= cap, "sh_slice_make: length %zu is over the capacity %zu", len, cap);
    struct sh_slice s = {NULL, len, cap};
    if (cap > 0)
        s.data = sh_alloc_array(element, cap);
    return s;
}

static void
copy_elements(const struct sh_type *element, void *dst, const void *src, size_t count)
{
    if (element->pointer_mask != NULL)
        sh_memmove(dst, src, count * element->size);
    else
        memmove(dst, src, count * element->size);
}

static void
clear_elements(const struct sh_type *element, void *dst, size_t count)
{
    if (element->pointer_mask != NULL)
        sh_memset(dst, 0, count * element->size);
    else
        memset(dst, 0, count * element->size);
}

static struct sh_slice
grow_for(const struct sh_type *element, struct sh_slice s, size_t need)
{
    size_t cap = sh_slice_grow_cap(element->size, s.cap, need);
    struct sh_slice bigger = {sh_alloc_array(element, cap), s.len, cap};
    if (s.len > 0) /* new, but a marker may see it already: pointers are copied whole */
        copy_elements(element, bigger.data, s.data, s.len);
    return bigger;
}

struct sh_slice
sh_slice_append(const struct sh_type *element, struct sh_slice s, const void *src, size_t count)
{
    size_t need;
    sh_require(!__builtin_add_overflow(s.len, count, &need),
               "sh_slice_append: %zu elements and %zu more overflow", s.len, count);
    if (need > s.cap)
        s = grow_for(element, s, need);
    sh_require(s.data != NULL || count == 0, "sh_slice_append: capacity %zu, but no array", s.cap);
    if (count > 0) {
        char *end = (char *)s.data + s.len * element->size;
        if (src != NULL)
            copy_elements(element, end, src, count);
        else
            clear_elements(element, end, count);
    }
    s.len = need;
    return s;
}

struct sh_slice
sh_slice_window(const struct sh_type *element, struct sh_slice s, size_t low, size_t high)
{
    sh_require(low <= high && high <= s.cap, "slice bounds [%zu:%zu] with capacity %zu", low, high,
               s.cap);
    /* An empty window at the end would point past the array, into another object: as in Go, it
       keeps the array's start instead. */
    char *data = low == s.cap ? s.data : (char *)s.data + low * element->size;
    return (struct sh_slice){data, high - low, s.cap - low};
}

struct sh_slice
sh_slice_clone(const struct sh_type *element, struct sh_slice s)
{
    if (s.len == 0)
        return (struct sh_slice){NULL, 0, 0};
    return sh_slice_append(element, (struct sh_slice){NULL, 0, 0}, s.data, s.len);
}
