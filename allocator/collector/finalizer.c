#include "collector/finalizer.h"

#include "collector/background.h"
#include "collector/barrier.h"
#include "collector/cycle.h"
#include "collector/fault.h"
#include "collector/threads.h"
#include "heap/alloc.h"
#include "heap/meta.h"
#include "heap/os.h"
#include "heap/pageheap.h"
#include "heap/watch.h"
#include "observe/observe.h"

/* The program's handle to a weak reference: an object without pointers, whose one word is hidden
   from nobody, since nobody scans it. */
struct sh_weak {
    _Atomic uintptr_t object; /* 0: it is gone */
};

/* In the order in which a sweep asks for them. */
enum special_kind { SPECIAL_WEAK, SPECIAL_FINALIZER, SPECIAL_SAMPLE };

struct special {
    struct special *next;      /* of its span, or of the queue */
    struct special **all_prev; /* in the list of all that hold something; NULL: not there */
    struct special *all_next;
    uintptr_t object;
    enum special_kind kind;
    union {
        struct sh_weak *weak;
        sh_finalizer function;
        struct profile_bucket *bucket; /* not in the heap */
    } is;
    void *arg; /* of the finalizer */
};

static struct {
    struct lock lock;
    struct special *all;                /* the spans' but for the samples */
    struct special *queue, **queue_end; /* finalizers that are to run */
    _Atomic uint32_t bell;              /* changes when the queue grows */
    bool has_thread;
} specials SH_STATE = {.lock = {.rank = RANK_SPECIALS}};

/* ---- The notes of a span; the lock is held ---- */

static struct special **
find_special(struct span *s, uintptr_t object, enum special_kind kind)
{
    struct special **at = &s->specials;
    while (*at != NULL && ((*at)->object != object || (*at)->kind != kind))
        at = &(*at)->next;
    return at;
}

static void
add(struct span *s, struct special *p)
{
    atomic_store(&s->has_specials, 1);
    p->next = s->specials;
    s->specials = p;
    if (p->kind == SPECIAL_SAMPLE)
        return;
    p->all_next = specials.all;
    p->all_prev = &specials.all;
    if (p->all_next != NULL)
        p->all_next->all_prev = &p->all_next;
    specials.all = p;
}

static struct special *
take(struct special **at)
{
    struct special *p = *at;
    *at = p->next;
    if (p->all_prev == NULL)
        return p;
    *p->all_prev = p->all_next;
    if (p->all_next != NULL)
        p->all_next->all_prev = p->all_prev;
    return p;
}

/* Whether the next sweep, or sh_free, has to look here. */
static void
note_if_empty(struct span *s)
{
    if (s->specials == NULL)
        atomic_store(&s->has_specials, 0);
}

static void
enqueue(struct special *p)
{
    p->next = NULL;
    if (specials.queue == NULL)
        specials.queue_end = &specials.queue;
    *specials.queue_end = p;
    specials.queue_end = &p->next;
    atomic_fetch_add(&specials.bell, 1);
    os_futex_wake_all(&specials.bell);
}

/* ---- Collection ---- */

size_t
finalizer_each_root(void (*visit)(void *arg, enum special_root kind, uintptr_t word,
                                  uintptr_t object),
                    void *arg)
{
    size_t n = 0;
    for (const struct special *p = specials.all; p != NULL; p = p->all_next, n++) {
        if (p->kind == SPECIAL_WEAK) {
            visit(arg, SPECIAL_ROOT_WEAK, (uintptr_t)p->is.weak, p->object);
        } else {
            visit(arg, SPECIAL_ROOT_ARGUMENT, (uintptr_t)p->arg, p->object);
            visit(arg, SPECIAL_ROOT_OBJECT, p->object, p->object);
        }
    }
    for (const struct special *p = specials.queue; p != NULL; p = p->next, n++) {
        visit(arg, SPECIAL_ROOT_QUEUED, p->object, p->object);
        visit(arg, SPECIAL_ROOT_ARGUMENT, (uintptr_t)p->arg, p->object);
    }
    return n;
}

/* Buffers that are being filled. */
struct special_sink {
    struct workbuf *words, *scans;
};

static void
read_special(void *arg, enum special_root kind, uintptr_t word, uintptr_t object)
{
    struct special_sink *sink = arg;
    (void)object;
    if (kind == SPECIAL_ROOT_OBJECT)
        workbuf_append(&sink->scans, WORK_SCAN, word);
    else
        workbuf_append(&sink->words, WORK_WORDS, word);
}

