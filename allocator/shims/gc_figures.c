/* Counters and reports. Exact ones stop the world for a moment, as sh_stats_read() does. */
#include "shims/gc_shim.h"

#include "heap/meta.h"
#include "heap/os.h"
#include "heap/pageheap.h"
#include "observe/observe.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_B 1024

static struct {
    uint64_t total_at_gc_b;    /* ever allocated, when the last collection began */
    uint64_t reclaimed_b;      /* by all collections but the last */
    uint64_t last_reclaimed_b; /* by the last one */
    uint64_t explicit_at_gc_b; /* freed by GC_free() until then */
    uint64_t heap_b;           /* as told to the program last */
    uint64_t most_b;           /* held at any time that was looked at */
    uint64_t measured_since_ns;
    bool measuring;
} figures SH_STATE;

static int log_fd SH_STATE = 2;

/* ---- Memory ---- */

struct pages_now {
    uint64_t held_b, in_use_b, unmapped_b;
};

static struct pages_now
pages_now(void)
{
    gc_start();
    lock_take(&pageheap.lock);
    uint64_t in_use_b = pageheap.inuse_pages * PAGE_B;
    uint64_t free_b = pageheap.pages.free_pages * PAGE_B;
    uint64_t gone_b = pageheap.pages.scavenged_pages * PAGE_B;
    uint64_t held_b = in_use_b + free_b - gone_b;
    figures.most_b = held_b > figures.most_b ? held_b : figures.most_b;
    lock_drop(&pageheap.lock);
    return (struct pages_now){held_b, in_use_b, gone_b};
}

/* Never decreases. */
static uint64_t
obtained_b(void)
{
    pages_now();
    return figures.most_b + meta_sys_b();
}

static uint64_t
in_objects_b(const struct pages_now *m)
{
    uint64_t live_b = atomic_load(&heap_size.live_b);
    return live_b < m->held_b ? live_b : m->held_b;
}

size_t
GC_get_heap_size(void)
{
    return pages_now().held_b;
}

size_t
GC_get_free_bytes(void)
{
    struct pages_now m = pages_now();
    return m.held_b - in_objects_b(&m);
}

size_t
GC_get_unmapped_bytes(void)
{
    return pages_now().unmapped_b;
}

size_t
GC_get_obtained_from_os_bytes(void)
{
    return obtained_b();
}

size_t
GC_get_memory_use(void)
{
    return pages_now().in_use_b;
}

size_t
GC_get_size_map_at(int i)
{
    size_t size = gc_round((size_t)i, gc_extra_b);
    return i < 0 || size > SMALL_MAX_B ? (size_t)-1 : sizeclass_round(size);
}

/* ---- Allocation ---- */

/* With the world stopped. */
void
gc_figures_note_stop(void)
{
    figures.total_at_gc_b = observe_total_alloc_stopped_b();
    figures.explicit_at_gc_b += atomic_exchange(&gc_freed_b, 0);
    figures.reclaimed_b += figures.last_reclaimed_b;
}

void
gc_figures_after(void)
{
    const struct cycle_record *r = &cycle.now;
    figures.last_reclaimed_b = r->live_after_b > r->marked_b ? r->live_after_b - r->marked_b : 0;
    GC_gc_no = atomic_load(&cycle.cycles);
    uint64_t heap_b = pages_now().held_b;
    if (heap_b != figures.heap_b && GC_on_heap_resize != NULL)
        GC_on_heap_resize(heap_b);
    figures.heap_b = heap_b;
}

static void
read_total_stopped(void *out)
{
    *(uint64_t *)out = observe_total_alloc_stopped_b();
}

static void
read_total_safely(void *out)
{
    struct sh_pause pause;
    cycle_stop_to_read(read_total_stopped, out, &pause);
}

/* Also for a program that holds the lock, as Boehm's documentation wants it to, and for one that is
   told of a collection's events. */
static uint64_t
total_alloc_b(void)
{
    uint64_t total_b = 0;
    if (gc_in_stop)
        return observe_total_alloc_stopped_b();
    gc_alloc_lock_take();
    world_safe_call(read_total_safely, &total_b);
    gc_alloc_lock_drop();
    return total_b;
}

size_t
GC_get_total_bytes(void)
{
    return total_alloc_b();
}

size_t
GC_get_bytes_since_gc(void)
{
    uint64_t total_b = total_alloc_b();
    return total_b - figures.total_at_gc_b;
}

/* Counting is the heap's. */
void
GC_incr_bytes_allocd(size_t bytes)
{
    (void)bytes;
}

void
GC_incr_bytes_freed(size_t bytes)
{
    (void)bytes;
}

size_t
GC_get_expl_freed_bytes_since_gc(void)
{
    return atomic_load(&gc_freed_b);
}

static void
store(GC_word *out, GC_word value)
{
    if (out != NULL)
        *out = value;
}

