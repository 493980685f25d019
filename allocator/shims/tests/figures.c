/* Figures: what is in use, was had of the system, was freed and reclaimed; the time of collections;
   and that all of them can be read, and settings changed, by who holds the lock. */
#define GC_THREADS
#include "check.h"

#include <gc/gc.h>

enum { MIB = 1 << 20, LARGE = 16, NODES = 200000 };

static void *held[LARGE];

static void
in_use(void)
{
    GC_gcollect();
    size_t before_b = GC_get_memory_use(), obtained_b = GC_get_obtained_from_os_bytes();
    for (int i = 0; i < LARGE; i++)
        held[i] = GC_MALLOC_ATOMIC(MIB);
    size_t use_b = GC_get_memory_use();
    CHECK(use_b >= before_b + LARGE * MIB); /* Boehm's library says eight times that */
    CHECK(GC_get_obtained_from_os_bytes() >= GC_get_heap_size() &&
          GC_get_obtained_from_os_bytes() >= obtained_b);
    obtained_b = GC_get_obtained_from_os_bytes();
    for (int i = 0; i < LARGE; i++)
        GC_FREE(held[i]);
    CHECK(GC_get_expl_freed_bytes_since_gc() >= LARGE * MIB);
    memset(held, 0, sizeof held);
    GC_gcollect_and_unmap();
    CHECK(GC_get_memory_use() < use_b - LARGE / 2 * MIB);
    CHECK(GC_get_expl_freed_bytes_since_gc() < MIB);
    CHECK(GC_get_obtained_from_os_bytes() >= obtained_b); /* it never decreases */
}

static void
uncollectable_counts(void)
{
    GC_MALLOC_UNCOLLECTABLE(1000); /* the first of a size Boehm's library does not count */
    GC_word before_b = GC_get_non_gc_bytes();
    void *p = GC_MALLOC_UNCOLLECTABLE(1000);
    CHECK(GC_get_non_gc_bytes() >= before_b + 1000);
    GC_FREE(p);
    CHECK(GC_get_non_gc_bytes() == before_b);
}

static void
reclaimed(void)
{
    struct GC_prof_stats_s stats;
    GC_gcollect();
    for (int i = 0; i < 1000; i++)
        GC_MALLOC_ATOMIC(2000);
    GC_gcollect();
    CHECK(GC_get_prof_stats(&stats, sizeof stats) == sizeof stats);
    CHECK(stats.bytes_reclaimed_since_gc + stats.reclaimed_bytes_before_gc >= 1000 * 1000);
    CHECK(stats.allocd_bytes_before_gc == GC_get_total_bytes() - GC_get_bytes_since_gc());
    CHECK(stats.non_gc_bytes == GC_get_non_gc_bytes());
    CHECK(stats.markers_m1 == (GC_word)GC_get_parallel());
    CHECK(stats.heapsize_full - stats.unmapped_bytes >= GC_get_heap_size());
    unsigned char longer[sizeof stats + 16];
    CHECK(GC_get_prof_stats((void *)longer, sizeof longer) == sizeof stats);
    CHECK(longer[sizeof stats] == 0xff && longer[sizeof longer - 1] == 0xff);
}

static void
sizes(void)
{
    for (int size = 1; size < 2000; size += 37) {
        void *p = GC_MALLOC((size_t)size);
        size_t b = GC_get_size_map_at(size);
        CHECK(b >= (size_t)size && b == GC_size(p));
    }
    CHECK(GC_get_size_map_at(-1) == (size_t)-1 && GC_get_size_map_at(1 << 30) == (size_t)-1);
}

/* ---- Who holds the lock ---- */

static void *
read_all(void *arg)
{
    struct GC_prof_stats_s stats;
    CHECK(GC_get_prof_stats_unsafe(&stats, sizeof stats) == sizeof stats);
    CHECK(stats.gc_no == GC_get_gc_no() && stats.heapsize_full >= GC_get_heap_size());
    CHECK(stats.bytes_allocd_since_gc == GC_get_bytes_since_gc());
    CHECK(GC_get_total_bytes() == stats.allocd_bytes_before_gc + stats.bytes_allocd_since_gc);
    size_t heap_b = GC_get_heap_size();
    CHECK(GC_get_free_bytes() <= heap_b);
    CHECK(GC_get_obtained_from_os_bytes() == stats.obtained_from_os_bytes);
    CHECK(GC_get_unmapped_bytes() >= stats.unmapped_bytes); /* more go back meanwhile */
    CHECK(GC_get_size_map_at(100) >= 100);
    return arg;
}

static void *
read_all_and_set(void *arg)
{
    read_all(arg);
    GC_set_free_space_divisor(GC_get_free_space_divisor());
    GC_set_max_heap_size(0);
    GC_set_full_freq(GC_get_full_freq());
    GC_set_max_retries(GC_get_max_retries());
    GC_set_time_limit(GC_get_time_limit());
    GC_set_non_gc_bytes(GC_get_non_gc_bytes());
    return arg;
}

static int told;

static void
note_event(GC_EventType event)
{
    (void)event;
    read_all(&told);
    told++;
}

static void
with_lock(void)
{
    int local;
    GC_gcollect();
    GC_MALLOC(100);
    CHECK(GC_call_with_alloc_lock(read_all_and_set, &local) == &local);
    GC_gcollect();
    GC_set_on_collection_event(note_event);
    GC_gcollect();
    GC_set_on_collection_event(NULL);
    CHECK(told >= 8);
}

/* ---- Time ---- */

struct node {
    struct node *next, *other;
};
static struct node *nodes;

static void
time_of_collections(void)
{
    for (int i = 0; i < NODES; i++) {
        struct node *n = GC_MALLOC(sizeof *n);
        *n = (struct node){nodes, i % 2 ? n : nodes};
        nodes = n;
    }
    GC_gcollect();
    CHECK(GC_get_full_gc_total_time() == 0);
    GC_start_performance_measurement();
    while (GC_get_full_gc_total_time() < 20)
        GC_gcollect();
    unsigned long ms = GC_get_full_gc_total_time();
    GC_gcollect();
    CHECK(GC_get_full_gc_total_time() >= ms);
}

int
main(void)
{
    GC_INIT();
    in_use();
    uncollectable_counts();
    reclaimed();
    sizes();
    with_lock();
    time_of_collections();
    return 0;
}
