/*
 * SH_DEBUG_HEAP=1: guards around objects, freed memory overwritten, and messages that name who
 * allocated and who freed. The mistakes are made by functions that AddressSanitizer has not seen,
 * so that the guards are what finds them.
 */
#include "check.h"
#include "tree.h"

#include "collector/verify.h"

static struct outcome out;

static void
run_debug(const char *part)
{
    run_anew(&out, part,
             (const char *const[]){"SH_DEBUG_HEAP=1", "SH_QUARANTINE=64KiB", "SH_VERIFY=1", NULL});
}

/* Ended by the library's message, after lines that have all of these words. */
static void
expect_fatal(const char *part, const char *message, const char *const *words)
{
    run_debug(part);
    assert_fatal(&out, message);
    for (; *words != NULL; words++) {
        if (strstr(out.text, *words) == NULL)
            print_error("no \"%s\" in: %s\n", *words, out.text);
        assert_non_null(strstr(out.text, *words));
    }
}

#define UNSEEN NOINLINE __attribute__((no_sanitize_address))

static UNSEEN void
write_at(void *p, ptrdiff_t offset)
{
    *((volatile char *)p + offset) = 1;
}

/* Tail calls would leave these out of the stack. */
static NOINLINE char *
make_victim(size_t size)
{
    char *p = sh_alloc(size);
    p[0] = 1;
    return p;
}

static NOINLINE void
drop_victim(void *p)
{
    sh_free(p);
    clear_stack();
}

static void
drop_twice(void)
{
    char *p = make_victim(100);
    drop_victim(p);
    drop_victim(p);
}

static void
drop_twice_large(void)
{
    char *p = make_victim(100000);
    drop_victim(p);
    sh_free(p);
}

static void
drop_middle(void)
{
    char *p = make_victim(100);
    sh_free(p + 24);
}

static void
finalize_freed(void)
{
    char *p = make_victim(100);
    drop_victim(p);
    sh_set_finalizer(p, NULL, NULL);
}

static void
resize_freed(void)
{
    char *p = make_victim(100);
    drop_victim(p);
    sh_realloc(p, 200);
}

static void
overrun_and_free(void)
{
    char *p = make_victim(100);
    write_at(p, 100);
    drop_victim(p);
}

static void
overrun_and_collect(void)
{
    char *p = make_victim(100);
    write_at(p, 111);
    sh_collect();
    SH_KEEP_ALIVE(p);
}

static void
overrun_large(void)
{
    char *p = make_victim(100001);
    write_at(p, 100001);
    sh_collect();
    SH_KEEP_ALIVE(p);
}

static void
underrun(void)
{
    char *first = make_victim(48), *second = make_victim(48);
    write_at(second > first ? second : first, -1);
    sh_collect();
    SH_KEEP_ALIVE(first);
    SH_KEEP_ALIVE(second);
}

static void
write_freed(void)
{
    char *p = make_victim(100);
    drop_victim(p);
    write_at(p, 42);
    for (int i = 0; i < 2000; i++)
        sh_free(sh_alloc(100));
}

struct pair {
    void *a, *b;
};
static const struct sh_type pair_type = SH_TYPE(struct pair, SH_POINTER_AT(struct pair, a));
static struct pair *holder;

static NOINLINE void
make_holder(void)
{
    holder = sh_alloc_typed(&pair_type);
    holder->b = NULL;
}

static void
keep_freed(void)
{
    make_holder();
    char *p = make_victim(64);
    sh_store(&holder->a, p);
    drop_victim(p);
    sh_collect();
}

static void
test_double_free_names_both_sides(void **state)
{
    (void)state;
    static const char *const words[] = {"which was freed", "allocated by",   "make_victim+0x",
                                        "freed by",        "drop_victim+0x", NULL};
    expect_fatal("drop twice", "is not allocated, or was freed before", words);
    expect_fatal("drop twice large", "is not allocated, or was freed before", words);
    expect_fatal("finalize freed", "is not the start of an object", words);
    expect_fatal("resize freed", "sh_realloc: 0x", words);
}

static void
test_pointer_into_an_object_names_who_made_it(void **state)
{
    (void)state;
    static const char *const words[] = {"is at offset 24 of an object of 100 bytes",
                                        "which is alive", "make_victim+0x", NULL};
    expect_fatal("drop middle", "lies inside an object", words);
}

static void
test_write_past_the_end_is_found(void **state)
{
    (void)state;
    static const char *const words[] = {"make_victim+0x", NULL};
    expect_fatal("overrun and free", "the byte at offset 100 of the object", words);
    expect_fatal("overrun and free", "found by sh_free", words);
    expect_fatal("overrun and collect", "the byte at offset 111 of the object", words);
    expect_fatal("overrun and collect", "found by a collection", words);
    expect_fatal("overrun large", "the byte at offset 100001 of the object", words);
}

static void
test_write_before_the_start_is_found(void **state)
{
    (void)state;
    static const char *const words[] = {"make_victim+0x", NULL};
    expect_fatal("underrun", "or one before the object that follows it", words);
}

static void
test_write_to_freed_memory_is_found(void **state)
{
    (void)state;
    static const char *const words[] = {"make_victim+0x", "drop_victim+0x", NULL};
    expect_fatal("write freed", "use after free: the word at offset 40 of the freed object", words);
}

