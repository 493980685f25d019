/*
 * Allocation from free lists that the program keeps for itself: an array of GC_TINY_FREELISTS words
 * for each kind, zeroed, where the collector can see it. A list of pointer-free objects must be
 * handed to the collector by a mark procedure.
 */
#ifndef GC_INLINE_H
#define GC_INLINE_H

#include "gc.h"
#include "gc_tiny_fl.h"

#define GC_EXPECT(expr, outcome) __builtin_expect(expr, outcome)
#ifndef GC_ASSERT
#ifdef NDEBUG
#define GC_ASSERT(expr)
#else
#include <assert.h>
#define GC_ASSERT(expr) assert(expr)
#endif
#endif
#ifndef GC_PREFETCH_FOR_WRITE
#define GC_PREFETCH_FOR_WRITE(x) __builtin_prefetch((x), 1)
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define GC_I_PTRFREE 0
#define GC_I_NORMAL 1

/** Stores a list of zeroed objects, linked by their first words, in *result; NULL: no memory. */
GC_API void GC_CALL GC_generic_malloc_many(size_t size, int kind, void **result);
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL GC_malloc_kind(size_t size, int kind);
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL
    GC_malloc_kind_global(size_t size, int kind);
GC_API void GC_CALL GC_print_free_list(int kind, size_t granules);

/*
 * result = an object of `granules` granules of a kind. The list's word counts the first num_direct
 * objects of a size, which are had one at a time: by default_expr, like those that are too large
 * for a list. init is done to an object that comes from the list.
 */
#define GC_FAST_MALLOC_GRANS(result, granules, lists, num_direct, kind, default_expr, init)        \
    do {                                                                                           \
        void **gc_list = (lists) + (granules);                                                     \
        GC_word gc_first = 0;                                                                      \
        (result) = NULL;                                                                           \
        if ((granules) >= GC_TINY_FREELISTS) {                                                     \
            (result) = (default_expr);                                                             \
            break;                                                                                 \
        }                                                                                          \
        gc_first = (GC_word)*gc_list;                                                              \
        if ((GC_signed_word)(gc_first - (GC_word)(num_direct)) < 0) {                              \
            *gc_list = (void *)(gc_first + 1);                                                     \
            (result) = (default_expr);                                                             \
            break;                                                                                 \
        }                                                                                          \
        if (gc_first == (GC_word)(num_direct)) {                                                   \
            GC_generic_malloc_many((granules) == 0 ? GC_GRANULE_BYTES                              \
                                                   : GC_RAW_BYTES_FROM_INDEX(granules),            \
                                   kind, gc_list);                                                 \
            gc_first = (GC_word)*gc_list;                                                          \
        }                                                                                          \
        if (gc_first == 0) {                                                                       \
            *gc_list = (void *)(GC_word)(num_direct);                                              \
            (result) = (*GC_get_oom_fn())((granules)*GC_GRANULE_BYTES);                            \
            break;                                                                                 \
        }                                                                                          \
        (result) = (void *)gc_first;                                                               \
        *gc_list =                                                                                 \
            *(void **)gc_first != NULL ? *(void **)gc_first : (void *)(GC_word)(num_direct);       \
        GC_PREFETCH_FOR_WRITE(*gc_list);                                                           \
        init;                                                                                      \
    } while (0)

#define GC_WORDS_TO_WHOLE_GRANULES(n) GC_WORDS_TO_GRANULES((n) + GC_GRANULE_WORDS - 1)

#define GC_MALLOC_WORDS_KIND(result, n, lists, kind, init)                                         \
    do {                                                                                           \
        size_t gc_granules = GC_WORDS_TO_WHOLE_GRANULES(n);                                        \
        GC_FAST_MALLOC_GRANS(result, gc_granules, lists, 0, kind,                                  \
                             GC_malloc_kind(gc_granules *GC_GRANULE_BYTES, kind), init);           \
    } while (0)
#define GC_MALLOC_WORDS(result, n, lists)                                                          \
    GC_MALLOC_WORDS_KIND(result, n, lists, GC_I_NORMAL, *(void **)(result) = 0)
#define GC_MALLOC_ATOMIC_WORDS(result, n, lists)                                                   \
    GC_MALLOC_WORDS_KIND(result, n, lists, GC_I_PTRFREE, (void)0)
#define GC_CONS(result, first, second, lists)                                                      \
    do {                                                                                           \
        void *gc_left = (void *)(first);                                                           \
        void *gc_right = (void *)(second);                                                         \
        GC_MALLOC_WORDS_KIND(result, 2, lists, GC_I_NORMAL, (void)0);                              \
        if ((result) != NULL) {                                                                    \
            ((void **)(result))[0] = gc_left;                                                      \
            ((void **)(result))[1] = gc_right;                                                     \
        }                                                                                          \
        GC_reachable_here(gc_left);                                                                \
        GC_reachable_here(gc_right);                                                               \
    } while (0)

#ifdef __cplusplus
}
#endif
#endif
