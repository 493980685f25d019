/*
 * Random lifetimes on gc.h, for `make soak` with the drop-in for Boehm's collector: trees that
 * threads replace, large objects without pointers, finalizers, links that disappear, uncollectable
 * objects. Options: see soak.h.
 */
#define GC_THREADS
#include <gc/gc.h>

#include "soak.h"

enum {
    TREES = 3000,       /* of DEPTH: 127 nodes of 32 bytes, some 12 MB */
    DEPTH = 6,          /* a tree has 2 * 2^DEPTH - 1 nodes */
    LARGE = 32,         /* objects, each in steps of STEP_B larger than the one before: 9 MB */
    STEP_B = 16384,     /* bytes */
    LINKS = 500,        /* that disappear when their tree dies */
    STEPS = 5000,       /* trees of a thread */
    LARGE_EVERY = 50,   /* trees of a thread between two large objects */
    FINALIZED = 100,    /* trees of a thread between two with a finalizer */
    LINKED = 20,        /* ... between two with a link */
    UNCOLLECTABLE = 10, /* ... between two objects that are freed by hand */
};

struct node {
    struct node *left, *right;
    uint64_t seed, depth;
};

/* Static memory is a root. */
static struct node *trees[TREES];
static unsigned char *large[LARGE];
static struct node *kept; /* what leaks: a list by the left pointers, a tree at each right one */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static GC_hidden_pointer links[LINKS]; /* under the lock */
static _Atomic uint64_t finalized, registered;

static struct node *
build(uint64_t seed, uint64_t depth)
{
    struct node *n = GC_MALLOC(sizeof *n);
    need(n != NULL, "there is memory");
    n->seed = seed;
    n->depth = depth;
    if (depth > 0) {
        n->left = build(2 * seed, depth - 1);
        n->right = build(2 * seed + 1, depth - 1);
    }
    return n;
}

static void
check(const struct node *n, uint64_t seed, uint64_t depth)
{
    need(n->seed == seed && n->depth == depth, "a node is what it was");
    if (depth > 0) {
        check(n->left, 2 * seed, depth - 1);
        check(n->right, 2 * seed + 1, depth - 1);
    }
}

static void
note_end(void *object, void *unused)
{
    const struct node *n = object;
    (void)unused;
    check(n, n->seed, n->depth);
    atomic_fetch_add(&finalized, 1);
}

/* A link in a free place, if a place that is chosen by chance is free. */
static void
link_to(struct soak_rng *r, struct node *n)
{
    pthread_mutex_lock(&lock);
    GC_hidden_pointer *link = &links[soak_below(r, LINKS)];
    if (*link == 0) {
        *link = GC_HIDE_POINTER(n);
        need(GC_general_register_disappearing_link((void **)link, n) == GC_SUCCESS,
             "a link is registered");
    }
    pthread_mutex_unlock(&lock);
}

static void
leak(struct node *tree)
{
    struct node *n = build(0, 0);
    n->right = tree;
    pthread_mutex_lock(&lock);
    n->left = kept;
    kept = n;
    pthread_mutex_unlock(&lock);
}

static void
renew_tree(struct soak_rng *r)
{
    struct node *n = build(soak_next(r), DEPTH);
    struct node *old = __atomic_exchange_n(&trees[soak_below(r, TREES)], n, __ATOMIC_ACQ_REL);
    if (soak_below(r, FINALIZED) == 0) {
        GC_REGISTER_FINALIZER_NO_ORDER(n, note_end, NULL, NULL, NULL);
        atomic_fetch_add(&registered, 1);
    }
    if (soak_below(r, LINKED) == 0)
        link_to(r, n);
    if (old != NULL)
        check(old, old->seed, old->depth);
    if (soak_leaks(r))
        leak(build(soak_next(r), DEPTH));
}

static void
renew_large(struct soak_rng *r)
{
    size_t place = soak_below(r, LARGE), size = (place + 1) * STEP_B + soak_below(r, STEP_B);
    unsigned char *p = GC_MALLOC_ATOMIC(size);
    need(p != NULL, "there is memory for a large object");
    memset(p, (int)place, size);
    p = __atomic_exchange_n(&large[place], p, __ATOMIC_ACQ_REL);
    need(p == NULL || (p[0] == place && p[place * STEP_B] == place), "it keeps its contents");
}

/* It is the only one that knows a tree. */
static void
use_uncollectable(struct soak_rng *r)
{
    struct node **held = GC_MALLOC_UNCOLLECTABLE(sizeof *held);
    *held = build(3, 3);
    for (size_t i = soak_below(r, 100); i > 0; i--)
        need(GC_MALLOC_ATOMIC(soak_below(r, 300)) != NULL, "there is memory");
    held = GC_REALLOC(held, 400);
    check(*held, 3, 3);
    GC_FREE(held);
}

static void *
work(void *number)
{
    struct soak_rng r = {(uintptr_t)number};
    for (size_t step = 0; step < STEPS; step++) {
        renew_tree(&r);
        if (step % LARGE_EVERY == 0)
            renew_large(&r);
        if (step % UNCOLLECTABLE == 0)
            use_uncollectable(&r);
    }
    return NULL;
}

int
main(int argc, char **argv)
{
    struct soak_rng r = {1};
    soak_read_options(argc, argv);
    GC_INIT();
    for (size_t i = 0; i < TREES; i++)
        trees[i] = build(soak_next(&r), DEPTH);
    soak_run(work);
    need(soak_options.seconds < 2 || soak_options.turns > 0 || atomic_load(&finalized) > 0,
         "finalizers have run");
    printf("collections %lu finalized %llu of %llu\n", (unsigned long)GC_get_gc_no(),
           (unsigned long long)finalized, (unsigned long long)registered);
    return 0;
}
