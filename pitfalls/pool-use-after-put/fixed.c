/* Fixed: a request goes back to its pool after its last use. */
#include "request.h"

static PITFALL_NOINLINE void
serve_bob(void)
{
    struct request *r = sh_pool_get(&pool);

    r->user = BOB;
    sh_pool_put(&pool, r);
}

/* Says whom the answer goes to. Bob comes before it is sent. */
static PITFALL_NOINLINE void
serve_alice(int64_t *answer_to)
{
    struct request *r = sh_pool_get(&pool);

    r->user = ALICE;
    serve_bob();
    *answer_to = r->user;
    sh_pool_put(&pool, r);
}

static uint64_t
run(uint64_t n)
{
    uint64_t hers = 0, work = 0;
    int64_t answer_to = 0;

    for (uint64_t i = 0; i < n; i++) {
        serve_alice(&answer_to);
        hers += answer_to == ALICE;
        work++;
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
