/*
 * Tables, overflow buckets, and the way from one table to the next. The limits are Go's: more than
 * 6.5 entries a bucket, or about as many overflow buckets as buckets. The first makes the table
 * twice as large; the second, which comes of many deletions, writes it anew without its holes.
 */
#include "types/map.h"

#include "heap/sizeclass.h"

#define SPARE_FROM_LOG2 4       /* smaller tables have no overflow buckets at their end */
#define EXACT_OVERFLOWS_LOG2 15 /* above, overflow buckets are counted by chance */
#define ADVANCE_MAX 1024
#define PLANS_ON_STACK 8

static const struct sh_type bucket_pointer_type = SH_TYPE(struct bucket *, 1);
static const struct sh_type overflow_list_type =
    SH_PLAIN_TYPE(struct overflow_list, SH_POINTER_AT(struct overflow_list, buckets.data));
static const struct sh_type map_rest_type =
    SH_PLAIN_TYPE(struct map_rest, SH_POINTER_AT(struct map_rest, lists) |
                                       SH_POINTER_AT(struct map_rest, old_lists) |
                                       SH_POINTER_AT(struct map_rest, spare));

/* ---- Tables ---- */

size_t
map_table_length(const struct map_layout *layout, unsigned log2)
{
    size_t length = (size_t)1 << log2;
    if (log2 < SPARE_FROM_LOG2)
        return length;
    length += length >> SPARE_FROM_LOG2;
    return sizeclass_round(length * layout->bucket.size) / layout->bucket.size;
}

void
map_find_spare(struct sh_map *map)
{
    size_t length = (size_t)1 << map->log2;
    bool has_spare = map_table_length(map->layout, map->log2) > length;
    if (has_spare || map->rest != NULL)
        sh_store(&map_rest_of(map)->spare,
                 has_spare ? bucket_at(map->layout, map->buckets, length) : NULL);
}

void
map_new_table(struct sh_map *map)
{
    const struct map_layout *layout = map->layout;
    sh_store(&map->buckets,
             map->log2 == 0 ? sh_alloc_typed(&layout->bucket)
                            : sh_alloc_array(&layout->bucket, map_table_length(layout, map->log2)));
    map_find_spare(map);
}

/* ---- What few maps need ---- */

/* *slot, or a new object of a type in it. Readers of a map may meet here. */
static void *
make_part_once(void *slot, const struct sh_type *type)
{
    void *there = __atomic_load_n((void **)slot, __ATOMIC_ACQUIRE);
    if (there != NULL)
        return there;
    void *fresh = sh_alloc_typed(type);
    return sh_compare_exchange(slot, &there, fresh) ? fresh : there;
}

struct map_rest *
map_rest_of(struct sh_map *map)
{
    return make_part_once(&map->rest, &map_rest_type);
}

struct overflow_list *
map_overflow_list(struct sh_map *map)
{
    return make_part_once(&map_rest_of(map)->lists, &overflow_list_type);
}

static void
keep_overflow(struct overflow_list *list, struct bucket *b)
{
    struct sh_slice longer = sh_slice_append(&bucket_pointer_type, list->buckets, &b, 1);
    sh_store(&list->buckets.data, longer.data);
    list->buckets.len = longer.len;
    list->buckets.cap = longer.cap;
}

static void
count_overflow(struct sh_map *map)
{
    if (map->log2 <= EXACT_OVERFLOWS_LOG2 ||
        (map_random() & map_mask(map->log2 - EXACT_OVERFLOWS_LOG2)) == 0)
        map->overflows++;
}

/* One of the table's own, which it keeps alive, or NULL. */
static struct bucket *
take_spare(struct sh_map *map)
{
    const struct map_layout *layout = map->layout;
    if (map->rest == NULL || map->rest->spare == NULL)
        return NULL;
    struct bucket *b = map->rest->spare, *next = bucket_at(layout, b, 1);
    size_t length = map_table_length(layout, map->log2);
    sh_store(&map->rest->spare, next == bucket_at(layout, map->buckets, length) ? NULL : next);
    return b;
}

