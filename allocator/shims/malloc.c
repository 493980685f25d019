/*
 * The malloc family over the heap's spans, to be preloaded. See README.md, and malloc_heap.h for
 * how it works. Meanings and errors are those of POSIX and of glibc 2.36: malloc(0) gives an
 * object, no size is beyond PTRDIFF_MAX, free keeps errno.
 */
#define _GNU_SOURCE
#include "heap/sizeclass.h"
#include "shims/malloc_heap.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

/* ---- Allocating ---- */

static void *
no_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

static void *
take_from(struct malloc_heap *h, unsigned row, bool exact)
{
    struct malloc_row *r = &h->rows[row];
    if (exact)
        return (void *)malloc_take_exact(h, row);
    return r->count > 0 || malloc_fill(h, row) ? malloc_take(r) : NULL;
}

/* A slot of a row, whatever heap it takes. */
static __attribute__((noinline)) void *
take_slowly(unsigned row, bool exact)
{
    struct malloc_heap *h = malloc_attach();
    if (likely(h != NULL)) {
        void *p = take_from(h, row, exact);
        return p != NULL ? p : no_memory();
    }
    h = malloc_borrow();
    void *p = h == NULL ? NULL : take_from(h, row, exact);
    if (h != NULL)
        malloc_release(h);
    return p != NULL ? p : no_memory();
}

static __attribute__((noinline)) void *
allocate_large(size_t size, size_t align, bool zeroed)
{
    if (size > PTRDIFF_MAX)
        return no_memory();
    malloc_start();
    void *p = malloc_large(size, align, zeroed);
    return p != NULL ? p : no_memory();
}

static inline void *
allocate(size_t size)
{
    if (unlikely(size > SMALL_MAX_B))
        return allocate_large(size, STEP_B, false);
    unsigned row = malloc_row_of(size);
    void *p = malloc_take(&malloc_self->rows[row]);
    return likely(p != NULL) ? p : take_slowly(row + (row == 0), false);
}

EXPORT void *
malloc(size_t size)
{
    return allocate(size);
}

EXPORT void *
calloc(size_t count, size_t size)
{
    size_t all;
    if (unlikely(__builtin_mul_overflow(count, size, &all)))
        return no_memory();
    if (unlikely(all > SMALL_MAX_B))
        return allocate_large(all, STEP_B, true);
    void *p = allocate(all);
    return likely(p != NULL) ? memset(p, 0, all) : NULL;
}

/* ---- Freeing ---- */

static inline struct span *
span_of(const void *p)
{
    struct span *s = pageheap_span_of((uintptr_t)p);
    if (unlikely(s == NULL))
        malloc_bad_pointer(NULL, (uintptr_t)p);
    return s;
}

/* The same, of an object that is in use. */
static struct span *
span_of_object(const void *p)
{
    struct span *s = span_of(p);
    if (s->layout.owner != NULL)
        malloc_check(s, (uintptr_t)p);
    else if (s->base != (uintptr_t)p)
        malloc_bad_pointer(s, (uintptr_t)p);
    return s;
}

static __attribute__((noinline)) void
free_slowly(struct span *s, uintptr_t p)
{
    struct malloc_heap *owner = s->layout.owner;
    if (owner == NULL) {
        malloc_free_large(s, p);
    } else if (owner == malloc_self) {
        malloc_put_slowly(owner, s, p);
    } else {
        malloc_free_foreign(s, p);
    }
}

EXPORT void
free(void *p)
{
    if (p == NULL)
        return;
    struct span *s = span_of(p);
    struct malloc_heap *self = malloc_self;
    if (unlikely(s->layout.owner != self || !malloc_put(self, s, (uintptr_t)p)))
        free_slowly(s, (uintptr_t)p);
}

/* ---- Size and resizing ---- */

EXPORT size_t
malloc_usable_size(void *p)
{
    return p == NULL ? 0 : span_of_object(p)->elem_b;
}

/* Whether it is as well where it is: no more than half of its slot is left over. */
static bool
fits(const struct span *s, size_t size)
{
    return size <= s->elem_b && size >= s->elem_b / 2;
}

EXPORT void *
realloc(void *p, size_t size)
{
    if (p == NULL)
        return allocate(size);
    if (size == 0) {
        free(p);
        return NULL;
    }
    if (size > PTRDIFF_MAX)
        return no_memory();
    struct span *s = span_of_object(p);
    bool large = s->layout.owner == NULL;
    if (large ? size > SMALL_MAX_B && malloc_resize_large(s, size) : fits(s, size))
        return p;
    void *moved = allocate(size);
    if (moved == NULL)
        return size <= s->elem_b ? p : NULL;
    memcpy(moved, p, size_min(s->elem_b, size));
    free(p);
    return moved;
}

EXPORT void *
reallocarray(void *p, size_t count, size_t size)
{
    size_t all;
    if (__builtin_mul_overflow(count, size, &all))
        return no_memory();
    return realloc(p, all);
}

/* ---- Aligned ---- */

static bool
is_power_of_two(size_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

/* align is a power of two. A page begins at a multiple of its size, so slots do of what divides
   theirs. */
static void *
allocate_aligned(size_t align, size_t size)
{
    if (align <= STEP_B)
        return allocate(size);
    if (align <= PAGE_B && size <= SMALL_MAX_B)
        for (unsigned row = malloc_row_of(size + (size == 0)); row < MALLOC_ROWS; row++)
            if (malloc_slot_b(row) % align == 0)
                return take_slowly(row, true);
    return allocate_large(size + (size == 0), align, false);
}

EXPORT int
posix_memalign(void **result, size_t align, size_t size)
{
    if (!is_power_of_two(align) || align % sizeof(void *) != 0)
        return EINVAL;
    int error = errno;
    void *p = allocate_aligned(align, size);
    errno = error;
    if (p == NULL)
        return ENOMEM;
    *result = p;
    return 0;
}

EXPORT void *
aligned_alloc(size_t align, size_t size)
{
    if (!is_power_of_two(align)) {
        errno = EINVAL;
        return NULL;
    }
    return allocate_aligned(align, size);
}

/* As glibc does, to the next power of two. */
EXPORT void *
memalign(size_t align, size_t size)
{
    size_t power = STEP_B;
    while (power < align && power <= SIZE_MAX / 4)
        power *= 2;
    if (power < align) {
        errno = EINVAL;
        return NULL;
    }
    return allocate_aligned(power, size);
}

static size_t
system_page_b(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

EXPORT void *
valloc(size_t size)
{
    return allocate_aligned(system_page_b(), size);
}

EXPORT void *
pvalloc(size_t size)
{
    size_t page_b = system_page_b();
    return allocate_aligned(page_b, size > PTRDIFF_MAX ? size : round_up(size, page_b));
}

/* ---- Giving memory back ---- */

/* pad says how much to leave at the top of a heap that grows like a stack: this one does not. */
EXPORT int
malloc_trim(size_t pad)
{
    (void)pad;
    malloc_start();
    malloc_flush_all();
    return malloc_trim_all();
}
