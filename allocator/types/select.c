/*
 * select. All channels are locked, in the order of their addresses, so that the cases are looked at
 * as they are at one moment; if none is ready the caller waits in the queue of each, and is taken
 * out of the others by itself when it has been woken.
 */
#include "types/channel.h"

#include "types/panic.h"

#define FEW_CASES 16

struct select {
    struct sh_select_case *cases;
    size_t n;
    struct sh_waiter *waiters; /* one a case */
    uint32_t *poll, *lock;     /* orders: by chance; by the channels' addresses */
};

static _Thread_local uint32_t chance_state __attribute__((tls_model("initial-exec")));

static __attribute__((noinline)) uint32_t
chance_below(uint32_t n)
{
    uint32_t x = chance_state == 0 ? 2463534242u : chance_state;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    chance_state = x;
    return (uint32_t)((uint64_t)x * n >> 32);
}

static void
check_cases(const struct sh_select_case *cases, size_t n)
{
    if (unlikely(n > SH_SELECT_MAX))
        panic_plain("sh_select: too many cases: %zu (max %d)", n, SH_SELECT_MAX);
    if (n > 0)
        refuse_nil(cases, "sh_select: cases");
    for (size_t i = 0; i < n; i++)
        if (unlikely(cases[i].kind == SH_SELECT_SEND && cases[i].value == NULL) &&
            cases[i].channel != NULL)
            channel_nil_value(cases[i].channel, "sh_select: the value of a case that sends");
}

/* ---- Orders ---- */

static void
shuffle(struct select *s)
{
    for (uint32_t i = 0; i < s->n; i++) {
        uint32_t j = chance_below(i + 1);
        s->poll[i] = i;
        s->poll[i] = s->poll[j];
        s->poll[j] = i;
    }
}

static int
by_channel(const void *a, const void *b, void *cases)
{
    const struct sh_select_case *all = cases;
    uintptr_t x = (uintptr_t)all[*(const uint32_t *)a].channel;
    uintptr_t y = (uintptr_t)all[*(const uint32_t *)b].channel;
    return (x > y) - (x < y);
}

static void
sort_locks(struct select *s)
{
    for (uint32_t i = 0; i < s->n; i++)
        s->lock[i] = i;
    sh_sort(s->lock, s->n, sizeof *s->lock, by_channel, s->cases); /* needs no memory */
}

/* The channel of the i-th lock, unless it is none or the one before. */
static struct sh_channel *
channel_to_lock(const struct select *s, size_t i)
{
    struct sh_channel *c = s->cases[s->lock[i]].channel;
    return i > 0 && c == s->cases[s->lock[i - 1]].channel ? NULL : c;
}

static void
lock_channels(struct select *s)
{
    for (size_t i = 0; i < s->n; i++) {
        struct sh_channel *c = channel_to_lock(s, i);
        if (c != NULL)
            soft_lock(&c->lock);
    }
}

/* The caller may be woken, and run elsewhere, as soon as the last lock is dropped. */
static void
unlock_channels(void *select)
{
    const struct select *s = select;
    for (size_t i = s->n; i-- > 0;) {
        struct sh_channel *c = channel_to_lock(s, i);
        if (c != NULL)
            soft_unlock(&c->lock);
    }
}

/* ---- Cases ---- */

static enum channel_outcome
try_case(struct sh_select_case *one, struct parking **wake)
{
    if (one->channel == NULL)
        return CHANNEL_WOULD_WAIT;
    if (one->kind == SH_SELECT_SEND)
        return channel_send_locked(one->channel, one->value, wake);
    enum channel_outcome outcome = channel_receive_locked(one->channel, one->value, wake);
    one->received = outcome == CHANNEL_DONE;
    return outcome;
}

static struct wait_queue *
queue_of(const struct sh_select_case *one)
{
    return one->kind == SH_SELECT_SEND ? &one->channel->senders : &one->channel->receivers;
}

/* The locks are held. Returns the case that won, or SH_SELECT_NONE. */
static size_t
try_all(struct select *s, struct parking **wake, enum channel_outcome *outcome)
{
    for (size_t i = 0; i < s->n; i++) {
        *outcome = try_case(&s->cases[s->poll[i]], wake);
        if (*outcome != CHANNEL_WOULD_WAIT)
            return s->poll[i];
    }
    return SH_SELECT_NONE;
}

static void
enqueue_all(struct select *s, struct parking *p)
{
    for (size_t i = 0; i < s->n; i++) {
        s->waiters[i] = (struct sh_waiter){.parking = p, .value = s->cases[i].value};
        if (s->cases[i].channel != NULL)
            wait_enqueue(queue_of(&s->cases[i]), &s->waiters[i]);
    }
}

static void
dequeue_all(struct select *s)
{
    lock_channels(s);
    for (size_t i = 0; i < s->n; i++)
        if (s->cases[i].channel != NULL)
            wait_dequeue(queue_of(&s->cases[i]), &s->waiters[i]);
    unlock_channels(s);
}

static size_t
wait_for_any(struct select *s, enum channel_outcome *outcome, const void *at)
{
    struct parking p;
    wait_init(&p);
    enqueue_all(s, &p);
    wait_park(&p, unlock_channels, s, s->n == 0 ? "select (no cases)" : "select", NULL, at);
    dequeue_all(s);
    size_t won = (size_t)(p.winner - s->waiters);
    *outcome = p.winner->done ? CHANNEL_DONE : CHANNEL_IS_CLOSED;
    s->cases[won].received = p.winner->done;
    return won;
}

static size_t
select_case(struct select *s, bool or_not, const void *at)
{
    struct parking *wake = NULL;
    enum channel_outcome outcome = CHANNEL_WOULD_WAIT;
    shuffle(s);
    sort_locks(s);
    lock_channels(s);
    size_t won = try_all(s, &wake, &outcome);
    if (won == SH_SELECT_NONE && !or_not)
        won = wait_for_any(s, &outcome, at);
    else
        unlock_channels(s);
    if (wake != NULL)
        wait_wake(wake);
    if (outcome == CHANNEL_IS_CLOSED && s->cases[won].kind == SH_SELECT_SEND)
        channel_panic_closed();
    if (outcome == CHANNEL_IS_CLOSED)
        channel_clear(s->cases[won].channel, s->cases[won].value);
    return won;
}

static __attribute__((noinline)) size_t
select_of_many(struct sh_select_case *cases, size_t n, bool or_not, const void *at)
{
    struct select s = {cases, n, sh_alloc(n * sizeof *s.waiters), NULL, NULL};
    s.poll = sh_alloc_noscan(2 * n * sizeof *s.poll);
    s.lock = s.poll + n;
    size_t won = select_case(&s, or_not, at);
    SH_KEEP_ALIVE(s.waiters);
    SH_KEEP_ALIVE(s.poll);
    return won;
}

size_t
sh_select(struct sh_select_case *cases, size_t n, bool or_not)
{
    struct sh_waiter waiters[FEW_CASES];
    uint32_t orders[2 * FEW_CASES];
    check_cases(cases, n);
    if (n > FEW_CASES)
        return select_of_many(cases, n, or_not, __builtin_return_address(0));
    struct select s = {cases, n, waiters, orders, orders + FEW_CASES};
    return select_case(&s, or_not, __builtin_return_address(0));
}
