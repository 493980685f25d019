/*
 * A histogram of lengths of time, log-linear: exact below 256 ns, and from there on each power of
 * two is cut into 128 equal buckets, so that no bucket is wider than 1/128 (0.8 %) of its values.
 * The memory is constant, whatever is counted. The idea is that of Gil Tene's HdrHistogram
 * (hdrhistogram.org).
 *
 * Values from 2^48 ns (78 hours) on share the last bucket; the largest value is kept exactly.
 * Pure: no globals, no locks. An all-zero histogram is an empty one.
 */
#ifndef SPANHEAP_HISTOGRAM_H
#define SPANHEAP_HISTOGRAM_H

#include "heap/base.h"

#define HISTOGRAM_PART_BITS 7   /* 2^7 buckets for each power of two: at most 1 % wide */
#define HISTOGRAM_VALUE_BITS 48 /* values below 2^48 are told apart */
#define HISTOGRAM_BUCKETS ((HISTOGRAM_VALUE_BITS - HISTOGRAM_PART_BITS + 1) << HISTOGRAM_PART_BITS)

struct histogram {
    uint64_t count, sum, max;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_record(struct histogram *h, uint64_t value);
/**
 * The value that a share q (0 to 1) of those recorded do not exceed, by nearest rank: never too
 * small, at most 1/128 too large; q = 1 gives the largest exactly. 0 if nothing was recorded.
 */
uint64_t histogram_quantile(const struct histogram *h, double q);

#endif
