/*
 * The page allocator: which 8 KiB pages of the reserved range are free. Pure but for its tables.
 *
 * One bit a page, in chunks of 512 pages; above the chunks a radix tree of five levels, eight
 * children a node. A node's summary holds three run lengths of free pages: at its start, its
 * longest, and at its end. Allocation is address-ordered first fit, which keeps the top of the heap
 * empty: the walk goes down only where a summary promises a run that is long enough. Source:
 * Go 1.19's runtime/mpagealloc.go (its structure; the code is ours).
 *
 * The tables start all zero, "nothing free", so that a sparse mapping costs no memory for addresses
 * that are not in use.
 */
#ifndef SPANHEAP_PAGES_H
#define SPANHEAP_PAGES_H

#include "heap/base.h"

#define CHUNK_PAGES 512
#define CHUNK_WORDS (CHUNK_PAGES / 64)
#define LEVELS 5
#define FANOUT_SHIFT 3

struct pages {
    uint64_t *free;            /* bit = 1: the page is free */
    uint64_t *scavenged;       /* bit = 1: it is free and has no memory behind it */
    uint64_t *summary[LEVELS]; /* [0] is the root level */
    size_t nodes[LEVELS];      /* entries of each level */
    size_t nchunks;
    size_t hint; /* no page below this one is free */
    size_t free_pages, scavenged_pages;
};

/** Tables for npages pages (a multiple of CHUNK_PAGES), none free. False: no memory. */
bool pages_init(struct pages *p, size_t npages);
/** Gives the tables back, also those of a pages_init() that failed. */
void pages_discard(struct pages *p);
/** Adds pages that have no memory behind them yet. */
void pages_add(struct pages *p, size_t first, size_t n);
/**
 * Takes the lowest run of n pages. False: there is none. *fresh: how many of them had no memory
 * behind them (they read as zero).
 */
bool pages_alloc(struct pages *p, size_t n, size_t *first, size_t *fresh);
/** The same for up to *pieces times n pages, as many as are free there in one run; sets *pieces. */
bool pages_alloc_pieces(struct pages *p, size_t n, size_t *pieces, size_t *first, size_t *fresh);
/** Gives pages back; they keep their memory. */
void pages_free(struct pages *p, size_t first, size_t n);
/** The highest run of at most max free pages that have memory, below page `below`. False: none. */
bool pages_find_unscavenged(const struct pages *p, size_t below, size_t max, size_t *first,
                            size_t *n);
/** Length of the run of free pages that ends just before page `end`. */
size_t pages_free_before(const struct pages *p, size_t end);
/** Length of the run of free pages that begins at page `first`, at most `most`. */
size_t pages_free_from(const struct pages *p, size_t first, size_t most);
/** Takes given pages, all free. Returns how many of them had no memory behind them. */
size_t pages_take(struct pages *p, size_t first, size_t n);

#endif
