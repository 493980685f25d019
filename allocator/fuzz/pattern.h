/* What the targets of the heap fill objects with: each word is a function of a number and of its
   place. */
#ifndef SPANHEAP_FUZZ_PATTERN_H
#define SPANHEAP_FUZZ_PATTERN_H

#include "fuzz.h"

/** No address of the heap: the topmost bits are not those of one. */
static inline uint64_t
pattern_word(uint64_t number, size_t at)
{
    return ((number * UINT64_C(0x9e3779b97f4a7c15)) ^ (at * UINT64_C(0xff51afd7ed558ccd))) |
           UINT64_C(1) << 63;
}

/** Of p, aligned to 8. */
void fill_with_pattern(void *p, size_t size, uint64_t number);
void need_pattern(const void *p, size_t size, uint64_t number);
/** All of it is 0. */
void need_zero(const void *p, size_t size);

#endif
