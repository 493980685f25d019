/*
 * Channels as in Go: values of one type go from task to task (or thread), in order, each to one
 * receiver. Without a buffer a sender waits for its receiver; with one it waits when that is full.
 *
 *     struct sh_channel *c = sh_channel_make(&int_type, 0);
 *     sh_channel_send(c, &value);
 *     while (sh_channel_receive(c, &value)) ...    // until it is closed and empty
 *
 * A channel is an object of the heap: it lives while somebody holds it, who waits for it included;
 * so does what lies in its buffer. NULL is Go's nil channel: sending and receiving wait for ever.
 * What panics in Go panics here, with Go's words: sending on a closed channel, closing one twice,
 * closing NULL.
 */
#ifndef SPANHEAP_CHANNEL_H
#define SPANHEAP_CHANNEL_H

#include <spanheap.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sh_channel;

/** A channel for elements of a type with room for `capacity` of them. Panics if the size
 * overflows. The descriptor must outlive the channel. */
SH_API struct sh_channel *sh_channel_make(const struct sh_type *element, size_t capacity);

/** Sends a copy of *value; may wait. Panics if the channel is closed, also while it waits. value
 * may be NULL if elements have no size. */
SH_API void sh_channel_send(struct sh_channel *c, const void *value);
/** Receives into *value (NULL: drops it); may wait. False: the channel is closed and empty, and
 * *value is zero. */
SH_API bool sh_channel_receive(struct sh_channel *c, void *value);

/** What a try came to. */
enum sh_channel_try {
    SH_CHANNEL_WOULD_WAIT, /**< nothing has happened */
    SH_CHANNEL_DONE,
    SH_CHANNEL_CLOSED, /**< receiving: closed and empty; *value is zero */
};
/** The same without waiting. */
SH_API enum sh_channel_try sh_channel_try_send(struct sh_channel *c, const void *value);
SH_API enum sh_channel_try sh_channel_try_receive(struct sh_channel *c, void *value);

/** No more is sent: receivers get what is in the buffer, then zeroes. Panics if it is closed
 * already, or NULL. */
SH_API void sh_channel_close(struct sh_channel *c);

SH_API size_t sh_channel_len(const struct sh_channel *c); /**< elements in the buffer; 0 of NULL */
SH_API size_t sh_channel_cap(const struct sh_channel *c); /**< its room; 0 of NULL */

enum sh_select_kind { SH_SELECT_SEND, SH_SELECT_RECEIVE };
/** One case of a select. */
struct sh_select_case {
    struct sh_channel *channel; /**< NULL: this case is never ready */
    void *value;                /**< to send; or where to, NULL: what comes is dropped */
    enum sh_select_kind kind;
    bool received; /**< set: false if the channel was closed and empty */
};
#define SH_SELECT_NONE SIZE_MAX
#define SH_SELECT_MAX 65536
/**
 * Does one of n cases that can be done, chosen at random among them; waits if none can, unless
 * or_not: then it returns SH_SELECT_NONE. Returns the number of the case. n 0 waits for ever.
 * Panics as sending does, and above SH_SELECT_MAX cases, as Go's reflect.Select.
 */
SH_API size_t sh_select(struct sh_select_case *cases, size_t n, bool or_not);

/* Timers and tickers: channels of uint64_t with room for one, to which the time (CLOCK_MONOTONIC,
 * ns) is sent, never early. One that runs is kept alive by that. */

/** The channel of a timer that runs out once, after ns. */
SH_API struct sh_channel *sh_after(uint64_t ns);

/** Go's time.Timer: the same, to be stopped or started anew. */
struct sh_timer {
    struct sh_channel *channel; /**< of uint64_t */
};
SH_API struct sh_timer sh_timer_start(uint64_t ns);
/**
 * Nothing is sent any more. True: the call has stopped it; false: it has run out, or was stopped,
 * before. As in Go until 1.22 the channel is neither closed nor emptied: what a timer that has run
 * out has sent may still lie there. Panics on a timer that was never started, as sh_timer_reset().
 */
SH_API bool sh_timer_stop(struct sh_timer *timer);
/** Starts it anew: it runs out after ns. Returns what sh_timer_stop() would have; the channel is
 * not emptied either. */
SH_API bool sh_timer_reset(struct sh_timer *timer, uint64_t ns);

/** Go's time.Ticker: sends the time each ns; a tick that nobody has room for is dropped. */
struct sh_ticker {
    struct sh_channel *channel; /**< of uint64_t */
};
/** Panics if ns is 0. */
SH_API struct sh_ticker sh_ticker_start(uint64_t ns);
/** No more ticks from here on; the channel is neither closed nor emptied. */
SH_API void sh_ticker_stop(struct sh_ticker *ticker);
/** Another period, which begins now; starts one that was stopped. Panics if ns is 0. */
SH_API void sh_ticker_reset(struct sh_ticker *ticker, uint64_t ns);

/** Of a uint64_t, for channels of times and the like. */
SH_API extern const struct sh_type sh_uint64_type;

#ifdef __cplusplus
}
#endif
#endif
