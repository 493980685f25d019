/*
 * The order of things for one slot: closed when its span is made; opened, zeroed and handed out;
 * closed by sh_free or by the sweep that finds it dead. Guards are checked where an object ends,
 * and in each sweep, which is once for every object in every collection.
 */
#include "heap/watch.h"

#include "heap/central.h"
#include "heap/hooks.h"
#include "heap/meta.h"
#include "heap/os.h"

#include <string.h>

#define GUARD_LEAST_B 16 /* keeps the alignment that the object's size would have without it */
#define GUARD_BYTE 0xf5
#define FREED_WORD UINT64_C(0xdeadbeefdeadbeef) /* as SH_CLOBBER */
#define QUARANTINE_DEFAULT_B ((size_t)1 << 20)
#define CLOBBERED (UINT32_C(1) << 31) /* in slot_watch.freed: the object was overwritten then */

struct watch heap_watch SH_STATE;

/* Of the sanitizer's run-time library; absent in a program without it. */
void __asan_poison_memory_region(const volatile void *start, size_t size) __attribute__((weak));
void __asan_unpoison_memory_region(const volatile void *start, size_t size) __attribute__((weak));
void *__asan_region_is_poisoned(void *start, size_t size) __attribute__((weak));
void __asan_report_store8(uintptr_t address) __attribute__((weak));
void *__asan_get_report_address(void) __attribute__((weak));
void __asan_set_error_report_callback(void (*callback)(const char *report)) __attribute__((weak));

/* ---- The tools ---- */

#ifdef VALGRIND_MAKE_MEM_NOACCESS
static bool
valgrind_runs(void)
{
    return RUNNING_ON_VALGRIND != 0;
}

static void
valgrind_close(uintptr_t start, size_t size)
{
    (void)VALGRIND_MAKE_MEM_NOACCESS(start, size);
}

static void
valgrind_open(uintptr_t start, size_t size)
{
    (void)VALGRIND_MAKE_MEM_DEFINED(start, size);
}

/* Valgrind then says of an address where its object was allocated and freed. */
static void
valgrind_made(uintptr_t object, size_t size)
{
    VALGRIND_MALLOCLIKE_BLOCK(object, size, 0, 1);
}

static void
valgrind_gone(uintptr_t object)
{
    VALGRIND_FREELIKE_BLOCK(object, 0);
}
#else
static bool
valgrind_runs(void)
{
    return false;
}

static void
valgrind_close(uintptr_t start, size_t size)
{
    (void)start, (void)size;
}

static void
valgrind_open(uintptr_t start, size_t size)
{
    (void)start, (void)size;
}

static void
valgrind_made(uintptr_t object, size_t size)
{
    (void)object, (void)size;
}

static void
valgrind_gone(uintptr_t object)
{
    (void)object;
}
#endif

/* AddressSanitizer knows the address; we know the object. */
static void
explain_report(const char *report)
{
    (void)report;
    if (__asan_get_report_address != NULL)
        watch_explain(__asan_get_report_address());
}

void
watch_init(bool tools, bool debug, uint64_t quarantine_b)
{
    heap_watch.asan =
        tools && __asan_poison_memory_region != NULL && __asan_unpoison_memory_region != NULL;
    heap_watch.valgrind = tools && valgrind_runs();
    heap_watch.debug = debug;
    heap_watch.on = heap_watch.asan || heap_watch.valgrind || debug;
    heap_watch.guard_b = debug ? GUARD_LEAST_B : 0;
    if (heap_watch.on)
        heap_watch.quarantine_b = quarantine_b == UINT64_MAX ? QUARANTINE_DEFAULT_B : quarantine_b;
    if (debug && heap_watch.asan && __asan_set_error_report_callback != NULL)
        __asan_set_error_report_callback(explain_report);
}

void
watch_close(uintptr_t start, size_t size)
{
    if (heap_watch.asan)
        __asan_poison_memory_region((void *)start, size);
    if (heap_watch.valgrind)
        valgrind_close(start, size);
}

