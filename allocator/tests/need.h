/* What programs that check themselves share, tests and fuzz targets. */
#ifndef SPANHEAP_TESTS_NEED_H
#define SPANHEAP_TESTS_NEED_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

/* Says what is wrong and ends the program: cmocka's assertions work in a test's own process only,
   and a fuzzer takes a program that aborts for a find. */
static __attribute__((noinline, unused)) void
need(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "not so: %s\n", what);
    abort();
}

/* Limits a resource to what the process has of it now (a field of /proc/self/status), and more_b.
 */
static __attribute__((noinline, unused)) void
limit_to_what_is_there(int resource, const char *field, rlim_t more_b)
{
    char line[256];
    unsigned long kib = 0;
    size_t n = strlen(field);
    FILE *f = fopen("/proc/self/status", "r");
    while (kib == 0 && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, field, n) == 0)
            sscanf(line + n, ": %lu kB", &kib);
    fclose(f);
    rlim_t limit_b = ((rlim_t)kib << 10) + more_b;
    struct rlimit limit = {limit_b, limit_b};
    need(kib > 0 && setrlimit((__rlimit_resource_t)resource, &limit) == 0, "the limit is set");
}

#endif
