/*
 * Spans: runs of pages cut into objects of one size. Everything about the objects lies here or in
 * bitmaps beside it, never in the objects: a stray write cannot corrupt a free list, and marking
 * touches no object page of pointer-free memory.
 *
 * Which slots are free, between two sweeps:
 *   - slots from free_index on: those whose bit `alloc` is 0 (they were dead at the last sweep);
 *   - slots below it: those whose bit `freed` is 1 (sh_free since then), nothing else.
 * The allocator walks these bits 64 slots at a time: alloc_cache holds the free ones among
 * [cache_base, cache_base + 64), and count-trailing-zeros finds the next. free_index is what others
 * see: it moves past a slot only after the object there is zeroed and complete.
 *
 * State                sweep generation of the span, against the heap's
 *   not swept           heap - 2
 *   being swept         heap - 1
 *   swept, usable       heap
 * The heap's generation rises by 2 in each collection, so all spans become "not swept" at once.
 */
#ifndef SPANHEAP_SPAN_H
#define SPANHEAP_SPAN_H

#include "heap/base.h"
#include "heap/sizeclass.h"

#include <spanheap.h>

/* What the objects of a span may hold. Go's span class is class << 1 | noscan; C needs a second
   kind of scannable object, of which nothing is known, and keeps tiny blocks apart so that sh_free
   can tell a shared block from an object of 16 bytes. */
enum span_kind {
    KIND_TYPED,   /* scannable; layout says where the pointers are */
    KIND_NOSCAN,  /* no pointers */
    KIND_UNTYPED, /* scannable; any word may be a pointer */
    KIND_TINY,    /* no pointers; blocks of 16 bytes shared by smaller objects */
};

#define NSPANCLASSES (2 * NCLASSES) /* Go's: typed and noscan */
/* Rows of the thread cache and of the central lists: the span classes, the untyped, the tiny one.
 */
#define TINY_ROW (3 * NCLASSES)
#define NROWS (TINY_ROW + 1)

/* Objects up to this size have their pointer words in a bitmap; larger ones a descriptor each. */
#define BITMAP_MAX_B 512

struct special;
struct slot_watch;

enum span_state {
    SPAN_UNUSED = 0, /* a record without pages */
    SPAN_SMALL,
    SPAN_LARGE,
};

/* Bits of 64 slots. What marking looks at for one object lies in one cache line. */
struct slot_bits {
    uint64_t alloc; /* in use at the last sweep */
    uint64_t mark;  /* set by the one marker of the span's region */
    uint64_t born;  /* marked by the program: born black, or freed while marking */
    uint64_t freed; /* by sh_free since the last sweep */
};

/* A slot_mask: the slots have not all the same pointer words, or too many for it. */
#define MIXED UINT64_MAX

struct span {
    /* Read for every pointer that marking follows: one cache line. */
    uintptr_t base;
    size_t elem_b;  /* object size; of a large span its usable bytes */
    uint32_t magic; /* see sizeclass_magic(); 0 in a large span: every offset is object 0 */
    uint32_t nelems;
    struct slot_bits *bits;
    uint8_t kind;              /* enum span_kind */
    uint8_t class;             /* 0: large */
    uint8_t state;             /* enum span_state */
    uint8_t needzero;          /* slots may hold old contents */
    _Atomic uint8_t has_born;  /* some bit `born` is set */
    _Atomic uint8_t has_freed; /* some bit `freed` is, or was */
    _Atomic uint8_t end_keeps; /* a root's word at the end of an object keeps it: not all are of
                                  SH_PLAIN_TYPE() */
    uint8_t filed;             /* by who keeps spans of its own: see shims/malloc_heap.h */
    _Atomic uint32_t free_index;
    _Atomic uint64_t slot_mask; /* typed, up to BITMAP_MAX_B: the pointer words of every slot */
    union {
        uint64_t *pointer_bits;       /* the same if slot_mask is MIXED: one bit a word */
        const struct sh_type **types; /* typed, above: one a slot */
        const struct sh_type *type;   /* typed, large */
        struct malloc_heap *owner;    /* malloc's */
    } layout;

    /* The allocator's side; owned by the thread that caches the span. */
    uint64_t alloc_cache;
    uint32_t cache_base;
    uint32_t alloc_count;        /* slots in use */
    uint32_t alloc_count_cached; /* the same when it entered a thread cache */
    _Atomic uint32_t cached;     /* in some thread's cache */
    size_t npages;
    _Atomic uint32_t shard; /* of the central lists it belongs to */
    /* Typed, up to BITMAP_MAX_B: the type of all objects, NULL: they have several. For those who
       look; marking goes by the mask. */
    _Atomic(const struct sh_type *) only_type;

