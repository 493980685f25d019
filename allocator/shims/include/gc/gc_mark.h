/* For language runtimes: kinds of objects of their own, roots of their own, mark procedures. */
#ifndef GC_MARK_H
#define GC_MARK_H

#include "gc.h"

#ifdef __cplusplus
extern "C" {
#endif

struct GC_ms_entry {
    void *opaque;
};

/**
 * Called in a collection with an object of a kind that has it, while all threads are stopped: hands
 * over what the object points to by GC_MARK_AND_PUSH(), and returns what that returned last. Here
 * all words of the object are followed besides.
 */
typedef struct GC_ms_entry *(*GC_mark_proc)(GC_word *object, struct GC_ms_entry *stack,
                                            struct GC_ms_entry *limit, GC_word env);

#define GC_PROC_BYTES 100
#define GC_LOG_MAX_MARK_PROCS 6
#define GC_MAX_MARK_PROCS (1 << GC_LOG_MAX_MARK_PROCS)
#define GC_RESERVED_MARK_PROCS 8
#define GC_GCJ_RESERVED_MARK_PROC_INDEX 0

/* A descriptor's lowest two bits say what the others are. */
#define GC_DS_TAG_BITS 2
#define GC_DS_TAGS ((1 << GC_DS_TAG_BITS) - 1)
#define GC_DS_LENGTH 0     /* so many bytes may be pointers */
#define GC_DS_BITMAP 1     /* from the highest bit on, one a word */
#define GC_DS_PROC 2       /* a mark procedure: GC_MAKE_PROC() */
#define GC_DS_PER_OBJECT 3 /* where the object has its own */
#define GC_MAKE_PROC(index, env)                                                                   \
    (((((env) << GC_LOG_MAX_MARK_PROCS) | (index)) << GC_DS_TAG_BITS) | GC_DS_PROC)
#define GC_INDIR_PER_OBJ_BIAS 0x10

/* Between these every object lies. */
GC_API void *GC_least_plausible_heap_addr;
GC_API void *GC_greatest_plausible_heap_addr;

GC_API struct GC_ms_entry *GC_CALL GC_mark_and_push(void *object, struct GC_ms_entry *stack,
                                                    struct GC_ms_entry *limit, void **source);
#define GC_MARK_AND_PUSH(object, stack, limit, source)                                             \
    ((GC_word)(object) >= (GC_word)GC_least_plausible_heap_addr &&                                 \
             (GC_word)(object) <= (GC_word)GC_greatest_plausible_heap_addr                         \
         ? GC_mark_and_push(object, stack, limit, source)                                          \
         : (stack))

/* Nothing is kept before a debug object. */
GC_API GC_ATTR_CONST size_t GC_CALL GC_get_debug_header_size(void);
#ifdef GC_BUILD
GC_API const size_t GC_debug_header_size;
#else
GC_API GC_ATTR_DEPRECATED size_t GC_debug_header_size;
#endif
#define GC_USR_PTR_FROM_BASE(p) ((void *)((char *)(p) + GC_get_debug_header_size()))

GC_API void **GC_CALL GC_new_free_list(void);
GC_API void **GC_CALL GC_new_free_list_inner(void);
/** A new kind. add_size: the length of a GC_DS_LENGTH descriptor grows by the object's size. */
GC_API unsigned GC_CALL GC_new_kind(void **free_list, GC_word descr, int add_size, int clear)
    GC_ATTR_NONNULL(1);
GC_API unsigned GC_CALL GC_new_kind_inner(void **free_list, GC_word descr, int add_size, int clear)
    GC_ATTR_NONNULL(1);
/** A number for GC_MAKE_PROC(). */
GC_API unsigned GC_CALL GC_new_proc(GC_mark_proc proc);
GC_API unsigned GC_CALL GC_new_proc_inner(GC_mark_proc proc);

GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL GC_generic_malloc(size_t size, int kind);
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL
    GC_generic_malloc_ignore_off_page(size_t size, int kind);
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL
    GC_generic_malloc_uncollectable(size_t size, int kind);
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL
    GC_generic_or_special_malloc(size_t size, int kind);
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL
    GC_debug_generic_or_special_malloc(size_t size, int kind, GC_EXTRA_PARAMS);
#ifdef GC_DEBUG
#define GC_GENERIC_OR_SPECIAL_MALLOC(size, kind)                                                   \
    GC_debug_generic_or_special_malloc(size, kind, GC_EXTRAS)
#else
#define GC_GENERIC_OR_SPECIAL_MALLOC(size, kind) GC_generic_or_special_malloc(size, kind)
#endif
/** The kind of the object that begins at p; its size is stored if the second argument is not NULL.
 */
GC_API int GC_CALL GC_get_kind_and_size(const void *p, size_t *size) GC_ATTR_NONNULL(1);

typedef void(GC_CALLBACK *GC_describe_type_fn)(void *object, char *text);
#define GC_TYPE_DESCR_LEN 40
GC_API void GC_CALL GC_register_describe_type_fn(int kind, GC_describe_type_fn describe);
GC_API void *GC_CALL GC_clear_stack(void *p);

/** Called at the start of each collection, by the thread that does it. */
typedef void(GC_CALLBACK *GC_start_callback_proc)(void);
GC_API void GC_CALL GC_set_start_callback(GC_start_callback_proc proc);
GC_API GC_start_callback_proc GC_CALL GC_get_start_callback(void);

GC_API int GC_CALL GC_is_marked(const void *p) GC_ATTR_NONNULL(1);
GC_API void GC_CALL GC_clear_mark_bit(const void *p) GC_ATTR_NONNULL(1);
GC_API void GC_CALL GC_set_mark_bit(const void *p) GC_ATTR_NONNULL(1);

/** Called in each collection, while all threads are stopped: more roots, by GC_push_all*(). */
typedef void(GC_CALLBACK *GC_push_other_roots_proc)(void);
GC_API void GC_CALL GC_set_push_other_roots(GC_push_other_roots_proc proc);
GC_API GC_push_other_roots_proc GC_CALL GC_get_push_other_roots(void);
/** What [bottom, top) holds is a root of this collection. */
GC_API void GC_CALL GC_push_all(void *bottom, void *top);
GC_API void GC_CALL GC_push_all_eager(void *bottom, void *top);
GC_API void GC_CALL GC_push_conditional(void *bottom, void *top, int all);
GC_API void GC_CALL GC_push_finalizer_structures(void);

/** Calls proc for each object that the last collection has found live, or that was made since. By
 * GC_call_with_alloc_lock(). */
typedef void(GC_CALLBACK *GC_reachable_object_proc)(void *object, size_t size, void *arg);
GC_API void GC_CALL GC_enumerate_reachable_objects_inner(GC_reachable_object_proc proc, void *arg)
    GC_ATTR_NONNULL(1);
GC_API int GC_CALL GC_is_tmp_root(void *p);
GC_API void GC_CALL GC_print_trace(GC_word number);
GC_API void GC_CALL GC_print_trace_inner(GC_word number);

#ifdef __cplusplus
}
#endif
#endif
