/* Free lists that a program keeps for itself, one a size: see gc_inline.h. */
#ifndef GC_TINY_FL_H
#define GC_TINY_FL_H

#define GC_GRANULE_BYTES 16
#define GC_GRANULE_WORDS 2
#define GC_WORDS_TO_GRANULES(n) ((n) >> 1)
#ifndef GC_TINY_FREELISTS
#define GC_TINY_FREELISTS 25
#endif
#define GC_RAW_BYTES_FROM_INDEX(i) ((i)*GC_GRANULE_BYTES)

#endif
