/*
 * spanheap: a Go-shaped garbage-collected heap for C.
 *
 * A program allocates with sh_alloc*() and need not free. When the heap has grown to its goal
 * (SH_GOGC), the collector finds every object that can still be reached and takes the rest back.
 *
 * What the collector sees as a reference ("root"), and what it cannot see
 *   Seen:     registers, stacks and thread-local storage of every attached thread (that of
 * libraries loaded with dlopen included, and pthread keys), the writable data of the program and of
 * its libraries, ranges given to sh_roots_add(), and other live objects. Not seen: memory from
 * malloc or mmap, files and pipes, pointers stored with changed bits (XOR lists, tagged pointers
 * that leave the object), an address kept only *before* the start of its object. Keep another
 * pointer to such an object, or use SH_KEEP_ALIVE(). A pointer anywhere into an object keeps the
 * whole object. On stacks and in registers, a pointer one past its end does too (but see
 * SH_PLAIN_TYPE()); inside heap objects it does not (as in Go).
 *
 * Threads: each thread that touches the heap must be attached (see "Threads" below).
 * Signals: one signal stops threads (SH_SIGNAL, default SIGPWR). A signal handler may hold
 * pointers, on its alternate stack too, but must not call the library. Stacks switched by hand
 *          (swapcontext) are not known. See allocator/README.md.
 * Errors:  a user's mistake that would corrupt the heap ends the program with one line on stderr,
 *          "spanheap: fatal: ...", and SIGABRT. Nothing returns half-done.
 *
 * The language is GNU C17 (C++ works too); Linux on x86-64 and arm64.
 */
#ifndef SPANHEAP_H
#define SPANHEAP_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <spanheap/attributes.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SH_VERSION_MAJOR 0
#define SH_VERSION_MINOR 1
#define SH_VERSION_PATCH 0
#define SH_VERSION "0.1.0"

#define SH_API __attribute__((visibility("default")))

/** The version of the library that runs, as "major.minor.patch"; SH_VERSION is that compiled
 * against. */
SH_API const char *sh_version(void);

/* ---- Start ------------------------------------------------------------------------------------
 */

/**
 * Reserves the heap's address range, reads the SH_* environment variables and attaches the caller.
 * Optional: the library does it before main(), and the first allocation does it where a constructor
 * comes earlier. Calling it again does nothing. Fatal if not even 64 MiB of addresses can be had,
 * or if an SH_* variable has a value that cannot be read.
 */
SH_API void sh_init(void);

/* ---- Allocation -------------------------------------------------------------------------------
 */

/**
 * Where the pointers of a type lie. A descriptor must outlive every object made with it; a static
 * const object is usual:
 *
 *     struct node { struct node *left, *right; long value; };
 *     static const struct sh_type node_type =
 *         SH_TYPE(struct node, SH_POINTER_AT(struct node, left) | SH_POINTER_AT(struct node,
 * right));
 */
struct sh_type {
    const char *name; /**< for messages */
    size_t size;      /**< of one element, bytes; a multiple of 8 if it holds pointers */
    const uint64_t *pointer_mask; /**< bit i%64 of [i/64]: word i may be a pointer; NULL: none is */
    unsigned flags;               /**< of enum sh_type_flags, or 0 */
};

enum sh_type_flags {
    SH_TYPE_PLAIN = 1, /**< no loop runs through the object; see SH_PLAIN_TYPE() */
};

/** The mask bit of one pointer field among the first 64 words of a type. */
#define SH_POINTER_AT(type, field) (UINT64_C(1) << (offsetof(type, field) / sizeof(void *)))
/** A descriptor for a type of at most 64 words (512 bytes); for a larger one fill struct sh_type.
 */
#define SH_TYPE(type, mask) SH_TYPE_WITH_FLAGS(type, mask, 0)
/**
 * The same for a plain struct: it ends in no array, and no code goes through its bytes in a loop.
 * A compiler may keep nothing of an array but the address past its end while a loop runs, so on
 * stacks and in registers such an address keeps the object that it ends; but it also is the address
 * of the object that comes next, which so keeps its neighbour. An object that sh_alloc_typed()
 * makes of a plain type is not kept in that way: trees and lists of plain structs are freed as soon
 * as they are garbage. (Arrays of the type are kept as others are.)
 */