size_t
finalizer_read_roots(void)
{
    struct special_sink sink = {NULL, NULL};
    size_t n = finalizer_each_root(read_special, &sink);
    workbuf_close(&sink.words);
    workbuf_close(&sink.scans);
    return n * sizeof(struct special);
}

void
finalizer_each_sample(const struct span *s,
                      void (*visit)(uintptr_t object, struct profile_bucket *bucket))
{
    if (!atomic_load(&s->has_specials))
        return;
    for (const struct special *p = s->specials; p != NULL; p = p->next)
        if (p->kind == SPECIAL_SAMPLE)
            visit(p->object, p->is.bucket);
}

/* The dead object of the finalizer lives once more, for it. */
static void
revive(struct span *s, uint32_t index)
{
    if (span_mark(s, index))
        atomic_fetch_add(&heap_size.live_b, s->elem_b);
}

/* The note of a dead object, off its list, does what it is there for. */
static void
fire(struct span *s, uint32_t index, struct special *p)
{
    switch (p->kind) {
    case SPECIAL_WEAK:
        atomic_store(&p->is.weak->object, 0);
        break;
    case SPECIAL_FINALIZER:
        revive(s, index);
        enqueue(p);
        return;
    case SPECIAL_SAMPLE:
        observe_sample_swept(p->is.bucket);
        break;
    }
    meta_free(p, sizeof *p);
}

static void
sweep_kind(struct span *s, enum special_kind kind)
{
    for (struct special **at = &s->specials; *at != NULL;) {
        struct special *p = *at;
        uint32_t index = span_index(s, p->object);
        if (p->kind != kind || span_is_marked(s, index)) {
            at = &p->next;
            continue;
        }
        take(at);
        fire(s, index, p);
    }
}

void
finalizer_sweep(struct span *s)
{
    lock_take(&specials.lock);
    sweep_kind(s, SPECIAL_WEAK);
    sweep_kind(s, SPECIAL_FINALIZER);
    sweep_kind(s, SPECIAL_SAMPLE);
    note_if_empty(s);
    lock_drop(&specials.lock);
}

void
hook_forget_specials(struct span *s, uintptr_t object)
{
    lock_take(&specials.lock);
    for (struct special **at = &s->specials; *at != NULL;) {
        if ((*at)->object != object) {
            at = &(*at)->next;
            continue;
        }
        struct special *p = take(at);
        if (p->kind == SPECIAL_WEAK)
            atomic_store(&p->is.weak->object, 0);
        if (p->kind == SPECIAL_SAMPLE)
            observe_sample_freed(p->is.bucket);
        meta_free(p, sizeof *p);
    }
    note_if_empty(s);
    lock_drop(&specials.lock);
}

/* Noted and counted without a gap, so that a child of fork finds both or neither. */
void
finalizer_note_sample(uintptr_t object, struct profile_bucket *bucket)
{
    struct span *s = pageheap_span_of(object);
    struct special *p = meta_alloc(sizeof *p);
    if (p == NULL)
        return;
    *p = (struct special){.object = object, .kind = SPECIAL_SAMPLE, .is.bucket = bucket};
    lock_take(&specials.lock);
    add(s, p);
    observe_sample_made(bucket);
    lock_drop(&specials.lock);
}

/* ---- Running finalizers ---- */

/* The object goes from one root, the queue, to another, the caller's stack, without a stop between.
 */
static bool
dequeue(struct special *out)
{
    lock_take(&specials.lock);
    struct special *p = specials.queue;
    if (p != NULL) {
        specials.queue = p->next;
        *out = *p;
        meta_free(p, sizeof *p);
    }
    lock_drop(&specials.lock);
    return p != NULL;
}

size_t
sh_run_finalizers(void)
{
    size_t n = 0;
    for (struct special p; dequeue(&p); n++) {
        p.is.function((void *)p.object, p.arg);
        SH_KEEP_ALIVE(p.object);
    }
    return n;
}

static void
wait_for_bell(void *bell)
{
    os_futex_wait(&specials.bell, *(uint32_t *)bell, 0);
}

static void *
run_for_ever(void *arg)
{
    for (;;) {
        uint32_t bell = atomic_load(&specials.bell);
        if (sh_run_finalizers() == 0)
            world_safe_call(wait_for_bell, &bell);
    }
    return arg;
}

/* Go's finalizers run on a goroutine of their own; ours on a thread, from the first one on. */
static void
start_thread(void)
{
    lock_take(&specials.lock);
    bool start = !specials.has_thread && background_is_allowed();
    specials.has_thread = specials.has_thread || start;
    lock_drop(&specials.lock);
    pthread_t thread;
    if (start && threads_create_service(&thread, run_for_ever, NULL) != 0)
        sh_warn("no thread for finalizers: call sh_run_finalizers()");
}

