#include "collector/parked.h"

#define LEAST_PARKED_B 2048 /* Go's _StackMin */

static const struct parked_source *parked_source SH_STATE;
static struct {
    _Atomic uint64_t stacks, bytes; /* scanned since parked_begin() */
    uint64_t mean_b;                /* of a stack, when some were scanned last */
} parked_figures SH_STATE;
_Atomic uint32_t parked_epoch SH_STATE;

void
parked_offer(const struct parked_source *source)
{
    parked_source = source;
}

static void
begin_figures(void)
{
    uint64_t n = atomic_exchange(&parked_figures.stacks, 0);
    uint64_t bytes = atomic_exchange(&parked_figures.bytes, 0);
    if (n > 0)
        parked_figures.mean_b = bytes / n;
}

static void
count_scanned(size_t n, size_t bytes)
{
    atomic_fetch_add(&parked_figures.stacks, n);
    atomic_fetch_add(&parked_figures.bytes, bytes);
}

void
parked_begin(enum root_set set)
{
    begin_figures();
    if (set != ROOTS_ALL)
        return;
    atomic_fetch_add(&parked_epoch, 1);
    size_t shares = parked_source == NULL ? 0 : parked_source->shares();
    if (shares == 0)
        return;
    struct workbuf *work = workbuf_take_empty(WORK_PARKED);
    work->words[work->n++] = 0;
    work->words[work->n++] = shares;
    workbuf_put(work);
}

struct counting {
    parked_words words;
    void *arg;
    size_t stacks, bytes;
};

static void
count_words(void *counting, uintptr_t start, uintptr_t end)
{
    struct counting *c = counting;
    c->stacks++;
    c->bytes += end - start;
    c->words(c->arg, start, end);
}

size_t
parked_scan(size_t share, bool look, parked_words words, void *arg)
{
    struct counting c = {.words = words, .arg = arg};
    parked_source->scan(share, look, count_words, &c);
    if (!look && c.stacks > 0)
        count_scanned(c.stacks, c.bytes);
    return c.bytes;
}

void
parked_each(parked_words words, void *arg)
{
    size_t shares = parked_source == NULL ? 0 : parked_source->shares();
    for (size_t share = 0; share < shares; share++)
        parked_source->scan(share, true, words, arg);
}

bool
parked_owner_of(uintptr_t address, struct parked_owner *owner)
{
    return parked_source != NULL && parked_source->owner(address, owner);
}

void
parked_hand_over(uintptr_t start, uintptr_t end)
{
    struct workbuf *words = NULL;
    roots_read_range(&words, WORK_FRAMES, start, end);
    workbuf_close(&words);
    count_scanned(1, end - start);
}

uint64_t
parked_scanned_b(void)
{
    return atomic_load(&parked_figures.bytes);
}

uint64_t
parked_most_b(void)
{
    if (parked_source == NULL)
        return 0;
    uint64_t mean_b = parked_figures.mean_b;
    return parked_source->stacks() * (mean_b > LEAST_PARKED_B ? mean_b : LEAST_PARKED_B);
}
