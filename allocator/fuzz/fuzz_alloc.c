/*
 * The heap itself: objects of all kinds and sizes that point to each other, held in variables, in
 * registered ranges and in nothing, resized, freed, poisoned; finalizers and weak references; and
 * calls that are wrong (alloc_calls.c). What the model holds must be as it was left, whatever is
 * collected meanwhile.
 */
#include "alloc_calls.h"
#include "go_sizes.h"

#include "heap/watch.h"

#include <sys/mman.h>

enum { RANGES = 4, RANGE_WORDS = 16, WEAK = 6, BYTES_MAX = 3 << 20 };
enum { UNTYPED, NOSCAN, TINY, TYPED }; /* TINY: it shares its block */

static _Thread_local uintptr_t thread_roots[OBJECTS];
static uintptr_t *far; /* memory that is scanned where a range of it is registered */
static bool registered[RANGES];

static const uint64_t wide_mask[] = {1, 0, UINT64_C(1) << 40};
static const struct sh_type types[] = {
    {"one", 8, (const uint64_t[]){1}, 0},
    {"pair", 16, (const uint64_t[]){2}, SH_TYPE_PLAIN},
    {"node", 24, (const uint64_t[]){7}, 0},
    {"leaf", 40, (const uint64_t[]){16}, SH_TYPE_PLAIN},
    {"page", 512, (const uint64_t[]){UINT64_C(1) << 63 | 1 << 9}, 0},
    {"wide", 1528, wide_mask, 0},
    {"text", 12, NULL, 0},
};

static struct weak {
    struct sh_weak *reference;
    struct object object; /* as it was when there last was one */
    size_t i;
    bool is_gone;
} weak[WEAK];

/* ---- Making ---- */

static int
kind_of_noscan(size_t size)
{
    return size < 16 && heap_watch.guard_b == 0 ? TINY : NOSCAN;
}

static size_t
alignment_of(size_t size, int kind)
{
    if (kind == TYPED || kind == UNTYPED || size >= 16)
        return size <= 8 || (size > 16 && size <= 24) ? 8 : 16;
    return size % 8 == 0 ? 8 : size % 4 == 0 ? 4 : size % 2 == 0 ? 2 : 1;
}

/* What the heap says of an object. */
static void
check_place(const char *p, size_t size, int kind)
{
    need((uintptr_t)p % alignment_of(size, kind) == 0, "an object is aligned");
    const char *base = sh_object_base(p);
    need(kind == TINY ? p - base < 16 : base == p, "an object's base is its start");
    need(sh_object_base(p + size - 1) == base, "its last byte lies in it");
    need(sh_round_size(size) == size_of_go(size), "sizes are rounded as in Go");
}

static size_t
usable_of(size_t size, int kind)
{
    return kind == TINY ? 0 : heap_watch.debug ? size : size_of_go(size);
}

static void
put_checked(size_t i, void *p, size_t size, int kind, const struct sh_type *type, size_t nfields,
            const size_t *at)
{
    check_place(p, size, kind);
    need(sh_usable_size(p) == usable_of(size, kind), "it has what Go's size class has");
    put_object(i, p, size, nfields, at);
    objects.all[i].kind = kind;
    objects.all[i].is_typed = kind == TYPED;
    objects.all[i].more = type;
}

static void
make_plain(struct input *in, size_t i)
{
    size_t size = choose_bytes(in, 1, BYTES_MAX), at[FIELDS], what = choose(in, 4);
    int kind = what % 2 == 0 ? UNTYPED : kind_of_noscan(size);
    void *p = what == 0   ? sh_alloc(size)
              : what == 1 ? sh_alloc_noscan(size)
                          : sh_try_alloc(1, size, kind == UNTYPED ? SH_UNTYPED : SH_NOSCAN);
    need(p != NULL, "there is memory");
    put_checked(i, p, size, kind, NULL, kind == UNTYPED ? spread_fields(size, at) : 0, at);
}

/* The pointers of elements: the first ones of the first element, and one in the last. */
static size_t
typed_fields(const struct sh_type *type, size_t count, size_t at[FIELDS])
{
    size_t n = 0, words = type->size / 8;
    if (type->pointer_mask == NULL)
        return 0;
    for (size_t w = 0; w < words && n < FIELDS; w++)
        if (type->pointer_mask[w / 64] >> (w % 64) & 1)
            at[n++] = w;
    if (count > 1 && n > 0)
        at[n < FIELDS ? n++ : FIELDS - 1] = (count - 1) * words + at[0];
    return n;
}

static void
make_typed(struct input *in, size_t i)
{
    const struct sh_type *type = &types[choose(in, COUNT_OF(types))];
    size_t count = choose(in, 2) ? 1 + choose(in, 40) : 0, at[FIELDS];
    void *p = count == 0 ? sh_alloc_typed(type) : sh_alloc_array(type, count);
    count += count == 0;
    size_t n = typed_fields(type, count, at);
    put_checked(i, p, count * type->size, n == 0 ? kind_of_noscan(count * type->size) : TYPED, type,
                n, at);
}

