/*
 * Kinds of objects: those that every program has, and those of GC_new_kind(). A kind whose
 * descriptor is a length of 0 holds no pointers; every other new kind is untyped, all of its words
 * are looked at. One with a mark procedure has that called besides, once marking has found what
 * lives, and again until it finds nothing new.
 */
#include "shims/gc_shim.h"

#include "heap/pageheap.h"
#include "shims/include/gc/gc_gcj.h"
#include "shims/include/gc/gc_inline.h"

#define KINDS_MAX 256
#define MANY_B 4096 /* of objects in one list */

struct kind {
    GC_word descr; /* of a procedure; else 0 */
    enum span_kind span_kind;
    bool by_table; /* the object begins with the address of a table, whose second word is that */
};

static struct kind kinds[KINDS_MAX] SH_STATE = {
    [GC_PTRFREE] = {.span_kind = KIND_NOSCAN},
    [GC_NORMAL] = {.span_kind = KIND_UNTYPED},
    [GC_UNCOLLECTABLE] = {.span_kind = KIND_UNTYPED},
    [GC_ATOMIC_UNCOLLECTABLE] = {.span_kind = KIND_NOSCAN},
};
static unsigned nkinds SH_STATE = GC_FIRST_NEW_KIND;
static GC_mark_proc procs[GC_MAX_MARK_PROCS] SH_STATE;
static unsigned nprocs SH_STATE = GC_RESERVED_MARK_PROCS;

/* Objects whose kind has a procedure -> kind << 1 | called in this collection. */
static struct gc_table with_proc SH_STATE;

int GC_gcj_kind = GC_NORMAL;
int GC_gcj_debug_kind = GC_NORMAL;

/* ---- Mark procedures, in a stop ---- */

struct GC_ms_entry *
GC_mark_and_push(void *object, struct GC_ms_entry *stack, struct GC_ms_entry *limit, void **source)
{
    (void)limit;
    (void)source;
    client_add_word((uintptr_t)object);
    return stack;
}

static bool
has_proc(const struct kind *k)
{
    return k->by_table || (k->descr & GC_DS_TAGS) == GC_DS_PROC;
}

/* An object without its table has just been made. */
static GC_word
descr_of(uintptr_t object, const struct kind *k)
{
    if (!k->by_table)
        return k->descr;
    const GC_word *table = *(const GC_word *const *)object;
    return table == NULL ? 0 : table[1];
}

static void
call_proc(uintptr_t object, const struct kind *k)
{
    struct GC_ms_entry stack[GC_PROC_BYTES] = {{NULL}};
    GC_word descr = descr_of(object, k), rest = descr >> GC_DS_TAG_BITS;
    GC_mark_proc proc = procs[rest % GC_MAX_MARK_PROCS];
    if ((descr & GC_DS_TAGS) == GC_DS_PROC && proc != NULL)
        proc((GC_word *)object, stack, stack + GC_PROC_BYTES, rest >> GC_LOG_MAX_MARK_PROCS);
}

void
gc_procs_begin(void)
{
    for (size_t i = 0; with_proc.n > 0 && i < with_proc.capacity; i++)
        with_proc.entries[i].value &= ~(uintptr_t)1;
}

void
gc_procs_settle(void)
{
    for (bool any = with_proc.n > 0; any;) {
        any = false;
        for (size_t i = 0; i < with_proc.capacity; i++) {
            struct gc_entry *e = &with_proc.entries[i];
            if (e->key == 0 || (e->value & 1) != 0 || !client_is_live(e->key))
                continue;
            e->value |= 1;
            call_proc(e->key, &kinds[e->value >> 1]);
            any = true;
        }
        if (any)
            client_mark();
    }
}

void
gc_procs_call_for(uintptr_t object)
{
    const struct gc_entry *e = gc_table_find(&with_proc, object);
    if (e != NULL)
        call_proc(object, &kinds[e->value >> 1]);
}

void
gc_procs_prune(void)
{
    for (size_t i = 0; with_proc.n > 0 && i < with_proc.capacity;) {
        struct gc_entry *e = &with_proc.entries[i];
        if (e->key != 0 && !client_is_live(e->key))
            gc_table_remove(&with_proc, e);
        else
            i++;
    }
}

void
gc_procs_forget(void *object)
{
    if (with_proc.n == 0)
        return;
    lock_take(&gc_lock);
    struct gc_entry *e = gc_table_find(&with_proc, (uintptr_t)object);
    if (e != NULL)
        gc_table_remove(&with_proc, e);
    lock_drop(&gc_lock);
}

/* Before anybody stores the object's address: it is live by the caller's stack until then. */
static bool
note_proc(void *object, int kind)
{
    lock_take(&gc_lock);
    struct gc_entry *e = gc_table_put(&with_proc, (uintptr_t)object);
    if (e != NULL)
        e->value = (uintptr_t)kind << 1;
    lock_drop(&gc_lock);
    return e != NULL;
}

/* ---- Making kinds ---- */

unsigned
GC_new_proc_inner(GC_mark_proc proc)
{
    if (nprocs == GC_MAX_MARK_PROCS)
        gc_die("GC_new_proc: more than %d mark procedures", GC_MAX_MARK_PROCS);
    procs[nprocs] = proc;
    return nprocs++;
}

unsigned
GC_new_proc(GC_mark_proc proc)
{
    lock_take(&gc_lock);
    unsigned number = GC_new_proc_inner(proc);
    lock_drop(&gc_lock);
    return number;
}

