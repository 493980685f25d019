/*
 * Roots beside stacks and registers: the ranges of GC_add_roots(), which may touch and overlap;
 * data segments, as far as the program wants them; and what its own procedure pushes in the stop.
 */
#include "shims/gc_shim.h"

#include "collector/segments.h"
#include "heap/os.h"

#define MAX_ROOTS 8192

static struct range *ranges SH_STATE; /* apart from each other */
static size_t nranges SH_STATE;
static GC_has_static_roots_func module_filter SH_STATE;

static void
nothing_more(void)
{
}

GC_push_other_roots_proc GC_push_other_roots = nothing_more;

/* ---- Ranges ---- */

/* Those that touch the new one become part of it. */
static void
add_range(struct range r)
{
    size_t kept = 0;
    for (size_t i = 0; i < nranges; i++) {
        struct range old = ranges[i];
        if (old.start > r.end || old.end < r.start) {
            ranges[kept++] = old;
            continue;
        }
        r.start = old.start < r.start ? old.start : r.start;
        r.end = old.end > r.end ? old.end : r.end;
    }
    ranges[kept] = r;
    nranges = kept + 1;
}

void
GC_add_roots(void *low, void *high_plus_1)
{
    struct range r = {round_up((uintptr_t)low, WORD_B), (uintptr_t)high_plus_1 & ~(WORD_B - 1)};
    if (r.start >= r.end)
        return;
    gc_start();
    lock_take(&gc_lock);
    if (ranges == NULL)
        ranges = os_map_sparse(MAX_ROOTS * sizeof *ranges);
    bool room = ranges != NULL && nranges < MAX_ROOTS;
    if (room)
        add_range(r);
    lock_drop(&gc_lock);
    if (!room)
        gc_die("GC_add_roots: more than %d ranges", MAX_ROOTS);
}

void
GC_remove_roots(void *low, void *high_plus_1)
{
    lock_take(&gc_lock);
    size_t kept = 0;
    for (size_t i = 0; i < nranges; i++)
        if (ranges[i].start < (uintptr_t)low || ranges[i].end > (uintptr_t)high_plus_1)
            ranges[kept++] = ranges[i];
    nranges = kept;
    lock_drop(&gc_lock);
}

void
GC_clear_roots(void)
{
    lock_take(&gc_lock);
    nranges = 0;
    lock_drop(&gc_lock);
}

bool
gc_roots_contain(uintptr_t address)
{
    bool inside = false;
    lock_take(&gc_lock);
    for (size_t i = 0; i < nranges; i++)
        inside = inside || (address >= ranges[i].start && address < ranges[i].end);
    lock_drop(&gc_lock);
    return inside;
}

/* All that is scanned as data is found anew for each collection. */
int
GC_is_tmp_root(void *p)
{
    uintptr_t at = (uintptr_t)p;
    for (size_t i = 0; i < segments.ndata; i++)
        if (at >= segments.data[i].start && at < segments.data[i].end)
            return 1;
    return 0;
}

/* ---- Data segments ---- */

bool
gc_roots_scan_module(const char *name, uintptr_t start, size_t size)
{
    if (GC_no_dls)
        return false;
    return module_filter == NULL || module_filter(name, (void *)start, size) != 0;
}

void
GC_register_has_static_roots_callback(GC_has_static_roots_func filter)
{
    gc_alloc_lock_take();
    module_filter = filter;
    segments_forget();
    gc_alloc_lock_drop();
}

void
GC_set_no_dls(int on)
{
    gc_alloc_lock_take();
    GC_no_dls = on;
    segments_forget();
    gc_alloc_lock_drop();
}

int
GC_get_no_dls(void)
{
    return GC_no_dls;
}

void
GC_exclude_static_roots(void *low, void *high_plus_1)
{
    gc_alloc_lock_take();
    bool room =
        segments_exclude((uintptr_t)low & ~(WORD_B - 1), round_up((uintptr_t)high_plus_1, WORD_B));
    gc_alloc_lock_drop();
    if (!room)
        gc_die("GC_exclude_static_roots: too many");
}

void
GC_clear_exclusion_table(void)
{
    gc_alloc_lock_take();
    segments_exclude_nothing();
    gc_alloc_lock_drop();
}

/* ---- In a stop ---- */

void
gc_roots_read(void)
{
    for (size_t i = 0; i < nranges; i++)
        client_add_range(ranges[i].start, ranges[i].end);
    if (GC_push_other_roots != NULL)
        GC_push_other_roots();
}

void
GC_push_all(void *bottom, void *top)
{
    client_add_range((uintptr_t)bottom, (uintptr_t)top);
}

void
GC_push_all_eager(void *bottom, void *top)
{
    GC_push_all(bottom, top);
}

void
GC_push_conditional(void *bottom, void *top, int all)
{
    (void)all;
    GC_push_all(bottom, top);
}

/* They are always roots. */
void
GC_push_finalizer_structures(void)
{
}

/* For an object that is to be kept though nothing leads to it: inside GC_push_other_roots(). */
void
GC_set_mark_bit(const void *p)
{
    client_add_word((uintptr_t)p);
}

void
GC_set_push_other_roots(GC_push_other_roots_proc proc)
{
    GC_push_other_roots = proc;
}

GC_push_other_roots_proc
GC_get_push_other_roots(void)
{
    return GC_push_other_roots;
}
