/*
 * gcbench: after John Ellis, Pete Kovac and Hans Boehm's GCBench. A long-lived tree and a
 * long-lived array of doubles; then trees of growing depth, half of them made from the root down
 * (pointers are stored into objects that are there already), half from the leaves up.
 *
 * Exercises what binary-trees does, plus stores into older objects and a large object without
 * pointers. All sizes follow from --depth: the stretch tree is two deeper, and for each depth as
 * many trees are made as two stretch trees have nodes.
 */
#include "gc_api.h"

enum {
    MIN_DEPTH = 4,
    MAX_DEPTH = 40,
    ARRAY_SIZE = 500000,
};

struct node {
    struct node *left, *right;
    int64_t i, j;
};

GC_TYPE(NODE, struct node, GC_POINTER(struct node, left) | GC_POINTER(struct node, right));

static struct node *
new_node(struct node *left, struct node *right)
{
    struct node *n = gc_new(&NODE);

    n->left = left; /* plain stores: nobody has seen it yet */
    n->right = right;
    n->i = n->j = 0;
    return n;
}

static uint64_t
tree_size(long depth)
{
    return (UINT64_C(2) << depth) - 1;
}

/* From the root down. */
static void
populate(long depth, struct node *n)
{
    if (depth <= 0)
        return;
    gc_store(&n->left, new_node(NULL, NULL));
    gc_store(&n->right, new_node(NULL, NULL));
    populate(depth - 1, n->left);
    populate(depth - 1, n->right);
}

/* From the leaves up. */
static struct node *
make(long depth)
{
    if (depth <= 0)
        return new_node(NULL, NULL);
    struct node *left = make(depth - 1);
    struct node *right = make(depth - 1);
    return new_node(left, right);
}

static uint64_t
count(const struct node *n)
{
    return n == NULL ? 0 : 1 + count(n->left) + count(n->right);
}

static void
drop(struct node *n)
{
    if (!GC_COLLECTS && n != NULL) {
        drop(n->left);
        drop(n->right);
        gc_free(n);
    }
}

static uint64_t
build_and_drop(long depth, long stretch_depth)
{
    uint64_t iterations = 2 * tree_size(stretch_depth) / tree_size(depth);
    uint64_t sum = 0;

    for (uint64_t i = 0; i < iterations; i++) {
        struct node *n = new_node(NULL, NULL);
        populate(depth, n);
        sum += (uint64_t)(n->left != NULL);
        drop(n);
    }
    for (uint64_t i = 0; i < iterations; i++) {
        struct node *n = make(depth);
        sum += (uint64_t)(n->left != NULL);
        drop(n);
    }
    return sum;
}

int
main(int argc, char **argv)
{
    double depth_option = 18;
    const struct work_option options[] = {
        {"--depth", &depth_option, "of the long-lived and of the deepest tree"}};

    work_begin("gcbench", options, 1, argc, argv);
    long depth = (long)depth_option;
    if (depth < MIN_DEPTH || depth > MAX_DEPTH)
        work_fail("--depth is %d to %d", MIN_DEPTH, MAX_DEPTH);
    gc_init();
    work_start();
    drop(make(depth + 2));
    struct node *long_lived = new_node(NULL, NULL);
    populate(depth, long_lived);
    double *array = gc_new_data(ARRAY_SIZE * sizeof *array);
    for (long i = 0; i < ARRAY_SIZE; i++)
        array[i] = 1.0 / (double)(i + 1);
    uint64_t sum = 0;
    for (long d = MIN_DEPTH; d <= depth; d += 2)
        sum += build_and_drop(d, depth + 2);
    sum += count(long_lived) + (uint64_t)(array[999] * 1e6);
    gc_keep(array);
    drop(long_lived);
    gc_free(array);
    work_stop();
    work_end(sum);
    return 0;
}
