/*
 * The live data of churn and live-heap: chains of 8 cells of 64 to 128 bytes, linked both ways, in
 * a table. go/chain.go is the same in Go.
 */
#ifndef SPANHEAP_BENCH_CHAIN_H
#define SPANHEAP_BENCH_CHAIN_H

#include "gc_api.h"

enum {
    CHAIN_CELLS = 8,
    CHAIN_MEAN_B = CHAIN_CELLS * 96, /* of the sizes 64, 80, 96, 112, 128, which are as frequent */
};

struct cell {
    struct cell *next, *prev;
    uint64_t key, size;
};

#define CELL_MASK (GC_POINTER(struct cell, next) | GC_POINTER(struct cell, prev))
#define CELL(n)                                                                                    \
    struct cell##n {                                                                               \
        struct cell head;                                                                          \
        char rest[(n) - sizeof(struct cell)];                                                      \
    };                                                                                             \
    GC_TYPE(CELL##n, struct cell##n, CELL_MASK)

CELL(64);
CELL(80);
CELL(96);
CELL(112);
CELL(128);

/* The last word of a cell: writing it touches all of its cache lines but one at most. */
static inline uint64_t *
cell_last(struct cell *c)
{
    return (uint64_t *)((char *)c + c->size) - 1;
}

static inline struct cell *
cell_new(unsigned kind)
{
    static const gc_type *const types[] = {&CELL64, &CELL80, &CELL96, &CELL112, &CELL128};
    struct cell *c = gc_new(types[kind]);

    c->size = 64 + kind * 16;
    return c;
}

/** A new chain. One random number decides all its sizes and keys. */
static inline struct cell *
chain_make(struct rng *r)
{
    uint64_t random = rng_next(r);
    struct cell *head = NULL, *tail = NULL;

    for (unsigned i = 0; i < CHAIN_CELLS; i++) {
        struct cell *c = cell_new((unsigned)(random >> (8 * i) & 0xff) % 5);
        c->next = NULL;
        c->prev = tail; /* plain stores: nobody has seen it yet */
        c->key = random + i;
        *cell_last(c) = c->key;
        if (tail == NULL)
            head = c;
        else
            gc_store(&tail->next, c);
        tail = c;
    }
    return head;
}

/** Reads a whole chain, and frees it where that is explicit. Returns the sum of its keys. */
static inline uint64_t
chain_drop(struct cell *c)
{
    uint64_t sum = 0;

    while (c != NULL) {
        struct cell *next = c->next;
        sum += c->key ^ *cell_last(c) ^ c->size;
        gc_free(c);
        c = next;
    }
    return sum;
}

/** A table of n new chains. */
static inline struct cell **
chain_table(size_t n, struct rng *r)
{
    struct cell **table = gc_new_pointers(n);

    for (size_t i = 0; i < n; i++)
        gc_store(&table[i], chain_make(r));
    return table;
}

/** One operation: a random chain of the table is read, dropped, and made anew. */
static inline uint64_t
chain_replace(struct cell **table, size_t n, struct rng *r)
{
    size_t i = rng_below(r, n);
    uint64_t sum = chain_drop(table[i]);

    gc_store(&table[i], chain_make(r));
    return sum;
}

#endif
