/*
 * Making a map, look-up and writes.
 */
#include "types/map_search.h"

#include "types/panic.h"

#define ADDRESSES_END ((size_t)1 << 48)

static const struct sh_type map_header_type = SH_PLAIN_TYPE(
    struct sh_map, SH_POINTER_AT(struct sh_map, buckets) | SH_POINTER_AT(struct sh_map, old) |
                       SH_POINTER_AT(struct sh_map, rest));

/* ---- Look-up ---- */

/* The bucket in which to look: of the old table, if it has not been moved. */
static inline struct bucket *
bucket_to_read(const struct sh_map *map, uint64_t hash)
{
    if (unlikely(map->old != NULL)) {
        struct bucket *b = bucket_at(map->layout, map->old, hash & (map_old_length(map) - 1));
        if (!bucket_moved(b))
            return b;
    }
    return bucket_at(map->layout, map->buckets, hash & map_mask(map->log2));
}

static inline __attribute__((always_inline)) struct map_place
find_entry(const struct sh_map *map, const void *key, enum key_kind kind)
{
    struct map_probe p = map_probe_for(map, key, kind);
    return map_search(&p, bucket_to_read(map, p.hash), kind);
}

static inline struct map_place
find_entry_of_kind(const struct sh_map *map, const void *key)
{
    switch (map->layout->kind) {
    case KEY_32:
        return find_entry(map, key, KEY_32);
    case KEY_64:
        return find_entry(map, key, KEY_64);
    case KEY_STRING:
        return find_entry(map, key, KEY_STRING);
    case KEY_BYTES:
        return find_entry(map, key, KEY_BYTES);
    case KEY_CALLS:
        break;
    }
    return find_entry(map, key, KEY_CALLS);
}

bool
map_find(const struct sh_map *map, const void *key, void **key_out, void **element_out)
{
    const struct map_layout *layout = map->layout;
    if (map->count == 0)
        return false;
    struct map_place at = find_entry_of_kind(map, key);
    if (at.b == NULL)
        return false;
    *key_out = part_value(&layout->key, bucket_slot(&layout->key, at.b, at.i));
    *element_out = part_value(&layout->element, bucket_slot(&layout->element, at.b, at.i));
    return true;
}

void *
sh_map_get(const struct sh_map *map, const void *key)
{
    if (map == NULL || map->count == 0)
        return NULL;
    if (unlikely(map_state_of(map) & MAP_WRITING))
        sh_fatal("concurrent map read and map write");
    key = map_key_given(map, key, "sh_map_get: key");
    struct map_place at = find_entry_of_kind(map, key);
    if (at.b == NULL)
        return NULL;
    const struct map_part *element = &map->layout->element;
    return part_value(element, bucket_slot(element, at.b, at.i));
}

/* ---- Writing ---- */

/* A new object for a key or element over 128 bytes, with a copy of value in it if there is one. */
static void
store_object(const struct map_part *part, void *slot, const void *value)
{
    void *object = sh_alloc_typed(part->type);
    if (value != NULL && part->type->pointer_mask != NULL)
        sh_memmove(object, value, part->type->size); /* new, but a marker may see it already */
    else if (value != NULL)
        memcpy(object, value, part->type->size);
    sh_store(slot, object);
}

static inline __attribute__((always_inline)) void
store_key(const struct map_layout *layout, struct map_place at, const struct map_probe *p,
          enum key_kind kind)
{
    void *slot = bucket_slot(&layout->key, at.b, at.i);
    if (kind == KEY_32)
        memcpy(slot, &p->word, 4);
    else if (kind == KEY_64 && layout->key.copy != COPY_POINTER)
        memcpy(slot, &p->word, 8);
    else if (kind == KEY_64)
        sh_store(slot, (const void *)(uintptr_t)p->word);
    else if (kind == KEY_STRING)
        part_store(&layout->key, slot, &p->string);
    else
        part_store(&layout->key, slot, p->key);
}

/* Keys that are equal may differ; the newer one stays. Of strings it may be the smaller object. */
static inline __attribute__((always_inline)) void
renew_key(const struct map_layout *layout, struct map_place at, const struct map_probe *p,
          enum key_kind kind)
{
    if (kind == KEY_32 || kind == KEY_64 || layout->exact)
        return;
    if (!layout->key.by_pointer)
        store_key(layout, at, p, kind);
    else if (layout->key.type->pointer_mask != NULL)
        sh_memmove(*(void **)bucket_slot(&layout->key, at.b, at.i), p->key, layout->key.type->size);
    else
        memmove(*(void **)bucket_slot(&layout->key, at.b, at.i), p->key, layout->key.type->size);
}

/* The first empty slot of a bucket and those that continue it, after one more if all are full. */
static struct map_place
empty_place(struct sh_map *map, struct bucket *b)
{
    const struct map_layout *layout = map->layout;
    for (;;) {
        uint64_t empty = tops_empty(word_at(b->tops));
        if (likely(empty != 0))
            return (struct map_place){b, tops_lowest(empty)};
        struct bucket *next = *bucket_overflow(layout, b);
        if (next == NULL)
            return (struct map_place){map_add_overflow(map, b), 0};
        b = next;
    }
}

