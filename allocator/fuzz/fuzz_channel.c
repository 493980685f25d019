/*
 * Channels: one task, the driver, operates on a few channels of different elements, and starts
 * others that send, receive and select, each of them once, and wait. All run on one thread, so the
 * driver runs what is ready by yielding. What it does itself never waits: the model knows.
 *
 * At the end every channel is closed, which lets everybody go on; no task may be left then.
 */
#include "fuzz.h"

#include "tests/channel_model.h"

#include <spanheap/task.h>

#include <string.h>

enum { SLOTS = 5, FEW = 4, YIELDS_MAX = 1000 };

/* ---- Those who wait ---- */

/* The real side of a model_waiter. Values to send are here until the task has them on its stack. */
static struct actor {
    union element values[CASES_MAX];
    bool is_select, ended, panicked, received;
    size_t won;
    uint64_t number; /* received */
} actors[WAITERS];
static size_t running;

struct act {
    struct actor *actor;
    const struct model_waiter *model;
    const struct element_kind *kinds[CASES_MAX]; /* the channel may make room for another one */
    struct sh_select_case real[CASES_MAX];
    union element values[CASES_MAX];
};

static void
wait_for_cases(void *arg)
{
    struct act *a = arg;
    struct sh_select_case *one = &a->real[0];
    if (a->actor->is_select) {
        a->actor->won = sh_select(a->real, a->model->n, false);
        a->actor->received = a->real[a->actor->won].received;
    } else if (one->kind == SH_SELECT_SEND) {
        sh_channel_send(one->channel, one->value);
    } else {
        a->actor->received = sh_channel_receive(one->channel, one->value);
    }
}

/* What was in a variable before something is received into it: the only pointer to an object. */
static void
fill_with_pointers(union element *e)
{
    void *object = sh_alloc_noscan(24);
    for (size_t i = 0; i < COUNT_OF(e->words); i++)
        e->words[i] = (uintptr_t)object;
}

static void
act(void *arg)
{
    struct actor *actor = arg;
    struct act a = {.actor = actor, .model = &net.waiters[actor - actors]};
    for (size_t i = 0; i < a.model->n; i++) {
        const struct model_case *c = &a.model->cases[i];
        a.values[i] = actor->values[i];
        a.kinds[i] = c->channel == NO_CHANNEL ? NULL : net.models[c->channel].kind;
        actor->values[i] = (union element){{0}};
        a.real[i] = (struct sh_select_case){net.channels[c->channel], &a.values[i], c->kind, false};
        if (c->kind == SH_SELECT_RECEIVE && c->drop)
            a.real[i].value = NULL;
        else if (c->kind == SH_SELECT_RECEIVE)
            fill_with_pointers(&a.values[i]);
    }
    const char *message = panic_of(wait_for_cases, &a);
    need(message == NULL || strcmp(message, "send on closed channel") == 0, "it panics as in Go");
    actor->panicked = message != NULL;
    const struct model_case *won = &a.model->cases[actor->won];
    if (message == NULL && won->kind == SH_SELECT_RECEIVE && !won->drop)
        actor->number = a.kinds[actor->won]->read(&a.values[actor->won]);
    actor->ended = true;
}

/* Somebody has ended: so the model must have let him go on, in the same way. */
static void
check_end(size_t i)
{
    struct model_waiter *w = &net.waiters[i];
    struct actor *a = &actors[i];
    need(w->went_on, "nobody goes on who has to wait");
    need(a->panicked == w->panics, "it panics as in Go");
    w->went_on = a->ended = false;
    running--;
    if (w->panics)
        return;
    const struct model_case *real = &w->cases[a->won], *wanted = &w->cases[w->won];
    need(real->channel == wanted->channel && real->kind == wanted->kind, "this case was served");
    if (real->kind == SH_SELECT_RECEIVE) {
        need(a->received == w->received, "it was received unless the channel is closed");
        need(real->drop || a->number == wanted->value, "what comes is what was sent");
    }
}

/* Lets all run who can. */
static void
settle(void)
{
    bool expected = true;
    for (size_t n = 0; n < 2 || expected; n++) {
        need(n < YIELDS_MAX, "who can go on does");
        sh_task_yield();
        expected = false;
        for (size_t i = 0; i < WAITERS; i++) {
            if (actors[i].ended)
                check_end(i);
            expected = expected || net.waiters[i].went_on;
        }
    }
}

