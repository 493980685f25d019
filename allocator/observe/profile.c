#include "observe/profile.h"

#include "collector/cycle.h"
#include "collector/finalizer.h"
#include "collector/sweep.h"
#include "collector/world.h"
#include "heap/meta.h"
#include "heap/os.h"
#include "observe/observe.h"
#include "observe/sampling.h"
#include "observe/sites.h"
#include "observe/symbols.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHAINS 8192
#define VIEW_SPARE 64 /* for buckets that come while memory is fetched */

struct sample_counts {
    uint64_t allocs, frees;
};

struct profile_bucket {
    struct profile_bucket *next;    /* of its chain */
    struct profile_bucket *older;   /* of all */
    struct sample_counts sums;      /* up to marking `cycle` - 1 */
    struct sample_counts stages[2]; /* for markings `cycle` and `cycle` + 1: [marking % 2] */
    uint32_t cycle;                 /* collections that were done when it was last touched */
    uint32_t nstack;
    uint64_t hash, size_b, rate_b;
    uintptr_t stack[];
};

static struct {
    struct lock lock;
    struct profile_bucket **chains; /* NULL: no sample was ever taken */
    struct profile_bucket *newest;
    size_t nbuckets;
    _Atomic uint64_t rate_b;      /* 0: none is taken now */
    _Atomic uint64_t last_rate_b; /* that was not 0 */
    uint32_t epochs;              /* how often the rate was set */
    uint64_t seed;
    _Atomic uint64_t seeded; /* threads that have a random generator from it */
} profile SH_STATE = {.lock = {.rank = RANK_PROFILE}};

/* ---- Counters; the lock is held ---- */

static void
add_samples(struct sample_counts *to, const struct sample_counts *from)
{
    to->allocs += from->allocs;
    to->frees += from->frees;
}

/* Brings the stages to the collections that are done. After two of them both are empty. */
static void
settle_bucket(struct profile_bucket *b, uint32_t cycles)
{
    for (int i = 0; i < 2 && b->cycle != cycles; i++, b->cycle++) {
        struct sample_counts *stage = &b->stages[b->cycle % 2];
        add_samples(&b->sums, stage);
        *stage = (struct sample_counts){0, 0};
    }
    b->cycle = cycles;
}

/* No collection ends meanwhile: this thread cannot be stopped while it has the lock. */
static struct sample_counts *
stage_of(struct profile_bucket *b, uint32_t markings_ahead)
{
    settle_bucket(b, atomic_load(&cycle.cycles));
    return &b->stages[(b->cycle + markings_ahead) % 2];
}

void
observe_sample_made(struct profile_bucket *b)
{
    lock_take(&profile.lock);
    stage_of(b, 1)->allocs++;
    lock_drop(&profile.lock);
}

void
observe_sample_freed(struct profile_bucket *b)
{
    lock_take(&profile.lock);
    stage_of(b, 1)->frees++;
    lock_drop(&profile.lock);
}

void
observe_sample_swept(struct profile_bucket *b)
{
    lock_take(&profile.lock);
    stage_of(b, 0)->frees++;
    lock_drop(&profile.lock);
}

/* ---- Buckets ---- */

static uint64_t
hash_of(const uintptr_t *stack, size_t n, uint64_t size_b, uint64_t rate_b)
{
    uint64_t hash = sampling_seed(size_b ^ rate_b << 20);
    for (size_t i = 0; i < n; i++)
        hash = sampling_seed(hash ^ stack[i]);
    return hash;
}

static bool
is_of(const struct profile_bucket *b, const struct profile_bucket *like, const uintptr_t *stack)
{
    return b->hash == like->hash && b->size_b == like->size_b && b->rate_b == like->rate_b &&
           b->nstack == like->nstack && memcmp(b->stack, stack, b->nstack * sizeof *stack) == 0;
}

/* The bucket like that one, with a stack. NULL: no memory. The lock is held. */
static struct profile_bucket *
bucket_locked(const struct profile_bucket *like, const uintptr_t *stack)
{
    struct profile_bucket **chain = &profile.chains[like->hash % CHAINS], *b = *chain;
    while (b != NULL && !is_of(b, like, stack))
        b = b->next;
    if (b != NULL)
        return b;
    size_t stack_b = like->nstack * sizeof *stack;
    b = meta_alloc(sizeof *b + stack_b);
    if (b == NULL)
        return NULL;
    *b = *like;
    memcpy(b->stack, stack, stack_b);
    b->cycle = atomic_load(&cycle.cycles);
    b->next = *chain;
    *chain = b;
    b->older = profile.newest;
    profile.newest = b;
    profile.nbuckets++;
    return b;
}

/* ---- Samples ---- */

/* The object is not anywhere but in the caller's frames yet, so that nobody frees it meanwhile. */
static __attribute__((noinline)) void
take_sample(uintptr_t object, size_t size_b, uint64_t rate_b)
{
    uintptr_t stack[SH_PROFILE_FRAMES];
    int old_errno = errno;
    size_t n = symbols_stack(stack, SH_PROFILE_FRAMES, 0);
    const struct profile_bucket like = {.nstack = (uint32_t)n,
                                        .hash = hash_of(stack, n, size_b, rate_b),
                                        .size_b = size_b,
                                        .rate_b = rate_b};
    lock_take(&profile.lock);
    struct profile_bucket *b = bucket_locked(&like, stack);
    lock_drop(&profile.lock);
    if (b != NULL)
        finalizer_note_sample(object, b);
    errno = old_errno;
}

