/*
 * A malloc over the heap's spans, without a collector: small objects.
 *
 * A *malloc heap* has spans of its own and, as a rule, a thread that uses it. Heaps outlive
 * threads: when one ends, its heap waits with all its spans for the next thread, and a span never
 * changes its heap. So the owner allocates and frees without a lock or an atomic operation, and
 * whoever frees another's object finds its heap in the span.
 *
 * Each heap has a *magazine* for each row of sizes: a few free slots, the newest on top. malloc and
 * free of the owner's own objects take from there and put there. An empty magazine is filled to the
 * half from the spans, a full one emptied to the half.
 *
 * Bits of a span's slots, all outside the objects:
 *   alloc   0: the slot is free. One in a magazine counts as taken. Only the owner changes these.
 *   freed   1: another thread has freed it. The owner clears both bits when it next fills a
 *           magazine. A span with such bits is in the heap's list `foreign`, once.
 * `alloc_count` is the number of taken slots. The second word of a slot in a magazine is
 * malloc_mark, and of no other, so that a double free is seen there, too.
 *
 * Where a span is (`filed`): with free slots, in a list of its row; empty, in another one; full, in
 * none. Both lists are stacks: the spans at the bottom become empty.
 *
 * Rows are sizes: multiples of 16 up to 1024, then eight to a doubling, up to 32 KiB. They are
 * finer than the collector's classes, as rounding is most of what a malloc wastes. All are
 * multiples of 16, so every object is aligned to 16. When a row has no free slot, one of a row that
 * is at most a quarter larger will do, before there is a new span: else each row would keep the
 * memory of the moment when it had the most objects.
 */
#ifndef SPANHEAP_MALLOC_HEAP_H
#define SPANHEAP_MALLOC_HEAP_H

#include "heap/pageheap.h"

#define STEP_B 16
#define STEPS_MAX_B ((size_t)1024) /* rows are multiples of STEP_B up to here */
#define MALLOC_ROWS ((unsigned)(STEPS_MAX_B / STEP_B) + 1 + 5 * 8)

#define MAGAZINE_MAX 31

/* struct span's `filed`. */
enum filed { FILED_FULL, FILED_PARTIAL, FILED_EMPTY };

struct malloc_row {
    uint32_t count;
    uint16_t capacity, fill; /* slots; to be fetched the next time, up to half of it */
    uintptr_t slots[MAGAZINE_MAX];
};

enum heap_state {
    HEAP_IDLE, /* anybody may take it */
    HEAP_USED, /* by one thread, for as long as it lives, or for a moment */
    HEAP_TORN, /* its thread is not in this process, which fork has made */
};

struct malloc_heap {
    struct malloc_row rows[MALLOC_ROWS]; /* [0] is never filled: malloc(0) takes the slow way */
    struct span_list partial[MALLOC_ROWS], empty[MALLOC_ROWS];
    size_t pages, empty_pages;
    unsigned cursor;          /* the row whose empty spans are released next */
    struct malloc_heap *next; /* of all heaps */
    _Atomic uint32_t state __attribute__((aligned(CACHE_LINE_B)));
    _Atomic(struct span *) foreign;
};

/* The calling thread's; malloc_no_heap, which has no free slot, until it needs one, and when the
   thread has ended. */
extern _Thread_local struct malloc_heap *malloc_self __attribute__((tls_model("initial-exec")));
extern struct malloc_heap malloc_no_heap;
/* Random, so that no program has it in its objects. */
extern uintptr_t malloc_mark;

/** The row of a size up to SMALL_MAX_B. */
static inline unsigned
malloc_row_of(size_t size)
{
    if (likely(size <= STEPS_MAX_B))
        return (unsigned)((size + STEP_B - 1) / STEP_B);
    unsigned shift = 63 - (unsigned)__builtin_clzll(size - 1);
    return (unsigned)(STEPS_MAX_B / STEP_B) + (shift - 10) * 8 +
           (unsigned)((size - 1) >> (shift - 3)) - 7;
}

/** The slot size of a row. */
static inline size_t
malloc_slot_b(unsigned row)
{
    if (row <= STEPS_MAX_B / STEP_B)
        return (size_t)row * STEP_B;
    unsigned above = row - (unsigned)(STEPS_MAX_B / STEP_B) - 1;
    size_t step_b = (STEPS_MAX_B / 8) << above / 8 % 8;
    return (9 + above % 8) * step_b;
}

/** The word that tells whether a slot is in a magazine. */
static inline uintptr_t *
malloc_mark_of(uintptr_t slot)
{
    return (uintptr_t *)slot + 1;
}

