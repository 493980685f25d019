/*
 * A pool's items lie in an array on the heap, with a place for each thread that there was when it
 * was made, and some more. At the start of each collection, while the world is stopped, the array
 * becomes the victim and the old victim is forgotten: two stores a pool.
 *
 * A place is locked by a soft lock, under which nobody is stopped: whoever finds the world stopped
 * finds every pool whole. Memory is made before the lock is taken, since that may stop or collect.
 * A marker may read it from then on, so that all that is written to it is a whole word.
 * The private item belongs to one thread, the place's owner, who needs no lock, but must not be
 * stopped either: so it never meets a collection that makes its place a victim's. A victim has no
 * owners; whoever comes takes the private items, too.
 *
 * In a watched heap (watch.h) an item is closed while nobody may use it. With a quarantine it is
 * not kept at all, or the next one who gets it would hide the use of the one before: the collector
 * has it when nobody has an old pointer to it any more. (Go drops items while it looks for races.)
 * Each object notes that it was put, so that putting it again is noticed where it happens.
 */
#include <spanheap/pool.h>

#include "collector/cycle.h"
#include "collector/threads.h"
#include "collector/world.h"
#include "heap/alloc.h"
#include "heap/watch.h"
#include "types/panic.h"
#include "types/soft_lock.h"

#include <pthread.h>

#define FIRST_CAP 8
#define SPARE_PLACES 8 /* for threads that come before the next collection */

/* A chain: the owner adds and takes at the end, others take at the start. */
struct chain {
    size_t cap; /* a power of two */
    void *items[];
};

struct place {
    uint32_t lock;
    struct cache *owner; /* of a thread, perhaps of one that is gone */
    void *private;       /* the owner's alone, until the place is a victim's */
    struct chain *chain;
    size_t first, end; /* of the items in it, modulo cap */
} __attribute__((aligned(CACHE_LINE_B)));

