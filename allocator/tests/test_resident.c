/*
 * Resident memory: what the kernel really keeps behind the heap's addresses, page by page. The
 * scavenger's promises are about that, not about counters.
 */
#include "check.h"

#include "collector/pacing.h"
#include "heap/meta.h"
#include "heap/pageheap.h"

#include <sys/mman.h>

#define MIB ((size_t)1 << 20)
#define PIECE_B ((size_t)64 << 10) /* what the scavenger releases at once */
#define NAP_US 5000
#define PATIENCE 12000 /* naps: what has not come after a minute does not come */

static struct outcome out;

/* ---- Looking at pages ---- */

struct resident {
    size_t heap_b;    /* of the heap's range */
    size_t outside_b; /* of these, in no span */
};

static struct resident
look(void)
{
    static unsigned char in_core[256 * MIB / 4096];
    size_t page_b = (size_t)sysconf(_SC_PAGESIZE), used_b = atomic_load(&pageheap.used_b);
    struct resident r = {0, 0};
    need(used_b / page_b <= sizeof in_core, "the heap is no larger than was thought");
    need(mincore((void *)pageheap.base, used_b, in_core) == 0, "mincore answers");
    for (size_t i = 0; i < used_b / page_b; i++) {
        if ((in_core[i] & 1) == 0)
            continue;
        r.heap_b += page_b;
        r.outside_b += pageheap_span_of(pageheap.base + i * page_b) == NULL ? page_b : 0;
    }
    return r;
}

/* "VmHWM", the peak of resident memory, or "VmRSS", bytes; of the whole process. */
static size_t
status_b(const char *name)
{
    char line[256];
    size_t kib = 0, length = strlen(name);
    FILE *f = fopen("/proc/self/status", "r");
    while (fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, name, length) == 0)
            kib = strtoul(line + length + 1, NULL, 10);
    fclose(f);
    return kib << 10;
}

/* ---- Objects ---- */

static void *held[100000]; /* a root each */
static size_t nheld;

static void *
touched(size_t size)
{
    void *p = sh_alloc_noscan(size);
    memset(p, 1, size);
    return p;
}

static NOINLINE void
hold(size_t total_b, size_t size)
{
    for (size_t b = 0; b < total_b; b += size)
        held[nheld++] = touched(size);
}

static NOINLINE void
let_go_beyond(size_t n)
{
    memset(held + n, 0, (nheld - n) * sizeof *held);
    nheld = n;
}

/* ---- After a peak ---- */

static size_t
retained_b(const struct sh_stats *s)
{
    return s->heap_sys_b - s->heap_released_b;
}

/* 4 MiB live on after a peak of 12. The first collection finds that out, the second has seen it. */
static void
drop_a_peak(void)
{
    struct sh_stats s;
    size_t goal_b, naps = 0;
    hold(4 * MIB, 1024);
    size_t kept = nheld;
    hold(8 * MIB, 5000);
    need(look().heap_b >= 12 * MIB, "the peak is resident");
    let_go_beyond(kept);
    collect();
    collect();
    do {
        need(naps++ < PATIENCE, "the scavenger brings the heap down to 110 percent of its use");
        usleep(NAP_US);
        sh_stats_read(&s);
        need(s.heap_inuse_b >= 4 * MIB && s.heap_inuse_b < 5 * MIB, "what lives is in use");
        goal_b = s.heap_inuse_b + s.heap_inuse_b / 10;
    } while (retained_b(&s) > goal_b + PIECE_B);
    need(look().heap_b <= retained_b(&s), "what counts as given back is");
    for (naps = 0; naps < 100; naps++) { /* by now it would have gone on */
        usleep(NAP_US);
        need(look().heap_b > goal_b - 4 * PIECE_B, "a tenth is kept");
    }
}

/* ---- On demand ---- */

static void
release_all(void)
{
    struct sh_stats s;
    struct rng rng = {1};
    for (size_t i = 0; i < 3000; i++)
        hold(1, 16 + rng_below(&rng, i % 50 == 0 ? MIB : 20000));
    for (size_t i = 0; i < nheld; i += 2) /* holes of all sizes */
        held[i] = NULL;
    collect();
    struct resident before = look();
    need(before.outside_b > 0, "there are pages to give back");
    sh_release_memory();
    struct resident after = look();
    sh_stats_read(&s);
    need(after.outside_b == 0, "no page outside the spans is resident");
    need(after.heap_b == before.heap_b - before.outside_b, "all others still are");
    need(s.heap_released_b == s.heap_idle_b, "all that is idle counts as given back");
    need(sh_release_memory() == 0, "there is no more");
    hold(20 * MIB, 30000);
    need(look().heap_b >= after.heap_b + 10 * MIB, "what is taken again is backed again");
    let_go_beyond(0);
    collect();
    sh_release_memory();
    sh_stats_read(&s);
    need(look().heap_b <= s.heap_inuse_b && s.heap_inuse_b < MIB, "all can be given back");
}