#define SH_PLAIN_TYPE(type, mask) SH_TYPE_WITH_FLAGS(type, mask, SH_TYPE_PLAIN)
#define SH_TYPE_WITH_FLAGS(type, mask, flags)                                                      \
    {                                                                                              \
#type, sizeof(type), (const uint64_t[]){mask }, flags                                      \
    }

/* Described below. */
SH_API void sh_free(void *p);
SH_API void *sh_realloc(void *p, size_t size) SH_NONNULL SH_SIZED(2) SH_ENDED_BY(sh_free);
SH_API void *sh_realloc_array(const struct sh_type *type, void *p, size_t count) SH_NONNULL
    SH_ENDED_BY(sh_free);
SH_API void *sh_realloc(void *p, size_t size) SH_ENDED_BY(sh_realloc);

/**
 * Allocates size bytes, all zero, in which every aligned word may be a pointer ("untyped").
 * Never returns NULL. Alignment: 16, but 8 for sizes in (0, 8] and (16, 24]. Size 0 gives one
 * shared address that must not be written, nor compared with that of another call. May collect. Out
 * of memory: a collection, then the hook of sh_set_oom_hook(), then a fatal error.
 */
SH_API void *sh_alloc(size_t size) SH_NEW SH_NONNULL SH_SIZED(1) SH_ENDED_BY(sh_free)
    SH_ENDED_BY(sh_realloc);

/**
 * Like sh_alloc(), for memory that never holds a pointer to the heap: it is not scanned. Below 16
 * bytes objects share 16-byte blocks as in Go, and are aligned to 8, 4, 2 or 1, by what divides
 * size.
 */
SH_API void *sh_alloc_noscan(size_t size) SH_NEW SH_NONNULL SH_SIZED(1) SH_ENDED_BY(sh_free)
    SH_ENDED_BY(sh_realloc);

/** Allocates one object of a type, zeroed; only the words in its mask are scanned. See sh_alloc().
 */
SH_API void *sh_alloc_typed(const struct sh_type *type) SH_NEW SH_NONNULL SH_ENDED_BY(sh_free);

/** Allocates count elements of a type in one object. Fatal if count * size overflows. */
SH_API void *sh_alloc_array(const struct sh_type *type, size_t count) SH_NEW SH_NONNULL
    SH_ENDED_BY(sh_free);

enum sh_alloc_flags {
    SH_UNTYPED = 0, /**< every word may be a pointer */
    SH_NOSCAN = 1,  /**< no word is */
};

/**
 * Like sh_alloc() and sh_alloc_noscan(), but returns NULL and sets errno to ENOMEM where they would
 * end the program: count * size overflows, or there is no memory after a collection.
 */
SH_API void *sh_try_alloc(size_t count, size_t size, enum sh_alloc_flags flags) SH_NEW
    SH_SIZED(1, 2) SH_ENDED_BY(sh_free) SH_ENDED_BY(sh_realloc);

/**
 * Frees an object at once, from any thread. Optional. p: NULL, or what an allocation returned.
 * Fatal: an address that is not the start of a live object of this heap, or a double free that is
 * noticed (it is, until the memory is used again). A shared tiny object (sh_alloc_noscan, below 16
 * bytes) stays until its block dies. While a collection marks, the memory returns at its end.
 * A typed slot must not go on pointing to a freed object: the next collection that meets it ends
 * the program there. So it may be with an object that nobody uses any more: a stale word can keep
 * it. Clear the slot before its object is dropped, or leave what typed objects point to to the
 * collector.
 */
SH_API void sh_free(void *p);

/**
 * Resizes an untyped or pointer-free object, which keeps its kind; p NULL allocates untyped.
 * Returns the object, moved or not, aligned as a new one; new bytes are zero. The old one is freed
 * if it moved. Of a shared tiny object the bytes beyond the original size are not specified. Fatal
 * for a typed object.
 */
SH_API void *sh_realloc(void *p, size_t size);

/** The same for an array of typed elements: p NULL or from sh_alloc_typed / sh_alloc_array. */
SH_API void *sh_realloc_array(const struct sh_type *type, void *p, size_t count);

/** Bytes that may be used at p, the start of a live object; 0 for NULL and for shared tiny objects.
 */
SH_API size_t sh_usable_size(const void *p);