/* ---- Public ---- */

/* The span of a live object that begins at p. */
static struct span *
span_of_start(const void *p, const char *caller)
{
    struct span *s = pageheap_span_of((uintptr_t)p);
    if (unlikely(s == NULL || sh_object_base(p) != p || s->kind == KIND_TINY)) {
        watch_explain(p);
        sh_fatal("%s: %p is not the start of an object of its own", caller, p);
    }
    return s;
}

/* What marking must know of a finalizer that was set while it runs. */
static void
scan_if_marking(uintptr_t object, void *arg)
{
    if (!cycle_is_marking())
        return;
    struct workbuf *scan = workbuf_take_empty(WORK_SCAN), *word = workbuf_take_empty(WORK_WORDS);
    scan->words[scan->n++] = object;
    word->words[word->n++] = (uintptr_t)arg;
    workbuf_put(scan);
    workbuf_put(word);
}

void
sh_set_finalizer(void *object, sh_finalizer finalizer, void *arg)
{
    sh_init();
    struct span *s = span_of_start(object, "sh_set_finalizer");
    struct special *p = meta_alloc(sizeof *p);
    sh_require(p != NULL, "sh_set_finalizer: no memory");
    *p = (struct special){.object = (uintptr_t)object,
                          .kind = SPECIAL_FINALIZER,
                          .is.function = finalizer,
                          .arg = arg};
    lock_take(&specials.lock);
    struct special **at = find_special(s, (uintptr_t)object, SPECIAL_FINALIZER), *old = NULL;
    if (*at != NULL)
        old = take(at);
    if (finalizer != NULL) {
        add(s, p);
        scan_if_marking((uintptr_t)object, arg);
    }
    lock_drop(&specials.lock);
    if (old != NULL)
        meta_free(old, sizeof *old);
    if (finalizer != NULL)
        start_thread();
    else
        meta_free(p, sizeof *p);
    SH_KEEP_ALIVE(object);
}

struct sh_weak *
sh_weak_make(void *object)
{
    sh_init();
    struct span *s = span_of_start(object, "sh_weak_make");
    struct sh_weak *weak = alloc_or_die(TINY_MAX_B, KIND_NOSCAN, NULL);
    struct special *p = meta_alloc(sizeof *p);
    sh_require(p != NULL, "sh_weak_make: no memory");
    *p = (struct special){.object = (uintptr_t)object, .kind = SPECIAL_WEAK, .is.weak = weak};
    lock_take(&specials.lock);
    struct special *old = *find_special(s, (uintptr_t)object, SPECIAL_WEAK);
    if (old == NULL) {
        atomic_store(&weak->object, (uintptr_t)object);
        add(s, p);
    } else {
        weak = old->is.weak; /* one for each object: equal references are equal */
    }
    lock_drop(&specials.lock);
    if (old != NULL)
        meta_free(p, sizeof *p);
    SH_KEEP_ALIVE(object);
    return weak;
}

/* After marking, until its span is swept, a dead object is still in its weak reference. */
static bool
is_dead_unswept(const struct span *s, uint32_t index)
{
    for (;;) {
        uint32_t heap = atomic_load(&heap_sweepgen), own = atomic_load(&s->sweepgen);
        if (own == heap)
            return false;
        if (own == heap - 2)
            return !span_is_marked(s, index);
        /* It is being swept: that does not take long. */
    }
}

void *
sh_weak_get(struct sh_weak *weak)
{
    struct cache *c = cache_of_caller();
    void *object = NULL;
    cache_enter(c); /* no stop between the look and what follows from it */
    uintptr_t address = atomic_load(&weak->object);
    if (address != 0) {
        struct span *s = pageheap_span_of(address);
        uint32_t index = s == NULL ? 0 : span_index(s, address);
        if (s != NULL && !is_dead_unswept(s, index) && atomic_load(&weak->object) == address)
            object = (void *)address;
        if (object != NULL && cycle_is_marking() && !fault(FAULT_WEAK_READ))
            barrier_record((struct thread *)c, address);
    }
    cache_leave(c);
    return object;
}

/* ---- fork ---- */

void
finalizer_lock_for_fork(void)
{
    lock_take(&specials.lock);
}

void
finalizer_unlock_for_fork(void)
{
    lock_drop(&specials.lock);
}

void
finalizer_forget_thread(void)
{
    specials.has_thread = false;
}
