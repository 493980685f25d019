/* A pool's hits and misses, and how long an item survives. */
#include "fidelity.h"

#include <spanheap/pool.h>

static int made;

static void *
make(void)
{
    made++;
    return sh_alloc_noscan(1024);
}

static struct sh_pool buffers = {.make = make};

static NOINLINE void
put_new(int n)
{
    void *items[20];
    for (int i = 0; i < n; i++)
        items[i] = make();
    for (int i = 0; i < n; i++)
        sh_pool_put(&buffers, items[i]);
    made = 0;
}

static NOINLINE int
misses_of(int n)
{
    made = 0;
    for (int i = 0; i < n; i++)
        sh_pool_get(&buffers);
    return made;
}

void
pool(void)
{
    record_number(misses_of(5), "pool/misses/empty");
    put_new(10);
    record_number(misses_of(15), "pool/misses/15 after 10 were put");
    for (int collections = 0; collections <= 3; collections++) {
        put_new(10);
        for (int i = 0; i < collections; i++)
            sh_collect();
        record_number(misses_of(10), "pool/misses/10 after 10 were put and %d collections",
                      collections);
    }
    put_new(1);
    for (int i = 0; i < 5; i++) { /* in use between collections: it stays */
        sh_pool_put(&buffers, sh_pool_get(&buffers));
        sh_collect();
    }
    record_number(made, "pool/misses/used in each of 5 cycles");
    sh_set_gogc(SH_GOGC_OFF);
    sh_pool_put(&buffers, sh_pool_get(&buffers));
    struct allocated start = allocated_now();
    for (int i = 0; i < 100000; i++)
        sh_pool_put(&buffers, sh_pool_get(&buffers));
    struct allocated end = allocated_now();
    record_number((double)(end.objects - start.objects) / 100000, "pool/objects an operation");
}
