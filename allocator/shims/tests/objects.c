/* Objects: kinds, sizes, addresses, realloc, free. */
#include "check.h"

#include <errno.h>
#include <gc/gc.h>

enum { MANY = 300 };

static void *
filled(void *p, size_t size)
{
    return memset(p, 0x5a, size);
}

static int
is_zero(const char *p, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (p[i] != 0)
            return 0;
    return 1;
}

static void
sizes_and_starts(void)
{
    for (size_t size = 0; size < 70000; size = size * 9 / 8 + 1) {
        char *p = GC_MALLOC(size), *q = GC_MALLOC_ATOMIC(size);
        CHECK((uintptr_t)p % 16 == 0 && (uintptr_t)q % 16 == 0);
        CHECK(is_zero(p, size));
        CHECK(GC_size(p) >= size && GC_size(q) >= size);
        CHECK(GC_base(p) == p && GC_base(q) == q && p != q);
        CHECK(GC_is_heap_ptr(p));
        if (size > 0)
            CHECK(GC_base(p + size - 1) == p && GC_base(p + size) == p); /* the end counts */
        filled(p, size);
        filled(q, size);
    }
    int local = 0;
    CHECK(GC_base(&local) == NULL && !GC_is_heap_ptr(&local) && GC_base(NULL) == NULL);
}

/* Only an address inside, or just past the end, is kept; the object must not be reused. */
static void
inner_pointers_keep(void)
{
    static char *inside[MANY], *past[MANY];
    for (int i = 0; i < MANY; i++) {
        inside[i] = (char *)filled(GC_MALLOC_ATOMIC(64), 64) + 33;
        past[i] = (char *)filled(GC_MALLOC_ATOMIC(64), 64) + 64;
    }
    for (int round = 0; round < 5; round++) {
        GC_gcollect();
        for (int i = 0; i < 5000; i++)
            memset(GC_MALLOC_ATOMIC(64), 0x11, 64);
    }
    for (int i = 0; i < MANY; i++) {
        CHECK(inside[i][-33] == 0x5a && inside[i][30] == 0x5a);
        CHECK(past[i][-64] == 0x5a && past[i][-1] == 0x5a);
    }
}

static void
aligned(void)
{
    for (size_t alignment = 16; alignment <= 4096; alignment *= 2) {
        char *p = GC_memalign(alignment, 100);
        CHECK((uintptr_t)p % alignment == 0 && GC_base(p + 99) != NULL);
        void *q = NULL;
        CHECK(GC_posix_memalign(&q, alignment, alignment + 3) == 0 &&
              (uintptr_t)q % alignment == 0);
    }
    void *q = NULL;
    CHECK(GC_posix_memalign(&q, 24, 100) == EINVAL);
}

static void
strings(void)
{
    char *p = GC_STRDUP("spanheap"), *q = GC_STRNDUP("spanheap", 4);
    CHECK(strcmp(p, "spanheap") == 0 && strcmp(q, "span") == 0);
    CHECK(strcmp(GC_strndup("ab", 9), "ab") == 0);
}

static void
realloc_keeps(void)
{
    char *p = GC_REALLOC(NULL, 10);
    memcpy(p, "0123456789", 10);
    for (size_t size = 11; size < 100000; size = size * 3 / 2) {
        p = GC_REALLOC(p, size);
        CHECK(memcmp(p, "0123456789", 10) == 0 && GC_size(p) >= size);
    }
    p = GC_REALLOC(p, 12);
    CHECK(memcmp(p, "0123456789", 10) == 0);
    CHECK(GC_REALLOC(p, 0) == NULL);
    GC_FREE(NULL);
}

/* They live though nothing leads to them, and keep what they point to if they are scanned. */
static uintptr_t hidden[MANY][2];

