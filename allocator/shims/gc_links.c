/*
 * Links that disappear: words that the collector does not see as pointers, and sets to 0 when the
 * object that they are for dies. Short ones go before finalizers are looked at, long ones after
 * what finalizers need has been marked.
 */
#include "shims/gc_shim.h"

#include "heap/pageheap.h"

static struct gc_table links[2] SH_STATE; /* address of the link -> object */

/* What lies outside of the heap never dies. */
static int
register_link(enum gc_link_kind kind, const char *caller, void **link, const void *object)
{
    if ((uintptr_t)link % sizeof(void *) != 0)
        gc_die("a link that disappears must be aligned: %p is not", (void *)link);
    gc_start();
    if (!gc_is_outside(object))
        gc_need_object(object, caller);
    lock_take(&gc_lock);
    struct gc_entry *e = gc_table_put(&links[kind], (uintptr_t)link);
    bool was = e != NULL && e->value != 0;
    if (e != NULL)
        e->value = (uintptr_t)object;
    lock_drop(&gc_lock);
    if (e == NULL)
        return GC_NO_MEMORY;
    return was ? GC_DUPLICATE : GC_SUCCESS;
}

static int
unregister_link(enum gc_link_kind kind, void **link)
{
    lock_take(&gc_lock);
    struct gc_entry *e = gc_table_find(&links[kind], (uintptr_t)link);
    if (e != NULL)
        gc_table_remove(&links[kind], e);
    lock_drop(&gc_lock);
    return e != NULL;
}

static int
move_locked(enum gc_link_kind kind, void **link, void **to)
{
    struct gc_entry *from = gc_table_find(&links[kind], (uintptr_t)link);
    if (from == NULL)
        return GC_NOT_FOUND;
    if (link == to)
        return GC_SUCCESS;
    if (gc_table_find(&links[kind], (uintptr_t)to) != NULL)
        return GC_DUPLICATE;
    uintptr_t object = from->value;
    gc_table_remove(&links[kind], from);
    gc_table_put(&links[kind], (uintptr_t)to)->value = object; /* where one was, there is room */
    return GC_SUCCESS;
}

static int
move_link(enum gc_link_kind kind, void **link, void **to)
{
    if ((uintptr_t)to % sizeof(void *) != 0)
        gc_die("a link that disappears must be aligned: %p is not", (void *)to);
    lock_take(&gc_lock);
    int result = move_locked(kind, link, to);
    lock_drop(&gc_lock);
    return result;
}

/* ---- In a stop ---- */

static bool
lies_in_freed_memory(uintptr_t link)
{
    if (link - pageheap.base >= atomic_load(&pageheap.used_b))
        return false;
    const struct span *s = pageheap_span_of(link);
    return s == NULL || !span_is_allocated(s, span_index(s, link));
}

void
gc_links_clear(enum gc_link_kind kind)
{
    struct gc_table *t = &links[kind];
    for (size_t i = 0; i < t->capacity;) {
        struct gc_entry *e = &t->entries[i];
        if (e->key == 0 || client_is_live(e->value) || gc_is_outside((void *)e->value)) {
            i++;
            continue;
        }
        if (!lies_in_freed_memory(e->key))
            *(void **)e->key = NULL;
        gc_table_remove(t, e); /* another may be here now */
    }
}

static void
prune(struct gc_table *t)
{
    for (size_t i = 0; i < t->capacity;) {
        struct gc_entry *e = &t->entries[i];
        bool in_heap = e->key - pageheap.base < atomic_load(&pageheap.used_b);
        if (e->key != 0 && in_heap && !client_is_live(e->key))
            gc_table_remove(t, e);
        else
            i++;
    }
}

void
gc_links_prune(void)
{
    prune(&links[GC_LINK_SHORT]);
    prune(&links[GC_LINK_LONG]);
}

size_t
gc_links_registered(enum gc_link_kind kind)
{
    return links[kind].n;
}

/* ---- Offered ---- */

int
GC_general_register_disappearing_link(void **link, const void *object)
{
    return register_link(GC_LINK_SHORT, __func__, link, object);
}

int
GC_register_disappearing_link(void **link)
{
    void *object = GC_base(link);
    if (object == NULL)
        gc_die("GC_register_disappearing_link: %p lies in no object", (void *)link);
    return register_link(GC_LINK_SHORT, __func__, link, object);
}

int
GC_unregister_disappearing_link(void **link)
{
    return unregister_link(GC_LINK_SHORT, link);
}

int
GC_move_disappearing_link(void **link, void **to)
{
    return move_link(GC_LINK_SHORT, link, to);
}

int
GC_register_long_link(void **link, const void *object)
{
    return register_link(GC_LINK_LONG, __func__, link, object);
}

int
GC_unregister_long_link(void **link)
{
    return unregister_link(GC_LINK_LONG, link);
}

int
GC_move_long_link(void **link, void **to)
{
    return move_link(GC_LINK_LONG, link, to);
}
