/* Collection: what is reached stays, what is not goes, and which words count as reaching. */
/* run: native asan valgrind */
#include "check.h"

#include "collector/cycle.h"
#include "collector/verify.h"
#include "heap/span.h"

enum { N = 1000 };
/* A stale word in a register or on the stack may keep one or the other object. */
enum { STALE = 5 };

struct node {
    struct node *next, *other;
    uintptr_t hidden;
};
static const struct sh_type node_type =
    SH_TYPE(struct node, SH_POINTER_AT(struct node, next) | SH_POINTER_AT(struct node, other));

static uintptr_t hidden[N];
static void *volatile held; /* a root: the data segment */

static void
forget_many(void *size)
{
    for (size_t i = 0; i < N; i++)
        hidden[i] = hide(sh_alloc(*(size_t *)size));
}

static void
test_unreachable_objects_are_freed(void **state)
{
    (void)state;
    static const size_t sizes[] = {8, 24, 100, 1024, 20000, 50000};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        size_t size = sizes[i];
        struct sh_stats before, after;
        collect();
        sh_stats_read(&before);
        run_elsewhere(forget_many, &size);
        collect();
        assert_in_range(count_alive(hidden, N), 0, STALE);
        sh_stats_read(&after);
        assert_in_range(after.frees - before.frees, N - STALE, N + STALE);
    }
}

static void
allocate_and_hold_offset(void *offset)
{
    char *p = fresh_object(1000);
    hidden[0] = hide(p);
    held = p + *(ptrdiff_t *)offset;
}

static bool
survives_root_at(ptrdiff_t offset)
{
    run_elsewhere(allocate_and_hold_offset, &offset);
    collect();
    volatile size_t alive = is_alive(hidden[0]);
    held = NULL;
    collect();
    assert_false(is_alive(hidden[0]));
    return alive;
}

static void
test_interior_pointer_keeps_object(void **state)
{
    (void)state;
    assert_true(survives_root_at(0));
    assert_true(survives_root_at(1));
    assert_true(survives_root_at(501));
    assert_true(survives_root_at(1023));
}

static void
test_pointer_outside_keeps_nothing(void **state)
{
    (void)state;
    assert_false(survives_root_at(-1));
    assert_false(survives_root_at(1025));
}

/* It does on stacks and in registers only: see test_registers.c. */
static void
test_end_pointer_in_static_data_keeps_nothing(void **state)
{
    (void)state;
    assert_false(survives_root_at(1024)); /* its size class: one past the end */
}

static void
fill_page_class(void *holder)
{
    char *p = sh_alloc(8192), *inside = sh_alloc(8192);
    void **slots = holder;
    hidden[0] = hide(p);
    hidden[1] = hide(inside);
    sh_store(&slots[0], p + 8192);
    sh_store(&slots[1], inside + 8191);
}

static void
test_end_pointer_in_a_heap_object_keeps_nothing(void **state)
{
    (void)state;
    held = sh_alloc(64);
    run_elsewhere(fill_page_class, (void *)held);
    collect();
    assert_false(is_alive(hidden[0]) && !is_alive(hidden[1]));
    assert_true(is_alive(hidden[1]));
    /* p + 8192 is where `inside` begins, or an unused page: p itself is dead either way. */
    assert_false(is_alive(hidden[0]));
    held = NULL;
}

static void
test_stack_holds_its_objects(void **state)
{
    (void)state;
    volatile char *volatile local = sh_alloc(200);
    volatile char *volatile end = (volatile char *)sh_alloc(1024) + 1024;
    collect();
    assert_non_null(sh_object_base((const void *)local));
    assert_non_null(sh_object_base((const char *)end - 1));
}

/* ---- Kinds ---- */

