/*
 * Finalizers in Boehm's orders. After marking, in the stop:
 *   1. from every dead object with a finalizer, what it points to is marked, the object itself not:
 *      so an object that another finalizer may still want is live, and waits for its turn. An
 *      object without order marks nothing here; one that ignores itself skips its own address.
 *   2. those that are still dead become due;
 *   3. they and all they lead to are marked, for the finalizer to see;
 *   4. except those that want to be unreachable: if step 3 has marked one, it goes back to wait.
 * Due ones run when a thread allocates next, or in GC_invoke_finalizers().
 */
#include "shims/gc_shim.h"

#include "heap/meta.h"
#include "heap/pageheap.h"
#include "shims/include/gc/javaxfc.h"

enum order { IN_ORDER, IGNORE_SELF, NO_ORDER, UNREACHABLE };

struct finalizer {
    struct finalizer *next; /* of those that are due */
    uintptr_t object;       /* as the program gave it: it may have a tag, inside of the object */
    GC_finalization_proc proc;
    void *arg;
    enum order order;
};

static struct gc_table registered SH_STATE; /* object -> struct finalizer */
static struct {
    struct finalizer *first, **end;
    size_t n;
} due SH_STATE;

static GC_await_finalize_proc await_proc SH_STATE;
static uint32_t notified_cycle SH_STATE;
static _Thread_local bool running __attribute__((tls_model("initial-exec")));

static void
append(struct finalizer *f)
{
    f->next = NULL;
    if (due.first == NULL)
        due.end = &due.first;
    *due.end = f;
    due.end = &f->next;
    due.n++;
}

/* ---- Registering ---- */

static void
tell_old(const struct finalizer *old, GC_finalization_proc *old_proc, void **old_arg)
{
    if (old_proc != NULL)
        *old_proc = old->proc;
    if (old_arg != NULL)
        *old_arg = old->arg;
}

/* The lock is held. fresh becomes what is registered; returns what was, or fresh if there is no
   memory. */
static struct finalizer *
exchange(uintptr_t object, struct finalizer *fresh)
{
    struct gc_entry *e = gc_table_find(&registered, object);
    struct finalizer *old = e == NULL ? NULL : (struct finalizer *)e->value;
    if (fresh == NULL) {
        if (e != NULL)
            gc_table_remove(&registered, e);
        return old;
    }
    if (e == NULL)
        e = gc_table_put(&registered, object);
    if (e == NULL)
        return fresh;
    e->value = (uintptr_t)fresh;
    return old;
}

static void
register_in(enum order order, const char *caller, void *object, GC_finalization_proc proc,
            void *arg, GC_finalization_proc *old_proc, void **old_arg)
{
    const struct finalizer none = {0};
    struct finalizer *fresh = NULL, *old = NULL;
    gc_start();
    if (gc_is_outside(object)) { /* it will never die */
        tell_old(&none, old_proc, old_arg);
        return;
    }
    gc_need_object(object, caller);
    if (proc != NULL) {
        fresh = meta_alloc(sizeof *fresh);
        if (fresh == NULL) {
            gc_warn("no memory for the finalizer of %p\n", (GC_word)object);
            return;
        }
        *fresh = (struct finalizer){NULL, (uintptr_t)object, proc, arg, order};
    }
    lock_take(&gc_lock);
    old = exchange((uintptr_t)object, fresh);
    lock_drop(&gc_lock);
    tell_old(old == NULL || old == fresh ? &none : old, old_proc, old_arg);
    if (old != NULL)
        meta_free(old, sizeof *old);
}

void
gc_finalizers_forget(void *object)
{
    if (registered.n == 0)
        return;
    lock_take(&gc_lock);
    struct finalizer *old = exchange((uintptr_t)object, NULL);
    lock_drop(&gc_lock);
    if (old != NULL)
        meta_free(old, sizeof *old);
}

/* ---- In a stop ---- */

void
gc_finalizers_read(void)
{
    for (size_t i = 0; registered.n > 0 && i < registered.capacity; i++)
        if (registered.entries[i].key != 0)
            client_add_word((uintptr_t)((struct finalizer *)registered.entries[i].value)->arg);
    for (const struct finalizer *f = due.first; f != NULL; f = f->next) {
        client_add_word(f->object);
        client_add_word((uintptr_t)f->arg);
    }
}

/* 0: its pages are gone. */
static uintptr_t
start_of(uintptr_t object)
{
    const struct span *s = pageheap_span_of(object);
    return s == NULL ? 0 : span_slot(s, span_index(s, object));
}

static void
add_contents_but_self(uintptr_t object)
{
    const struct span *s = pageheap_span_of(object);
    if (!kind_is_scannable(s->kind))
        return;
    for (uintptr_t at = object; at < object + s->elem_b; at += WORD_B) {
        uintptr_t word = *(const uintptr_t *)at;
        if (word - object >= s->elem_b)
            client_add_word(word);
    }
}

static void
mark_now(void)
{
    client_mark();
    gc_procs_settle();
}

/* Step 1. False: no object with a finalizer is dead. */
static bool
mark_what_dead_ones_lead_to(void)
{
    bool any = false;
    for (size_t i = 0; i < registered.capacity; i++) {
        const struct gc_entry *e = &registered.entries[i];
        if (e->key == 0 || client_is_live(e->key))
            continue;
        any = true;
        enum order order = ((const struct finalizer *)e->value)->order;
        uintptr_t start = start_of(e->key);
        if (start == 0 || order == NO_ORDER)
            continue;
        if (order == IGNORE_SELF)
            add_contents_but_self(start);
        else
            client_add_contents(start);
        gc_procs_call_for(start);
    }
    if (any)
        mark_now();
    return any;
}

