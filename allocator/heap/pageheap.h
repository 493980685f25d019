/*
 * The page heap: the reserved address range, its 64 MiB arenas, the table from page to span, and
 * the records of spans. Everything that has an address in the heap is found from here.
 */
#ifndef SPANHEAP_PAGEHEAP_H
#define SPANHEAP_PAGEHEAP_H

#include "heap/lock.h"
#include "heap/pages.h"
#include "heap/span.h"

enum huge_pages { HUGE_PAGES_BY_SYSTEM, HUGE_PAGES_REFUSED, HUGE_PAGES_WANTED };

struct pageheap {
    uintptr_t base;    /* of the reserved range; a multiple of the arena size */
    size_t reserved_b; /* whole arenas */
    enum huge_pages huge_pages;
    _Atomic size_t used_b;             /* committed, from base on */
    _Atomic(struct span *) *page_span; /* one entry a page; NULL: no span there */
    struct lock lock;                  /* guards what follows */
    struct pages pages;
    struct span *free_records;
    size_t inuse_pages;           /* in spans */
    size_t most_pages;            /* that may be taken; SIZE_MAX: what there is */
    _Atomic size_t transit_pages; /* taken, not yet in a span */
    size_t nspans;
};
extern struct pageheap pageheap;

/** Reserves at most reserve_b (0: 256 GiB), halving until it succeeds. huge_pages is said of every
 * arena. False: not even one arena. */
bool pageheap_init(size_t reserve_b, enum huge_pages huge_pages);

/** The span that covers an address, or NULL. Any address, any thread, no lock. */
static inline struct span *
pageheap_span_of(uintptr_t address)
{
    uintptr_t offset = address - pageheap.base;
    if (offset >= atomic_load_explicit(&pageheap.used_b, memory_order_relaxed))
        return NULL;
    return atomic_load_explicit(&pageheap.page_span[offset >> PAGE_SHIFT], memory_order_acquire);
}

/** Whether a root's word keeps an object that ends there. Any word, any thread. */
static inline bool
pageheap_end_keeps(uintptr_t word)
{
    const struct span *s = pageheap_span_of(word - 1);
    return s != NULL && atomic_load_explicit(&s->end_keeps, memory_order_relaxed);
}

/** From now on no more than so many bytes are in use: beyond that there is no memory. SIZE_MAX: no
 * limit. What is in use stays. */
void pageheap_set_most(size_t most_b);
/** How many bytes more, then. */
size_t pageheap_left_b(void);

/** Takes pages without making a span of them. 0: no memory. *needzero: they may have old contents.
 */
uintptr_t pageheap_take_pages(size_t npages, bool *needzero);
/** The same, and up to *n times npages if what follows is free too; sets *n. */
uintptr_t pageheap_take_run(size_t npages, size_t *n, bool *needzero);
/** Gives such pages back. */
void pageheap_return_pages(uintptr_t base, size_t npages);
/** Makes a span of taken pages, swept and empty. NULL: no memory for its record. */
struct span *pageheap_make_span(uintptr_t base, size_t npages, unsigned class, enum span_kind kind,
                                bool needzero);
/** The same with slots of slot_b bytes, see span_setup(). */
struct span *pageheap_make_slots(uintptr_t base, size_t npages, unsigned class, size_t slot_b,
                                 enum span_kind kind, bool needzero);
/** Makes a large span longer where it lies, up to npages. False: what follows is in use, or cannot
 * be had. *needzero: the new pages may have old contents. For a heap that does not collect. */
bool pageheap_grow_span(struct span *s, size_t npages, bool *needzero);
/** Gives the pages of a large span from npages on back. For a heap that does not collect. */
void pageheap_shrink_span(struct span *s, size_t npages);
/** Frees a span and its pages. It is in no list and no cache. */
void pageheap_free_span(struct span *s);

/** Calls visit for every span. Nobody makes or frees one meanwhile. */
void pageheap_each_span(void (*visit)(struct span *s));

/** The generation of the last collection; see span.h. */
extern _Atomic uint32_t heap_sweepgen;
/** A collection marks: what sh_free gives back must not be reused before the sweep, since it may be
 * in a mark queue. Changed only in a stop. */
extern _Atomic uint32_t heap_marking;
static inline bool
heap_is_marking(void)
{
    return atomic_load_explicit(&heap_marking, memory_order_relaxed);
}

/* In a cache line of its own: it changes often, its neighbours are read often. */
struct heap_size {
    /* Bytes that count against the heap goal: marked last time, plus whole spans handed out since.
     */
    _Atomic size_t live_b;
    /* Of these, bytes in spans whose objects may hold pointers: what marking would have to read. */
    _Atomic size_t scannable_b;
} __attribute__((aligned(CACHE_LINE_B)));
extern struct heap_size heap_size;

#endif
