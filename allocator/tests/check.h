/*
 * What the tests share: a random generator with a printed seed, code that runs on a stack that is
 * gone afterwards, and programs that are expected to die.
 *
 * Whether an object is alive is asked by its hidden address: the complement of the pointer, which
 * no scan takes for a reference.
 */
#ifndef SPANHEAP_TESTS_CHECK_H
#define SPANHEAP_TESTS_CHECK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <spanheap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "need.h"

#define NOINLINE __attribute__((noinline, noclone, unused))

#if defined(__SANITIZE_ADDRESS__)
#define UNDER_ASAN 1
#else
#define UNDER_ASAN 0
#endif
#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#else
#define UNDER_TSAN 0
#endif

/* Whether harness/ctests.py runs this program under valgrind: some twenty times slower, and a
   program that it starts anew runs natively. */
static inline bool
under_valgrind(void)
{
    const char *mode = getenv("SPANHEAP_TEST_MODE");
    return mode != NULL && strcmp(mode, "valgrind") == 0;
}

/* ThreadSanitizer lets a child of a fork start no threads, as most tests in a child do. */
static inline void
skip_under_tsan(void)
{
#ifdef __SANITIZE_THREAD__
    skip();
#endif
}

/* ---- Random numbers: xorshift64*, the same on every machine ---- */

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

/* A number in [0, n). */
static inline size_t
rng_below(struct rng *r, size_t n)
{
    return (size_t)(rng_next(r) >> 11) % n;
}

/* Fails with the seed, so that the run can be repeated. */
#define assert_seeded(condition, seed)                                                             \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            print_error("seed %llu: ", (unsigned long long)(seed));                                \
            assert_true(condition);                                                                \
        }                                                                                          \
    } while (0)

/* ---- Objects that nobody holds ---- */

static inline uintptr_t
hide(const void *p)
{
    return ~(uintptr_t)p;
}

/* Whether a live object begins at the hidden address. Nothing may be allocated between the
   collection and this question. */
static NOINLINE bool
is_alive(uintptr_t hidden)
{
    return sh_object_base((const void *)~hidden) == (const void *)~hidden;
}

static NOINLINE size_t
count_alive(const uintptr_t *hidden, size_t n)
{
    size_t alive = 0;
    for (size_t i = 0; i < n; i++)
        alive += is_alive(hidden[i]);
    return alive;
}

/* An object at an address that no earlier one had, so that no stale word can stand for it. */
static NOINLINE void *
fresh_object(size_t size)
{
    static void *spacers[1000];
    static size_t n;
    if (n == COUNT_OF(spacers))
        abort();
    spacers[n++] = sh_alloc(size);
    return sh_alloc(size);
}

/* Overwrites the part of the stack that earlier calls have used. Red zones would leave holes. */
static NOINLINE __attribute__((no_sanitize_address)) void
clear_stack(void)
{
    volatile char used[16384];
    for (size_t i = 0; i < sizeof used; i++)
        used[i] = 0;
}

/* A collection that finds no words of calls that have returned. */
static NOINLINE void
collect(void)
{
    clear_stack();
    sh_collect();
}

struct elsewhere {
    void (*work)(void *arg);
    void *arg;
};

static void *
start_elsewhere(void *arg)
{
    struct elsewhere e = *(struct elsewhere *)arg;
    e.work(e.arg);
    return NULL;
}

/* Runs work(arg) on a thread of its own: its stack and registers are gone afterwards. */
static NOINLINE void
run_elsewhere(void (*work)(void *arg), void *arg)
{
    struct elsewhere e = {work, arg};
    pthread_t thread;
    if (sh_thread_create(&thread, NULL, start_elsewhere, &e) != 0 ||
        sh_thread_join(thread, NULL) != 0)
        abort();
    clear_stack();
}

/* ---- Programs that may die ---- */

struct outcome {
    int code;         /* exit status; 128 + signal if a signal ended it */
    char text[16384]; /* what it wrote to stderr */
};

static void
prepare_child(const int pipe_ends[2])
{
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    signal(SIGABRT, SIG_DFL);
    dup2(pipe_ends[1], STDERR_FILENO);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    alarm(UNDER_ASAN ? 240 : 120); /* a program that hangs has failed */
}