/* Step 2: to a list of their own, each with the rest after it. */
static struct finalizer *
take_dead_ones(void)
{
    struct finalizer *list = NULL;
    for (size_t i = 0; i < registered.capacity;) {
        struct gc_entry *e = &registered.entries[i];
        if (e->key == 0 || client_is_live(e->key)) {
            i++;
            continue;
        }
        struct finalizer *f = (struct finalizer *)e->value;
        f->next = list;
        list = f;
        gc_table_remove(&registered, e);
    }
    return list;
}

/* Step 3. */
static void
keep(struct finalizer *list)
{
    for (struct finalizer *f = list; f != NULL; f = f->next) {
        if (f->order != UNREACHABLE)
            client_add_word(f->object);
        client_add_word((uintptr_t)f->arg);
    }
    mark_now();
}

/* Step 4. What they lead to was marked in step 1. */
static void
queue(struct finalizer *list)
{
    for (struct finalizer *f = list, *next; f != NULL; f = next) {
        next = f->next;
        if (f->order == UNREACHABLE && client_is_live(f->object)) {
            gc_table_put(&registered, f->object)->value = (uintptr_t)f; /* it had room before */
            continue;
        }
        append(f);
        if (f->order == UNREACHABLE)
            client_add_word(f->object);
        if (await_proc != NULL)
            await_proc((void *)f->object);
    }
    mark_now();
}

void
gc_finalizers_find(void)
{
    if (registered.n == 0 || !mark_what_dead_ones_lead_to())
        return;
    struct finalizer *list = take_dead_ones();
    if (list == NULL)
        return;
    keep(list);
    queue(list);
}

bool
gc_finalizers_are_due(void)
{
    return due.first != NULL;
}

size_t
gc_finalizers_registered(void)
{
    return registered.n;
}

size_t
gc_finalizers_waiting(void)
{
    return due.n;
}

/* ---- Running ---- */

/* The object goes from one root to another, the caller's stack, without a stop between. */
static bool
take_due(struct finalizer *out)
{
    lock_take(&gc_lock);
    struct finalizer *f = due.first;
    if (f != NULL) {
        *out = *f;
        due.first = f->next;
        due.n--;
    }
    lock_drop(&gc_lock);
    if (f != NULL)
        meta_free(f, sizeof *f);
    return f != NULL;
}

int
GC_should_invoke_finalizers(void)
{
    return gc_finalizers_are_due();
}

int
GC_invoke_finalizers(void)
{
    int n = 0;
    for (struct finalizer f; gc_finalizers_are_due() && take_due(&f); n++) {
        f.proc((void *)f.object, f.arg);
        SH_KEEP_ALIVE(f.object);
        SH_KEEP_ALIVE(f.arg);
    }
    return n;
}

/* A finalizer that allocates does not start others inside of itself. */
void
gc_finalizers_notify(void)
{
    if (!gc_finalizers_are_due())
        return;
    if (!GC_finalize_on_demand) {
        if (running)
            return;
        running = true;
        GC_invoke_finalizers();
        running = false;
        return;
    }
    uint32_t cycles = atomic_load(&cycle.cycles);
    if (GC_finalizer_notifier == NULL || notified_cycle == cycles)
        return;
    notified_cycle = cycles;
    GC_finalizer_notifier();
}

/* Whether it lives or not. */
static void
queue_all(void)
{
    lock_take(&gc_lock);
    for (size_t i = 0; i < registered.capacity; i++) {
        struct gc_entry *e = &registered.entries[i];
        if (e->key != 0) {
            append((struct finalizer *)e->value);
            *e = (struct gc_entry){0, 0};
        }
    }
    registered.n = 0;
    lock_drop(&gc_lock);
}

/* Those as well that finalizers register meanwhile. */
void
GC_finalize_all(void)
{
    do {
        queue_all();
        GC_invoke_finalizers();
    } while (registered.n > 0);
}

/* ---- Offered ---- */

void
GC_register_finalizer(void *object, GC_finalization_proc proc, void *arg,
                      GC_finalization_proc *old_proc, void **old_arg)
{
    register_in(IN_ORDER, __func__, object, proc, arg, old_proc, old_arg);
}

void
GC_register_finalizer_ignore_self(void *object, GC_finalization_proc proc, void *arg,
                                  GC_finalization_proc *old_proc, void **old_arg)
{
    register_in(IGNORE_SELF, __func__, object, proc, arg, old_proc, old_arg);
}

void
GC_register_finalizer_no_order(void *object, GC_finalization_proc proc, void *arg,
                               GC_finalization_proc *old_proc, void **old_arg)
{
    register_in(NO_ORDER, __func__, object, proc, arg, old_proc, old_arg);
}

void
GC_register_finalizer_unreachable(void *object, GC_finalization_proc proc, void *arg,
                                  GC_finalization_proc *old_proc, void **old_arg)
{
    register_in(UNREACHABLE, __func__, object, proc, arg, old_proc, old_arg);
}

void
GC_set_await_finalize_proc(GC_await_finalize_proc proc)
{
    await_proc = proc;
}

GC_await_finalize_proc
GC_get_await_finalize_proc(void)
{
    return await_proc;
}