    _Atomic uint32_t sweepgen;
    _Atomic uint32_t has_specials; /* the collector has notes about some of its objects */
    union {
        struct special *specials;            /* the collector's; see finalizer.h */
        _Atomic(struct span *) foreign_next; /* malloc's */
    };
    struct slot_watch *watched; /* see watch.h; NULL: the heap is not watched */

    /* Membership of a central list. */
    struct span *next, *prev;
    struct span_list *list;

    const struct sh_type **slot_types; /* as only_type, one a slot; NULL: not kept */
} __attribute__((aligned(CACHE_LINE_B)));
_Static_assert(offsetof(struct span, alloc_cache) == CACHE_LINE_B, "marking reads one line a span");

struct span_list {
    _Atomic(struct span *) first; /* changed under a lock; a look without one is allowed */
    size_t count;
};

void span_list_push(struct span_list *list, struct span *s);
void span_list_remove(struct span *s);
/** NULL: the list is empty. */
struct span *span_list_pop(struct span_list *list);

static inline unsigned
span_row(unsigned class, enum span_kind kind)
{
    return kind == KIND_TINY ? TINY_ROW : (unsigned)kind * NCLASSES + class;
}

static inline enum span_kind
row_kind(unsigned row)
{
    return row == TINY_ROW ? KIND_TINY : (enum span_kind)(row / NCLASSES);
}

static inline unsigned
row_class(unsigned row)
{
    return row == TINY_ROW ? sizeclass_of(TINY_MAX_B) : row % NCLASSES;
}

static inline bool
kind_is_scannable(enum span_kind kind)
{
    return kind == KIND_TYPED || kind == KIND_UNTYPED;
}

static inline uint32_t
span_bit_words(uint32_t nelems)
{
    return (nelems + 63) / 64;
}

/* Bit index % 64 of a word. */
static inline bool
slot_bit(uint64_t word, uint32_t index)
{
    return (word >> (index % 64) & 1) != 0;
}

/** The slot that contains an address inside the span; may be >= nelems in the tail waste. */
static inline uint32_t
span_index(const struct span *s, uintptr_t address)
{
    return (uint32_t)(((uint64_t)(uint32_t)(address - s->base) * s->magic) >> 32);
}

static inline uintptr_t
span_slot(const struct span *s, uint32_t index)
{
    return s->base + (uintptr_t)index * s->elem_b;
}

/** Prepares a span record for npages at base: bitmaps, layout, counters. slot_b, from 8 on, need
 * not be the class's; class 0 is one object of all pages. False: no memory. */
bool span_setup(struct span *s, uintptr_t base, size_t npages, unsigned class, size_t slot_b,
                enum span_kind kind, bool needzero);
/** Gives the bitmaps back. */
void span_teardown(struct span *s);

/** Loads alloc_cache for the word of slots that contains index (a multiple of 64). */
void span_load_cache(struct span *s, uint32_t index);
/** Moves to the next word with a free slot. False: the span is full. */
bool span_next_cache(struct span *s);
/** Free slots still ahead of the allocator (those that sh_free gave back are not counted). */
uint32_t span_free_ahead(const struct span *s);

/** Whether sh_free gave the slot back since the last sweep. */
static inline bool
span_is_freed(const struct span *s, uint32_t index)
{
    return unlikely(atomic_load_explicit(&s->has_freed, memory_order_acquire)) &&
           slot_bit(__atomic_load_n(&s->bits[index / 64].freed, __ATOMIC_ACQUIRE), index);
}

/** Whether the slot holds an object that has been handed out and not freed. Any thread. */
static inline bool
span_is_allocated(const struct span *s, uint32_t index)
{
    if (unlikely(index >= s->nelems))
        return false;
    if (index >= atomic_load_explicit(&s->free_index, memory_order_acquire) &&
        !slot_bit(__atomic_load_n(&s->bits[index / 64].alloc, __ATOMIC_ACQUIRE), index))
        return false;
    return !span_is_freed(s, index);
}

/** Records sh_free of a slot. False: it was free already. Any thread. */
bool span_record_free(struct span *s, uint32_t index);
/** Makes the slots of span_record_free() allocatable again. Owner only. Returns how many. */
uint32_t span_reclaim_freed(struct span *s);
/**
 * Makes free what is not marked or was freed, and clears the marks. Returns how many objects died
 * that span_record_free() has not reported; *marked_but_freed: freed after they had been marked.
 */
