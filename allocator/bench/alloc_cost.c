/*
 * What one short-lived object costs: spanheap (allocated, dropped, collected) beside malloc +
 * memset + free of the C library in batches of 1000. Both give zeroed memory. The two are measured
 * in turn, round by round; the figures are medians. malloc keeps what is freed: by default glibc
 * would give the top of its heap back after each batch, and pay for page faults in the next.
 *
 *     alloc_cost [rounds]
 */
#include "bench.h"

#include <malloc.h>
#include <spanheap.h>
#include <stdio.h>
#include <string.h>

#define BATCH 1000
#define OBJECTS 2000000
#define MAX_ROUNDS 101

static double
spanheap_ns(size_t size)
{
    double start = bench_now_s();
    for (long i = 0; i < OBJECTS; i++)
        SH_KEEP_ALIVE(sh_alloc_noscan(size));
    return (bench_now_s() - start) / OBJECTS * 1e9;
}

static double
malloc_ns(size_t size)
{
    static void *batch[BATCH];
    double start = bench_now_s();
    for (long i = 0; i < OBJECTS / BATCH; i++) {
        for (int j = 0; j < BATCH; j++) {
            batch[j] = malloc(size);
            memset(batch[j], 0, size);
            SH_KEEP_ALIVE(batch[j]);
        }
        for (int j = 0; j < BATCH; j++)
            free(batch[j]);
    }
    return (bench_now_s() - start) / OBJECTS * 1e9;
}

int
main(int argc, char **argv)
{
    static const size_t sizes[] = {16, 64, 256, 1024};
    int rounds = argc > 1 ? atoi(argv[1]) : 11;
    if (rounds < 1 || rounds > MAX_ROUNDS) {
        fprintf(stderr, "usage: alloc_cost [rounds, 1 to %d]\n", MAX_ROUNDS);
        return 2;
    }
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    printf("%6s %14s %24s %7s\n", "bytes", "spanheap ns", "malloc+memset+free ns", "ratio");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        double ours[MAX_ROUNDS], theirs[MAX_ROUNDS], ratios[MAX_ROUNDS];
        for (int r = 0; r < rounds; r++) {
            ours[r] = spanheap_ns(sizes[i]);
            theirs[r] = malloc_ns(sizes[i]);
            ratios[r] = ours[r] / theirs[r];
        }
        size_t n = (size_t)rounds;
        printf("%6zu %14.1f %24.1f %7.2f\n", sizes[i], bench_median(ours, n),
               bench_median(theirs, n), bench_median(ratios, n));
    }
    return 0;
}
