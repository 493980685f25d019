/*
 * The seam between a work and an allocator. One of four headers, chosen when compiling:
 *
 *     -DGC_SPANHEAP (default)   gc_spanheap.h   collected; typed objects, sh_store
 *     -DGC_BOEHM                gc_boehm.h      collected; -DGC_BOEHM_PARALLEL: see there
 *     -DGC_MALLOC               gc_malloc.h     freed explicitly; whichever malloc is linked
 *
 * Each gives:
 *
 *     GC_PEER                        "spanheap", "boehm", ...
 *     GC_COLLECTS                    1 if a collector takes memory back, 0 if gc_free() does
 *     GC_TYPE(NAME, struct s, MASK)  describes struct s; MASK ORs GC_POINTER(struct s, field)
 *     gc_init()                      before the first object
 *     gc_new(&NAME)                  an object; zeroed if GC_COLLECTS, so works set every pointer
 *     gc_new_data(size)              an object without pointers
 *     gc_new_pointers(n)             a table of n pointers, zeroed
 *     gc_store(slot, value)          *slot = value, in an object that may already be shown
 *     gc_free(p)                     frees where that is explicit; else nothing, and free of cost
 *     gc_collect()                   a whole collection, sweep included
 *     gc_growth_off()                no collection from here on but by gc_collect()
 *     gc_keep(p)                     the compiler cannot drop what made p
 *     gc_thread_create/join          threads that may use the heap
 */
#ifndef SPANHEAP_BENCH_GC_API_H
#define SPANHEAP_BENCH_GC_API_H

#include "work.h"

#if defined(GC_MALLOC)
#include "gc_malloc.h"
#elif defined(GC_BOEHM)
#include "gc_boehm.h"
#else
#include "gc_spanheap.h"
#endif

static inline void
gc_keep(const void *p)
{
    __asm__ volatile("" : : "r"(p) : "memory");
}

#endif
