/* Spans: bitmaps, the walk of the allocation cache, explicit frees, sweeping. No heap is needed. */
/* run: native asan valgrind */
#include "check.h"

#include "heap/span.h"

#define BASE ((uintptr_t)1 << 40) /* never touched: a span knows its objects by number only */
#define SEED UINT64_C(20240917)
#define MAX_SLOTS 1024

static void
set_up_span(struct span *s, unsigned class, enum span_kind kind)
{
    memset(s, 0, sizeof *s);
    assert_true(span_setup(s, BASE, class_pages[class], class, class_size_b[class], kind, false));
}

/* Takes the next slot as the allocator does. */
static bool
take(struct span *s, uint32_t *index)
{
    if (!span_next_cache(s))
        return false;
    *index = s->cache_base + (uint32_t)__builtin_ctzll(s->alloc_cache);
    s->alloc_cache &= s->alloc_cache - 1;
    s->alloc_count++;
    atomic_store(&s->free_index, *index + 1);
    return true;
}

static void
test_new_span_is_all_free(void **state)
{
    (void)state;
    for (unsigned class = 1; class < NCLASSES; class ++) {
        struct span s;
        set_up_span(&s, class, KIND_UNTYPED);
        assert_int_equal(s.nelems, class_pages[class] * PAGE_B / class_size_b[class]);
        assert_int_equal(span_free_ahead(&s), s.nelems);
        assert_int_equal(s.alloc_count, 0);
        for (uint32_t i = 0; i < s.nelems; i++)
            assert_false(span_is_allocated(&s, i));
        span_teardown(&s);
    }
}

static void
test_index_of_any_interior_address_is_its_slot(void **state)
{
    (void)state;
    for (unsigned class = 1; class < NCLASSES; class ++) {
        struct span s;
        set_up_span(&s, class, KIND_NOSCAN);
        for (uint32_t i = 0; i < s.nelems; i++) {
            assert_int_equal(span_index(&s, span_slot(&s, i)), i);
            assert_int_equal(span_index(&s, span_slot(&s, i) + s.elem_b / 2), i);
            assert_int_equal(span_index(&s, span_slot(&s, i) + s.elem_b - 1), i);
        }
        if (s.nelems * s.elem_b < s.npages * PAGE_B)
            assert_false(span_is_allocated(&s, span_index(&s, BASE + s.npages * PAGE_B - 1)));
        span_teardown(&s);
    }
}

static void
test_cache_walk_finds_each_free_slot_once_in_order(void **state)
{
    (void)state;
    struct rng rng = {SEED};
    for (unsigned round = 0; round < 4 * NCLASSES; round++) {
        struct span s;
        set_up_span(&s, 1 + round % (NCLASSES - 1), KIND_UNTYPED);
        for (uint32_t i = 0; i < s.nelems; i++)
            s.bits[i / 64].alloc |= (rng_next(&rng) >> 40 & 1) << (i % 64);
        span_load_cache(&s, 0);
        uint32_t index = UINT32_MAX;
        for (uint32_t i = 0; i < s.nelems; i++) {
            if (slot_bit(s.bits[i / 64].alloc, i))
                continue;
            assert_seeded(take(&s, &index), SEED);
            assert_seeded(index == i, SEED);
        }
        assert_seeded(!take(&s, &index), SEED);
        span_teardown(&s);
    }
}

static void
test_free_ahead_counts_what_the_walk_will_find(void **state)
{
    (void)state;
    struct rng rng = {SEED + 1};
    for (unsigned class = 1; class < NCLASSES; class ++) {
        struct span s;
        set_up_span(&s, class, KIND_UNTYPED);
        uint32_t free_slots = 0, index;
        for (uint32_t i = 0; i < s.nelems; i++) {
            bool taken = rng_below(&rng, 3) == 0;
            s.bits[i / 64].alloc |= (uint64_t)taken << (i % 64);
            free_slots += !taken;
        }
        span_load_cache(&s, 0);
        do {
            assert_seeded(span_free_ahead(&s) == free_slots, SEED + 1);
            free_slots--;
        } while (take(&s, &index));
        assert_seeded(span_free_ahead(&s) == 0, SEED + 1);
        span_teardown(&s);
    }
}

