/* Fixed, and told: the arena says what it has handed out, and nobody reads anything else. */
#include "arena.h"

static PITFALL_NOINLINE int64_t *
arena_alloc(struct arena *a, size_t words)
{
    void *p = a->start + a->used;

    a->used += words * sizeof(int64_t);
    sh_unpoison(p, words * sizeof(int64_t));
    return p;
}

static PITFALL_NOINLINE void
arena_reset(struct arena *a)
{
    a->used = 0;
    sh_poison(a->start, ARENA_B);
}

/* How many words are Alice's. */
static PITFALL_NOINLINE uint64_t
words_of_alice(const int64_t *message)
{
    uint64_t hers = 0;

    for (size_t i = 0; i < LONG; i++)
        hers += message[i] == ALICE;
    return hers;
}

static uint64_t
run(uint64_t n)
{
    struct arena a = {sh_alloc_noscan(ARENA_B), 0};
    uint64_t hers = 0, work = 0;

    for (uint64_t i = 0; i < n; i++) {
        arena_reset(&a);
        int64_t *message = receive(&a, ALICE, LONG);
        hers += words_of_alice(message);
        arena_reset(&a);
        receive(&a, BOB, SHORT);
        work += LONG;
    }
    pitfall_saw((double)hers, (double)work);
    return work;
}

const struct pitfall PITFALL = {
    .id = "arena-use-after-free",
    .variant = PITFALL_VARIANT,
    .work_unit = "words read",
    .default_n = 10000,
    .op = PITFALL_OP_IS_ONE_OF_N,
    .parallel = 1,
    .run = run,
};
