/* What the variants share: requests and their pool. */
#ifndef REQUEST_H
#define REQUEST_H

#include "pitfall.h"

enum {
    ALICE = 1,
    BOB = 2,
};

struct request {
    int64_t user;
    char body[56];
};

static void *
make(void)
{
    return sh_alloc_noscan(sizeof(struct request));
}

static struct sh_pool pool = {.make = make};

#endif
