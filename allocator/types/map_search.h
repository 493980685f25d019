/*
 * Searching, as the inline functions from which look-up, writes and deletion are made. Each takes
 * the kind of key, so that the compiler makes code of its own for keys of 4 and 8 bytes, for
 * strings, and for the rest.
 *
 * A search compares the eight tops of a bucket at once, in a word (after Lamport, "Multiple byte
 * processing with full-word instructions", 1975). Bytes are numbered from the word's low end, as
 * both of our machines store them.
 */
#ifndef SPANHEAP_TYPES_MAP_SEARCH_H
#define SPANHEAP_TYPES_MAP_SEARCH_H

#include "types/defer.h"
#include "types/map.h"

#define EACH_BYTE UINT64_C(0x0101010101010101)

/* ---- Tops ---- */

/* The high bit of each byte that is 0; of some that are 1, too, but only above one that is 0. So
   the lowest is always right. */
static inline uint64_t
tops_zero(uint64_t word)
{
    return (word - EACH_BYTE) & ~word & EACH_BYTE << 7;
}

static inline unsigned
tops_lowest(uint64_t bits)
{
    return (unsigned)__builtin_ctzll(bits) / 8;
}

/* Where a top may be found. */
static inline uint64_t
tops_equal(uint64_t tops, uint8_t top)
{
    return tops_zero(tops ^ EACH_BYTE * top);
}

static inline uint64_t
tops_empty(uint64_t tops)
{
    return tops_zero(tops & ~(EACH_BYTE * TOP_EMPTY));
}

/* No entry follows in this bucket, or in one after it. */
static inline bool
tops_end(uint64_t tops)
{
    return tops_zero(tops) != 0;
}

/* ---- Keys ---- */

/* What is looked for. Keys are copied where they are small, since the caller's may lie in a bucket
   that is moved meanwhile. */
struct map_probe {
    const struct sh_map *map;
    const void *key;
    uint64_t hash, word;
    struct sh_string string;
};

static inline __attribute__((always_inline)) struct map_probe
map_probe_for(const struct sh_map *map, const void *key, enum key_kind kind)
{
    struct map_probe p = {.map = map, .key = key, .hash = map_hash(map, key, kind)};
    if (kind == KEY_32)
        p.word = half_at(key);
    if (kind == KEY_64)
        p.word = word_at(key);
    if (kind == KEY_STRING)
        p.string = *(const struct sh_string *)key;
    return p;
}

static inline bool
map_same_string(struct sh_string a, struct sh_string b)
{
    return a.len == b.len && (a.data == b.data || a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline __attribute__((always_inline)) bool
map_is_key(const struct map_probe *p, void *slot, enum key_kind kind)
{
    const struct map_layout *layout = p->map->layout;
    switch (kind) {
    case KEY_32:
        return half_at(slot) == (uint32_t)p->word;
    case KEY_64:
        return word_at(slot) == p->word;
    case KEY_STRING:
        return map_same_string(p->string, *(struct sh_string *)slot);
    case KEY_BYTES:
        return memcmp(p->key, part_value(&layout->key, slot), layout->key.type->size) == 0;
    case KEY_CALLS:
        break;
    }
    return layout->equal(p->key, part_value(&layout->key, slot));
}

/* ---- Searching ---- */

struct map_place {
    struct bucket *b;
    unsigned i;
};

/* Looks through a bucket and those that continue it. b NULL: it is not there. */
static inline __attribute__((always_inline)) struct map_place
map_search(const struct map_probe *p, struct bucket *b, enum key_kind kind)
{
    const struct map_layout *layout = p->map->layout;
    uint8_t top = top_of(p->hash);
    /* The key and the element are needed after the tops: all lines are fetched at once. */
    __builtin_prefetch((const char *)b + CACHE_LINE_B);
    __builtin_prefetch((const char *)b + 2 * (ptrdiff_t)CACHE_LINE_B);
    __builtin_prefetch(bucket_overflow(layout, b));
    do {
        uint64_t tops = word_at(b->tops);
        for (uint64_t found = tops_equal(tops, top); found != 0; found &= found - 1) {
            unsigned i = tops_lowest(found);
            if (likely(map_is_key(p, bucket_slot(&layout->key, b, i), kind)))
                return (struct map_place){b, i};
        }
        if (tops_end(tops))
            break;
        b = *bucket_overflow(layout, b);
    } while (b != NULL);
    return (struct map_place){NULL, 0};
}

/* ---- What every write begins and ends with ---- */

/* The hash has been taken: it may panic, and nothing has been written then. */
static inline void
map_begin_write(struct sh_map *map)
{
    map_set_state(map, map_state_of(map) | MAP_WRITING);
}

static inline void
map_end_write(struct sh_map *map)
{
    unsigned state = map_state_of(map);
    if (unlikely(!(state & MAP_WRITING)))
        sh_fatal("concurrent map writes");
    map_set_state(map, state & ~(unsigned)MAP_WRITING);
}

/* A write in whose middle the user's hash and equality are called. One that panics has not
   written anything: entries are hashed before they are moved, and compared before they change. */
static inline __attribute__((always_inline)) void
map_begin_write_with_calls(struct sh_map *map, struct flow_guard *guard, enum key_kind kind)
{
    map_begin_write(map);
    if (kind == KEY_CALLS)
        flow_guard_enter(guard, map_abandon_write, map);
}

static inline __attribute__((always_inline)) void
map_end_write_with_calls(struct sh_map *map, const struct flow_guard *guard, enum key_kind kind)
{
    if (kind == KEY_CALLS)
        flow_guard_leave(guard);
    map_end_write(map);
}

static inline void
map_refuse_second_writer(const struct sh_map *map)
{
    if (unlikely(map_state_of(map) & MAP_WRITING))
        sh_fatal("concurrent map writes");
}

/* Moves some of a map that grows. A key may lie in an old bucket: what is no part of the probe yet
   is copied first. */
static inline __attribute__((always_inline)) void
map_move_before_write(struct sh_map *map, struct map_probe *p, void *copy, enum key_kind kind)
{
    const struct map_part *key = &map->layout->key;
    if (kind >= KEY_BYTES && !key->by_pointer)
        p->key = memmove(copy, p->key, key->slot_b);
    map_move_some(map, p->hash);
}

#endif
