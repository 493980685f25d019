/*
 * The interface of Boehm's collector (version 8.2), offered by spanheap's libgc.so.1. Programs that
 * are written for gc.h compile and run unchanged. What each name does here, and which do nothing or
 * abort, is in the tables of shims/README.md.
 *
 * Seen as references: registers, stacks and thread-local storage of the main thread and of threads
 * made by GC_pthread_create() (pthread_create() with GC_THREADS defined) or registered; the
 * writable data of the program and its libraries; ranges given to GC_add_roots(); uncollectable
 * objects; and other live objects. A pointer anywhere into an object keeps it, and one just past
 * its end too unless GC_set_all_interior_pointers(0) came first. Memory from malloc is not seen.
 */
#ifndef GC_H
#define GC_H

#include "gc_config_macros.h"
#include "gc_version.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef unsigned long GC_word;
typedef long GC_signed_word;

/* What some functions return. */
#define GC_SUCCESS 0
#define GC_DUPLICATE 1
#define GC_NO_THREADS 2
#define GC_NO_MEMORY 2
#define GC_UNIMPLEMENTED 3
#define GC_NOT_FOUND 4

/* ---- Start ---- */

/** Before the first allocation, from the main thread; GC_INIT() is the portable form. */
GC_API void GC_CALL GC_init(void);
GC_API int GC_CALL GC_is_init_called(void);
GC_API void GC_CALL GC_deinit(void);
/** Major, minor and micro version: 16, 8 and 8 bits. */
GC_API unsigned GC_CALL GC_get_version(void);

/* ---- Allocation: NULL, or what the function of GC_set_oom_fn() returns, without memory ---- */

/** Zeroed; every aligned word may be a pointer. 16-byte aligned, like all that follow. */
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL GC_malloc(size_t size);
/** Holds no pointers. (Zeroed here, too.) */
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL GC_malloc_atomic(size_t size);
/** Not taken back before GC_free(), and scanned. */
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL GC_malloc_uncollectable(size_t size);
/** Not taken back before GC_free(), and not scanned. */
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL
    GC_malloc_atomic_uncollectable(size_t size);
/** For large objects to whose start, or its neighbourhood, the program keeps a pointer. */
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL GC_malloc_ignore_off_page(size_t size);
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL
    GC_malloc_atomic_ignore_off_page(size_t size);
GC_API GC_ATTR_MALLOC char *GC_CALL GC_strdup(const char *text);
GC_API GC_ATTR_MALLOC char *GC_CALL GC_strndup(const char *text, size_t most) GC_ATTR_NONNULL(1);
/** alignment: a power of two up to 8192. */
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(2) void *GC_CALL
    GC_memalign(size_t alignment, size_t size);
/** 0, EINVAL or ENOMEM. */
GC_API int GC_CALL GC_posix_memalign(void **result, size_t alignment, size_t size)
    GC_ATTR_NONNULL(1);
/** Keeps the kind of the object. size 0 frees it and returns NULL. */
GC_API void *GC_CALL GC_realloc(void *p, size_t size) GC_ATTR_ALLOC_SIZE(2);
/** p: NULL or the start of a live object. Its finalizer is taken off, and not called. */
GC_API void GC_CALL GC_free(void *p);
/** A list of zeroed objects of a size, linked by their first words: GC_NEXT(). */
GC_API GC_ATTR_MALLOC void *GC_CALL GC_malloc_many(size_t size);
#define GC_NEXT(p) (*(void **)(p))

GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) GC_ATTR_DEPRECATED void *GC_CALL
    GC_malloc_stubborn(size_t size);
GC_API GC_ATTR_DEPRECATED void GC_CALL GC_change_stubborn(const void *p);
GC_API void GC_CALL GC_end_stubborn_change(const void *p) GC_ATTR_NONNULL(1);

/* ---- Objects ---- */

/** The start of the object that contains p, or NULL: it is not in one. */
GC_API void *GC_CALL GC_base(void *p);
/** Whether p lies in the heap. */
GC_API int GC_CALL GC_is_heap_ptr(const void *p);
/** Bytes from the start of an object to its end: at least what was asked for. */
GC_API size_t GC_CALL GC_size(const void *object) GC_ATTR_NONNULL(1);

/** p, if p and q are in one object; else calls GC_same_obj_print_proc, which aborts. */
GC_API void *GC_CALL GC_same_obj(void *p, void *q);
GC_API void *GC_CALL GC_pre_incr(void **p, ptrdiff_t bytes) GC_ATTR_NONNULL(1);
GC_API void *GC_CALL GC_post_incr(void **p, ptrdiff_t bytes) GC_ATTR_NONNULL(1);
GC_API void *GC_CALL GC_is_visible(void *p);
GC_API void *GC_CALL GC_is_valid_displacement(void *p);
GC_API void(GC_CALLBACK *GC_same_obj_print_proc)(void *p, void *q);
GC_API void(GC_CALLBACK *GC_is_valid_displacement_print_proc)(void *p);
GC_API void(GC_CALLBACK *GC_is_visible_print_proc)(void *p);

