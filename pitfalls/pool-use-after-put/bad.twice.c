/* Bad: a request goes back to its pool twice. Two who come next get it. */
#include "request.h"

/* What the handler does when it is done, and its caller as well. */
static PITFALL_NOINLINE void
serve(uint64_t *served)
{
    struct request *r = sh_pool_get(&pool);

    sh_pool_put(&pool, r);
    sh_pool_put(&pool, r); /* DETECT */
    *served += 1;          /* not last: a tail call would leave no frame to be named */
}

/* Whom Alice's answer goes to, while Bob is served beside her. */
static PITFALL_NOINLINE int64_t
serve_two(void)
{
    struct request *alice = sh_pool_get(&pool), *bob = sh_pool_get(&pool);

    alice->user = ALICE;
    bob->user = BOB;
    int64_t user = alice->user;
    sh_pool_put(&pool, alice);
    if (bob != alice) /* or the pool has one more copy of it after each round */
        sh_pool_put(&pool, bob);
    return user;
}

static uint64_t
run(uint64_t n)
{
    uint64_t hers = 0, work = 0;

    for (uint64_t i = 0; i < n; i++) {
        serve(&work);
        hers += serve_two() == ALICE;
    }
    pitfall_saw((double)hers, (double)work);
    return work;
}

const struct pitfall PITFALL = {
    .id = "pool-use-after-put",
    .variant = PITFALL_VARIANT,
    .work_unit = "answers",
    .default_n = 10000,
    .op = PITFALL_OP_IS_ONE_OF_N,
    .run = run,
};