/** What a request of size bytes takes in the heap: its size class, or whole 8 KiB pages above 32
 * KiB. */
SH_API size_t sh_round_size(size_t size);

/** The start of the live object that contains p, or NULL if p is not inside one. No locks. */
SH_API void *sh_object_base(const void *p);

/**
 * For an allocator of the program's own inside heap memory, a pool or an arena: nobody may touch
 * the range until sh_unpoison(). AddressSanitizer and valgrind, where one watches the program, then
 * report an access; without them nothing happens. The object stays, and what it points to; what the
 * range holds may be lost to valgrind. Any range, at any time; a multiple of 8 bytes at a multiple
 * of 8 is exact.
 */
SH_API void sh_poison(const void *start, size_t size);
/** Undoes sh_poison(). The range must lie in live objects, or outside of the heap. */
SH_API void sh_unpoison(const void *start, size_t size);

/** Holds p in a register or on the stack up to this point: the object stays alive until here. */
#define SH_KEEP_ALIVE(p) __asm__ volatile("" : : "r"(p) : "memory")

/* ---- Stores -----------------------------------------------------------------------------------
 */
/*
 * Pointers into heap objects are stored with these, so that marking can run beside the program.
 * Plain stores are enough for locals, globals, thread-local variables, and to fill an object that
 * this thread has just allocated and not yet shown to anyone: the first store into each slot. Slots
 * are aligned to 8 bytes. Each pointer argument is the address of such a slot, whatever its type
 * ("struct node **" converts by itself).
 */

/** *slot = value. Costs one predictable branch while no collection marks. */
SH_API void sh_store(void *slot, const void *value);
/** Stores value and returns what was there, atomically (sequentially consistent). */
SH_API void *sh_exchange(void *slot, const void *value);
/** Stores desired if *slot equals *(void **)expected, else copies *slot there. True if it stored.
 */
SH_API bool sh_compare_exchange(void *slot, void *expected, const void *desired);
/** memmove for memory that holds pointers; each aligned word is copied whole. */
SH_API void *sh_memmove(void *dst, const void *src, size_t size);
/** memset for memory that holds pointers (byte is nearly always 0). */
SH_API void *sh_memset(void *dst, int byte, size_t size);
/** qsort_r for elements that hold pointers: heap sort in place, no memory needed, not stable. */
SH_API void sh_sort(void *base, size_t count, size_t size,
                    int (*compare)(const void *a, const void *b, void *arg), void *arg);

/* ---- Collection -------------------------------------------------------------------------------
 */

/** A full collection, its sweep included, before it returns. Stops every attached thread. */
SH_API void sh_collect(void);

#define SH_GOGC_OFF (-1)
/**
 * Sets the growth in percent after which the next collection starts (Go's GOGC), or SH_GOGC_OFF.
 * Returns the old value. Takes effect at once. Fatal below -1.
 */
SH_API int sh_set_gogc(int percent);

#define SH_NO_MEMORY_LIMIT UINT64_MAX
/**
 * Sets a limit in bytes for all memory that the library holds (Go's GOMEMLIMIT), or
 * SH_NO_MEMORY_LIMIT. Towards it collections come more often, and free pages go back at once; it is
 * not a hard one, since a collector that took more than half of the processors would help nobody.
 * Returns the old value. Takes effect at once.
 */
SH_API uint64_t sh_set_memory_limit(uint64_t limit_b);

/** Gives free pages back to the operating system (MADV_DONTNEED). Returns the bytes given back. */
SH_API size_t sh_release_memory(void);

/* ---- Finalizers and weak references -----------------------------------------------------------
 */

/** Called with an object that nobody reaches any more, and the argument of sh_set_finalizer(). */
typedef void (*sh_finalizer)(void *object, void *arg);
/**
 * Has finalizer(object, arg) called some time after nobody reaches the object, once, by a thread of
 * the library's own; NULL: takes an earlier one back. The object, and all it points to, is whole
 * then, and may be stored anywhere again; it is freed when it is found unreachable a second time.
 * arg is kept alive meanwhile. As in Go: of a chain of objects with finalizers one is finalized in
 * a cycle, a ring of pointers that goes through such an object is never freed, and none is called
 * at the program's end. object: the start of an object that is not a shared tiny one, else fatal.
 * sh_free() and sh_realloc() take the finalizer off. May collect.
 */