static inline __attribute__((always_inline)) struct map_place
add_entry(struct sh_map *map, struct bucket *b, const struct map_probe *p, enum key_kind kind)
{
    const struct map_layout *layout = map->layout;
    struct map_place at = empty_place(map, b);
    if (kind >= KEY_BYTES && layout->key.by_pointer)
        store_object(&layout->key, bucket_slot(&layout->key, at.b, at.i), p->key);
    else
        store_key(layout, at, p, kind);
    if (unlikely(layout->element.by_pointer))
        store_object(&layout->element, bucket_slot(&layout->element, at.b, at.i), NULL);
    at.b->tops[at.i] = top_of(p->hash);
    map->count++;
    return at;
}

void
map_abandon_write(void *map)
{
    map_end_write(map);
}

/* The slot of a key's element; the entry is made if it is new. Go's mapassign. */
static inline __attribute__((always_inline)) void *
assign_entry(struct sh_map *map, const void *key, enum key_kind kind)
{
    const struct map_layout *layout = map->layout;
    map_refuse_second_writer(map);
    uint64_t copy[ENTRY_INLINE_MAX_B / sizeof(uint64_t)];
    struct map_probe p = map_probe_for(map, key, kind);
    struct map_place at;
    struct flow_guard guard;
    map_begin_write_with_calls(map, &guard, kind);
    if (unlikely(map->buckets == NULL))
        map_new_table(map);
    for (;;) {
        if (unlikely(map->old != NULL))
            map_move_before_write(map, &p, copy, kind);
        struct bucket *b = bucket_at(layout, map->buckets, p.hash & map_mask(map->log2));
        at = map_search(&p, b, kind);
        if (at.b != NULL) {
            renew_key(layout, at, &p, kind);
            break;
        }
        if (likely(map->old != NULL || !map_must_grow(map))) {
            at = add_entry(map, b, &p, kind);
            break;
        }
        map_grow(map);
    }
    map_end_write_with_calls(map, &guard, kind);
    return part_value(&layout->element, bucket_slot(&layout->element, at.b, at.i));
}

void *
sh_map_slot(struct sh_map *map, const void *key)
{
    if (unlikely(map == NULL))
        panic_plain("assignment to entry in nil map");
    key = map_key_given(map, key, "sh_map_slot: key");
    switch (map->layout->kind) {
    case KEY_32:
        return assign_entry(map, key, KEY_32);
    case KEY_64:
        return assign_entry(map, key, KEY_64);
    case KEY_STRING:
        return assign_entry(map, key, KEY_STRING);
    case KEY_BYTES:
        return assign_entry(map, key, KEY_BYTES);
    case KEY_CALLS:
        break;
    }
    return assign_entry(map, key, KEY_CALLS);
}

/* An element of type `part` into the place of one. */
static void
set_object(const struct map_part *part, void *element, const void *value)
{
    const struct sh_type *type = part->type;
    if (type->pointer_mask == NULL)
        value == NULL ? memset(element, 0, type->size) : memmove(element, value, type->size);
    else
        value == NULL ? sh_memset(element, 0, type->size) : sh_memmove(element, value, type->size);
}

void
sh_map_set(struct sh_map *map, const void *key, const void *value)
{
    static const uint64_t zeroes[ENTRY_INLINE_MAX_B / sizeof(uint64_t)];
    uint64_t copy[ENTRY_INLINE_MAX_B / sizeof(uint64_t)];
    if (unlikely(map == NULL))
        panic_plain("assignment to entry in nil map");
    key = map_key_given(map, key, "sh_map_set: key");
    const struct map_part *part = &map->layout->element;
    if (unlikely(part->by_pointer)) {
        set_object(part, sh_map_slot(map, key), value);
        return;
    }
    if (value == NULL)
        value = zeroes;
    else if (map->layout->scanned) /* it may lie in an old bucket, which is cleared when moved */
        value = memcpy(copy, value, part->slot_b);
    part_store(part, sh_map_slot(map, key), value);
}

/* ---- Making ---- */

struct sh_map *
sh_map_make(struct sh_map_type *type, size_t hint)
{
    refuse_nil(type, "sh_map_make: type");
    const struct map_layout *layout = map_layout_of(type);
    size_t hint_b;
    if (__builtin_mul_overflow(hint, layout->bucket.size, &hint_b) || hint_b > ADDRESSES_END)
        hint = 0;
    struct sh_map *map = sh_alloc_typed(&map_header_type);
    map->layout = layout;
    map->seed = (uint32_t)map_random();
    while (map_would_be_full(hint, map->log2))
        map->log2++;
    if (map->log2 > 0)
        map_new_table(map);
    return map;
}

size_t
sh_map_len(const struct sh_map *map)
{
    return map == NULL ? 0 : map->count;
}
