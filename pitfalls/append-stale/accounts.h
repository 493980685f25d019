/* What the pair of sh_realloc() shares: accounts in an array that moves when it is full. */
#ifndef ACCOUNTS_H
#define ACCOUNTS_H

#include "pitfall.h"

enum {
    ROOM = 4, /* accounts before the array has to move */
    DEPOSITS = 7,
};

struct accounts {
    int64_t *balance;
    size_t len, cap;
};

static PITFALL_NOINLINE void
open_account(struct accounts *a)
{
    if (a->len == a->cap) {
        a->cap *= 2;
        a->balance = sh_realloc(a->balance, a->cap * sizeof *a->balance);
    }
    a->balance[a->len++] = 0;
}

#endif
