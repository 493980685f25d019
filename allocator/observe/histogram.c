#include "observe/histogram.h"

#define PARTS (1u << HISTOGRAM_PART_BITS)

/*
 * With e = the position of the value's highest bit, the value is shifted right by s = e - 7 (not
 * below 0): what remains lies in [128, 256), and bucket s * 128 + remainder is its own. Below 128
 * the remainder is the value itself.
 */
static unsigned
bucket_of(uint64_t value)
{
    if (value >> HISTOGRAM_VALUE_BITS != 0)
        return HISTOGRAM_BUCKETS - 1;
    unsigned top = 63 - (unsigned)__builtin_clzll(value | 1);
    unsigned shift = top > HISTOGRAM_PART_BITS ? top - HISTOGRAM_PART_BITS : 0;
    return shift * PARTS + (unsigned)(value >> shift);
}

static unsigned
bucket_shift(unsigned bucket)
{
    return bucket < PARTS ? 0 : bucket / PARTS - 1;
}

static uint64_t
low_of(unsigned bucket)
{
    unsigned shift = bucket_shift(bucket);
    return (uint64_t)(bucket - shift * PARTS) << shift;
}

/* The last bucket has no upper end but the largest value. */
static uint64_t
high_of(const struct histogram *h, unsigned bucket)
{
    uint64_t high = low_of(bucket) + ((uint64_t)1 << bucket_shift(bucket)) - 1;
    return bucket == HISTOGRAM_BUCKETS - 1 || high > h->max ? h->max : high;
}

void
histogram_record(struct histogram *h, uint64_t value)
{
    h->count++;
    h->sum += value;
    h->max = value > h->max ? value : h->max;
    h->buckets[bucket_of(value)]++;
}

/* q * count rounded up; a hair less first, or 0.07 * 100 = 7.000000000000001 would be rank 8. */
static uint64_t
rank_of(double q, uint64_t count)
{
    double exact = q * (double)count * (1 - 0x1p-51);
    uint64_t rank = (uint64_t)exact;
    rank += (double)rank < exact || rank == 0;
    return rank < count ? rank : count;
}

uint64_t
histogram_quantile(const struct histogram *h, double q)
{
    uint64_t rank = rank_of(q, h->count), seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen >= rank && seen > 0)
            return high_of(h, i);
    }
    return 0;
}