/* A thread's first gap, or the first after the rate was set. Exponential gaps have no memory, so
   what was left of the old one is of no interest. */
static void
begin_gaps(struct cache *c, uint32_t epoch, uint64_t rate_b)
{
    uint64_t number = atomic_fetch_add(&profile.seeded, 1);
    c->sample_random = sampling_seed(profile.seed + number);
    c->sample_left_b = sampling_gap(&c->sample_random, rate_b);
    c->sample_epoch = epoch;
}

void
hook_sample(struct cache *c, uintptr_t object, size_t size)
{
    uint32_t epoch = atomic_load(&cache_sampling);
    uint64_t rate_b = atomic_load(&profile.rate_b);
    if (rate_b == 0)
        return;
    if (c->sample_epoch != epoch)
        begin_gaps(c, epoch, rate_b);
    if (size < c->sample_left_b) {
        c->sample_left_b -= size;
        return;
    }
    c->sample_left_b = sampling_gap(&c->sample_random, rate_b);
    take_sample(object, size, rate_b);
    SH_KEEP_ALIVE(object);
}

/* ---- The rate ---- */

static void
set_up(void)
{
    uintptr_t stack[1];
    symbols_stack(stack, 1, 0); /* the unwinder is loaded here and not inside an allocation */
    if (profile.seed == 0)
        profile.seed = os_now_ns();
    profile.chains = meta_alloc(CHAINS * sizeof *profile.chains);
    sh_require(profile.chains != NULL, "no memory for a heap profile");
}

uint64_t
profile_set_rate(uint64_t rate_b)
{
    static pthread_once_t once SH_STATE = PTHREAD_ONCE_INIT;
    if (rate_b > 0)
        pthread_once(&once, set_up); /* before a lock is held: loading takes the loader's */
    world_lock_safely(&world.lock);
    uint64_t old_b = atomic_exchange(&profile.rate_b, rate_b);
    if (rate_b > 0) {
        atomic_store(&profile.last_rate_b, rate_b);
        profile.epochs++;
    }
    world_set_sampling(rate_b == 0 ? 0 : profile.epochs);
    lock_drop(&world.lock);
    return old_b;
}

void
profile_seed(uint64_t seed)
{
    profile.seed = seed;
    atomic_store(&profile.seeded, 0);
    profile_set_rate(atomic_load(&profile.rate_b)); /* threads begin anew */
}

struct profile_sample
profile_of_bucket(const struct profile_bucket *b)
{
    return (struct profile_sample){b->stack, b->nstack, b->size_b, b->rate_b, 0, 0};
}

bool
profile_exists(void)
{
    return atomic_load(&profile.last_rate_b) > 0;
}

/* ---- Reading ---- */

static struct sample_counts
shown(const struct profile_bucket *b, uint32_t cycles, bool is_swept)
{
    struct sample_counts n;
    struct profile_bucket at = *b;
    settle_bucket(&at, cycles);
    n = at.sums;
    if (is_swept)
        add_samples(&n, &at.stages[cycles % 2]);
    if (cycles == 0)
        add_samples(&n, &at.stages[1]);
    return n;
}

/* The number of collections is read first: if another one ends meanwhile, its sweep is pending.
   False: there are more than max buckets. */
static bool
copy_buckets(struct profile_view *view, size_t max)
{
    lock_take(&profile.lock);
    bool fits = profile.nbuckets <= max;
    uint32_t cycles = atomic_load(&cycle.cycles);
    bool is_swept = !sweep_is_pending();
    view->n = 0;
    for (const struct profile_bucket *b = profile.newest; fits && b != NULL; b = b->older) {
        struct sample_counts counts = shown(b, cycles, is_swept);
        if (counts.allocs > 0)
            view->samples[view->n++] = (struct profile_sample){
                b->stack, b->nstack, b->size_b, b->rate_b, counts.allocs, counts.frees};
    }
    lock_drop(&profile.lock);
    return fits;
}

static size_t
count_buckets(void)
{
    lock_take(&profile.lock);
    size_t n = profile.nbuckets;
    lock_drop(&profile.lock);
    return n;
}

/* No memory is fetched under the lock: malloc's may be held by a thread that waits for ours. */
bool
profile_view_take(struct profile_view *view)
{
    size_t max;
    view->samples = NULL;
    do {
        free(view->samples);
        max = count_buckets() + VIEW_SPARE;
        view->samples = malloc(max * sizeof *view->samples);
        if (view->samples == NULL)
            return false;
    } while (!copy_buckets(view, max));
    view->rate_b = atomic_load(&profile.last_rate_b);
    return true;
}

void
profile_view_free(struct profile_view *view)
{
    free(view->samples);
}

/* ---- fork ---- */

void
observe_lock_for_fork(void)
{
    lock_take(&profile.lock);
    sites_lock_for_fork();
}

void
observe_unlock_for_fork(void)
{
    sites_unlock_for_fork();
    lock_drop(&profile.lock);
}
