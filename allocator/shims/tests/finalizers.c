/* Finalizers in their orders, and links that disappear. A few objects may stay by chance. */
#include "watch.h"

enum { MANY = 500, NEARLY_ALL = 400, HARDLY_ANY = 60 };

struct node {
    struct node *next;
    long number;
};

static long ran[MANY], at[MANY], clock_now;
static int total;

static void
note(void *object, void *arg)
{
    struct node *n = object;
    long *row = arg;
    CHECK(n->number >= 0 && n->number < MANY);
    row[n->number]++;
    at[n->number] = ++clock_now;
    total++;
}

static void
start_again(void)
{
    collect_all(4);
    memset(ran, 0, sizeof ran);
    memset(at, 0, sizeof at);
    total = 0;
}

static struct node *
make(long number)
{
    struct node *n = GC_MALLOC(sizeof *n);
    n->number = number;
    return n;
}

/* ---- In order: what is pointed to later ---- */

static void
make_chains(void)
{
    for (long i = 0; i < MANY; i += 2) {
        struct node *first = make(i), *second = make(i + 1);
        first->next = second;
        GC_REGISTER_FINALIZER(second, note, ran, NULL, NULL);
        GC_REGISTER_FINALIZER(first, note, ran, NULL, NULL);
    }
}

static void
in_order(void)
{
    start_again();
    far_away(make_chains);
    collect_all(4);
    CHECK(total >= NEARLY_ALL);
    for (long i = 0; i < MANY; i += 2) {
        CHECK(ran[i] <= 1 && ran[i + 1] <= 1);
        if (ran[i] && ran[i + 1])
            CHECK(at[i] < at[i + 1]);
        CHECK(!ran[i + 1] || ran[i]);
    }
}

/* ---- Rings: in order never, without order at once ---- */

static void (*register_here)(void *, GC_finalization_proc, void *, GC_finalization_proc *, void **);

static void
make_rings(void)
{
    for (long i = 0; i < MANY; i += 2) {
        struct node *first = make(i), *second = make(i + 1);
        first->next = second;
        second->next = first;
        register_here(first, note, ran, NULL, NULL);
        register_here(second, note, ran, NULL, NULL);
    }
}

static void
make_own_rings(void)
{
    for (long i = 0; i < MANY; i++) {
        struct node *n = make(i);
        n->next = n;
        register_here(n, note, ran, NULL, NULL);
    }
}

static void
rings(void)
{
    GC_set_warn_proc(GC_ignore_warn_proc);
    start_again();
    register_here = GC_register_finalizer_no_order;
    far_away(make_rings);
    collect_all(2);
    CHECK(total >= NEARLY_ALL);
    start_again();
    register_here = GC_register_finalizer_ignore_self;
    far_away(make_own_rings);
    collect_all(2);
    CHECK(total >= NEARLY_ALL);
    start_again();
    register_here = GC_register_finalizer;
    far_away(make_own_rings);
    far_away(make_rings);
    collect_all(3);
    CHECK(total <= HARDLY_ANY);
}

/* ---- Unreachable: not while another that is due leads to it ---- */

static void
make_watched(void)
{
    for (long i = 0; i < MANY; i += 2) {
        struct node *first = make(i), *second = make(i + 1);
        first->next = second;
        GC_register_finalizer_unreachable(second, note, ran, NULL, NULL);
        GC_register_finalizer_no_order(first, note, ran, NULL, NULL);
    }
}

static void
unreachable(void)
{
    start_again();
    far_away(make_watched);
    wipe_stack();
    GC_gcollect();
    GC_invoke_finalizers();
    for (long i = 0; i < MANY; i += 2)
        CHECK(!ran[i] || !ran[i + 1]); /* the second is in the hands of the first's */
    collect_all(3);
    CHECK(total >= NEARLY_ALL);
}

/* ---- Taking back, replacing, bringing back ---- */

static struct node *rescued[MANY];

static void
rescue(void *object, void *arg)
{
    struct node *n = object;
    (void)arg;
    rescued[n->number] = n;
    CHECK(n->next != NULL && n->next->number == n->number + 1000); /* it is whole */
    total++;
}

static void
make_rescued(void)
{
    for (long i = 0; i < MANY; i++) {
        struct node *n = make(i);
        n->next = make(i + 1000);
        GC_REGISTER_FINALIZER(n, rescue, NULL, NULL, NULL);
    }
}

static void
make_taken_back(void)
{
    GC_finalization_proc old = NULL;
    void *old_arg = NULL;
    for (long i = 0; i < MANY; i++) {
        struct node *n = make(i);
        GC_REGISTER_FINALIZER(n, rescue, &total, &old, &old_arg);
        CHECK(old == NULL && old_arg == NULL);
        GC_REGISTER_FINALIZER(n, note, ran, &old, &old_arg);
        CHECK(old == rescue && old_arg == &total);
        GC_REGISTER_FINALIZER(n, NULL, NULL, &old, &old_arg);
        CHECK(old == note && old_arg == ran);
    }
}

