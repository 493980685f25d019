/*
 * What the programs of `make soak` share: options, random numbers, threads that come and go.
 *
 *     PROGRAM [--seconds=n | --turns=n] [--threads=n] [--leak=n]
 *
 * --turns=n   so many threads have their turn, however long that takes
 * --leak=n    one object in n is kept for ever: for the test of the soak, which must see it
 *
 * What lives stays the same for as long as they run, so their memory should, too. Ends with status
 * 0, or by a message. Include it after gc.h, whose pthread_create is another.
 */
#ifndef SPANHEAP_TESTS_SOAK_H
#define SPANHEAP_TESTS_SOAK_H

#include "need.h"

#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

enum { SOAK_THREADS_MAX = 16 };

static struct {
    uint64_t seconds, turns, threads, leak;
} soak_options = {.seconds = 10, .threads = 3};

/* ---- Random numbers: splitmix64, any seed will do ---- */

struct soak_rng {
    uint64_t state;
};

static inline uint64_t
soak_next(struct soak_rng *r)
{
    uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* A number in [0, n). */
static inline size_t
soak_below(struct soak_rng *r, size_t n)
{
    return (size_t)(soak_next(r) % n);
}

/* Whether this one is to leak. */
static inline bool
soak_leaks(struct soak_rng *r)
{
    return soak_options.leak > 0 && soak_below(r, soak_options.leak) == 0;
}

/* ---- The program ---- */

static void
soak_read_options(int argc, char **argv)
{
    static const struct option known[] = {
        {"seconds", required_argument, NULL, 's'},
        {"turns", required_argument, NULL, 'n'},
        {"threads", required_argument, NULL, 't'},
        {"leak", required_argument, NULL, 'l'},
        {NULL, 0, NULL, 0},
    };
    for (int o; (o = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        uint64_t value = optarg == NULL ? 0 : strtoull(optarg, NULL, 10);
        if (o == 's')
            soak_options.seconds = value;
        else if (o == 'n')
            soak_options.turns = value;
        else if (o == 't')
            soak_options.threads = value >= 1 && value <= SOAK_THREADS_MAX ? value : 1;
        else if (o == 'l')
            soak_options.leak = value;
        else
            exit(2);
    }
}

static double
soak_now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static bool
soak_is_over(uint64_t turns, double end_s)
{
    return soak_options.turns > 0 ? turns >= soak_options.turns : soak_now_s() >= end_s;
}

/* Keeps so many threads at work until the time or the turns are over; work gets a number that no
   other thread had, does its share and returns. */
static void
soak_run(void *(*work)(void *number))
{
    pthread_t threads[SOAK_THREADS_MAX];
    double end_s = soak_now_s() + (double)soak_options.seconds;
    uintptr_t number = 0;
    for (; number < soak_options.threads; number++)
        need(pthread_create(&threads[number], NULL, work, (void *)number) == 0, "a thread is made");
    while (!soak_is_over(number, end_s)) {
        pthread_t *thread = &threads[number % soak_options.threads];
        need(pthread_join(*thread, NULL) == 0, "a thread is joined");
        need(pthread_create(thread, NULL, work, (void *)number++) == 0, "another is made");
    }
    for (size_t i = 0; i < soak_options.threads; i++)
        need(pthread_join(threads[i], NULL) == 0, "a thread is joined at the end");
}

#endif
