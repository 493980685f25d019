/*
 * Large objects: whole pages, in a span that belongs to no heap, so that any thread frees them at
 * once. And what is kept of pages that are free.
 *
 * Freed pages keep their memory, up to a sixteenth of what is in use and never less than 4 MiB;
 * beyond that the page heap gives memory back to the system, highest addresses first, until half of
 * it is left. A program that takes and frees one large buffer again and again would pay for its
 * pages each time; so what is kept grows to hold the largest freed object, up to 64 MiB.
 */
#include "heap/cache.h"
#include "heap/scavenger.h"
#include "shims/malloc_heap.h"

#include <errno.h>
#include <string.h>

#define KEPT_LEAST_B ((size_t)4 << 20)
#define KEPT_OBJECT_MAX_B ((size_t)64 << 20)
#define KEPT_SHARE 16

static _Atomic size_t kept_object_b; /* the largest freed object up to KEPT_OBJECT_MAX_B */
static _Atomic uint32_t trimming;

/* The scavenger asks it whether the world is to stop. Never. */
static struct cache nobody;

/* ---- What is kept ---- */

/* Without the page heap's lock: a guess will do. */
static size_t
about(const size_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static size_t
kept_b(void)
{
    size_t kept = about(&pageheap.inuse_pages) * PAGE_B / KEPT_SHARE;
    size_t object_b = atomic_load_explicit(&kept_object_b, memory_order_relaxed);
    if (kept < KEPT_LEAST_B)
        kept = KEPT_LEAST_B;
    return kept > object_b ? kept : object_b;
}

static size_t
free_b(void)
{
    size_t all = about(&pageheap.pages.free_pages), bare = about(&pageheap.pages.scavenged_pages);
    return all > bare ? (all - bare) * PAGE_B : 0;
}

void
malloc_trim_some(void)
{
    size_t have = free_b(), kept = kept_b();
    uint32_t idle = 0;
    if (have <= kept || !atomic_compare_exchange_strong(&trimming, &idle, 1))
        return;
    int error = errno;
    scavenger_release_inside(&nobody, have - kept / 2);
    errno = error;
    atomic_store(&trimming, 0);
}

void
malloc_trim_after_fork(void)
{
    atomic_store(&trimming, 0);
}

bool
malloc_trim_all(void)
{
    return scavenger_release_inside(&nobody, SIZE_MAX) > 0;
}

/* ---- Large objects ---- */

/* Pages at a multiple of align. 0: no memory. */
static uintptr_t
take_aligned(size_t npages, size_t align, bool *needzero)
{
    size_t before = 0, spare = align <= PAGE_B ? 0 : align / PAGE_B - 1;
    uintptr_t base = pageheap_take_pages(npages + spare, needzero);
    if (base == 0 || spare == 0)
        return base;
    before = (round_up(base, align) - base) / PAGE_B;
    if (before > 0)
        pageheap_return_pages(base, before);
    base += before * PAGE_B;
    if (spare > before)
        pageheap_return_pages(base + npages * PAGE_B, spare - before);
    return base;
}

void *
malloc_large(size_t size, size_t align, bool zeroed)
{
    size_t npages = (size + PAGE_B - 1) / PAGE_B;
    bool needzero;
    uintptr_t base = take_aligned(npages, align, &needzero);
    if (base == 0)
        return NULL;
    struct span *s = pageheap_make_span(base, npages, 0, KIND_NOSCAN, false);
    if (s == NULL) {
        pageheap_return_pages(base, npages);
        return NULL;
    }
    if (zeroed && needzero)
        memset((void *)base, 0, npages * PAGE_B);
    return (void *)base;
}

void
malloc_free_large(struct span *s, uintptr_t p)
{
    if (s->base != p)
        malloc_bad_pointer(s, p);
    size_t size = s->elem_b;
    pageheap_free_span(s);
    if (size <= KEPT_OBJECT_MAX_B && size > atomic_load(&kept_object_b))
        atomic_store(&kept_object_b, size);
    malloc_trim_some();
}

bool
malloc_resize_large(struct span *s, size_t size)
{
    size_t npages = (size + PAGE_B - 1) / PAGE_B;
    bool needzero;
    if (npages > s->npages)
        return pageheap_grow_span(s, npages, &needzero);
    if (npages < s->npages) {
        pageheap_shrink_span(s, npages);
        malloc_trim_some();
    }
    return true;
}
