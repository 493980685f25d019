#define _GNU_SOURCE
#include "collector/settings.h"

#include "collector/barrier.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_STACK_B (UINT64_C(16) << 10)
#define MOST_STACK_B (UINT64_C(64) << 20)

enum setting_kind {
    SETTING_FLAG,  /* 0 or 1 */
    SETTING_COUNT, /* a whole number */
    SETTING_SIZE,  /* bytes; B, KiB, MiB, GiB, TiB may follow */
    SETTING_PERCENT_OR_OFF,
    SETTING_TEXT, /* anything but nothing */
    SETTING_WORD, /* one of `words`; its number */
};

static struct settings settings SH_STATE;

static const struct settings defaults = {
    .gogc = 100,
    .memory_limit_b = UINT64_MAX,
    .huge_pages = SETTING_UNSET,
    .period_s = 120,
    .mode = SETTING_UNSET,
    .barrier = BARRIER_DELETION,
    .workers = INT32_MAX,
    .profile_rate_b = SETTING_UNSET,
    .poison = 1,
    .quarantine_b = SETTING_UNSET,
    .stress_buffers = WORKBUF_WORDS,
    .task_stack_b = UINT64_C(64) << 10,
};

static const char *const mode_words[] = {"concurrent", "stw", NULL};
static const char *const barrier_words[] = {"none", "deletion", "insertion", NULL};

static const char *const slice_words[] = {"go1.18", "go1.0", "go1.22", NULL};

static const struct setting {
    const char *name;
    enum setting_kind kind;
    void *value; /* const char ** of a text, else uint64_t * */
    const char *use;
    const char *const *words;
} setting_table[] = {
    {"SH_GOGC", SETTING_PERCENT_OR_OFF, &settings.gogc, "a percentage, or off", NULL},
    {"SH_MEMLIMIT", SETTING_SIZE, &settings.memory_limit_b, "a size such as 512MiB", NULL},
    {"SH_MODE", SETTING_WORD, &settings.mode, "concurrent or stw", mode_words},
    {"SH_BARRIER", SETTING_WORD, &settings.barrier, "deletion, insertion or none", barrier_words},
    {"SH_WORKERS", SETTING_COUNT, &settings.workers, "the most background threads, 0: none", NULL},
    {"SH_GCTRACE", SETTING_FLAG, &settings.gctrace, "1 prints a line for each collection", NULL},
    {"SH_RESERVE", SETTING_SIZE, &settings.reserve_b, "address space to reserve, such as 64GiB",
     NULL},
    {"SH_HUGEPAGES", SETTING_FLAG, &settings.huge_pages,
     "1 to ask for huge pages, 0 to refuse them", NULL},
    {"SH_GC_PERIOD", SETTING_COUNT, &settings.period_s,
     "seconds between collections at most, 0: none", NULL},
    {"SH_SIGNAL", SETTING_COUNT, &settings.signal, "the number of the signal that stops threads",
     NULL},
    {"SH_CLOBBER", SETTING_FLAG, &settings.clobber, "1 overwrites dead objects with 0xdeadbeef",
     NULL},
    {"SH_POISON", SETTING_FLAG, &settings.poison,
     "0 tells AddressSanitizer and valgrind nothing of the heap", NULL},
    {"SH_DEBUG_HEAP", SETTING_FLAG, &settings.debug_heap,
     "1 puts guards around objects and keeps who allocated and freed them", NULL},
    {"SH_QUARANTINE", SETTING_SIZE, &settings.quarantine_b,
     "bytes to be freed before freed memory is used again, such as 1MiB; 0: none", NULL},
    {"SH_VERIFY", SETTING_FLAG, &settings.verify, "1 checks the heap in each collection", NULL},
    {"SH_TRACE", SETTING_TEXT, &settings.trace, "the name of the trace file to write", NULL},
    {"SH_EVENTS", SETTING_COUNT, &settings.events, "how many events a trace keeps", NULL},
    {"SH_PROFILE", SETTING_TEXT, &settings.profile, "the name of the heap profile to write", NULL},
    {"SH_PROFILE_RATE", SETTING_SIZE, &settings.profile_rate_b,
     "bytes between two samples of the heap profile, such as 512KiB; 0: none", NULL},
    {"SH_SLICE_RULE", SETTING_WORD, &settings.slice_rule, "go1.0, go1.18 or go1.22", slice_words},
    {"SH_TASK_STACK", SETTING_SIZE, &settings.task_stack_b, "a size such as 64KiB", NULL},
    {"SH_TASK_THREADS", SETTING_COUNT, &settings.task_threads, "the threads that run tasks", NULL},
    {"SH_STRESS_DELAY", SETTING_COUNT, &settings.stress_delay_us,
     "microseconds of a random delay at each phase edge", NULL},
    {"SH_STRESS_BUFFERS", SETTING_COUNT, &settings.stress_buffers, "words in a work buffer, from 1",
     NULL},
    {"SH_STRESS_OS", SETTING_COUNT, &settings.stress_os,
     "the number of the call of mmap or mprotect that fails, 0: none", NULL},
    {"SH_STRESS_SHARDS", SETTING_COUNT, &settings.stress_shards,
     "sets of central lists, 0: one a processor", NULL},
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
parse_number(const struct setting *s, const char *text)
{
    uint64_t *to = s->value;
    if (s->kind == SETTING_PERCENT_OR_OFF && strcmp(text, "off") == 0) {
        *to = UINT64_MAX;
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
        *to = value;
    return good;
}

static bool
parse_word(const struct setting *s, const char *text)
{
    for (size_t i = 0; s->words[i] != NULL; i++)
        if (strcmp(text, s->words[i]) == 0) {
            *(uint64_t *)s->value = i;
            return true;
        }
    return false;
}

static bool
parse(const struct setting *s, const char *text)
{
    if (s->kind == SETTING_WORD)
        return parse_word(s, text);
    if (s->kind != SETTING_TEXT)
        return parse_number(s, text);
    *(const char **)s->value = text;
    return *text != '\0';
}

/* A set-user-ID program must not write a file or take a signal at its caller's wish. */
struct settings
settings_read(void)
{
    settings = defaults;
    for (size_t i = 0; i < sizeof setting_table / sizeof *setting_table; i++) {
        const struct setting *s = &setting_table[i];
        const char *text = secure_getenv(s->name);
        sh_require(text == NULL || parse(s, text), "%s=%s cannot be read; give %s", s->name, text,
                   s->use);
    }
    sh_require(settings.task_stack_b >= LEAST_STACK_B && settings.task_stack_b <= MOST_STACK_B,
               "SH_TASK_STACK=%llu cannot be used; give 16KiB to 64MiB",
               (unsigned long long)settings.task_stack_b);
    sh_require(settings.stress_buffers > 0, "SH_STRESS_BUFFERS=0 cannot be read; give 1 or more");
    return settings;
}

const struct settings *
settings_get(void)
{
    return &settings;
}