struct bucket *
map_add_overflow(struct sh_map *map, struct bucket *b)
{
    const struct map_layout *layout = map->layout;
    struct bucket *fresh = take_spare(map);
    if (fresh == NULL) {
        fresh = sh_alloc_typed(&layout->bucket);
        if (!layout->scanned)
            keep_overflow(map_overflow_list(map), fresh);
    }
    count_overflow(map);
    if (layout->scanned)
        sh_store(bucket_overflow(layout, b), fresh);
    else
        *bucket_overflow(layout, b) = fresh;
    return fresh;
}

/* ---- Growth ---- */

void
map_grow(struct sh_map *map)
{
    bool same_size = !map_is_full(map);
    unsigned state = map_state_of(map) & ~(unsigned)MAP_OLD_ITERATED;
    if (state & MAP_ITERATED)
        state ^= MAP_ITERATED | MAP_OLD_ITERATED;
    struct map_rest *rest = map->log2 >= 2 ? map_rest_of(map) : map->rest;
    if (rest != NULL) {
        rest->moved = 0;
        sh_store(&rest->old_lists, rest->lists);
        sh_store(&rest->lists, NULL);
    }
    sh_store(&map->old, map->buckets);
    map_set_state(map, state | (same_size ? MAP_SAME_SIZE : 0));
    map->log2 += !same_size;
    map->overflows = 0;
    map_new_table(map);
}

static void
end_growth(struct sh_map *map)
{
    sh_store(&map->old, NULL);
    if (map->rest != NULL)
        sh_store(&map->rest->old_lists, NULL);
    map_set_state(map, map_state_of(map) & ~(unsigned)MAP_SAME_SIZE);
}

/* Where moved entries go: to two places, or with the same size to the first. */
struct move_to {
    struct bucket *b;
    unsigned n;
};

static inline void
move_entry(struct sh_map *map, struct move_to *to, struct bucket *from, unsigned i, uint8_t top)
{
    const struct map_layout *layout = map->layout;
    if (to->n == BUCKET_ENTRIES) {
        to->b = map_add_overflow(map, to->b);
        to->n = 0;
    }
    to->b->tops[to->n] = top;
    part_store(&layout->key, bucket_slot(&layout->key, to->b, to->n),
               bucket_slot(&layout->key, from, i));
    part_store(&layout->element, bucket_slot(&layout->element, to->b, to->n),
               bucket_slot(&layout->element, from, i));
    to->n++;
}

/*
 * Whether an entry goes to the upper half. The hash of a NaN is another one each time: where
 * somebody iterates, its top decides, as it does for the iterator, and a new one is drawn for the
 * next growth.
 */
static inline __attribute__((always_inline)) bool
goes_high(struct sh_map *map, struct bucket *b, unsigned i, uint8_t *top, enum key_kind kind)
{
    const struct map_layout *layout = map->layout;
    void *key = part_value(&layout->key, bucket_slot(&layout->key, b, i));
    uint64_t hash = map_hash(map, key, kind);
    if (!layout->reflexive && map_state_of(map) & MAP_ITERATED && !layout->equal(key, key)) {
        bool high = *top & 1;
        *top = top_of(hash);
        return high;
    }
    return (hash & map_old_length(map)) != 0;
}

/* Where the entries of a bucket go, and with which tops. Of keys that are hashed by the user's
   function this is decided for a chain as a whole before it is moved: the function may panic. */
struct bucket_plan {
    uint8_t high; /* a bit for each entry */
    uint8_t tops[BUCKET_ENTRIES];
};

static void
plan_bucket(struct sh_map *map, struct bucket *b, struct bucket_plan *plan)
{
    plan->high = 0;
    for (unsigned i = 0; i < BUCKET_ENTRIES; i++) {
        plan->tops[i] = b->tops[i];
        if (b->tops[i] > TOP_EMPTY && goes_high(map, b, i, &plan->tops[i], KEY_CALLS))
            plan->high |= (uint8_t)(1 << i);
    }
}

/* Plans for a bucket and those that continue it; in `few`, if that is enough. */
static struct bucket_plan *
plan_chain(struct sh_map *map, struct bucket *first, struct bucket_plan few[PLANS_ON_STACK])
{
    const struct map_layout *layout = map->layout;
    size_t n = 0;
    for (struct bucket *b = first; b != NULL; b = *bucket_overflow(layout, b))
        n++;
    struct bucket_plan *plans = n <= PLANS_ON_STACK ? few : sh_alloc_noscan(n * sizeof *plans);
    n = 0;
    for (struct bucket *b = first; b != NULL; b = *bucket_overflow(layout, b))
        plan_bucket(map, b, &plans[n++]);
    return plans;
}

