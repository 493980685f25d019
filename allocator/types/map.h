/*
 * The parts of a map, and what its files share: layout (map_layout.c), searching (map_search.h),
 * look-up and writes (map.c), deletion (map_delete.c), growth (map_grow.c), iteration
 * (map_iterate.c). The design is that of Go's maps before 1.24.
 *
 * A table is an array of 2^log2 buckets. The low bits of a key's hash choose the bucket; the high
 * byte, the key's `top`, is kept beside it, so that eight keys are told apart by one comparison of
 * words. A full bucket is continued by overflow buckets. An entry never moves within a table: that
 * is what lets an iterator go on while the map changes.
 *
 *     bucket:  8 tops | 8 keys | 8 elements | overflow      tops also say which slots are empty
 *
 * A map that is too full, or has too many overflow buckets, gets a new table (of twice the size, or
 * the same), and keeps the old one until each write has moved two old buckets and none is left.
 *
 * For the collector: a bucket is a typed object if keys or elements hold pointers, and all that is
 * stored in it goes through the barrier. Otherwise it is not scanned, so `overflow` holds nothing:
 * lists in map_rest do, and iterators hold these lists.
 */
#ifndef SPANHEAP_TYPES_MAP_H
#define SPANHEAP_TYPES_MAP_H

#include <spanheap/map.h>

#include "types/panic.h"

#include <string.h>

#define BUCKET_ENTRIES 8
#define ENTRY_INLINE_MAX_B 128
#define BUCKET_MAX_B (8 + 2 * BUCKET_ENTRIES * ENTRY_INLINE_MAX_B + 8)
#define BUCKET_MASK_WORDS ((BUCKET_MAX_B / WORD_B + 63) / 64)

/* ---- Buckets ---- */

enum bucket_top {
    TOP_EMPTY_REST, /* empty, and so is all that follows in this bucket and those after it */
    TOP_EMPTY,
    TOP_MOVED_LOW,   /* moved to the same place in the new table; the old copy is still there */
    TOP_MOVED_HIGH,  /* moved to the new table's upper half. The lowest bit tells them apart */
    TOP_MOVED_EMPTY, /* was empty when its bucket was moved */
    TOP_FIRST,       /* the least of an entry */
};

struct bucket {
    uint8_t tops[BUCKET_ENTRIES];
    char keys[];
};

/* How a key or an element is copied into its slot. */
enum part_copy {
    COPY_NOTHING,
    COPY_1,
    COPY_4,
    COPY_8,
    COPY_POINTER,
    COPY_STRING, /* a pointer and a word */
    COPY_BYTES,
    COPY_TYPED, /* some pointers */
};

/* What the slots of keys, or of elements, are. */
struct map_part {
    const struct sh_type *type;
    uint32_t at;     /* of the first slot in its bucket */
    uint16_t slot_b; /* size of a slot */
    uint8_t copy;    /* enum part_copy, of a slot */
    bool by_pointer; /* the slot holds the address of an object */
    bool scanned;    /* the slot holds pointers */
};

/* Keys that have code of their own. */
enum key_kind { KEY_32, KEY_64, KEY_STRING, KEY_BYTES, KEY_CALLS };

struct map_layout {
    struct map_part key, element;
    uint64_t (*hash)(const void *key, uint64_t seed);
    bool (*equal)(const void *a, const void *b);
    uint64_t secret; /* part of every seed: nobody can foresee which keys collide */
    enum key_kind kind;
    bool scanned;   /* buckets hold pointers */
    bool reflexive; /* each key equals itself */
    bool exact;     /* equal keys are the same bytes */
    struct sh_type bucket;
    uint64_t mask[BUCKET_MASK_WORDS];
};

/* ---- The map ---- */

enum map_state {
    MAP_ITERATED = 1,     /* somebody may iterate over the table */
    MAP_OLD_ITERATED = 2, /* over the old one */
    MAP_WRITING = 4,
    MAP_SAME_SIZE = 8, /* the growth under way is to a table of the same size */
};

