/* What every work shares: see work.h. */
#define _GNU_SOURCE
#include "gc_api.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    RECORD_FD = 3,
    STOPS_MAX = 1 << 18,   /* 2 MiB of addresses; what is used becomes resident */
    STOPS_LISTED = 1000,   /* the longest, in the record; all count in its figures */
    FIGURES_MAX = 32,      /* of one record */
    STATUS_MAX_B = 8192,   /* /proc/self/status is under 2 KiB */
    HISTOGRAM_BITS = 7,    /* 128 steps from one power of two to the next */
    HISTOGRAM_SIZE = 8192, /* 57 powers of two */
};

struct figure {
    const char *name;
    double value;
    const char *missing; /* why, instead of a value */
};

static struct {
    const char *work;
    const struct work_option *options;
    size_t noptions;
    uint64_t start_ns, end_ns, start_cpu_ns, end_cpu_ns;
    struct figure figures[FIGURES_MAX];
    size_t nfigures;
    uint64_t *stop_ns; /* not static memory: that is a root */
    _Atomic size_t nstops;
} state;

void
work_fail(const char *format, ...)
{
    va_list rest;

    fprintf(stderr, "%s (%s): ", state.work, GC_PEER);
    va_start(rest, format);
    vfprintf(stderr, format, rest);
    va_end(rest);
    fputc('\n', stderr);
    exit(1);
}

/* ---- Options --------------------------------------------------------------------------------- */

static _Noreturn void
usage(const char *problem, const char *word)
{
    fprintf(stderr, "%s: %s%s\nusage: %s", state.work, problem, word, state.work);
    for (size_t i = 0; i < state.noptions; i++)
        fprintf(stderr, " [%s %g]", state.options[i].name, *state.options[i].value);
    fputc('\n', stderr);
    for (size_t i = 0; i < state.noptions; i++)
        fprintf(stderr, "  %-14s %s\n", state.options[i].name, state.options[i].meaning);
    exit(2);
}

static const struct work_option *
find_option(const char *name)
{
    for (size_t i = 0; i < state.noptions; i++) {
        if (strcmp(state.options[i].name, name) == 0)
            return &state.options[i];
    }
    usage("no such option: ", name);
}

