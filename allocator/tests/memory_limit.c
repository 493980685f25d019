/*
 * A program for limits of memory: some MiB live, many more are garbage. On the library by itself,
 * on the drop-in for gc.h (-DON_GC), or on a malloc (-DON_MALLOC).
 *
 *     memory_limit LIVE_MIB GARBAGE_MIB
 *
 * What it does about its limit is up to the environment: see harness/tests/test_memory_limit.py.
 */
#include "need.h"

#include <stdint.h>

#if defined(ON_GC)
#include <gc/gc.h>
#define NEW_TABLE(size) GC_MALLOC(size)
#define NEW(size) GC_MALLOC_ATOMIC(size)
#define REPLACE(slot, p) (*(slot) = (p))
#elif defined(ON_MALLOC)
#define NEW_TABLE(size) calloc(1, size)
#define NEW(size) malloc(size)
#define REPLACE(slot, p) (free(*(slot)), *(slot) = (p))
#else
#include <spanheap.h>
#define NEW_TABLE(size) sh_alloc(size)
#define NEW(size) sh_alloc_noscan(size)
#define REPLACE(slot, p) sh_store(slot, p)
#endif

enum { OBJECT_B = 4096, A_MIB = (1 << 20) / OBJECT_B };

int
main(int argc, char **argv)
{
    need(argc == 3, "there are two arguments");
    size_t n = strtoull(argv[1], NULL, 10) * A_MIB, steps = strtoull(argv[2], NULL, 10) * A_MIB;
    if (n == 0)
        return 0;
    uint64_t chance = 1;
    unsigned char **live = NEW_TABLE(n * sizeof *live);
    for (size_t i = 0; i < n + steps; i++) {
        size_t place = i < n ? i : (size_t)((chance = chance * 6364136223846793005u + 1) >> 33) % n;
        unsigned char *p = NEW(OBJECT_B);
        need(p != NULL, "there is memory");
        memset(p, (int)place, OBJECT_B);
        need(live[place] == NULL || live[place][7] == (unsigned char)place, "it is what it was");
        REPLACE(&live[place], p);
    }
    return 0;
}
