/* For the small programs here, which run on Boehm's own library too. */
#ifndef GC_TESTS_CHECK_H
#define GC_TESTS_CHECK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* Runs fn far down the stack, and overwrites its frames: what it knew alone is not found there. */
static __attribute__((noinline, unused)) void
far_away(void (*fn)(void))
{
    volatile char pad[4096];
    memset((void *)pad, 0, sizeof pad);
    fn();
}

static __attribute__((noinline, unused)) void
wipe_stack(void)
{
    volatile char pad[32768];
    memset((void *)pad, 0, sizeof pad);
}

/* How many hidden pointers have disappeared. */
static __attribute__((unused)) int
count_clear(const uintptr_t *row, int links)
{
    int n = 0;
    for (int i = 0; i < links; i++)
        n += row[i] == 0;
    return n;
}

#endif
