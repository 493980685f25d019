/* The start of the library. It runs as a constructor, or at the first call that comes earlier. */
#include "collector/background.h"
#include "collector/barrier.h"
#include "collector/client.h"
#include "collector/cycle.h"
#include "collector/pacing.h"
#include "collector/settings.h"
#include "collector/stress.h"
#include "collector/sweep.h"
#include "collector/threads.h"
#include "heap/central.h"
#include "heap/os.h"
#include "heap/watch.h"
#include "observe/observe.h"

static pthread_once_t once SH_STATE = PTHREAD_ONCE_INIT;
static _Atomic bool started SH_STATE;

/* Without a barrier, marking cannot run beside the program, unless that is asked for by name. */
static enum gc_mode
choose_mode(const struct settings *s)
{
    if (s->mode != SETTING_UNSET)
        return (enum gc_mode)s->mode;
    return s->barrier == BARRIER_NONE ? MODE_STW : MODE_CONCURRENT;
}

static enum huge_pages
choose_huge_pages(const struct settings *s)
{
    if (s->huge_pages == SETTING_UNSET)
        return HUGE_PAGES_BY_SYSTEM;
    return s->huge_pages ? HUGE_PAGES_WANTED : HUGE_PAGES_REFUSED;
}

static void
set_up_cycle(const struct settings *s)
{
    cycle.mode = choose_mode(s);
    cycle.barrier = (enum barrier_kind)s->barrier;
    cycle.trace = s->gctrace;
    cycle.verify = s->verify;
    cycle.period_ns = s->period_s * 1000000000u;
    cycle.start_ns = os_now_ns();
    atomic_store(&cycle.last_end_ns, cycle.start_ns);
    pacing_init(s->gogc == UINT64_MAX ? SH_GOGC_OFF : (int)s->gogc, s->memory_limit_b);
}

static void
start(void)
{
    struct settings s = settings_read();
    if (unlikely(s.stress_os > 0))
        os_fail(s.stress_os, 1);
    watch_init(s.poison, s.debug_heap, s.quarantine_b);
    sh_require(pageheap_init(s.reserve_b, choose_huge_pages(&s)),
               "no address space: cannot reserve even 64 MiB (see ulimit -v, SH_RESERVE)");
    size_t shards = s.stress_shards > 0 ? s.stress_shards : os_processors();
    sh_require(central_init((unsigned)size_min(shards, SHARDS_MAX)),
               "no memory for the central lists");
    observe_init();
    if (heap_watch.debug)
        observe_sites_init();
    span_keep_types = s.types == SETTING_UNSET ? s.heap_dump != NULL : s.types != 0;
    sweep_set_clobber(s.clobber);
    background_limit((unsigned)s.workers);
    stress_delay_max_ns = s.stress_delay_us * 1000;
    workbuf_set_capacity((uint32_t)s.stress_buffers);
    set_up_cycle(&s);
    barrier_off();
    world_init((int)s.signal);
    threads_init();
    roots_init();
    fork_init();
    struct thread *self = world_make_thread(LIFE_ATTACHED);
    sh_require(self != NULL, "no memory for the first thread's record");
    world_add_thread(self);
    world_adopt_self(self);
    observe_trace_init(s.trace, s.events);
    observe_profile_init(s.profile, s.profile_rate_b);
    observe_heap_dump_init(s.heap_dump);
    atomic_store(&started, true);
}

void
sh_init(void)
{
    if (unlikely(!atomic_load_explicit(&started, memory_order_acquire)))
        pthread_once(&once, start);
}

__attribute__((constructor)) static void
start_with_program(void)
{
    sh_init();
}

struct cache *
hook_attach_caller(void)
{
    sh_init();
    if (cache_self == NULL && client != NULL && !threads_is_ending())
        sh_thread_attach(); /* its programs have no other word for it */
    sh_require(
        cache_self != NULL,
        "a thread that is not attached uses the heap: make it with sh_thread_create, or let it "
        "call sh_thread_attach first");
    return cache_self;
}

const char *
sh_version(void)
{
    return SH_VERSION;
}