/** The newest slot of a magazine, or NULL. */
static inline void *
malloc_take(struct malloc_row *row)
{
    if (unlikely(row->count == 0))
        return NULL;
    uintptr_t p = row->slots[--row->count];
    *malloc_mark_of(p) = 0;
    return (void *)p;
}

/** Ends the program: no object that is in use begins at p. s: its span or NULL. */
_Noreturn void malloc_bad_pointer(const struct span *s, uintptr_t p);

/** Fatal if no object that is in use begins at p. Any thread that may free it. */
static inline uint32_t
malloc_check(const struct span *s, uintptr_t p)
{
    uint32_t index = span_index(s, p);
    if (unlikely(span_slot(s, index) != p || index >= s->nelems))
        malloc_bad_pointer(s, p);
    const struct slot_bits *bits = &s->bits[index / 64];
    uint64_t taken = __atomic_load_n(&bits->alloc, __ATOMIC_RELAXED) &
                     ~__atomic_load_n(&bits->freed, __ATOMIC_RELAXED);
    if (unlikely(!slot_bit(taken, index) || *malloc_mark_of(p) == malloc_mark))
        malloc_bad_pointer(s, p);
    return index;
}

/* Its slots had better stay free, so that it becomes empty. */
static inline bool
malloc_is_sparse(const struct span *s)
{
    return s->alloc_count < s->nelems / 4 * 3;
}

/** Frees a slot of this heap, by who uses it. False: the magazine is full, or the slot had better
 * go back to its span, and nothing has happened. */
static inline bool
malloc_put(struct malloc_heap *h, const struct span *s, uintptr_t p)
{
    struct malloc_row *row = &h->rows[s->class];
    malloc_check(s, p);
    if (unlikely(row->count == row->capacity || malloc_is_sparse(s)))
        return false;
    *malloc_mark_of(p) = malloc_mark;
    row->slots[row->count++] = p;
    return true;
}

/** Chooses the lengths of spans, and the mark. Before anything else. */
void malloc_rows_init(void);
/** The magazines of a new heap. */
void malloc_heap_init(struct malloc_heap *h);
/** Fills an empty magazine to the half. False: no memory. By who uses the heap. */
bool malloc_fill(struct malloc_heap *h, unsigned row);
/** A free slot of this row itself, so that it is aligned as all in the row are. 0: no memory. */
uintptr_t malloc_take_exact(struct malloc_heap *h, unsigned row);
/** The same as malloc_put(), whatever it takes. */
void malloc_put_slowly(struct malloc_heap *h, struct span *s, uintptr_t p);
/** Frees it by anyone else: the heap that the span belongs to is told. */
void malloc_free_foreign(struct span *s, uintptr_t p);
/** Gives all that can be given back to the page heap, so that others may have it. */
void malloc_flush(struct malloc_heap *h);
/** In a forked child, where all heaps' lists are empty: enters the spans that were in one, or
 * should have come there. */
void malloc_relist_foreign(void);
/** Finds the lists and counters of a torn heap again, from its spans' bits. */
void malloc_mend(struct malloc_heap *h);

/* ---- malloc_thread.c ---- */

/** Before anything else. Does nothing the next time. */
void malloc_start(void);
/** The calling thread's heap, got for it if need be. NULL: no memory, or the thread has ended: then
 * malloc_borrow() one. */
struct malloc_heap *malloc_attach(void);
/** A heap that nobody uses, for a moment. NULL: no memory. */
struct malloc_heap *malloc_borrow(void);
/** Lets go of it. */
void malloc_release(struct malloc_heap *h);
/** Takes back what was freed in a heap that nobody uses. */
void malloc_help(struct malloc_heap *h);
/** Flushes the calling thread's heap and all that nobody uses. */
void malloc_flush_all(void);

/* ---- malloc_large.c ---- */

/** Whole pages, or an object whose alignment is beyond a page's. NULL: no memory. zeroed: it is to
 * be all zero. */
void *malloc_large(size_t size, size_t align, bool zeroed);
void malloc_free_large(struct span *s, uintptr_t p);
/** Makes it so long where it lies. False: it has to be moved. */
bool malloc_resize_large(struct span *s, size_t size);
/** Pages were freed: gives memory back to the system if there is much. */
void malloc_trim_some(void);
/** In a forked child: whoever was at it is not there. */
void malloc_trim_after_fork(void);
/** Gives all free pages back. True: there were some. */
bool malloc_trim_all(void);

#endif