GC_API void GC_CALL GC_register_displacement(size_t offset);
GC_API void GC_CALL GC_debug_register_displacement(size_t offset);
GC_API void GC_CALL GC_set_all_interior_pointers(int on);
GC_API int GC_CALL GC_get_all_interior_pointers(void);
GC_API GC_ATTR_DEPRECATED int GC_all_interior_pointers;

/* ---- Collection ---- */

GC_API void GC_CALL GC_gcollect(void);
/** The same, and free pages go back to the system. */
GC_API void GC_CALL GC_gcollect_and_unmap(void);
/** Collects unless stop() says 1 before it begins. 0: it did not. */
typedef int(GC_CALLBACK *GC_stop_func)(void);
GC_API int GC_CALL GC_try_to_collect(GC_stop_func stop) GC_ATTR_NONNULL(1);
GC_API void GC_CALL GC_set_stop_func(GC_stop_func stop) GC_ATTR_NONNULL(1);
GC_API GC_stop_func GC_CALL GC_get_stop_func(void);
/** Here a whole collection, if the heap is near its goal. 0: no more to do. */
GC_API int GC_CALL GC_collect_a_little(void);
/** Nest: nothing collects until as many calls of GC_enable(). */
GC_API void GC_CALL GC_disable(void);
GC_API void GC_CALL GC_enable(void);
GC_API int GC_CALL GC_is_disabled(void);
GC_API GC_ATTR_DEPRECATED int GC_dont_gc;

GC_API void GC_CALL GC_set_manual_vdb_allowed(int on);
GC_API int GC_CALL GC_get_manual_vdb_allowed(void);
GC_API void GC_CALL GC_enable_incremental(void);
GC_API int GC_CALL GC_is_incremental_mode(void);
#define GC_PROTECTS_POINTER_HEAP 1
#define GC_PROTECTS_PTRFREE_HEAP 2
#define GC_PROTECTS_STATIC_DATA 4
#define GC_PROTECTS_STACK 8
#define GC_PROTECTS_NONE 0
GC_API int GC_CALL GC_incremental_protection_needs(void);
GC_API void GC_CALL GC_start_incremental_collection(void);

typedef enum {
    GC_EVENT_START,
    GC_EVENT_MARK_START,
    GC_EVENT_MARK_END,
    GC_EVENT_RECLAIM_START,
    GC_EVENT_RECLAIM_END,
    GC_EVENT_END,
    GC_EVENT_PRE_STOP_WORLD,
    GC_EVENT_POST_STOP_WORLD,
    GC_EVENT_PRE_START_WORLD,
    GC_EVENT_POST_START_WORLD,
    GC_EVENT_THREAD_SUSPENDED,
    GC_EVENT_THREAD_UNSUSPENDED
} GC_EventType;
/** Called by the thread that collects. It must not use the heap; from POST_STOP_WORLD to
 * PRE_START_WORLD no lock of the C library either. */
typedef void(GC_CALLBACK *GC_on_collection_event_proc)(GC_EventType event);
GC_API void GC_CALL GC_set_on_collection_event(GC_on_collection_event_proc proc);
GC_API GC_on_collection_event_proc GC_CALL GC_get_on_collection_event(void);
#if defined(GC_THREADS) || defined(GC_BUILD)
/** Called in a stop, by the thread that collects: with GC_EVENT_THREAD_SUSPENDED and the pthread_t
 * of each other thread once all have stopped, and ..._UNSUSPENDED before they are let go. */
typedef void(GC_CALLBACK *GC_on_thread_event_proc)(GC_EventType event, void *thread);
GC_API void GC_CALL GC_set_on_thread_event(GC_on_thread_event_proc proc);
GC_API GC_on_thread_event_proc GC_CALL GC_get_on_thread_event(void);
#endif
/** Called at the end of a collection with the heap's size, where that has changed. */
typedef void(GC_CALLBACK *GC_on_heap_resize_proc)(GC_word size);
GC_API void GC_CALL GC_set_on_heap_resize(GC_on_heap_resize_proc proc);
GC_API GC_on_heap_resize_proc GC_CALL GC_get_on_heap_resize(void);
GC_API GC_ATTR_DEPRECATED GC_on_heap_resize_proc GC_on_heap_resize;

/* ---- Figures ---- */