static void
registration(void)
{
    start_again();
    far_away(make_taken_back);
    collect_all(2);
    CHECK(total <= HARDLY_ANY);
    far_away(make_rescued);
    collect_all(2);
    CHECK(total >= NEARLY_ALL);
    for (int i = 0; i < 5000; i++)
        memset(GC_MALLOC(sizeof(struct node)), 0, sizeof(struct node));
    GC_gcollect();
    for (long i = 0; i < MANY; i++)
        CHECK(rescued[i] == NULL || rescued[i]->next->number == i + 1000);
    memset(rescued, 0, sizeof rescued);
}

/* ---- On demand ---- */

static int notified;

static void
notice(void)
{
    notified++;
}

static void
on_demand(void)
{
    start_again();
    GC_set_finalize_on_demand(1);
    GC_set_finalizer_notifier(notice);
    far_away(make_chains);
    wipe_stack();
    GC_gcollect();
    for (int i = 0; i < 1000; i++)
        GC_MALLOC(100);
    CHECK(total <= HARDLY_ANY && notified >= 1 && GC_should_invoke_finalizers());
    int before = total;
    int invoked = GC_invoke_finalizers();
    CHECK(invoked > 0 && invoked == total - before && !GC_should_invoke_finalizers());
    GC_set_finalize_on_demand(0);
    GC_set_finalizer_notifier(NULL);
    start_again();
    far_away(make_chains);
    wipe_stack();
    GC_gcollect();
    for (int i = 0; i < 1000; i++)
        GC_MALLOC(100);
    CHECK(total > 0); /* by themselves */
}

/* ---- Links ---- */

static GC_hidden_pointer links[MANY], long_links[MANY], kept_links[MANY];
static struct node *kept[MANY];
static long link_was_clear, long_link_was_clear;

static void
look_at_links(void *object, void *arg)
{
    struct node *n = object;
    (void)arg;
    link_was_clear += links[n->number] == 0;
    long_link_was_clear += long_links[n->number] == 0;
    total++;
}

static void
make_links(void)
{
    for (long i = 0; i < MANY; i++) {
        struct node *n = make(i);
        kept[i] = make(i);
        links[i] = GC_HIDE_POINTER(n);
        long_links[i] = GC_HIDE_POINTER(n);
        kept_links[i] = GC_HIDE_POINTER(kept[i]);
        CHECK(GC_GENERAL_REGISTER_DISAPPEARING_LINK((void **)&links[i], n) == GC_SUCCESS);
        CHECK(GC_REGISTER_LONG_LINK((void **)&long_links[i], n) == GC_SUCCESS);
        CHECK(GC_general_register_disappearing_link((void **)&kept_links[i], kept[i]) ==
              GC_SUCCESS);
        CHECK(GC_general_register_disappearing_link((void **)&kept_links[i], kept[i]) ==
              GC_DUPLICATE);
        GC_REGISTER_FINALIZER(n, look_at_links, NULL, NULL, NULL);
    }
}

static void
disappearing(void)
{
    start_again();
    far_away(make_links);
    wipe_stack();
    GC_gcollect();
    GC_invoke_finalizers();
    CHECK(total >= NEARLY_ALL && link_was_clear == total && long_link_was_clear == 0);
    collect_all(2);
    CHECK(count_clear(links, MANY) >= NEARLY_ALL && count_clear(long_links, MANY) >= NEARLY_ALL);
    CHECK(count_clear(kept_links, MANY) == 0);
    static GC_hidden_pointer other;
    other = kept_links[0];
    CHECK(GC_move_disappearing_link((void **)&kept_links[0], (void **)&other) == GC_SUCCESS);
    CHECK(GC_move_disappearing_link((void **)&kept_links[0], (void **)&other) == GC_NOT_FOUND);
    CHECK(GC_move_disappearing_link((void **)&kept_links[1], (void **)&other) == GC_DUPLICATE);
    CHECK(GC_unregister_disappearing_link((void **)&other) == 1);
    CHECK(GC_unregister_disappearing_link((void **)&other) == 0);
    memset(kept, 0, sizeof kept);
    collect_all(2);
    CHECK(count_clear(kept_links, MANY) >= NEARLY_ALL);
    CHECK(other != 0 && kept_links[0] != 0); /* nobody looks after these any more */
}

/* In a pointer-free object, and gone with it. */
static void **cell;

static void
link_in_object(void)
{
    cell = GC_MALLOC_ATOMIC(sizeof *cell);
    *cell = (void *)GC_HIDE_POINTER(make(1));
    CHECK(GC_general_register_disappearing_link(cell, GC_REVEAL_POINTER(*cell)) == GC_SUCCESS);
}

int
main(void)
{
    GC_INIT();
    in_order();
    rings();
    unreachable();
    registration();
    on_demand();
    disappearing();
    for (int i = 0; i < 50; i++) {
        far_away(link_in_object);
        cell = NULL;
        if (i % 10 == 0)
            collect_all(1);
    }
    return 0;
}
