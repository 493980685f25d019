/*
 * Channels beside a plain model: a queue of numbers, and the queues of those who wait. Operations
 * that do not wait are done to both here, and what they return is compared. Who waits is a task of
 * fuzz/fuzz_channel.c; the model says when it goes on, and with what.
 */
#ifndef SPANHEAP_TESTS_CHANNEL_MODEL_H
#define SPANHEAP_TESTS_CHANNEL_MODEL_H

#include "element.h"

#include <spanheap/channel.h>

enum { CHANNELS = 24, BUFFER_MAX = 7, CASES_MAX = 20, WAITERS = 8, NO_CHANNEL = CHANNELS };

/* One case of somebody who waits. */
struct place {
    size_t waiter, one;
};

struct place_queue {
    struct place places[WAITERS * CASES_MAX];
    size_t n;
};

struct model_channel {
    const struct element_kind *kind;
    size_t cap, n;
    bool closed;
    uint64_t values[BUFFER_MAX]; /* the oldest first */
    struct place_queue senders, receivers;
};

struct model_case {
    size_t channel; /* NO_CHANNEL: nil */
    uint64_t value; /* to send; received */
    enum sh_select_kind kind;
    bool drop; /* receives into nothing */
};

/* Somebody who does one operation and may wait in it. */
struct model_waiter {
    bool waits;
    bool went_on; /* since it began; then: */
    bool panics, received;
    size_t won;
    struct model_case cases[CASES_MAX];
    size_t n;
};

static struct {
    struct sh_channel *channels[CHANNELS + 1]; /* static: roots */
    struct model_channel models[CHANNELS];
    struct model_waiter waiters[WAITERS];
    bool wrong; /* the model serves who waits last first: for a test of the tests */
} net;

static inline void
make_channel(size_t at, size_t kind, size_t cap)
{
    net.models[at] = (struct model_channel){.kind = &element_kinds[kind], .cap = cap};
    sh_store(&net.channels[at], sh_channel_make(element_kinds[kind].type, cap));
}

/* ---- Who waits ---- */

static inline void
leave_queue(struct place_queue *q, size_t waiter)
{
    size_t kept = 0;
    for (size_t i = 0; i < q->n; i++)
        if (q->places[i].waiter != waiter)
            q->places[kept++] = q->places[i];
    q->n = kept;
}

/* The first of a queue goes on, with this case; nobody's place is left elsewhere. */
static inline struct model_case *
serve_first(struct place_queue *q, bool closed)
{
    struct place first = q->places[net.wrong ? q->n - 1 : 0];
    struct model_waiter *w = &net.waiters[first.waiter];
    w->waits = false;
    w->went_on = true;
    w->won = first.one;
    w->panics = closed && w->cases[first.one].kind == SH_SELECT_SEND;
    w->received = !closed;
    for (size_t at = 0; at < CHANNELS; at++) {
        leave_queue(&net.models[at].senders, first.waiter);
        leave_queue(&net.models[at].receivers, first.waiter);
    }
    return &w->cases[first.one];
}

static inline void
begin_to_wait(size_t waiter)
{
    struct model_waiter *w = &net.waiters[waiter];
    w->waits = true;
    for (size_t i = 0; i < w->n; i++) {
        if (w->cases[i].channel == NO_CHANNEL)
            continue;
        struct model_channel *m = &net.models[w->cases[i].channel];
        struct place_queue *q = w->cases[i].kind == SH_SELECT_SEND ? &m->senders : &m->receivers;
        q->places[q->n++] = (struct place){waiter, i};
    }
}

/* ---- The model's operations ---- */

static inline bool
can_proceed(const struct model_case *c)
{
    if (c->channel == NO_CHANNEL)
        return false;
    const struct model_channel *m = &net.models[c->channel];
    if (c->kind == SH_SELECT_SEND)
        return m->closed || m->receivers.n > 0 || m->n < m->cap;
    return m->closed || m->senders.n > 0 || m->n > 0;
}

static inline bool
would_panic(const struct model_case *c)
{
    return c->kind == SH_SELECT_SEND && c->channel != NO_CHANNEL && net.models[c->channel].closed;
}

static inline uint64_t
take_oldest(struct model_channel *m)
{
    uint64_t value = m->values[0];
    m->n--;
    memmove(m->values, m->values + 1, m->n * sizeof *m->values);
    return value;
}

/* Does a case that can proceed and does not panic. Returns what sh_select() says of it: whether
   something was received. */
