/*
 * The driver of the pitfall programs: one program per variant, one JSON record per run.
 *
 * A variant is one C file. It includes this header, defines the object PITFALL, and leaves
 * arguments, warm-up, timing, counters and output to the driver (pitfall.c). The smallest one:
 *
 *     #include "pitfall.h"
 *
 *     static uint64_t run(uint64_t n)
 *     {
 *         for (uint64_t i = 0; i < n; i++)
 *             pitfall_keep(sh_alloc(64));
 *         return n;
 *     }
 *
 *     const struct pitfall PITFALL = {
 *         .id = "example", .variant = PITFALL_VARIANT, .work_unit = "objects",
 *         .default_n = 1000, .op = PITFALL_OP_IS_ONE_OF_N, .run = run,
 *     };
 *
 * What the driver does, in this order: setup; a collection; warm-up rounds; the timed region (count
 * rounds, between two readings of the heap's counters and of the peak of resident memory); report;
 * teardown; and one more round outside the timing, to see what it leaves behind (retained_b) and
 * what it holds at its worst moment (pitfall_look). README.md explains the record.
 */
#ifndef PITFALL_H
#define PITFALL_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <spanheap.h>
#include <spanheap/defer.h>
#include <spanheap/pool.h>
#include <spanheap/slice.h>

/** The name of the variant ("bad", "fixed.pooled"): given on the compiler's command line. */
#ifndef PITFALL_VARIANT
#define PITFALL_VARIANT "unnamed"
#endif

/** What one operation is: the divisor of ns_per_op and allocs_per_op. */
enum pitfall_op {
    PITFALL_OP_IS_A_ROUND,  /**< one call of run() */
    PITFALL_OP_IS_ONE_OF_N, /**< run(n) does n operations */
};

/** One variant of a pitfall. Unset members are 0, which is always a sensible choice. */
struct pitfall {
    const char *id;        /**< the folder's name */
    const char *variant;   /**< PITFALL_VARIANT */
    const char *work_unit; /**< what run() counts, in the plural */
    uint64_t default_n;    /**< --n when it is not given; the same as `default` in pitfall.toml */
    uint64_t max_n;        /**< largest --n that makes sense here; 0: no limit */
    enum pitfall_op op;    /**< what one operation is */
    int parallel;          /**< not 0: run() shares no state, so --threads may be above 1 */

    void (*setup)(uint64_t n);   /**< once, before everything; NULL: nothing */
    uint64_t (*run)(uint64_t n); /**< one round; returns the work that it really did */
    void (*teardown)(void);      /**< lets go of everything a round keeps; NULL: nothing is kept */
    void (*report)(uint64_t n);  /**< adds the pitfall's own metrics to the record; NULL: none */
};

/** The one object that a variant defines. */
extern const struct pitfall PITFALL;

/* ---- For the code of a variant ------------------------------------------------------------- */

/** Makes the compiler believe that *p is read and written here, so that it removes nothing. */
#define pitfall_keep(p) __asm__ volatile("" : : "r"(p) : "memory")

/** Keeps a function a function: its frame is gone when it has returned, as the lesson needs. */
#define PITFALL_NOINLINE __attribute__((noinline))

/**
 * Marks the moment at which a round holds the most. Costs a test of a flag in timed rounds. In the
 * round that follows the timing it measures the bytes held (held_b: a full collection, then live
 * bytes above the baseline) and the open file descriptors (open_fds), and keeps the largest. It
 * measures calls number 1, 2, 4, 8, ... of a round, so that it may stand inside a loop.
 */
void pitfall_look(void);

/**
 * Marks an object whose being kept, or not, is the lesson; p may point anywhere into it. The last
 * one of a round counts. With --explain the driver tells after one round why it is alive; where the
 * program calls pitfall_look(), why it was at the last moment at which the round held the most.
 * Costs a test of a flag in other runs, and holds nothing.
 */
void pitfall_retains(const void *p);

/** Tells the value that the variant computed and the right one: they decide the outcome. */
void pitfall_saw(double value, double expected);

/** Makes room for n open files (RLIMIT_NOFILE), or ends the program and says what is missing. */
void pitfall_need_descriptors(uint64_t n);

/** Ends the program with a message and exit status 1: it could not do its work. */
void pitfall_fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/** Element types that several pitfalls use. */
extern const struct sh_type PITFALL_BYTE, PITFALL_INT64, PITFALL_SLICE;

/* ---- Inside report() ----------------------------------------------------------------------- */

/** Adds one exact number to the record under the given key. */
void pitfall_metric(const char *key, uint64_t value);

/** Adds a list of numbers to the record. The numbers must stay where they are. */
void pitfall_list(const char *key, const uint64_t *values, size_t count);

#endif /* PITFALL_H */
