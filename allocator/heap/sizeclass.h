/*
 * The 68 size classes of Go 1.19 (runtime/sizeclasses.go), and how a size finds its class. Pure.
 * Class 0 stands for large objects, which take whole pages.
 */
#ifndef SPANHEAP_SIZECLASS_H
#define SPANHEAP_SIZECLASS_H

#include "heap/base.h"

#define NCLASSES 68
#define SMALL_MAX_B 32768
#define TINY_MAX_B 16 /* objects below it that hold no pointers share blocks of this size */

extern const uint16_t class_size_b[NCLASSES];       /**< object size */
extern const uint8_t class_pages[NCLASSES];         /**< pages in one span */
extern const uint8_t class_of_eighth[1024 / 8 + 1]; /**< class of sizes up to 1024, by size/8 */
extern const uint8_t
    class_of_128th[(SMALL_MAX_B - 1024) / 128 + 1]; /**< above, by (size-1024)/128 */

/** The class of a size in [1, SMALL_MAX_B]. */
static inline unsigned
sizeclass_of(size_t size)
{
    if (likely(size <= 1024))
        return class_of_eighth[(size + 7) >> 3];
    return class_of_128th[(size - 1024 + 127) >> 7];
}

/** The multiplier with which (offset * magic) >> 32 == offset / size for offsets inside a span. */
static inline uint32_t
sizeclass_magic(uint32_t size)
{
    return UINT32_MAX / size + 1;
}

/** What a request takes: its class's size, or whole pages; SIZE_MAX if that overflows. */
size_t sizeclass_round(size_t size);

#endif
