#include "alloc_calls.h"

#include <spanheap/explain.h>

#include <errno.h>

/* ---- Wrong calls ---- */

struct range_call {
    void *start;
    size_t size;
};

static void
call_roots_add(void *arg)
{
    const struct range_call *c = arg;
    sh_roots_add(c->start, c->size);
}

static void
call_roots_remove(void *start)
{
    sh_roots_remove(start);
}

static void
call_alloc(void *size)
{
    sh_alloc(*(size_t *)size);
}

static void
call_alloc_noscan(void *size)
{
    sh_alloc_noscan(*(size_t *)size);
}

static const struct sh_type word = {"word", 8, (const uint64_t[]){1}, 0};

static void
call_array(void *count)
{
    sh_alloc_array(&word, *(size_t *)count);
}

static void
call_realloc(void *p)
{
    sh_realloc(p, 10);
}

static void
call_usable(void *p)
{
    need(sh_usable_size(p) == SIZE_MAX, "this is not reached");
}

static void
call_finalizer(void *p)
{
    sh_set_finalizer(p, NULL, NULL);
}

static void
call_weak(void *p)
{
    need(sh_weak_make(p) == NULL, "this is not reached");
}

static void
call_gogc(void *arg)
{
    (void)arg;
    sh_set_gogc(-2);
}

void
check_freed(void *p)
{
    struct sh_explain_step step;
    need(sh_object_base(p) == NULL, "what was freed is no object");
    need_fatal(sh_free, p, "sh_free: %p is not ", p);
    need_fatal(call_usable, p, "sh_usable_size: %p is not ", p);
    need_fatal(call_weak, p, "sh_weak_make: %p is not the start of an object", p);
    enum sh_explained why = sh_explain(p, NULL, &step, 1, NULL);
    need(why == SH_EXPLAIN_FREE, "what was freed is free");
}

void
call_range_wrongly(void *start)
{
    struct range_call c = {start, 0};
    need_fatal(call_roots_add, &c, "sh_roots_add: %p with 0 bytes is no range", start);
    c.size = SIZE_MAX;
    need_fatal(call_roots_add, &c, "sh_roots_add: %p with %zu bytes is no range", start, c.size);
    c = (struct range_call){(void *)4096, 8};
    need_fatal(call_roots_add, &c, "sh_roots_add: not all of %p with 8 bytes is mapped", c.start);
    need_fatal(call_roots_remove, start, "sh_roots_remove: no range begins at %p", start);
}

/* More than any heap has, or than there are addresses. */
static void
ask_too_much(struct input *in)
{
    static const size_t sizes[] = {(size_t)1 << 45, PTRDIFF_MAX, SIZE_MAX, SIZE_MAX - 8191,
                                   SIZE_MAX / 2 + 1};
    size_t size = sizes[choose(in, COUNT_OF(sizes))], what = choose(in, 4);
    errno = 0;
    if (what == 0) {
        need_fatal(call_alloc, &size, "out of memory: cannot allocate %zu bytes", size);
    } else if (what == 1) {
        need_fatal(call_alloc_noscan, &size, "out of memory: cannot allocate %zu bytes", size);
    } else if (what == 2) {
        size_t count = SIZE_MAX - choose(in, 256);
        need_fatal(call_array, &count,
                   "sh_alloc_array: %zu elements of type word (8 bytes) overflow", count);
    } else {
        need(sh_try_alloc(choose(in, 2) ? 1 : size, size, choose(in, 2)) == NULL && errno == ENOMEM,
             "what cannot be had is ENOMEM");
    }
}