SH_API void sh_set_finalizer(void *object, sh_finalizer finalizer, void *arg);
/**
 * Calls the finalizers that are due, here. Returns how many. Needed with SH_WORKERS=0 and in the
 * child of a fork, where no thread does it; allowed everywhere.
 */
SH_API size_t sh_run_finalizers(void);

/** A reference that does not keep its object. Itself an object: keep it where you keep pointers. */
struct sh_weak;
/** The weak reference of an object; the same one each time. See sh_set_finalizer() for object. */
SH_API struct sh_weak *sh_weak_make(void *object);
/** The object, held by the caller from here on, or NULL: it is gone, or its finalizer is due. */
SH_API void *sh_weak_get(struct sh_weak *weak);

/* ---- Threads ----------------------------------------------------------------------------------
 */
/*
 * The main thread is attached. With the shared library every thread made by pthread_create or
 * thrd_create is attached from its creation on. With the static one, make threads by
 * sh_thread_create; a thread made elsewhere calls sh_thread_attach() before it touches the heap.
 * A heap call from an unknown thread is fatal. At a thread's end the heap can be used in
 * destructors of pthread keys up to the last but one of their PTHREAD_DESTRUCTOR_ITERATIONS rounds.
 */

/** pthread_create; arg is kept alive for the new thread, and the result until it is joined. */
SH_API int sh_thread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *),
                            void *arg);
/** pthread_join for such a thread. Blocks as inside sh_blocking_begin/end. */
SH_API int sh_thread_join(pthread_t thread, void **result);
/** pthread_detach for such a thread: its result is not kept. */
SH_API int sh_thread_detach(pthread_t thread);
/** pthread_exit for such a thread; result is kept until it is joined. */
SH_API void sh_thread_exit(void *result) __attribute__((noreturn));
/** pthread_sigmask that never blocks the stop signal (the shared library does this by itself). */
SH_API int sh_thread_sigmask(int how, const void *set, void *old_set);

/** Makes the calling thread known; nothing if it is. Its stack is a root from here on. */
SH_API void sh_thread_attach(void);
/** Ends what sh_thread_attach() began. At thread exit it happens by itself. */
SH_API void sh_thread_leave(void);

/**
 * Between begin and end the thread counts as stopped, so a blocking system call delays no
 * collection and is not interrupted by the stop signal. It must not touch the heap in between;
 * an object that the system call uses must be held elsewhere (SH_KEEP_ALIVE after the end). Nests.
 * Where the thread may be cancelled in between, a clean-up handler calls sh_blocking_end() first.
 */
SH_API void sh_blocking_begin(void);
SH_API void sh_blocking_end(void);

/** Stops here if a collection waits. Only needed in builds without stop signals (ThreadSanitizer).
 */
SH_API void sh_safepoint(void);

/* ---- Roots ------------------------------------------------------------------------------------
 */

/** Scans [start, start + size) in every collection, conservatively. It must stay readable until it
 * is removed. Fatal on NULL, on overlap, and if not all of it is mapped. */
SH_API void sh_roots_add(const void *start, size_t size);
/** Undoes the sh_roots_add() of that start. Fatal if there was none. */
SH_API void sh_roots_remove(const void *start);

/* ---- Statistics -------------------------------------------------------------------------------
 */

#define SH_NCLASSES 68

/** As Go's runtime.MemStats, where the field has the same name in Go. Bytes unless named otherwise.
 * It is large: on a stack, before it is read, its words are roots with whatever lay there. Make it
 * static, or initialise it. */