unsigned
GC_new_kind_inner(void **free_list, GC_word descr, int add_size, int clear)
{
    (void)free_list;
    (void)clear;
    if (nkinds == KINDS_MAX)
        gc_die("GC_new_kind: more than %d kinds", KINDS_MAX);
    struct kind *k = &kinds[nkinds];
    bool empty = descr == GC_DS_LENGTH && add_size == 0;
    k->span_kind = empty ? KIND_NOSCAN : KIND_UNTYPED;
    if ((descr & GC_DS_TAGS) == GC_DS_PROC)
        k->descr = descr;
    return nkinds++;
}

unsigned
GC_new_kind(void **free_list, GC_word descr, int add_size, int clear)
{
    lock_take(&gc_lock);
    unsigned number = GC_new_kind_inner(free_list, descr, add_size, clear);
    lock_drop(&gc_lock);
    return number;
}

/* A list that stays empty: the program's way to an object then leads to GC_generic_malloc_many().
 */
void **
GC_new_free_list_inner(void)
{
    return GC_malloc_uncollectable((GC_TINY_FREELISTS + 1) * sizeof(void *));
}

void **
GC_new_free_list(void)
{
    return GC_new_free_list_inner();
}

/* ---- Allocation by kind ---- */

static const struct kind *
kind_of(int kind)
{
    if (kind < 0 || (unsigned)kind >= nkinds)
        gc_die("there is no kind %d", kind);
    return &kinds[kind];
}

/* size as asked for. NULL: no memory. */
static void *
try_kind(size_t size, size_t extra, int kind)
{
    const struct kind *k = kind_of(kind);
    void *p = gc_try_rounded(gc_round(size, extra), k->span_kind);
    if (p == NULL)
        return NULL;
    bool held = kind == GC_UNCOLLECTABLE || kind == GC_ATOMIC_UNCOLLECTABLE;
    bool good = (!held || gc_hold(p, kind)) && (!has_proc(k) || note_proc(p, kind));
    return good ? p : NULL;
}

static void *
alloc_of_kind(size_t size, size_t extra, int kind)
{
    void *p = try_kind(size, extra, kind);
    return p != NULL ? p : gc_out_of_memory(size);
}

void *
GC_malloc_kind(size_t size, int kind)
{
    return alloc_of_kind(size, gc_extra_b, kind);
}

void *
GC_malloc_kind_global(size_t size, int kind)
{
    return GC_malloc_kind(size, kind);
}

void *
GC_generic_malloc(size_t size, int kind)
{
    return GC_malloc_kind(size, kind);
}

void *
GC_generic_or_special_malloc(size_t size, int kind)
{
    return GC_malloc_kind(size, kind);
}

void *
GC_generic_malloc_ignore_off_page(size_t size, int kind)
{
    return alloc_of_kind(size, size > SMALL_MAX_B ? 0 : gc_extra_b, kind);
}

void *
GC_generic_malloc_uncollectable(size_t size, int kind)
{
    bool scanned = kind_of(kind)->span_kind != KIND_NOSCAN;
    return GC_malloc_kind(size, scanned ? GC_UNCOLLECTABLE : GC_ATOMIC_UNCOLLECTABLE);
}

void
GC_generic_malloc_many(size_t size, int kind, void **result)
{
    size_t room = gc_round(size, 0), n = room > MANY_B ? 1 : MANY_B / room;
    void *first = NULL, *p;
    for (size_t i = 0; i < n && (p = try_kind(room, 0, kind)) != NULL; i++) {
        *(void **)p = first;
        *(void *volatile *)result = first = p;
    }
    if (first == NULL && (first = gc_out_of_memory(size)) != NULL)
        *(void **)first = NULL;
    *result = first;
}

void *
GC_malloc_many(size_t size)
{
    void *result = NULL;
    GC_generic_malloc_many(gc_round(size, gc_extra_b), GC_NORMAL, &result);
    return result;
}

int
GC_get_kind_and_size(const void *p, size_t *size)
{
    p = gc_need_object(p, __func__);
    if (size != NULL)
        *size = GC_size(p);
    int held = gc_held_kind(p);
    if (held != 0)
        return held;
    lock_take(&gc_lock);
    const struct gc_entry *e = gc_table_find(&with_proc, (uintptr_t)p);
    int kind = e == NULL ? -1 : (int)(e->value >> 1);
    lock_drop(&gc_lock);
    if (kind >= 0)
        return kind;
    return pageheap_span_of((uintptr_t)p)->kind == KIND_NOSCAN ? GC_PTRFREE : GC_NORMAL;
}

void
GC_register_describe_type_fn(int kind, GC_describe_type_fn describe)
{
    (void)kind;
    (void)describe;
}

void
GC_print_free_list(int kind, size_t granules)
{
    GC_printf("kind %d, %lu granules: free slots are bits beside the spans, there is no list\n",
              kind, granules);
}

/* ---- Objects that begin with a table ---- */

void
GC_init_gcj_malloc(int proc_index, void *proc)
{
    if (proc_index < 0 || proc_index >= GC_MAX_MARK_PROCS)
        gc_die("GC_init_gcj_malloc: there is no mark procedure %d", proc_index);
    gc_start();
    lock_take(&gc_lock);
    if (GC_gcj_kind == GC_NORMAL) {
        GC_gcj_kind = (int)GC_new_kind_inner((void **)GC_arrays, GC_DS_LENGTH, 1, 1);
        GC_gcj_debug_kind = GC_gcj_kind;
        kinds[GC_gcj_kind].by_table = true;
        procs[proc_index] = (GC_mark_proc)proc;
    }
    lock_drop(&gc_lock);
}

void *
GC_gcj_malloc(size_t size, void *table)
{
    void *p = GC_malloc_kind(size, GC_gcj_kind);
    if (p != NULL)
        *(void **)p = table;
    return p;
}

void *
GC_gcj_malloc_ignore_off_page(size_t size, void *table)
{
    return GC_gcj_malloc(size, table);
}