struct sh_pool_items {
    size_t n;
    struct place places[]; /* n: more threads than there were share them */
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
unlock_places(struct sh_pool_items *items)
{
    for (size_t i = 0; items != NULL && i < items->n; i++)
        items->places[i].lock = 0;
}

/* Whoever held a lock is not there. What it was about to do is done, or not. */
static void
unlock_in_child(void)
{
    for (struct sh_pool *p = pools.first; p != NULL; p = p->next) {
        unlock_places(p->items);
        unlock_places(p->victim);
    }
}

static void
enter_list(struct sh_pool *pool)
{
    world_lock_safely(&world.cycle_lock);
    bool first = pools.first == NULL && !pool->registered;
    if (!pool->registered) {
        cycle_on_start(rotate_all);
        pool->next = pools.first;
        pools.first = pool;
        __atomic_store_n(&pool->registered, 1, __ATOMIC_RELEASE);
    }
    lock_drop(&world.cycle_lock);
    if (first)
        pthread_atfork(NULL, NULL, unlock_in_child);
}

/* ---- Places ---- */

static inline struct place *
place_of(struct sh_pool_items *items, const struct cache *c)
{
    return &items->places[likely(c->number < items->n) ? c->number : c->number % items->n];
}

static struct place *
next_place(struct sh_pool_items *items, struct place *p)
{
    return p + 1 == items->places + items->n ? items->places : p + 1;
}

/* What a thread is called in the places that are its. In a watched heap nobody is called by its
   cache's address, so that all go the long way. */
static struct cache *
owner_name(struct cache *c)
{
    return unlikely(heap_watch.on) ? (struct cache *)((uintptr_t)c + 1) : c;
}

/* ---- One place, which is locked ---- */

static void **
item_at(struct place *p, size_t i)
{
    return &p->chain->items[i & (p->chain->cap - 1)];
}

static void *
take_at(struct place *p, size_t i)
{
    void **slot = item_at(p, i), *item = *slot;
    sh_store(slot, NULL);
    return item;
}

static void *
take_private(struct place *p)
{
    void *item = p->private;
    if (item != NULL)
        sh_store(&p->private, NULL);
    return item;
}

/* Others look at both ends without the lock. */
static void
set_end(size_t *end, size_t i)
{
    __atomic_store_n(end, i, __ATOMIC_RELAXED);
}

static void *
take_newest(struct place *p)
{
    if (p->first == p->end)
        return NULL;
    set_end(&p->end, p->end - 1);
    return take_at(p, p->end);
}

static void *
take_oldest(struct place *p)
{
    if (p->first == p->end)
        return NULL;
    void *item = take_at(p, p->first);
    set_end(&p->first, p->first + 1);
    return item;
}

/* ---- Getting ---- */

/* The items of a pool, or the victim, as they are now: a collection may put others in their place
   at any moment, and who holds the old ones then takes from the victim. */
static void *
take_by(struct place *p, void *(*take)(struct place *p))
{
    soft_lock(&p->lock);
    void *item = take(p);
    soft_unlock(&p->lock);
    return item;
}

static bool
chain_looks_empty(const struct place *p)
{
    return __atomic_load_n(&p->first, __ATOMIC_RELAXED) ==
           __atomic_load_n(&p->end, __ATOMIC_RELAXED);
}

static void *
take_victim(struct place *p)
{
    void *item = take_private(p);
    return item != NULL ? item : take_oldest(p);
}

/* From the chains: the newest of the own, then the oldest of the others. */
static void *
take_shared(struct sh_pool_items *items, struct cache *c)
{
    struct place *own = place_of(items, c), *p = own;
    void *item = NULL;
    do {
        if (!chain_looks_empty(p))
            item = take_by(p, p == own ? take_newest : take_oldest);
        p = next_place(items, p);
    } while (item == NULL && p != own);
    return item;
}

static void *
take_from_victim(struct sh_pool_items *items, struct cache *c)
{
    struct place *own = place_of(items, c), *p = own;
    void *item = NULL;
    do {
        if (__atomic_load_n(&p->private, __ATOMIC_RELAXED) != NULL || !chain_looks_empty(p))
            item = take_by(p, take_victim);
        p = next_place(items, p);
    } while (item == NULL && p != own);
    return item;
}

/* The private item of the caller's place, if that is what it is called there. */
static inline void *
take_own_private(struct sh_pool *pool, struct cache *c, const struct cache *name)
{
    void *item = NULL;
    cache_enter(c);
    struct sh_pool_items *items = __atomic_load_n(&pool->items, __ATOMIC_ACQUIRE);
    struct place *p = items == NULL ? NULL : place_of(items, c);
    if (p != NULL && __atomic_load_n(&p->owner, __ATOMIC_RELAXED) == name)
        item = take_private(p);
    cache_leave(c);
    return item;
}

/* The item's memory, if it is an object. */
static size_t
item_b(const void *item)
{
    return sh_object_base(item) == item ? sh_usable_size(item) : 0;
}

static __attribute__((noinline)) void *
get_slow(struct sh_pool *pool, struct cache *c)
{
    void *item = heap_watch.on ? take_own_private(pool, c, owner_name(c)) : NULL;
    struct sh_pool_items *items = __atomic_load_n(&pool->items, __ATOMIC_ACQUIRE);
    if (item == NULL && items != NULL)
        item = take_shared(items, c);
    items = __atomic_load_n(&pool->victim, __ATOMIC_ACQUIRE);
    if (item == NULL && items != NULL)
        item = take_from_victim(items, c);
    if (unlikely(heap_watch.on) && item != NULL) {
        watch_open((uintptr_t)item, item_b(item));
        watch_set_pooled(item, false);
    }
    return item == NULL && pool->make != NULL ? pool->make() : item;
}

void *
sh_pool_get(struct sh_pool *pool)
{
    refuse_nil(pool, "sh_pool_get: pool");
    struct cache *c = cache_of_caller();
    void *item = take_own_private(pool, c, c);
    return likely(item != NULL) ? item : get_slow(pool, c);
}

/* ---- Putting ---- */

static struct sh_pool_items *
items_of(struct sh_pool *pool)
{
    struct sh_pool_items *items = __atomic_load_n(&pool->items, __ATOMIC_ACQUIRE), *none = NULL;
    if (likely(items != NULL))
        return items;
    size_t n = threads_numbers() + SPARE_PLACES;
    struct sh_pool_items *fresh = sh_alloc(sizeof *fresh + n * sizeof(struct place));
    __atomic_store_n(&fresh->n, n, __ATOMIC_RELAXED);
    return sh_compare_exchange(&pool->items, &none, fresh) ? fresh : none;
}

static struct chain *
make_chain(size_t cap)
{
    struct chain *chain = sh_alloc(sizeof *chain + cap * sizeof(void *));
    __atomic_store_n(&chain->cap, cap, __ATOMIC_RELAXED);
    return chain;
}

/* Into a larger one, unless somebody else has made room. The place is locked. */
static void
replace_chain(struct place *p, struct chain *larger)
{
    size_t n = p->end - p->first;
    if (n >= larger->cap || (p->chain != NULL && n < p->chain->cap))
        return;
    for (size_t i = 0; p->chain != NULL && i < n; i++)
        cycle_fill(&larger->items[i], *item_at(p, p->first + i));
    set_end(&p->first, 0);
    set_end(&p->end, n);
    sh_store(&p->chain, larger);
}

/* 0: done; else the capacity that is needed. */
static size_t
try_put(struct place *p, struct cache *c, void *item)
{
    if (p->owner == NULL)
        __atomic_store_n(&p->owner, owner_name(c), __ATOMIC_RELAXED);
    if (p->owner == owner_name(c) && p->private == NULL) {
        sh_store(&p->private, item);
        return 0;
    }
    size_t n = p->end - p->first;
    if (p->chain == NULL || n == p->chain->cap)
        return p->chain == NULL ? FIRST_CAP : 2 * p->chain->cap;
    sh_store(item_at(p, p->end), item);
    set_end(&p->end, p->end + 1);
    return 0;
}

static inline bool
put_own_private(struct sh_pool *pool, struct cache *c, void *item)
{
    cache_enter(c);
    struct sh_pool_items *items = __atomic_load_n(&pool->items, __ATOMIC_ACQUIRE);
    struct place *p = items == NULL ? NULL : place_of(items, c);
    bool put = p != NULL && __atomic_load_n(&p->owner, __ATOMIC_RELAXED) == c && p->private == NULL;
    if (put)
        sh_store(&p->private, item);
    cache_leave(c);
    return put;
}

/* In a watched heap. The tools see a second put as one more use, and name its line. */
static void
close_item(void *item)
{
    if (watch_set_pooled(item, true)) {
        watch_check_store(item);
        (void)*(volatile const char *)item; /* for valgrind */
        watch_explain(item);
        sh_fatal("sh_pool_put: %p was put before, and nobody has got it since", item);
    }
    watch_close((uintptr_t)item, item_b(item));
}

static __attribute__((noinline)) void
put_slow(struct sh_pool *pool, struct cache *c, void *item)
{
    struct chain *larger = NULL;
    if (unlikely(heap_watch.on))
        close_item(item);
    if (heap_watch.on && heap_watch.quarantine_b > 0)
        return;
    if (!__atomic_load_n(&pool->registered, __ATOMIC_ACQUIRE))
        enter_list(pool);
    for (;;) {
        struct sh_pool_items *items = items_of(pool);
        struct place *p = place_of(items, c);
        soft_lock(&p->lock);
        /* Whether no collection has begun since; none will now. */
        bool current = __atomic_load_n(&pool->items, __ATOMIC_RELAXED) == items;
        if (current && larger != NULL)
            replace_chain(p, larger);
        size_t cap = current ? try_put(p, c, item) : 0;
        soft_unlock(&p->lock);
        if (current && cap == 0)
            return;
        larger = cap == 0 ? NULL : make_chain(cap);
    }
}

void
sh_pool_put(struct sh_pool *pool, void *item)
{
    refuse_nil(pool, "sh_pool_put: pool");
    if (item == NULL)
        return;
    struct cache *c = cache_of_caller();
    if (unlikely(!put_own_private(pool, c, item)))
        put_slow(pool, c, item);
}