/* The overflow buckets of a table that is not scanned. */
struct overflow_list {
    struct sh_slice buckets;
};

struct map_rest {
    size_t moved;                /* old buckets below this one have been moved */
    struct overflow_list *lists; /* of the table; only if it is not scanned */
    struct overflow_list *old_lists;
    struct bucket *spare; /* the next unused overflow bucket at the table's end, or NULL */
};

struct sh_map {
    size_t count;
    _Atomic uint8_t state; /* of enum map_state */
    uint8_t log2;
    uint16_t overflows; /* overflow buckets; above 2^15 buckets an estimate */
    uint32_t seed;      /* another one whenever the map has become empty */
    const struct map_layout *layout;
    struct bucket *buckets; /* NULL: not yet */
    struct bucket *old;     /* NULL: not growing */
    struct map_rest *rest;  /* NULL: not needed yet */
};
_Static_assert(sizeof(struct sh_map) == 48, "as large as Go's");

/** Fills type->layout the first time. */
const struct map_layout *map_layout_of(struct sh_map_type *type);
/** Random bits, of this thread's own generator. */
uint64_t map_random(void);

/** Where a key and its element are. False: it is not in the map. */
bool map_find(const struct sh_map *map, const void *key, void **key_out, void **element_out);
/** A new, empty table of 2^map->log2 buckets, its spare overflow buckets included. */
void map_new_table(struct sh_map *map);
/** The size of a table in buckets: Go's. */
size_t map_table_length(const struct map_layout *layout, unsigned log2);
/** Points rest->spare at the overflow buckets that the (empty) table has at its end. */
void map_find_spare(struct sh_map *map);
/** The rest, made if need be. May run beside others that read the map. */
struct map_rest *map_rest_of(struct sh_map *map);
/** The list of the table's overflow buckets, likewise. */
struct overflow_list *map_overflow_list(struct sh_map *map);
/** A new bucket behind b, which has none. */
struct bucket *map_add_overflow(struct sh_map *map, struct bucket *b);
/** A panic has left a write of map, a struct sh_map. */
void map_abandon_write(void *map);
/** Begins to grow. */
void map_grow(struct sh_map *map);
/** While growing: moves what belongs to a hash, and one bucket more. */
void map_move_some(struct sh_map *map, uint64_t hash);

static inline unsigned
map_state_of(const struct sh_map *map)
{
    return atomic_load_explicit(&map->state, memory_order_relaxed);
}

/* By writers only. */
static inline void
map_set_state(struct sh_map *map, unsigned state)
{
    atomic_store_explicit(&map->state, (uint8_t)state, memory_order_relaxed);
}

static inline uint64_t
map_seed_of(const struct sh_map *map)
{
    return map->layout->secret ^ map->seed * UINT64_C(0x9e3779b97f4a7c15);
}

static inline size_t
map_mask(unsigned log2)
{
    return ((size_t)1 << log2) - 1;
}

/* Whether so many entries are too many for 2^log2 buckets: more than 6.5 each, or than fill one. */
static inline bool
map_would_be_full(size_t count, unsigned log2)
{
    return count > BUCKET_ENTRIES && count > (((size_t)1 << log2) / 2) * 13;
}

/* Whether one more entry is too many. */
static inline bool
map_is_full(const struct sh_map *map)
{
    return map_would_be_full(map->count + 1, map->log2);
}

/* About as many overflow buckets as buckets: mostly empty ones, or the map would be full. */
static inline bool
map_must_grow(const struct sh_map *map)
{
    return map_is_full(map) || map->overflows >= 1U << (map->log2 < 15 ? map->log2 : 15);
}

/* The old table's number of buckets. */
static inline size_t
map_old_length(const struct sh_map *map)
{
    return (size_t)1 << (map_state_of(map) & MAP_SAME_SIZE ? map->log2 : map->log2 - 1);
}

