/* A channel from the inside: what select needs of it. */
#ifndef SPANHEAP_TYPES_CHANNEL_H
#define SPANHEAP_TYPES_CHANNEL_H

#include "types/soft_lock.h"
#include "types/wait.h"

#include <spanheap/channel.h>

struct sh_channel {
    uint32_t lock;
    bool closed;
    const struct sh_type *element;
    size_t cap, count;
    size_t first; /* of the elements in the buffer, which is a ring */
    void *buffer; /* in the same object if its elements hold no pointers */
    struct wait_queue senders, receivers;
};

/* What an attempt came to. `wake` is set to who has to be woken after the lock is dropped. */
enum channel_outcome { CHANNEL_WOULD_WAIT, CHANNEL_DONE, CHANNEL_IS_CLOSED };

/** The lock is held. */
enum channel_outcome channel_send_locked(struct sh_channel *c, const void *value,
                                         struct parking **wake);
enum channel_outcome channel_receive_locked(struct sh_channel *c, void *value,
                                            struct parking **wake);
/** Zeroes what a receiver of a closed channel gets. value may be NULL. */
void channel_clear(const struct sh_channel *c, void *value);
_Noreturn void channel_panic_closed(void);
/** Where NULL is sent: panics, unless the elements have no size; then what to send. */
const void *channel_nil_value(const struct sh_channel *c, const char *what)
    __attribute__((cold, noinline));

#endif
