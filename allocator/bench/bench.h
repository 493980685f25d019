/* What the benchmark programs share: a clock, and medians. */
#ifndef SPANHEAP_BENCH_H
#define SPANHEAP_BENCH_H

#include <stdint.h>
#include <stdlib.h>
#include <time.h>

static inline double
bench_now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline int
bench_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/** The median of n values, which are sorted in place. */
static inline double
bench_median(double *values, size_t n)
{
    qsort(values, n, sizeof *values, bench_compare);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

#endif