static void
make_one(struct input *in, size_t i, bool typed)
{
    if (objects.all[i].exists && objects.all[i].root != NULL) {
        let_go(i);
        sort_out();
    }
    if (objects.all[i].exists)
        return; /* another leads to it */
    if (typed)
        make_typed(in, i);
    else
        make_plain(in, i);
}

/* ---- Weak references ---- */

/* Whose object is still the one that was there. */
static bool
is_same(const struct weak *w)
{
    const struct object *o = &objects.all[w->i];
    return o->exists && o->number == w->object.number;
}

/* Object i is about to be freed, or is finalized: either way its weak reference is empty. */
static void
note_gone(size_t i)
{
    for (size_t w = 0; w < WEAK; w++)
        if (weak[w].i == i && is_same(&weak[w]))
            weak[w].is_gone = true;
}

static void
note_weak(void)
{
    for (size_t w = 0; w < WEAK; w++) {
        if (weak[w].i == NOBODY || weak[w].is_gone)
            continue;
        if (is_same(&weak[w]))
            weak[w].object = objects.all[weak[w].i];
    }
}

static void
make_weak(struct input *in, size_t i)
{
    struct weak *w = &weak[choose(in, WEAK)];
    if (objects.all[i].kind == TINY)
        return;
    w->reference = sh_weak_make(address_of(i));
    w->i = i;
    w->object = objects.all[i];
    w->is_gone = false;
    need(sh_weak_make(address_of(i)) == w->reference, "an object has one weak reference");
}

static void
get_weak(const struct weak *w)
{
    if (w->i == NOBODY)
        return;
    const void *p = sh_weak_get(w->reference);
    if (w->is_gone)
        need(p == NULL, "what is gone is in no weak reference");
    else if (is_same(w) && objects.all[w->i].reachable)
        need(p == address_of(w->i), "a weak reference has its object");
    else if (p != NULL) {
        need((uintptr_t)p == ~w->object.hidden, "a weak reference has its object, or nothing");
        compare_content(&w->object);
    }
}

/* ---- Freeing and resizing ---- */

static void
free_one(size_t i)
{
    void *p = address_of(i);
    if (!may_go(i))
        return;
    bool alone = objects.all[i].kind != TINY;
    if (objects.all[i].is_closed)
        sh_unpoison(p, objects.all[i].size);
    unlink_object(i);
    sh_free(p);
    note_gone(i);
    forget_object(i);
    if (alone)
        check_freed(p);
    sort_out();
}

static void
resize_one(struct input *in, size_t i)
{
    struct object *o = &objects.all[i];
    const struct sh_type *type = o->more;
    void *p = address_of(i), *moved;
    size_t size = choose_bytes(in, 1, BYTES_MAX);
    if (!may_go(i))
        return;
    if (o->is_closed)
        sh_unpoison(p, o->size);
    o->is_closed = false;
    if (type != NULL && o->kind == TYPED) {
        size = (1 + size % 4096 / type->size) * type->size;
        moved = sh_realloc_array(type, p, size / type->size);
    } else {
        moved = sh_realloc(p, size);
    }
    object_moved(i, moved, size, o->kind != TINY);
    if (moved != p) {
        note_gone(i);
        o->is_root = false;
        if (o->kind == NOSCAN || o->kind == TINY)
            o->kind = kind_of_noscan(size);
        need(sh_usable_size(moved) == usable_of(size, o->kind), "it has what Go's size class has");
    }
    check_place(moved, size, o->kind);
    need(o->kind == TINY || sh_usable_size(moved) >= size, "there is room for it");
    sort_out();
}

/* ---- Finalizers ---- */

static struct input *finalizing; /* says what becomes of the object */

static void
finalize(void *object, void *arg)
{
    size_t i = 0;
    while (i < OBJECTS && !(objects.all[i].is_root && address_of(i) == object))
        i++;
    need(i < OBJECTS, "a finalizer is called once, for its object");
    struct object *o = &objects.all[i];
    need(!o->reachable, "it is called when nobody reaches the object");
    for (size_t j = 0; j < OBJECTS; j++)
        need(!objects.all[j].is_root || !leads_to(j, i), "of a chain the last one waits");
    need(arg == (o->argument == NOBODY ? NULL : address_of(o->argument)), "it has its argument");
    compare_object(i);
    note_gone(i);
    o->is_root = false;
    o->argument = NOBODY;
    if (choose(finalizing, 2) == 0)
        hold_object(i, &objects.roots[i], 0);
    sort_out();
}

static void
set_finalizer(struct input *in, size_t i)
{
    size_t what = choose(in, 4), arg = what == 0 ? some_object(in) : NOBODY;
    if (objects.all[i].kind == TINY)
        return;
    bool taken_back = what == 3;
    sh_set_finalizer(address_of(i), taken_back ? NULL : finalize,
                     arg == NOBODY ? NULL : address_of(arg));
    objects.all[i].is_root = !taken_back;
    objects.all[i].argument = arg;
    sort_out();
}

/* ---- Where objects are held ---- */

