/*
 * Bad arguments to every public function that takes a pointer or a size: a message that names the
 * function, or, where a function reads or writes what the pointer leads to, what the program's own
 * access would have come to. Nothing hangs, and nothing is done by half.
 */
#include "check.h"

#include "collector/verify.h"
#include "heap/pageheap.h"

#include <spanheap/channel.h>
#include <spanheap/map.h>
#include <spanheap/pool.h>
#include <spanheap/slice.h>

static struct outcome out;

/* ---- Pointers that are none ---- */

static const uint64_t word_mask = 1;
static const struct sh_type word_type = {"word", 8, &word_mask, 0};
static char static_bytes[64];

/* What wild pointers there are. */
enum wild {
    UNMAPPED,
    NOT_AN_ADDRESS,
    ON_THE_STACK,
    STATIC,
    OF_MALLOC,
    INSIDE_AN_OBJECT,
    ODD,
    SLOT_NOT_HANDED_OUT,
    PAGE_WITHOUT_A_SPAN,
    ARENA_NOT_IN_USE,
    JUST_BELOW_THE_HEAP,
    BEHIND_THE_HEAP,
    FREED,
    FREED_LARGE,
    NWILD
};

static void *
make_wild(enum wild kind)
{
    char local[16], *p;
    switch (kind) {
    case UNMAPPED:
        return (void *)0x1000;
    case NOT_AN_ADDRESS:
        return (void *)UINT64_C(0x4141414141414140);
    case ON_THE_STACK:
        return (void *)((uintptr_t)local & ~(uintptr_t)15);
    case STATIC:
        return static_bytes;
    case OF_MALLOC:
        return malloc(64);
    case INSIDE_AN_OBJECT:
        return (char *)sh_alloc(1024) + 16;
    case ODD:
        return (char *)sh_alloc(1024) + 1;
    case SLOT_NOT_HANDED_OUT:
        return (char *)sh_alloc(3072) + 3072; /* the only one of its span */
    case PAGE_WITHOUT_A_SPAN:
        return (void *)(pageheap.base + atomic_load(&pageheap.used_b) - PAGE_B);
    case ARENA_NOT_IN_USE:
        return (void *)(pageheap.base + atomic_load(&pageheap.used_b) + PAGE_B);
    case JUST_BELOW_THE_HEAP:
        return (void *)(pageheap.base - 16);
    case BEHIND_THE_HEAP:
        return (void *)(pageheap.base + pageheap.reserved_b);
    case FREED:
    case FREED_LARGE:
        p = sh_alloc(kind == FREED ? 100 : 100000);
        sh_free(p);
        return p;
    default:
        abort();
    }
}

static void
finalize(void *object, void *arg)
{
    (void)object, (void)arg;
}

static void
call_free(void *p)
{
    sh_free(p);
}

static void
call_usable_size(void *p)
{
    SH_KEEP_ALIVE(sh_usable_size(p));
}

static void
call_realloc(void *p)
{
    SH_KEEP_ALIVE(sh_realloc(p, 10));
}

static void
call_realloc_array(void *p)
{
    SH_KEEP_ALIVE(sh_realloc_array(&word_type, p, 10));
}

static void
call_set_finalizer(void *p)
{
    sh_set_finalizer(p, finalize, NULL);
}

static void
call_weak_make(void *p)
{
    SH_KEEP_ALIVE(sh_weak_make(p));
}

static void
call_roots_remove(void *p)
{
    sh_roots_remove(p);
}

struct call {
    void (*function)(void *p);
    const char *name;
    enum wild kind;
};

static void
call_with_wild(void *arg)
{
    const struct call *call = arg;
    call->function(make_wild(call->kind));
}

static void
test_every_wild_pointer_is_fatal_and_its_function_named(void **state)
{
    (void)state;
    static const struct call calls[] = {
        {call_free, "sh_free: 0x", UNMAPPED},
        {call_usable_size, "sh_usable_size: 0x", UNMAPPED},
        {call_realloc, "sh_realloc: 0x", UNMAPPED},
        {call_realloc_array, "sh_realloc_array: 0x", UNMAPPED},
        {call_set_finalizer, "sh_set_finalizer: 0x", UNMAPPED},
        {call_weak_make, "sh_weak_make: 0x", UNMAPPED},
        {call_roots_remove, "sh_roots_remove: ", UNMAPPED},
    };
    for (size_t i = 0; i < COUNT_OF(calls); i++)
        for (unsigned kind = 0; kind < NWILD; kind += UNDER_ASAN ? 5 : 1) { /* a child is slow */
            struct call call = calls[i];
            call.kind = (enum wild)kind;
            assert_child_dies(call_with_wild, &call, call.name);
        }
}

