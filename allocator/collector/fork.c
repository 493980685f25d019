/*
 * fork: the child has one thread, and must find no lock held and no span in the hands of a thread
 * that it does not have. Before the fork, the forking thread takes the cycle lock (no collection,
 * no stop), waits until every other thread is outside the slow sections in which shared structures
 * change, and takes the remaining locks in rank order. It does not stop the world: a stopped thread
 * may hold malloc's lock, which fork itself takes.
 *
 * A collection that is marking is given up in the child: it has none of the markers, and what they
 * held is lost. The parent's goes on.
 *
 * A thread may be anywhere in its fast path at that moment. In the child its cached spans go back
 * to the central lists, with their slots counted anew.
 */
#include "collector/client.h"
#include "collector/cycle.h"
#include "collector/finalizer.h"
#include "collector/world.h"
#include "heap/central.h"
#include "heap/meta.h"
#include "heap/os.h"
#include "observe/observe.h"
#include "observe/symbols.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

static void
before(void)
{
    if (cache_self != NULL)
        world_lock_safely(&world.cycle_lock);
    else
        lock_take(&world.cycle_lock);
    lock_take(&world.lock);
    symbols_lock_for_fork(); /* its holder may need malloc, and nothing that is taken below */
    cache_fork_begin();
    for (struct thread *t = world.threads; t != NULL; t = t->next)
        while (t != thread_self() && atomic_load(&t->cache.in_slow))
            sched_yield();
    finalizer_lock_for_fork();
    if (client != NULL)
        client->lock_for_fork();
    observe_lock_for_fork();
    lock_take(&pageheap.lock);
    meta_lock_for_fork();
    workbuf_lock_for_fork();
}

static void
unlock_all(void)
{
    workbuf_unlock_for_fork();
    meta_unlock_for_fork();
    lock_drop(&pageheap.lock);
    observe_unlock_for_fork();
    if (client != NULL)
        client->unlock_after_fork();
    finalizer_unlock_for_fork();
    cache_fork_end();
    symbols_unlock_for_fork();
    lock_drop(&world.lock);
    lock_drop(&world.cycle_lock);
}

/* Its owner may have been between taking a slot and counting it. */
static void
recount(struct span *s)
{
    s->alloc_count = s->nelems - span_free_ahead(s);
    if (s->alloc_count < s->alloc_count_cached)
        s->alloc_count_cached = s->alloc_count;
}

static void
drop_thread(struct thread *t)
{
    for (unsigned row = 0; row < NROWS; row++)
        if (t->cache.spans[row] != &cache_empty_span)
            recount(t->cache.spans[row]);
    cache_flush(&t->cache);
    world_remove_thread(t);
}

static void
in_child(void)
{
    unlock_all();
    struct thread *self = thread_self(), *next;
    cache_fork_init();
    cycle_abandon();
    finalizer_forget_thread();
    if (self != NULL)
        self->tid = (pid_t)syscall(SYS_gettid);
    for (struct thread *t = world.threads; t != NULL; t = next) {
        next = t->next;
        if (t != self)
            drop_thread(t);
    }
}

void
fork_init(void)
{
    cache_fork_init();
    sh_require(pthread_atfork(before, unlock_all, in_child) == 0,
               "no memory for the fork handlers");
}
