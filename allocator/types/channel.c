/*
 * Channels. The object holds its own buffer if its elements hold no pointers; else the buffer is an
 * array of their type. Those who wait are on their stacks, which keep the channel.
 *
 * A value goes straight from a sender to a receiver that waits, into memory of the receiver's: its
 * stack may be parked, and is scanned at any time (parked.h). What was there before is lost to
 * everybody, and the new value is still the sender's, so neither can be missed.
 */
#include "types/channel.h"

#include "collector/barrier.h"
#include "heap/base.h"
#include "types/panic.h"

#include <string.h>

const struct sh_type sh_uint64_type = {"uint64", sizeof(uint64_t), NULL, 0};

static const struct sh_type channel_type =
    SH_TYPE(struct sh_channel, SH_POINTER_AT(struct sh_channel, buffer));

struct sh_channel *
sh_channel_make(const struct sh_type *element, size_t capacity)
{
    size_t bytes, all;
    struct sh_channel *c;
    refuse_nil(element, "sh_channel_make: element");
    if (__builtin_mul_overflow(element->size, capacity, &bytes) || bytes > PTRDIFF_MAX ||
        __builtin_add_overflow(bytes, sizeof *c, &all))
        panic_plain("makechan: size out of range: %zu elements of %zu bytes", capacity,
                    element->size);
    if (element->pointer_mask == NULL) {
        c = sh_alloc_noscan(all);
        c->buffer = c + 1;
    } else {
        c = sh_alloc_typed(&channel_type);
        if (capacity > 0)
            sh_store(&c->buffer, sh_alloc_array(element, capacity));
    }
    c->element = element;
    c->cap = capacity;
    return c;
}

/* ---- Values ---- */

static void
copy_value(const struct sh_channel *c, void *to, const void *from)
{
    if (to == NULL)
        return;
    if (c->element->pointer_mask != NULL)
        sh_memmove(to, from, c->element->size);
    else if (c->element->size == sizeof(uint64_t))
        memcpy(to, from, sizeof(uint64_t));
    else if (c->element->size > 0)
        memcpy(to, from, c->element->size);
}

/* To a receiver that waits, on its stack. */
static void
hand_over(const struct sh_channel *c, void *to, const void *from)
{
    if (to != NULL && c->element->pointer_mask == NULL && c->element->size > 0)
        barrier_copy_over(to, from, c->element->size);
    else
        copy_value(c, to, from);
}

void
channel_clear(const struct sh_channel *c, void *value)
{
    if (value == NULL)
        return;
    if (c->element->pointer_mask != NULL)
        sh_memset(value, 0, c->element->size);
    else
        memset(value, 0, c->element->size);
}

static void *
slot_at(const struct sh_channel *c, size_t i)
{
    size_t at = c->first + i;
    return (char *)c->buffer + (at < c->cap ? at : at - c->cap) * c->element->size;
}

/* The lock is held, but sh_channel_len() reads it without. */
static void
set_count(struct sh_channel *c, size_t count)
{
    __atomic_store_n(&c->count, count, __ATOMIC_RELAXED);
}

static void
append(struct sh_channel *c, const void *value)
{
    copy_value(c, slot_at(c, c->count), value);
    set_count(c, c->count + 1);
}

static void
take_first(struct sh_channel *c, void *value)
{
    void *slot = slot_at(c, 0);
    copy_value(c, value, slot);
    if (c->element->pointer_mask != NULL)
        channel_clear(c, slot);
    c->first = c->first + 1 == c->cap ? 0 : c->first + 1;
    set_count(c, c->count - 1);
}

/* ---- Sending and receiving ---- */

void
channel_panic_closed(void)
{
    panic_plain("send on closed channel");
}

enum channel_outcome
channel_send_locked(struct sh_channel *c, const void *value, struct parking **wake)
{
    if (unlikely(c->closed))
        return CHANNEL_IS_CLOSED;
    struct sh_waiter *receiver = c->receivers.first == NULL ? NULL : wait_take(&c->receivers);
    if (receiver != NULL) {
        hand_over(c, receiver->value, value);
        receiver->done = true;
        *wake = receiver->parking;
        return CHANNEL_DONE;
    }
    if (c->count == c->cap)
        return CHANNEL_WOULD_WAIT;
    append(c, value);
    return CHANNEL_DONE;
}

/* If the buffer is full, the first one of it is received, and what the sender has is put at its
   end. */
enum channel_outcome
channel_receive_locked(struct sh_channel *c, void *value, struct parking **wake)
{
    struct sh_waiter *sender = c->senders.first == NULL ? NULL : wait_take(&c->senders);
    if (sender != NULL) {
        if (c->cap == 0) {
            copy_value(c, value, sender->value);
        } else {
            take_first(c, value);
            append(c, sender->value);
        }
        sender->done = true;
        *wake = sender->parking;
        return CHANNEL_DONE;
    }
    if (c->count > 0) {
        take_first(c, value);
        return CHANNEL_DONE;
    }
    return c->closed ? CHANNEL_IS_CLOSED : CHANNEL_WOULD_WAIT;
}

static void
unlock_channel(void *channel)
{
    soft_unlock(&((struct sh_channel *)channel)->lock);
}

static void
unlock_nothing(void *arg)
{
    (void)arg;
}

