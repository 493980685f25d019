/* A pool's hits and misses, each counted by itself, and how long an item survives. */
#include "fidelity.h"

#include <spanheap/pool.h>

static int made, hits;

static void *
make(void)
{
    made++;
    return sh_alloc_noscan(1024);
}

static struct sh_pool buffers = {.make = make};

/* What is put is marked, and so known again. */
static void
put(char *item)
{
    item[0] = 1;
    sh_pool_put(&buffers, item);
}

static char *
get(void)
{
    char *item = sh_pool_get(&buffers);
    hits += item[0];
    item[0] = 0;
    return item;
}

static NOINLINE void
put_new(int n)
{
    char *items[20];
    for (int i = 0; i < n; i++)
        items[i] = make();
    for (int i = 0; i < n; i++)
        put(items[i]);
    made = hits = 0;
}

static void
record_both(const char *what)
{
    record_number(hits, "pool/hits/%s", what);
    record_number(made, "pool/misses/%s", what);
}

static NOINLINE void
get_many(int n)
{
    made = hits = 0;
    for (int i = 0; i < n; i++)
        get();
}

void
pool(void)
{
    get_many(5);
    record_both("empty");
    put_new(10);
    get_many(15);
    record_both("15 after 10 were put");
    for (int collections = 0; collections <= 3; collections++) {
        char what[80];
        put_new(10);
        for (int i = 0; i < collections; i++)
            sh_collect();
        get_many(10);
        snprintf(what, sizeof what, "10 after 10 were put and %d collections", collections);
        record_both(what);
    }
    put_new(1);
    for (int i = 0; i < 5; i++) { /* in use between collections: it stays */
        put(get());
        sh_collect();
    }
    record_both("used in each of 5 cycles");
    sh_set_gogc(SH_GOGC_OFF);
    sh_pool_put(&buffers, sh_pool_get(&buffers));
    struct allocated start = allocated_now();
    for (int i = 0; i < 100000; i++)
        sh_pool_put(&buffers, sh_pool_get(&buffers));
    struct allocated end = allocated_now();
    record_number((double)(end.objects - start.objects) / 100000, "pool/objects an operation");
}
