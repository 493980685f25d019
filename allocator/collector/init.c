/*
 * The start of the library, and the one table of its environment variables. It runs as a
 * constructor, or at the first call that comes earlier.
 */
#include "collector/background.h"
#include "collector/cycle.h"
#include "collector/stress.h"
#include "collector/sweep.h"
#include "collector/threads.h"
#include "heap/central.h"
#include "heap/os.h"
#include "observe/observe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- Environment ---- */

enum setting_kind {
    SETTING_FLAG,  /* 0 or 1 */
    SETTING_COUNT, /* a whole number */
    SETTING_SIZE,  /* bytes; B, KiB, MiB, GiB, TiB may follow */
    SETTING_PERCENT_OR_OFF,
    SETTING_WORD, /* one of `words`; its number */
};

static const char *const mode_words[] = {"concurrent", "stw", NULL};        /* enum gc_mode */
static const char *const barrier_words[] = {"none", "deletion", "insertion", NULL}; /* barrier_kind */

#define UNSET UINT64_MAX

static struct {
    uint64_t gogc, gctrace, reserve, gc_period, signal, clobber, verify;
    uint64_t mode, barrier, workers, stress_delay, stress_buffers;
} settings SH_STATE = {.gogc = 100, .gc_period = 120, .mode = UNSET, .barrier = BARRIER_DELETION, .workers = INT32_MAX, .stress_buffers = WORKBUF_WORDS};

static const struct setting {
    const char *name;
    enum setting_kind kind;
    uint64_t *value;
    const char *use;
    const char *const *words; /* SETTING_WORD */
} setting_table[] = {
    {"SH_GOGC", SETTING_PERCENT_OR_OFF, &settings.gogc, "a percentage, or off", NULL},
    {"SH_GCTRACE", SETTING_FLAG, &settings.gctrace, "1 prints a line for each collection", NULL},
    {"SH_RESERVE", SETTING_SIZE, &settings.reserve, "address space to reserve, such as 64GiB", NULL},
    {"SH_GC_PERIOD", SETTING_COUNT, &settings.gc_period,
     "seconds between collections at most, 0: none", NULL},
    {"SH_SIGNAL", SETTING_COUNT, &settings.signal, "the number of the signal that stops threads", NULL},
    {"SH_CLOBBER", SETTING_FLAG, &settings.clobber, "1 overwrites dead objects with 0xdeadbeef", NULL},
    {"SH_MODE", SETTING_WORD, &settings.mode, "concurrent or stw", mode_words},
    {"SH_BARRIER", SETTING_WORD, &settings.barrier, "deletion, insertion or none", barrier_words},
    {"SH_WORKERS", SETTING_COUNT, &settings.workers, "the most background threads, 0: none", NULL},
    {"SH_STRESS_DELAY", SETTING_COUNT, &settings.stress_delay,
     "microseconds of a random delay at each phase edge", NULL},
    {"SH_STRESS_BUFFERS", SETTING_COUNT, &settings.stress_buffers, "words in a work buffer, from 1",
     NULL},
    {"SH_VERIFY", SETTING_FLAG, &settings.verify, "1 checks the heap in each collection", NULL},
};

#define MAX_SETTING (UINT64_C(1) << 47) /* of any number: all addresses that a program has */

static bool
parse_size(const char *unit, uint64_t *value)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    if (*unit == '\0')
        return true;
    for (unsigned i = 0; i < sizeof units / sizeof *units; i++)
        if (strcmp(unit, units[i]) == 0)
            return !__builtin_mul_overflow(*value, UINT64_C(1) << (10 * i), value);
    return false;
}

static bool
parse_word(const struct setting *s, const char *text)
{
    for (size_t i = 0; s->words[i] != NULL; i++)
        if (strcmp(text, s->words[i]) == 0) {
            *s->value = i;
            return true;
        }
    return false;
}

static bool
parse(const struct setting *s, const char *text)
{
    if (s->kind == SETTING_WORD)
        return parse_word(s, text);
    if (s->kind == SETTING_PERCENT_OR_OFF && strcmp(text, "off") == 0) {
        *s->value = UINT64_MAX;
        return true;
    }
    if (*text < '0' || *text > '9')
        return false;
    char *end;
    errno = 0;
    uint64_t value = strtoull(text, &end, 10);
    bool good = s->kind == SETTING_SIZE ? parse_size(end, &value) : *end == '\0';
    good = good && errno == 0 && value <= MAX_SETTING;
    good = good && (s->kind != SETTING_FLAG || value <= 1);
    good = good && (s->kind == SETTING_SIZE || value <= INT32_MAX);
    if (good)
        *s->value = value;
    return good;
}

static void
read_environment(void)
{
    for (size_t i = 0; i < sizeof setting_table / sizeof *setting_table; i++) {
        const struct setting *s = &setting_table[i];
        const char *text = getenv(s->name);
        sh_require(text == NULL || parse(s, text), "%s=%s cannot be read; give %s", s->name, text,
                   s->use);
    }
}

/* ---- Start ---- */

/* Without a barrier, marking cannot run beside the program, unless that is asked for by name. */
static void
choose_mode(void)
{
    cycle.barrier = (enum barrier_kind)settings.barrier;
    if (settings.mode != UNSET)
        cycle.mode = (enum gc_mode)settings.mode;
    else
        cycle.mode = cycle.barrier == BARRIER_NONE ? MODE_STW : MODE_CONCURRENT;
}

static pthread_once_t once SH_STATE = PTHREAD_ONCE_INIT;
static _Atomic bool started SH_STATE;

static void
start(void)
{
    read_environment();
    sh_require(pageheap_init(settings.reserve),
               "no address space: cannot reserve even 64 MiB (see ulimit -v, SH_RESERVE)");
    sh_require(central_init(), "no memory for the central lists");
    observe_init();
    sweep_set_clobber(settings.clobber);
    cycle.gogc = settings.gogc == UINT64_MAX ? SH_GOGC_OFF : (int)settings.gogc;
    choose_mode();
    background_limit((unsigned)settings.workers);
    stress_delay_max_ns = settings.stress_delay * 1000;
    sh_require(settings.stress_buffers > 0, "SH_STRESS_BUFFERS=0; give 1 or more");
    workbuf_set_capacity((uint32_t)settings.stress_buffers);
    cycle.trace = settings.gctrace;
    cycle.verify = settings.verify;
    cycle.period_ns = settings.gc_period * 1000000000u;
    cycle.start_ns = os_now_ns();
    atomic_store(&cycle.last_end_ns, cycle.start_ns);
    cycle_set_goal();
    world_init((int)settings.signal);
    threads_init();
    roots_init();
    fork_init();
    struct thread *self = world_make_thread(LIFE_ATTACHED);
    sh_require(self != NULL, "no memory for the first thread's record");
    world_add_thread(self);
    world_adopt_self(self);
    atomic_store(&started, true);
}

void
sh_init(void)
{
    if (unlikely(!atomic_load_explicit(&started, memory_order_acquire)))
        pthread_once(&once, start);
}

__attribute__((constructor)) static void
start_with_program(void)
{
    sh_init();
}

struct cache *
hook_attach_caller(void)
{
    sh_init();
    sh_require(
        cache_self != NULL,
        "a thread that is not attached uses the heap: make it with sh_thread_create, or let it "
        "call sh_thread_attach first");
    return cache_self;
}

const char *
sh_version(void)
{
    return SH_VERSION;
}
