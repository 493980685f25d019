/*
 * The part of every fuzz target that does not know its type. What is random in the library begins
 * anew with each input (the linker puts the __wrap_ functions in the place of the library's own),
 * so that an input does the same each time, or nearly: see README.md.
 */
#include "fuzz.h"

#include <spanheap/panic.h>

#include "collector/cycle.h"
#include "collector/world.h"

#include <stdarg.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
uint64_t __wrap_os_random(void);
uint64_t __wrap_map_random(void);

static uint64_t chance;
static size_t ticks, every;

/* splitmix64 */
static uint64_t
next_chance(void)
{
    uint64_t x = chance += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

uint64_t
__wrap_os_random(void)
{
    return next_chance();
}

uint64_t
__wrap_map_random(void)
{
    return next_chance();
}

/* ---- Choices ---- */

bool
is_used_up(const struct input *in)
{
    return in->at == in->end;
}

size_t
choose(struct input *in, size_t n)
{
    return is_used_up(in) ? 0 : *in->at++ % n;
}

size_t
choose_wide(struct input *in, size_t n)
{
    size_t low = choose(in, 256);
    return (low | choose(in, 256) << 8) % n;
}

size_t
choose_size(struct input *in, size_t near)
{
    static const size_t huge[] = {SIZE_MAX, SIZE_MAX / 2, SIZE_MAX / 2 + 1, SIZE_MAX / 16 + 1};
    size_t what = choose(in, 256);
    if (what >= 128)
        return what - 128;
    switch (what % 4) {
    case 0:
        return near;
    case 1:
        return near + 1;
    case 2:
        return near == 0 ? 0 : near - 1;
    default:
        return huge[what / 4 % COUNT_OF(huge)];
    }
}

/* ---- Collections ---- */

void
begin_input(struct input *in)
{
    size_t what = choose(in, 8);
    chance = what;
    ticks = 0;
    every = what == 0 ? 0 : (size_t)1 << (what - 1);
}

/* At least so many bytes; ends the collection when there is nothing left. */
static void
mark_some(void *bytes)
{
    if (!cycle_is_marking())
        return;
    if (markers_work(MARKER_FORCED, *(uint64_t *)bytes) == 0 && markers_idle())
        cycle_try_end();
}

static void
begin_or_mark(uint64_t bytes)
{
    if (cycle_is_marking())
        world_safe_call(mark_some, &bytes);
    else
        cycle_begin(SH_TRIGGER_FORCED);
}

void
tick(void)
{
    if (every > 0 && ++ticks % every == 0)
        begin_or_mark(1);
}

void
collect_somehow(struct input *in)
{
    size_t what = choose(in, 16);
    if (what < 4)
        sh_collect();
    else
        begin_or_mark((uint64_t)1 << what);
}

/* ---- Panics ---- */

static void
note_message(void *message)
{
    const struct sh_panic_value *said = sh_recover();
    if (said != NULL)
        snprintf(message, 300, "%s", said->message);
}

const char *
panic_of(void (*call)(void *arg), void *arg)
{
    static char message[300];
    SH_SCOPE(scope);
    sh_landing landing;
    if (SH_RECOVERED(scope, landing))
        return message;
    sh_defer(&scope, note_message, message);
    call(arg);
    return NULL;
}

void
need_panic(void (*call)(void *arg), void *arg, const char *format, ...)
{
    char wanted[300] = "";
    const char *message = panic_of(call, arg);
    if (format != NULL) {
        va_list list;
        va_start(list, format);
        vsnprintf(wanted, sizeof wanted, format, list);
        va_end(list);
    }
    if (message != NULL ? strcmp(message, wanted) == 0 : format == NULL)
        return;
    fprintf(stderr, "wanted %s%s, ", format == NULL ? "no panic" : "panic: ", wanted);
    fprintf(stderr, "got %s%s\n",
            message == NULL ? "none" : "panic: ", message == NULL ? "" : message);
    need(false, "it panics as in Go");
}

/* ---- The target ---- */

bool
is_model_wrong(void)
{
    const char *wrong = getenv("FUZZ_WRONG");
    return wrong != NULL && strcmp(wrong, "1") == 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};
    begin_input(&in);
    run_input(&in);
    return 0;
}
