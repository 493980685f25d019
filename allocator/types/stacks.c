/*
 * Stacks come in slabs of SLAB_STACKS, each with a record. Slabs are never given back, so a share
 * of the parked stacks (parked.h) is a slab, and an address of a record stays one.
 *
 * A mapping each, or a guard page each that splits one, would soon meet vm.max_map_count (65,530 by
 * default): 100,000 stacks have 1,600 mappings. The lowest page of each stack is guarded by
 * MADV_GUARD_INSTALL, which makes no mapping, where the kernel has it (Linux 6.13). Elsewhere a
 * word at the low end is checked whenever a task is turned off.
 *
 * Stacks that come free are used again, the last one first; beyond KEEP_WARM of them their memory
 * goes back to the system.
 */
#include "types/task.h"

#include "collector/parked.h"
#include "collector/settings.h"
#include "heap/cache.h"
#include "heap/lock.h"
#include "heap/meta.h"
#include "heap/os.h"
#include "heap/pageheap.h"

#include <string.h>

#define SLAB_STACKS 64
#define SLABS_MAX 65536
#define KEEP_WARM 256
#define CANARY UINT64_C(0x5374616b456e6421)
#define GUARD_B ((size_t)4096)
#define RED_ZONE_OF_TASK_B 128

struct slab {
    uintptr_t base;
    _Atomic uint32_t made; /* records in use so far */
    struct task tasks[SLAB_STACKS];
};

static struct {
    struct lock lock;
    size_t stack_b;
    struct task *free; /* the warm ones first */
    size_t nfree;
    _Atomic(struct slab *) *slabs;
    _Atomic size_t nslabs;
} stacks SH_STATE = {.lock = {.rank = RANK_TASKS}};

/* ---- Scanning ---- */

static bool
is_off(uint32_t state)
{
    return state == TASK_PARKED || state == TASK_READY;
}

static uint32_t
scanned_now(void)
{
    return atomic_load(&parked_epoch) * 2;
}

static bool
claim_scan(struct task *t, uint32_t done)
{
    uint32_t before = atomic_load(&t->scan);
    return before != done && before != done + 1 &&
           atomic_compare_exchange_strong(&t->scan, &before, done + 1);
}

/* After a claim: was off, and is until the claim is given up, as who runs it waits for that. */
static void
scan_one(struct task *t, bool look, parked_words words, void *arg)
{
    uint32_t done = scanned_now();
    if (!is_off(atomic_load(&t->state)))
        return;
    if (look) {
        words(arg, t->sp, t->stack_high);
        return;
    }
    if (!claim_scan(t, done))
        return;
    if (is_off(atomic_load(&t->state)))
        words(arg, t->sp, t->stack_high);
    atomic_store(&t->scan, done);
}

static void
scan_slab(size_t share, bool look, parked_words words, void *arg)
{
    struct slab *slab = atomic_load(&stacks.slabs[share]);
    uint32_t made = atomic_load(&slab->made);
    for (uint32_t i = 0; i < made; i++)
        scan_one(&slab->tasks[i], look, words, arg);
}

static size_t
count_slabs(void)
{
    return atomic_load(&stacks.nslabs);
}

static bool
owner_of(uintptr_t address, struct parked_owner *owner)
{
    size_t n = count_slabs();
    for (size_t share = 0; share < n; share++) {
        const struct slab *slab = atomic_load(&stacks.slabs[share]);
        size_t i = (address - slab->base) / stacks.stack_b;
        if (address < slab->base || i >= atomic_load(&slab->made))
            continue;
        const struct task *t = &slab->tasks[i];
        *owner = (struct parked_owner){atomic_load(&t->number), (const void *)(uintptr_t)t->run,
                                       t->started_at};
        return true;
    }
    return false;
}

void
stacks_before_run(struct task *t)
{
    uint32_t done = scanned_now();
    if (!heap_is_marking())
        return;
    while (atomic_load(&t->scan) != done) {
        if (claim_scan(t, done)) {
            parked_hand_over(t->sp, t->stack_high);
            atomic_store(&t->scan, done);
            return;
        }
        pause_processor();
        done = scanned_now();
    }
}

/* ---- Slabs ---- */

void
stacks_check(const struct task *t)
{
    sh_require(t->canary == NULL || *t->canary == CANARY,
               "task %llu has run over the end of its stack of %zu bytes (see SH_TASK_STACK)",
               (unsigned long long)atomic_load(&t->number), stacks.stack_b);
}

