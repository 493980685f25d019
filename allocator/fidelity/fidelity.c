#include "fidelity.h"

#include <stdarg.h>

void
text_add(struct text *t, const char *format, ...)
{
    va_list args;
    char piece[256];
    va_start(args, format);
    int n = vsnprintf(piece, sizeof piece, format, args);
    va_end(args);
    if (t->len + (size_t)n + 1 > t->cap) {
        t->cap = 2 * (t->len + (size_t)n + 1);
        t->data = realloc(t->data, t->cap);
        if (t->data == NULL)
            abort();
    }
    memcpy(t->data + t->len, piece, (size_t)n + 1);
    t->len += (size_t)n;
}

static void
print_key(const char *format, va_list args)
{
    printf("{\"key\": \"");
    vprintf(format, args);
    printf("\", \"value\": ");
}

void
record_number(double value, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_key(format, args);
    va_end(args);
    printf("%.17g}\n", value);
}

void
record_text(const char *value, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_key(format, args);
    va_end(args);
    printf("\"%s\"}\n", value == NULL ? "" : value);
}

struct allocated
allocated_now(void)
{
    struct sh_stats stats;
    sh_stats_read(&stats);
    return (struct allocated){stats.mallocs, stats.total_alloc_b};
}

void
run_elsewhere(void *(*work)(void *arg), void *arg)
{
    pthread_t thread;
    if (sh_thread_create(&thread, NULL, work, arg) != 0 || sh_thread_join(thread, NULL) != 0)
        abort();
}

static NOINLINE void
clear_stack(void)
{
    volatile char used[16384];
    for (size_t i = 0; i < sizeof used; i++)
        used[i] = 0;
}

NOINLINE uint64_t
live_now(void)
{
    static struct sh_stats stats; /* on the stack its unset words would be roots */
    for (int i = 0; i < 3; i++) {
        clear_stack();
        sh_collect();
    }
    sh_stats_read(&stats);
    return stats.heap_alloc_b;
}

static const struct {
    const char *name;
    void (*run)(void);
} programs[] = {
    {"sizes", sizes},       {"appends", appends},   {"escape", escape}, {"retention", retention},
    {"pool", pool},         {"channels", channels}, {"defers", defers}, {"goals", goals},
    {"patterns", patterns}, {"trace", trace},       {"maps", maps},     {"profile", profile},
};

int
main(int argc, char **argv)
{
    for (size_t i = 0; argc == 2 && i < COUNT_OF(programs); i++)
        if (strcmp(argv[1], programs[i].name) == 0) {
            programs[i].run();
            return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
        }
    fprintf(stderr, "usage: fidelity PROGRAM, one of:");
    for (size_t i = 0; i < COUNT_OF(programs); i++)
        fprintf(stderr, " %s", programs[i].name);
    fprintf(stderr, "\n");
    return 2;
}