static void
test_typed_pointer_to_freed_memory_names_holder_and_object(void **state)
{
    (void)state;
    static const char *const words[] = {"make_holder+0x", "make_victim+0x", "drop_victim+0x", NULL};
    expect_fatal("keep freed", "which is free: freed while in use", words);
}

/* ---- Sound programs go on as before ---- */

static void
check_object(char *p, size_t size)
{
    need(sh_usable_size(p) == size, "the usable size is what was asked for");
    need((uintptr_t)p % (size <= 8 || (size > 16 && size <= 24) ? 8 : 16) == 0, "it is aligned");
    for (size_t i = 0; i < size; i++)
        need(p[i] == 0, "it is zero");
    memset(p, 1, size);
}

static void
use_sizes(void)
{
    for (int round = 0; round < 3; round++) {
        for (size_t size = 1; size < 70000; size += size < 600 ? 1 : 997) {
            check_object(sh_alloc(size), size);
            char *p = sh_alloc_noscan(size);
            need(sh_usable_size(p) == size, "the usable size is what was asked for");
            memset(p, 1, size);
            char *q = sh_realloc(p, size + 1);
            need(q != p && q[size - 1] == 1 && q[size] == 0, "a resized object moves, whole");
            if (size % 2 == 0)
                sh_free(q);
        }
        sh_collect();
    }
    verify_now();
}

static void *
grow_trees(void *arg)
{
    struct rng rng = {(uintptr_t)arg};
    struct node *trees[8] = {NULL};
    for (unsigned i = 0; i < 600; i++) {
        size_t at = rng_below(&rng, COUNT_OF(trees));
        if (trees[at] != NULL)
            tree_check(trees[at], trees[at]->seed, trees[at]->depth);
        trees[at] = tree_build(rng_next(&rng), (uint32_t)rng_below(&rng, 6));
        if (i % 100 == 0)
            sh_collect();
    }
    return NULL;
}

static void
use_threads(void)
{
    pthread_t threads[3];
    for (uintptr_t i = 0; i < COUNT_OF(threads); i++)
        need(sh_thread_create(&threads[i], NULL, grow_trees, (void *)(i + 1)) == 0, "a thread");
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        sh_thread_join(threads[i], NULL);
    verify_now();
}

static void *volatile held[100]; /* else the compiler leaves the stores out: nobody reads them */

static void
exhaust(void)
{
    size_t n = 0;
    while (n < COUNT_OF(held) && (held[n] = sh_try_alloc(1, 1 << 20, SH_NOSCAN)) != NULL)
        n++;
    need(n > 50 && n < 64, "the heap is full");
    need(sh_try_alloc(1, SIZE_MAX, SH_NOSCAN) == NULL, "the size and its guard overflow");
    need(sh_try_alloc(1, SIZE_MAX - 15, SH_NOSCAN) == NULL, "nearly");
    need(sh_try_alloc(1, SIZE_MAX - 16, SH_UNTYPED) == NULL, "there is no such memory");
}

static void
fork_and_use(void)
{
    void *p = make_victim(100);
    pid_t child = fork();
    if (child == 0) {
        drop_victim(p);
        use_threads();
        _exit(0);
    }
    int status = 1;
    need(waitpid(child, &status, 0) == child && status == 0, "the child's heap works");
    drop_victim(p);
}

static void
expect_good(const char *part)
{
    run_debug(part);
    assert_success(&out);
}

static void
test_objects_of_all_sizes_are_whole_and_aligned(void **state)
{
    (void)state;
    expect_good("use sizes");
}

static void
test_threads_and_collections_raise_no_alarm(void **state)
{
    (void)state;
    expect_good("use threads");
    expect_good("fork and use");
}

static void
test_full_heap_is_out_of_memory_as_without_guards(void **state)
{
    (void)state;
    run_anew(&out, "exhaust", (const char *const[]){"SH_DEBUG_HEAP=1", "SH_RESERVE=64MiB", NULL});
    assert_success(&out);
}

static const struct program_part parts[] = {
    {"drop twice", drop_twice},
    {"drop twice large", drop_twice_large},
    {"drop middle", drop_middle},
    {"finalize freed", finalize_freed},
    {"resize freed", resize_freed},
    {"overrun and free", overrun_and_free},
    {"overrun and collect", overrun_and_collect},
    {"overrun large", overrun_large},
    {"underrun", underrun},
    {"write freed", write_freed},
    {"keep freed", keep_freed},
    {"use sizes", use_sizes},
    {"use threads", use_threads},
    {"fork and use", fork_and_use},
    {"exhaust", exhaust},
};

int
main(int argc, char **argv)
{
    if (argc > 1)
        return run_part(parts, COUNT_OF(parts), argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_double_free_names_both_sides),
        cmocka_unit_test(test_pointer_into_an_object_names_who_made_it),
        cmocka_unit_test(test_write_past_the_end_is_found),
        cmocka_unit_test(test_write_before_the_start_is_found),
        cmocka_unit_test(test_write_to_freed_memory_is_found),
        cmocka_unit_test(test_typed_pointer_to_freed_memory_names_holder_and_object),
        cmocka_unit_test(test_objects_of_all_sizes_are_whole_and_aligned),
        cmocka_unit_test(test_threads_and_collections_raise_no_alarm),
        cmocka_unit_test(test_full_heap_is_out_of_memory_as_without_guards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
