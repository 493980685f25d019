/* Fixed: the element's address is taken after each append, where the slice is by then. */
#include "pitfall.h"

enum {
    ROOM = 4, /* accounts before the slice has to move */
    DEPOSITS = 7,
};

/* Opens an account before each deposit into the first one; returns what is in it at the end.
   Go: accounts[0] = paid */
static PITFALL_NOINLINE int64_t
deposit(void)
{
    struct sh_slice accounts = sh_slice_make(&PITFALL_INT64, 1, ROOM);

    for (int64_t paid = 1; paid <= DEPOSITS; paid++) {
        accounts = sh_slice_append(&PITFALL_INT64, accounts, NULL, 1);
        int64_t *first = sh_slice_at(&PITFALL_INT64, accounts, 0);
        *first = paid;
    }
    return *(int64_t *)sh_slice_at(&PITFALL_INT64, accounts, 0);
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
