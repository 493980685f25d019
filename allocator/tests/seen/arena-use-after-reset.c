/* An object of an arena of the program's own is used after the arena was emptied. The arena tells
   the heap what it has handed out. */
#include <spanheap.h>

#define ARENA_B 4096

struct arena {
    char *start;
    size_t used;
};

static __attribute__((noinline)) void *
arena_alloc(struct arena *a, size_t size)
{
    void *p = a->start + a->used;
    a->used += (size + 7) / 8 * 8;
    sh_unpoison(p, size);
    return p;
}

static __attribute__((noinline)) void
arena_reset(struct arena *a)
{
    a->used = 0;
    sh_poison(a->start, ARENA_B);
}

int
main(void)
{
    struct arena a = {sh_alloc(ARENA_B), 0};
    arena_reset(&a);
    volatile char *p = arena_alloc(&a, 100);
    p[0] = 1;
#ifndef FIXED
    arena_reset(&a);
#endif
    p[99] = 2; /* here */
    arena_reset(&a);
    return 0;
}