uint32_t span_commit_sweep(struct span *s, uint32_t *marked_but_freed);

/** Slots that sh_free gave back and that are not yet allocatable, but may become so (watch.h). */
uint32_t span_count_freed(const struct span *s);
/** Marked slots that were not freed meanwhile. */
uint32_t span_count_marked(const struct span *s);

/** Remembers where the pointers of a typed object are. Owner only. False: no memory for it. */
bool span_set_type(struct span *s, uint32_t index, const struct sh_type *type);
/** The same for an object that exists, by any thread. False: it would change what belongs to other
 * objects too, and nothing is done. */
bool span_change_type(struct span *s, uint32_t index, const struct sh_type *type);
/** The type of an object, or NULL: it has none, or is small and lies among others. World stopped.
 */
const struct sh_type *span_type_of(const struct span *s, uint32_t index);
/** The pointer words of a slot whose span has MIXED ones. */
uint64_t span_mixed_mask(const struct span *s, uint32_t index);

/** The pointer words of a typed object of up to BITMAP_MAX_B, as bits. Any thread. */
static inline uint64_t
span_pointer_mask(const struct span *s, uint32_t index)
{
    uint64_t mask = atomic_load_explicit(&s->slot_mask, memory_order_acquire);
    return likely(mask != MIXED) ? mask : span_mixed_mask(s, index);
}

/** span_set_type() for one element that fills its slot (or leaves less than itself) in a span whose
 * slots are powers of two up to 512 bytes: at most one word of the bitmap, nothing to repeat.
 * False: it takes span_set_type(). */
static inline bool
span_set_one(struct span *s, uint32_t index, uint64_t mask)
{
    unsigned words = (unsigned)(s->elem_b / WORD_B);
    uint64_t all = words == 64 ? ~UINT64_C(0) : (UINT64_C(1) << words) - 1;
    uint64_t common = atomic_load_explicit(&s->slot_mask, memory_order_relaxed);
    mask &= all;
    if (unlikely(common != MIXED))
        return mask == common;
    size_t offset = (size_t)index * words;
    _Atomic uint64_t *word = (_Atomic uint64_t *)&s->layout.pointer_bits[offset / 64];
    uint64_t old = atomic_load_explicit(word, memory_order_relaxed), shift = offset % 64;
    uint64_t fresh = (old & ~(all << shift)) | mask << shift;
    if (fresh != old) /* often it is not: the slot held the same type before */
        atomic_store_explicit(word, fresh, memory_order_relaxed);
    return true;
}

/** Marked by the program: born black, or freed while marking. */
static inline bool
span_is_born_black(const struct span *s, uint32_t index)
{
    return unlikely(atomic_load_explicit(&s->has_born, memory_order_relaxed)) &&
           slot_bit(__atomic_load_n(&s->bits[index / 64].born, __ATOMIC_RELAXED), index);
}

/** Sets the mark bit; true if the object was not marked. One thread at a time; others may read. */
static inline bool
span_mark(struct span *s, uint32_t index)
{
    uint64_t *word = &s->bits[index / 64].mark;
    uint64_t marks = __atomic_load_n(word, __ATOMIC_RELAXED);
    if (slot_bit(marks, index) || span_is_born_black(s, index))
        return false;
    __atomic_store_n(word, marks | UINT64_C(1) << (index % 64), __ATOMIC_RELEASE);
    return true;
}

static inline bool
span_is_marked(const struct span *s, uint32_t index)
{
    return slot_bit(__atomic_load_n(&s->bits[index / 64].mark, __ATOMIC_ACQUIRE), index) ||
           span_is_born_black(s, index);
}

/** Makes an object black whoever marks in the span; true if it was not marked. Any thread. */
bool span_mark_born(struct span *s, uint32_t index);

/**
 * New objects are born black while a collection marks: all free slots that the allocator has at
 * hand are noted at once, 64 at a time, so that allocating one costs no more than otherwise.
 * span_whiten() takes back those that were not handed out. Owner only.
 */
void span_blacken(struct span *s);
void span_whiten(struct span *s);
/** Forgets all marks. */
void span_clear_marks(struct span *s);

/** Whether the word just past an untyped object keeps it. Cleared before the first allocation by
 * who makes each object a byte longer instead. */
extern bool span_end_keeps;
/** The type of each small object is kept, in memory of its own; no fast path then. Set at the
 * start.
 */
extern bool span_keep_types;

/** Set in the stop that begins a collection, cleared in the one that ends it. */
extern _Atomic uint32_t span_allocate_black;

#endif