struct sh_stats {
    uint64_t total_alloc_b;   /**< ever allocated, rounded to size classes */
    uint64_t mallocs;         /**< objects ever allocated, tiny ones included */
    uint64_t frees;           /**< objects freed: swept, sh_free, and all tiny ones */
    uint64_t heap_alloc_b;    /**< in objects not yet swept or freed */
    uint64_t heap_objects;    /**< their number: mallocs - frees */
    uint64_t heap_sys_b;      /**< address space made usable for the heap */
    uint64_t heap_inuse_b;    /**< in spans that hold objects */
    uint64_t heap_idle_b;     /**< heap_sys - heap_inuse */
    uint64_t heap_released_b; /**< of idle, not backed by memory */
    uint64_t meta_sys_b;      /**< the allocator's own bookkeeping */
    uint64_t next_gc_b;       /**< the heap goal; UINT64_MAX when off */
    uint64_t last_gc_ns;      /**< CLOCK_MONOTONIC at the end of the last collection; 0: none */
    uint64_t marked_b;        /**< found live by the last collection */
    uint64_t most_marked_b;   /**< found live by the collection that found most */
    uint64_t pause_total_ns;  /**< all stops together */
    uint64_t stack_roots_b;   /**< scanned in the last collection: stacks, parked ones too */
    uint64_t data_roots_b;    /**< scanned in the last collection: data segments, TLS, ranges */
    uint32_t num_gc;          /**< collections finished */
    uint32_t num_forced_gc;   /**< of these by sh_collect() */
    uint32_t num_stops;       /**< times the world was stopped, for whatever cause */
    uint32_t num_threads;     /**< attached now */
    double gc_cpu_fraction;   /**< share of the processors used by the collector since the start */
    struct {
        uint32_t size; /**< object size of the class; class 0 is unused (large objects) */
        uint64_t mallocs, frees;
    } by_size[SH_NCLASSES];
};

/** Reads all counters, exactly. Stops the world for it, as in Go. */
SH_API void sh_stats_read(struct sh_stats *out);

enum sh_stop_cause {
    SH_STOP_ANY = 0,    /**< any cause, in a question */
    SH_STOP_MARK = 1,   /**< a collection marked here: stop-the-world, or a small heap */
    SH_STOP_MARK_START, /**< first stop of a concurrent collection */
    SH_STOP_MARK_END,   /**< its mark termination */
    SH_STOP_STATISTICS, /**< sh_stats_read(), sh_explain(), sh_heap_dump() */
};
enum sh_gc_trigger {
    SH_TRIGGER_NONE = 0, /**< not a collection */
    SH_TRIGGER_HEAP,     /**< the heap reached its goal */
    SH_TRIGGER_FORCED,   /**< sh_collect() */
    SH_TRIGGER_TIME,     /**< SH_GC_PERIOD had passed */
    SH_TRIGGER_MEMORY,   /**< an allocation failed */
};

/** One stop of the world. length = signal + roots + rest. */
struct sh_pause {
    uint64_t start_ns;  /**< CLOCK_MONOTONIC when the stop was asked for */
    uint64_t length_ns; /**< until the threads were let go */
    uint64_t signal_ns; /**< until the last thread had stopped */
    uint64_t roots_ns;  /**< reading the roots */
    uint64_t root_b;    /**< bytes of roots read */
    uint32_t cycle;     /**< number of the collection, from 1 */
    uint16_t cause;     /**< enum sh_stop_cause */
    uint16_t trigger;   /**< enum sh_gc_trigger */
};

/**
 * Copies the newest pauses, oldest first, at most max of the 256 that are kept. Returns how many.
 * For every pause of a program use sh_set_pause_hook().
 */
SH_API size_t sh_pauses_read(struct sh_pause *out, size_t max);

/** All pauses of one cause since the start. */
struct sh_pause_histogram {
    uint64_t count;    /**< how many */
    uint64_t total_ns; /**< all together */
    uint64_t max_ns;   /**< the longest */
};

/**
 * How long the pauses of a cause were (SH_STOP_ANY: all of them), since the start of the program.
 * lengths_ns[i] becomes the length that a share quantiles[i] (0 to 1) of them did not exceed, by
 * nearest rank: 0.99 asks for the 99th percentile. It is never too short, at most 0.8 % too long
 * (exact below 256 ns and for 1), and 0 where there were none. n: how many are asked for; with 0
 * both may be NULL. The histogram is log-linear, after HdrHistogram, and its size is constant. May
 * wait for a collection to end. Fatal: an unknown cause, a quantile outside 0 to 1.
 *
 *     double ask[] = {0.5, 0.99};
 *     uint64_t ns[2];
 *     struct sh_pause_histogram pauses;
 *     sh_pause_histogram_read(SH_STOP_ANY, &pauses, ask, ns, 2);
 */
SH_API void sh_pause_histogram_read(enum sh_stop_cause cause, struct sh_pause_histogram *out,
                                    const double *quantiles, uint64_t *lengths_ns, size_t n);

/* ---- Trace ------------------------------------------------------------------------------------
 */
