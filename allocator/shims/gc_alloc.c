/* Allocation, free, realloc. */
#include "shims/gc_shim.h"

#include "heap/os.h"
#include "heap/pageheap.h"
#include "heap/watch.h"

#include <errno.h>
#include <string.h>

uint8_t gc_extra_b SH_STATE = 1;
_Atomic uint64_t gc_freed_b SH_STATE;

void *
gc_out_of_memory(size_t size)
{
    gc_warn("out of memory: cannot allocate %lu bytes\n", size);
    return gc_oom()(size);
}

size_t
gc_round(size_t size, size_t extra)
{
    if (unlikely(size > PTRDIFF_MAX))
        return SIZE_MAX;
    size_t rounded = round_up(size + extra, GC_GRANULE_B);
    return rounded == 0 ? GC_GRANULE_B : rounded;
}

void *
gc_try_rounded(size_t size, enum span_kind kind)
{
    void *p = NULL;
    if (likely(size != SIZE_MAX))
        p = kind == KIND_NOSCAN ? alloc_noscan(size) : alloc_untyped(size);
    if (likely(p != NULL))
        gc_after_allocation();
    return p;
}

void *
gc_alloc_rounded(size_t size, enum span_kind kind)
{
    void *p = gc_try_rounded(size, kind);
    return likely(p != NULL) ? p : gc_out_of_memory(size);
}

void *
GC_malloc(size_t size)
{
    return gc_alloc_rounded(gc_round(size, gc_extra_b), KIND_UNTYPED);
}

void *
GC_malloc_atomic(size_t size)
{
    return gc_alloc_rounded(gc_round(size, gc_extra_b), KIND_NOSCAN);
}

static void *
alloc_held(size_t size, int kind)
{
    enum span_kind span_kind = kind == GC_UNCOLLECTABLE ? KIND_UNTYPED : KIND_NOSCAN;
    void *p = gc_try_rounded(gc_round(size, 0), span_kind);
    return p != NULL && gc_hold(p, kind) ? p : gc_out_of_memory(size);
}

void *
GC_malloc_uncollectable(size_t size)
{
    return alloc_held(size, GC_UNCOLLECTABLE);
}

void *
GC_malloc_atomic_uncollectable(size_t size)
{
    return alloc_held(size, GC_ATOMIC_UNCOLLECTABLE);
}

/* A pointer to the start is kept: the end needs no byte. */
void *
GC_malloc_ignore_off_page(size_t size)
{
    return gc_alloc_rounded(gc_round(size, size > SMALL_MAX_B ? 0 : gc_extra_b), KIND_UNTYPED);
}

void *
GC_malloc_atomic_ignore_off_page(size_t size)
{
    return gc_alloc_rounded(gc_round(size, size > SMALL_MAX_B ? 0 : gc_extra_b), KIND_NOSCAN);
}

void *
GC_malloc_stubborn(size_t size)
{
    return GC_malloc(size);
}

char *
GC_strndup(const char *text, size_t most)
{
    size_t length = strnlen(text, most);
    char *copy = GC_malloc_atomic(length + 1);
    if (copy == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

char *
GC_strdup(const char *text)
{
    return text == NULL ? NULL : GC_strndup(text, SIZE_MAX);
}

/* ---- Alignment ---- */

/* The next size whose slots are aligned: slots begin at the start of a page, one after the other.
   SIZE_MAX: none. */
static size_t
aligned_size(size_t alignment, size_t size)
{
    size_t room = gc_round(size, gc_extra_b);
    while (room != SIZE_MAX && sizeclass_round(room + heap_watch.guard_b) % alignment != 0)
        room = room > SMALL_MAX_B ? SIZE_MAX : sizeclass_round(room) + GC_GRANULE_B;
    return room;
}

void *
GC_memalign(size_t alignment, size_t size)
{
    if (alignment <= GC_GRANULE_B)
        return GC_malloc(size);
    if (alignment > PAGE_B || (alignment & (alignment - 1)) != 0)
        return gc_out_of_memory(size);
    return gc_alloc_rounded(aligned_size(alignment, size), KIND_UNTYPED);
}

int
GC_posix_memalign(void **result, size_t alignment, size_t size)
{
    if (alignment < sizeof(void *) || (alignment & (alignment - 1)) != 0)
        return EINVAL;
    *result = GC_memalign(alignment, size);
    return *result == NULL ? ENOMEM : 0;
}

/* ---- Free and realloc ---- */

bool
gc_is_outside(const void *p)
{
    return (uintptr_t)p - pageheap.base >= atomic_load(&pageheap.used_b);
}

void *
gc_need_object(const void *p, const char *caller)
{
    void *base = sh_object_base(p);
    if (likely(base != NULL))
        return base;
    watch_explain(p);
    if (gc_is_outside(p))
        gc_die("%s: %p is not in the heap", caller, p);
    gc_die("%s: %p is not allocated, or was freed before", caller, p);
}

static void
need_start(const void *p, const char *caller)
{
    const void *base = gc_need_object(p, caller);
    if (likely(base == p))
        return;
    watch_explain(p);
    gc_die("%s: %p lies inside an object that begins at %p", caller, p, base);
}

void
GC_free(void *p)
{
    if (p == NULL)
        return;
    need_start(p, "GC_free");
    atomic_fetch_add_explicit(&gc_freed_b, pageheap_span_of((uintptr_t)p)->elem_b,
                              memory_order_relaxed);
    gc_let_go(p);
    gc_procs_forget(p);
    gc_finalizers_forget(p);
    sh_free(p);
}

static void *
alloc_like(const void *p, const struct span *s, size_t size)
{
    int held = gc_held_kind(p);
    if (held != 0)
        return alloc_held(size, held);
    return s->kind == KIND_NOSCAN ? GC_malloc_atomic(size) : GC_malloc(size);
}

/* What is cut off may be asked for again, as zeroes: old pointers must not live on there. */
void *
GC_realloc(void *p, size_t size)
{
    if (p == NULL)
        return GC_malloc(size);
    need_start(p, "GC_realloc");
    if (size == 0) {
        GC_free(p);
        return NULL;
    }
    size_t room = sh_usable_size(p);
    const struct span *s = pageheap_span_of((uintptr_t)p);
    if (gc_round(size, gc_extra_b) <= room && size > room / 2) {
        memset((char *)p + size, 0, room - size);
        return p;
    }
    void *fresh = alloc_like(p, s, size);
    if (fresh == NULL)
        return NULL;
    memcpy(fresh, p, size_min(room, size));
    GC_free(p);
    return fresh;
}

void
GC_change_stubborn(const void *p)
{
    (void)p;
}

void
GC_end_stubborn_change(const void *p)
{
    SH_KEEP_ALIVE(p);
}

void
GC_ptr_store_and_dirty(void *slot, const void *value)
{
    *(const void **)slot = value;
}

void
GC_noop1(GC_word value)
{
    SH_KEEP_ALIVE(value);
}
