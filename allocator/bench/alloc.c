/*
 * alloc: objects of one size without pointers, dropped at once; by one thread, then by two. With
 * malloc and free: malloc, memset (a collector's objects are zeroed too) and free, in batches of
 * 1000. Nanoseconds of elapsed time per object, and what a second thread adds to the throughput.
 *
 * One thread comes first: some peers are slower from their first thread on. Each figure is the
 * median of several phases.
 */
#include "gc_api.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    BATCH = 1000,     /* objects between two readings of the clock */
    CHECKED = 100000, /* objects of the untimed pass that are looked at */
    PHASES_MAX = 99,
    THREADS = 2,
};

static size_t size;
static uint64_t phase_ns;

#if GC_COLLECTS
static uint64_t
allocate_batch(void)
{
    uint64_t sum = 0;

    for (int i = 0; i < BATCH; i++) {
        unsigned char *p = gc_new_data(size);
        gc_keep(p);
        sum += (uint64_t)p[0] + p[size - 1] + size;
    }
    return sum;
}
#else
static uint64_t
allocate_batch(void)
{
    void *batch[BATCH];
    uint64_t sum = 0;

    for (int i = 0; i < BATCH; i++) {
        unsigned char *p = batch[i] = gc_new_data(size);
        gc_keep(p); /* or the compiler makes it calloc */
        memset(p, 0, size);
        gc_keep(p);
        sum += (uint64_t)p[0] + p[size - 1] + size;
    }
    for (int i = 0; i < BATCH; i++)
        gc_free(batch[i]);
    return sum;
}
#endif

struct phase {
    pthread_t thread;
    uint64_t start_ns, end_ns, objects;
};

static _Atomic int ready;

/* Allocates until the time is over. */
static void
allocate(struct phase *phase)
{
    uint64_t now_ns = work_now_ns(), sum = 0;

    phase->start_ns = now_ns;
    while (now_ns - phase->start_ns < phase_ns) {
        sum += allocate_batch();
        phase->objects += BATCH;
        now_ns = work_now_ns();
    }
    phase->end_ns = now_ns;
    gc_keep((const void *)(uintptr_t)sum);
}

static void *
allocate_in_thread(void *arg)
{
    atomic_fetch_add(&ready, 1);
    while (atomic_load(&ready) < THREADS)
        ; /* both start together */
    allocate(arg);
    return NULL;
}

static double
ns_per_object_of_one(void)
{
    struct phase phase = {0};

    allocate(&phase);
    return (double)(phase.end_ns - phase.start_ns) / (double)phase.objects;
}

/* Elapsed time over the objects of both. */
static double
ns_per_object_of_two(void)
{
    static struct phase phases[THREADS];

    memset(phases, 0, sizeof phases);
    atomic_store(&ready, 0);
    for (int i = 0; i < THREADS; i++) {
        if (gc_thread_create(&phases[i].thread, allocate_in_thread, &phases[i]) != 0)
            work_fail("no thread");
    }
    for (int i = 0; i < THREADS; i++)
        gc_thread_join(phases[i].thread);
    const struct phase *a = &phases[0], *b = &phases[1];
    uint64_t start_ns = a->start_ns < b->start_ns ? a->start_ns : b->start_ns;
    uint64_t end_ns = a->end_ns > b->end_ns ? a->end_ns : b->end_ns;
    return (double)(end_ns - start_ns) / (double)(a->objects + b->objects);
}

static int
compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double
median_of(double (*measure)(void), size_t phases)
{
    double values[PHASES_MAX];

    for (size_t i = 0; i < phases; i++)
        values[i] = measure();
    qsort(values, phases, sizeof *values, compare);
    return values[phases / 2];
}

int
main(int argc, char **argv)
{
    double size_option = 64, phases_option = 5, phase_ms = 100;
    const struct work_option options[] = {
        {"--size", &size_option, "bytes of an object"},
        {"--phases", &phases_option, "of one thread, then of two; an odd number"},
        {"--phase-ms", &phase_ms, "length of a phase"},
    };
    uint64_t checksum = 0;

    work_begin("alloc", options, 3, argc, argv);
    if (size_option < 1 || phases_option < 1 || phases_option > PHASES_MAX)
        work_fail("--size is at least 1, --phases is 1 to %d", PHASES_MAX);
    gc_init();
    size = (size_t)size_option;
    phase_ns = (uint64_t)(phase_ms * 1e6);
    for (int i = 0; i < CHECKED / BATCH; i++)
        checksum += allocate_batch();
    work_start();
    double one = median_of(ns_per_object_of_one, (size_t)phases_option);
    double two = median_of(ns_per_object_of_two, (size_t)phases_option);
    work_stop();
    work_metric("ns_per_op", one);
    work_metric("ns_per_op_2", two);
    work_metric("scaling", one / two);
    work_end(checksum);
    return 0;
}