/* A question, not a claim. */
static void
test_object_base_of_a_wild_pointer_is_null(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < NWILD; kind++) {
        char *p = make_wild((enum wild)kind), *base = sh_object_base(p);
        if (kind == INSIDE_AN_OBJECT || kind == ODD)
            assert_ptr_equal(base, p - (kind == ODD ? 1 : 16));
        else
            assert_null(base);
    }
    verify_now();
}

/* A pool asks nothing of its items. */
static void
test_pool_takes_any_pointer(void **state)
{
    (void)state;
    static struct sh_pool pool;
    sh_pool_put(&pool, static_bytes);
    assert_ptr_equal(sh_pool_get(&pool), static_bytes);
    sh_collect();
}

/* ---- Pointers that a function goes through ---- */

#define NOWHERE ((void *)0x1000)

static int
compare_words(const void *a, const void *b, void *arg)
{
    (void)arg;
    return memcmp(a, b, 8);
}

static void
store_nowhere(void)
{
    sh_store(NOWHERE, NULL);
}

static void
exchange_nowhere(void)
{
    sh_exchange(NOWHERE, NULL);
}

static void
compare_exchange_nowhere(void)
{
    void *expected = NULL;
    sh_compare_exchange(NOWHERE, (void *)&expected, NULL);
}

static void
memmove_nowhere(void)
{
    sh_memmove(NOWHERE, static_bytes, sizeof static_bytes);
}

static void
memset_nowhere(void)
{
    sh_memset(NOWHERE, 0, 64);
}

static void
sort_nowhere(void)
{
    sh_sort(NOWHERE, 10, 8, compare_words, NULL);
}

static void
weak_get_nowhere(void)
{
    sh_weak_get(NOWHERE);
}

static void
stats_nowhere(void)
{
    sh_stats_read(NOWHERE);
}

static void
type_nowhere(void)
{
    SH_KEEP_ALIVE(sh_alloc_typed(NOWHERE));
}

static void
pool_nowhere(void)
{
    sh_pool_put(NOWHERE, static_bytes);
}

static void
map_nowhere(void)
{
    int key = 1;
    sh_map_get(NOWHERE, &key);
}

static void
channel_nowhere(void)
{
    sh_channel_close(NOWHERE);
}

/* ---- Roots ---- */

static void
roots_nowhere(void)
{
    sh_roots_add(NOWHERE, 64);
}

static void
roots_without_end(void)
{
    sh_roots_add(static_bytes, SIZE_MAX / 2);
}

static void
roots_over_the_end(void)
{
    sh_roots_add(static_bytes, SIZE_MAX);
}

static void
test_ranges_that_are_not_mapped_are_fatal(void **state)
{
    (void)state;
    static const char *const names[] = {"roots nowhere", "roots without end", "roots over the end"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        run_anew(&out, names[i], NULL);
        assert_fatal(&out, "sh_roots_add: ");
    }
}

/* ---- Sizes ---- */

static void
alloc_100_gib(void)
{
    SH_KEEP_ALIVE(sh_alloc((size_t)100 << 30));
}

/* Given, whole, or refused. */
static void
try_100_gib(void)
{
    size_t size = (size_t)100 << 30;
    char *p = sh_try_alloc(1, size, SH_NOSCAN);
    need(p != NULL || errno == ENOMEM, "errno says why");
    if (p != NULL) {
        need(p[0] == 0 && p[size / 2] == 0 && p[size - 1] == 0, "it is zero");
        p[0] = p[size - 1] = 1;
        sh_free(p);
    }
    verify_now();
}

static void
try_huge_sizes(void)
{
    static const size_t near[] = {0, 1, 7, 8, 15, 16, 17, 4095, 4096, 8191, 8192, 8193, 1 << 20};
    for (size_t i = 0; i < COUNT_OF(near); i++)
        for (unsigned bit = 47; bit <= 64; bit++) {
            volatile size_t size = (bit == 64 ? 0 : (size_t)1 << bit) - near[i];
            if (size < (size_t)1 << 46)
                continue;
            errno = 0;
            need(sh_try_alloc(1, size, SH_NOSCAN) == NULL && errno == ENOMEM, "no such memory");
            need(sh_try_alloc(1, size, SH_UNTYPED) == NULL, "nor of the other kind");
            need(sh_try_alloc(size, 2, SH_NOSCAN) == NULL, "nor twice that");
            need(sh_round_size(size) >= size, "rounding does not wrap around");
        }
    verify_now();
}

