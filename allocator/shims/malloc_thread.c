/*
 * Which thread uses which malloc heap.
 *
 * A thread takes a heap at its first call and leaves it when it ends, by the destructor of a
 * pthread key. Others' destructors, and the C library's own clean-up, may still allocate after
 * that: for each such call a heap is borrowed. All heaps are in one list, and none is ever
 * destroyed.
 *
 * fork: the heap's locks are held over it, so that the child finds the page heap whole. A heap
 * that another thread uses may be half changed in the child; it is *torn* there, and mended when
 * somebody wants it, from the bits of its spans.
 */
#include "heap/lock.h"
#include "heap/meta.h"
#include "heap/os.h"
#include "shims/malloc_heap.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>

#define RESERVE_B ((size_t)256 << 30)

_Thread_local struct malloc_heap *malloc_self = &malloc_no_heap;
static _Thread_local bool ended __attribute__((tls_model("initial-exec")));

static _Atomic(struct malloc_heap *) heaps;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static struct lock heaps_lock = {.rank = RANK_CENTRAL};

static _Atomic uint32_t registered;

static void thread_ends(void *heap);
static void register_fork(void);

/* Twice the memory there is, as some of it may be swapped. Of limited addresses the most part: the
   rest is for the program, its libraries and its stacks. */
static size_t
reserve_b(void)
{
    struct sysinfo info;
    struct rlimit limit;
    size_t twice_b = sysinfo(&info) == 0 ? 2 * info.totalram * info.mem_unit : 0;
    size_t wanted = twice_b > RESERVE_B ? twice_b : RESERVE_B;
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur / 4 * 3 < wanted)
        return limit.rlim_cur / 4 * 3;
    return wanted;
}

static void
start(void)
{
    malloc_rows_init();
    size_t size = reserve_b();
    if (!pageheap_init(size > ARENA_B ? size : ARENA_B, HUGE_PAGES_BY_SYSTEM))
        sh_fatal("malloc: no address space: cannot reserve even 64 MiB (see ulimit -v)");
    if (pthread_key_create(&key, thread_ends) != 0)
        sh_fatal("malloc: the program has used up the keys of pthread_key_create");
}

void
malloc_start(void)
{
    pthread_once(&once, start);
}

/* ---- Taking and leaving a heap ---- */

static bool
try_use(struct malloc_heap *h, enum heap_state from)
{
    uint32_t expected = from;
    return atomic_load(&h->state) == (uint32_t)from &&
           atomic_compare_exchange_strong(&h->state, &expected, HEAP_USED);
}

static bool
use(struct malloc_heap *h)
{
    if (try_use(h, HEAP_IDLE))
        return true;
    if (!try_use(h, HEAP_TORN))
        return false;
    malloc_mend(h);
    return true;
}

static struct malloc_heap *
make_heap(void)
{
    struct malloc_heap *h = meta_alloc(sizeof *h);
    if (h == NULL)
        return NULL;
    malloc_heap_init(h);
    atomic_store(&h->state, HEAP_USED);
    lock_take(&heaps_lock);
    h->next = atomic_load(&heaps);
    atomic_store(&heaps, h);
    lock_drop(&heaps_lock);
    return h;
}

struct malloc_heap *
malloc_borrow(void)
{
    malloc_start();
    for (struct malloc_heap *h = atomic_load(&heaps); h != NULL; h = h->next)
        if (use(h))
            return h;
    return make_heap();
}

/* Who frees in it enters the span and then looks at the state: one of the two sees the other. */
void
malloc_release(struct malloc_heap *h)
{
    atomic_store(&h->state, HEAP_IDLE);
    if (atomic_load(&h->foreign) != NULL)
        malloc_help(h);
}

void
malloc_help(struct malloc_heap *h)
{
    while (atomic_load(&h->foreign) != NULL && use(h)) {
        malloc_flush(h);
        atomic_store(&h->state, HEAP_IDLE);
    }
}

struct malloc_heap *
malloc_attach(void)
{
    if (malloc_self != &malloc_no_heap)
        return malloc_self;
    if (ended)
        return NULL;
    struct malloc_heap *h = malloc_borrow();
    if (h == NULL)
        return NULL;
    malloc_self = h;
    pthread_setspecific(key, h); /* may call calloc, which is served now */
    register_fork();
    return h;
}

/* At once, and does not wait for the other keys' destructors: of their four rounds, who takes a
   heap in a late one would have none left to leave it in. (Who takes the first in the last round
   has none: that heap stays in use.) */
static void
thread_ends(void *heap)
{
    struct malloc_heap *h = heap;
    ended = true;
    malloc_self = &malloc_no_heap;
    malloc_flush(h);
    malloc_release(h);
}

void
malloc_flush_all(void)
{
    if (malloc_self != &malloc_no_heap)
        malloc_flush(malloc_self);
    for (struct malloc_heap *h = atomic_load(&heaps); h != NULL; h = h->next)
        if (use(h)) {
            malloc_flush(h);
            malloc_release(h);
        }
}

/* ---- fork ---- */

static void
before_fork(void)
{
    lock_take(&heaps_lock);
    lock_take(&pageheap.lock);
    meta_lock_for_fork();
}

static void
after_fork(void)
{
    meta_unlock_for_fork();
    lock_drop(&pageheap.lock);
    lock_drop(&heaps_lock);
}

static void
after_fork_in_child(void)
{
    after_fork();
    for (struct malloc_heap *h = atomic_load(&heaps); h != NULL; h = h->next) {
        atomic_store(&h->foreign, NULL);
        if (h != malloc_self && atomic_load(&h->state) == HEAP_USED)
            atomic_store(&h->state, HEAP_TORN);
    }
    malloc_relist_foreign();
    malloc_trim_after_fork();
}

/* As early as can be: handlers that are there before ours are called while ours hold the locks. */
static void
register_fork(void)
{
    if (atomic_exchange(&registered, 1))
        return;
    if (pthread_atfork(before_fork, after_fork, after_fork_in_child) != 0)
        sh_fatal("malloc: no memory for the fork handlers");
}
