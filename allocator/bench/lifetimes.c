/*
 * lifetimes: many live objects of random size without pointers; an operation replaces a random one.
 * Lifetimes are random (exponential), so objects of every age lie side by side: no generation to
 * hope for, and no free list in order. With several threads each has its share of the objects and
 * of the operations.
 */
#include "gc_api.h"

#include <pthread.h>

enum {
    MIN_B = 16,
    MAX_B = 1024,
    THREADS_MAX = 16,
};

static unsigned char **tables[THREADS_MAX]; /* static: a root for every collector */
static pthread_barrier_t all_ready;

struct share {
    pthread_t thread;
    unsigned char ***table;
    size_t n, operations;
    struct rng random;
    uint64_t checksum;
};

/* Puts a new object in place of a random one; the old one's first byte is read. */
static inline uint64_t
replace(unsigned char **table, size_t n, struct rng *r)
{
    size_t i = rng_below(r, n), size = MIN_B + rng_below(r, MAX_B - MIN_B + 1);
    unsigned char *old = table[i];
    uint64_t sum = old[0];

    gc_free(old);
    unsigned char *p = gc_new_data(size);
    p[0] = p[size - 1] = (unsigned char)size;
    gc_store(&table[i], p);
    return sum;
}

static void
build(struct share *s)
{
    unsigned char **table = (unsigned char **)gc_new_pointers(s->n);

    *s->table = table;
    for (size_t i = 0; i < s->n; i++) {
        unsigned char *p = gc_new_data(MIN_B);
        p[0] = 1;
        gc_store(&table[i], p);
    }
    for (size_t i = 0; i < 2 * s->n; i++) /* warm up: most objects have their random size now */
        s->checksum += replace(table, s->n, &s->random);
}

static void
run(struct share *s)
{
    unsigned char **table = *s->table;
    struct rng random = s->random;
    uint64_t checksum = 0;

    for (size_t i = 0; i < s->operations; i++)
        checksum += replace(table, s->n, &random);
    s->checksum += checksum;
}

static void *
work_in_thread(void *arg)
{
    build(arg);
    pthread_barrier_wait(&all_ready);
    run(arg);
    return NULL;
}

int
main(int argc, char **argv)
{
    double live = 100000, operations = 5e6, threads = 1;
    const struct work_option options[] = {
        {"--live", &live, "objects"},
        {"--ops", &operations, "replacements"},
        {"--threads", &threads, "threads, at most 16"},
    };
    static struct share shares[THREADS_MAX];
    uint64_t checksum = 0;

    work_begin("lifetimes", options, 3, argc, argv);
    if (threads < 1 || threads > THREADS_MAX)
        work_fail("lifetimes: --threads is from 1 to 16");
    gc_init();
    size_t count = (size_t)threads;
    pthread_barrier_init(&all_ready, NULL, (unsigned)count);
    for (size_t t = 0; t < count; t++)
        shares[t] = (struct share){
            .table = &tables[t],
            .n = (size_t)live / count + 1,
            .operations = (size_t)operations / count,
            .random = {WORK_SEED + t},
        };
    for (size_t t = 1; t < count; t++)
        if (gc_thread_create(&shares[t].thread, work_in_thread, &shares[t]) != 0)
            work_fail("no thread");
    build(&shares[0]);
    pthread_barrier_wait(&all_ready);
    work_start();
    run(&shares[0]);
    for (size_t t = 1; t < count; t++)
        gc_thread_join(shares[t].thread);
    work_stop();
    for (size_t t = 0; t < count; t++)
        checksum += shares[t].checksum;
    work_metric("ns_per_op", work_seconds() * 1e9 / operations);
    work_end(checksum);
    return 0;
}