/* What Go does with a nil channel. */
static _Noreturn void
wait_for_ever(const char *why, const void *at)
{
    struct parking p;
    wait_init(&p);
    for (;;)
        wait_park(&p, unlock_nothing, NULL, why, NULL, at);
}

/* The lock is held, and dropped when the caller waits. False: the channel was closed. */
static __attribute__((noinline)) bool
wait_at(struct sh_channel *c, struct wait_queue *queue, void *value, const char *why,
        const void *at)
{
    struct parking p;
    wait_init(&p);
    struct sh_waiter w = {.parking = &p, .value = value};
    wait_enqueue(queue, &w);
    wait_park(&p, unlock_channel, c, why, c, at);
    SH_KEEP_ALIVE(c);
    return w.done;
}

const void *
channel_nil_value(const struct sh_channel *c, const char *what)
{
    static const char nothing;
    if (c->element->size > 0)
        panic_nil(what);
    return &nothing;
}

void
sh_channel_send(struct sh_channel *c, const void *value)
{
    struct parking *wake = NULL;
    if (unlikely(c == NULL))
        wait_for_ever("chan send (nil chan)", __builtin_return_address(0));
    if (unlikely(value == NULL))
        value = channel_nil_value(c, "sh_channel_send: value");
    soft_lock(&c->lock);
    enum channel_outcome outcome = channel_send_locked(c, value, &wake);
    bool sent = outcome == CHANNEL_DONE;
    if (outcome == CHANNEL_WOULD_WAIT)
        sent = wait_at(c, &c->senders, (void *)(uintptr_t)value, "chan send",
                       __builtin_return_address(0));
    else
        soft_unlock(&c->lock);
    if (wake != NULL)
        wait_wake(wake);
    if (unlikely(!sent))
        channel_panic_closed();
}

bool
sh_channel_receive(struct sh_channel *c, void *value)
{
    struct parking *wake = NULL;
    if (unlikely(c == NULL))
        wait_for_ever("chan receive (nil chan)", __builtin_return_address(0));
    soft_lock(&c->lock);
    enum channel_outcome outcome = channel_receive_locked(c, value, &wake);
    bool received = outcome == CHANNEL_DONE;
    if (outcome == CHANNEL_WOULD_WAIT)
        received = wait_at(c, &c->receivers, value, "chan receive", __builtin_return_address(0));
    else
        soft_unlock(&c->lock);
    if (wake != NULL)
        wait_wake(wake);
    if (!received)
        channel_clear(c, value);
    return received;
}

enum sh_channel_try
sh_channel_try_send(struct sh_channel *c, const void *value)
{
    struct parking *wake = NULL;
    if (c == NULL)
        return SH_CHANNEL_WOULD_WAIT;
    if (unlikely(value == NULL))
        value = channel_nil_value(c, "sh_channel_try_send: value");
    soft_lock(&c->lock);
    enum channel_outcome outcome = channel_send_locked(c, value, &wake);
    soft_unlock(&c->lock);
    if (wake != NULL)
        wait_wake(wake);
    if (outcome == CHANNEL_IS_CLOSED)
        channel_panic_closed();
    return outcome == CHANNEL_DONE ? SH_CHANNEL_DONE : SH_CHANNEL_WOULD_WAIT;
}

enum sh_channel_try
sh_channel_try_receive(struct sh_channel *c, void *value)
{
    struct parking *wake = NULL;
    if (c == NULL)
        return SH_CHANNEL_WOULD_WAIT;
    soft_lock(&c->lock);
    enum channel_outcome outcome = channel_receive_locked(c, value, &wake);
    soft_unlock(&c->lock);
    if (wake != NULL)
        wait_wake(wake);
    if (outcome == CHANNEL_IS_CLOSED)
        channel_clear(c, value);
    return outcome == CHANNEL_DONE        ? SH_CHANNEL_DONE
           : outcome == CHANNEL_IS_CLOSED ? SH_CHANNEL_CLOSED
                                          : SH_CHANNEL_WOULD_WAIT;
}

/* ---- Closing ---- */

/* All who wait, linked by `next`; they are claimed. */
static struct sh_waiter *
take_all_locked(struct sh_channel *c)
{
    struct sh_waiter *all = NULL, *w;
    while ((w = wait_take(&c->receivers)) != NULL || (w = wait_take(&c->senders)) != NULL) {
        w->next = all;
        all = w;
    }
    return all;
}

void
sh_channel_close(struct sh_channel *c)
{
    if (c == NULL)
        panic_plain("close of nil channel");
    soft_lock(&c->lock);
    bool was_closed = c->closed;
    c->closed = true;
    struct sh_waiter *w = was_closed ? NULL : take_all_locked(c);
    soft_unlock(&c->lock);
    if (was_closed)
        panic_plain("close of closed channel");
    while (w != NULL) { /* it may be gone once its owner runs */
        struct sh_waiter *next = w->next;
        wait_wake(w->parking);
        w = next;
    }
}

size_t
sh_channel_len(const struct sh_channel *c)
{
    return c == NULL ? 0 : __atomic_load_n(&c->count, __ATOMIC_RELAXED);
}

size_t
sh_channel_cap(const struct sh_channel *c)
{
    return c == NULL ? 0 : c->cap;
}
