/*
 * A hash table from addresses to words, in memory that is not scanned: open addressing with linear
 * probing, no graves (what follows a removed entry moves up). A table is its user's to lock.
 */
#ifndef SPANHEAP_GC_TABLE_H
#define SPANHEAP_GC_TABLE_H

#include "heap/base.h"

struct gc_entry {
    uintptr_t key; /* 0: none */
    uintptr_t value;
};

struct gc_table {
    struct gc_entry *entries;
    size_t capacity; /* a power of two, or 0 */
    _Atomic size_t n;
};

/** The entry of a key, or NULL. */
struct gc_entry *gc_table_find(const struct gc_table *t, uintptr_t key);
/** The same; made with value 0 if there is none. NULL: no memory. */
struct gc_entry *gc_table_put(struct gc_table *t, uintptr_t key);
/** Removes an entry of the table; another may take its place. */
void gc_table_remove(struct gc_table *t, struct gc_entry *e);

#endif
