/* Pools: reuse, one collection of grace, and never the same item twice. */
/* run: native asan tsan */
#include "check.h"

#include "collector/verify.h"

#include <spanheap/pool.h>

static uintptr_t hidden[20];

static void
test_item_that_was_put_is_got_again(void **state)
{
    (void)state;
    static struct sh_pool pool;
    void *item = sh_alloc(100);
    assert_null(sh_pool_get(&pool));
    sh_pool_put(&pool, item);
    sh_pool_put(&pool, NULL);
    assert_ptr_equal(sh_pool_get(&pool), item);
    assert_null(sh_pool_get(&pool));
}

static size_t made;

static void *
make_item(void)
{
    made++;
    return sh_alloc(64);
}

static void
test_empty_pool_makes_an_item(void **state)
{
    (void)state;
    static struct sh_pool pool = {.make = make_item};
    void *a = sh_pool_get(&pool), *b = sh_pool_get(&pool);
    assert_int_equal(made, 2);
    assert_ptr_not_equal(a, b);
    sh_pool_put(&pool, a);
    assert_ptr_equal(sh_pool_get(&pool), a);
    assert_int_equal(made, 2);
}

static void
put_objects(void *pool)
{
    for (size_t i = 0; i < COUNT_OF(hidden); i++) {
        void *p = sh_alloc(300);
        hidden[i] = hide(p);
        sh_pool_put(pool, p);
    }
}

static void
test_unused_item_survives_exactly_one_collection(void **state)
{
    (void)state;
    static struct sh_pool pool;
    run_elsewhere(put_objects, &pool);
    sh_collect();
    assert_int_equal(count_alive(hidden, COUNT_OF(hidden)), COUNT_OF(hidden));
    collect();
    assert_int_equal(count_alive(hidden, COUNT_OF(hidden)), 0);
    assert_null(sh_pool_get(&pool));
}

static void
get_all(void *pool)
{
    bool got[COUNT_OF(hidden)] = {false};
    for (size_t i = 0; i < COUNT_OF(hidden); i++) {
        uintptr_t item = hide(sh_pool_get(pool));
        size_t at = 0;
        while (at < COUNT_OF(hidden) && hidden[at] != item)
            at++;
        if (at == COUNT_OF(hidden) || got[at])
            abort();
        got[at] = true;
    }
    if (sh_pool_get(pool) != NULL)
        abort();
}

static void
put_and_get_all(void *pool)
{
    put_objects(pool);
    get_all(pool);
}

static void
get_all_but_one(void *pool)
{
    size_t got = 0;
    while (sh_pool_get(pool) != NULL)
        got++;
    if (got != COUNT_OF(hidden) - 1)
        abort();
}

struct two {
    struct sh_pool *pool;
    pthread_barrier_t put, got;
};

static void *
put_and_stay(void *arg)
{
    struct two *t = arg;
    put_objects(t->pool);
    pthread_barrier_wait(&t->put);
    sh_blocking_begin();
    pthread_barrier_wait(&t->got);
    sh_blocking_end();
    return NULL;
}

static void
test_chain_is_stolen_and_the_private_item_is_not(void **state)
{
    (void)state;
    static struct sh_pool pool;
    struct two two = {.pool = &pool};
    pthread_t thread;
    pthread_barrier_init(&two.put, NULL, 2);
    pthread_barrier_init(&two.got, NULL, 2);
    assert_int_equal(sh_thread_create(&thread, NULL, put_and_stay, &two), 0);
    pthread_barrier_wait(&two.put);
    run_elsewhere(get_all_but_one, &pool);
    pthread_barrier_wait(&two.got);
    sh_thread_join(thread, NULL);
    sh_collect();
    assert_non_null(sh_pool_get(&pool)); /* of a victim it is */
    assert_null(sh_pool_get(&pool));
}

static void
test_all_items_come_back_once_also_after_a_collection(void **state)
{
    (void)state;
    static struct sh_pool pool;
    run_elsewhere(put_and_get_all, &pool);
    run_elsewhere(put_objects, &pool);
    sh_collect();
    run_elsewhere(get_all, &pool); /* of another thread, its private one too */
}

/* Got and put again in each cycle, an item lives for ever. */
static void
test_item_in_use_between_collections_is_not_dropped(void **state)
{
    (void)state;
    static struct sh_pool pool = {.make = make_item};
    made = 0;
    sh_pool_put(&pool, sh_pool_get(&pool));
    for (int i = 0; i < 10; i++) {
        sh_collect();
        sh_pool_put(&pool, sh_pool_get(&pool));
    }
    assert_int_equal(made, 1);
}

static void
test_many_pools_are_rotated_together(void **state)
{
    (void)state;
    static struct sh_pool pools[50];
    for (size_t i = 0; i < COUNT_OF(pools); i++)
        sh_pool_put(&pools[i], sh_alloc(32));
    sh_collect();
    for (size_t i = 0; i < COUNT_OF(pools); i += 2)
        assert_non_null(sh_pool_get(&pools[i]));
    sh_collect();
    for (size_t i = 0; i < COUNT_OF(pools); i++)
        assert_null(sh_pool_get(&pools[i]));
}

/* ---- Several threads ---- */

struct item {
    _Atomic uintptr_t owner;
    uintptr_t check;
};

static void *
make_owned(void)
{
    struct item *item = sh_alloc_noscan(sizeof *item); /* it is written to plainly */
    item->check = ~(uintptr_t)item;
    return item;
}

static struct sh_pool shared = {.make = make_owned};
static _Atomic int twice, running;

static void *
use_items(void *self)
{
    struct item *volatile mine[12];
    for (int round = 0; round < 20000 && atomic_load(&twice) == 0; round++) {
        size_t n = 1 + (size_t)round % COUNT_OF(mine);
        for (size_t i = 0; i < n; i++) {
            mine[i] = sh_pool_get(&shared);
            if (mine[i]->check != ~(uintptr_t)mine[i] ||
                atomic_exchange(&mine[i]->owner, (uintptr_t)self) != 0)
                atomic_fetch_add(&twice, 1);
        }
        for (size_t i = 0; i < n; i++) {
            if (atomic_exchange(&mine[i]->owner, 0) != (uintptr_t)self)
                atomic_fetch_add(&twice, 1);
            sh_pool_put(&shared, mine[i]);
        }
        sh_safepoint();
    }
    atomic_fetch_sub(&running, 1);
    return NULL;
}

static void
test_no_item_is_handed_out_twice(void **state)
{
    (void)state;
    pthread_t threads[2];
    atomic_store(&running, COUNT_OF(threads));
    for (uintptr_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(sh_thread_create(&threads[i], NULL, use_items, (void *)(i + 1)), 0);
    while (atomic_load(&running) > 0) {
        sh_collect();
        usleep(500);
    }
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        sh_thread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&twice), 0);
    verify_now();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_item_that_was_put_is_got_again),
        cmocka_unit_test(test_empty_pool_makes_an_item),
        cmocka_unit_test(test_unused_item_survives_exactly_one_collection),
        cmocka_unit_test(test_chain_is_stolen_and_the_private_item_is_not),
        cmocka_unit_test(test_all_items_come_back_once_also_after_a_collection),
        cmocka_unit_test(test_item_in_use_between_collections_is_not_dropped),
        cmocka_unit_test(test_many_pools_are_rotated_together),
        cmocka_unit_test(test_no_item_is_handed_out_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
