/*
 * The start of the library, and the one table of its environment variables. It runs as a
 * constructor, or at the first call that comes earlier.
 */
#include "collector/barrier.h"
#include "collector/cycle.h"
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
};

static struct {
    uint64_t gogc, gctrace, reserve, gc_period, signal, clobber, verify;
} settings SH_STATE = {.gogc = 100, .gc_period = 120};

static const struct setting {
    const char *name;
    enum setting_kind kind;
    uint64_t *value;
    const char *use;
} setting_table[] = {
    {"SH_GOGC", SETTING_PERCENT_OR_OFF, &settings.gogc, "a percentage, or off"},
    {"SH_GCTRACE", SETTING_FLAG, &settings.gctrace, "1 prints a line for each collection"},
    {"SH_RESERVE", SETTING_SIZE, &settings.reserve, "address space to reserve, such as 64GiB"},
    {"SH_GC_PERIOD", SETTING_COUNT, &settings.gc_period,
     "seconds between collections at most, 0: none"},
    {"SH_SIGNAL", SETTING_COUNT, &settings.signal, "the number of the signal that stops threads"},
    {"SH_CLOBBER", SETTING_FLAG, &settings.clobber, "1 overwrites dead objects with 0xdeadbeef"},
    {"SH_VERIFY", SETTING_FLAG, &settings.verify, "1 checks the heap in each collection"},
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
parse(const struct setting *s, const char *text)
{
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
    struct thread *self = world_add_thread(LIFE_ATTACHED);
    sh_require(self != NULL, "no memory for the first thread's record");
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
