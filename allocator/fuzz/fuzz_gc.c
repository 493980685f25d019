/*
 * The drop-in for gc.h: objects of all its kinds that point to each other, held in variables, in
 * ranges of roots, by the program's own procedure and by themselves; finalizers in all orders,
 * links that disappear, and what can be asked and set (gc_calls.c).
 */
#include "gc_calls.h"
#include "go_sizes.h"
#include "pattern.h"

#include <sys/mman.h>

enum { RANGES = 4, RANGE_WORDS = 15, LINKS = 8, BYTES_MAX = 2 << 20 };

/* An object's kind is whether the address just past its end lies in it. */

/* Not scanned by itself: ranges of roots, and what push_others() pushes. */
static struct {
    uintptr_t range[RANGES][RANGE_WORDS + 1]; /* a word between two, so that they stay two */
    uintptr_t others[OBJECTS];
} * far;
static bool registered[RANGES];

enum order { IN_ORDER, IGNORE_SELF, NO_ORDER, UNREACHABLE };
static enum order orders[OBJECTS];

static struct link {
    uintptr_t word; /* the complement of the object's address, or 0 */
    bool is_registered, is_long;
    size_t i;
    uint64_t number; /* of the object */
} links[LINKS];

static void
store_plainly(void *slot, const void *value)
{
    *(const void **)slot = value;
}

/* ---- Making ---- */

/* An object takes whole granules, and one byte more than was asked for. */
static size_t
size_of_boehm(size_t size, bool end)
{
    size_t granules = (size + end + 15) / 16 * 16;
    return size_of_go(granules == 0 ? 16 : granules);
}

static void
make_one(struct input *in, size_t i)
{
    if (objects.all[i].exists && objects.all[i].root != NULL) {
        let_go(i);
        sort_out();
    }
    if (objects.all[i].exists)
        return; /* another leads to it, or it stays */
    struct allocated a = allocate_somehow(in, choose_bytes(in, 0, BYTES_MAX));
    size_t size = a.size;
    char *p = a.p;
    if (is_limited(p))
        return;
    need(p != NULL && (uintptr_t)p % a.align == 0, "an object is aligned");
    if (a.align > 16)
        need(GC_size(p) >= size + 1, "there is room for it");
    else
        need(GC_size(p) == size_of_boehm(size, a.has_end), "it has what Go's size class has");
    need(GC_base(p) == p && GC_base(p + size / 2) == p, "an object's base is its start");
    need(!a.has_end || GC_base(p + size) == p, "its end lies in it");
    put_object(i, p, size, a.nfields, a.at);
    need_zero(p + size, GC_size(p) - size);
    objects.all[i].stays = a.stays;
    objects.all[i].kind = a.has_end;
}

/* ---- Links ---- */

static bool
is_same(const struct link *l)
{
    const struct object *o = &objects.all[l->i];
    return o->exists && o->number == l->number;
}

static void
check_link(struct link *l)
{
    if (!l->is_registered)
        return;
    bool must_stay = is_same(l) && (l->is_long || objects.all[l->i].reachable);
    need(!must_stay || l->word == objects.all[l->i].hidden, "a link stays while its object does");
    if (l->word == 0)
        l->is_registered = false;
}

static void
unregister_link(struct link *l)
{
    check_link(l);
    void **word = (void **)&l->word;
    int was = l->is_long ? GC_unregister_long_link(word) : GC_unregister_disappearing_link(word);
    need(was == l->is_registered, "a link is registered until it has disappeared");
    l->is_registered = false;
    l->word = 0;
}

static void
unregister_links_to(size_t i)
{
    for (size_t k = 0; k < LINKS; k++)
        if (links[k].is_registered && links[k].i == i)
            unregister_link(&links[k]);
}

static int
register_link(struct link *l, void *object)
{
    void **word = (void **)&l->word;
    return l->is_long ? GC_register_long_link(word, object)
                      : GC_general_register_disappearing_link(word, object);
}