GC_API size_t GC_CALL GC_get_heap_size(void);      /**< memory held for objects */
GC_API size_t GC_CALL GC_get_free_bytes(void);     /**< of it, in no object */
GC_API size_t GC_CALL GC_get_unmapped_bytes(void); /**< given back, or never taken */
GC_API size_t GC_CALL GC_get_bytes_since_gc(void);
GC_API size_t GC_CALL GC_get_expl_freed_bytes_since_gc(void);
GC_API size_t GC_CALL GC_get_total_bytes(void); /**< ever allocated */
GC_API size_t GC_CALL GC_get_obtained_from_os_bytes(void);
GC_API size_t GC_CALL GC_get_memory_use(void);
GC_API size_t GC_CALL GC_get_size_map_at(int i);
/** Any may be NULL. */
GC_API void GC_CALL GC_get_heap_usage_safe(GC_word *heap_size, GC_word *free_bytes,
                                           GC_word *unmapped_bytes, GC_word *bytes_since_gc,
                                           GC_word *total_bytes);
struct GC_prof_stats_s {
    GC_word heapsize_full;
    GC_word free_bytes_full;
    GC_word unmapped_bytes;
    GC_word bytes_allocd_since_gc;
    GC_word allocd_bytes_before_gc;
    GC_word non_gc_bytes;
    GC_word gc_no;
    GC_word markers_m1;
    GC_word bytes_reclaimed_since_gc;
    GC_word reclaimed_bytes_before_gc;
    GC_word expl_freed_bytes_since_gc;
    GC_word obtained_from_os_bytes;
};
/** Fills as much as size says, the rest of a longer structure with 0xff. Returns the bytes filled.
 */
GC_API size_t GC_CALL GC_get_prof_stats(struct GC_prof_stats_s *stats, size_t size);
#if defined(GC_THREADS) || defined(GC_BUILD)
GC_API size_t GC_CALL GC_get_prof_stats_unsafe(struct GC_prof_stats_s *stats, size_t size);
#endif
GC_API GC_ATTR_DEPRECATED GC_word GC_gc_no;
GC_API GC_word GC_CALL GC_get_gc_no(void); /**< collections so far */
GC_API GC_ATTR_DEPRECATED int GC_parallel;
GC_API int GC_CALL GC_get_parallel(void); /**< markers beside the collecting thread */
GC_API void GC_CALL GC_start_performance_measurement(void);
GC_API unsigned long GC_CALL GC_get_full_gc_total_time(void); /**< ms in stops, since that call */

GC_API void GC_CALL GC_dump(void);
GC_API void GC_CALL GC_dump_named(const char *name);
GC_API void GC_CALL GC_dump_regions(void);
GC_API void GC_CALL GC_dump_finalization(void);

/* ---- Roots ---- */

/** [low, high_plus_1) is scanned. */
GC_API void GC_CALL GC_add_roots(void *low, void *high_plus_1);
/** Takes back what was added and lies in the range. */
GC_API void GC_CALL GC_remove_roots(void *low, void *high_plus_1);
GC_API void GC_CALL GC_clear_roots(void);
/** That part of a data segment is not scanned. */
GC_API void GC_CALL GC_exclude_static_roots(void *low, void *high_plus_1);
GC_API void GC_CALL GC_clear_exclusion_table(void);
/** No data segment is: before GC_INIT(). */
GC_API void GC_CALL GC_set_no_dls(int on);
GC_API int GC_CALL GC_get_no_dls(void);
GC_API GC_ATTR_DEPRECATED int GC_no_dls;
/** Asked for each data segment; 0: it is not scanned. */
typedef int(GC_CALLBACK *GC_has_static_roots_func)(const char *file, void *start, size_t size);
GC_API void GC_CALL GC_register_has_static_roots_callback(GC_has_static_roots_func filter);

/* ---- Finalizers and links ---- */

typedef void(GC_CALLBACK *GC_finalization_proc)(void *object, void *arg);
/**
 * Has proc(object, arg) called once, after a collection has found that nothing but objects with
 * finalizers, or itself, leads to the object, and that no other object with a finalizer does
 * (so a ring of such objects stays). proc NULL: takes it back. *old_proc and *old_arg, where not
 * NULL, become what was set before.
 */
GC_API void GC_CALL GC_register_finalizer(void *object, GC_finalization_proc proc, void *arg,
                                          GC_finalization_proc *old_proc, void **old_arg)
    GC_ATTR_NONNULL(1);
/** The same; the object's own pointers to itself make no ring. */
GC_API void GC_CALL GC_register_finalizer_ignore_self(void *object, GC_finalization_proc proc,
                                                      void *arg, GC_finalization_proc *old_proc,
                                                      void **old_arg) GC_ATTR_NONNULL(1);
