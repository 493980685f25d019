/* What happens at a time: a task is made ready, or the time is sent to a channel. */
#ifndef SPANHEAP_TYPES_TIMER_H
#define SPANHEAP_TYPES_TIMER_H

#include "types/task.h"

#include <spanheap/channel.h>

/** Parks the calling task until then. */
void timer_wait(uint64_t due_ns, const void *at);
/** Sends the time to a channel then, and each period_ns after that if it is not 0, if it has room.
 */
void timer_send(uint64_t due_ns, uint64_t period_ns, struct sh_channel *channel);
/** Forgets a timer_send(). */
void timer_stop(const struct sh_channel *channel);
/** Does what is due; returns when the next one is, 0: there is none. */
uint64_t timer_run(void);
/** In the child of a fork: nobody sleeps. */
void timer_after_fork(void);

#endif