static void
make_holder(void *kind)
{
    struct node *n;
    if (*(int *)kind == KIND_TYPED)
        n = sh_alloc_typed(&node_type);
    else if (*(int *)kind == KIND_NOSCAN)
        n = sh_alloc_noscan(sizeof *n);
    else
        n = sh_alloc(sizeof *n);
    struct node *a = fresh_object(48), *b = fresh_object(48);
    hidden[0] = hide(a);
    hidden[1] = hide(b);
    sh_store(&n->next, a);
    n->hidden = (uintptr_t)b; /* a pointer where the type has none */
    held = n;
}

static void
expect_kept(int kind, bool pointer_field, bool number_field)
{
    run_elsewhere(make_holder, &kind);
    collect();
    assert_int_equal(is_alive(hidden[0]), pointer_field);
    assert_int_equal(is_alive(hidden[1]), number_field);
    held = NULL;
}

static void
test_typed_object_holds_by_its_pointer_fields_only(void **state)
{
    (void)state;
    expect_kept(KIND_TYPED, true, false);
}

static void
test_noscan_object_holds_nothing(void **state)
{
    (void)state;
    expect_kept(KIND_NOSCAN, false, false);
}

static void
test_untyped_object_holds_by_every_word(void **state)
{
    (void)state;
    expect_kept(KIND_UNTYPED, true, true);
}

/* Element sizes over and under 64 words, in small and in large objects. */
struct shape {
    size_t words, count, pointer; /* of an element, elements, the word that is a pointer */
    uint64_t mask[9];
    struct sh_type type;
};

static void
make_typed_array(void *arg)
{
    struct shape *s = arg;
    s->mask[s->pointer / 64] = UINT64_C(1) << (s->pointer % 64);
    s->type = (struct sh_type){"wide", s->words * WORD_B, s->mask, 0};
    void **array = sh_alloc_array(&s->type, s->count);
    for (size_t i = 0; i < s->count; i++) {
        void *yes = sh_alloc(32), *no = sh_alloc(32);
        hidden[2 * i] = hide(yes);
        hidden[2 * i + 1] = hide(no);
        sh_store(&array[i * s->words + s->pointer], yes);
        array[i * s->words + (s->pointer + 1) % s->words] = no;
    }
    held = array;
}

static void
test_typed_arrays_are_exact_at_every_size(void **state)
{
    (void)state;
    static struct shape shapes[] = {
        {.words = 2, .count = 1, .pointer = 0},      {.words = 3, .count = 7, .pointer = 2},
        {.words = 5, .count = 12, .pointer = 4},     {.words = 64, .count = 1, .pointer = 63},
        {.words = 70, .count = 1, .pointer = 69},    {.words = 100, .count = 5, .pointer = 64},
        {.words = 200, .count = 20, .pointer = 130}, {.words = 3, .count = 400, .pointer = 1},
        {.words = 7, .count = 450, .pointer = 6},    {.words = 300, .count = 50, .pointer = 0},
        {.words = 513, .count = 30, .pointer = 511}, {.words = 12, .count = 480, .pointer = 11},
    };
    for (size_t i = 0; i < COUNT_OF(shapes); i++) {
        size_t lost = 0, kept = 0;
        run_elsewhere(make_typed_array, &shapes[i]);
        collect();
        for (size_t n = 0; n < shapes[i].count; n++) {
            lost += !is_alive(hidden[2 * n]);
            kept += is_alive(hidden[2 * n + 1]);
        }
        held = NULL;
        collect();
        if (lost > 0 || kept > 0)
            fail_msg("shape %zu: %zu lost, %zu kept for nothing", i, lost, kept);
    }
}

/* Slots of 3, 5, 6 ... words: where their pointer bits straddle two words of the span's bitmap. */
static void
make_many_typed(void *shape)
{
    struct shape *s = shape;
    s->mask[0] = UINT64_C(1) << s->pointer;
    s->type = (struct sh_type){"slot", s->words * WORD_B, s->mask, 0};
    void **table = sh_alloc(N * sizeof *table);
    for (size_t i = 0; i < N; i++) {
        void **object = sh_alloc_typed(&s->type), *target = sh_alloc(32);
        hidden[i] = hide(target);
        sh_store(&object[s->pointer], target);
        sh_store(&table[i], object);
    }
    held = table;
}

