/*
 * A pool's items lie in an array on the heap. At the start of each collection, while the world is
 * stopped, the array becomes the victim and the old victim is forgotten: two stores a pool.
 *
 * The pool's lock is taken between cache_enter and cache_leave, so that nobody is stopped while
 * holding it: whoever finds the world stopped finds every pool whole. It is also a slow section, so
 * that no child of fork inherits it taken.
 */
#include <spanheap/pool.h>

#include "collector/cycle.h"
#include "collector/world.h"
#include "heap/alloc.h"

#define FIRST_CAP 8

struct sh_pool_items {
    size_t n, cap;
    void *items[];
};

static struct {
    struct sh_pool *first; /* guarded by world.cycle_lock */
} pools SH_STATE;

static void
rotate_all(void)
{
    for (struct sh_pool *p = pools.first; p != NULL; p = p->next) {
        p->victim = p->items;
        p->items = NULL;
    }
}

static void
drop_lock(struct sh_pool *pool, struct cache *c)
{
    __atomic_store_n(&pool->lock, 0, __ATOMIC_RELEASE);
    cache_slow_leave(c);
    cache_leave(c);
}

static struct cache *
take_pool(struct sh_pool *pool)
{
    struct cache *c = cache_self != NULL ? cache_self : hook_attach_caller();
    cache_enter(c);
    cache_slow_enter(c);
    while (__atomic_exchange_n(&pool->lock, 1, __ATOMIC_ACQUIRE) != 0) {
        cache_slow_leave(c); /* the holder may have to stop first */
        cache_leave(c);
        cache_enter(c);
        cache_slow_enter(c);
    }
    return c;
}

static void
enter_list(struct sh_pool *pool)
{
    world_lock_safely(&world.cycle_lock);
    if (!pool->registered) {
        cycle_on_start(rotate_all);
        pool->next = pools.first;
        pools.first = pool;
        pool->registered = 1;
    }
    lock_drop(&world.cycle_lock);
}

static void *
pop_item(struct sh_pool_items *items)
{
    if (items == NULL || items->n == 0)
        return NULL;
    void *item = items->items[--items->n];
    sh_store(&items->items[items->n], NULL);
    return item;
}

void *
sh_pool_get(struct sh_pool *pool)
{
    struct cache *c = take_pool(pool);
    void *item = pop_item(pool->items);
    if (item == NULL)
        item = pop_item(pool->victim);
    drop_lock(pool, c);
    return item == NULL && pool->make != NULL ? pool->make() : item;
}

/* An array with room for one more than `old` holds. Made before the lock is taken: allocation may
   stop or collect. */
static struct sh_pool_items *
make_items(size_t cap)
{
    struct sh_pool_items *items = sh_alloc(sizeof *items + cap * sizeof(void *));
    items->cap = cap;
    return items;
}

static bool
push(struct sh_pool *pool, void *item)
{
    struct sh_pool_items *items = pool->items;
    if (items == NULL || items->n == items->cap)
        return false;
    sh_store(&items->items[items->n++], item);
    return true;
}

/* Moves to the larger array unless the old one has been replaced meanwhile. */
static void
replace_items(struct sh_pool *pool, struct sh_pool_items *larger)
{
    struct sh_pool_items *old = pool->items;
    size_t n = old == NULL ? 0 : old->n;
    if (n >= larger->cap)
        return;
    for (size_t i = 0; i < n; i++)
        larger->items[i] = old->items[i];
    larger->n = n;
    pool->items = larger;
}

void
sh_pool_put(struct sh_pool *pool, void *item)
{
    if (item == NULL)
        return;
    if (!__atomic_load_n(&pool->registered, __ATOMIC_ACQUIRE))
        enter_list(pool);
    struct cache *c = take_pool(pool);
    while (!push(pool, item)) {
        size_t cap = pool->items == NULL ? FIRST_CAP : 2 * pool->items->cap;
        drop_lock(pool, c);
        struct sh_pool_items *larger = make_items(cap);
        c = take_pool(pool);
        replace_items(pool, larger);
    }
    drop_lock(pool, c);
}