static void
make_link(struct input *in, size_t i)
{
    struct link *l = &links[choose(in, LINKS)];
    if (l->is_registered)
        unregister_link(l);
    *l = (struct link){objects.all[i].hidden, true, choose(in, 2), i, objects.all[i].number};
    need(register_link(l, address_of(i)) == GC_SUCCESS, "a link is registered");
    need(register_link(l, address_of(i)) == GC_DUPLICATE, "once");
}

static void
move_link(struct input *in)
{
    struct link *from = &links[choose(in, LINKS)], *to = &links[choose(in, LINKS)];
    void **word = (void **)&from->word, **other = (void **)&to->word;
    check_link(from);
    check_link(to);
    bool both = from != to && to->is_registered && to->is_long == from->is_long;
    int wanted = !from->is_registered ? GC_NOT_FOUND : both ? GC_DUPLICATE : GC_SUCCESS;
    int done =
        from->is_long ? GC_move_long_link(word, other) : GC_move_disappearing_link(word, other);
    need(done == wanted, "a link is moved, if there is one, to where there is none");
    if (done != GC_SUCCESS || from == to)
        return;
    if (to->is_registered)
        unregister_link(to); /* one of the other kind */
    *to = *from;
    *from = (struct link){.word = 0};
}

/* ---- Finalizers ---- */

static struct input *finalizing; /* says what becomes of the object */
static bool all_are_finalized;
static GC_word came_back[OBJECTS]; /* by its finalizer, after which collection */

/* Both finalizers were due after the same collection, and the one that was called first has brought
   its object back: it was registered without an order, so the other one did not wait. */
static bool
is_brought_back(size_t i)
{
    for (size_t j = 0; j < OBJECTS; j++)
        if (j != i && came_back[j] == GC_get_gc_no() && leads_to(j, i))
            return true;
    return false;
}

static void
need_its_turn(size_t i)
{
    need(!objects.all[i].reachable || is_brought_back(i),
         "a finalizer is called when nobody reaches the object");
    for (size_t j = 0; j < OBJECTS; j++)
        if (j != i && objects.all[j].is_root && orders[j] != NO_ORDER)
            need(!leads_to(j, i), "what another finalizer may want waits");
    if (orders[i] == IN_ORDER)
        need(!leads_to(i, i), "what leads to itself waits for ever");
    else if (orders[i] == IGNORE_SELF)
        need(!leads_back(i), "what leads to itself by others waits for ever");
    for (size_t k = 0; k < LINKS; k++)
        if (links[k].is_registered && links[k].i == i && !links[k].is_long && is_same(&links[k]))
            need(links[k].word == 0, "short links disappear before");
}

static void
finalize(void *object, void *arg)
{
    size_t i = 0;
    while (i < OBJECTS && !(objects.all[i].is_root && address_of(i) == object))
        i++;
    need(i < OBJECTS, "a finalizer is called once, for its object");
    struct object *o = &objects.all[i];
    if (!all_are_finalized)
        need_its_turn(i);
    for (size_t k = 0; k < LINKS; k++) /* those that have disappeared, before anything comes back */
        check_link(&links[k]);
    need(arg == (o->argument == NOBODY ? NULL : address_of(o->argument)), "it has its argument");
    compare_object(i);
    o->is_root = false;
    o->argument = NOBODY;
    if (o->root == NULL && choose(finalizing, 2) == 0) {
        hold_object(i, &objects.roots[i], 0);
        came_back[i] = GC_get_gc_no();
    }
    sort_out();
}