/* ---- Inside a bucket ---- */

static inline struct bucket *
bucket_at(const struct map_layout *layout, struct bucket *table, size_t i)
{
    return (struct bucket *)((char *)table + i * layout->bucket.size);
}

static inline struct bucket **
bucket_overflow(const struct map_layout *layout, const struct bucket *b)
{
    return (struct bucket **)((uintptr_t)b + layout->bucket.size - WORD_B);
}

static inline void *
bucket_slot(const struct map_part *part, struct bucket *b, unsigned i)
{
    return (char *)b + part->at + (size_t)i * part->slot_b;
}

static inline bool
bucket_moved(const struct bucket *b)
{
    return b->tops[0] > TOP_EMPTY && b->tops[0] < TOP_FIRST;
}

static inline uint8_t
top_of(uint64_t hash)
{
    uint8_t top = (uint8_t)(hash >> 56);
    return top < TOP_FIRST ? top + TOP_FIRST : top;
}

static inline uint64_t
word_at(const void *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

static inline uint32_t
half_at(const void *p)
{
    uint32_t half;
    memcpy(&half, p, sizeof half);
    return half;
}

static inline void *
pointer_at(const void *p)
{
    void *pointer;
    memcpy((void *)&pointer, p, sizeof pointer);
    return pointer;
}

/* The key or element itself. */
static inline void *
part_value(const struct map_part *part, void *slot)
{
    return part->by_pointer ? pointer_at(slot) : slot;
}

/* Copies a key or element into a slot. Types are the user's: only memcpy may read them. */
static inline void
part_store(const struct map_part *part, void *slot, const void *value)
{
    switch ((enum part_copy)part->copy) {
    case COPY_NOTHING:
        break;
    case COPY_1:
        memcpy(slot, value, 1);
        break;
    case COPY_4:
        memcpy(slot, value, 4);
        break;
    case COPY_8:
        memcpy(slot, value, 8);
        break;
    case COPY_POINTER:
        sh_store(slot, pointer_at(value));
        break;
    case COPY_STRING:
        memcpy((char *)slot + WORD_B, (const char *)value + WORD_B, WORD_B);
        sh_store(slot, pointer_at(value));
        break;
    case COPY_BYTES:
        memmove(slot, value, part->slot_b);
        break;
    case COPY_TYPED:
        sh_memmove(slot, value, part->slot_b);
        break;
    }
}

/* ---- Hashes ---- */

/* All bits of a product, folded. */
static inline uint64_t
hash_mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Twice, since one product puts keys at equal distances into too few buckets. */
static inline uint64_t
hash_word(uint64_t word, uint64_t seed)
{
    return hash_mix(hash_mix(word ^ UINT64_C(0xa0761d6478bd642f), seed | 1) ^ seed,
                    UINT64_C(0xe7037ed1a0b428db));
}

/* The key, if there is one. A key of no size may be anywhere. */
static inline const void *
map_key_given(const struct sh_map *map, const void *key, const char *what)
{
    static const char nothing;
    if (likely(key != NULL))
        return key;
    if (map->layout->key.type->size > 0)
        panic_nil(what);
    return &nothing;
}

/* The hash of a key of a kind that the compiler knows. */
static inline __attribute__((always_inline)) uint64_t
map_hash(const struct sh_map *map, const void *key, enum key_kind kind)
{
    const struct map_layout *layout = map->layout;
    uint64_t seed = map_seed_of(map);
    switch (kind) {
    case KEY_32:
        return hash_word(half_at(key), seed);
    case KEY_64:
        return hash_word(word_at(key), seed);
    case KEY_STRING:
        return sh_hash_bytes(((const struct sh_string *)key)->data,
                             ((const struct sh_string *)key)->len, seed);
    case KEY_BYTES:
        return sh_hash_bytes(key, layout->key.type->size, seed);
    case KEY_CALLS:
        break;
    }
    return layout->hash(key, seed);
}

#endif
