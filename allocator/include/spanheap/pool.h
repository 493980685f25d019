/*
 * A pool of objects for reuse, as Go's sync.Pool: what is put may be got again, or is dropped by
 * the collector. At the start of a collection the items become victims, and the victims of the one
 * before are dropped: an unused item survives exactly one collection.
 *
 *     static struct sh_pool pool = {.make = make_buffer};
 *
 * As there, a processor's share of threads has a private item, which nobody else gets while it is
 * no victim, and a chain. A thread gets its private item, then the newest of its chain, the oldest
 * of others' chains, and victims.
 */
#ifndef SPANHEAP_POOL_H
#define SPANHEAP_POOL_H

#include <spanheap.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sh_pool {
    void *(*make)(
        void); /**< makes an item when the pool is empty; NULL: sh_pool_get returns NULL */
    /* The rest belongs to the pool, which must be a static object: it is never unregistered. */
    struct sh_pool_items *items, *victim;
    struct sh_pool *next;
    uint32_t registered;
};

/** An item of the pool, or a new one from make(). */
SH_API void *sh_pool_get(struct sh_pool *pool);

/** Gives an item back; the caller must not use it any more, nor put it again: under a tool or with
 * SH_DEBUG_HEAP=1, an object that is put twice is fatal. NULL is ignored. */
SH_API void sh_pool_put(struct sh_pool *pool, void *item);

#ifdef __cplusplus
}
#endif
#endif
