/*
 * Where a thread's roots hide, besides its stack:
 *   - thread-local variables: the loader's vector (DTV) of the thread has one block for each
 * module, in the thread's stack mapping, in a mapping of its own (main thread), or from malloc
 * (dlopen);
 *   - values of pthread keys: in the thread's descriptor, from key 32 on in blocks from malloc.
 * Both are read through the structures that the C library publishes for debuggers.
 */
#define _GNU_SOURCE
#include "collector/roots.h"

#include "collector/fault.h"
#include "collector/finalizer.h"
#include "collector/parked.h"
#include "collector/segments.h"
#include "heap/meta.h"
#include "heap/os.h"
#include "heap/pageheap.h"

#include <dlfcn.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#define KEY_BLOCKS 32                         /* of 32 keys each, in glibc */
#define KEY_BLOCK_B (32 * 2 * sizeof(void *)) /* sequence number and value */
#define MAX_DTV_ENTRIES 65536
#define FETCH_MAX_B (128 * 1024) /* of the second-level cache */
#define TLS_UNALLOCATED (~(uintptr_t)0)

struct registered {
    struct range range;
    struct registered *next;
};

static struct {
    struct registered *registered; /* guarded by world.cycle_lock, under which roots are read */
    size_t keys_offset; /* of the key blocks' table in a thread's descriptor; 0: unknown */
} roots SH_STATE;

/* glibc's description of a structure's field, for debuggers: bits, number, offset. An array may be
   described as one field of all its bits. */
extern const uint32_t _thread_db_pthread_specific[3] __attribute__((weak));

void
roots_init(void)
{
    segments_init();
    const uint32_t *field = _thread_db_pthread_specific;
    if (field == NULL)
        field = dlsym(RTLD_DEFAULT, "_thread_db_pthread_specific");
    if (field != NULL && field[0] * field[1] == 8 * sizeof(void *) * KEY_BLOCKS)
        roots.keys_offset = field[2];
}

/* Buffers that are being filled, one of each kind. */
struct sink {
    struct workbuf *frames, *variables;
};

/* No instrumentation: red zones and foreign frames are what this is for. */
__attribute__((noinline, no_sanitize_address, no_sanitize_thread)) size_t
roots_read_range(struct workbuf **open, enum work_kind kind, uintptr_t start, uintptr_t end)
{
    if (start >= end)
        return 0;
    uintptr_t base = pageheap.base, used_b = atomic_load(&pageheap.used_b);
    for (uintptr_t at = round_up(start, WORD_B); at + WORD_B <= end; at += WORD_B) {
        uintptr_t word = *(const volatile uintptr_t *)at;
        if (unlikely(word - base <= used_b)) /* one past the last byte is let through */
            workbuf_append(open, kind, word);
    }
    return end - start;
}

static size_t
read_frames(struct sink *sink, uintptr_t start, uintptr_t end)
{
    return roots_read_range(&sink->frames, WORK_FRAMES, start, end);
}

static size_t
read_variables(struct sink *sink, uintptr_t start, uintptr_t end)
{
    return roots_read_range(&sink->variables, WORK_WORDS, start, end);
}

/* ---- One thread ---- */

/* The lowest mapped address of a stack of which only the limits are known. */
static uintptr_t
lowest_mapped(const struct thread *t)
{
    unsigned char in_core[1];
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), low = t->stack_high & ~(page - 1);
    while (low - page >= t->stack_low && mincore((void *)(low - page), page, in_core) == 0)
        low -= page;
    return low;
}

static size_t
read_stack(struct sink *sink, const struct thread *t)
{
    if (t->stack_high == 0)
        return 0;
    uintptr_t sp = t->sp != 0 ? t->sp : lowest_mapped(t);
    size_t n = read_frames(sink, sp, t->stack_high);
    n += read_frames(sink, t->other_stack.start, t->other_stack.end);
    if (t->blocking_depth > 0)
        n += read_frames(sink, (uintptr_t)t->registers, (uintptr_t)(t->registers + SPILLED_WORDS));
    return n;
}

static bool
inside_scanned_stack(const struct thread *t, uintptr_t start)
{
    return t->sp != 0 && start >= t->sp && start < t->stack_high;
}

struct dtv_entry {
    uintptr_t block, to_free;
};

/* The vector's address lies at the thread pointer (arm64) or one word above it (x86-64). */
static const struct dtv_entry *
dtv_of(const struct thread *t)
{
#if defined(__x86_64__)
    return ((const struct dtv_entry *const *)t->thread_pointer)[1];
#else
    return ((const struct dtv_entry *const *)t->thread_pointer)[0];
#endif
}

/* A number that a library gave back by dlclose may belong to another one now, of which this thread
   has no block yet: then the block is the old one, and no larger than malloc made it. */
static size_t
block_size(const struct dtv_entry *entry, const struct tls_module *module)
{
    if (entry->to_free == 0)
        return module->size;
    size_t usable = malloc_usable_size((void *)entry->to_free);
    size_t before = entry->block - entry->to_free;
    return before < usable ? size_min(module->size, usable - before) : 0;
}