void
watch_open(uintptr_t start, size_t size)
{
    if (heap_watch.asan)
        __asan_unpoison_memory_region((void *)start, size);
    if (heap_watch.valgrind)
        valgrind_open(start, size);
}

void
watch_check_store(const void *slot)
{
    if (heap_watch.asan && __asan_region_is_poisoned != NULL && __asan_report_store8 != NULL &&
        __asan_region_is_poisoned((void *)(uintptr_t)slot, WORD_B) != NULL)
        __asan_report_store8((uintptr_t)slot);
}

/* ---- Slots ---- */

static size_t
slots_b(const struct span *s)
{
    return s->nelems * sizeof(struct slot_watch) + span_bit_words(s->nelems) * 2 * sizeof(uint64_t);
}

/* They follow the notes: slots that are held; and those that a sweep under way keeps for that. */
static uint64_t *
held_bits(const struct span *s)
{
    return (uint64_t *)(void *)&s->watched[s->nelems];
}

static uint64_t *
kept_bits(const struct span *s)
{
    return held_bits(s) + span_bit_words(s->nelems);
}

bool
watch_setup_span(struct span *s)
{
    s->watched = meta_alloc(slots_b(s));
    return s->watched != NULL;
}

void
watch_teardown_span(struct span *s)
{
    meta_free(s->watched, slots_b(s));
    s->watched = NULL;
}

void
watch_slot_taken(struct span *s, uint32_t index)
{
    s->watched[index] = (struct slot_watch){.size = s->elem_b}; /* no guard yet */
    watch_open(span_slot(s, index), s->elem_b);
}

size_t
watch_usable_b(const struct span *s, uint32_t index)
{
    return heap_watch.debug ? s->watched[index].size : s->elem_b;
}

void
watch_slot_made(struct span *s, uint32_t index, size_t size, uint32_t site)
{
    uintptr_t p = span_slot(s, index);
    s->watched[index].made = site;
    if (heap_watch.debug) {
        memset((void *)(p + size), GUARD_BYTE, s->elem_b - size);
        watch_close(p + size, s->elem_b - size);
        s->watched[index].size = size;
    }
    if (heap_watch.valgrind)
        valgrind_made(p, watch_usable_b(s, index));
}

/* Overwrites what the program could use of it. Opened for that: valgrind sees ours as any other. */
static void
overwrite(const struct span *s, uint32_t index)
{
    uintptr_t p = span_slot(s, index);
    size_t size = watch_usable_b(s, index), whole = size / WORD_B * WORD_B;
    watch_open(p, size);
    for (size_t at = 0; at < whole; at += WORD_B)
        __atomic_store_n((uint64_t *)(p + at), FREED_WORD, __ATOMIC_RELAXED);
    memset((void *)(p + whole), 0xde, size - whole);
}

static void
slot_gone(const struct span *s, uint32_t index)
{
    uintptr_t p = span_slot(s, index);
    if (heap_watch.valgrind)
        valgrind_gone(p);
    watch_close(p, s->elem_b);
}

bool
watch_set_pooled(const void *p, bool pooled)
{
    const struct span *s = pageheap_span_of((uintptr_t)p);
    uint32_t index = s == NULL ? 0 : span_index(s, (uintptr_t)p);
    if (s == NULL || index >= s->nelems || span_slot(s, index) != (uintptr_t)p)
        return false;
    return __atomic_exchange_n(&s->watched[index].pooled, pooled, __ATOMIC_RELAXED) != 0;
}

/* ---- Guards ---- */

/* The first byte in the range that is not the one expected there; `end`: they all are. */
__attribute__((no_sanitize_address)) static uintptr_t
first_other(uintptr_t start, uintptr_t end, unsigned char byte)
{
    const volatile unsigned char *at = (const volatile unsigned char *)start;
    watch_blind();
    while ((uintptr_t)at < end && *at == byte)
        at++;
    watch_see();
    return (uintptr_t)at;
}