static void
test_allocated_means_handed_out_and_not_freed(void **state)
{
    (void)state;
    struct span s;
    set_up_span(&s, 2, KIND_UNTYPED); /* 512 slots of 16 bytes */
    s.bits[1].alloc = UINT64_C(1) << 3;
    span_load_cache(&s, 0);
    atomic_store(&s.free_index, 5);
    assert_true(span_is_allocated(&s, 0));
    assert_true(span_is_allocated(&s, 4));
    assert_false(span_is_allocated(&s, 5)); /* free, ahead of the index */
    assert_true(span_is_allocated(&s, 67)); /* live at the last sweep */
    assert_false(span_is_allocated(&s, s.nelems));
    assert_true(span_record_free(&s, 4));
    assert_false(span_is_allocated(&s, 4));
    assert_true(span_record_free(&s, 67));
    assert_false(span_is_allocated(&s, 67));
    span_teardown(&s);
}

static void
test_second_free_of_a_slot_is_noticed(void **state)
{
    (void)state;
    struct span s;
    set_up_span(&s, 1, KIND_UNTYPED);
    assert_true(span_record_free(&s, 70));
    assert_false(span_record_free(&s, 70));
    assert_true(span_record_free(&s, 71));
    assert_int_equal(span_count_freed(&s), 2);
    span_teardown(&s);
}

/* Takes `taken` slots and frees some of them; the model knows which are free in the end. */
static void
take_and_free(struct span *s, struct rng *rng, uint32_t taken, bool *is_free, uint32_t *freed)
{
    uint32_t index;
    *freed = 0;
    for (uint32_t i = 0; i < s->nelems; i++)
        is_free[i] = true;
    for (uint32_t i = 0; i < taken && take(s, &index); i++)
        is_free[index] = false;
    for (uint32_t i = 0; i < s->nelems; i++)
        if (!is_free[i] && rng_below(rng, 2) == 0) {
            assert_true(span_record_free(s, i));
            is_free[i] = true;
            ++*freed;
        }
}

static void
test_reclaim_hands_out_freed_and_untouched_slots_only(void **state)
{
    (void)state;
    struct rng rng = {SEED + 2};
    static bool is_free[MAX_SLOTS];
    for (unsigned round = 0; round < 5 * (NCLASSES - 1); round++) {
        struct span s;
        uint32_t freed, index;
        set_up_span(&s, 1 + round % (NCLASSES - 1), KIND_UNTYPED);
        uint32_t taken = (uint32_t)rng_below(&rng, s.nelems + 1);
        take_and_free(&s, &rng, taken, is_free, &freed);
        assert_seeded(span_reclaim_freed(&s) == freed, SEED + 2);
        assert_seeded(s.alloc_count == taken - freed, SEED + 2);
        assert_seeded(span_free_ahead(&s) == s.nelems - s.alloc_count, SEED + 2);
        assert_seeded(freed == 0 || s.needzero, SEED + 2);
        for (uint32_t i = 0; i < s.nelems; i++)
            assert_seeded(span_is_allocated(&s, i) == !is_free[i], SEED + 2);
        while (take(&s, &index)) {
            assert_seeded(is_free[index], SEED + 2);
            is_free[index] = false;
        }
        assert_seeded(s.alloc_count == s.nelems, SEED + 2);
        span_teardown(&s);
    }
}

struct sweep_expected {
    uint32_t live, died, marked_but_freed;
    bool stays[MAX_SLOTS];
};

static void
mark_some(struct span *s, struct rng *rng, struct sweep_expected *e)
{
    *e = (struct sweep_expected){0};
    for (uint32_t i = 0; i < s->nelems; i++) {
        bool was_freed = span_is_freed(s, i);
        bool taken = i < atomic_load(&s->free_index);
        bool marked = taken && rng_below(rng, 2) == 0; /* marked, then freed, happens as well */
        if (marked)
            assert_true(rng_below(rng, 3) == 0 ? span_mark_born(s, i) : span_mark(s, i));
        e->stays[i] = marked && !was_freed;
        e->marked_but_freed += marked && was_freed;
        e->live += e->stays[i];
        e->died += taken && !was_freed && !marked;
    }
}

