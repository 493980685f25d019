/*
 * Deletion. It leaves holes, which later entries fill: within a table, nothing moves. The empty
 * slots at the end of a chain are marked as such, so that searches stop there.
 */
#include "types/map_search.h"

static void
clear_slot(const struct map_part *part, void *slot)
{
    static const uint64_t zeroes[2];
    if (part->copy == COPY_POINTER || part->copy == COPY_STRING || part->copy == COPY_8)
        part_store(part, slot, zeroes);
    else if (part->scanned)
        sh_memset(slot, 0, part->slot_b);
    else
        memset(slot, 0, part->slot_b);
}

static struct bucket *
bucket_before(const struct map_layout *layout, struct bucket *first, const struct bucket *b)
{
    while (*bucket_overflow(layout, first) != b)
        first = *bucket_overflow(layout, first);
    return first;
}

static bool
nothing_follows(const struct map_layout *layout, struct map_place at)
{
    if (at.i + 1 < BUCKET_ENTRIES)
        return at.b->tops[at.i + 1] == TOP_EMPTY_REST;
    const struct bucket *next = *bucket_overflow(layout, at.b);
    return next == NULL || next->tops[0] == TOP_EMPTY_REST;
}

/* An entry has gone. If it was the last, all empty slots before it end the bucket. */
static void
mark_empty(const struct map_layout *layout, struct bucket *first, struct map_place at)
{
    at.b->tops[at.i] = TOP_EMPTY;
    if (!nothing_follows(layout, at))
        return;
    do {
        at.b->tops[at.i] = TOP_EMPTY_REST;
        if (at.i > 0) {
            at.i--;
        } else if (at.b != first) {
            at.b = bucket_before(layout, first, at.b);
            at.i = BUCKET_ENTRIES - 1;
        } else {
            break;
        }
    } while (at.b->tops[at.i] == TOP_EMPTY);
}

/* A step that comes back to a number after 2^32 others. */
static void
change_seed(struct sh_map *map)
{
    map->seed = map->seed * 1664525 + 1013904223;
}

static void
drop_entry(struct sh_map *map, struct bucket *first, struct map_place at)
{
    const struct map_layout *layout = map->layout;
    if (layout->key.scanned)
        clear_slot(&layout->key, bucket_slot(&layout->key, at.b, at.i));
    clear_slot(&layout->element, bucket_slot(&layout->element, at.b, at.i));
    mark_empty(layout, first, at);
    map->count--;
    if (map->count == 0)
        change_seed(map);
}

static inline __attribute__((always_inline)) bool
delete_key(struct sh_map *map, const void *key, enum key_kind kind)
{
    const struct map_layout *layout = map->layout;
    map_refuse_second_writer(map);
    uint64_t copy[ENTRY_INLINE_MAX_B / sizeof(uint64_t)];
    struct map_probe p = map_probe_for(map, key, kind);
    struct flow_guard guard;
    map_begin_write_with_calls(map, &guard, kind);
    if (unlikely(map->old != NULL))
        map_move_before_write(map, &p, copy, kind);
    struct bucket *first = bucket_at(layout, map->buckets, p.hash & map_mask(map->log2));
    struct map_place at = map_search(&p, first, kind);
    if (at.b != NULL)
        drop_entry(map, first, at);
    map_end_write_with_calls(map, &guard, kind);
    return at.b != NULL;
}

bool
sh_map_delete(struct sh_map *map, const void *key)
{
    if (map == NULL || map->count == 0)
        return false;
    key = map_key_given(map, key, "sh_map_delete: key");
    switch (map->layout->kind) {
    case KEY_32:
        return delete_key(map, key, KEY_32);
    case KEY_64:
        return delete_key(map, key, KEY_64);
    case KEY_STRING:
        return delete_key(map, key, KEY_STRING);
    case KEY_BYTES:
        return delete_key(map, key, KEY_BYTES);
    case KEY_CALLS:
        break;
    }
    return delete_key(map, key, KEY_CALLS);
}

/* Iterators that are under way see by the seed that all is gone. */
void
sh_map_clear(struct sh_map *map)
{
    if (map == NULL || map->count == 0)
        return;
    const struct map_layout *layout = map->layout;
    size_t table_b = map_table_length(layout, map->log2) * layout->bucket.size;
    map_refuse_second_writer(map);
    map_begin_write(map);
    map_set_state(map, map_state_of(map) & ~(unsigned)MAP_SAME_SIZE);
    sh_store(&map->old, NULL);
    if (map->rest != NULL) {
        sh_store(&map->rest->lists, NULL);
        sh_store(&map->rest->old_lists, NULL);
    }
    map->overflows = 0;
    map->count = 0;
    change_seed(map);
    if (layout->scanned)
        sh_memset(map->buckets, 0, table_b);
    else
        memset(map->buckets, 0, table_b);
    map_find_spare(map);
    map_end_write(map);
}