/* ---- Below a limit ---- */

#define LIMIT_B (64 * MIB)
#define LIVE_B (24 * MIB)
#define SURVIVORS (LIVE_B / 1000)
/* Bookkeeping that is mapped when the heap has no free page to give for it: two pieces of it. */
#define SLACK_B (MIB / 2)
/* By how much the heap may pass its goal while a collection runs: what is left is scanned within a
 * tenth (collector/pacer.h), which a thread that gets no processor for a while makes use of. */
#define OVERSHOOT_B (LIMIT_B / 10)
/* What the process has beside: pages of its stacks and of the C library. */
#define BESIDE_B MIB

/* Sizes in turns, so that what one leaves free does not suit the next. */
static size_t
garbage_size(struct rng *rng, size_t done_b)
{
    static const size_t most[] = {100, 2000, 30000, MIB, 200, 9000, 3 * MIB, 2000};
    return 16 + rng_below(rng, most[done_b / LIVE_B % COUNT_OF(most)]);
}

static void
live_below_limit(void)
{
    struct sh_stats s;
    struct rng rng = {1};
    memset(held, 0, sizeof held); /* so that the program's own pages are there */
    look();
    size_t at_start_b = status_b("VmRSS"), peak_b = 0, next_look_b = 0;
    hold(LIVE_B, 1000);
    for (size_t done_b = 0; done_b < 10 * LIMIT_B;) {
        size_t size = garbage_size(&rng, done_b);
        void *p = touched(size);
        done_b += size;
        if (size >= 500 && size <= 2000 && rng_below(&rng, 64) == 0)
            held[rng_below(&rng, SURVIVORS)] = p; /* and pins its span */
        if (done_b < next_look_b)
            continue;
        next_look_b = done_b + MIB / 4;
        size_t now_b = look().heap_b + meta_sys_b();
        peak_b = now_b > peak_b ? now_b : peak_b;
    }
    sh_stats_read(&s);
    size_t grown_b = status_b("VmHWM") - at_start_b;
    fprintf(stderr, "peak of the heap %zu KiB, of the process %zu KiB more than at its start\n",
            peak_b >> 10, grown_b >> 10);
    const char *mode = getenv("SH_MODE");
    bool in_one_stop = mode != NULL && strcmp(mode, "stw") == 0;
    size_t most_b = LIMIT_B + SLACK_B + (in_one_stop ? 0 : OVERSHOOT_B);
    need(peak_b <= most_b, "the heap stays below the limit");
    need(UNDER_ASAN || grown_b <= most_b + BESIDE_B, "so does the process at every moment");
    need(s.num_gc > 5, "there were collections");
    need(s.heap_inuse_b > LIVE_B, "what lives is still there");
}

static void
limit_by_call(void)
{
    need(sh_set_memory_limit(LIMIT_B) == SH_NO_MEMORY_LIMIT, "there was none");
    need(sh_set_gogc(SH_GOGC_OFF) == 100, "it was 100 percent");
    live_below_limit();
    need(sh_set_memory_limit(SH_NO_MEMORY_LIMIT) == LIMIT_B, "it was ours");
}

/* ---- Beyond a limit ---- */

struct twig {
    struct twig *left, *right;
};
static const struct sh_type twig_type =
    SH_TYPE(struct twig, SH_POINTER_AT(struct twig, left) | SH_POINTER_AT(struct twig, right));
static struct twig *root;
static _Atomic bool enough;

static struct twig *
grow(unsigned depth)
{
    struct twig *t = sh_alloc_typed(&twig_type);
    if (depth > 0) {
        sh_store(&t->left, grow(depth - 1));
        sh_store(&t->right, grow(depth - 1));
    }
    return t;
}

static size_t
count_twigs(const struct twig *t)
{
    return t == NULL ? 0 : 1 + count_twigs(t->left) + count_twigs(t->right);
}

static void *
waste(void *arg)
{
    while (!atomic_load(&enough))
        touched(8192);
    return arg;
}

/* Eight megabytes live where two are allowed: the collector never rests. While the limiter holds it
 * back the heap grows as fast as the threads allocate, so the bound is a third of all they make. */