/* It could be done at once, one way or another: the model follows. */
static void
follow(size_t i)
{
    struct model_waiter *w = &net.waiters[i];
    const struct actor *a = &actors[i];
    size_t won = a->won;
    need(a->ended, "nobody waits who need not");
    for (size_t n = 0; a->panicked && n < w->n; n++)
        if (would_panic(&w->cases[n]))
            won = n;
    need(won < w->n && can_proceed(&w->cases[won]), "the case could be done");
    w->went_on = true;
    w->won = won;
    w->panics = would_panic(&w->cases[won]);
    w->received = w->panics || proceed(&w->cases[won]);
    check_end(i);
}

/* A task that does one of these cases, at once or when it can. */
static void
start_actor(size_t i, bool is_select)
{
    struct model_waiter *w = &net.waiters[i];
    bool can = false;
    settle();
    for (size_t n = 0; n < w->n; n++)
        can = can || can_proceed(&w->cases[n]);
    actors[i].is_select = is_select;
    actors[i].won = 0;
    running++;
    sh_task_start(act, &actors[i]);
    if (!can) {
        begin_to_wait(i);
        settle();
        return;
    }
    for (size_t n = 0; n < YIELDS_MAX && !actors[i].ended; n++)
        sh_task_yield();
    follow(i);
    settle();
}

/* ---- Choices ---- */

static struct model_case
some_case(struct input *in)
{
    static const size_t at[] = {0, 1, 2, 3, 4, 0, 1, NO_CHANNEL};
    size_t what = choose(in, 256);
    return (struct model_case){.channel = at[what % 8],
                               .kind = what & 8 ? SH_SELECT_SEND : SH_SELECT_RECEIVE,
                               .drop = (what & 48) == 48};
}

/* At most one to send on each channel: of two, either value might come first. */
static size_t
some_cases(struct input *in, struct model_case *cases)
{
    static const size_t counts[] = {1, 2, 3, FEW, FEW, 0, 17, CASES_MAX};
    size_t n = counts[choose(in, COUNT_OF(counts))];
    bool sends[CHANNELS + 1] = {false};
    for (size_t i = 0; i < n; i++) {
        cases[i] = some_case(in);
        if (cases[i].kind == SH_SELECT_SEND && sends[cases[i].channel])
            cases[i].kind = SH_SELECT_RECEIVE;
        sends[cases[i].channel] |= cases[i].kind == SH_SELECT_SEND;
    }
    return n;
}

static void
start_some(struct input *in, bool is_select)
{
    size_t i = 0;
    while (i < WAITERS && (net.waiters[i].waits || net.waiters[i].went_on))
        i++;
    if (i == WAITERS)
        return;
    struct model_waiter *w = &net.waiters[i];
    w->n = 1;
    if (is_select)
        w->n = some_cases(in, w->cases);
    else
        w->cases[0] = some_case(in);
    bool lives = false; /* nil channels alone would keep the task for ever */
    for (size_t n = 0; n < w->n; n++)
        lives = lives || w->cases[n].channel != NO_CHANNEL;
    if (!lives)
        return;
    for (size_t n = 0; n < w->n; n++) {
        struct model_case *c = &w->cases[n];
        actors[i].values[n] = (union element){{0}};
        if (c->kind == SH_SELECT_SEND && c->channel != NO_CHANNEL)
            c->value = new_element(net.models[c->channel].kind, &actors[i].values[n]);
    }
    start_actor(i, is_select);
}

/* ---- What the driver does itself ---- */

static void
call_send(void *channel)
{
    union element e = {{0}};
    sh_channel_send(channel, &e);
}

static void
call_try_send(void *channel)
{
    union element e = {{0}};
    sh_channel_try_send(channel, &e);
}

static void
call_close(void *channel)
{
    sh_channel_close(channel);
}

static void
call_make(void *kind)
{
    sh_channel_make(((const struct element_kind *)kind)->type, SIZE_MAX / 2);
}

static void
send_one(struct input *in, size_t at)
{
    bool waiting = choose(in, 2);
    struct model_case c = {.channel = at, .kind = SH_SELECT_SEND};
    if (net.models[at].closed) {
        need_panic(waiting ? call_send : call_try_send, net.channels[at], "send on closed channel");
    } else if (waiting && can_proceed(&c)) {
        union element e;
        c.value = new_element(net.models[at].kind, &e);
        sh_channel_send(net.channels[at], &e);
        proceed(&c);
    } else {
        try_send(at);
    }
}