static void
test_pointers_of_all_slots_of_a_span_are_followed(void **state)
{
    (void)state;
    static struct shape shapes[] = {
        {.words = 3, .pointer = 0}, {.words = 3, .pointer = 1},   {.words = 3, .pointer = 2},
        {.words = 6, .pointer = 5}, {.words = 12, .pointer = 7},  {.words = 44, .pointer = 40},
        {.words = 1, .pointer = 0}, {.words = 64, .pointer = 63},
    };
    for (size_t i = 0; i < COUNT_OF(shapes); i++) {
        run_elsewhere(make_many_typed, &shapes[i]);
        collect();
        assert_int_equal(count_alive(hidden, N), N);
        held = NULL;
        collect();
    }
}

/* ---- Shapes ---- */

static void
make_rings(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < N; i += 2) {
        struct node *a = sh_alloc_typed(&node_type), *b = sh_alloc_typed(&node_type);
        sh_store(&a->next, b);
        sh_store(&b->next, a);
        sh_store(&a->other, a);
        hidden[i] = hide(a);
        hidden[i + 1] = hide(b);
    }
}

static void
test_cycles_are_freed(void **state)
{
    (void)state;
    run_elsewhere(make_rings, NULL);
    collect();
    assert_in_range(count_alive(hidden, N), 0, 2 * STALE);
}

static void
make_list(void *length)
{
    struct node *first = NULL;
    for (size_t i = 0; i < *(size_t *)length; i++) {
        struct node *n = sh_alloc_typed(&node_type);
        n->hidden = i;
        sh_store(&n->next, first);
        first = n;
    }
    held = first;
}

static void
check_list(void *length)
{
    size_t i = *(size_t *)length;
    for (struct node *n = (struct node *)held; n != NULL; n = n->next)
        if (n->hidden != --i)
            abort();
    if (i != 0)
        abort();
}

/* Marking by recursion would need a stack of some hundred MB. */
static void
test_list_of_a_million_is_marked_without_a_deep_stack(void **state)
{
    (void)state;
    size_t length = 1000000;
    struct sh_stats stats;
    run_elsewhere(make_list, &length);
    collect();
    run_elsewhere(check_list, &length);
    sh_stats_read(&stats);
    assert_true(stats.marked_b >= length * 24);
    uint64_t with_list_b = stats.marked_b;
    held = NULL;
    collect();
    sh_stats_read(&stats);
    assert_true(stats.marked_b < length);
    assert_int_equal(stats.most_marked_b, with_list_b);
}

/* ---- Zombies ---- */

static void
free_while_held(void *typed)
{
    struct node *n = *(bool *)typed ? sh_alloc_typed(&node_type) : sh_alloc(sizeof *n);
    void *target = sh_alloc(4000);
    sh_store(&n->other, target);
    held = n;
    sh_free(target);
    collect();
}

static void
test_typed_slot_that_points_to_a_freed_object_is_fatal(void **state)
{
    (void)state;
    bool typed = true;
    assert_child_dies(free_while_held, &typed, "points, at offset 8, to 0x");
    assert_child_dies(free_while_held, &typed, "which is free: freed while in use");
}

/* The same of one that the program has dropped, and a stale word keeps. */
static void
free_behind_garbage(void *cleared)
{
    static volatile uintptr_t stale;
    struct node *n = sh_alloc_typed(&node_type);
    void *target = sh_alloc(4000);
    sh_store(&n->other, target);
    stale = (uintptr_t)n;
    if (*(bool *)cleared)
        sh_store(&n->other, NULL);
    sh_free(target);
    collect();
    stale = 0;
}

static void
test_garbage_must_not_point_to_a_freed_object(void **state)
{
    (void)state;
    bool cleared = false;
    assert_child_dies(free_behind_garbage, &cleared, "which is free: freed while in use");
    cleared = true;
    assert_child_succeeds(free_behind_garbage, &cleared);
}

