/* Objects of which the caller says where their pointers are. */
#ifndef GC_TYPED_H
#define GC_TYPED_H

#include "gc.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef GC_word *GC_bitmap; /* bit i of it: word i may be a pointer */
typedef GC_word GC_descr;

#define GC_WORDSZ (8 * sizeof(GC_word))
#define GC_get_bit(bm, index) (((bm)[(index) / GC_WORDSZ] >> ((index) % GC_WORDSZ)) & 1)
#define GC_set_bit(bm, index) ((bm)[(index) / GC_WORDSZ] |= (GC_word)1 << ((index) % GC_WORDSZ))
#define GC_WORD_OFFSET(type, field) (offsetof(type, field) / sizeof(GC_word))
#define GC_WORD_LEN(type) (sizeof(type) / sizeof(GC_word))
#define GC_BITMAP_SIZE(type) ((GC_WORD_LEN(type) + GC_WORDSZ - 1) / GC_WORDSZ)

/** A descriptor from the first `bits` bits; words beyond are no pointers. The bitmap is copied. */
GC_API GC_descr GC_CALL GC_make_descriptor(const GC_word *bitmap, size_t bits);
/** size bytes, zeroed, that begin with what the descriptor tells. */
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL
    GC_malloc_explicitly_typed(size_t size, GC_descr descr);
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL
    GC_malloc_explicitly_typed_ignore_off_page(size_t size, GC_descr descr);
/** n elements of that kind. */
GC_API GC_ATTR_MALLOC GC_ATTR_CALLOC_SIZE(1, 2) void *GC_CALL
    GC_calloc_explicitly_typed(size_t n, size_t size, GC_descr descr);

#ifdef GC_DEBUG
#define GC_MALLOC_EXPLICITLY_TYPED(size, d) ((void)(d), GC_MALLOC(size))
#define GC_CALLOC_EXPLICITLY_TYPED(n, size, d) ((void)(d), GC_MALLOC((n) * (size)))
#else
#define GC_MALLOC_EXPLICITLY_TYPED(size, d) GC_malloc_explicitly_typed(size, d)
#define GC_CALLOC_EXPLICITLY_TYPED(n, size, d) GC_calloc_explicitly_typed(n, size, d)
#endif

#ifdef __cplusplus
}
#endif
#endif