static void
receive_one(struct input *in, size_t at)
{
    size_t what = choose(in, 4);
    struct model_case c = {.channel = at, .kind = SH_SELECT_RECEIVE, .drop = what == 0};
    if (what < 2 || !can_proceed(&c)) {
        try_receive(at, c.drop);
        return;
    }
    union element e = {{0}};
    bool received = sh_channel_receive(net.channels[at], &e);
    need(received == proceed(&c), "it was received unless the channel is closed");
    check_received(&c, &e);
}

struct select_call {
    struct sh_select_case real[CASES_MAX];
    union element values[CASES_MAX];
    size_t n;
    bool done;
};

static void
call_select(void *arg)
{
    struct select_call *s = arg;
    sh_select(s->real, s->n, true);
    s->done = true;
}

/* With a case that would panic among others it may panic or not; so it stands alone here. */
static void
select_one(struct input *in)
{
    struct model_case cases[CASES_MAX];
    size_t n = some_cases(in, cases);
    for (size_t i = 0; i < n; i++) {
        if (!would_panic(&cases[i]))
            continue;
        struct select_call s = {.n = 1};
        real_cases(&cases[i], 1, s.real, s.values);
        need_panic(call_select, &s, "send on closed channel");
        return;
    }
    select_now(cases, n);
}

static void
close_one(size_t at)
{
    if (net.models[at].closed)
        need_panic(call_close, net.channels[at], "close of closed channel");
    else
        close_channel(at);
}

static void
use_nil_channel(struct input *in)
{
    union element e = {{0}};
    const struct element_kind *kind = &element_kinds[choose(in, KINDS)];
    need(sh_channel_len(NULL) == 0 && sh_channel_cap(NULL) == 0, "a nil channel has no room");
    need(sh_channel_try_send(NULL, &e) == SH_CHANNEL_WOULD_WAIT, "a nil channel is never ready");
    need(sh_channel_try_receive(NULL, &e) == SH_CHANNEL_WOULD_WAIT, "a nil channel is never ready");
    need_panic(call_close, NULL, "close of nil channel");
    if (kind->type->size > 1)
        need_panic(call_make, (void *)(uintptr_t)kind,
                   "makechan: size out of range: %zu elements of %zu bytes", SIZE_MAX / 2,
                   kind->type->size);
}

/* In the place of one that nobody waits for. */
static void
make_one(struct input *in, size_t at)
{
    size_t kind = choose(in, KINDS), cap = choose(in, BUFFER_MAX + 1);
    const struct model_channel *m = &net.models[at];
    if (m->senders.n == 0 && m->receivers.n == 0)
        make_channel(at, kind, cap);
}

/* ---- The stream ---- */

static void
operate(struct input *in)
{
    size_t what = choose(in, 16), at = choose(in, SLOTS);
    switch (what) {
    case 0:
        make_one(in, at);
        break;
    case 1:
    case 2:
        send_one(in, at);
        break;
    case 3:
    case 4:
        receive_one(in, at);
        break;
    case 5:
    case 6:
        select_one(in);
        break;
    case 7:
    case 8:
    case 9:
        start_some(in, false);
        break;
    case 10:
    case 11:
    case 12:
        start_some(in, true);
        break;
    case 13:
        close_one(at);
        break;
    case 14:
        collect_somehow(in);
        break;
    default:
        if (choose(in, 2))
            use_nil_channel(in);
        settle();
        break;
    }
    for (size_t i = 0; i < SLOTS; i++)
        compare_channel(i);
}

static void
drive(void *arg)
{
    struct input *in = arg;
    memset(&net, 0, sizeof net);
    memset(actors, 0, sizeof actors);
    running = 0;
    net.wrong = is_model_wrong();
    for (size_t at = 0; at < SLOTS; at++)
        make_one(in, at);
    while (!is_used_up(in)) {
        tick();
        operate(in);
    }
    sh_collect();
    for (size_t at = 0; at < SLOTS; at++)
        if (!net.models[at].closed)
            close_channel(at);
    settle();
    for (size_t at = 0; at < SLOTS; at++)
        for (size_t n = net.models[at].n + 1; n > 0; n--)
            try_receive(at, false);
    need(running == 0 && sh_task_count() == 1, "no task is left");
}

struct drive {
    struct input *in;
    struct sh_wait_group *done;
};

static void
drive_and_tell(void *arg)
{
    struct drive *d = arg;
    drive(d->in);
    sh_wait_group_done(d->done);
}

void
run_input(struct input *in)
{
    struct sh_wait_group done = {0};
    struct drive d = {in, &done};
    sh_task_set_threads(1);
    sh_wait_group_add(&done, 1);
    sh_task_start(drive_and_tell, &d);
    sh_wait_group_wait(&done);
}
