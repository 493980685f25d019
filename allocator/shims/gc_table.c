#include "shims/gc_table.h"

#include "heap/os.h"

#define FIRST_CAPACITY 256

static size_t
home_of(const struct gc_table *t, uintptr_t key)
{
    return (size_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (t->capacity - 1);
}

/* Of the key, or an empty one. */
static struct gc_entry *
slot_for(const struct gc_table *t, uintptr_t key)
{
    size_t i = home_of(t, key);
    while (t->entries[i].key != 0 && t->entries[i].key != key)
        i = (i + 1) & (t->capacity - 1);
    return &t->entries[i];
}

struct gc_entry *
gc_table_find(const struct gc_table *t, uintptr_t key)
{
    if (t->capacity == 0)
        return NULL;
    struct gc_entry *e = slot_for(t, key);
    return e->key == key ? e : NULL;
}

static bool
grow(struct gc_table *t)
{
    struct gc_table larger = {.capacity = t->capacity == 0 ? FIRST_CAPACITY : 2 * t->capacity};
    larger.entries = os_map_sparse(larger.capacity * sizeof *larger.entries);
    if (larger.entries == NULL)
        return false;
    for (size_t i = 0; i < t->capacity; i++)
        if (t->entries[i].key != 0)
            *slot_for(&larger, t->entries[i].key) = t->entries[i];
    if (t->entries != NULL)
        os_unreserve(t->entries, t->capacity * sizeof *t->entries);
    t->entries = larger.entries;
    t->capacity = larger.capacity;
    return true;
}

struct gc_entry *
gc_table_put(struct gc_table *t, uintptr_t key)
{
    if (3 * (t->n + 1) > 2 * t->capacity && !grow(t))
        return NULL;
    struct gc_entry *e = slot_for(t, key);
    if (e->key == 0) {
        *e = (struct gc_entry){key, 0};
        t->n++;
    }
    return e;
}

void
gc_table_remove(struct gc_table *t, struct gc_entry *e)
{
    size_t mask = t->capacity - 1, hole = (size_t)(e - t->entries);
    for (size_t i = (hole + 1) & mask; t->entries[i].key != 0; i = (i + 1) & mask) {
        size_t home = home_of(t, t->entries[i].key);
        if (((i - home) & mask) < ((i - hole) & mask)) /* it lies between the hole and itself */
            continue;
        t->entries[hole] = t->entries[i];
        hole = i;
    }
    t->entries[hole] = (struct gc_entry){0, 0};
    t->n--;
}
