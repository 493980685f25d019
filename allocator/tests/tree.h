/*
 * Trees that are a function of their seed: each node can be checked by itself, so an object that
 * was lost, and reused or clobbered, shows wherever it is met.
 */
#ifndef SPANHEAP_TESTS_TREE_H
#define SPANHEAP_TESTS_TREE_H

#include "check.h"

struct node {
    struct node *left, *right;
    unsigned char
        *bytes; /* pointer-free, filled with a byte of the seed; under 16 bytes a tiny one */
    uint64_t seed;
    uint32_t depth, nbytes;
};
static const struct sh_type node_type =
    SH_TYPE(struct node, SH_POINTER_AT(struct node, left) | SH_POINTER_AT(struct node, right) |
                             SH_POINTER_AT(struct node, bytes));

static inline uint64_t
tree_child_seed(uint64_t seed, unsigned side)
{
    return (seed + side + 1) * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
}

static inline uint32_t
tree_bytes_of(uint64_t seed)
{
    return (uint32_t)(seed >> 33) % (seed % 64 == 0 ? 50000 : 120);
}

static NOINLINE struct node *
tree_build(uint64_t seed, uint32_t depth)
{
    struct node *n = sh_alloc_typed(&node_type);
    n->seed = seed;
    n->depth = depth;
    n->nbytes = tree_bytes_of(seed);
    if (n->nbytes > 0) {
        sh_store(&n->bytes, sh_alloc_noscan(n->nbytes));
        memset(n->bytes, (int)(seed >> 8), n->nbytes);
    }
    if (depth > 0) {
        sh_store(&n->left, tree_build(tree_child_seed(seed, 0), depth - 1));
        sh_store(&n->right, tree_build(tree_child_seed(seed, 1), depth - 1));
    }
    return n;
}

static NOINLINE void
tree_check(const struct node *n, uint64_t seed, uint32_t depth)
{
    need(n != NULL && n->seed == seed && n->depth == depth, "a node is what it was");
    need(n->nbytes == tree_bytes_of(seed), "a node has its length");
    for (uint32_t i = 0; i < n->nbytes; i++)
        need(n->bytes[i] == (unsigned char)(seed >> 8), "a node's bytes are what they were");
    if (depth == 0) {
        need(n->left == NULL && n->right == NULL, "a leaf has no children");
        return;
    }
    tree_check(n->left, tree_child_seed(seed, 0), depth - 1);
    tree_check(n->right, tree_child_seed(seed, 1), depth - 1);
}

#endif
