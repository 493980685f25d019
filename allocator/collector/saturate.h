/*
 * Arithmetic on bytes and times that stops at the ends of the type instead of wrapping: UINT64_MAX
 * stands for "off" and "no limit", and must stay that when something is added.
 */
#ifndef SPANHEAP_SATURATE_H
#define SPANHEAP_SATURATE_H

#include <stdint.h>

static inline uint64_t
saturate_add(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static inline uint64_t
saturate_mul(uint64_t a, uint64_t b)
{
    uint64_t product;
    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

/** a - b, and 0 where b is more. */
static inline uint64_t
saturate_sub(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/** The signed number nearest to n. */
static inline int64_t
saturate_signed(uint64_t n)
{
    return n > INT64_MAX ? INT64_MAX : (int64_t)n;
}

/* The casts below are undefined in C outside the type's range. 0x1p63 is the first double beyond
   INT64_MAX, which has no double of its own. */

/** x without its fraction; not a number gives 0. */
static inline int64_t
saturate_to_int64(double x)
{
    if (x >= 0x1p63)
        return INT64_MAX;
    if (x <= -0x1p63)
        return INT64_MIN;
    return x == x ? (int64_t)x : 0;
}

/** x without its fraction; below 0 and not a number give 0. */
static inline uint64_t
saturate_to_uint64(double x)
{
    if (x >= 0x1p64)
        return UINT64_MAX;
    return x > 0 ? (uint64_t)x : 0;
}

#endif
