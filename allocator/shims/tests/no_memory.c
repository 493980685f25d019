/* What the program's own function for no memory returns is returned, also where an object would be
   held. (Boehm's library looks for it in its heap, and dies.) */
#include "check.h"

#include <gc/gc.h>
#include <gc/gc_inline.h>

static char reserve[64] __attribute__((aligned(16))) = "not empty";

static void *
give_reserve(size_t size)
{
    (void)size;
    return reserve;
}

int
main(void)
{
    volatile size_t huge = (size_t)1 << 62;
    GC_INIT();
    GC_set_warn_proc(GC_ignore_warn_proc);
    GC_set_oom_fn(give_reserve);
    volatile uintptr_t all[] = {
        (uintptr_t)GC_MALLOC(huge),
        (uintptr_t)GC_MALLOC_ATOMIC(huge),
        (uintptr_t)GC_MALLOC_UNCOLLECTABLE(huge),
        (uintptr_t)GC_MALLOC_ATOMIC_UNCOLLECTABLE(huge),
    };
    void *many = NULL;
    GC_generic_malloc_many(huge, GC_I_NORMAL, &many);
    CHECK(many == reserve && *(void **)many == NULL);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        CHECK(all[i] == (uintptr_t)reserve);
    GC_gcollect();
    return 0;
}
