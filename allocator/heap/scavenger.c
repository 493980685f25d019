/*
 * Pages are given back from the top of the heap downwards, since allocation is address-ordered
 * from below: what is released is what would be used last. A piece of at most 64 KiB is taken out
 * of the page allocator while the system call runs, so that the lock is not held over it and nobody
 * can be given a page that is about to be emptied.
 */
#include "heap/scavenger.h"

#include "heap/cache.h"
#include "heap/os.h"
#include "heap/pageheap.h"

#include <spanheap.h>

#define PIECE_PAGES (65536 / PAGE_B)

/* Takes the highest piece below *below that has memory. */
static bool
take_piece(const size_t *below, size_t *first, size_t *n)
{
    lock_take(&pageheap.lock);
    bool found = pages_find_unscavenged(&pageheap.pages, *below, PIECE_PAGES, first, n);
    if (found) {
        pages_take(&pageheap.pages, *first, *n);
        atomic_fetch_add(&pageheap.transit_pages, *n);
    }
    lock_drop(&pageheap.lock);
    return found;
}

static void
give_piece(size_t first, size_t n)
{
    lock_take(&pageheap.lock);
    pages_add(&pageheap.pages, first, n);
    atomic_fetch_sub(&pageheap.transit_pages, n);
    lock_drop(&pageheap.lock);
}

/* Empties the highest piece below *below. Returns its size; 0: there is none. Inside a slow
   section, so that fork does not lose a piece that is out of the page allocator. */
static size_t
release_piece(size_t *below)
{
    size_t first = 0, n = 0;
    if (take_piece(below, &first, &n)) {
        os_release((void *)(pageheap.base + first * PAGE_B), n * PAGE_B);
        give_piece(first, n);
        *below = first;
    }
    return n * PAGE_B;
}

size_t
scavenger_release(struct cache *c, size_t max_b)
{
    size_t below = atomic_load(&pageheap.used_b) / PAGE_B, released_b = 0, piece_b = 1;
    while (released_b < max_b && piece_b > 0) {
        cache_slow_enter(c);
        piece_b = release_piece(&below);
        cache_slow_leave(c);
        released_b += piece_b;
    }
    return released_b;
}

size_t
scavenger_release_inside(const struct cache *c, size_t max_b)
{
    size_t below = atomic_load(&pageheap.used_b) / PAGE_B, released_b = 0, piece_b = 1;
    while (released_b < max_b && piece_b > 0 && !atomic_load(&c->stop_pending)) {
        piece_b = release_piece(&below);
        released_b += piece_b;
    }
    return released_b;
}

size_t
sh_release_memory(void)
{
    struct cache *c = cache_of_caller();
    return scavenger_release(c, SIZE_MAX);
}
