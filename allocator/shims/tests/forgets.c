/* A heap that was large once collects as seldom as then, until GC_gcollect_and_unmap() tells it to
   forget that. (Boehm's library does not collect that soon either way.) And what is in use is a
   part of what it has. (Boehm's library counts large objects several times.) */
#include "check.h"

#include <gc/gc.h>

enum { BUFFERS = 64, BUFFER_B = 1 << 20, SMALL_B = 4096 };

static void *buffers[BUFFERS];

static void
become_large(void)
{
    for (int i = 0; i < BUFFERS; i++)
        buffers[i] = GC_MALLOC_ATOMIC(BUFFER_B);
    GC_gcollect();
    memset(buffers, 0, sizeof buffers);
}

/* Half as much as the heap has had. */
static GC_word
collections_of_garbage(void)
{
    GC_word before = GC_get_gc_no();
    for (size_t b = 0; b < (size_t)BUFFERS * BUFFER_B / 2; b += SMALL_B)
        GC_MALLOC_ATOMIC(SMALL_B);
    return GC_get_gc_no() - before;
}

int
main(void)
{
    GC_INIT();
    CHECK(GC_get_memory_use() <= GC_get_heap_size());
    far_away(become_large);
    wipe_stack();
    GC_gcollect();
    CHECK(GC_get_memory_use() <= GC_get_heap_size());
    CHECK(collections_of_garbage() == 0);
    GC_gcollect_and_unmap();
    CHECK(collections_of_garbage() > 0);
    return 0;
}