/** In no order: all objects that only each other lead to at once, rings too. */
GC_API void GC_CALL GC_register_finalizer_no_order(void *object, GC_finalization_proc proc,
                                                   void *arg, GC_finalization_proc *old_proc,
                                                   void **old_arg) GC_ATTR_NONNULL(1);
/** Only when it cannot be reached from another object that is to be finalized either. */
GC_API void GC_CALL GC_register_finalizer_unreachable(void *object, GC_finalization_proc proc,
                                                      void *arg, GC_finalization_proc *old_proc,
                                                      void **old_arg) GC_ATTR_NONNULL(1);
GC_API int GC_CALL GC_should_invoke_finalizers(void);
/** Runs the finalizers that are due. Returns how many. */
GC_API int GC_CALL GC_invoke_finalizers(void);
/** 1: finalizers run in GC_invoke_finalizers() only. Else an allocation that follows runs them. */
GC_API void GC_CALL GC_set_finalize_on_demand(int on);
GC_API int GC_CALL GC_get_finalize_on_demand(void);
GC_API GC_ATTR_DEPRECATED int GC_finalize_on_demand;
GC_API void GC_CALL GC_set_java_finalization(int on);
GC_API int GC_CALL GC_get_java_finalization(void);
GC_API GC_ATTR_DEPRECATED int GC_java_finalization;
/** Finalizers on demand: called after a collection that has found some. */
typedef void(GC_CALLBACK *GC_finalizer_notifier_proc)(void);
GC_API void GC_CALL GC_set_finalizer_notifier(GC_finalizer_notifier_proc proc);
GC_API GC_finalizer_notifier_proc GC_CALL GC_get_finalizer_notifier(void);
GC_API GC_ATTR_DEPRECATED GC_finalizer_notifier_proc GC_finalizer_notifier;
/** Called in the stop for each object whose finalizer becomes due. */
typedef void(GC_CALLBACK *GC_await_finalize_proc)(void *object);
GC_API void GC_CALL GC_set_await_finalize_proc(GC_await_finalize_proc proc);
GC_API GC_await_finalize_proc GC_CALL GC_get_await_finalize_proc(void);
GC_API void GC_CALL GC_set_allocd_bytes_per_finalizer(GC_word bytes);
GC_API GC_word GC_CALL GC_get_allocd_bytes_per_finalizer(void);

/**
 * *link, which the collector must not see as a pointer (it is in a pointer-free object, or hidden
 * by GC_HIDE_POINTER()), becomes 0 when the object dies, before finalizers run. GC_SUCCESS;
 * GC_DUPLICATE: it was registered, and is now for this object; GC_NO_MEMORY. Read it inside
 * GC_call_with_alloc_lock().
 */
GC_API int GC_CALL GC_general_register_disappearing_link(void **link, const void *object)
    GC_ATTR_NONNULL(1) GC_ATTR_NONNULL(2);
/** For the object that contains the link. */
GC_API int GC_CALL GC_register_disappearing_link(void **link) GC_ATTR_NONNULL(1);
/** The registration goes to another address; the contents are the caller's. */
GC_API int GC_CALL GC_move_disappearing_link(void **link, void **to) GC_ATTR_NONNULL(2);
/** 1: it was registered. */
GC_API int GC_CALL GC_unregister_disappearing_link(void **link);
/** The same for links that live until nothing, finalizers included, leads to the object. */
GC_API int GC_CALL GC_register_long_link(void **link, const void *object) GC_ATTR_NONNULL(1)
    GC_ATTR_NONNULL(2);
GC_API int GC_CALL GC_move_long_link(void **link, void **to) GC_ATTR_NONNULL(2);
GC_API int GC_CALL GC_unregister_long_link(void **link);

typedef GC_word GC_hidden_pointer;
#define GC_HIDE_POINTER(p) (~(GC_hidden_pointer)(p))
#define GC_REVEAL_POINTER(p) ((void *)GC_HIDE_POINTER(p))
#if defined(I_HIDE_POINTERS) || defined(GC_I_HIDE_POINTERS)
#define HIDE_POINTER(p) GC_HIDE_POINTER(p)
#define REVEAL_POINTER(p) GC_REVEAL_POINTER(p)
#endif

typedef enum { GC_TOGGLE_REF_DROP, GC_TOGGLE_REF_STRONG, GC_TOGGLE_REF_WEAK } GC_ToggleRefStatus;
typedef GC_ToggleRefStatus(GC_CALLBACK *GC_toggleref_func)(void *object);
GC_API void GC_CALL GC_set_toggleref_func(GC_toggleref_func proc);
GC_API GC_toggleref_func GC_CALL GC_get_toggleref_func(void);
GC_API int GC_CALL GC_toggleref_add(void *object, int strong) GC_ATTR_NONNULL(1);

