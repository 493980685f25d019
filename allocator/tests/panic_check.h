/* What the tests of types share: the message of a panic. */
#ifndef SPANHEAP_TESTS_PANIC_CHECK_H
#define SPANHEAP_TESTS_PANIC_CHECK_H

#include "check.h"

#include <spanheap/panic.h>

static const struct sh_panic_value *caught;

static void
catch_it(void *arg)
{
    (void)arg;
    caught = sh_recover();
}

/* The message of the panic in work(arg), or NULL. */
static NOINLINE const char *
panic_of(void (*work)(void *arg), void *arg)
{
    SH_SCOPE(scope);
    sh_landing landing;
    caught = NULL;
    if (SH_RECOVERED(scope, landing))
        return caught->message;
    sh_defer(&scope, catch_it, NULL);
    work(arg);
    return NULL;
}

#endif
