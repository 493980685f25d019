/* Without pointers to everywhere: objects have no byte more, and a displacement is registered. */
#include "watch.h"

enum { MANY = 400, DISPLACEMENT = 8 };

char *displaced[MANY]; /* not static: it would be seen that nobody reads them */
static GC_hidden_pointer links[MANY];

static void
make_displaced(void)
{
    for (int i = 0; i < MANY; i++) {
        char *p = GC_MALLOC(64);
        watch(&links[i], p);
        displaced[i] = p + DISPLACEMENT;
    }
}

/* In a frame a pointer to anywhere keeps its object all the same. */
static __attribute__((noinline)) void
look_from_frame(char *volatile inside)
{
    for (int i = 0; i < 3; i++) {
        GC_gcollect();
        for (int k = 0; k < 3000; k++)
            memset(GC_MALLOC_ATOMIC(64), 0x11, 64);
    }
    CHECK(inside[0] == 0x5a && inside[27] == 0x5a);
}

int
main(void)
{
    GC_set_all_interior_pointers(0);
    GC_INIT();
    CHECK(GC_get_all_interior_pointers() == 0);
    GC_REGISTER_DISPLACEMENT(DISPLACEMENT);
    CHECK(GC_size(GC_MALLOC(32)) == 32 && GC_size(GC_MALLOC_ATOMIC(64)) == 64);
    char *p = GC_MALLOC(64);
    CHECK(GC_is_valid_displacement(p + DISPLACEMENT) == p + DISPLACEMENT);
    far_away(make_displaced);
    wipe_stack();
    GC_gcollect();
    CHECK(count_clear(links, MANY) == 0);
    look_from_frame((char *)memset(GC_MALLOC_ATOMIC(64), 0x5a, 64) + 36);
    return 0;
}