void
call_wrongly(struct input *in, size_t i, bool typed, bool alone)
{
    char *p = address_of(i), *inside = p + 1 + choose(in, 256) % objects.all[i].size;
    bool is_inside = inside < p + objects.all[i].size && alone;
    char local;
    switch (choose(in, 7)) {
    case 0:
        if (is_inside)
            need_fatal(sh_free, inside, "sh_free: %p lies inside an object that begins at %p",
                       (void *)inside, (void *)p);
        break;
    case 1:
        if (is_inside)
            need_fatal(call_finalizer, inside, "sh_set_finalizer: %p is not the start of an object",
                       (void *)inside);
        break;
    case 2:
        if (is_inside)
            need_fatal(call_realloc, inside, "sh_realloc: %p lies inside an object",
                       (void *)inside);
        break;
    case 3:
        if (typed)
            need_fatal(call_realloc, p, "sh_realloc: %p is typed, use sh_realloc_array", (void *)p);
        break;
    case 4:
        need_fatal(sh_free, &local, "sh_free: %p is not in the heap", (void *)&local);
        need(sh_object_base(&local) == NULL && sh_usable_size(NULL) == 0, "no object is there");
        break;
    case 5:
        need_fatal(call_gogc, NULL, "sh_set_gogc: ");
        break;
    default:
        ask_too_much(in);
        break;
    }
}

/* ---- Questions ---- */

static void
ask_why(size_t i, size_t offset)
{
    enum { STEPS = 4 };
    struct sh_explain_step steps[STEPS];
    struct sh_explain_root root;
    size_t n = 0;
    const char *p = address_of(i), *base = sh_object_base(p);
    need(sh_explain(p + offset, &root, steps, STEPS, &n) == SH_EXPLAIN_ALIVE,
         "what is reachable is alive");
    need(n > 0 && root.kind != SH_ROOT_NONE, "there is a path from a root");
    if (n <= STEPS)
        need(steps[n - 1].object == base && steps[n - 1].offset == (size_t)(p + offset - base),
             "the path ends at the object");
    for (size_t s = 0; s + 1 < n && s + 1 < STEPS; s++) {
        uintptr_t word = *(const uintptr_t *)((const char *)steps[s].object + steps[s].offset);
        need(word - (uintptr_t)steps[s + 1].object < steps[s + 1].size,
             "each object of the path points to the next");
    }
}

static void
ask_statistics(void)
{
    static struct sh_stats stats;
    sh_stats_read(&stats);
    need(stats.heap_objects == stats.mallocs - stats.frees, "objects are counted");
    need(stats.heap_alloc_b <= stats.heap_inuse_b && stats.heap_inuse_b <= stats.heap_sys_b &&
             stats.heap_released_b <= stats.heap_idle_b,
         "bytes are counted");
    uint64_t objects_b = 0;
    for (size_t c = 1; c < SH_NCLASSES; c++)
        objects_b += stats.by_size[c].size * (stats.by_size[c].mallocs - stats.by_size[c].frees);
    need(objects_b <= stats.heap_alloc_b, "classes are counted");
}

void
ask(struct input *in, size_t i)
{
    static const int growth[] = {SH_GOGC_OFF, 0, 1, 100};
    char local;
    switch (choose(in, 8)) {
    case 0:
    case 1:
        if (!objects.all[i].is_closed)
            ask_why(i, choose_wide(in, 65536) % objects.all[i].size);
        break;
    case 2:
        need(sh_explain(&local, NULL, NULL, 0, NULL) == SH_EXPLAIN_FOREIGN &&
                 sh_explain(sh_alloc(0), NULL, NULL, 0, NULL) == SH_EXPLAIN_FOREIGN,
             "what is not of the heap is foreign");
        break;
    case 3:
        errno = 0;
        need(sh_heap_dump("/dev/null") == 0, "the heap is dumped");
        need(sh_heap_dump(NULL) == -1 && errno == EINVAL, "no name is EINVAL");
        break;
    case 4:
        ask_statistics();
        break;
    case 5:
        sh_release_memory();
        break;
    case 6:
        sh_set_gogc(growth[choose(in, COUNT_OF(growth))]);
        break;
    default:
        sh_set_memory_limit(choose(in, 2) ? SH_NO_MEMORY_LIMIT : (uint64_t)1 << 20);
        break;
    }
}
