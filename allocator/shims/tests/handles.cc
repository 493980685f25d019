// The headers in C++: they compile, and the macros work there.
#define GC_THREADS
#include "check.h"

#include <gc.h>
#include <gc/gc_disclaim.h>
#include <gc/gc_gcj.h>
#include <gc/gc_inline.h>
#include <gc/gc_mark.h>
#include <gc/gc_typed.h>
#include <gc/javaxfc.h>

struct point {
    long x, y;
};

static void *
set(void *arg)
{
    static_cast<point *>(arg)->y = 2;
    return arg;
}

int
main()
{
    GC_INIT();
    point *p = GC_NEW(point), *q = GC_NEW_ATOMIC(point), *r = GC_NEW_UNCOLLECTABLE(point);
    pthread_t thread;
    void *result = nullptr;
    CHECK(p->x == 0 && q != nullptr);
    CHECK(pthread_create(&thread, nullptr, set, r) == 0 && pthread_join(thread, &result) == 0);
    CHECK(result == r && r->y == 2);
    GC_reachable_here(p);
    GC_FREE(r);
    return 0;
}