static void
test_sweep_frees_what_is_not_marked_and_nothing_else(void **state)
{
    (void)state;
    struct rng rng = {SEED + 3};
    static bool is_free[MAX_SLOTS];
    static struct sweep_expected e;
    for (unsigned round = 0; round < 5 * (NCLASSES - 1); round++) {
        struct span s;
        uint32_t freed, marked_but_freed = 0;
        set_up_span(&s, 1 + round % (NCLASSES - 1), KIND_UNTYPED);
        take_and_free(&s, &rng, (uint32_t)rng_below(&rng, s.nelems + 1), is_free, &freed);
        mark_some(&s, &rng, &e);
        assert_seeded(span_count_marked(&s) == e.live, SEED + 3);
        assert_seeded(span_commit_sweep(&s, &marked_but_freed) == e.died, SEED + 3);
        assert_seeded(marked_but_freed == e.marked_but_freed, SEED + 3);
        assert_seeded(s.alloc_count == e.live, SEED + 3);
        assert_seeded(span_count_freed(&s) == 0 && s.needzero, SEED + 3);
        assert_seeded(span_free_ahead(&s) == s.nelems - e.live, SEED + 3);
        for (uint32_t i = 0; i < s.nelems; i++) {
            assert_seeded(span_is_allocated(&s, i) == e.stays[i], SEED + 3);
            assert_seeded(!span_is_marked(&s, i), SEED + 3);
        }
        span_teardown(&s);
    }
}

static void
test_mark_bit_is_set_once(void **state)
{
    (void)state;
    struct span s;
    set_up_span(&s, 1, KIND_UNTYPED);
    assert_true(span_mark(&s, 63));
    assert_true(span_mark(&s, 64));
    assert_false(span_mark(&s, 63));
    assert_false(span_mark_born(&s, 63));
    assert_true(span_mark_born(&s, 65));
    assert_false(span_mark_born(&s, 65));
    assert_false(span_mark(&s, 65));
    assert_true(span_is_marked(&s, 65) && !span_is_marked(&s, 66));
    assert_int_equal(span_count_marked(&s), 3);
    span_clear_marks(&s);
    assert_int_equal(span_count_marked(&s), 0);
    assert_false(span_is_marked(&s, 65));
    span_teardown(&s);
}

/* Slots of 3, 5, 6 ... words straddle the bitmap's words: each must write its own bits only. */
static void
test_each_slot_keeps_its_own_pointer_mask(void **state)
{
    (void)state;
    struct rng rng = {SEED + 4};
    static uint64_t model[MAX_SLOTS];
    for (unsigned class = 1; class_size_b[class] <= BITMAP_MAX_B; class ++) {
        struct span s;
        set_up_span(&s, class, KIND_TYPED);
        unsigned words = class_size_b[class] / WORD_B;
        uint64_t all = words == 64 ? UINT64_MAX : (UINT64_C(1) << words) - 1;
        for (unsigned i = 0; i < 4 * s.nelems; i++) {
            uint64_t mask = rng_below(&rng, 9) == 0 ? UINT64_MAX : rng_next(&rng);
            const struct sh_type type = {"random", s.elem_b, &mask, 0};
            uint32_t index = i < s.nelems ? i : (uint32_t)rng_below(&rng, s.nelems);
            s.alloc_count += i < s.nelems;
            assert_true(span_set_type(&s, index, &type));
            model[index] = mask & all;
            assert_seeded(span_pointer_mask(&s, index) == model[index], SEED + 4);
        }
        for (uint32_t i = 0; i < s.nelems; i++)
            assert_seeded(span_pointer_mask(&s, i) == model[i], SEED + 4);
        span_teardown(&s);
    }
}

/* The usual span holds objects of one type, and needs no bitmap. */
static void
test_slots_of_one_type_share_a_mask(void **state)
{
    (void)state;
    static const uint64_t mask = 5, other = 3;
    static const struct sh_type a = {"a", 4 * WORD_B, &mask, 0}, b = {"b", 4 * WORD_B, &other, 0};
    struct span s;
    set_up_span(&s, sizeclass_of(4 * WORD_B), KIND_TYPED);
    for (uint32_t i = 0; i < 10; i++) {
        s.alloc_count++;
        assert_int_equal(span_set_one(&s, i, mask), i > 0);
        assert_true(span_set_type(&s, i, &a));
    }
    assert_null(s.layout.pointer_bits);
    assert_false(span_change_type(&s, 3, &b));
    assert_true(span_change_type(&s, 3, &a));
    assert_int_equal(span_pointer_mask(&s, 3), 5);
    s.alloc_count++;
    assert_false(span_set_one(&s, 10, other));
    assert_true(span_set_type(&s, 10, &b));
    assert_non_null(s.layout.pointer_bits);
    assert_true(span_set_one(&s, 11, other));
    assert_true(span_set_one(&s, 12, mask));
    for (uint32_t i = 0; i < 13; i++)
        assert_int_equal(span_pointer_mask(&s, i), i == 10 || i == 11 ? 3 : 5);
    s.alloc_count = 1; /* swept, and the next object is alone */
    assert_true(span_set_type(&s, 20, &b));
    assert_true(span_set_one(&s, 21, other));
    assert_false(span_set_one(&s, 22, mask));
    span_teardown(&s);
}

