/*
 * A program for limits of memory: some MiB live, many more are garbage.
 *
 *     memory_limit LIVE_MIB GARBAGE_MIB
 *
 * What it does about its limit is up to the environment: see harness/tests/test_memory_limit.py.
 */
#include "need.h"

#include <spanheap.h>
#include <stdint.h>

enum { OBJECT_B = 4096, A_MIB = (1 << 20) / OBJECT_B };

int
main(int argc, char **argv)
{
    need(argc == 3, "there are two arguments");
    size_t n = strtoull(argv[1], NULL, 10) * A_MIB, steps = strtoull(argv[2], NULL, 10) * A_MIB;
    if (n == 0)
        return 0;
    uint64_t chance = 1;
    unsigned char **live = sh_alloc(n * sizeof *live);
    for (size_t i = 0; i < n + steps; i++) {
        size_t place = i < n ? i : (size_t)((chance = chance * 6364136223846793005u + 1) >> 33) % n;
        unsigned char *p = sh_alloc_noscan(OBJECT_B);
        memset(p, (int)place, OBJECT_B);
        need(live[place] == NULL || live[place][7] == (unsigned char)place, "it is what it was");
        sh_store(&live[place], p);
    }
    return 0;
}
