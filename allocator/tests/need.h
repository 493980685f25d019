/* What programs that check themselves share, tests and fuzz targets. */
#ifndef SPANHEAP_TESTS_NEED_H
#define SPANHEAP_TESTS_NEED_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

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

#endif
