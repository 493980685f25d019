/*
 * How append grows a slice by the rules of other versions of Go, and how a rule is chosen. The
 * capacities were worked out by hand from growslice and roundupsize: of Go 1.17 (runtime/slice.go,
 * msize.go) and of Go 1.22 (runtime/slice.go, msize_allocheaders.go).
 */
#include "check.h"

#include <spanheap/slice.h>
#include <spanheap/string.h>

enum { STEPS = 20 };

static const uint64_t first_word = 1;
static const struct sh_type pointer_type = {"pointer", 8, &first_word, 0};
static const struct sh_type slice_type = {"slice", 24, &first_word, 0};
static const struct sh_type bytes_8 = {"8 bytes", 8, NULL, 0};
static const struct sh_type bytes_16 = {"16 bytes", 16, NULL, 0};
static const struct sh_type bytes_5 = {"5 bytes", 5, NULL, 0};
static const struct sh_type bytes_40 = {"40 bytes", 40, NULL, 0};

struct growth {
    enum sh_slice_rule rule;
    const struct sh_type *element;
    size_t caps[STEPS]; /* of append one by one; 0: no more are checked */
};

static const struct growth growths[] = {
    {SH_SLICE_GO_1_0, &sh_byte_type, {8,    16,   32,    64,    128,   256,  512,
                                      1024, 1280, 1792,  2304,  3072,  4096, 5376,
                                      6784, 9472, 12288, 16384, 20480, 27264}},
    {SH_SLICE_GO_1_0,
     &bytes_16,
     {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1280, 1704, 2560, 3584, 4608}},
    {SH_SLICE_GO_1_0, &bytes_5, {1, 3, 6, 12, 25, 51, 102, 204, 409, 819, 1638, 2048, 2713, 3686}},
    {SH_SLICE_GO_1_0, &bytes_40, {1, 2, 4, 8, 16, 32, 67, 134, 272, 544, 1228, 1638, 2048}},
    {SH_SLICE_GO_1_22,
     &pointer_type,
     {1, 2, 4, 8, 16, 32, 64, 143, 287, 607, 1023, 1535, 2303, 3071, 4095, 6144}},
    {SH_SLICE_GO_1_22, &sh_string_type, {1, 2, 4, 8, 16, 32, 71, 143, 303, 591}},
    {SH_SLICE_GO_1_22, &slice_type, {1, 2, 4, 8, 16, 37, 74, 170, 341, 682}},
    {SH_SLICE_GO_1_22, &bytes_16, {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 848, 1280}}, /* 1.18's */
};

static void
follow(const struct growth *g)
{
    struct sh_slice s = {NULL, 0, 0};
    size_t cap = 0;
    for (size_t i = 0; i < STEPS && g->caps[i] > 0; i++) {
        s = sh_slice_append(g->element, s, NULL, s.cap - s.len + 1);
        if (s.cap != g->caps[i])
            fail_msg("rule %d, %s: after %zu comes %zu, in Go %zu", g->rule, g->element->name, cap,
                     s.cap, g->caps[i]);
        assert_int_equal(sh_slice_cap_by(g->rule, g->element, cap, cap + 1), s.cap);
        cap = s.cap;
    }
    assert_true(cap >= 500);
}

static void
test_append_grows_by_the_rule_that_is_chosen(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(growths); i++) {
        sh_slice_set_rule(growths[i].rule);
        follow(&growths[i]);
    }
    sh_slice_set_rule(SH_SLICE_GO_1_18);
}

/* Around the sizes at which later Go adds a header, and at which objects become large. */
static void
test_header_is_counted_between_512_and_32760_bytes(void **state)
{
    (void)state;
    static const size_t cases[][2] = {
        {64, 64},     /* 512 bytes: none */
        {65, 71},     /* 520 + 8 go into 576, of which 568 are left */
        {4095, 4095}, /* 32760 + 8 */
        {4096, 4096}, /* a large object */
        {4097, 5120},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        size_t got = sh_slice_cap_by(SH_SLICE_GO_1_22, &pointer_type, 0, cases[i][0]);
        if (got != cases[i][1])
            fail_msg("%zu pointers: %zu, in Go %zu", cases[i][0], got, cases[i][1]);
        assert_int_equal(sh_slice_cap_by(SH_SLICE_GO_1_22, &bytes_8, 0, cases[i][0]),
                         sh_slice_grow_cap(8, 0, cases[i][0]));
    }
}

/* ---- By name ---- */

/* The three rules tell themselves apart by what 64 pointers, and 1024 bytes, grow to. */
static void
grow_as(size_t pointers, size_t bytes)
{
    struct sh_slice p = sh_slice_make(&pointer_type, 64, 64);
    struct sh_slice b = sh_slice_make(&sh_byte_type, 512, 512);
    need(sh_slice_append(&pointer_type, p, NULL, 1).cap == pointers, "pointers grow by the rule");
    need(sh_slice_append(&sh_byte_type, b, NULL, 1).cap == bytes, "bytes grow by the rule");
}

static void
grow_as_1_0(void)
{
    grow_as(128, 1024);
    need(sh_slice_set_rule(SH_SLICE_GO_1_22) == SH_SLICE_GO_1_0, "the old rule is told");
    grow_as(143, 896); /* what the program says counts more */
}

static void
grow_as_1_18(void)
{
    grow_as(128, 896);
}

static void
grow_as_1_22(void)
{
    grow_as(143, 896);
}

static const struct program_part parts[] = {
    {"go1.0", grow_as_1_0}, {"go1.18", grow_as_1_18}, {"go1.22", grow_as_1_22}};

static void
test_rule_is_chosen_by_its_name(void **state)
{
    (void)state;
    static struct outcome out;
    char setting[40];
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        snprintf(setting, sizeof setting, "SH_SLICE_RULE=%s", parts[i].name);
        run_anew(&out, parts[i].name, (const char *const[]){setting, NULL});
        assert_success(&out);
    }
    run_anew(&out, "go1.18", NULL); /* the default */
    assert_success(&out);
}

static void
test_name_of_no_rule_is_fatal(void **state)
{
    (void)state;
    static struct outcome out;
    static const char *const wrong[] = {"go1.19", "1.18", "GO1.18", "go1.18 ", ""};
    char setting[40];
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        snprintf(setting, sizeof setting, "SH_SLICE_RULE=%s", wrong[i]);
        run_anew(&out, "go1.18", (const char *const[]){setting, NULL});
        assert_fatal(&out, "SH_SLICE_RULE");
    }
}

static void
set_no_rule(void *rule)
{
    sh_slice_set_rule((enum sh_slice_rule)(uintptr_t)rule);
}

static void
test_number_of_no_rule_is_fatal(void **state)
{
    (void)state;
    assert_child_dies(set_no_rule, (void *)3, "sh_slice_set_rule: there is no rule 3");
}

int
main(int argc, char **argv)
{
    if (argc > 1)
        return run_part(parts, COUNT_OF(parts), argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append_grows_by_the_rule_that_is_chosen),
        cmocka_unit_test(test_header_is_counted_between_512_and_32760_bytes),
        cmocka_unit_test(test_rule_is_chosen_by_its_name),
        cmocka_unit_test(test_name_of_no_rule_is_fatal),
        cmocka_unit_test(test_number_of_no_rule_is_fatal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