static void
begin_locked(void)
{
    static const struct parked_source source = {count_slabs, sh_task_count, scan_slab, owner_of};
    stacks.stack_b = round_up((size_t)settings_get()->task_stack_b, PAGE_B);
    stacks.slabs = os_map_sparse(SLABS_MAX * sizeof *stacks.slabs);
    sh_require(stacks.slabs != NULL, "sh_task_start: no memory for the list of stacks");
    parked_offer(&source);
}

static struct slab *
make_slab_locked(void)
{
    if (stacks.slabs == NULL)
        begin_locked();
    size_t n = atomic_load(&stacks.nslabs);
    if (n == SLABS_MAX)
        return NULL;
    struct slab *slab = meta_alloc(sizeof *slab);
    if (slab == NULL)
        return NULL;
    /* One stack more, at the low end, that is never touched. */
    char *mapped = os_map_sparse((SLAB_STACKS + 1) * stacks.stack_b);
    if (mapped == NULL) {
        meta_free(slab, sizeof *slab);
        return NULL;
    }
    slab->base = (uintptr_t)mapped + stacks.stack_b;
    atomic_store(&stacks.slabs[n], slab);
    atomic_store(&stacks.nslabs, n + 1);
    return slab;
}

static struct task *
make_stack_locked(void)
{
    size_t n = atomic_load(&stacks.nslabs);
    struct slab *slab = n == 0 ? NULL : atomic_load(&stacks.slabs[n - 1]);
    if (slab == NULL || atomic_load(&slab->made) == SLAB_STACKS)
        slab = make_slab_locked();
    if (slab == NULL)
        return NULL;
    uint32_t i = atomic_load(&slab->made);
    struct task *t = &slab->tasks[i];
    uintptr_t low = slab->base + i * stacks.stack_b;
    bool guarded = os_guard((void *)low, GUARD_B);
    t->stack_low = guarded ? low + GUARD_B : low;
    t->stack_high = low + stacks.stack_b;
    t->canary = guarded ? NULL : (uint64_t *)low;
    fiber_announce_stack(t->stack_low, t->stack_high);
    atomic_store(&slab->made, i + 1);
    return t;
}

struct task *
stacks_take(void)
{
    lock_take(&stacks.lock);
    struct task *t = stacks.free;
    if (t != NULL) {
        stacks.free = t->next;
        stacks.nfree--;
    } else {
        t = make_stack_locked();
    }
    lock_drop(&stacks.lock);
    if (t == NULL)
        return NULL;
    t->next = NULL;
    fiber_clear_stack(t->stack_low, t->stack_high);
    if (t->canary != NULL)
        *t->canary = CANARY;
    return t;
}

/* The stack keeps the page at its high end, which the next task needs first. */
static void
cool(struct task *t)
{
    uintptr_t high = t->stack_high - GUARD_B;
    if (high > t->stack_low)
        os_release((void *)t->stack_low, high - t->stack_low);
}

void
stacks_give(struct task *t)
{
    atomic_store(&t->state, TASK_FREE);
    atomic_store(&t->number, 0);
    lock_take(&stacks.lock);
    bool warm = stacks.nfree < KEEP_WARM;
    lock_drop(&stacks.lock);
    if (!warm)
        cool(t);
    lock_take(&stacks.lock);
    t->next = stacks.free;
    stacks.free = t;
    stacks.nfree++;
    lock_drop(&stacks.lock);
}

void
stacks_each(void (*visit)(struct task *t, void *arg), void *arg)
{
    size_t n = count_slabs();
    for (size_t share = 0; share < n; share++) {
        struct slab *slab = atomic_load(&stacks.slabs[share]);
        uint32_t made = atomic_load(&slab->made);
        for (uint32_t i = 0; i < made; i++)
            visit(&slab->tasks[i], arg);
    }
}

static void
free_unless_kept(struct task *t, void *keep)
{
    if (t == keep || atomic_load(&t->state) == TASK_FREE)
        return;
    atomic_store(&t->state, TASK_FREE);
    atomic_store(&t->number, 0);
    t->next = stacks.free;
    stacks.free = t;
    stacks.nfree++;
}

void
stacks_after_fork(struct task *keep)
{
    atomic_store(&stacks.lock.state, 0);
    stacks_each(free_unless_kept, keep);
}
