#include "collector/pacer.h"

static uint64_t
percent_of(uint64_t n, uint64_t percent)
{
    /* n / 100 first would lose small heaps, n * percent overflows only beyond 2^57 bytes */
    return n / 100 * percent + n % 100 * percent / 100;
}

uint64_t
pacer_heap_goal(uint64_t marked_b, uint64_t stacks_b, uint64_t globals_b, int percent)
{
    if (percent < 0)
        return UINT64_MAX;
    uint64_t goal = marked_b + percent_of(marked_b + stacks_b + globals_b, (uint64_t)percent);
    uint64_t least = percent_of(PACER_HEAP_MIN_B, (uint64_t)percent);
    return goal < least ? least : goal;
}
