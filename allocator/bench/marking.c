/*
 * marking: what it costs to find that everything lives. A heap is built with collections off;
 * then whole collections are forced, and the process's CPU time (of all threads, marking and
 * sweeping) is divided by the objects.
 *
 *     linked   64-byte nodes in lists of about 100; a thousand lists grow at a time, at random, so
 *              that a link leads some 64 KB away
 *     wide     trees of 128-byte nodes with 15 children, four deep, built depth first
 */
#include "gc_api.h"

enum {
    LIST_LENGTH = 100,
    LISTS_AT_A_TIME = 1000,
    CHILDREN = 15,
    TREE_DEPTH = 3, /* edges from root to leaf */
    COLLECTIONS_MAX = 99,
};

struct node {
    struct node *next, *other;
    uint64_t key, rest[5];
};

struct wide {
    struct wide *child[CHILDREN];
    uint64_t key;
};

GC_TYPE(NODE, struct node, GC_POINTER(struct node, next) | GC_POINTER(struct node, other));
GC_TYPE(WIDE, struct wide, (UINT64_C(1) << CHILDREN) - 1);

static void **table; /* static: a root for every collector */

/* Builds lists in the table's n slots; other leads to the start of the list as it was. */
static uint64_t
build_linked(size_t objects)
{
    struct rng random = {WORK_SEED};
    size_t block = LIST_LENGTH * LISTS_AT_A_TIME;
    size_t n = (objects / block + 1) * LISTS_AT_A_TIME;

    table = gc_new_pointers(n);
    for (size_t i = 0; i < objects; i++) {
        size_t slot = i / block * LISTS_AT_A_TIME + rng_below(&random, LISTS_AT_A_TIME);
        struct node *head = table[slot], *c = gc_new(&NODE);
        c->next = head; /* plain stores: nobody has seen it yet */
        c->other = head == NULL ? NULL : head->next;
        c->key = i;
        gc_store(&table[slot], c);
    }
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        for (struct node *c = table[i]; c != NULL; c = c->next)
            sum += c->key + (c->other != NULL);
    }
    return sum;
}

static struct wide *
make_wide(int depth, uint64_t *key)
{
    struct wide *w = gc_new(&WIDE);

    w->key = (*key)++;
    for (int i = 0; i < CHILDREN; i++) {
        if (depth > 0)
            gc_store(&w->child[i], make_wide(depth - 1, key));
        else
            w->child[i] = NULL;
    }
    return w;
}

/* Builds whole trees until there are so many objects; returns how many there are. */
static uint64_t
build_wide(size_t objects, uint64_t *made)
{
    size_t tree = 1 + CHILDREN + CHILDREN * CHILDREN + CHILDREN * CHILDREN * CHILDREN;
    size_t n = objects / tree + 1;
    uint64_t sum = 0;

    *made = 0;
    table = gc_new_pointers(n);
    for (size_t i = 0; i < n; i++) {
        struct wide *w = make_wide(TREE_DEPTH, made);
        gc_store(&table[i], w);
        sum += w->child[CHILDREN - 1]->child[0]->key;
    }
    return sum;
}

int
main(int argc, char **argv)
{
    double live_mb = 1000, wide = 0, collections = 3;
    const struct work_option options[] = {
        {"--live-mb", &live_mb, "of live objects, in 10^6 bytes"},
        {"--wide", &wide, "1: wide trees; 0: linked lists"},
        {"--collections", &collections, "forced, after one that is not counted"},
    };
    uint64_t checksum, made;

    work_begin("marking", options, 3, argc, argv);
    if (collections < 1 || collections > COLLECTIONS_MAX)
        work_fail("--collections is 1 to %d", COLLECTIONS_MAX);
    if (!GC_COLLECTS)
        work_fail("malloc and free do not mark");
    gc_init();
    gc_growth_off();
    if (wide != 0) {
        checksum = build_wide((size_t)(live_mb * 1e6 / sizeof(struct wide)), &made);
    } else {
        made = (uint64_t)(live_mb * 1e6 / sizeof(struct node));
        checksum = build_linked(made);
    }
    gc_collect();
    work_start();
    uint64_t before_ns = work_cpu_ns();
    for (int i = 0; i < (int)collections; i++)
        gc_collect();
    uint64_t cpu_ns = work_cpu_ns() - before_ns;
    work_stop();
    work_metric("objects", (double)made);
    work_metric("mark_cpu_ns", (double)cpu_ns / collections / (double)made);
    work_metric("mark_wall_ns", work_seconds() * 1e9 / collections / (double)made);
    work_end(checksum + made);
    return 0;
}