static void
live_beyond_limit(size_t nthreads, size_t most_b)
{
    enum { DEPTH = 18, MORE = 20000 };
    struct sh_stats before, after;
    pthread_t threads[3];
    root = grow(DEPTH);
    sh_set_memory_limit(2 * MIB);
    for (size_t i = 0; i < nthreads; i++)
        need(sh_thread_create(&threads[i], NULL, waste, NULL) == 0, "a thread");
    bool limited = false;
    for (size_t i = 0, more = MORE; more > 0; i++) {
        touched(8192);
        limited = limited || pacing_is_limiting();
        more -= limited;
        need(i % 64 != 0 || look().heap_b <= most_b, "the heap goes on being collected");
    }
    atomic_store(&enough, true);
    for (size_t i = 0; i < nthreads; i++)
        sh_thread_join(threads[i], NULL);
    need(count_twigs(root) == (2u << DEPTH) - 1, "nothing was lost");
    sh_set_memory_limit(SH_NO_MEMORY_LIMIT);
    collect();
    sh_stats_read(&before);
    for (size_t i = 0; i < 500; i++)
        touched(8192);
    sh_stats_read(&after);
    need(after.num_gc <= before.num_gc + 1, "without the limit, the next is due at twice the heap");
}

static void
beyond_with_workers(void)
{
    live_beyond_limit(3, 192 * MIB);
}

static void
beyond_alone(void)
{
    live_beyond_limit(0, 96 * MIB);
}

/* ---- Beyond the goal ---- */

/* All that lives is to be scanned, and only this thread does it. */
static void
race_the_collector(void)
{
    for (size_t i = 0; i < 24 * 1024; i++)
        held[nheld++] = sh_alloc(1024);
    for (size_t i = 0; i < 2000000; i++) {
        touched(100);
        need(i % 4096 != 0 || look().heap_b <= 96 * MIB, "the heap is at most four times that");
    }
}

/* ---- Tests ---- */

static void
expect_success(const char *part, const char *const *environment)
{
    run_anew(&out, part, environment);
    assert_success(&out);
}

static void
test_scavenger_leaves_a_tenth_more_than_is_in_use(void **state)
{
    (void)state;
    expect_success("peak", NULL);
}

static void
test_release_gives_back_every_idle_page_and_no_other(void **state)
{
    (void)state;
    expect_success("release", NULL);
}

static void
test_garbage_stays_below_a_memory_limit(void **state)
{
    (void)state;
    expect_success("below", (const char *const[]){"SH_MEMLIMIT=64MiB", NULL});
    expect_success("below", (const char *const[]){"SH_MEMLIMIT=64MiB", "SH_MODE=stw", NULL});
    expect_success("below", (const char *const[]){"SH_MEMLIMIT=64MiB", "SH_WORKERS=0", NULL});
}

static void
test_limit_alone_starts_collections(void **state)
{
    (void)state;
    expect_success("below", (const char *const[]){"SH_MEMLIMIT=64MiB", "SH_GOGC=off", NULL});
    expect_success("by call", NULL);
}

static void
test_program_goes_on_beyond_a_memory_limit(void **state)
{
    (void)state;
    expect_success("beyond", NULL);
}

static void
test_limiter_without_workers_does_not_end_collecting(void **state)
{
    (void)state;
    expect_success("beyond alone", (const char *const[]){"SH_WORKERS=0", NULL});
}

static void
test_program_does_not_outrun_a_collector_without_workers(void **state)
{
    (void)state;
    expect_success("race", (const char *const[]){"SH_WORKERS=0", NULL});
}

static const struct {
    const char *name;
    void (*run)(void);
} parts[] = {
    {"race", race_the_collector},   {"peak", drop_a_peak},      {"release", release_all},
    {"below", live_below_limit},    {"by call", limit_by_call}, {"beyond", beyond_with_workers},
    {"beyond alone", beyond_alone},
};

int
main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < COUNT_OF(parts); i++)
        if (strcmp(parts[i].name, argv[1]) == 0) {
            parts[i].run();
            return 0;
        }
    setenv("SH_HUGEPAGES", "0", 1); /* else a page is resident because its neighbour was touched */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scavenger_leaves_a_tenth_more_than_is_in_use),
        cmocka_unit_test(test_release_gives_back_every_idle_page_and_no_other),
        cmocka_unit_test(test_garbage_stays_below_a_memory_limit),
        cmocka_unit_test(test_limit_alone_starts_collections),
        cmocka_unit_test(test_program_goes_on_beyond_a_memory_limit),
        cmocka_unit_test(test_limiter_without_workers_does_not_end_collecting),
        cmocka_unit_test(test_program_does_not_outrun_a_collector_without_workers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
