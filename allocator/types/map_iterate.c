/*
 * Iteration while the map changes, by Go's rules. An iterator walks the table that it began with,
 * from a random bucket, and in each bucket from a random slot, and shows every entry that is still
 * there. Two things may have happened to an old bucket:
 *
 *   the table it walks has been moved to a larger one: a moved entry's old copy says only that
 *       there was such a key; the map is asked for what has become of it;
 *   it began during a growth, and the bucket's entries have not been moved yet: it walks the old
 *       bucket, and shows those that are going to be moved to the new one.
 *
 * When the map has become empty in between, all that was there at the start is deleted, and the
 * iterator ends. The map's seed has changed then.
 */
#include "types/map.h"

#define SHOW_ALL SIZE_MAX

struct sh_map_iterator
sh_map_iterate(struct sh_map *map)
{
    struct sh_map_iterator it = {.map = map};
    if (map == NULL || map->count == 0) {
        it.map = NULL;
        return it;
    }
    if (!map->layout->scanned) { /* overflow buckets stay alive, whatever the map does */
        it.kept[0] = map_overflow_list(map);
        it.kept[1] = map_rest_of(map)->old_lists;
    }
    it.buckets = map->buckets;
    it.log2 = map->log2;
    it.seed = map->seed;
    it.first_bucket = it.next_bucket = map_random() & map_mask(map->log2);
    it.offset = map_random() % BUCKET_ENTRIES;
    unsigned both = MAP_ITERATED | MAP_OLD_ITERATED;
    if ((map_state_of(map) & both) != both)
        atomic_fetch_or_explicit(&map->state, (uint8_t)both, memory_order_relaxed);
    return it;
}

/* The next bucket of the table, or the old one that is going to fill it. False: it was the last. */
static bool
enter_bucket(struct sh_map_iterator *it)
{
    struct sh_map *map = it->map;
    const struct map_layout *layout = map->layout;
    size_t i = it->next_bucket;
    if (i == it->first_bucket && it->wrapped)
        return false;
    it->at = bucket_at(layout, it->buckets, i);
    it->only = SHOW_ALL;
    if (map->old != NULL && it->log2 == map->log2) {
        struct bucket *old = bucket_at(layout, map->old, i & (map_old_length(map) - 1));
        if (!bucket_moved(old)) {
            it->at = old;
            it->only = map_state_of(map) & MAP_SAME_SIZE ? SHOW_ALL : i;
        }
    }
    it->next_bucket = (i + 1) & map_mask(it->log2);
    it->wrapped |= it->next_bucket == 0;
    it->i = 0;
    return true;
}

/* Whether an entry of an old bucket is going to the bucket that is being shown. */
static bool
will_be_here(const struct sh_map_iterator *it, const void *key, bool equals_itself, uint8_t top)
{
    if (!equals_itself) /* as goes_high() decides */
        return it->only >> (it->log2 - 1) == (top & 1);
    return (map_hash(it->map, key, it->map->layout->kind) & map_mask(it->log2)) == it->only;
}

/* Shows slot i of the current bucket, if it has an entry to be shown. */
static bool
show_slot(struct sh_map_iterator *it, unsigned i)
{
    struct sh_map *map = it->map;
    const struct map_layout *layout = map->layout;
    struct bucket *b = it->at;
    uint8_t top = b->tops[i];
    if (top <= TOP_EMPTY || top == TOP_MOVED_EMPTY)
        return false;
    void *key = part_value(&layout->key, bucket_slot(&layout->key, b, i));
    bool equals_itself = layout->reflexive || layout->equal(key, key);
    if (it->only != SHOW_ALL && !will_be_here(it, key, equals_itself, top))
        return false;
    if (top < TOP_FIRST && equals_itself)
        return map_find(map, key, &it->key, &it->element);
    it->key = key;
    it->element = part_value(&layout->element, bucket_slot(&layout->element, b, i));
    return true;
}

static bool
end_iteration(struct sh_map_iterator *it)
{
    it->map = NULL;
    it->key = it->element = it->buckets = it->at = it->kept[0] = it->kept[1] = NULL;
    return false;
}

bool
sh_map_next(struct sh_map_iterator *it)
{
    refuse_nil(it, "sh_map_next: it");
    struct sh_map *map = it->map;
    if (map == NULL || map->seed != it->seed)
        return end_iteration(it);
    if (unlikely(map_state_of(map) & MAP_WRITING))
        sh_fatal("concurrent map iteration and map write");
    for (;;) {
        if (it->at == NULL && !enter_bucket(it))
            return end_iteration(it);
        while (it->i < BUCKET_ENTRIES)
            if (show_slot(it, (it->i++ + it->offset) % BUCKET_ENTRIES))
                return true;
        it->at = *bucket_overflow(map->layout, it->at);
        it->i = 0;
    }
}
