/* What happens at a time: a task is made ready, or the time is sent to a channel. */
#ifndef SPANHEAP_TYPES_TIMER_H
#define SPANHEAP_TYPES_TIMER_H

#include "heap/os.h"
#include "types/task.h"

#include <spanheap/channel.h>

/** The time after so long; the last one there is, if that lies beyond it. */
static inline uint64_t
timer_due(uint64_t ns)
{
    uint64_t now_ns = os_now_ns();
    return ns > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + ns;
}

/** Parks the calling task until then. */
void timer_wait(uint64_t due_ns, const void *at);
/** Sends the time to a channel then, and each period_ns after that if it is not 0, if it has room.
 * An earlier one to the channel is forgotten; is_new: there is none. Returns whether there was. */
bool timer_send(uint64_t due_ns, uint64_t period_ns, struct sh_channel *channel, bool is_new);
/** Forgets a timer_send(): nothing is sent from here on. Returns whether there was one. */
bool timer_stop(const struct sh_channel *channel);
/** Does what is due; returns when the next one is, 0: there is none. The caller holds the lock of
 * no channel. */
uint64_t timer_run(void);
/** In the child of a fork: nobody sleeps. */
void timer_after_fork(void);

#endif
