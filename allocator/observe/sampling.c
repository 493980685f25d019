#include "observe/sampling.h"

#define LN_2 0.693147180559945309417
#define RANDOM_BITS 53 /* of a double's fraction */

/* Source: Steele, Lea and Flood, SplitMix64. */
uint64_t
sampling_seed(uint64_t seed)
{
    seed += UINT64_C(0x9e3779b97f4a7c15);
    seed = (seed ^ seed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    seed = (seed ^ seed >> 27) * UINT64_C(0x94d049bb133111eb);
    seed ^= seed >> 31;
    return seed == 0 ? 1 : seed;
}

/* Source: Vigna, xorshift64*. */
static uint64_t
next_random(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * UINT64_C(2685821657736338717);
}

/* The natural logarithm of an integer from 1 on: its exponent, and 2 artanh((m - 1) / (m + 1)) of
   its mantissa m in [1, 2). */
static double
logarithm(uint64_t n)
{
    int exponent = 63 - __builtin_clzll(n);
    double m = (double)n / (double)(UINT64_C(1) << exponent);
    double z = (m - 1) / (m + 1), z2 = z * z, sum = 0;
    for (int k = 21; k >= 1; k -= 2)
        sum = sum * z2 + 1.0 / k;
    return exponent * LN_2 + 2 * z * sum;
}

uint64_t
sampling_gap(uint64_t *random, uint64_t rate_b)
{
    if (rate_b <= 1)
        return 0;
    uint64_t n = (next_random(random) >> (64 - RANDOM_BITS)) + 1;
    return (uint64_t)((RANDOM_BITS * LN_2 - logarithm(n)) * (double)rate_b) + 1;
}

/* 1 - exp(-x): by its series where x is small, and f(2x) = f(x) (2 - f(x)). */
static double
probability(double x)
{
    if (x > 40)
        return 1;
    int doublings = 0;
    for (; x > 0.25; doublings++)
        x /= 2;
    double sum = 0;
    for (int k = 12; k >= 1; k--)
        sum = x / k * (1 - sum);
    for (; doublings > 0; doublings--)
        sum *= 2 - sum;
    return sum;
}

double
sampling_weight(uint64_t size_b, uint64_t rate_b)
{
    return rate_b <= 1 || size_b == 0 ? 1 : 1 / probability((double)size_b / (double)rate_b);
}