void
work_begin(const char *work, const struct work_option *options, size_t count, int argc, char **argv)
{
    state.work = work;
    state.options = options;
    state.noptions = count;
    for (int i = 1; i < argc; i += 2) {
        const struct work_option *option = find_option(argv[i]);
        char *end;

        if (i + 1 == argc)
            usage("a number is missing after ", argv[i]);
        *option->value = strtod(argv[i + 1], &end);
        if (end == argv[i + 1] || *end != '\0' || !(*option->value >= 0 && *option->value < 1e12))
            usage("not a number that makes sense: ", argv[i + 1]);
    }
    state.stop_ns = mmap(NULL, STOPS_MAX * sizeof *state.stop_ns, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (state.stop_ns == MAP_FAILED)
        work_fail("no memory for the list of stops");
}

/* ---- The timed region ------------------------------------------------------------------------ */

static uint64_t
timeval_ns(struct timeval time)
{
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_usec * 1000u;
}

uint64_t
work_cpu_ns(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return timeval_ns(usage.ru_utime) + timeval_ns(usage.ru_stime);
}

void
work_start(void)
{
    state.start_cpu_ns = work_cpu_ns();
    state.start_ns = work_now_ns();
}

void
work_stop(void)
{
    state.end_ns = work_now_ns();
    state.end_cpu_ns = work_cpu_ns();
}

double
work_seconds(void)
{
    return (double)(state.end_ns - state.start_ns) * 1e-9;
}

/* Peak resident memory of this process; -1 if it cannot be read. */
static double
peak_rss_b(void)
{
    char text[STATUS_MAX_B];
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

    if (fd >= 0)
        close(fd);
    if (length <= 0)
        return -1;
    text[length] = 0;
    const char *line = strstr(text, "VmHWM:");
    return line == NULL ? -1 : (double)strtoll(line + strlen("VmHWM:"), NULL, 10) * 1024;
}

/* ---- Stops ----------------------------------------------------------------------------------- */

void
work_stop_seen(uint64_t length_ns)
{
    size_t i = atomic_fetch_add(&state.nstops, 1);

    if (i < STOPS_MAX)
        state.stop_ns[i] = length_ns;
}

size_t
work_stops(void)
{
    size_t n = atomic_load(&state.nstops);

    if (n > STOPS_MAX)
        work_fail("more than %d stops: raise STOPS_MAX", STOPS_MAX);
    return n;
}

uint64_t
work_longest_stop_ns(size_t first)
{
    uint64_t longest = 0;

    for (size_t i = first; i < work_stops(); i++) {
        if (state.stop_ns[i] > longest)
            longest = state.stop_ns[i];
    }
    return longest;
}

static int
compare_lengths(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* Longest and p99 (nearest rank: of fewer than 100 stops it is the longest). */
static void
add_stop_figures(void)
{
    size_t n = work_stops();

    work_metric("stops", (double)n);
    if (n == 0) {
        const char *why = GC_COLLECTS ? "no collection in this run" : "malloc and free stop nobody";
        work_no_metric("stop_max_ns", why);
        work_no_metric("stop_p99_ns", why);
        return;
    }
    size_t rank = (n * 99 + 99) / 100; /* of n, rounded up */
    qsort(state.stop_ns, n, sizeof *state.stop_ns, compare_lengths);
    work_metric("stop_max_ns", (double)state.stop_ns[n - 1]);
    work_metric("stop_p99_ns", (double)state.stop_ns[rank - 1]);
}

/* ---- Histogram ------------------------------------------------------------------------------- */

struct work_histogram {
    uint64_t count, longest;
    uint32_t buckets[HISTOGRAM_SIZE];
};

struct work_histogram *
work_histogram_new(void)
{
    void *h = mmap(NULL, sizeof(struct work_histogram), PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (h == MAP_FAILED)
        work_fail("no memory for a histogram");
    return h;
}

/* Up to 255 exact; above, the highest 8 bits and how far they were shifted. */
static size_t
bucket_of(uint64_t value)
{
    if (value < 2u << HISTOGRAM_BITS)
        return value;
    size_t shift = (size_t)(63 - __builtin_clzll(value)) - HISTOGRAM_BITS;
    return (shift << HISTOGRAM_BITS) + (value >> shift);
}

/* The largest value of a bucket. */
static uint64_t
bucket_top(size_t bucket)
{
    if (bucket < 2u << HISTOGRAM_BITS)
        return bucket;
    size_t shift = (bucket >> HISTOGRAM_BITS) - 1;
    return ((bucket - (shift << HISTOGRAM_BITS) + 1) << shift) - 1;
}

void
work_histogram_add(struct work_histogram *h, uint64_t value)
{
    h->buckets[bucket_of(value)]++;
    h->count++;
    if (value > h->longest)
        h->longest = value;
}

uint64_t
work_histogram_quantile(const struct work_histogram *h, double share)
{
    double wanted = share * (double)h->count;
    uint64_t seen = 0;

    for (size_t i = 0; i < HISTOGRAM_SIZE; i++) {
        seen += h->buckets[i];
        if (seen > 0 && (double)seen >= wanted)
            return bucket_top(i) < h->longest ? bucket_top(i) : h->longest;
    }
    return h->longest;
}

/* ---- The record ------------------------------------------------------------------------------ */

static void
add_figure(struct figure figure)
{
    if (state.nfigures == FIGURES_MAX)
        work_fail("more than %d figures: raise FIGURES_MAX", FIGURES_MAX);
    state.figures[state.nfigures++] = figure;
}

void
work_metric(const char *name, double value)
{
    add_figure((struct figure){.name = name, .value = value});
}

void
work_no_metric(const char *name, const char *why)
{
    add_figure((struct figure){.name = name, .missing = why});
}

/* A descriptor 3 that is not a file is somebody else's, make's for example. */
static bool
record_is_wanted(void)
{
    struct stat is;

    return fstat(RECORD_FD, &is) == 0 && S_ISREG(is.st_mode);
}

/* They are sorted by now. */
static void
print_stops(FILE *out)
{
    size_t n = work_stops(), first = n < STOPS_LISTED ? 0 : n - STOPS_LISTED;

    fprintf(out, ",\"pause_ns\":[");
    for (size_t i = first; i < n; i++)
        fprintf(out, "%s%llu", i == first ? "" : ",", (unsigned long long)state.stop_ns[i]);
    fputc(']', out);
}

static void
print_record(FILE *out, uint64_t checksum)
{
    fprintf(out, "{\"v\":1,\"work\":\"%s\",\"peer\":\"%s\",\"checksum\":%llu", state.work, GC_PEER,
            (unsigned long long)checksum);
    for (size_t i = 0; i < state.nfigures; i++) {
        const struct figure *f = &state.figures[i];

        if (f->missing == NULL)
            fprintf(out, ",\"%s\":%.15g", f->name, f->value);
        else
            fprintf(out, ",\"%s\":null,\"why_%s\":\"%s\"", f->name, f->name, f->missing);
    }
    if (out != stdout)
        print_stops(out);
    fputs("}\n", out);
}

void
work_end(uint64_t checksum)
{
    double peak_b = peak_rss_b();

    work_metric("work_s", work_seconds());
    work_metric("cpu_s", (double)(state.end_cpu_ns - state.start_cpu_ns) * 1e-9);
    if (peak_b < 0)
        work_no_metric("peak_rss_b", "/proc/self/status cannot be read");
    else
        work_metric("peak_rss_b", peak_b);
    add_stop_figures();
    FILE *out = record_is_wanted() ? fdopen(RECORD_FD, "w") : stdout;
    if (out == NULL)
        work_fail("descriptor 3 cannot be written");
    print_record(out, checksum & ((UINT64_C(1) << 53) - 1)); /* what a JSON reader keeps exactly */
    if (fflush(out) != 0)
        work_fail("the record cannot be written");
}