static void
make_uncollectable(void)
{
    for (int i = 0; i < MANY; i++) {
        uintptr_t **p = GC_MALLOC_UNCOLLECTABLE(sizeof *p);
        char *q = GC_MALLOC_ATOMIC_UNCOLLECTABLE(40);
        *p = GC_MALLOC_ATOMIC(sizeof **p);
        **p = (uintptr_t)i;
        q[39] = (char)i;
        hidden[i][0] = GC_HIDE_POINTER(p);
        hidden[i][1] = GC_HIDE_POINTER(q);
    }
}

static void
uncollectable(void)
{
    far_away(make_uncollectable);
    wipe_stack();
    for (int round = 0; round < 3; round++) {
        GC_gcollect();
        for (int i = 0; i < 3000; i++)
            *(uintptr_t *)GC_MALLOC_ATOMIC(sizeof(uintptr_t)) = UINTPTR_MAX;
    }
    for (int i = 0; i < MANY; i++) {
        uintptr_t **p = GC_REVEAL_POINTER(hidden[i][0]);
        char *q = GC_REVEAL_POINTER(hidden[i][1]);
        CHECK(**p == (uintptr_t)i && q[39] == (char)i);
        GC_FREE(p);
        GC_FREE(q);
    }
}

static void
lists(void)
{
    size_t n = 0;
    for (void *p = GC_malloc_many(48), *next; p != NULL; p = next, n++) {
        next = GC_NEXT(p);
        GC_NEXT(p) = NULL;
        CHECK(is_zero(p, 48) && GC_size(p) >= 48);
        filled(p, 48);
    }
    CHECK(n > 1);
}

static void
figures(void)
{
    GC_gcollect();
    size_t total = GC_get_total_bytes(), collections = GC_get_gc_no();
    for (int i = 0; i < 1000; i++)
        GC_MALLOC(1000);
    CHECK(GC_get_total_bytes() >= total + 900000);
    CHECK(GC_get_heap_size() > 0 && GC_get_free_bytes() <= GC_get_heap_size());
    GC_gcollect();
    CHECK(GC_get_gc_no() > collections && GC_get_bytes_since_gc() < 500000);
    struct GC_prof_stats_s stats;
    CHECK(GC_get_prof_stats(&stats, sizeof stats) == sizeof stats);
    CHECK(stats.gc_no == GC_get_gc_no() && stats.heapsize_full >= GC_get_heap_size());
    GC_word heap, free, unmapped, since, all;
    GC_get_heap_usage_safe(&heap, &free, &unmapped, &since, &all);
    CHECK(all >= total && heap > 0);
}

static void *
refuse(size_t size)
{
    (void)size;
    static char nothing;
    return &nothing;
}

static void
no_memory(void)
{
    volatile size_t huge = (size_t)1 << 62;
    GC_set_warn_proc(GC_ignore_warn_proc);
    CHECK(GC_MALLOC(huge) == NULL && GC_MALLOC_ATOMIC(huge) == NULL);
    GC_set_oom_fn(refuse);
    volatile uintptr_t got = (uintptr_t)GC_MALLOC(huge); /* compilers know what malloc returns */
    CHECK(got == (uintptr_t)refuse(0));
    CHECK(GC_get_oom_fn() == refuse);
}

static void
debugging_forms(void)
{
    char *p = GC_debug_malloc(100, __FILE__, __LINE__);
    memcpy(p, "abc", 4);
    p = GC_debug_realloc(p, 5000, __FILE__, __LINE__);
    CHECK(strcmp(p, "abc") == 0);
    GC_debug_free(p);
    CHECK(strcmp(GC_debug_strdup("x", __FILE__, __LINE__), "x") == 0);
}

int
main(void)
{
    GC_INIT();
    CHECK(GC_is_init_called() && GC_get_version() >> 16 == 8);
    sizes_and_starts();
    inner_pointers_keep();
    aligned();
    strings();
    realloc_keeps();
    uncollectable();
    lists();
    figures();
    debugging_forms();
    no_memory();
    return 0;
}
