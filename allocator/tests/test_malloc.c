/* needs-malloc */
/* run: native */
/* The malloc that is preloaded: sizes, alignment, contents, errors; see also test_malloc_threads.c.
   This program's own malloc is it. */
#include "check.h"

#include <malloc.h>

/* Volatile pointers: else the compiler sees through a pair of malloc and free. */
static void *(*volatile allocate)(size_t) = malloc;
static void (*volatile release)(void *) = free;
static void *(*volatile zeroed)(size_t, size_t) = calloc;
static void *(*volatile resize)(void *, size_t) = realloc;
static void *(*volatile resize_array)(void *, size_t, size_t) = reallocarray;

static bool
is_aligned(const void *p, size_t align)
{
    return (uintptr_t)p % align == 0;
}

static void
test_this_program_uses_it(void **state)
{
    (void)state;
    /* glibc's gives 24 bytes here, as a header shares the 32 */
    void *p = allocate(17);
    assert_int_equal(malloc_usable_size(p), 32);
    release(p);
}

static void
test_every_size_is_aligned_and_large_enough(void **state)
{
    (void)state;
    for (size_t size = 0; size <= 70000; size += size < 2000 ? 1 : 97) {
        char *p = allocate(size), *q = allocate(size);
        assert_non_null(p);
        assert_true(is_aligned(p, 16));
        size_t usable = malloc_usable_size(p);
        assert_true(usable >= size);
        assert_true(size > 32768 || usable <= size + size / 4 + 24);
        memset(p, 0xaa, usable);
        memset(q, 0x55, malloc_usable_size(q));
        assert_int_equal(*(unsigned char *)p, 0xaa);
        assert_int_equal(((unsigned char *)p)[usable - 1], 0xaa);
        release(p);
        release(q);
    }
}

static void
test_malloc_of_nothing_is_an_object_of_its_own(void **state)
{
    (void)state;
    void *p = allocate(0), *q = allocate(0), *r = zeroed(0, 8);
    assert_non_null(p);
    assert_ptr_not_equal(p, q);
    assert_ptr_not_equal(q, r);
    release(p);
    release(q);
    release(r);
    release(NULL);
}

static void
test_calloc_is_zero_after_use(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 16, 24, 100, 1024, 1025, 5000, 32768, 32769, 300000, 5000000};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        void *dirty[40];
        for (size_t k = 0; k < COUNT_OF(dirty); k++)
            memset(dirty[k] = allocate(sizes[i]), 0xee, sizes[i]);
        for (size_t k = 0; k < COUNT_OF(dirty); k++)
            release(dirty[k]);
        for (size_t k = 0; k < COUNT_OF(dirty); k++) {
            unsigned char *p = zeroed(1, sizes[i]);
            assert_non_null(p);
            for (size_t at = 0; at < sizes[i]; at++)
                if (p[at] != 0)
                    fail_msg("byte %zu of %zu is not zero", at, sizes[i]);
            dirty[k] = p;
        }
        for (size_t k = 0; k < COUNT_OF(dirty); k++)
            release(dirty[k]);
    }
}

static void
fill(unsigned char *p, size_t size)
{
    for (size_t i = 0; i < size; i++)
        p[i] = (unsigned char)(i * 7 + i / 251);
}

static void
assert_filled(const unsigned char *p, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (p[i] != (unsigned char)(i * 7 + i / 251))
            fail_msg("byte %zu of %zu was lost", i, size);
}

static void
test_realloc_keeps_contents(void **state)
{
    (void)state;
    static const size_t sizes[] = {1,     15,    40,     1000,   1024,    4000,  40000,
                                   70000, 33000, 900000, 100000, 3000000, 20000, 100};
    for (size_t from = 0; from < COUNT_OF(sizes); from++)
        for (size_t to = 0; to < COUNT_OF(sizes); to++) {
            unsigned char *p = allocate(sizes[from]);
            fill(p, sizes[from]);
            unsigned char *q = resize(p, sizes[to]);
            assert_non_null(q);
            assert_true(malloc_usable_size(q) >= sizes[to]);
            assert_filled(q, sizes[from] < sizes[to] ? sizes[from] : sizes[to]);
            memset(q, 1, sizes[to]);
            release(q);
        }
    void *p = resize(NULL, 100);
    assert_non_null(p);
    assert_null(resize(p, 0)); /* freed, as glibc does */
}

static void
test_large_object_grows_where_it_lies(void **state)
{
    (void)state;
    size_t moves = 0;
    unsigned char *p = allocate(100000);
    fill(p, 100000);
    for (size_t size = 200000; size <= 100000000; size += size / 2) {
        unsigned char *q = resize(p, size);
        moves += q != p;
        p = q;
        p[size - 1] = 1;
    }
    assert_filled(p, 100000);
    assert_true(moves <= 3);
    unsigned char *q = resize(p, 100000);
    assert_ptr_equal(p, q);
    assert_filled(q, 100000);
    release(q);
}