static void
set_finalizer(struct input *in, size_t i)
{
    static void (*const calls[])(void *, GC_finalization_proc, void *, GC_finalization_proc *,
                                 void **) = {
        GC_register_finalizer,
        GC_register_finalizer_ignore_self,
        GC_register_finalizer_no_order,
        GC_register_finalizer_unreachable,
        GC_debug_register_finalizer,
        GC_debug_register_finalizer_ignore_self,
        GC_debug_register_finalizer_no_order,
        GC_debug_register_finalizer_unreachable,
    };
    struct object *o = &objects.all[i];
    size_t what = choose(in, 8), arg = choose(in, 4) == 0 ? some_object(in) : NOBODY;
    bool taken_back = choose(in, 8) == 7;
    GC_finalization_proc old;
    void *old_arg, *wanted = o->argument == NOBODY ? NULL : address_of(o->argument);
    calls[what](address_of(i), taken_back ? NULL : finalize, arg == NOBODY ? NULL : address_of(arg),
                &old, &old_arg);
    need(old == (o->is_root ? finalize : NULL) && old_arg == (o->is_root ? wanted : NULL),
         "what was registered is told");
    o->is_root = !taken_back;
    o->argument = taken_back ? NOBODY : arg;
    orders[i] = what % 4;
    sort_out();
}

static void
run_finalizers(bool all)
{
    all_are_finalized = all;
    if (all)
        GC_finalize_all();
    else
        GC_invoke_finalizers();
    need(!GC_should_invoke_finalizers(), "all that are due were called");
    all_are_finalized = false;
}

/* ---- Freeing and resizing ---- */

static void
free_one(struct input *in, size_t i)
{
    void *p = address_of(i);
    if (!may_go(i))
        return;
    unregister_links_to(i);
    unlink_object(i);
    if (choose(in, 2))
        GC_free(p);
    else
        GC_debug_free(p);
    forget_object(i);
    check_freed(p);
    sort_out();
}

static void
resize_one(struct input *in, size_t i)
{
    struct object *o = &objects.all[i];
    void *p = address_of(i);
    size_t size = choose_bytes(in, 0, BYTES_MAX);
    if (!may_go(i) || size == 0 || o->size == 0)
        return;
    unregister_links_to(i);
    uint64_t number = o->number;
    char *moved =
        choose(in, 2) ? GC_realloc(p, size) : GC_debug_realloc(p, size, __FILE__, __LINE__);
    if (is_limited(moved))
        return;
    need(moved != NULL && GC_base(moved) == moved && GC_size(moved) >= size, "it has room");
    need(o->exists && o->number == number, "it was not finalized meanwhile");
    if (moved != p) {
        o->is_root = false;
        o->argument = NOBODY;
        objects.all[i].kind = !o->stays;
    } else {
        objects.all[i].kind = objects.all[i].kind && GC_size(moved) > size;
    }
    object_moved(i, moved, size, true);
    sort_out();
}

/* ---- Where objects are held ---- */

static void
push_others(void)
{
    GC_push_all(far->others, far->others + OBJECTS);
}

static void
change_range(size_t r)
{
    uintptr_t *start = far->range[r], *end = start + RANGE_WORDS;
    for (size_t i = 0; registered[r] && i < OBJECTS; i++)
        if (objects.all[i].root >= start && objects.all[i].root < end)
            hold_object(i, &objects.roots[i], 0);
    if (registered[r])
        GC_remove_roots(start, end);
    else
        GC_add_roots(start, end);
    registered[r] = !registered[r];
}

static void
hold_one(struct input *in, size_t i)
{
    size_t room = objects.all[i].size + (objects.all[i].kind ? 1 : 0);
    size_t what = choose(in, 5), offset = room == 0 ? 0 : choose_wide(in, 65536) % room;
    uintptr_t *word = &far->range[choose(in, RANGES)][choose(in, RANGE_WORDS)];
    size_t r = (size_t)(word - far->range[0]) / (RANGE_WORDS + 1);
    if (what == 0)
        hold_object(i, &objects.roots[i], offset);
    else if (what == 1)
        hold_object(i, &far->others[i], offset);
    else if (what < 4 && registered[r] && *word == 0)
        hold_object(i, word, offset);
    else if (what == 4)
        let_go(i);
    sort_out();
}

