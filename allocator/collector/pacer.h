/*
 * The pacer: when the next collection is due. Pure functions of numbers.
 * Source: Go 1.19, runtime/mgcpacer.go and the Go GC guide; see allocator/README.md.
 */
#ifndef SPANHEAP_PACER_H
#define SPANHEAP_PACER_H

#include <stdint.h>

#define PACER_HEAP_MIN_B ((uint64_t)4 << 20) /* smallest goal at 100 percent */

/**
 * The heap goal, bytes: marked + (marked + stacks + globals) * percent / 100, and at least 4 MiB *
 * percent / 100. percent < 0 (off): UINT64_MAX.
 */
uint64_t pacer_heap_goal(uint64_t marked_b, uint64_t stacks_b, uint64_t globals_b, int percent);

#endif
