/*
 * The counters of all threads, added up while the world is stopped: each thread counts for itself
 * without atomics, and the objects it took from its cached spans are in the spans' own counts.
 */
#include "collector/cycle.h"
#include "collector/world.h"
#include "heap/central.h"
#include "heap/meta.h"
#include "heap/os.h"
#include "observe/observe.h"

static void
add_counts(struct counts *sum, const struct counts *c)
{
    struct counts copy = *c;
    counts_move(sum, &copy);
}

static void
add_cached(struct counts *sum, const struct cache *c)
{
    for (unsigned row = 0; row < NROWS; row++) {
        const struct span *s = c->spans[row];
        sum->mallocs[s->class] += s->alloc_count - s->alloc_count_cached;
    }
}

/* The world is stopped. */
static struct counts
count_all(void)
{
    struct counts sum = {0};
    add_counts(&sum, &world.ended_counts);
    for (struct thread *t = world.threads; t != NULL; t = t->next) {
        add_counts(&sum, &t->cache.counts);
        add_cached(&sum, &t->cache);
    }
    return sum;
}

static uint64_t
allocated_b(const struct counts *sum)
{
    uint64_t bytes = sum->large_alloc_b;
    for (unsigned class = 0; class < NCLASSES; class ++)
        bytes += sum->mallocs[class] * class_size_b[class];
    return bytes;
}

uint64_t
observe_total_alloc_stopped_b(void)
{
    struct counts sum = count_all();
    return allocated_b(&sum);
}

static void
fill_objects(struct sh_stats *out, const struct counts *sum)
{
    out->total_alloc_b = allocated_b(sum);
    uint64_t freed_b = sum->large_free_b;
    out->mallocs = out->frees = sum->tiny_allocs;
    for (unsigned class = 0; class < NCLASSES; class ++) {
        out->mallocs += sum->mallocs[class];
        out->frees += sum->frees[class];
        freed_b += sum->frees[class] * class_size_b[class];
        out->by_size[class].size = class_size_b[class];
        out->by_size[class].mallocs = sum->mallocs[class];
        out->by_size[class].frees = sum->frees[class];
    }
    out->heap_alloc_b = out->total_alloc_b - freed_b;
    out->heap_objects = out->mallocs - out->frees;
}

static void
fill_pages(struct sh_stats *out)
{
    out->heap_sys_b = atomic_load(&pageheap.used_b);
    out->heap_inuse_b = pageheap.inuse_pages * PAGE_B;
    out->heap_idle_b = out->heap_sys_b - out->heap_inuse_b;
    out->heap_released_b = pageheap.pages.scavenged_pages * PAGE_B;
    out->meta_sys_b = meta_sys_b();
}

static void
fill_cycles(struct sh_stats *out)
{
    out->next_gc_b = atomic_load(&cycle.goal_b);
    out->num_gc = atomic_load(&cycle.cycles);
    out->num_forced_gc = cycle.forced;
    out->last_gc_ns = out->num_gc == 0 ? 0 : atomic_load(&cycle.last_end_ns);
    out->marked_b = cycle.marked_b;
    out->most_marked_b = cycle.most_marked_b;
    out->stack_roots_b = cycle.stacks_b;
    out->data_roots_b = cycle.roots.data;
    out->num_stops = (uint32_t)world.stops;
    out->num_threads = world.nthreads;
    out->pause_total_ns = observe_pause_total_ns();
    uint64_t elapsed_ns = (os_now_ns() - cycle.start_ns) * os_processors();
    out->gc_cpu_fraction = elapsed_ns == 0 ? 0 : (double)cycle.cpu_ns / (double)elapsed_ns;
}

static void
read_stopped(void *arg)
{
    struct sh_stats *out = arg;
    struct counts sum = count_all();
    fill_objects(out, &sum);
    fill_pages(out);
    fill_cycles(out);
}

static void
read_safely(void *arg)
{
    struct sh_pause pause;
    lock_take(&world.cycle_lock);
    cycle_stop_to_read(read_stopped, arg, &pause);
    observe_call_pause_hook(&pause);
    lock_drop(&world.cycle_lock);
}

void
sh_stats_read(struct sh_stats *out)
{
    sh_init();
    world_safe_call(read_safely, out);
}
