#include "heap/lock.h"

#include "heap/cache.h"
#include "heap/os.h"

#define SPINS 100

/* Ranks that this thread holds, one bit each. Only read in debug builds; always small. */
static _Thread_local uint32_t held_ranks __attribute__((tls_model("initial-exec")));

static bool
try_take(struct lock *lock)
{
    uint32_t expected = 0;
    return atomic_load_explicit(&lock->state, memory_order_relaxed) == 0 &&
           atomic_compare_exchange_strong(&lock->state, &expected, 1);
}

/* Whoever holds a lock that a stopped world may need cannot be stopped. The two lowest ranks order
   the stops themselves and are exempt. */
static bool
holds_off_stops(const struct lock *lock)
{
    return lock->rank >= RANK_CENTRAL && cache_self != NULL;
}

bool
lock_try(struct lock *lock)
{
    if (holds_off_stops(lock))
        cache_enter(cache_self);
    sh_invariant((held_ranks >> lock->rank) == 0);
    if (try_take(lock)) {
        held_ranks |= 1u << lock->rank;
        return true;
    }
    if (holds_off_stops(lock))
        cache_leave(cache_self);
    return false;
}

void
lock_take_spinning(struct lock *lock, unsigned spins)
{
    if (holds_off_stops(lock))
        cache_enter(cache_self);
    sh_invariant((held_ranks >> lock->rank) == 0);
    held_ranks |= 1u << lock->rank;
    for (unsigned i = 0; i < spins; i++) {
        if (try_take(lock))
            return;
        pause_processor();
    }
    while (atomic_exchange(&lock->state, 2) != 0)
        os_futex_wait(&lock->state, 2, 0);
}

void
lock_take(struct lock *lock)
{
    lock_take_spinning(lock, SPINS);
}

void
lock_drop(struct lock *lock)
{
    held_ranks &= ~(1u << lock->rank);
    if (atomic_exchange(&lock->state, 0) == 2)
        os_futex_wake_one(&lock->state);
    if (holds_off_stops(lock))
        cache_leave(cache_self);
}
