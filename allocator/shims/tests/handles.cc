// The headers in C++: they compile, and the macros work there.
#define GC_THREADS
#include "check.h"

#include <gc.h>
#include <gc/gc_allocator.h>
#include <gc/gc_cpp.h>
#include <gc/gc_disclaim.h>
#include <gc/gc_gcj.h>
#include <gc/gc_inline.h>
#include <gc/gc_mark.h>
#include <gc/gc_typed.h>
#include <gc/javaxfc.h>
#include <list>
#include <vector>

struct point {
    long x, y;
};

static void *
set(void *arg)
{
    static_cast<point *>(arg)->y = 2;
    return arg;
}

static int destroyed;

struct cleaned : public gc_cleanup {
    long words[4] = {1, 2, 3, 4};
    ~cleaned()
    {
        CHECK(words[3] == 4);
        destroyed++;
    }
};

static void
make_cleaned()
{
    for (int i = 0; i < 200; i++)
        new cleaned;
}

static void
containers()
{
    std::vector<std::list<long, gc_allocator<long>>,
                traceable_allocator<std::list<long, gc_allocator<long>>>>
        rows(50);
    for (int i = 0; i < 20000; i++)
        rows[i % 50].push_back(i);
    GC_gcollect();
    long sum = 0;
    for (auto &row : rows)
        for (long n : row)
            sum += n;
    CHECK(sum == 199990000L);
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
    containers();
    far_away(make_cleaned);
    wipe_stack();
    GC_gcollect();
    GC_invoke_finalizers();
    CHECK(destroyed >= 150);
    long *n = new (GC) long[100];
    CHECK(n[99] == 0 && GC_base(n + 50) == n);
    return 0;
}