/* ---- Threads ---- */

typedef void *(GC_CALLBACK *GC_fn_type)(void *arg);
/** Runs fn(arg) while nothing collects and no other thread is in such a call. fn must not use the
 * heap. */
GC_API void *GC_CALL GC_call_with_alloc_lock(GC_fn_type fn, void *arg) GC_ATTR_NONNULL(1);
#if defined(GC_THREADS) || defined(GC_BUILD)
GC_API void GC_CALL GC_alloc_lock(void);
GC_API void GC_CALL GC_alloc_unlock(void);
#else
#define GC_alloc_lock() (void)0
#define GC_alloc_unlock() (void)0
#endif

struct GC_stack_base {
    void *mem_base; /* the end of the stack that calls come from */
};
typedef void *(GC_CALLBACK *GC_stack_base_func)(struct GC_stack_base *base, void *arg);
GC_API void *GC_CALL GC_call_with_stack_base(GC_stack_base_func fn, void *arg) GC_ATTR_NONNULL(1);
GC_API int GC_CALL GC_get_stack_base(struct GC_stack_base *base) GC_ATTR_NONNULL(1);
/** Returns what GC_set_stackbottom() takes for the calling thread. */
GC_API void *GC_CALL GC_get_my_stackbottom(struct GC_stack_base *base) GC_ATTR_NONNULL(1);
/** The thread runs on another stack from now on: for coroutines, inside GC_call_with_alloc_lock().
 * thread NULL: the caller. */
GC_API void GC_CALL GC_set_stackbottom(void *thread, const struct GC_stack_base *base)
    GC_ATTR_NONNULL(2);
GC_API GC_ATTR_DEPRECATED char *GC_stackbottom;

/** fn(arg) does not touch the heap: it delays no collection. Its callers' stack is scanned. */
GC_API void *GC_CALL GC_do_blocking(GC_fn_type fn, void *arg) GC_ATTR_NONNULL(1);
/** Inside of that: fn(arg) does. */
GC_API void *GC_CALL GC_call_with_gc_active(GC_fn_type fn, void *arg) GC_ATTR_NONNULL(1);
GC_API void GC_CALL GC_start_mark_threads(void);
GC_API void GC_CALL GC_set_markers_count(unsigned n);

#if defined(GC_THREADS) || defined(GC_BUILD)
/** Before GC_register_my_thread(), from a thread that is registered. */
GC_API void GC_CALL GC_allow_register_threads(void);
/** GC_SUCCESS, or GC_DUPLICATE: it is registered. */
GC_API int GC_CALL GC_register_my_thread(const struct GC_stack_base *base) GC_ATTR_NONNULL(1);
GC_API int GC_CALL GC_thread_is_registered(void);
GC_API int GC_CALL GC_unregister_my_thread(void);
GC_API void GC_CALL GC_register_altstack(void *stack, GC_word size, void *altstack,
                                         GC_word alt_size);
GC_API void GC_CALL GC_set_suspend_signal(int number);
GC_API void GC_CALL GC_set_thr_restart_signal(int number);
GC_API int GC_CALL GC_get_suspend_signal(void);
GC_API int GC_CALL GC_get_thr_restart_signal(void);
GC_API void GC_CALL GC_stop_world_external(void);
GC_API void GC_CALL GC_start_world_external(void);
#endif

GC_API void GC_CALL GC_set_handle_fork(int how);
GC_API void GC_CALL GC_atfork_prepare(void);
GC_API void GC_CALL GC_atfork_parent(void);
GC_API void GC_CALL GC_atfork_child(void);

/* ---- When things go wrong ---- */

/** Called when there is no memory for size bytes; what it returns the allocation returns. */
typedef void *(GC_CALLBACK *GC_oom_func)(size_t size);
GC_API void GC_CALL GC_set_oom_fn(GC_oom_func fn) GC_ATTR_NONNULL(1);
GC_API GC_oom_func GC_CALL GC_get_oom_fn(void);
GC_API GC_ATTR_DEPRECATED GC_oom_func GC_oom_fn;
/** text has one %-conversion of a word, for which the second argument is. */
typedef void(GC_CALLBACK *GC_warn_proc)(char *text, GC_word arg);
GC_API void GC_CALL GC_set_warn_proc(GC_warn_proc proc) GC_ATTR_NONNULL(1);
GC_API GC_warn_proc GC_CALL GC_get_warn_proc(void);
GC_API void GC_CALL GC_ignore_warn_proc(char *text, GC_word arg);
GC_API void GC_CALL GC_set_log_fd(int fd);
/** Called before the library ends the program. */
typedef void(GC_CALLBACK *GC_abort_func)(const char *text);
GC_API void GC_CALL GC_set_abort_func(GC_abort_func fn) GC_ATTR_NONNULL(1);
GC_API GC_abort_func GC_CALL GC_get_abort_func(void);
GC_API void GC_CALL GC_abort_on_oom(void);