static inline bool
planned_high(const struct bucket_plan *plan, unsigned i, uint8_t *top)
{
    *top = plan->tops[i];
    return plan->high >> i & 1;
}

/* plan: of KEY_CALLS, if there are two places. */
static inline __attribute__((always_inline)) void
move_entries(struct sh_map *map, struct bucket *b, struct move_to to[2], enum key_kind kind,
             const struct bucket_plan *plan)
{
    for (unsigned i = 0; i < BUCKET_ENTRIES; i++) {
        uint8_t top = b->tops[i];
        if (top <= TOP_EMPTY) {
            b->tops[i] = TOP_MOVED_EMPTY;
            continue;
        }
        sh_invariant(top >= TOP_FIRST);
        bool high = to[1].b != NULL && (kind == KEY_CALLS ? planned_high(plan, i, &top)
                                                          : goes_high(map, b, i, &top, kind));
        b->tops[i] = high ? TOP_MOVED_HIGH : TOP_MOVED_LOW;
        move_entry(map, &to[high], b, i, top);
    }
}

static void
move_entries_of_kind(struct sh_map *map, struct bucket *b, struct move_to to[2],
                     const struct bucket_plan *plan)
{
    switch (map->layout->kind) {
    case KEY_32:
        move_entries(map, b, to, KEY_32, NULL);
        break;
    case KEY_64:
        move_entries(map, b, to, KEY_64, NULL);
        break;
    case KEY_STRING:
        move_entries(map, b, to, KEY_STRING, NULL);
        break;
    case KEY_BYTES:
        move_entries(map, b, to, KEY_BYTES, NULL);
        break;
    case KEY_CALLS:
        move_entries(map, b, to, KEY_CALLS, plan);
        break;
    }
}

/* Moves an old bucket and those that continue it, if that has not been done. */
static void
move_bucket(struct sh_map *map, size_t i)
{
    const struct map_layout *layout = map->layout;
    struct bucket *first = bucket_at(layout, map->old, i);
    if (bucket_moved(first))
        return;
    struct move_to to[2] = {{bucket_at(layout, map->buckets, i), 0}, {NULL, 0}};
    if (!(map_state_of(map) & MAP_SAME_SIZE))
        to[1].b = bucket_at(layout, map->buckets, i + map_old_length(map));
    /* What is deleted from the new table must not live on through the old one. */
    bool clears = layout->scanned && !(map_state_of(map) & MAP_OLD_ITERATED);
    struct bucket_plan few[PLANS_ON_STACK], *plan = NULL;
    if (layout->kind == KEY_CALLS && to[1].b != NULL)
        plan = plan_chain(map, first, few);
    for (struct bucket *b = first, *next; b != NULL; b = next) {
        next = *bucket_overflow(layout, b);
        move_entries_of_kind(map, b, to, plan);
        if (plan != NULL)
            plan++;
        if (clears)
            sh_memset(b->keys, 0, layout->bucket.size - sizeof *b);
    }
}

/* Bucket `moved` has been moved: on to the next that has not. */
static void
advance_growth(struct sh_map *map)
{
    struct map_rest *rest = map->rest;
    size_t length = map_old_length(map), stop = size_min(rest->moved + 1 + ADVANCE_MAX, length);
    do
        rest->moved++;
    while (rest->moved < stop && bucket_moved(bucket_at(map->layout, map->old, rest->moved)));
    if (rest->moved == length)
        end_growth(map);
}

void
map_move_some(struct sh_map *map, uint64_t hash)
{
    size_t length = map_old_length(map), mine = hash & (length - 1);
    move_bucket(map, mine);
    if (length <= 2) { /* these two are all: no need to remember anything */
        move_bucket(map, mine ^ (length - 1));
        end_growth(map);
        return;
    }
    if (mine == map->rest->moved)
        advance_growth(map);
    if (map->old == NULL)
        return;
    move_bucket(map, map->rest->moved);
    advance_growth(map);
}
