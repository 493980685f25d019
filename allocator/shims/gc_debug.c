/* The debugging forms: they do what the others do. Where an object was made is not kept; a heap
   profile (SH_PROFILE) knows. */
#include "shims/gc_shim.h"

#include "shims/include/gc/gc_gcj.h"

typedef void *made; /* so that the macro has no star */

#define ALLOCATES(name)                                                                            \
    made GC_debug_##name(size_t size, GC_EXTRA_PARAMS)                                             \
    {                                                                                              \
        (void)file;                                                                                \
        (void)line;                                                                                \
        return GC_##name(size);                                                                    \
    }

ALLOCATES(malloc)
ALLOCATES(malloc_atomic)
ALLOCATES(malloc_uncollectable)
ALLOCATES(malloc_atomic_uncollectable)
ALLOCATES(malloc_ignore_off_page)
ALLOCATES(malloc_atomic_ignore_off_page)
ALLOCATES(malloc_stubborn)

#define FINALIZES(name)                                                                            \
    void GC_debug_##name(void *object, GC_finalization_proc proc, void *arg,                       \
                         GC_finalization_proc *old_proc, void **old_arg)                           \
    {                                                                                              \
        GC_##name(object, proc, arg, old_proc, old_arg);                                           \
    }

FINALIZES(register_finalizer)
FINALIZES(register_finalizer_ignore_self)
FINALIZES(register_finalizer_no_order)
FINALIZES(register_finalizer_unreachable)

void *
GC_debug_malloc_replacement(size_t size)
{
    return GC_malloc(size);
}

void *
GC_debug_realloc_replacement(void *p, size_t size)
{
    return GC_realloc(p, size);
}

void *
GC_debug_realloc(void *p, size_t size, GC_EXTRA_PARAMS)
{
    (void)file;
    (void)line;
    return GC_realloc(p, size);
}

void
GC_debug_free(void *p)
{
    GC_free(p);
}

char *
GC_debug_strdup(const char *text, GC_EXTRA_PARAMS)
{
    (void)file;
    (void)line;
    return GC_strdup(text);
}

char *
GC_debug_strndup(const char *text, size_t most, GC_EXTRA_PARAMS)
{
    (void)file;
    (void)line;
    return GC_strndup(text, most);
}

void *
GC_debug_generic_or_special_malloc(size_t size, int kind, GC_EXTRA_PARAMS)
{
    (void)file;
    (void)line;
    return GC_generic_or_special_malloc(size, kind);
}

void *
GC_debug_gcj_malloc(size_t size, void *table, GC_EXTRA_PARAMS)
{
    (void)file;
    (void)line;
    return GC_gcj_malloc(size, table);
}

void
GC_debug_change_stubborn(const void *p)
{
    (void)p;
}

void
GC_debug_end_stubborn_change(const void *p)
{
    GC_end_stubborn_change(p);
}

void
GC_debug_ptr_store_and_dirty(void *slot, const void *value)
{
    GC_ptr_store_and_dirty(slot, value);
}

size_t
GC_get_debug_header_size(void)
{
    return GC_debug_header_size;
}