/* ---- Settings; which have an effect here is in shims/README.md ---- */

GC_API void GC_CALL GC_set_free_space_divisor(GC_word divisor);
GC_API GC_word GC_CALL GC_get_free_space_divisor(void);
GC_API GC_ATTR_DEPRECATED GC_word GC_free_space_divisor;
GC_API void GC_CALL GC_set_max_heap_size(GC_word size);
GC_API int GC_CALL GC_expand_hp(size_t size);
GC_API GC_ATTR_DEPRECATED GC_word GC_non_gc_bytes;
GC_API void GC_CALL GC_set_non_gc_bytes(GC_word bytes);
GC_API GC_word GC_CALL GC_get_non_gc_bytes(void);
GC_API GC_ATTR_DEPRECATED int GC_find_leak;
GC_API void GC_CALL GC_set_find_leak(int on);
GC_API int GC_CALL GC_get_find_leak(void);
GC_API GC_ATTR_DEPRECATED int GC_dont_expand;
GC_API void GC_CALL GC_set_dont_expand(int on);
GC_API int GC_CALL GC_get_dont_expand(void);
GC_API GC_ATTR_DEPRECATED int GC_use_entire_heap;
GC_API GC_ATTR_DEPRECATED int GC_full_freq;
GC_API void GC_CALL GC_set_full_freq(int n);
GC_API int GC_CALL GC_get_full_freq(void);
GC_API GC_ATTR_DEPRECATED GC_word GC_max_retries;
GC_API void GC_CALL GC_set_max_retries(GC_word n);
GC_API GC_word GC_CALL GC_get_max_retries(void);
GC_API GC_ATTR_DEPRECATED int GC_dont_precollect;
GC_API void GC_CALL GC_set_dont_precollect(int on);
GC_API int GC_CALL GC_get_dont_precollect(void);
#define GC_TIME_UNLIMITED 999999
GC_API GC_ATTR_DEPRECATED unsigned long GC_time_limit;
GC_API void GC_CALL GC_set_time_limit(unsigned long ms);
GC_API unsigned long GC_CALL GC_get_time_limit(void);
struct GC_timeval_s {
    unsigned long tv_ms;
    unsigned long tv_nsec;
};
GC_API void GC_CALL GC_set_time_limit_tv(struct GC_timeval_s limit);
GC_API struct GC_timeval_s GC_CALL GC_get_time_limit_tv(void);
GC_API void GC_CALL GC_set_pages_executable(int on);
GC_API int GC_CALL GC_get_pages_executable(void);
GC_API void GC_CALL GC_set_min_bytes_allocd(size_t bytes);
GC_API size_t GC_CALL GC_get_min_bytes_allocd(void);
GC_API void GC_CALL GC_set_rate(int n);
GC_API int GC_CALL GC_get_rate(void);
GC_API void GC_CALL GC_set_max_prior_attempts(int n);
GC_API int GC_CALL GC_get_max_prior_attempts(void);
GC_API void GC_CALL GC_set_disable_automatic_collection(int on);
GC_API int GC_CALL GC_get_disable_automatic_collection(void);
GC_API void GC_CALL GC_set_force_unmap_on_gcollect(int on);
GC_API int GC_CALL GC_get_force_unmap_on_gcollect(void);

/* ---- Debugging forms: file and line are not kept ---- */

GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL
    GC_debug_malloc(size_t size, GC_EXTRA_PARAMS);
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL
    GC_debug_malloc_atomic(size_t size, GC_EXTRA_PARAMS);
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL
    GC_debug_malloc_uncollectable(size_t size, GC_EXTRA_PARAMS);
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL
    GC_debug_malloc_atomic_uncollectable(size_t size, GC_EXTRA_PARAMS);
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL
    GC_debug_malloc_ignore_off_page(size_t size, GC_EXTRA_PARAMS);
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL
    GC_debug_malloc_atomic_ignore_off_page(size_t size, GC_EXTRA_PARAMS);
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) GC_ATTR_DEPRECATED void *GC_CALL
    GC_debug_malloc_stubborn(size_t size, GC_EXTRA_PARAMS);
