/* Reading the command line: strict, because a mistyped number is a wrong measurement. */
#include "arguments.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    THREADS_MAX = 256,
};

static void
print_usage(FILE *out, const struct pitfall *pitfall)
{
    fprintf(out,
            "usage: %s.%s [options]\n"
            "  --n N          the pitfall's parameter (default %" PRIu64 ")\n"
            "  --count N      rounds in the timed region (default 1)\n"
            "  --seconds S    instead of --count: double the rounds until they last S seconds\n"
            "  --threads T    threads that each run all rounds (default 1)%s\n"
            "  --warmup N     untimed rounds before (default 1)\n"
            "  --start-only   leave right after set-up: the start-up time\n"
            "  --events       also record when each phase of the run began\n"
            "  --explain      instead of timing: run one round, then tell why the object that it\n"
            "                 marks with pitfall_retains() is alive\n"
            "  --help         this text\n"
            "Prints one readable line, or one JSON record on descriptor 3 if that is open:\n"
            "  %s.%s --seconds 0.05 3>&1\n",
            pitfall->id, pitfall->variant, pitfall->default_n,
            pitfall->parallel ? "" : "; this program keeps state: 1 only", pitfall->id,
            pitfall->variant);
}

static __attribute__((noreturn, format(printf, 2, 3))) void
refuse(const struct pitfall *pitfall, const char *format, ...)
{
    va_list rest;

    fprintf(stderr, "%s.%s: ", pitfall->id, pitfall->variant);
    va_start(rest, format);
    vfprintf(stderr, format, rest);
    va_end(rest);
    fputs("\n", stderr);
    print_usage(stderr, pitfall);
    exit(2);
}

static uint64_t
read_whole(const struct pitfall *pitfall, const char *name, const char *text, uint64_t least,
           uint64_t most)
{
    char *end;

    errno = 0;
    uint64_t value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != 0 || errno != 0 || value < least || value > most)
        refuse(pitfall, "%s wants a whole number from %" PRIu64 " to %" PRIu64 ", not '%s'", name,
               least, most, text);
    return value;
}

static double
read_seconds(const struct pitfall *pitfall, const char *text)
{
    char *end;
    double value = strtod(text, &end);

    if (end == text || *end != 0 || !isfinite(value) || value <= 0 || value > 3600)
        refuse(pitfall, "--seconds wants a number above 0 and up to 3600, not '%s'", text);
    return value;
}

/* The value of option name: what follows "=", or the next argument. NULL: this is not that option.
 */
static const char *
option_value(const struct pitfall *pitfall, const char *name, char **argv, int *at)
{
    size_t length = strlen(name);
    const char *text = argv[*at];

    if (strncmp(text, name, length) != 0)
        return NULL;
    if (text[length] == '=')
        return text + length + 1;
    if (text[length] != 0)
        return NULL;
    if (argv[*at + 1] == NULL)
        refuse(pitfall, "%s wants a value", name);
    return argv[++*at];
}

static void
read_option(const struct pitfall *pitfall, struct arguments *to, char **argv, int *at,
            int *count_given)
{
    const uint64_t most = UINT64_C(1) << 40;
    const char *value;

    if (strcmp(argv[*at], "--help") == 0) {
        print_usage(stdout, pitfall);
        exit(0);
    } else if (strcmp(argv[*at], "--start-only") == 0) {
        to->start_only = 1;
    } else if (strcmp(argv[*at], "--events") == 0) {
        to->events = 1;
    } else if (strcmp(argv[*at], "--explain") == 0) {
        to->explain = 1;
    } else if ((value = option_value(pitfall, "--n", argv, at)) != NULL) {
        to->n = read_whole(pitfall, "--n", value, 1, pitfall->max_n ? pitfall->max_n : most);
    } else if ((value = option_value(pitfall, "--count", argv, at)) != NULL) {
        to->count = read_whole(pitfall, "--count", value, 1, most);
        *count_given = 1;
    } else if ((value = option_value(pitfall, "--seconds", argv, at)) != NULL) {
        to->seconds = read_seconds(pitfall, value);
    } else if ((value = option_value(pitfall, "--threads", argv, at)) != NULL) {
        to->threads = read_whole(pitfall, "--threads", value, 1, THREADS_MAX);
    } else if ((value = option_value(pitfall, "--warmup", argv, at)) != NULL) {
        to->warmup = read_whole(pitfall, "--warmup", value, 0, most);
    } else {
        refuse(pitfall, "there is no option '%s'", argv[*at]);
    }
}

struct arguments
arguments_read(const struct pitfall *pitfall, int argc, char **argv)
{
    struct arguments to = {.n = pitfall->default_n, .count = 1, .threads = 1, .warmup = 1};
    int count_given = 0;

    for (int at = 1; at < argc; at++)
        read_option(pitfall, &to, argv, &at, &count_given);
    if (count_given && to.seconds > 0)
        refuse(pitfall, "--count and --seconds exclude each other");
    if (to.threads > 1 && !pitfall->parallel)
        refuse(pitfall, "this program keeps state between its rounds: --threads 1 only");
    return to;
}
