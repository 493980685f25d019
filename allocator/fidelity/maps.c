/* When a map grows, and what it holds: full, emptied, and made anew. */
#include "fidelity.h"

#include <spanheap/channel.h>
#include <spanheap/map.h>

enum { ENTRIES = 1000000, WATCHED = 30000 };

static struct sh_map_type numbers = {.key = &sh_uint64_type, .element = &sh_uint64_type};
static struct sh_map *map;

static void *
fill(void *n)
{
    for (uint64_t i = 0; i < (uintptr_t)n; i++)
        sh_map_set(map, &i, &i);
    return NULL;
}

static NOINLINE void
make(void)
{
    map = sh_map_make(&numbers, 0);
}

/* The next table is allocated at once when a map grows: an allocation of at least twice the bytes
   of the one before. Overflow buckets are smaller. */
static void
growth_points(void)
{
    struct text text = {0};
    uint64_t largest = 0;
    make();
    sh_set_gogc(SH_GOGC_OFF);
    for (uint64_t i = 0; i < WATCHED; i++) {
        uint64_t before = allocated_now().bytes;
        sh_map_set(map, &i, &i);
        uint64_t bytes = allocated_now().bytes - before;
        if (bytes > largest + largest / 2) {
            largest = bytes;
            text_add(&text, "%llu ", (unsigned long long)i + 1);
        }
    }
    record_text(text.data, "map/grows at");
    sh_set_gogc(100);
    map = NULL;
}

void
maps(void)
{
    growth_points();
    uint64_t start = live_now();
    make();
    run_elsewhere(fill, (void *)ENTRIES);
    record_number((double)(live_now() - start), "map/bytes of 1,000,000");
    for (uint64_t i = 0; i < ENTRIES; i++)
        sh_map_delete(map, &i);
    record_number((double)(live_now() - start), "map/bytes after all were deleted");
    record_number((double)sh_map_len(map), "map/entries after all were deleted");
    map = NULL;
    make();
    run_elsewhere(fill, (void *)1000);
    record_number((double)(live_now() - start), "map/bytes of a new one with 1000");
}
