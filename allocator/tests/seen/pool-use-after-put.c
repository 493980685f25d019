/* An item is used after it was put into a pool, where the next one gets it. */
#include <spanheap/pool.h>

static void *
make_buffer(void)
{
    return sh_alloc(256);
}

static struct sh_pool buffers = {.make = make_buffer};

int
main(void)
{
    volatile char *mine = sh_pool_get(&buffers);
    mine[1] = 1;
#ifdef FIXED
    mine[0] = 1;
#endif
    sh_pool_put(&buffers, (void *)mine);
    volatile char *other = sh_pool_get(&buffers);
    other[0] = 2;
#ifndef FIXED
    mine[0] = 1; /* here */
#endif
    return 0;
}
