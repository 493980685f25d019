/* Objects that begin with the address of a table which tells where their pointers are. */
#ifndef GC_GCJ_H
#define GC_GCJ_H

#include "gc.h"

#ifdef __cplusplus
extern "C" {
#endif
/** Before the others. proc_index, proc: a mark procedure for objects whose table asks for one. */
GC_API void GC_CALL GC_init_gcj_malloc(int proc_index, void *proc);
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL GC_gcj_malloc(size_t size, void *table);
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL
    GC_gcj_malloc_ignore_off_page(size_t size, void *table);
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL
    GC_debug_gcj_malloc(size_t size, void *table, GC_EXTRA_PARAMS);
GC_API int GC_gcj_kind;
GC_API int GC_gcj_debug_kind;
#ifdef GC_DEBUG
#define GC_GCJ_MALLOC(size, table) GC_debug_gcj_malloc(size, table, GC_EXTRAS)
#define GC_GCJ_MALLOC_IGNORE_OFF_PAGE(size, table) GC_debug_gcj_malloc(size, table, GC_EXTRAS)
#else
#define GC_GCJ_MALLOC(size, table) GC_gcj_malloc(size, table)
#define GC_GCJ_MALLOC_IGNORE_OFF_PAGE(size, table) GC_gcj_malloc_ignore_off_page(size, table)
#endif
#ifdef __cplusplus
}
#endif
#endif
