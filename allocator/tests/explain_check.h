/* What the tests of sh_explain() share: an object that is known by its hidden address, and room for
 * answers. */
#ifndef SPANHEAP_TESTS_EXPLAIN_CHECK_H
#define SPANHEAP_TESTS_EXPLAIN_CHECK_H

#include "folder.h"

#include <spanheap/explain.h>

enum { STEPS = 2000 };

struct node {
    struct node *next, *other;
    long payload[6];
};
static const struct sh_type node_type =
    SH_TYPE(struct node, SH_POINTER_AT(struct node, next) | SH_POINTER_AT(struct node, other));

/* The answers are addresses, and would be roots in a static array: they lie in malloc's memory. */
static uintptr_t hidden;
static struct sh_explain_step *steps;
static struct sh_explain_root *answer;
#define root (*answer)
static size_t nsteps;

static int
make_room(void **state)
{
    steps = calloc(STEPS, sizeof *steps);
    answer = calloc(1, sizeof *answer);
    return steps == NULL || answer == NULL ? -1 : make_folder(state);
}

static struct {
    long before[3];
    void *slot;
} registry;

static NOINLINE enum sh_explained
explain_at(uintptr_t offset)
{
    return sh_explain((const char *)~hidden + offset, &root, steps, STEPS, &nsteps);
}

static NOINLINE void
make_node(void *slot)
{
    struct node *n = sh_alloc_typed(&node_type);
    hidden = hide(n);
    *(void *volatile *)slot = n;
}

static void
assert_last_step_is_the_object(void)
{
    assert_true(nsteps > 0);
    assert_true(nsteps > STEPS || hide(steps[nsteps - 1].object) == hidden);
}

#endif
