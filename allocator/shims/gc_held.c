/* Uncollectable objects: roots from their making to GC_free(). */
#include "shims/gc_shim.h"

#include "heap/pageheap.h"

static struct gc_table held SH_STATE; /* object -> kind */

bool
gc_hold(void *object, int kind)
{
    lock_take(&gc_lock);
    struct gc_entry *e = gc_table_put(&held, (uintptr_t)object);
    if (e != NULL)
        e->value = (uintptr_t)kind;
    lock_drop(&gc_lock);
    if (e != NULL)
        __atomic_fetch_add(&GC_non_gc_bytes, pageheap_span_of((uintptr_t)object)->elem_b,
                           __ATOMIC_RELAXED);
    return e != NULL;
}

int
gc_let_go(void *object)
{
    if (held.n == 0)
        return 0;
    lock_take(&gc_lock);
    struct gc_entry *e = gc_table_find(&held, (uintptr_t)object);
    int kind = e == NULL ? 0 : (int)e->value;
    if (e != NULL)
        gc_table_remove(&held, e);
    lock_drop(&gc_lock);
    if (kind != 0)
        __atomic_fetch_sub(&GC_non_gc_bytes, pageheap_span_of((uintptr_t)object)->elem_b,
                           __ATOMIC_RELAXED);
    return kind;
}

int
gc_held_kind(const void *object)
{
    if (held.n == 0)
        return 0;
    lock_take(&gc_lock);
    struct gc_entry *e = gc_table_find(&held, (uintptr_t)object);
    int kind = e == NULL ? 0 : (int)e->value;
    lock_drop(&gc_lock);
    return kind;
}

void
gc_held_read(void)
{
    for (size_t i = 0; i < held.capacity; i++)
        if (held.entries[i].key != 0)
            client_add_word(held.entries[i].key);
}