static void
check_guard(const struct span *s, uint32_t index, const char *when)
{
    uintptr_t p = span_slot(s, index), end = p + s->elem_b;
    size_t size = s->watched[index].size;
    if (!heap_watch.debug || s->kind == KIND_TINY)
        return;
    uintptr_t at = first_other(p + size, end, GUARD_BYTE);
    if (likely(at == end))
        return;
    watch_explain((void *)p);
    sh_fatal("overrun: the byte at offset %zu of the object at %p, which has %zu bytes, was "
             "overwritten, or one before the object that follows it (found %s)",
             (size_t)(at - p), (void *)p, size, when);
}

/* Of a slot in quarantine that was overwritten when it was freed. */
__attribute__((no_sanitize_address)) static void
check_freed(const struct span *s, uint32_t index)
{
    uintptr_t p = span_slot(s, index);
    size_t whole = s->watched[index].size / WORD_B, at = 0;
    if ((s->watched[index].freed & CLOBBERED) == 0)
        return;
    watch_blind();
    while (at < whole && ((const volatile uint64_t *)p)[at] == FREED_WORD)
        at++;
    watch_see();
    if (likely(at == whole))
        return;
    watch_explain((void *)p);
    sh_fatal("use after free: the word at offset %zu of the freed object at %p was written to",
             at * WORD_B, (void *)p);
}

/* ---- Freeing, and the quarantine ---- */

/* Slots that were freed, the oldest first. */
struct held {
    struct held *next;
    struct span *s;
    uint32_t index;
    size_t size;
};

static struct {
    struct lock lock;
    struct held *first, **end;
    size_t total_b;
} quarantine SH_STATE = {.lock = {.rank = RANK_QUARANTINE}};

uint64_t
watch_held_word(const struct span *s, uint32_t word)
{
    return __atomic_load_n(&held_bits(s)[word], __ATOMIC_ACQUIRE);
}

/* While a collection marks, what the object holds may yet have to be followed (hook_mark_freed). */
void
watch_slot_freed(struct span *s, uint32_t index, uint32_t site)
{
    struct slot_watch *note = &s->watched[index];
    check_guard(s, index, "by sh_free");
    bool clobber = heap_watch.debug && !heap_is_marking();
    if (clobber)
        overwrite(s, index);
    note->freed = site | (clobber ? CLOBBERED : 0);
    slot_gone(s, index);
    if (heap_watch.quarantine_b > 0)
        __atomic_fetch_or(&held_bits(s)[index / 64], UINT64_C(1) << (index % 64), __ATOMIC_RELEASE);
}

/* From here on the span may be emptied and its record used again, as after span_record_free(). */
static void
unhold(struct span *s, uint32_t index)
{
    __atomic_fetch_and(&held_bits(s)[index / 64], ~(UINT64_C(1) << (index % 64)), __ATOMIC_ACQ_REL);
    if (!s->cached)
        central_note_free(s);
}

static void
let_go(struct held *h)
{
    check_freed(h->s, h->index);
    unhold(h->s, h->index);
    meta_free(h, sizeof *h);
}

/* The oldest, if more than max_b bytes were freed after it. */
static struct held *
take_oldest_held(size_t max_b)
{
    lock_take(&quarantine.lock);
    struct held *h = quarantine.first;
    if (h != NULL && quarantine.total_b - h->size >= max_b) {
        quarantine.first = h->next;
        quarantine.total_b -= h->size;
    } else {
        h = NULL;
    }
    lock_drop(&quarantine.lock);
    return h;
}

void
watch_hold(struct span *s, uint32_t index)
{
    struct held *h = meta_alloc(sizeof *h), *old;
    if (h == NULL) {
        unhold(s, index); /* no memory for the quarantine */
        return;
    }
    *h = (struct held){NULL, s, index, s->elem_b};
    lock_take(&quarantine.lock);
    if (quarantine.first == NULL)
        quarantine.end = &quarantine.first;
    *quarantine.end = h;
    quarantine.end = &h->next;
    quarantine.total_b += h->size;
    lock_drop(&quarantine.lock);
    while ((old = take_oldest_held(heap_watch.quarantine_b)) != NULL)
        let_go(old);
}

