/* The variables of Boehm's library. Programs built for it may have copies of their own, which the
   loader then makes the only ones. */
#include "shims/gc_shim.h"

int GC_all_interior_pointers = 1;
int GC_finalize_on_demand;
int GC_java_finalization = 1;
GC_finalizer_notifier_proc GC_finalizer_notifier;
int GC_dont_gc;
int GC_dont_expand;
int GC_dont_precollect;
int GC_use_entire_heap;
int GC_full_freq = 19;
int GC_find_leak;
int GC_no_dls;
int GC_parallel = 1;
GC_word GC_gc_no;
GC_word GC_non_gc_bytes;
GC_word GC_free_space_divisor = 3;
GC_word GC_max_retries;
unsigned long GC_time_limit = GC_TIME_UNLIMITED;
char *GC_stackbottom;
GC_on_heap_resize_proc GC_on_heap_resize;
void *GC_least_plausible_heap_addr = (void *)UINTPTR_MAX;
void *GC_greatest_plausible_heap_addr;
const size_t GC_debug_header_size = 0;

/* Free lists by size that old inlined code looked at; they stay empty. */
extern __attribute__((visibility("default"))) void *GC_objfreelist_ptr, *GC_aobjfreelist_ptr,
    *GC_uobjfreelist_ptr, *GC_auobjfreelist_ptr;
uint64_t GC_arrays[512];
void *GC_objfreelist_ptr = GC_arrays;
void *GC_aobjfreelist_ptr = GC_arrays;
void *GC_uobjfreelist_ptr = GC_arrays;
void *GC_auobjfreelist_ptr = GC_arrays;
