/*
 * What every work of bench/ shares, whichever allocator it is built for: options, the timed region,
 * the list of stops, a histogram, random numbers, and the record.
 *
 * A work is one C file with a main() of this shape:
 *
 *     work_begin("churn", options, noptions, argc, argv);
 *     gc_init();                       what gc_api.h chose
 *     ... build what is live ...
 *     work_start();                    clock and CPU time count from here
 *     ... what is measured ...
 *     work_stop();
 *     work_metric("ops_per_s", ...);
 *     work_end(checksum);              writes one JSON record
 *
 * go/work.go is the same in Go; the two are kept alike line by line, so that all peers do the same
 * steps on the same random numbers and come to the same checksum.
 *
 * Nothing here lies in static memory that grows: a collector would scan it as a root.
 */
#ifndef SPANHEAP_BENCH_WORK_H
#define SPANHEAP_BENCH_WORK_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* ---- Options: --name NUMBER ------------------------------------------------------------------ */

struct work_option {
    const char *name; /**< "--depth" */
    double *value;    /**< its default, and where a given value goes */
    const char *meaning;
};

/** Reads the command line. Exits with status 2 and a usage text on what it does not know. */
void work_begin(const char *work, const struct work_option *options, size_t count, int argc,
                char **argv);
/** Ends the program with status 1 and a message. */
_Noreturn void work_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- The timed region ------------------------------------------------------------------------ */

static inline uint64_t
work_now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/** User and system time of the whole process so far, of all its threads. */
uint64_t work_cpu_ns(void);
/** Starts clock and CPU time. Stops count from the first object on: they are the whole run's. */
void work_start(void);
void work_stop(void);
/** Between work_start and work_stop. */
double work_seconds(void);

/* ---- Stops ----------------------------------------------------------------------------------- */

/** Called by the allocator's hook after each stop of a collection, from any thread. */
void work_stop_seen(uint64_t length_ns);
/** Stops seen so far. */
size_t work_stops(void);
/** The longest of the stops from number `first` on; 0 if there was none. */
uint64_t work_longest_stop_ns(size_t first);

/* ---- Latencies: a log-linear histogram, 0.8 % wide ------------------------------------------- */

struct work_histogram;

struct work_histogram *work_histogram_new(void);
void work_histogram_add(struct work_histogram *h, uint64_t value);
/** The value below or at which a share of all lies; the longest is exact. */
uint64_t work_histogram_quantile(const struct work_histogram *h, double share);

/* ---- Random numbers: xorshift64*, the same in Go --------------------------------------------- */

struct rng {
    uint64_t state;
};

static inline uint64_t
rng_next(struct rng *r)
{
    r->state ^= r->state >> 12;
    r->state ^= r->state << 25;
    r->state ^= r->state >> 27;
    return r->state * UINT64_C(2685821657736338717);
}

/** A number in [0, n): the high half of a product, no division. */
static inline uint64_t
rng_below(struct rng *r, uint64_t n)
{
    return (uint64_t)(((unsigned __int128)rng_next(r) * n) >> 64);
}

#define WORK_SEED UINT64_C(0x9e3779b97f4a7c15)

/* ---- The record ------------------------------------------------------------------------------ */

/** One more figure of the record; the name carries its unit. */
void work_metric(const char *name, double value);
/** A figure that this program cannot give: null, with the reason beside it. */
void work_no_metric(const char *name, const char *why);
/**
 * Writes the record: to descriptor 3 where that is a file (the harness), else to standard output.
 * checksum: of what was computed, not of how long it took; all peers must agree on it.
 */
void work_end(uint64_t checksum);

#endif