static void
test_memalign_of_every_power_of_two(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 100, 5000, 40000, 300000};
    for (size_t align = 1; align <= (size_t)64 << 20; align *= 2)
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            void *p[4];
            for (size_t k = 0; k < 4; k++) {
                p[k] = memalign(align, sizes[i]);
                assert_non_null(p[k]);
                assert_true(is_aligned(p[k], align));
                assert_true(malloc_usable_size(p[k]) >= sizes[i]);
                memset(p[k], 0x77, sizes[i]);
            }
            p[0] = resize(p[0], sizes[i] + 1000);
            assert_non_null(p[0]);
            for (size_t k = 0; k < 4; k++)
                release(p[k]);
        }
}

static void
test_alignment_errors(void **state)
{
    (void)state;
    void *p = &p;
    volatile size_t odd = 24, zero = 0, four = 4, huge = SIZE_MAX / 2 + 2;
    errno = 0;
    assert_int_equal(posix_memalign(&p, odd, 8), EINVAL);
    assert_int_equal(posix_memalign(&p, zero, 8), EINVAL);
    assert_int_equal(posix_memalign(&p, four, 8), EINVAL); /* no multiple of a pointer's size */
    assert_int_equal(posix_memalign(&p, 64, huge), ENOMEM);
    assert_int_equal(errno, 0);
    assert_ptr_equal(p, &p);
    assert_int_equal(posix_memalign(&p, 64, 8), 0);
    release(p);
    assert_null(aligned_alloc(odd, 48));
    assert_int_equal(errno, EINVAL);
    errno = 0;
    assert_null(memalign(huge, 8));
    assert_int_equal(errno, EINVAL);
    p = memalign(odd, 8); /* the next power of two */
    assert_true(is_aligned(p, 32));
    release(p);
    p = valloc(10);
    assert_true(is_aligned(p, 4096));
    release(p);
    p = pvalloc(4097);
    assert_true(is_aligned(p, 4096) && malloc_usable_size(p) >= 8192);
    release(p);
}

static void
test_too_much_is_no_memory(void **state)
{
    (void)state;
    char *p = allocate(10);
    strcpy(p, "still me");
    static const size_t sizes[] = {(size_t)PTRDIFF_MAX + 1, SIZE_MAX, SIZE_MAX - 8191,
                                   (size_t)1 << 62};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        errno = 0;
        assert_null(allocate(sizes[i]));
        assert_int_equal(errno, ENOMEM);
        assert_null(zeroed(1, sizes[i]));
        assert_null(resize(p, sizes[i]));
        assert_null(memalign(64, sizes[i]));
        assert_null(valloc(sizes[i]));
        assert_null(pvalloc(sizes[i]));
    }
    errno = 0;
    assert_null(zeroed(SIZE_MAX / 2, 3));
    assert_int_equal(errno, ENOMEM);
    errno = 0;
    assert_null(resize_array(p, SIZE_MAX / 2, 3));
    assert_int_equal(errno, ENOMEM);
    assert_string_equal(p, "still me");
    release(p);
}

/* ---- Wrong pointers ---- */

static void
free_twice(void *size)
{
    char *p = allocate(*(size_t *)size);
    release(p);
    release(p);
}

/* So many that the first has left the magazine. */
static void
free_twice_later(void *size)
{
    enum { N = 200 };
    char *p[N];
    for (size_t i = 0; i < N; i++)
        p[i] = allocate(*(size_t *)size);
    for (size_t i = 0; i < N; i++)
        release(p[i]);
    release(p[0]);
}

static void
free_inside(void *size)
{
    char *p = allocate(*(size_t *)size);
    release(p + 16);
}

static void
free_a_local(void *unused)
{
    (void)unused;
    int local[4];
    void *volatile p = local;
    release(p);
}

static void
resize_freed(void *size)
{
    char *p = allocate(*(size_t *)size);
    release(p);
    release(resize(p, 20));
}

static void *
free_it(void *p)
{
    release(p);
    return NULL;
}

static void
free_elsewhere(void *p)
{
    pthread_t thread;
    need(pthread_create(&thread, NULL, free_it, p) == 0, "a thread");
    pthread_join(thread, NULL);
}

static void
free_twice_elsewhere(void *size)
{
    char *p = allocate(*(size_t *)size);
    free_elsewhere(p);
    free_elsewhere(p);
}

static void
free_here_and_elsewhere(void *size)
{
    char *p = allocate(*(size_t *)size);
    release(p);
    free_elsewhere(p);
}