/*
 * What the collector did and when: phases, stops and their parts, sweeping, live bytes, goal and
 * resident memory over time. SH_TRACE=FILE does all of this without a line of code.
 */

/**
 * Keeps the collector's events in memory from now on: the newest 16384, or SH_EVENTS, 64 bytes
 * each. Does nothing if they are kept already; after sh_trace_stop() it goes on. Returns 0, or -1
 * with errno ENOMEM.
 */
SH_API int sh_trace_start(void);
/** Keeps no more. What was kept can still be written. */
SH_API void sh_trace_stop(void);
/**
 * Writes the events that are kept to a file in Chrome's trace format (JSON), which ui.perfetto.dev
 * and chrome://tracing open; what was there before is overwritten. May be called at any time, by
 * any thread, as often as wanted; the threads go on meanwhile. Not from a signal handler. Returns
 * 0, or -1 with errno: EINVAL (path is NULL, or events were never kept), or why the file could not
 * be opened or written in full (a piece of it may be left).
 */
SH_API int sh_trace_write(const char *path);

/* ---- Heap profile -----------------------------------------------------------------------------
 */
/*
 * Which code allocates, and which code's objects are in use, estimated from samples: one in 512 KiB
 * of allocated bytes on average, with its stack. SH_PROFILE=FILE does all of this without a line of
 * code; `go tool pprof -top FILE` shows it. As in Go, the profile is that of the heap at the end of
 * the last collection that has been swept; allocations since then are not counted yet. Before the
 * first one all are.
 */

/** The rate of SH_PROFILE without SH_PROFILE_RATE. */
#define SH_PROFILE_RATE_DEFAULT ((size_t)512 << 10)
/**
 * Takes a sample once in rate_b allocated bytes on average from now on, by every thread (Go's
 * MemProfileRate); 1: each object; 0: no more, what has been counted stays. Meanwhile allocation
 * takes its longer path. Objects that share a 16-byte block count as their block. Returns the old
 * rate. For an attached thread; may wait for a stop to end. Fatal without memory for the tables.
 */
SH_API size_t sh_profile_set_rate(size_t rate_b);

#define SH_PROFILE_FRAMES 64
/** Objects of one size, rounded to its size class, that one stack has allocated. */
struct sh_profile_record {
    size_t size;                        /**< of an object, bytes */
    uint64_t alloc_objects, alloc_b;    /**< allocated since the start; estimated from samples */
    uint64_t inuse_objects, inuse_b;    /**< of these, not freed; the same */
    size_t nstack;                      /**< of the innermost frames, which are kept */
    uintptr_t stack[SH_PROFILE_FRAMES]; /**< return addresses, innermost first, without the
                                           library's own frames at that end */
};
/**
 * Copies the profile, at most max records; out may be NULL with max 0. Returns how many there are.
 * Any thread, at any time, but not from a signal handler. Uses malloc; without memory it returns 0.
 */
SH_API size_t sh_profile_read(struct sh_profile_record *out, size_t max);
/**
 * Writes the profile to a file in the format of pprof (gzip-compressed protobuf, with the names of
 * the functions); what was there before is overwritten. sh_collect() before brings it up to date.
 * May be called at any time, by any thread, as often as wanted; the threads go on meanwhile. Not
 * from a signal handler. Returns 0, or -1 with errno: EINVAL (path is NULL, or there never was a
 * rate), ENOMEM, or why the file could not be opened or written in full (a piece of it may be
 * left).
 */
SH_API int sh_profile_write(const char *path);

/* ---- Hooks ------------------------------------------------------------------------------------
 */

/**
 * Called after each stop, when the threads run again, by the thread that stopped them: any, or one
 * of the library's own. One call at a time, in the order of the stops. It must not use the heap or
 * call the library. NULL: none. Returns the old one.
 */
typedef void (*sh_pause_hook)(const struct sh_pause *pause);
SH_API sh_pause_hook sh_set_pause_hook(sh_pause_hook hook);

/**
 * Called when an allocation of size bytes fails after a collection. True: memory was freed, try
 * again; false: give up. Returns the old one.
 */
typedef bool (*sh_oom_hook)(size_t size);
SH_API sh_oom_hook sh_set_oom_hook(sh_oom_hook hook);

#ifdef __cplusplus
}
#endif
#endif /* SPANHEAP_H */