void
GC_get_heap_usage_safe(GC_word *heap_size_out, GC_word *free_bytes, GC_word *unmapped_bytes,
                       GC_word *bytes_since_gc, GC_word *total_bytes)
{
    struct pages_now m = pages_now();
    store(heap_size_out, m.held_b);
    store(free_bytes, m.held_b - in_objects_b(&m));
    store(unmapped_bytes, m.unmapped_b);
    if (bytes_since_gc == NULL && total_bytes == NULL)
        return;
    uint64_t total_b = total_alloc_b();
    store(bytes_since_gc, total_b - figures.total_at_gc_b);
    store(total_bytes, total_b);
}

static unsigned
markers_beside(void)
{
    return (os_processors() + 2) / 4 == 0 ? 1 : (os_processors() + 2) / 4;
}

size_t
GC_get_prof_stats(struct GC_prof_stats_s *stats, size_t size)
{
    struct pages_now m = pages_now();
    uint64_t total_b = total_alloc_b();
    const struct GC_prof_stats_s now = {
        .heapsize_full = m.held_b + m.unmapped_b,
        .free_bytes_full = m.held_b + m.unmapped_b - in_objects_b(&m),
        .unmapped_bytes = m.unmapped_b,
        .bytes_allocd_since_gc = total_b - figures.total_at_gc_b,
        .allocd_bytes_before_gc = figures.total_at_gc_b,
        .non_gc_bytes = GC_non_gc_bytes,
        .gc_no = atomic_load(&cycle.cycles),
        .markers_m1 = markers_beside(),
        .bytes_reclaimed_since_gc = figures.last_reclaimed_b,
        .reclaimed_bytes_before_gc = figures.reclaimed_b,
        .expl_freed_bytes_since_gc = atomic_load(&gc_freed_b),
        .obtained_from_os_bytes = obtained_b(),
    };
    size_t filled = size_min(size, sizeof now);
    memcpy(stats, &now, filled);
    if (size > filled)
        memset((char *)stats + filled, 0xff, size - filled);
    return filled;
}

size_t
GC_get_prof_stats_unsafe(struct GC_prof_stats_s *stats, size_t size)
{
    return GC_get_prof_stats(stats, size);
}

GC_word
GC_get_gc_no(void)
{
    return atomic_load(&cycle.cycles);
}

int
GC_get_parallel(void)
{
    return (int)markers_beside();
}

/* ---- Time ---- */

static uint64_t
stopped_ns(void)
{
    return observe_pause_total_ns();
}

void
GC_start_performance_measurement(void)
{
    gc_start();
    figures.measuring = true;
    figures.measured_since_ns = stopped_ns();
}

unsigned long
GC_get_full_gc_total_time(void)
{
    return figures.measuring ? (stopped_ns() - figures.measured_since_ns) / 1000000 : 0;
}

/* ---- Reports ---- */

static void
print_to(int fd, const char *format, va_list args)
{
    char line[LINE_B];
    int n = vsnprintf(line, sizeof line, format, args);
    for (size_t at = 0, end = size_min(n > 0 ? (size_t)n : 0, sizeof line - 1); at < end;) {
        ssize_t written = write(fd, line + at, end - at);
        if (written <= 0)
            return;
        at += (size_t)written;
    }
}

#define PRINT_TO(fd)                                                                               \
    va_list args;                                                                                  \
    va_start(args, format);                                                                        \
    print_to(fd, format, args);                                                                    \
    va_end(args)

void
GC_printf(const char *format, ...)
{
    PRINT_TO(log_fd == 2 ? 1 : log_fd);
}

void
GC_err_printf(const char *format, ...)
{
    PRINT_TO(2);
}

void
GC_log_printf(const char *format, ...)
{
    PRINT_TO(log_fd);
}

void
GC_set_log_fd(int fd)
{
    log_fd = fd;
}

void
GC_dump_named(const char *name)
{
    struct pages_now m = pages_now();
    if (name != NULL)
        GC_printf("***GC dump %s\n", name);
    GC_printf("***Heap: %lu bytes held, %lu in objects, %lu given back; %lu collections\n",
              m.held_b, in_objects_b(&m), m.unmapped_b, GC_get_gc_no());
    GC_printf("***Found live by the last one: %lu bytes; roots: %lu of stacks, %lu of data\n",
              cycle.marked_b, cycle.roots.stacks, cycle.roots.data);
    GC_dump_finalization();
}

void
GC_dump(void)
{
    GC_dump_named(NULL);
}

void
GC_dump_regions(void)
{
    size_t spans = pageheap.nspans;
    GC_printf("***Heap at %p: %lu bytes usable, %lu spans\n", (void *)pageheap.base,
              atomic_load(&pageheap.used_b), spans);
}

void
GC_dump_finalization(void)
{
    GC_printf("***Finalizers: %lu registered, %lu due; links: %lu, long ones: %lu\n",
              gc_finalizers_registered(), gc_finalizers_waiting(),
              gc_links_registered(GC_LINK_SHORT), gc_links_registered(GC_LINK_LONG));
}
