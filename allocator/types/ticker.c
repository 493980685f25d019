/* Channels to which the time is sent. */
#include "types/channel.h"

#include "heap/os.h"
#include "types/panic.h"
#include "types/timer.h"

static struct sh_channel *
start_times(uint64_t ns, uint64_t period_ns)
{
    struct sh_channel *c = sh_channel_make(&sh_uint64_type, 1);
    timer_send(os_now_ns() + ns, period_ns, c);
    return c;
}

struct sh_channel *
sh_after(uint64_t ns)
{
    return start_times(ns, 0);
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
    timer_stop(ticker->channel);
}
