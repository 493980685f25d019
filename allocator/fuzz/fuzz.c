/*
 * The part of every fuzz target that does not know what it is for. What is random in the library
 * begins anew with each input (the linker puts the __wrap_ functions in the place of the library's
 * own), so that an input does the same each time, or nearly: see README.md. In the same way fatal
 * errors of the library end a call instead of the program, where that is what is to be seen.
 */
#include "fuzz.h"

#include "heap/cache.h"
#include "heap/os.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
uint64_t __wrap_os_random(void);
uint64_t __wrap_map_random(void);
_Noreturn void __real_sh_fatal(const char *format, ...);
_Noreturn void __wrap_sh_fatal(const char *format, ...);
void __real_os_write_error(const char *text, size_t size);
void __wrap_os_write_error(const char *text, size_t size);

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

/* ---- The beginning ---- */

static void
begin_input(struct input *in)
{
    size_t what = choose(in, 8);
    chance = what;
    ticks = 0;
    every = what == 0 ? 0 : (size_t)1 << (what - 1);
}

bool
is_time_for_step(void)
{
    return every > 0 && ++ticks % every == 0;
}

/* ---- Fatal errors ---- */

static struct {
    bool waits;
    jmp_buf landing;
    char message[300];
} fatal;

/* What was entered is left: the calling thread's slow section, and its depth. */
static void
leave_heap(void)
{
    if (cache_self == NULL)
        return;
    cache_slow_leave(cache_self);
    while (atomic_load(&cache_self->depth) > 0)
        cache_leave(cache_self);
}

void
__wrap_sh_fatal(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(fatal.message, sizeof fatal.message, format, args);
    va_end(args);
    if (!fatal.waits)
        __real_sh_fatal("%s", fatal.message);
    leave_heap();
    longjmp(fatal.landing, 1);
}

/* What is said of the address before. */
void
__wrap_os_write_error(const char *text, size_t size)
{
    if (!fatal.waits)
        __real_os_write_error(text, size);
}

/* The message of the fatal error that ends call(arg), in a buffer; NULL: none. */
static const char *
fatal_of(void (*call)(void *arg), void *arg)
{
    fatal.waits = true;
    bool fell = setjmp(fatal.landing) != 0;
    if (!fell)
        call(arg);
    fatal.waits = false;
    return fell ? fatal.message : NULL;
}

void
need_fatal(void (*call)(void *arg), void *arg, const char *format, ...)
{
    char wanted[300];
    va_list args;
    va_start(args, format);
    vsnprintf(wanted, sizeof wanted, format, args);
    va_end(args);
    const char *message = fatal_of(call, arg);
    if (message != NULL && strncmp(message, wanted, strlen(wanted)) == 0)
        return;
    fprintf(stderr, "wanted the end: %s\n", wanted);
    fprintf(stderr, "got %s\n", message == NULL ? "none" : message);
    need(false, "a wrong call ends the program, with its message");
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
