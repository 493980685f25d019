/* Objects that slots hold, in memory of one sort after the other: do they live? A few that nobody
   holds may stay by chance. */
#ifndef GC_TESTS_SLOTS_H
#define GC_TESTS_SLOTS_H

#include "watch.h"

#include <sys/mman.h>

enum { MANY = 400, NEARLY_ALL = 320, SLOTS_B = MANY * sizeof(void *) };

static GC_hidden_pointer links[MANY];
static void **slots;

static void
fill_slots(void)
{
    for (int i = 0; i < MANY; i++) {
        slots[i] = GC_MALLOC(32);
        watch(&links[i], slots[i]);
    }
}

static int
count_dead(void)
{
    collect_all(2);
    return count_clear(links, MANY);
}

/* Memory that is no root by itself. */
static __attribute__((unused)) void **
other_memory(void)
{
    void *p = mmap(NULL, 2 * SLOTS_B, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    return p;
}

#endif
