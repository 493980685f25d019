/* Objects that are watched: do they live? A few that nobody holds may stay by chance. */
#ifndef GC_TESTS_WATCH_H
#define GC_TESTS_WATCH_H

#include "check.h"

#include <gc/gc.h>

/* *link is clear when the object has gone. */
static __attribute__((unused)) void
watch(GC_hidden_pointer *link, void *object)
{
    *link = GC_HIDE_POINTER(object);
    GC_general_register_disappearing_link((void **)link, object);
}

static __attribute__((unused)) void
collect_all(int times)
{
    wipe_stack();
    for (int i = 0; i < times; i++) {
        GC_gcollect();
        GC_invoke_finalizers();
    }
}

#endif
