/* The same list, let go when the round is done. */
#include "pitfall.h"

struct node {
    struct node *next;
    char payload[56];
};

static const struct sh_type node_type = SH_TYPE(struct node, SH_POINTER_AT(struct node, next));

static struct node *leaked;

static uint64_t
run(uint64_t n)
{
    leaked = NULL; /* a round leaks n nodes, not all rounds together */
    for (uint64_t i = 0; i < n; i++) {
        struct node *node = sh_alloc_typed(&node_type);
        node->next = leaked;
        leaked = node;
        if (i == 0)
            pitfall_retains(node); /* the far end of the list */
    }
    leaked = NULL;
    return n;
}

static void
teardown(void)
{
    leaked = NULL;
}

const struct pitfall PITFALL = {
    .id = "control-leak",
    .variant = PITFALL_VARIANT,
    .work_unit = "nodes",
    .default_n = 10000,
    .op = PITFALL_OP_IS_ONE_OF_N,
    .run = run,
    .teardown = teardown,
};
