/*
 * Storms: several threads build, change, share and free graphs of a known shape, and check them
 * object by object, while small goals make collections frequent. The heap checks itself in each
 * (SH_VERIFY) and overwrites what dies (SH_CLOBBER), so that a lost object shows.
 */
#include "tree.h"

#include "collector/verify.h"

#define SEED UINT64_C(600613)

enum { THREADS = 4, TREES = 24, EXCHANGES = 16, CHAIN = 40 };

static void
free_tree(struct node *n)
{
    if (n == NULL)
        return;
    struct node *left = n->left, *right = n->right;
    void *bytes = n->bytes;
    sh_memset(n, 0, sizeof *n); /* a typed slot must not point to what is freed */
    free_tree(left);
    free_tree(right);
    sh_free(bytes); /* under 16 bytes it stays: its block is shared */
    sh_free(n);
}

/* Takes a subtree off and builds it anew: changes an old object, the new part hangs on it. */
static void
renew_subtree(struct node *n, struct rng *rng)
{
    while (n->depth > 1 && rng_below(rng, 4) != 0)
        n = rng_below(rng, 2) == 0 ? n->left : n->right;
    if (n->depth == 0)
        return;
    unsigned side = (unsigned)rng_below(rng, 2);
    struct node **slot = side == 0 ? &n->left : &n->right, *old = *slot;
    sh_store(slot, tree_build(tree_child_seed(n->seed, side), n->depth - 1));
    if (rng_below(rng, 2) == 0)
        free_tree(old);
}

static struct node *exchange_table[EXCHANGES]; /* a root shared by all threads */

struct worker {
    pthread_t thread;
    uint64_t seed;
    unsigned rounds;
};

static void
work_on_tree(struct node **slot, struct rng *rng)
{
    struct node *tree = *slot;
    switch (rng_below(rng, 6)) {
    case 0:
        sh_store(slot, NULL);
        free_tree(tree);
        break;
    case 1:
        sh_store(slot, NULL); /* left to the collector */
        break;
    case 2: /* to another thread: the tree is reachable through the table only */
        sh_store(slot, sh_exchange(&exchange_table[rng_below(rng, EXCHANGES)], tree));
        break;
    default:
        if (tree != NULL)
            renew_subtree(tree, rng);
    }
    if (*slot == NULL)
        sh_store(slot, tree_build(rng_next(rng), (uint32_t)rng_below(rng, 6)));
    tree_check(*slot, (*slot)->seed, (*slot)->depth);
}

static void *
storm(void *arg)
{
    struct worker *w = arg;
    struct rng rng = {w->seed};
    struct node **trees = sh_alloc(TREES * sizeof *trees);
    for (unsigned i = 0; i < w->rounds; i++) {
        work_on_tree(&trees[rng_below(&rng, TREES)], &rng);
        if (rng_below(&rng, 400) == 0)
            sh_collect();
    }
    for (size_t i = 0; i < TREES; i++)
        if (trees[i] != NULL)
            tree_check(trees[i], trees[i]->seed, trees[i]->depth);
    return NULL;
}

static void
run_trees(void)
{
    struct worker workers[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.seed = SEED + i, .rounds = UNDER_ASAN ? 1500 : 4000};
        need(sh_thread_create(&workers[i].thread, NULL, storm, &workers[i]) == 0, "a thread");
    }
    for (unsigned i = 0; i < THREADS; i++)
        sh_thread_join(workers[i].thread, NULL);
    for (size_t i = 0; i < EXCHANGES; i++)
        if (exchange_table[i] != NULL)
            tree_check(exchange_table[i], exchange_table[i]->seed, exchange_table[i]->depth);
    verify_now();
}

/* ---- Chains that grow at one end and shrink at the other, held by stacks and registers only ----
 */

struct link {
    struct link *next;
    uint64_t number;
};
static const struct sh_type link_type = SH_TYPE(struct link, SH_POINTER_AT(struct link, next));

static void *
pull_chain(void *arg)
{
    struct worker *w = arg;
    uint64_t number = 0;
    struct link *first = sh_alloc_typed(&link_type), *last = first;
    for (unsigned i = 0; i < w->rounds; i++) {
        struct link *l = sh_alloc_typed(&link_type);
        l->number = last->number + 1;
        sh_store(&last->next, l);
        last = l;
        if (i < CHAIN)
            continue;
        struct link *gone = first;
        need(gone->number == number++, "the chain is in order");
        first = first->next;
        sh_store(&gone->next, NULL); /* a typed slot must not point to what is freed */
        if (i % 3 == 0)
            sh_free(gone);
    }
    return NULL;
}

static void
run_chains(void)
{
    struct worker workers[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.rounds = UNDER_ASAN ? 200000 : 600000};
        need(sh_thread_create(&workers[i].thread, NULL, pull_chain, &workers[i]) == 0, "a thread");
    }
    for (unsigned i = 0; i < THREADS; i++)
        sh_thread_join(workers[i].thread, NULL);
    verify_now();
}

/* Exact at the end: all that is not held is gone, and the counters agree. */
static void
run_to_empty(void)
{
    struct sh_stats before, after;
    sh_collect();
    sh_stats_read(&before);
    run_trees();
    memset(exchange_table, 0, sizeof exchange_table);
    collect();
    sh_stats_read(&after);
    need(after.num_gc > before.num_gc + 10, "there were many collections");
    need(after.heap_objects < before.heap_objects + 2000, "what is not held is gone");
    need(after.mallocs - after.frees == after.heap_objects, "the counters agree");
}

static const struct program_part parts[] = {
    {"trees", run_trees}, {"chains", run_chains}, {"to empty", run_to_empty}};

static void
expect_success(const char *part, const char *gogc)
{
    static struct outcome out;
    run_anew(&out, part, (const char *const[]){"SH_VERIFY=1", "SH_CLOBBER=1", gogc, NULL});
    if (out.code != 0)
        print_error("seed %llu: ", (unsigned long long)SEED);
    assert_success(&out);
}

static void
test_trees_keep_their_shape_with_verification(void **state)
{
    (void)state;
    expect_success("trees", "SH_GOGC=10");
    expect_success("trees", "SH_GOGC=50");
}

static void
test_chains_held_by_registers_keep_their_order(void **state)
{
    (void)state;
    expect_success("chains", "SH_GOGC=10");
}

static void
test_nothing_is_left_after_a_storm(void **state)
{
    (void)state;
    expect_success("to empty", "SH_GOGC=25");
}

int
main(int argc, char **argv)
{
    if (argc > 1)
        return run_part(parts, COUNT_OF(parts), argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trees_keep_their_shape_with_verification),
        cmocka_unit_test(test_chains_held_by_registers_keep_their_order),
        cmocka_unit_test(test_nothing_is_left_after_a_storm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
