/*
 * binary-trees: the benchmarks game's, on one thread. A tree that lives all the time, and many
 * short-lived ones of growing depth, built from the leaves up, counted, and dropped.
 *
 * Exercises small pointer objects that die young while some live long.
 */
#include "gc_api.h"

enum {
    MIN_DEPTH = 4,
    MAX_DEPTH = 40,
};

struct tree {
    struct tree *left, *right;
};

GC_TYPE(TREE, struct tree, GC_POINTER(struct tree, left) | GC_POINTER(struct tree, right));

static struct tree *
make(long depth)
{
    struct tree *left = NULL, *right = NULL;

    if (depth > 0) {
        left = make(depth - 1);
        right = make(depth - 1);
    }
    struct tree *t = gc_new(&TREE);
    t->left = left; /* plain stores: nobody has seen it yet */
    t->right = right;
    return t;
}

static uint64_t
count(const struct tree *t)
{
    return t->left == NULL ? 1 : 1 + count(t->left) + count(t->right);
}

static void
drop(struct tree *t)
{
    if (!GC_COLLECTS) {
        if (t->left != NULL) {
            drop(t->left);
            drop(t->right);
        }
        gc_free(t);
    }
}

int
main(int argc, char **argv)
{
    double depth_option = 18;
    const struct work_option options[] = {{"--depth", &depth_option, "of the deepest tree"}};
    uint64_t sum = 0;

    work_begin("binary-trees", options, 1, argc, argv);
    long depth = (long)depth_option;
    if (depth < MIN_DEPTH + 2 || depth > MAX_DEPTH)
        work_fail("--depth is %d to %d", MIN_DEPTH + 2, MAX_DEPTH);
    gc_init();
    work_start();
    struct tree *stretch = make(depth + 1);
    sum += count(stretch);
    drop(stretch);
    stretch = NULL;
    struct tree *long_lived = make(depth);
    for (long d = MIN_DEPTH; d <= depth; d += 2) {
        long iterations = 1L << (depth - d + MIN_DEPTH);

        for (long i = 0; i < iterations; i++) {
            struct tree *t = make(d);
            sum += count(t);
            drop(t);
        }
    }
    sum += count(long_lived);
    gc_keep(long_lived);
    drop(long_lived);
    work_stop();
    work_end(sum);
    return 0;
}