static void
test_conservative_word_that_hits_a_freed_object_is_ignored(void **state)
{
    (void)state;
    bool typed = false;
    assert_child_succeeds(free_while_held, &typed);
}

static void
hold_end(void *size)
{
    struct node *n = sh_alloc_typed(&node_type);
    sh_store(&n->next, (char *)sh_alloc(*(size_t *)size) + *(size_t *)size);
    held = n;
}

/* First its object is alive, then dead: a C program may keep such an address all the while. */
static void
collect_with_end_in_typed_slot(void *size)
{
    run_elsewhere(hold_end, size);
    for (int i = 0; i < 3; i++)
        collect();
}

static void
test_end_pointer_in_a_typed_slot_is_no_zombie(void **state)
{
    (void)state;
    size_t sizes[] = {48, 8192, 65536};
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        assert_child_succeeds(collect_with_end_in_typed_slot, &sizes[i]);
}

static void
test_tiny_block_lives_while_one_of_its_objects_does(void **state)
{
    (void)state;
    char *a = sh_alloc_noscan(4), *volatile b = sh_alloc_noscan(4);
    uintptr_t block = hide(sh_object_base(b));
    (void)a;
    strcpy((char *)b, "abc");
    collect();
    assert_true(is_alive(block));
    assert_string_equal((char *)b, "abc");
}

static void
test_collections_are_counted_and_leave_the_heap_whole(void **state)
{
    (void)state;
    struct sh_stats before, after;
    sh_stats_read(&before);
    for (int i = 0; i < 5; i++) {
        run_elsewhere(make_rings, NULL);
        collect();
        verify_now();
    }
    sh_stats_read(&after);
    assert_int_equal(after.num_gc - before.num_gc, 5);
    assert_int_equal(after.num_forced_gc - before.num_forced_gc, 5);
    assert_int_equal(atomic_load(&cycle.phase), PHASE_OFF);
}

static void
test_heap_grows_to_its_goal_then_collects(void **state)
{
    (void)state;
    struct sh_stats before, after;
    collect();
    sh_stats_read(&before);
    for (int i = 0; i < 100000; i++)
        sh_alloc(1024); /* 100 MB of garbage */
    sh_stats_read(&after);
    assert_true(after.num_gc > before.num_gc);
    assert_int_equal(after.num_forced_gc, before.num_forced_gc);
    assert_true(after.heap_sys_b <= before.heap_sys_b + ((size_t)64 << 20));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unreachable_objects_are_freed),
        cmocka_unit_test(test_interior_pointer_keeps_object),
        cmocka_unit_test(test_pointer_outside_keeps_nothing),
        cmocka_unit_test(test_end_pointer_in_static_data_keeps_nothing),
        cmocka_unit_test(test_end_pointer_in_a_heap_object_keeps_nothing),
        cmocka_unit_test(test_stack_holds_its_objects),
        cmocka_unit_test(test_typed_object_holds_by_its_pointer_fields_only),
        cmocka_unit_test(test_noscan_object_holds_nothing),
        cmocka_unit_test(test_untyped_object_holds_by_every_word),
        cmocka_unit_test(test_typed_arrays_are_exact_at_every_size),
        cmocka_unit_test(test_pointers_of_all_slots_of_a_span_are_followed),
        cmocka_unit_test(test_cycles_are_freed),
        cmocka_unit_test(test_list_of_a_million_is_marked_without_a_deep_stack),
        cmocka_unit_test(test_typed_slot_that_points_to_a_freed_object_is_fatal),
        cmocka_unit_test(test_garbage_must_not_point_to_a_freed_object),
        cmocka_unit_test(test_conservative_word_that_hits_a_freed_object_is_ignored),
        cmocka_unit_test(test_end_pointer_in_a_typed_slot_is_no_zombie),
        cmocka_unit_test(test_tiny_block_lives_while_one_of_its_objects_does),
        cmocka_unit_test(test_collections_are_counted_and_leave_the_heap_whole),
        cmocka_unit_test(test_heap_grows_to_its_goal_then_collects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
