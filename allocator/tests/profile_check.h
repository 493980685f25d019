/* What the tests of the heap profile share: places that allocate, and what the profile says of a
 * place. */
#ifndef SPANHEAP_TESTS_PROFILE_CHECK_H
#define SPANHEAP_TESTS_PROFILE_CHECK_H

#include "check.h"

#include "observe/symbols.h"

#define RECORDS_MAX 4096

/* A function that allocates, which is still on the stack then, and which the compiler cannot make
   one with another. */
#define SITE(name, call)                                                                           \
    static NOINLINE void *name(size_t size)                                                        \
    {                                                                                              \
        void *p = call;                                                                            \
        __asm__ volatile("# " #name : : "r"(p) : "memory");                                        \
        return p;                                                                                  \
    }

struct totals {
    uint64_t alloc_objects, alloc_b, inuse_objects, inuse_b;
};

/* What the function of this name has allocated; NULL: all of them. */
static NOINLINE struct totals
totals_of(const char *function)
{
    static struct sh_profile_record records[RECORDS_MAX];
    struct totals sum = {0};
    size_t n = sh_profile_read(records, RECORDS_MAX);
    if (n > RECORDS_MAX)
        abort();
    for (size_t i = 0; i < n; i++) {
        const struct sh_profile_record *r = &records[i];
        const char *name = r->nstack == 0 ? NULL : symbols_find(r->stack[0] - 1).function;
        if (function != NULL && (name == NULL || strcmp(name, function) != 0))
            continue;
        sum.alloc_objects += r->alloc_objects;
        sum.alloc_b += r->alloc_b;
        sum.inuse_objects += r->inuse_objects;
        sum.inuse_b += r->inuse_b;
    }
    return sum;
}

static inline void
assert_totals(const char *function, uint64_t alloc_objects, uint64_t inuse_objects, uint64_t size)
{
    struct totals t = totals_of(function);
    if (t.alloc_objects != alloc_objects || t.inuse_objects != inuse_objects)
        print_error("%s: %zu allocated, %zu in use\n", function, (size_t)t.alloc_objects,
                    (size_t)t.inuse_objects);
    assert_int_equal(t.alloc_objects, alloc_objects);
    assert_int_equal(t.inuse_objects, inuse_objects);
    assert_int_equal(t.alloc_b, alloc_objects * size);
    assert_int_equal(t.inuse_b, inuse_objects * size);
}

#endif