void
watch_let_go_all(void)
{
    struct held *h;
    while ((h = take_oldest_held(0)) != NULL)
        let_go(h);
}

/* Nobody comes for what is still held: it is looked at when the program ends. */
__attribute__((destructor)) static void
check_held(void)
{
    lock_take(&quarantine.lock);
    for (const struct held *h = quarantine.first; heap_watch.debug && h != NULL; h = h->next)
        check_freed(h->s, h->index);
    lock_drop(&quarantine.lock);
}

/* ---- Sweeping ---- */

static uint64_t
held_and_freed(const struct span *s, uint32_t word)
{
    return watch_held_word(s, word) & __atomic_load_n(&s->bits[word].freed, __ATOMIC_ACQUIRE);
}

/* Held slots stay in use over the sweep: they are marked, and not freed until it is done. Their
   bytes were in the live heap before marking, and are again. */
static void
keep_held(struct span *s)
{
    for (uint32_t w = 0; w < span_bit_words(s->nelems); w++) {
        uint64_t held = held_and_freed(s, w), marked = s->bits[w].mark | s->bits[w].born;
        __atomic_fetch_and(&s->bits[w].freed, ~held, __ATOMIC_SEQ_CST);
        s->bits[w].mark |= held;
        kept_bits(s)[w] = held;
        atomic_fetch_add(&heap_size.live_b, count_bits(held & ~marked) * s->elem_b);
    }
}

void
watch_before_sweep(struct span *s, bool clobber)
{
    for (uint32_t i = 0; i < s->nelems; i++) {
        if (!span_is_allocated(s, i))
            continue;
        check_guard(s, i, "by a collection");
        if (span_is_marked(s, i))
            continue;
        if (clobber || heap_watch.debug)
            overwrite(s, i);
        slot_gone(s, i);
    }
    if (heap_watch.quarantine_b > 0)
        keep_held(s);
}

void
watch_after_sweep(struct span *s)
{
    for (uint32_t w = 0; heap_watch.quarantine_b > 0 && w < span_bit_words(s->nelems); w++) {
        uint64_t kept = kept_bits(s)[w];
        if (kept == 0)
            continue;
        atomic_store(&s->has_freed, 1);
        __atomic_fetch_or(&s->bits[w].freed, kept, __ATOMIC_SEQ_CST);
    }
}

/* ---- Messages ---- */

static void
print_site(const char *what, uint32_t site)
{
    const char *lines = hook_site_text(site);
    if (lines == NULL)
        return;
    sh_warn("%s by", what);
    os_write_error(lines, strlen(lines));
}

void
watch_explain(const void *p)
{
    const struct span *s = pageheap_span_of((uintptr_t)p);
    uint32_t index = s == NULL ? 0 : span_index(s, (uintptr_t)p);
    if (!heap_watch.debug || s == NULL || index >= s->nelems || s->watched[index].made == 0)
        return;
    const struct slot_watch *note = &s->watched[index];
    uintptr_t start = span_slot(s, index);
    bool alive = span_is_allocated(s, index);
    sh_warn("%p is at offset %zu of an object of %zu bytes at %p, which %s", (void *)(uintptr_t)p,
            (size_t)((uintptr_t)p - start), note->size, (void *)start,
            alive              ? "is alive"
            : note->freed != 0 ? "was freed"
                               : "nobody reached any more: a collection freed it");
    print_site("allocated", note->made);
    if (!alive && note->freed != 0)
        print_site("freed", note->freed & ~CLOBBERED);
}

/* ---- For programs ---- */

void
sh_poison(const void *start, size_t size)
{
    sh_init();
    watch_close((uintptr_t)start, size);
}

void
sh_unpoison(const void *start, size_t size)
{
    sh_init();
    watch_open((uintptr_t)start, size);
}