static void
test_element_mask_repeats_over_the_slot(void **state)
{
    (void)state;
    static const uint64_t mask = 5; /* words 0 and 2 of 3 */
    static const struct sh_type triple = {"triple", 3 * WORD_B, &mask, 0};
    struct span s;
    unsigned class = sizeclass_of(20 * 3 * WORD_B);
    set_up_span(&s, class, KIND_TYPED);
    unsigned words = class_size_b[class] / WORD_B;
    assert_true(span_set_type(&s, 1, &triple));
    for (unsigned w = 0; w < words; w++)
        assert_int_equal(slot_bit(span_pointer_mask(&s, 1), w), w % 3 != 1);
    span_teardown(&s);
}

static void
test_objects_over_512_bytes_keep_their_descriptor(void **state)
{
    (void)state;
    static const uint64_t mask[2] = {1, 1};
    static const struct sh_type a = {"a", 576, mask, 0}, b = {"b", 64, mask, 0};
    struct span s;
    set_up_span(&s, sizeclass_of(576), KIND_TYPED);
    span_set_type(&s, 0, &a);
    span_set_type(&s, s.nelems - 1, &b);
    assert_ptr_equal(s.layout.types[0], &a);
    assert_null(s.layout.types[1]);
    assert_ptr_equal(s.layout.types[s.nelems - 1], &b);
    span_teardown(&s);
}

static void
test_lists_keep_order_and_count(void **state)
{
    (void)state;
    struct span a = {0}, b = {0}, c = {0};
    struct span_list list = {NULL, 0};
    span_list_push(&list, &a);
    span_list_push(&list, &b);
    span_list_push(&list, &c);
    assert_int_equal(list.count, 3);
    span_list_remove(&b);
    assert_null(b.list);
    assert_ptr_equal(span_list_pop(&list), &c);
    assert_ptr_equal(span_list_pop(&list), &a);
    assert_null(span_list_pop(&list));
    assert_int_equal(list.count, 0);
}

static void
test_rows_tell_class_and_kind(void **state)
{
    (void)state;
    bool seen[NROWS] = {false};
    for (unsigned kind = KIND_TYPED; kind <= KIND_UNTYPED; kind++)
        for (unsigned class = 0; class < NCLASSES; class ++) {
            unsigned row = span_row(class, (enum span_kind)kind);
            assert_false(seen[row]);
            seen[row] = true;
            assert_int_equal(row_kind(row), kind);
            assert_int_equal(row_class(row), class);
        }
    unsigned tiny = span_row(sizeclass_of(16), KIND_TINY);
    assert_false(seen[tiny]);
    assert_int_equal(row_kind(tiny), KIND_TINY);
    assert_int_equal(class_size_b[row_class(tiny)], 16);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_span_is_all_free),
        cmocka_unit_test(test_index_of_any_interior_address_is_its_slot),
        cmocka_unit_test(test_cache_walk_finds_each_free_slot_once_in_order),
        cmocka_unit_test(test_free_ahead_counts_what_the_walk_will_find),
        cmocka_unit_test(test_allocated_means_handed_out_and_not_freed),
        cmocka_unit_test(test_second_free_of_a_slot_is_noticed),
        cmocka_unit_test(test_reclaim_hands_out_freed_and_untouched_slots_only),
        cmocka_unit_test(test_sweep_frees_what_is_not_marked_and_nothing_else),
        cmocka_unit_test(test_mark_bit_is_set_once),
        cmocka_unit_test(test_each_slot_keeps_its_own_pointer_mask),
        cmocka_unit_test(test_slots_of_one_type_share_a_mask),
        cmocka_unit_test(test_element_mask_repeats_over_the_slot),
        cmocka_unit_test(test_objects_over_512_bytes_keep_their_descriptor),
        cmocka_unit_test(test_lists_keep_order_and_count),
        cmocka_unit_test(test_rows_tell_class_and_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
