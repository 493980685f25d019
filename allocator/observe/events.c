#define _GNU_SOURCE
#include "observe/events.h"

#include "collector/world.h"
#include "heap/os.h"
#include "observe/event_slot.h"

#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NAMES 512

struct name {
    char text[EVENT_NAME_B];
    _Atomic uint32_t thread; /* 0: the name is not there yet */
};

struct ring {
    size_t capacity;
    _Atomic uint64_t next __attribute__((aligned(CACHE_LINE_B))); /* index of the next event */
    _Atomic size_t nnames;                                        /* goes on above NAMES */
    struct name names[NAMES];
    struct event_slot slots[] __attribute__((aligned(CACHE_LINE_B)));
};

static _Atomic(struct ring *) the_ring SH_STATE; /* never unmapped: a thread may be appending */
static size_t wanted_capacity SH_STATE = EVENTS_DEFAULT;
_Atomic uint32_t events_on SH_STATE;

/* The id under which this thread has left its name; another after fork. */
static _Thread_local uint32_t named_as __attribute__((tls_model("initial-exec")));

/* ---- On and off ---- */

void
events_set_capacity(size_t n)
{
    wanted_capacity = n;
}

bool
events_start(void)
{
    if (atomic_load(&the_ring) == NULL) {
        size_t size = sizeof(struct ring) + wanted_capacity * sizeof(struct event_slot);
        struct ring *mine = os_map_sparse(size), *none = NULL;
        if (mine == NULL)
            return false;
        mine->capacity = wanted_capacity;
        if (!atomic_compare_exchange_strong(&the_ring, &none, mine))
            os_unreserve(mine, size); /* another thread starts them too */
    }
    atomic_store(&events_on, 1);
    return true;
}

void
events_stop(void)
{
    atomic_store(&events_on, 0);
}

/* ---- Appending ---- */

static uint32_t
own_id(void)
{
    const struct thread *t = thread_self();
    return (uint32_t)(t != NULL ? t->tid : (pid_t)syscall(SYS_gettid));
}

static void
leave_name(struct ring *r, uint32_t thread)
{
    size_t i = atomic_fetch_add(&r->nnames, 1);
    named_as = thread;
    if (i >= NAMES)
        return;
    prctl(PR_GET_NAME, r->names[i].text);
    atomic_store_explicit(&r->names[i].thread, thread, memory_order_release);
}

void
events_append(struct event e)
{
    struct ring *r = atomic_load_explicit(&the_ring, memory_order_acquire);
    e.thread = own_id();
    if (unlikely(named_as != e.thread))
        leave_name(r, e.thread);
    uint64_t index = atomic_fetch_add_explicit(&r->next, 1, memory_order_relaxed);
    struct event_slot *s = &r->slots[index % r->capacity];
    if (!event_slot_claim(s, index))
        return;
    event_slot_fill(s, &e);
    event_slot_publish(s, index);
}

uint64_t
events_begin_slow(void)
{
    return os_now_ns();
}

void
events_end_slow(enum event_kind kind, uint64_t start_ns, uint64_t a, uint64_t b)
{
    events_append((struct event){start_ns, os_now_ns(), {a, b}, (uint32_t)kind, 0});
}

/* ---- Reading ---- */

bool
events_exist(void)
{
    return atomic_load(&the_ring) != NULL;
}

struct events_window
events_window(void)
{
    struct ring *r = atomic_load(&the_ring);
    if (r == NULL)
        return (struct events_window){0, 0};
    uint64_t end = atomic_load(&r->next);
    return (struct events_window){end > r->capacity ? end - r->capacity : 0, end};
}

struct event_slot *
events_slot(uint64_t index)
{
    struct ring *r = atomic_load(&the_ring);
    return &r->slots[index % r->capacity];
}

bool
events_get(uint64_t index, struct event *out)
{
    struct event_slot *s = events_slot(index);
    if (!event_slot_holds(s, index))
        return false;
    event_slot_copy(s, out);
    return event_slot_holds(s, index);
}

bool
events_thread_name(size_t i, uint32_t *thread, char name[EVENT_NAME_B])
{
    struct ring *r = atomic_load(&the_ring);
    if (r == NULL || i >= size_min(atomic_load(&r->nnames), NAMES))
        return false;
    *thread = atomic_load_explicit(&r->names[i].thread, memory_order_acquire);
    memcpy(name, r->names[i].text, EVENT_NAME_B);
    return true;
}
