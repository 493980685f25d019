/*
 * What the files of the gc.h drop-in share. It is a client of the collector (collector/client.h)
 * and otherwise uses the heap as any program does: an object of Boehm's is an untyped or
 * pointer-free one, a byte longer than asked for, so that the address just past its end lies in it.
 *
 *   gc_init        the start, and the events of a collection
 *   gc_alloc       allocation, free, realloc
 *   gc_kinds       kinds of objects, mark procedures, typed objects
 *   gc_held        objects that are roots until they are freed
 *   gc_finalize    finalizers in their orders
 *   gc_links       links that disappear
 *   gc_roots       ranges, data segments
 *   gc_threads     threads, stacks, locks
 *   gc_figures     counters and reports
 *   gc_settings    what can be set; gc_variables: the variables that old programs set
 *   gc_objects     from a pointer to its object
 *   gc_debug       the debugging forms
 *   gc_absent      what is not offered
 */
#ifndef SPANHEAP_GC_SHIM_H
#define SPANHEAP_GC_SHIM_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#define GC_BUILD
#define GC_THREADS
#define GC_NO_THREAD_REDIRECTS
#include "shims/include/gc/gc.h"
#include "shims/include/gc/gc_mark.h"

#include "collector/client.h"
#include "collector/cycle.h"
#include "collector/world.h"
#include "heap/alloc.h"
#include "shims/gc_die.h"
#include "shims/gc_table.h"

#define GC_GRANULE_B 16

/* Kinds that every program has; those of GC_new_kind() follow. */
enum { GC_PTRFREE, GC_NORMAL, GC_UNCOLLECTABLE, GC_ATOMIC_UNCOLLECTABLE, GC_FIRST_NEW_KIND };

/* ---- gc_init ---- */

/** Starts the library, if nothing has: with its own settings. */
void gc_start(void);
/** What a collection has left to do for the program, by the thread that allocates next. */
extern _Atomic bool gc_due;
void gc_do_due(void);
static inline void
gc_after_allocation(void)
{
    if (unlikely(atomic_load_explicit(&gc_due, memory_order_relaxed)))
        gc_do_due();
}

/* The lock of all tables here. Whoever holds it cannot be stopped, so a stop needs none. */
extern struct lock gc_lock;

/** Tells the program by its own procedure. text has one conversion of a word. */
void gc_warn(const char *text, GC_word arg);

/* ---- gc_alloc ---- */

/** Bytes by which each object is longer: 1 if a pointer may be just past the end, else 0. */
extern uint8_t gc_extra_b;
/** Bytes by GC_free() since the last collection. */
extern _Atomic uint64_t gc_freed_b;
/** Whole granules, one at least. SIZE_MAX: too much. */
size_t gc_round(size_t size, size_t extra);
/** size: rounded. NULL: no memory. */
void *gc_try_rounded(size_t size, enum span_kind kind);
/** The same, and what the program's own function for no memory returns, which need not be an object
 * of the heap. */
void *gc_alloc_rounded(size_t size, enum span_kind kind);
void *gc_out_of_memory(size_t size);
/** Whether p is no address of the heap, used or not. */
bool gc_is_outside(const void *p);
/** The start of the live object that p lies in; the end of the program, with the caller's name, if
 * there is none. */
void *gc_need_object(const void *p, const char *caller);

/* ---- gc_held ---- */

/** Makes a new object a root. False: no memory. */
bool gc_hold(void *object, int kind);
/** Lets it go. 0: it was not held; else its kind. */
int gc_let_go(void *object);
int gc_held_kind(const void *object);
void gc_held_read(void);

/* ---- gc_kinds ---- */

/** In a stop: calls the mark procedures of live objects that were not called yet. */
void gc_procs_settle(void);
/** In a stop: the procedure of one object, live or not. */
void gc_procs_call_for(uintptr_t object);
/** In a stop: forgets those of dead objects. */
void gc_procs_prune(void);
void gc_procs_begin(void);
void gc_procs_forget(void *object);

/* ---- gc_finalize, gc_links, gc_roots ---- */

void gc_finalizers_read(void);
void gc_finalizers_find(void);
bool gc_finalizers_are_due(void);
void gc_finalizers_notify(void);
void gc_finalizers_forget(void *object);
size_t gc_finalizers_registered(void);
size_t gc_finalizers_waiting(void);

enum gc_link_kind { GC_LINK_SHORT, GC_LINK_LONG };
void gc_links_clear(enum gc_link_kind kind);
/** Forgets those that lie in dead objects. */
void gc_links_prune(void);
size_t gc_links_registered(enum gc_link_kind kind);

void gc_roots_read(void);
bool gc_roots_contain(uintptr_t address);
bool gc_roots_scan_module(const char *name, uintptr_t start, size_t size);

/* ---- gc_settings, gc_figures ---- */

/** Variables that the program may have set. Under the cycle lock. */
void gc_settings_look(void);
/** At the start of a collection: the next goal is at least what the heap has now. Under the cycle
 * lock. */
void gc_keep_reached_size(void);
void gc_tell_event(GC_EventType event);
void gc_start_callback(void);
bool gc_is_disabled(enum sh_gc_trigger trigger);
void gc_figures_note_stop(void);
void gc_figures_after(void);
GC_oom_func gc_oom(void);

/* Declared in no header of Boehm's. */
GC_API uint64_t GC_arrays[512];
GC_API void (*GC_on_abort)(const char *text);
GC_API GC_push_other_roots_proc GC_push_other_roots;
GC_API void GC_incr_bytes_allocd(size_t bytes);
GC_API void GC_incr_bytes_freed(size_t bytes);
GC_API void GC_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
GC_API void GC_err_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
GC_API void GC_log_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** In a stop: of each thread that was stopped for it. */
void gc_tell_of_stopped(void);
void gc_tell_of_released(void);

/* As a lock: nothing collects meanwhile. It nests. See GC_call_with_alloc_lock(). */
void gc_alloc_lock_take(void);
void gc_alloc_lock_drop(void);
/** How often the calling thread has taken it, or holds it because it collects; and whether it has
 * stopped the others for that. */
extern _Thread_local unsigned gc_alloc_lock_depth __attribute__((tls_model("initial-exec")));
extern _Thread_local bool gc_in_stop __attribute__((tls_model("initial-exec")));

#endif