GC_API GC_ATTR_MALLOC GC_ATTR_ALLOC_SIZE(1) void *GC_CALL GC_debug_malloc_replacement(size_t size);
GC_API GC_ATTR_MALLOC char *GC_CALL GC_debug_strdup(const char *text, GC_EXTRA_PARAMS);
GC_API GC_ATTR_MALLOC char *GC_CALL GC_debug_strndup(const char *text, size_t most, GC_EXTRA_PARAMS)
    GC_ATTR_NONNULL(1);
GC_API void *GC_CALL GC_debug_realloc(void *p, size_t size, GC_EXTRA_PARAMS) GC_ATTR_ALLOC_SIZE(2);
GC_API GC_ATTR_ALLOC_SIZE(2) void *GC_CALL GC_debug_realloc_replacement(void *p, size_t size);
GC_API void GC_CALL GC_debug_free(void *p);
GC_API GC_ATTR_DEPRECATED void GC_CALL GC_debug_change_stubborn(const void *p);
GC_API void GC_CALL GC_debug_end_stubborn_change(const void *p) GC_ATTR_NONNULL(1);
GC_API void GC_CALL GC_debug_register_finalizer(void *object, GC_finalization_proc proc, void *arg,
                                                GC_finalization_proc *old_proc, void **old_arg)
    GC_ATTR_NONNULL(1);
GC_API void GC_CALL GC_debug_register_finalizer_ignore_self(void *object, GC_finalization_proc proc,
                                                            void *arg,
                                                            GC_finalization_proc *old_proc,
                                                            void **old_arg) GC_ATTR_NONNULL(1);
GC_API void GC_CALL GC_debug_register_finalizer_no_order(void *object, GC_finalization_proc proc,
                                                         void *arg, GC_finalization_proc *old_proc,
                                                         void **old_arg) GC_ATTR_NONNULL(1);
GC_API void GC_CALL GC_debug_register_finalizer_unreachable(void *object, GC_finalization_proc proc,
                                                            void *arg,
                                                            GC_finalization_proc *old_proc,
                                                            void **old_arg) GC_ATTR_NONNULL(1);

/** *slot = value; nothing else is needed here. */
GC_API void GC_CALL GC_ptr_store_and_dirty(void *slot, const void *value);
GC_API void GC_CALL GC_debug_ptr_store_and_dirty(void *slot, const void *value);
GC_API void GC_CALL GC_noop1(GC_word value);

/** Holds p up to this point. */
#define GC_reachable_here(p) __asm__ __volatile__(" " : : "X"(p) : "memory")

/* ---- The macros that programs use ---- */

#if defined(GC_DEBUG_REPLACEMENT)
#define GC_MALLOC(size) GC_debug_malloc_replacement(size)
#define GC_REALLOC(p, size) GC_debug_realloc_replacement(p, size)
#elif defined(GC_DEBUG)
#define GC_MALLOC(size) GC_debug_malloc(size, GC_EXTRAS)
#define GC_REALLOC(p, size) GC_debug_realloc(p, size, GC_EXTRAS)
#else
#define GC_MALLOC(size) GC_malloc(size)
#define GC_REALLOC(p, size) GC_realloc(p, size)
#endif

#ifdef GC_DEBUG
#define GC_MALLOC_ATOMIC(size) GC_debug_malloc_atomic(size, GC_EXTRAS)
#define GC_STRDUP(text) GC_debug_strdup(text, GC_EXTRAS)
#define GC_STRNDUP(text, most) GC_debug_strndup(text, most, GC_EXTRAS)
#define GC_MALLOC_UNCOLLECTABLE(size) GC_debug_malloc_uncollectable(size, GC_EXTRAS)
#define GC_MALLOC_ATOMIC_UNCOLLECTABLE(size) GC_debug_malloc_atomic_uncollectable(size, GC_EXTRAS)
#define GC_MALLOC_IGNORE_OFF_PAGE(size) GC_debug_malloc_ignore_off_page(size, GC_EXTRAS)
#define GC_MALLOC_ATOMIC_IGNORE_OFF_PAGE(size)                                                     \
    GC_debug_malloc_atomic_ignore_off_page(size, GC_EXTRAS)
#define GC_FREE(p) GC_debug_free(p)
#define GC_REGISTER_FINALIZER(p, f, arg, of, oa) GC_debug_register_finalizer(p, f, arg, of, oa)
#define GC_REGISTER_FINALIZER_IGNORE_SELF(p, f, arg, of, oa)                                       \
    GC_debug_register_finalizer_ignore_self(p, f, arg, of, oa)
#define GC_REGISTER_FINALIZER_NO_ORDER(p, f, arg, of, oa)                                          \
    GC_debug_register_finalizer_no_order(p, f, arg, of, oa)
#define GC_REGISTER_FINALIZER_UNREACHABLE(p, f, arg, of, oa)                                       \
    GC_debug_register_finalizer_unreachable(p, f, arg, of, oa)