static void
collect_outcome(struct outcome *out, pid_t child, const int pipe_ends[2])
{
    size_t used = 0;
    ssize_t n;
    char rest[512];
    close(pipe_ends[1]);
    for (;;) {
        bool full = used == sizeof out->text - 1;
        n = full ? read(pipe_ends[0], rest, sizeof rest)
                 : read(pipe_ends[0], out->text + used, sizeof out->text - 1 - used);
        if (n == 0 || (n < 0 && errno != EINTR))
            break;
        if (n > 0 && !full)
            used += (size_t)n;
    }
    close(pipe_ends[0]);
    out->text[used] = '\0';
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    out->code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Runs work(arg) in a child, which then exits with 0. */
static NOINLINE void
run_in_child(struct outcome *out, void (*work)(void *arg), void *arg)
{
    int pipe_ends[2];
    if (pipe(pipe_ends) != 0)
        abort();
    pid_t child = fork();
    if (child == 0) {
        prepare_child(pipe_ends);
        work(arg);
        _exit(0);
    }
    collect_outcome(out, child, pipe_ends);
}

/* Runs this program anew: `part` becomes argv[1], and environment ("NAME=value", up to NULL) is
   added. For settings that are read at the start. */
static NOINLINE void
run_anew(struct outcome *out, const char *part, const char *const *environment)
{
    int pipe_ends[2];
    if (pipe(pipe_ends) != 0)
        abort();
    pid_t child = fork();
    if (child == 0) {
        prepare_child(pipe_ends);
        for (; environment != NULL && *environment != NULL; environment++)
            putenv((char *)(uintptr_t)*environment);
        execl("/proc/self/exe", "spanheap-test", part, (char *)NULL);
        _exit(127);
    }
    collect_outcome(out, child, pipe_ends);
}

/* What a test program does when it is run anew: `part` is the name of one of these. */
struct program_part {
    const char *name;
    void (*run)(void);
};

/* What main() returns then: 0 when the part has returned, 2 if there is none of that name. */
static NOINLINE int
run_part(const struct program_part *parts, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(parts[i].name, name) == 0) {
            parts[i].run();
            return 0;
        }
    return 2;
}

static NOINLINE void
assert_success(const struct outcome *out)
{
    if (out->code != 0)
        print_error("child ended with %d: %s\n", out->code, out->text);
    assert_int_equal(out->code, 0);
}

/* The child ended by the library's own message, which contains `words`. */
static NOINLINE void
assert_fatal(const struct outcome *out, const char *words)
{
    if (out->code != 128 + SIGABRT || strstr(out->text, "spanheap: fatal: ") == NULL ||
        strstr(out->text, words) == NULL)
        print_error("child ended with %d, wanted \"%s\": %s\n", out->code, words, out->text);
    assert_int_equal(out->code, 128 + SIGABRT);
    assert_non_null(strstr(out->text, "spanheap: fatal: "));
    assert_non_null(strstr(out->text, words));
}

static inline void
assert_child_dies(void (*work)(void *arg), void *arg, const char *words)
{
    static struct outcome out;
    run_in_child(&out, work, arg);
    assert_fatal(&out, words);
}

/* The child ended by a panic that nobody recovered; `words` begin its message. */
static inline void
assert_child_panics(void (*work)(void *arg), void *arg, const char *words)
{
    static struct outcome out;
    char line[300];
    snprintf(line, sizeof line, "panic: %s", words);
    run_in_child(&out, work, arg);
    if (out.code != 128 + SIGABRT || strstr(out.text, line) == NULL)
        print_error("child ended with %d, wanted \"%s\": %s\n", out.code, line, out.text);
    assert_int_equal(out.code, 128 + SIGABRT);
    assert_non_null(strstr(out.text, line));
    assert_non_null(strstr(out.text, "[running]:"));
}

static inline void
assert_child_succeeds(void (*work)(void *arg), void *arg)
{
    static struct outcome out;
    run_in_child(&out, work, arg);
    assert_success(&out);
}

#endif
