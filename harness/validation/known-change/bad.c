/*
 * Not a pitfall: `make validate` compares this program with itself, built with one of these macros,
 * and asks whether the harness finds the change.
 */
#include "pitfall.h"

#include <string.h>

#ifndef CHANGE_TIME
#define CHANGE_TIME 0 /* in thousandths: so many more instructions, and so much more time */
#endif
#ifndef CHANGE_ALLOCS
#define CHANGE_ALLOCS 0 /* more objects an operation */
#endif
#ifndef CHANGE_RSS_KIB
#define CHANGE_RSS_KIB 0 /* more resident memory */
#endif
#ifndef ROOTS_KIB
#define ROOTS_KIB 0 /* not 0: a collection each round, whose stop reads so many roots */
#endif

enum { TURNS = 1000 }; /* of the loop in a step: divisible by a thousand, so that all is exact */

#if CHANGE_RSS_KIB
static char more[(size_t)CHANGE_RSS_KIB << 10];
#endif
#if ROOTS_KIB
static void *roots[((size_t)ROOTS_KIB << 10) / sizeof(void *)];
#endif

static void
setup(uint64_t n)
{
    (void)n;
#if CHANGE_RSS_KIB
    memset(more, 1, sizeof more);
    pitfall_keep(more);
#endif
#if ROOTS_KIB
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i += 512)
        roots[i] = sh_alloc(16);
    pitfall_keep(roots);
#endif
}

/* Each turn waits for the one before: nothing to vectorise, and no cache to miss. */
static uint64_t
spin(uint64_t turns)
{
    uint64_t x = turns | 1;
    for (uint64_t i = 0; i < turns; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        __asm__ volatile("" : "+r"(x));
    }
    return x;
}

static uint64_t
run(uint64_t n)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++) {
        sum += spin(TURNS + TURNS * CHANGE_TIME / 1000);
        for (int j = 0; j < 1 + CHANGE_ALLOCS; j++)
            pitfall_keep(sh_alloc_noscan(32));
    }
#if ROOTS_KIB
    sh_collect();
#endif
    pitfall_keep((const void *)(uintptr_t)sum);
    return n;
}

const struct pitfall PITFALL = {
    .id = "known-change",
    .variant = PITFALL_VARIANT,
    .work_unit = "steps",
    .default_n = 1000,
    .op = PITFALL_OP_IS_ONE_OF_N,
    .setup = setup,
    .run = run,
};
