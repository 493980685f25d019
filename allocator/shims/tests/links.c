/* Links that disappear: in the object itself, long ones that are moved or taken back; and all
   finalizers at once. */
#include "watch.h"

#include <gc/javaxfc.h>

enum { MANY = 500, NEARLY_ALL = 400 };

/* ---- A link inside of the object that it watches: it is clear when the finalizer looks ---- */

struct cell {
    void *link, *other;
};
static int finalized, was_clear, other_was_there, awaited;

static void
look_at_cell(void *object, void *arg)
{
    struct cell *c = object;
    finalized++;
    was_clear += c->link == NULL;
    other_was_there += c->other == arg;
}

static void
await(void *object)
{
    awaited += GC_base(object) == object;
}

static void
make_cells(void)
{
    for (int i = 0; i < MANY; i++) {
        struct cell *c = GC_MALLOC(sizeof *c);
        c->link = c->other = &finalized;
        CHECK(GC_register_disappearing_link(&c->link) == GC_SUCCESS);
        CHECK(GC_register_disappearing_link(&c->link) == GC_DUPLICATE);
        GC_REGISTER_FINALIZER_NO_ORDER(c, look_at_cell, &finalized, NULL, NULL);
    }
}

static void
inside(void)
{
    GC_await_finalize_proc before = GC_get_await_finalize_proc();
    GC_set_await_finalize_proc(await);
    CHECK(GC_get_await_finalize_proc() == await);
    far_away(make_cells);
    wipe_stack();
    GC_set_finalize_on_demand(1);
    GC_gcollect();
    CHECK(finalized == 0 && awaited >= NEARLY_ALL); /* told before a finalizer runs */
    GC_set_finalize_on_demand(0);
    collect_all(2);
    CHECK(finalized >= NEARLY_ALL && awaited >= finalized);
    CHECK(was_clear == finalized && other_was_there == finalized);
    GC_set_await_finalize_proc(before);
}

/* ---- Long links, moved and taken back ---- */

static GC_hidden_pointer first[MANY], moved[MANY], taken_back[MANY];

static void
make_long(void)
{
    for (int i = 0; i < MANY; i++) {
        void *p = GC_MALLOC(40);
        void **a = (void **)&first[i], **b = (void **)&moved[i], **c = (void **)&taken_back[i];
        first[i] = moved[i] = taken_back[i] = GC_HIDE_POINTER(p);
        CHECK(GC_REGISTER_LONG_LINK(a, p) == GC_SUCCESS);
        CHECK(GC_REGISTER_LONG_LINK(a, p) == GC_DUPLICATE);
        CHECK(GC_register_long_link(c, p) == GC_SUCCESS);
        CHECK(GC_move_long_link(a, c) == GC_DUPLICATE);
        CHECK(GC_move_long_link(a, a) == GC_SUCCESS);
        CHECK(GC_move_long_link(a, b) == GC_SUCCESS);
        CHECK(GC_move_long_link(a, b) == GC_NOT_FOUND);
        CHECK(GC_unregister_long_link(a) == 0);
        CHECK(GC_unregister_long_link(c) == 1 && GC_unregister_long_link(c) == 0);
    }
}

static void
long_links(void)
{
    far_away(make_long);
    collect_all(2);
    CHECK(count_clear(moved, MANY) >= NEARLY_ALL);
    CHECK(count_clear(first, MANY) == 0 && count_clear(taken_back, MANY) == 0);
    for (int i = 0; i < MANY; i++)
        GC_unregister_long_link((void **)&moved[i]);
}

/* ---- All at once, of what lives too, and those that are registered meanwhile ---- */

static void *live[MANY];
static int ran, ran_again;

static void
run_again(void *object, void *arg)
{
    (void)object;
    ran_again += arg == &ran_again;
}

static void
run(void *object, void *arg)
{
    ran += arg == &ran && GC_base(object) == object;
    GC_REGISTER_FINALIZER(object, run_again, &ran_again, NULL, NULL);
}

static void
all_at_once(void)
{
    for (int i = 0; i < MANY; i++) {
        live[i] = GC_MALLOC(32);
        GC_REGISTER_FINALIZER(live[i], run, &ran, NULL, NULL);
    }
    GC_gcollect();
    GC_finalize_all();
    CHECK(ran == MANY && ran_again == MANY && !GC_should_invoke_finalizers());
    GC_finalize_all();
    CHECK(ran == MANY && ran_again == MANY);
    memset(live, 0, sizeof live);
    collect_all(2);
    CHECK(ran == MANY && ran_again == MANY);
}

int
main(void)
{
    GC_INIT();
    inside();
    long_links();
    all_at_once();
    return 0;
}