static size_t
read_thread_local(struct sink *sink, const struct thread *t)
{
    const struct dtv_entry *dtv = dtv_of(t);
    if (dtv == NULL)
        return 0;
    size_t entries = dtv[-1].block, n = 0;
    if (entries > MAX_DTV_ENTRIES) /* stopped while the loader replaces the vector */
        return 0;
    for (size_t i = 0; i < segments.ntls; i++) {
        const struct tls_module *module = &segments.tls[i];
        if (module->id > entries)
            continue;
        uintptr_t block = dtv[module->id].block;
        if (block != 0 && block != TLS_UNALLOCATED && !inside_scanned_stack(t, block))
            n += read_variables(sink, block, block + block_size(&dtv[module->id], module));
    }
    return n;
}

static uintptr_t
descriptor_of(const struct thread *t)
{
#if defined(__x86_64__)
    return t->thread_pointer;
#else
    extern const uint32_t _thread_db_sizeof_pthread __attribute__((weak));
    return &_thread_db_sizeof_pthread == NULL ? 0 : t->thread_pointer - _thread_db_sizeof_pthread;
#endif
}

static size_t
read_keys(struct sink *sink, const struct thread *t)
{
    uintptr_t descriptor = descriptor_of(t);
    if (roots.keys_offset == 0 || descriptor == 0)
        return 0;
    const uintptr_t *blocks = (const uintptr_t *)(descriptor + roots.keys_offset);
    size_t n = 0;
    for (size_t i = 0; i < KEY_BLOCKS; i++)
        if (blocks[i] != 0 && !inside_scanned_stack(t, blocks[i]))
            n += read_variables(sink, blocks[i], blocks[i] + KEY_BLOCK_B);
    return n;
}

static struct root_bytes
read_thread(struct sink *sink, const struct thread *t, enum root_set set)
{
    struct root_bytes n = {.stacks = set == ROOTS_ALL ? read_stack(sink, t) : 0};
    if (set == ROOTS_ALL && t->thread_pointer != 0)
        n.data = (fault(FAULT_TLS) ? 0 : read_thread_local(sink, t)) + read_keys(sink, t);
    read_variables(sink, (uintptr_t)&t->arg, (uintptr_t)(&t->arg + 1));
    read_variables(sink, (uintptr_t)&t->result, (uintptr_t)(&t->result + 1));
    return n;
}

/* Sweeping has just gone through memory, and what the stop has to wait for is mostly these. */
void
roots_fetch(void)
{
    size_t left_b = FETCH_MAX_B;
    for (size_t i = 0; i < segments.ndata; i++) {
        struct range r = segments.data[i];
        for (uintptr_t at = r.start; at < r.end && left_b > 0; at += CACHE_LINE_B) {
            __builtin_prefetch((const void *)at, 0, 2);
            left_b -= CACHE_LINE_B;
        }
    }
}

struct root_bytes
roots_read(enum root_set set)
{
    struct root_bytes n = {0, 0};
    struct sink s = {NULL, NULL}, *sink = &s;
    for (struct thread *t = world.threads; t != NULL; t = t->next) {
        if (t->internal || (fault(FAULT_THREAD_MISSED) && t == world.threads))
            continue;
        struct root_bytes of_thread = read_thread(sink, t, set);
        n.stacks += of_thread.stacks;
        n.data += of_thread.data;
    }
    for (size_t i = 0; i < segments.ndata; i++)
        n.data += read_variables(sink, segments.data[i].start, segments.data[i].end);
    for (struct registered *r = roots.registered; r != NULL; r = r->next)
        n.data += read_variables(sink, r->range.start, r->range.end);
    n.data += finalizer_read_roots();
    parked_begin(set);
    workbuf_close(&s.frames);
    workbuf_close(&s.variables);
    return n;
}

/* ---- Registered ranges ---- */

static bool
overlap(struct range a, struct range b)
{
    return a.start < b.end && b.start < a.end;
}

void
sh_roots_add(const void *start, size_t size)
{
    sh_init();
    struct range range = {(uintptr_t)start, (uintptr_t)start + size};
    sh_require(start != NULL && size > 0 && range.end > range.start,
               "sh_roots_add: %p with %zu bytes is no range", start, size);
    sh_require(
        os_is_mapped(range.start, range.end),
        "sh_roots_add: not all of %p with %zu bytes is mapped: collections could not read it",
        start, size);
    struct registered *r = meta_alloc(sizeof *r);
    sh_require(r != NULL, "sh_roots_add: no memory");
    r->range = range;
    world_lock_safely(&world.cycle_lock);
    for (struct registered *other = roots.registered; other != NULL; other = other->next)
        sh_require(!overlap(range, other->range), "sh_roots_add: %p with %zu bytes overlaps %p",
                   start, size, (void *)other->range.start);
    r->next = roots.registered;
    roots.registered = r;
    lock_drop(&world.cycle_lock);
}

void
sh_roots_remove(const void *start)
{
    sh_init();
    world_lock_safely(&world.cycle_lock);
    struct registered **link = &roots.registered;
    while (*link != NULL && (*link)->range.start != (uintptr_t)start)
        link = &(*link)->next;
    struct registered *r = *link;
    if (r != NULL)
        *link = r->next;
    lock_drop(&world.cycle_lock);
    sh_require(r != NULL, "sh_roots_remove: no range begins at %p", start);
    meta_free(r, sizeof *r);
}
