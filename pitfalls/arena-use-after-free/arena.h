/* What the variants share: the arena's shape, and messages in it. How it hands out memory and is
   emptied is theirs. */
#ifndef ARENA_H
#define ARENA_H

#include "pitfall.h"

enum {
    ARENA_B = 4096,
    ALICE = 1,
    BOB = 2,
    LONG = 8, /* words of Alice's message */
    SHORT = 4,
};

struct arena {
    char *start;
    size_t used;
};

static int64_t *arena_alloc(struct arena *a, size_t words);

static PITFALL_NOINLINE int64_t *
receive(struct arena *a, int64_t from, size_t words)
{
    int64_t *message = arena_alloc(a, words);

    for (size_t i = 0; i < words; i++)
        message[i] = from;
    return message;
}

#endif
