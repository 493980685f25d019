/* From a pointer to its object, and the checks that a program may ask for. */
#include "shims/gc_shim.h"

#include "collector/segments.h"
#include "collector/sweep.h"
#include "heap/pageheap.h"
#include "heap/watch.h"

void *
GC_base(void *p)
{
    return sh_object_base(p);
}

int
GC_is_heap_ptr(const void *p)
{
    return pageheap_span_of((uintptr_t)p) != NULL;
}

size_t
GC_size(const void *object)
{
    const struct span *s = pageheap_span_of((uintptr_t)object);
    return s == NULL ? 0 : watch_usable_b(s, span_index(s, (uintptr_t)object));
}

/* ---- Checks ---- */

static void
die_of_two_objects(void *p, void *q)
{
    gc_die("GC_same_obj: %p and %p are not in the same object", p, q);
}

static void
die_of_invisible(void *p)
{
    gc_die("GC_is_visible: the collector does not look at %p", p);
}

static void
die_of_displacement(void *p)
{
    gc_die("GC_is_valid_displacement: %p does not keep its object", p);
}

void (*GC_same_obj_print_proc)(void *p, void *q) = die_of_two_objects;
void (*GC_is_visible_print_proc)(void *p) = die_of_invisible;
void (*GC_is_valid_displacement_print_proc)(void *p) = die_of_displacement;

void *
GC_same_obj(void *p, void *q)
{
    void *base = GC_base(q);
    bool end = base != NULL && (char *)p == (char *)base + GC_size(base);
    if (GC_base(p) != base && !end)
        GC_same_obj_print_proc(p, q);
    return p;
}

void *
GC_pre_incr(void **p, ptrdiff_t bytes)
{
    void *before = *p;
    void *after = GC_same_obj((char *)before + bytes, before);
    *p = after;
    return after;
}

void *
GC_post_incr(void **p, ptrdiff_t bytes)
{
    void *before = *p;
    GC_pre_incr(p, bytes);
    return before;
}

static bool
lies_on_own_stack(uintptr_t at)
{
    const struct thread *t = thread_self();
    return t != NULL && at >= t->stack_low && at < t->stack_high;
}

/* In a scannable object, on the stack or in a data segment as the last collection found them. */
void *
GC_is_visible(void *p)
{
    const struct span *s = pageheap_span_of((uintptr_t)p);
    if (s != NULL && !kind_is_scannable(s->kind))
        GC_is_visible_print_proc(p);
    bool seen = s != NULL || lies_on_own_stack((uintptr_t)p) || segments.ndata == 0;
    if (!seen && !GC_is_tmp_root(p) && !gc_roots_contain((uintptr_t)p))
        GC_is_visible_print_proc(p);
    return p;
}

/* All displacements are valid. */
void *
GC_is_valid_displacement(void *p)
{
    if (GC_is_heap_ptr(p) && GC_base(p) == NULL)
        GC_is_valid_displacement_print_proc(p);
    return p;
}

void
GC_register_displacement(size_t offset)
{
    (void)offset;
}

void
GC_debug_register_displacement(size_t offset)
{
    (void)offset;
}

void *
GC_clear_stack(void *p)
{
    return p;
}

/* ---- All of them ---- */

static struct {
    GC_reachable_object_proc proc;
    void *arg;
} visitor SH_STATE;

static void
visit_span(struct span *s)
{
    for (uint32_t i = 0; i < s->nelems; i++)
        if (span_is_allocated(s, i))
            visitor.proc((void *)span_slot(s, i), watch_usable_b(s, i), visitor.arg);
}

void
GC_enumerate_reachable_objects_inner(GC_reachable_object_proc proc, void *arg)
{
    visitor.proc = proc;
    visitor.arg = arg;
    sweep_all(cache_of_caller()); /* until then dead objects look allocated */
    pageheap_each_span(visit_span);
}