#define GC_END_STUBBORN_CHANGE(p) GC_debug_end_stubborn_change(p)
#define GC_PTR_STORE_AND_DIRTY(slot, value) GC_debug_ptr_store_and_dirty(slot, value)
#define GC_GENERAL_REGISTER_DISAPPEARING_LINK(link, p)                                             \
    GC_general_register_disappearing_link(link, GC_base((void *)(p)))
#define GC_REGISTER_LONG_LINK(link, p) GC_register_long_link(link, GC_base((void *)(p)))
#define GC_REGISTER_DISPLACEMENT(n) GC_debug_register_displacement(n)
#define GC_PTR_ADD3(x, n, type) ((type)GC_same_obj((x) + (n), (x)))
#define GC_PRE_INCR3(x, n, type) ((type)GC_pre_incr((void **)&(x), (n) * sizeof(*(x))))
#define GC_POST_INCR3(x, n, type) ((type)GC_post_incr((void **)&(x), (n) * sizeof(*(x))))
#define GC_PTR_ADD(x, n) GC_PTR_ADD3(x, n, __typeof__(x))
#define GC_PRE_INCR(x, n) GC_PRE_INCR3(x, n, __typeof__(x))
#define GC_POST_INCR(x) GC_POST_INCR3(x, 1, __typeof__(x))
#define GC_POST_DECR(x) GC_POST_INCR3(x, -1, __typeof__(x))
#define GC_PTR_STORE(slot, value)                                                                  \
    (*(void **)GC_is_visible((void *)(slot)) = GC_is_valid_displacement((void *)(value)))
#else
#define GC_MALLOC_ATOMIC(size) GC_malloc_atomic(size)
#define GC_STRDUP(text) GC_strdup(text)
#define GC_STRNDUP(text, most) GC_strndup(text, most)
#define GC_MALLOC_UNCOLLECTABLE(size) GC_malloc_uncollectable(size)
#define GC_MALLOC_ATOMIC_UNCOLLECTABLE(size) GC_malloc_atomic_uncollectable(size)
#define GC_MALLOC_IGNORE_OFF_PAGE(size) GC_malloc_ignore_off_page(size)
#define GC_MALLOC_ATOMIC_IGNORE_OFF_PAGE(size) GC_malloc_atomic_ignore_off_page(size)
#define GC_FREE(p) GC_free(p)
#define GC_REGISTER_FINALIZER(p, f, arg, of, oa) GC_register_finalizer(p, f, arg, of, oa)
#define GC_REGISTER_FINALIZER_IGNORE_SELF(p, f, arg, of, oa)                                       \
    GC_register_finalizer_ignore_self(p, f, arg, of, oa)
#define GC_REGISTER_FINALIZER_NO_ORDER(p, f, arg, of, oa)                                          \
    GC_register_finalizer_no_order(p, f, arg, of, oa)
#define GC_REGISTER_FINALIZER_UNREACHABLE(p, f, arg, of, oa)                                       \
    GC_register_finalizer_unreachable(p, f, arg, of, oa)
#define GC_END_STUBBORN_CHANGE(p) GC_end_stubborn_change(p)
#define GC_PTR_STORE_AND_DIRTY(slot, value) GC_ptr_store_and_dirty(slot, value)
#define GC_GENERAL_REGISTER_DISAPPEARING_LINK(link, p)                                             \
    GC_general_register_disappearing_link(link, p)
#define GC_REGISTER_LONG_LINK(link, p) GC_register_long_link(link, p)
#define GC_REGISTER_DISPLACEMENT(n) GC_register_displacement(n)
#define GC_PTR_ADD(x, n) ((x) + (n))
#define GC_PRE_INCR(x, n) ((x) += (n))
#define GC_POST_INCR(x) ((x)++)
#define GC_POST_DECR(x) ((x)--)
#define GC_PTR_STORE(slot, value) (*(void **)(slot) = (void *)(value))
#endif
#define GC_NEW(type) ((type *)GC_MALLOC(sizeof(type)))
#define GC_NEW_ATOMIC(type) ((type *)GC_MALLOC_ATOMIC(sizeof(type)))
#define GC_NEW_UNCOLLECTABLE(type) ((type *)GC_MALLOC_UNCOLLECTABLE(sizeof(type)))
#define GC_MALLOC_STUBBORN(size) GC_MALLOC(size)
#define GC_NEW_STUBBORN(type) GC_NEW(type)
#define GC_CHANGE_STUBBORN(p) GC_change_stubborn(p)

#ifdef __cplusplus
}
#endif

#include "gc_init_settings.h"
#include "gc_pthread_redirects.h"

#endif
