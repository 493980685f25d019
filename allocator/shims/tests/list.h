/* Lists of numbers, for the tests here: what was lost shows in the sum. */
#ifndef GC_TESTS_LIST_H
#define GC_TESTS_LIST_H

#include "check.h"

#include <gc/gc.h>

struct list {
    struct list *next;
    long number;
};

/* 0 to n - 1. */
static struct list *
make_list(long n)
{
    struct list *first = NULL;
    for (long i = 0; i < n; i++) {
        struct list *l = GC_MALLOC(sizeof *l);
        l->next = first;
        l->number = i;
        first = l;
    }
    return first;
}

static long
sum(const struct list *l)
{
    long n = 0;
    for (; l != NULL; l = l->next)
        n += l->number;
    return n;
}

#endif