static inline bool
proceed(struct model_case *c)
{
    struct model_channel *m = &net.models[c->channel];
    if (c->kind == SH_SELECT_SEND) {
        if (m->receivers.n > 0)
            serve_first(&m->receivers, false)->value = c->value;
        else
            m->values[m->n++] = c->value;
        return true;
    }
    bool something = m->n > 0 || m->senders.n > 0;
    c->value = m->n > 0 ? take_oldest(m) : 0;
    if (m->senders.n > 0) {
        uint64_t sent = serve_first(&m->senders, false)->value;
        if (m->cap == 0)
            c->value = sent;
        else
            m->values[m->n++] = sent;
    }
    return something;
}

static inline void
close_model(size_t at)
{
    struct model_channel *m = &net.models[at];
    m->closed = true;
    while (m->receivers.n > 0)
        serve_first(&m->receivers, true)->value = 0;
    while (m->senders.n > 0)
        serve_first(&m->senders, true);
}

/* ---- Operations that do not wait, on both ---- */

/* Whether a send would panic is for the caller to ask. */
static inline void
try_send(size_t at)
{
    union element e;
    struct model_case c = {.channel = at, .kind = SH_SELECT_SEND};
    c.value = new_element(net.models[at].kind, &e);
    bool can = can_proceed(&c);
    enum sh_channel_try tried = sh_channel_try_send(net.channels[at], &e);
    need(tried == (can ? SH_CHANNEL_DONE : SH_CHANNEL_WOULD_WAIT), "it is sent if it can be");
    if (can)
        proceed(&c);
}

/* What was received is the model's. */
static inline void
check_received(const struct model_case *c, const union element *e)
{
    if (!c->drop)
        need(net.models[c->channel].kind->read(e) == c->value, "what comes is what was sent");
}

static inline void
try_receive(size_t at, bool drop)
{
    union element e;
    memset(&e, 0xff, sizeof e);
    struct model_case c = {.channel = at, .kind = SH_SELECT_RECEIVE, .drop = drop};
    bool can = can_proceed(&c);
    enum sh_channel_try tried = sh_channel_try_receive(net.channels[at], drop ? NULL : &e);
    need((tried != SH_CHANNEL_WOULD_WAIT) == can, "it is received if something can be");
    if (!can)
        return;
    bool received = proceed(&c);
    need(tried == (received ? SH_CHANNEL_DONE : SH_CHANNEL_CLOSED), "a closed channel says so");
    check_received(&c, &e);
}

/* The cases as sh_select() wants them, with new values to send. */
static inline void
real_cases(struct model_case *cases, size_t n, struct sh_select_case *real, union element *values)
{
    for (size_t i = 0; i < n; i++) {
        memset(&values[i], 0xff, sizeof values[i]);
        real[i] = (struct sh_select_case){net.channels[cases[i].channel], &values[i], cases[i].kind,
                                          false};
        if (cases[i].kind == SH_SELECT_RECEIVE && cases[i].drop)
            real[i].value = NULL;
        if (cases[i].kind == SH_SELECT_SEND && cases[i].channel != NO_CHANNEL)
            cases[i].value = new_element(net.models[cases[i].channel].kind, &values[i]);
    }
}

/* A select that does not wait, and has no case that would panic. */
static inline void
select_now(struct model_case *cases, size_t n)
{
    struct sh_select_case real[CASES_MAX];
    union element values[CASES_MAX];
    bool any = false;
    real_cases(cases, n, real, values);
    for (size_t i = 0; i < n; i++)
        any = any || can_proceed(&cases[i]);
    size_t won = sh_select(real, n, true);
    need((won != SH_SELECT_NONE) == any, "a case is done if one can be");
    if (won == SH_SELECT_NONE)
        return;
    need(won < n && can_proceed(&cases[won]), "the case could be done");
    bool received = proceed(&cases[won]);
    if (cases[won].kind == SH_SELECT_RECEIVE) {
        need(real[won].received == received, "it was received unless it is closed");
        check_received(&cases[won], &values[won]);
    }
}

static inline void
close_channel(size_t at)
{
    sh_channel_close(net.channels[at]);
    close_model(at);
}

static inline void
compare_channel(size_t at)
{
    const struct model_channel *m = &net.models[at];
    need(sh_channel_len(net.channels[at]) == m->n, "the length is the model's");
    need(sh_channel_cap(net.channels[at]) == m->cap, "the capacity is the model's");
}

#endif
