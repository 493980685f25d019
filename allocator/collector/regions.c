#include "collector/regions.h"

#define STRIPE_SHIFT_MIN 18 /* 256 KiB: in a small heap most references stay inside a stripe */

struct regions regions SH_STATE;

void
regions_begin(void)
{
    size_t used_b = atomic_load(&pageheap.used_b);
    regions.stripe_shift = STRIPE_SHIFT_MIN;
    while (used_b >> regions.stripe_shift > REGIONS)
        regions.stripe_shift++;
}

bool
regions_any(void)
{
    return (atomic_load(&regions.ready) & ~atomic_load(&regions.owned)) != 0;
}

static uint64_t
region_bit(uint32_t id)
{
    return UINT64_C(1) << id;
}

bool
regions_take(uint32_t id)
{
    return (atomic_load_explicit(&regions.owned, memory_order_relaxed) & region_bit(id)) == 0 &&
           (atomic_fetch_or(&regions.owned, region_bit(id)) & region_bit(id)) == 0;
}

uint32_t
regions_take_ready(uint32_t after)
{
    uint64_t able = atomic_load(&regions.ready) & ~atomic_load(&regions.owned);
    uint64_t later = after >= REGIONS - 1 ? 0 : able >> (after + 1) << (after + 1);
    for (uint64_t set = later; set != 0; set &= set - 1)
        if (regions_take((uint32_t)__builtin_ctzll(set)))
            return (uint32_t)__builtin_ctzll(set);
    for (uint64_t set = able & ~later; set != 0; set &= set - 1)
        if (regions_take((uint32_t)__builtin_ctzll(set)))
            return (uint32_t)__builtin_ctzll(set);
    return NO_REGION;
}

static void
announce(uint32_t id)
{
    if ((atomic_load(&regions.ready) & region_bit(id)) == 0)
        atomic_fetch_or(&regions.ready, region_bit(id));
}

/* Whoever sends adds to the inbox and then looks at `ready`; whoever leaves, or receives, clears
   `ready` and then looks into the inbox. */
void
regions_leave(uint32_t id)
{
    struct region *r = &regions.all[id];
    bool left = r->unread != NULL || (r->grey != NULL && (r->grey->n > 0 || r->grey->next != NULL));
    if (left)
        announce(id);
    atomic_fetch_and(&regions.owned, ~region_bit(id));
    if (!left && atomic_load(&r->inbox) != NULL)
        announce(id);
}

void
regions_send(uint32_t id, struct workbuf *b)
{
    struct region *r = &regions.all[id];
    b->next = atomic_load_explicit(&r->inbox, memory_order_relaxed);
    while (!atomic_compare_exchange_weak(&r->inbox, &b->next, b)) {
    }
    announce(id);
}

struct workbuf *
regions_receive(uint32_t id)
{
    struct region *r = &regions.all[id];
    if (r->unread == NULL) {
        if ((atomic_load(&regions.ready) & region_bit(id)) != 0)
            atomic_fetch_and(&regions.ready, ~region_bit(id));
        if (atomic_load(&r->inbox) != NULL)
            r->unread = atomic_exchange(&r->inbox, NULL);
    }
    struct workbuf *b = r->unread;
    if (b != NULL)
        r->unread = b->next;
    return b;
}

static void
drop(struct workbuf *b)
{
    while (b != NULL) {
        struct workbuf *next = b->next;
        b->n = 0;
        workbuf_put(b);
        b = next;
    }
}

void
regions_drop_all(void)
{
    for (uint32_t id = 0; id < REGIONS; id++) {
        struct region *r = &regions.all[id];
        drop(atomic_exchange(&r->inbox, NULL));
        drop(r->unread);
        drop(r->grey);
        r->unread = r->grey = NULL;
    }
    atomic_store(&regions.ready, 0);
    atomic_store(&regions.owned, 0);
}

void
region_push_slow(struct region *r, uintptr_t object)
{
    struct workbuf *b = r->spare;
    r->spare = NULL;
    if (b == NULL)
        b = workbuf_take_empty(WORK_GREY);
    b->next = r->grey;
    r->grey = b;
    b->words[b->n++] = object;
}

bool
region_pop_slow(struct region *r, uintptr_t *object)
{
    struct workbuf *b = r->grey;
    if (b == NULL || b->next == NULL)
        return false;
    r->grey = b->next;
    if (r->spare == NULL)
        r->spare = b;
    else
        workbuf_put(b);
    *object = r->grey->words[--r->grey->n];
    return true;
}
