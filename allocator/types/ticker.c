/* Channels to which the time is sent. */
#include "types/channel.h"

#include "types/panic.h"
#include "types/timer.h"

static struct sh_channel *
start_times(uint64_t ns, uint64_t period_ns)
{
    struct sh_channel *c = sh_channel_make(&sh_uint64_type, 1);
    timer_send(timer_due(ns), period_ns, c, true);
    return c;
}

struct sh_channel *
sh_after(uint64_t ns)
{
    return start_times(ns, 0);
}

struct sh_timer
sh_timer_start(uint64_t ns)
{
    return (struct sh_timer){start_times(ns, 0)};
}

bool
sh_timer_stop(struct sh_timer *timer)
{
    refuse_nil(timer, "sh_timer_stop: timer");
    if (timer->channel == NULL)
        panic_plain("time: Stop called on uninitialized Timer");
    return timer_stop(timer->channel);
}

bool
sh_timer_reset(struct sh_timer *timer, uint64_t ns)
{
    refuse_nil(timer, "sh_timer_reset: timer");
    if (timer->channel == NULL)
        panic_plain("time: Reset called on uninitialized Timer");
    return timer_send(timer_due(ns), 0, timer->channel, false);
}

struct sh_ticker
sh_ticker_start(uint64_t ns)
{
    if (ns == 0)
        panic_plain("non-positive interval for NewTicker");
    return (struct sh_ticker){start_times(ns, ns)};
}

void
sh_ticker_stop(struct sh_ticker *ticker)
{
    refuse_nil(ticker, "sh_ticker_stop: ticker");
    if (ticker->channel != NULL) /* as in Go, one that was never started may be stopped */
        timer_stop(ticker->channel);
}

void
sh_ticker_reset(struct sh_ticker *ticker, uint64_t ns)
{
    refuse_nil(ticker, "sh_ticker_reset: ticker");
    if (ns == 0)
        panic_plain("non-positive interval for Ticker.Reset");
    if (ticker->channel == NULL)
        panic_plain("time: Reset called on uninitialized Ticker");
    timer_send(timer_due(ns), ns, ticker->channel, false);
}
