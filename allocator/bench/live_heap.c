/*
 * live-heap: does a stop grow with the heap? At 64 MB, 256 MB, ... of live linked objects (churn's
 * chains) one thread forces the same number of collections while another goes on reading
 * chains and replaces each 16th; the longest stop of each size is kept. The heap only grows, in one
 * process.
 */
#include "chain.h"

#include <stdatomic.h>
#include <unistd.h>

enum {
    SIZES = 4,
    FIRST_MB = 64,
    FACTOR = 4,
};

/* One table a size: what was added to the one before. Static: a root for every collector. */
static struct cell **tables[SIZES];
static size_t counts[SIZES];
static _Atomic int collecting;

struct collector {
    int collections;
};

static void *
collect(void *arg)
{
    for (int i = 0; i < ((const struct collector *)arg)->collections; i++) {
        gc_collect();
        usleep(1000); /* the program is at work again when the next one starts */
    }
    atomic_store(&collecting, 0);
    return NULL;
}

/* Reads chains of all tables, and replaces some, for as long as the other thread collects. */
static uint64_t
work_meanwhile(size_t total, struct rng *r)
{
    uint64_t read = 0;

    while (atomic_load(&collecting)) {
        size_t i = rng_below(r, total), t = 0;
        while (i >= counts[t])
            i -= counts[t++];
        if (chain_drop(tables[t][i]) == 0)
            work_fail("an empty chain");
        if (read % 16 == 0)
            gc_store(&tables[t][i], chain_make(r));
        read++;
    }
    return read;
}

int
main(int argc, char **argv)
{
    static const char *const names[SIZES] = {"stop_64m_ns", "stop_256m_ns", "stop_1024m_ns",
                                             "stop_4096m_ns"};
    static struct collector collector;
    double top_mb = 4096, collections = 6;
    const struct work_option options[] = {
        {"--top-mb", &top_mb, "the largest heap: 64, 256, 1024 or 4096, in 10^6 bytes"},
        {"--collections", &collections, "forced at each size"},
    };
    struct rng random = {WORK_SEED};
    uint64_t checksum = 0, read = 0, longest_ns = 0;
    size_t total = 0, size = 0;

    work_begin("live-heap", options, 2, argc, argv);
    if (!GC_COLLECTS)
        work_fail("malloc and free do not stop");
    gc_init();
    collector.collections = (int)collections;
    work_start();
    for (double mb = FIRST_MB; size < SIZES && (mb <= top_mb || size == 0); mb *= FACTOR, size++) {
        struct rng own = {WORK_SEED + size};
        pthread_t thread;

        counts[size] = (size_t)(mb * 1e6 / CHAIN_MEAN_B) + 1 - total;
        total += counts[size];
        tables[size] = chain_table(counts[size], &own);
        checksum += own.state;
        size_t first = work_stops();
        atomic_store(&collecting, 1);
        if (gc_thread_create(&thread, collect, &collector) != 0)
            work_fail("no thread");
        read += work_meanwhile(total, &random);
        gc_thread_join(thread);
        longest_ns = work_longest_stop_ns(first);
        work_metric(names[size], (double)longest_ns);
    }
    work_stop();
    work_metric("stop_top_ns", (double)longest_ns);
    work_metric("stop_top_mb", FIRST_MB * (double)(1 << 2 * (size - 1)));
    work_metric("ops_per_s", (double)read / work_seconds());
    work_end(checksum);
    return 0;
}