static void
resize_to_huge(void)
{
    volatile size_t size = SIZE_MAX - 3;
    SH_KEEP_ALIVE(sh_realloc(sh_alloc(100), size));
}

static void
alloc_huge(void)
{
    volatile size_t size = SIZE_MAX;
    SH_KEEP_ALIVE(sh_alloc(size));
}

static void
alloc_huge_array(void)
{
    volatile size_t count = SIZE_MAX / 8 + 1;
    SH_KEEP_ALIVE(sh_alloc_array(&word_type, count));
}

static void
resize_to_huge_array(void)
{
    volatile size_t count = SIZE_MAX / 8 + 1;
    SH_KEEP_ALIVE(sh_realloc_array(&word_type, sh_alloc_array(&word_type, 1), count));
}

static void
make_huge_slice(void)
{
    volatile size_t count = SIZE_MAX / 8;
    sh_slice_make(&word_type, count, count);
}

static void
test_sizes_that_cannot_be_are_refused(void **state)
{
    (void)state;
    static const char *const small[] = {"SH_RESERVE=1GiB", NULL};
    run_anew(&out, "try huge", NULL);
    assert_success(&out);
    run_anew(&out, "alloc huge", small);
    assert_fatal(&out, "out of memory: cannot allocate 18446744073709551615 bytes");
    run_anew(&out, "resize huge", small);
    assert_fatal(&out, "out of memory: cannot allocate 18446744073709551612 bytes");
    run_anew(&out, "array huge", small);
    assert_fatal(&out, "sh_alloc_array: 2305843009213693952 elements of type word");
    run_anew(&out, "resize array huge", small);
    assert_fatal(&out, "overflow");
    run_anew(&out, "slice huge", small);
    assert_int_equal(out.code, 128 + SIGABRT);
    assert_non_null(strstr(out.text, "panic: "));
}

static void
test_request_of_100_gib_is_given_or_refused(void **state)
{
    (void)state;
    if (UNDER_ASAN) /* whose shadow of it takes 12 GiB */
        skip();
    run_anew(&out, "try 100 GiB", NULL);
    assert_success(&out);
    run_anew(&out, "alloc 100 GiB", (const char *const[]){"SH_RESERVE=1GiB", NULL});
    assert_fatal(&out, "out of memory: cannot allocate 107374182400 bytes");
}

static const struct program_part parts[] = {
    {"store", store_nowhere},
    {"exchange", exchange_nowhere},
    {"compare exchange", compare_exchange_nowhere},
    {"memmove", memmove_nowhere},
    {"memset", memset_nowhere},
    {"sort", sort_nowhere},
    {"weak get", weak_get_nowhere},
    {"stats", stats_nowhere},
    {"type", type_nowhere},
    {"pool", pool_nowhere},
    {"map", map_nowhere},
    {"channel", channel_nowhere},
    {"roots nowhere", roots_nowhere},
    {"roots without end", roots_without_end},
    {"roots over the end", roots_over_the_end},
    {"alloc 100 GiB", alloc_100_gib},
    {"try 100 GiB", try_100_gib},
    {"try huge", try_huge_sizes},
    {"alloc huge", alloc_huge},
    {"resize huge", resize_to_huge},
    {"array huge", alloc_huge_array},
    {"resize array huge", resize_to_huge_array},
    {"slice huge", make_huge_slice},
};

/* Those before the roots. As if the program had gone there itself. */
static void
test_going_through_a_wild_pointer_is_a_segmentation_fault(void **state)
{
    (void)state;
    for (size_t i = 0; strcmp(parts[i].name, "roots nowhere") != 0; i++) {
        run_anew(&out, parts[i].name, NULL);
        if (UNDER_ASAN) /* UBSan is first with some */
            assert_int_equal(out.code, 99);
        else
            assert_int_equal(out.code, 128 + SIGSEGV);
    }
}

int
main(int argc, char **argv)
{
    if (argc > 1)
        return run_part(parts, COUNT_OF(parts), argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_wild_pointer_is_fatal_and_its_function_named),
        cmocka_unit_test(test_object_base_of_a_wild_pointer_is_null),
        cmocka_unit_test(test_pool_takes_any_pointer),
        cmocka_unit_test(test_going_through_a_wild_pointer_is_a_segmentation_fault),
        cmocka_unit_test(test_ranges_that_are_not_mapped_are_fatal),
        cmocka_unit_test(test_sizes_that_cannot_be_are_refused),
        cmocka_unit_test(test_request_of_100_gib_is_given_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