static void
free_elsewhere_and_here(void *size)
{
    char *p = allocate(*(size_t *)size), *others[200];
    free_elsewhere(p);
    release(p);
    for (size_t i = 0; i < COUNT_OF(others); i++) /* it is found at the latest here */
        others[i] = allocate(*(size_t *)size);
    for (size_t i = 0; i < COUNT_OF(others); i++)
        release(others[i]);
}

static void
test_wrong_frees_end_the_program_with_a_message(void **state)
{
    (void)state;
    static size_t sizes[] = {16, 100, 1000, 20000};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        assert_child_dies(free_twice, &sizes[i], "was freed before");
        assert_child_dies(free_twice_later, &sizes[i], "was freed before");
        assert_child_dies(free_twice_elsewhere, &sizes[i], "was freed before");
        assert_child_dies(free_here_and_elsewhere, &sizes[i], "was freed before");
        assert_child_dies(free_elsewhere_and_here, &sizes[i], "was freed before");
        assert_child_dies(resize_freed, &sizes[i], "was freed before");
    }
    for (size_t i = 1; i < COUNT_OF(sizes); i++)
        assert_child_dies(free_inside, &sizes[i], "lies inside an object that begins at 0x");
    static size_t large = 100000;
    assert_child_dies(free_twice, &large, "was freed before");
    assert_child_dies(free_inside, &large, "lies inside an object that begins at 0x");
    assert_child_dies(free_a_local, NULL, "was not allocated");
}

/* ---- Memory goes back ---- */

static size_t
resident_b(void)
{
    size_t pages = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f == NULL || fscanf(f, "%zu %zu", &pages, &resident) != 2)
        fail_msg("/proc/self/statm cannot be read");
    fclose(f);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

/* n objects of a size, used, and freed in a random order. */
static void
have_a_peak(size_t n, size_t size)
{
    struct rng r = {88172645463325252u};
    void **all = allocate(n * sizeof *all);
    for (size_t i = 0; i < n; i++)
        memset(all[i] = allocate(size), 1, size);
    for (size_t i = n; i > 0; i--) {
        size_t k = rng_below(&r, i);
        release(all[k]);
        all[k] = all[i - 1];
    }
    release(all);
}

static void
test_idle_program_with_a_peak_behind_it_is_small(void **state)
{
    (void)state;
    size_t before = resident_b();
    have_a_peak(1500000, 100);
    assert_true(resident_b() < before + ((size_t)24 << 20)); /* of 150 MB */
    have_a_peak(40, (size_t)4 << 20);
    assert_true(resident_b() < before + ((size_t)24 << 20)); /* of 160 MB */
    malloc_trim(0);
    assert_true(resident_b() < before + ((size_t)4 << 20));
}

static void
test_random_sizes_do_not_overlap(void **state)
{
    (void)state;
    enum { N = 3000 };
    static struct {
        unsigned char *p;
        size_t size;
    } live[N];
    struct rng r = {2463534242u};
    for (size_t i = 0; i < 400000; i++) {
        size_t k = rng_below(&r, N);
        if (live[k].p != NULL) {
            assert_int_equal(live[k].p[0], (unsigned char)k);
            assert_int_equal(live[k].p[live[k].size - 1], (unsigned char)(k >> 3));
            release(live[k].p);
        }
        size_t size = 1 + (rng_below(&r, 100) == 0 ? rng_below(&r, 100000) : rng_below(&r, 700));
        unsigned char *p = rng_below(&r, 4) == 0 ? calloc(1, size) : allocate(size);
        live[k].p = p;
        live[k].size = size;
        p[size - 1] = (unsigned char)(k >> 3);
        p[0] = (unsigned char)k;
        if (size == 1)
            live[k].p = (release(p), NULL);
    }
    for (size_t k = 0; k < N; k++)
        release(live[k].p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_this_program_uses_it),
        cmocka_unit_test(test_every_size_is_aligned_and_large_enough),
        cmocka_unit_test(test_malloc_of_nothing_is_an_object_of_its_own),
        cmocka_unit_test(test_calloc_is_zero_after_use),
        cmocka_unit_test(test_realloc_keeps_contents),
        cmocka_unit_test(test_large_object_grows_where_it_lies),
        cmocka_unit_test(test_memalign_of_every_power_of_two),
        cmocka_unit_test(test_alignment_errors),
        cmocka_unit_test(test_too_much_is_no_memory),
        cmocka_unit_test(test_wrong_frees_end_the_program_with_a_message),
        cmocka_unit_test(test_idle_program_with_a_peak_behind_it_is_small),
        cmocka_unit_test(test_random_sizes_do_not_overlap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