static void
store_one(struct input *in, size_t from)
{
    struct object *o = &objects.all[from];
    size_t to = choose(in, 4) == 0 ? NOBODY : some_object(in), f = choose(in, 256);
    size_t how = choose(in, 8);
    if (o->nfields == 0)
        return;
    f %= o->nfields;
    take_out(from, f, how & 1);
    if (how & 2) {
        point(from, f, to);
    } else {
        void *slot = (char *)address_of(from) + 8 * o->at[f];
        GC_ptr_store_and_dirty(slot, to == NOBODY ? NULL : address_of(to));
        note_point(from, f, to);
    }
    if ((how & 4) != 0 && to != NOBODY)
        let_go(to);
    sort_out();
}

/* ---- The stream ---- */

static int
stop_at_once(void)
{
    return 1;
}

static void
collect(struct input *in)
{
    size_t before = GC_get_gc_no();
    switch (choose(in, 6)) {
    case 0:
        GC_gcollect_and_unmap();
        break;
    case 1:
        need(GC_collect_a_little() == 0, "nothing is left to do");
        break;
    case 2:
        need(GC_try_to_collect(stop_at_once) == 0 && GC_get_gc_no() == before,
             "who is told to stop does");
        break;
    default:
        GC_gcollect();
        need(GC_get_gc_no() > before || GC_is_disabled(), "a collection is counted");
        break;
    }
}

static void
operate(struct input *in)
{
    size_t what = choose(in, 22), i = choose(in, OBJECTS), held = some_object(in);
    if (what < 5 || held == NOBODY)
        make_one(in, i);
    else if (what < 8)
        store_one(in, held);
    else if (what == 8)
        free_one(in, held);
    else if (what == 9)
        resize_one(in, held);
    else if (what < 12)
        set_finalizer(in, held);
    else if (what == 12)
        make_link(in, held);
    else if (what == 13)
        move_link(in);
    else if (what == 14)
        change_range(i % RANGES);
    else if (what == 15)
        call_wrongly(in, held);
    else if (what == 16)
        ask(in, held);
    else if (what == 17)
        set_something(in);
    else if (what == 18)
        run_finalizers(choose(in, 16) == 15);
    else if (what == 19)
        collect(in);
    else if (what == 20)
        copy_string(in);
    else
        hold_one(in, held);
}

static void
compare_all(void)
{
    compare_objects();
    for (size_t k = 0; k < LINKS; k++)
        check_link(&links[k]);
}

/* Nothing is left of an input for the next one. */
static void
end_input(void)
{
    run_finalizers(true);
    for (size_t k = 0; k < LINKS; k++)
        if (links[k].is_registered)
            unregister_link(&links[k]);
    for (size_t r = 0; r < RANGES; r++)
        if (registered[r])
            change_range(r);
    for (size_t i = 0; i < OBJECTS; i++) {
        if (objects.all[i].exists && objects.all[i].stays) {
            unlink_object(i);
            GC_free(address_of(i));
        }
        let_go(i);
    }
    GC_set_push_other_roots(NULL);
}

void
run_input(struct input *in)
{
    if (far == NULL) {
        GC_init();
        far = mmap(NULL, sizeof *far, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        make_kinds();
    }
    objects_begin(store_plainly);
    memset(links, 0, sizeof links);
    memset(came_back, 0, sizeof came_back);
    finalizing = in;
    set_all_back();
    GC_set_push_other_roots(push_others);
    for (size_t n = 0; !is_used_up(in); n++) {
        if (is_time_for_step())
            GC_gcollect();
        operate(in);
        if (n % 16 == 0)
            compare_all();
        else
            compare_object(n % OBJECTS);
    }
    set_all_back();
    GC_gcollect();
    compare_all();
    end_input();
}