static void
hold_one(struct input *in, size_t i)
{
    size_t what = choose(in, 4), offset = choose_wide(in, 65536) % objects.all[i].size;
    size_t word = choose(in, RANGES * RANGE_WORDS);
    if (what == 0)
        hold_object(i, &objects.roots[i], offset);
    else if (what == 1)
        hold_object(i, &thread_roots[i], offset);
    else if (registered[word / RANGE_WORDS] && far[word] == 0)
        hold_object(i, &far[word], offset);
    else if (what == 3)
        let_go(i);
    sort_out();
}

static void
change_range(size_t r)
{
    uintptr_t *start = far + r * RANGE_WORDS;
    for (size_t i = 0; registered[r] && i < OBJECTS; i++)
        if (objects.all[i].root >= start && objects.all[i].root < start + RANGE_WORDS)
            hold_object(i, &objects.roots[i], 0);
    if (registered[r])
        sh_roots_remove(start);
    else
        sh_roots_add(start, RANGE_WORDS * sizeof *start);
    registered[r] = !registered[r];
    if (!registered[r])
        call_range_wrongly(start);
}

static void
poison_one(size_t i)
{
    struct object *o = &objects.all[i];
    if (o->is_closed)
        sh_unpoison(address_of(i), o->size);
    else
        sh_poison(address_of(i), o->size);
    o->is_closed = !o->is_closed;
}

/* ---- Stores ---- */

static void
store_one(struct input *in, size_t from)
{
    struct object *o = &objects.all[from];
    size_t to = some_object(in), what = choose(in, 24);
    bool takes_out = what / 6 % 2 != 0, puts_in = what / 12 != 0;
    if (o->nfields == 0 || o->is_closed)
        return;
    size_t f = choose(in, 256) % o->nfields, was = take_out(from, f, takes_out);
    uintptr_t *slot = (uintptr_t *)address_of(from) + o->at[f];
    void *old = was == NOBODY ? NULL : address_of(was), *other = &other;
    switch (what % 6) {
    case 0:
        sh_memset(slot, 0, sizeof *slot);
        to = NOBODY;
        break;
    case 1:
        need(sh_exchange(slot, address_of(to)) == old, "what was there comes back");
        break;
    case 2:
        need(!sh_compare_exchange(slot, &other, address_of(to)) && other == old,
             "another value is told, and stays");
        need(sh_compare_exchange(slot, &other, address_of(to)), "the right one is exchanged");
        break;
    case 3:
        sh_memmove(slot, (uintptr_t *)address_of(from) + o->at[0], sizeof *slot);
        to = o->to[0];
        break;
    default:
        sh_store(slot, address_of(to));
        break;
    }
    note_point(from, f, to);
    if (puts_in && to != NOBODY)
        let_go(to);
    sort_out();
}

/* ---- The stream ---- */

static void
operate(struct input *in)
{
    size_t what = choose(in, 20), i = choose(in, OBJECTS), held = some_object(in);
    if (what < 4 || held == NOBODY)
        make_one(in, i, what % 2);
    else if (what < 7)
        store_one(in, held);
    else if (what == 7)
        free_one(held);
    else if (what == 8)
        resize_one(in, held);
    else if (what == 9)
        set_finalizer(in, held);
    else if (what == 10)
        make_weak(in, held);
    else if (what == 11)
        change_range(i % RANGES);
    else if (what == 12)
        poison_one(held);
    else if (what == 13)
        call_wrongly(in, held, objects.all[held].kind == TYPED, objects.all[held].kind != TINY);
    else if (what == 14)
        ask(in, held);
    else if (what == 15)
        sh_run_finalizers();
    else if (what == 16)
        collect_somehow(in);
    else
        hold_one(in, held);
    note_weak();
}

static void
compare_all(void)
{
    compare_objects();
    for (size_t w = 0; w < WEAK; w++)
        get_weak(&weak[w]);
}

/* Nothing is left of an input for the next one. */
static void
end_input(void)
{
    sh_run_finalizers();
    for (size_t i = 0; i < OBJECTS; i++) {
        if (objects.all[i].exists && objects.all[i].is_closed)
            sh_unpoison(address_of(i), objects.all[i].size);
        if (objects.all[i].exists && objects.all[i].is_root)
            sh_set_finalizer(address_of(i), NULL, NULL);
        let_go(i);
    }
    for (size_t r = 0; r < RANGES; r++)
        if (registered[r])
            change_range(r);
    memset(weak, 0, sizeof weak);
    sh_set_gogc(SH_GOGC_OFF);
    sh_set_memory_limit(SH_NO_MEMORY_LIMIT);
}

void
run_input(struct input *in)
{
    objects_begin(sh_store);
    finalizing = in;
    if (far == NULL)
        far = mmap(NULL, RANGES * RANGE_WORDS * sizeof *far, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (size_t w = 0; w < WEAK; w++)
        weak[w].i = NOBODY;
    for (size_t n = 0; !is_used_up(in); n++) {
        tick();
        operate(in);
        if (n % 16 == 0)
            compare_all();
        else
            compare_object(n % OBJECTS);
    }
    sh_collect();
    compare_all();
    end_input();
}
