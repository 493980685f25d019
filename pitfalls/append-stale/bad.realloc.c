/* Bad: a pointer into an array is kept while the array is resized. The old array is freed. */
#include "accounts.h"

/* Opens an account before each deposit into the first one; returns what is in it at the end. */
static PITFALL_NOINLINE int64_t
deposit(void)
{
    struct accounts a = {sh_alloc_noscan(ROOM * sizeof *a.balance), 1, ROOM};
    int64_t *first = &a.balance[0];

    for (int64_t paid = 1; paid <= DEPOSITS; paid++) {
        open_account(&a);
        *first = paid; /* DETECT */
    }
    int64_t balance = a.balance[0];
    sh_free(a.balance);
    return balance;
}

static uint64_t
run(uint64_t n)
{
    int64_t balance = 0;
    uint64_t work = 0;

    for (uint64_t i = 0; i < n; i++) {
        balance += deposit();
        work += DEPOSITS;
    }
    pitfall_saw((double)balance, (double)work);
    return work;
}

const struct pitfall PITFALL = {
    .id = "append-stale",
    .variant = PITFALL_VARIANT,
    .work_unit = "deposits",
    .default_n = 1000,
    .op = PITFALL_OP_IS_ONE_OF_N,
    .run = run,
};
