/*
 * The drop-in for malloc: a few objects, allocated, resized and freed by three threads, of which
 * one at a time does something. Threads end while others hold their objects, and are made again;
 * the process is forked. The functions have other names here (harness/fuzz.py): their own are the
 * sanitizer's.
 */
#include "fuzz.h"
#include "pattern.h"

#include "heap/pageheap.h"

#include <errno.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

void *fuzzed_malloc(size_t size);
void *fuzzed_calloc(size_t count, size_t size);
void *fuzzed_realloc(void *p, size_t size);
void *fuzzed_reallocarray(void *p, size_t count, size_t size);
void fuzzed_free(void *p);
void *fuzzed_aligned_alloc(size_t align, size_t size);
int fuzzed_posix_memalign(void **result, size_t align, size_t size);
void *fuzzed_memalign(size_t align, size_t size);
void *fuzzed_valloc(size_t size);
void *fuzzed_pvalloc(size_t size);
size_t fuzzed_malloc_usable_size(void *p);
int fuzzed_malloc_trim(size_t pad);

enum { OBJECTS = 48, WORKERS = 2, BYTES_MAX = 1 << 20, ROUNDS = 3 };

static struct object {
    char *p; /* NULL: there is none */
    size_t room;
    uint64_t number;
} objects[OBJECTS];
static uint64_t made;
static bool wrong;

/* ---- Content: all that may be used ---- */

static void
fill(const struct object *o)
{
    fill_with_pattern(o->p, o->room, o->number);
}

static void
compare(const struct object *o, size_t size)
{
    need_pattern(o->p, size, o->number);
}

static void
compare_all(void)
{
    for (size_t i = 0; i < OBJECTS; i++)
        if (objects[i].p != NULL)
            compare(&objects[i], objects[i].room);
}

/* ---- Sizes ---- */

static size_t
all_bytes(void)
{
    size_t bytes = 0;
    for (size_t i = 0; i < OBJECTS; i++)
        bytes += objects[i].p == NULL ? 0 : objects[i].room;
    return bytes;
}

static size_t
choose_bytes(struct input *in)
{
    size_t what = choose(in, 256);
    if (what < 100)
        return what;
    if (what < 160)
        return 16 * (what - 99) + choose(in, 3) - 1;
    if (what < 200) /* eight to a doubling */
        return ((8 + what % 8) << (7 + (what - 160) / 8)) + choose(in, 3) - 1;
    if (what < 240 || all_bytes() > BYTES_MAX)
        return choose_wide(in, 65536);
    return (size_t)(1 + choose(in, 64)) * 8192 + choose(in, 3) - 1;
}

static const size_t too_large[] = {SIZE_MAX,          PTRDIFF_MAX,     (size_t)PTRDIFF_MAX + 1,
                                   SIZE_MAX - PAGE_B, (size_t)1 << 45, SIZE_MAX / 2 - PAGE_B,
                                   SIZE_MAX - 15,     (size_t)1 << 62};

/* ---- Allocating ---- */

static void
need_apart(const char *p, size_t room)
{
    for (size_t i = 0; i < OBJECTS; i++)
        need(objects[i].p == NULL || objects[i].p + objects[i].room <= p ||
                 p + room <= objects[i].p,
             "no object lies in another");
}

/* What a new object may take for its size: slots up to a quarter larger are used. */
static bool
is_reasonable(size_t room, size_t size)
{
    size_t slot = size < 16 ? 16 : (size + 15) / 16 * 16;
    if (size <= 1024)
        return room <= slot + slot / 4;
    return size <= SMALL_MAX_B ? room <= slot + slot / 8 : room < size + PAGE_B;
}

static void
put(size_t i, void *p, size_t size, size_t align)
{
    need(p != NULL, "there is memory");
    need((uintptr_t)p % align == 0 && (uintptr_t)p % 16 == 0, "an object is aligned");
    size_t room = fuzzed_malloc_usable_size(p);
    need(room >= size && room > 0, "there is room for it");
    need(align > 16 || is_reasonable(room, size), "there is not much more room");
    need_apart(p, room);
    objects[i] = (struct object){p, room, ++made};
    fill(&objects[i]);
}

static void
put_zeroed(size_t i, char *p, size_t size)
{
    need(p != NULL, "there is memory");
    need_zero(p, size);
    put(i, p, size, 1);
}

static void
make_aligned(struct input *in, size_t i)
{
    size_t size = choose_bytes(in), align = (size_t)8 << choose(in, 14);
    void *p = &size;
    switch (choose(in, 5)) {
    case 0:
        put(i, fuzzed_aligned_alloc(align, size), size, align);
        break;
    case 1:
        need(fuzzed_posix_memalign(&p, align, size) == 0, "there is memory");
        put(i, p, size, align);
        break;
    case 2:
        put(i, fuzzed_memalign(align - choose(in, 4), size), size, align);
        break;
    case 3:
        put(i, fuzzed_valloc(size), size, 4096);
        break;
    default:
        put(i, fuzzed_pvalloc(size), (size + 4095) / 4096 * 4096, 4096);
        break;
    }
}

static void
free_one(size_t i)
{
    char *p = objects[i].p;
    compare(&objects[i], objects[i].room);
    objects[i].p = NULL;
    errno = 4321;
    fuzzed_free(p);
    need(errno == 4321, "free keeps errno");
}

static void
make_one(struct input *in, size_t i)
{
    size_t what = choose(in, 8), size, count;
    if (objects[i].p != NULL)
        free_one(i);
    if (what < 4) {
        size = choose_bytes(in);
        put(i, what == 0 ? fuzzed_realloc(NULL, size) : fuzzed_malloc(size), size, 1);
    } else if (what < 6) {
        size = choose_bytes(in);
        count = 1 + choose(in, 4);
        put_zeroed(i, fuzzed_calloc(count, size / count), size / count * count);
    } else {
        make_aligned(in, i);
    }
}

static void
resize_one(struct input *in, size_t i)
{
    struct object *o = &objects[i];
    size_t size = choose_bytes(in), old = o->room;
    bool as_array = choose(in, 4) == 0;
    char *p = as_array ? fuzzed_reallocarray(o->p, size, 1) : fuzzed_realloc(o->p, size);
    o->p = p;
    need((p == NULL) == (size == 0), "realloc to 0 frees");
    if (p == NULL)
        return;
    need((uintptr_t)p % 16 == 0, "an object is aligned");
    o->room = fuzzed_malloc_usable_size(p);
    need(o->room >= size, "there is room for it");
    if (wrong)
        o->number++;
    compare(o, old < size ? old : size);
    o->p = NULL;
    need_apart(p, o->room);
    o->p = p;
    o->number = ++made;
    fill(o);
}

/* ---- What is wrong ---- */

static void
need_errno(bool failed, int error)
{
    need(failed && errno == error, "what cannot be had is told in errno");
    errno = 0;
}

static void
ask_too_much(struct input *in, size_t i)
{
    size_t size = too_large[choose(in, COUNT_OF(too_large))], align = (size_t)1 << choose(in, 64);
    void *p = &size;
    errno = 0;
    need_errno(fuzzed_malloc(size) == NULL, ENOMEM);
    need_errno(fuzzed_calloc(1 + choose(in, 2), size) == NULL, ENOMEM);
    need_errno(fuzzed_calloc(size, size) == NULL, ENOMEM);
    need_errno(fuzzed_aligned_alloc(align, size) == NULL, ENOMEM);
    need_errno(fuzzed_valloc(size) == NULL, ENOMEM);
    need_errno(fuzzed_pvalloc(size) == NULL, ENOMEM);
    need_errno(fuzzed_aligned_alloc(align | 3, 10) == NULL, EINVAL);
    need_errno(fuzzed_memalign(SIZE_MAX - choose(in, 4), 10) == NULL, EINVAL);
    need(fuzzed_posix_memalign(&p, 4, 10) == EINVAL && fuzzed_posix_memalign(&p, 24, 10) == EINVAL,
         "an alignment that is none is EINVAL");
    need(fuzzed_posix_memalign(&p, 64, size) == ENOMEM && p == &size && errno == 0,
         "posix_memalign returns the error, and changes nothing");
    if (objects[i].p != NULL) {
        need_errno(fuzzed_realloc(objects[i].p, size) == NULL, ENOMEM);
        need_errno(fuzzed_reallocarray(objects[i].p, size, size) == NULL, ENOMEM);
        compare(&objects[i], objects[i].room);
    }
}

static void
call_usable(void *p)
{
    need(fuzzed_malloc_usable_size(p) == SIZE_MAX, "this is not reached");
}

static void
free_wrongly(struct input *in, size_t i)
{
    char local, *p = objects[i].p;
    need_fatal(fuzzed_free, &local, "malloc: %p was not allocated", (void *)&local);
    fuzzed_free(NULL);
    need(fuzzed_malloc_usable_size(NULL) == 0, "there is no room in nothing");
    if (p == NULL)
        return;
    char *inside = p + 1 + choose_wide(in, 65536) % objects[i].room;
    if (inside < p + objects[i].room) {
        need_fatal(fuzzed_free, inside, "malloc: %p lies inside an object that begins at %p",
                   (void *)inside, (void *)p);
        need_fatal(call_usable, inside, "malloc: %p lies inside", (void *)inside);
    }
    free_one(i);
    need_fatal(fuzzed_free, p, "malloc: %p was ", (void *)p);
    need_fatal(call_usable, p, "malloc: %p was ", (void *)p);
}

/* ---- The stream ---- */

/* By the thread that it is for. */
static void
operate(struct input *in)
{
    size_t what = choose(in, 16), i = choose(in, OBJECTS);
    if (what == 0)
        ask_too_much(in, i);
    else if (what == 1)
        free_wrongly(in, i);
    else if (what == 2)
        fuzzed_malloc_trim(0);
    else if (what < 8 || objects[i].p == NULL)
        make_one(in, i);
    else if (what < 11)
        resize_one(in, i);
    else
        free_one(i);
}

/* Many at once, so that spans are used up and become empty. */
static void
operate_on_many(struct input *in)
{
    size_t size = choose_wide(in, 2048), from = choose(in, OBJECTS), n = choose(in, OBJECTS);
    bool frees = choose(in, 2);
    for (size_t k = 0; k < n; k++) {
        size_t i = (from + k) % OBJECTS;
        if (objects[i].p != NULL)
            free_one(i);
        if (!frees)
            put(i, fuzzed_malloc(size), size, 1);
    }
}

/* ---- Threads: one of them does something, the others wait ---- */

static struct worker {
    pthread_t thread;
    bool lives;
    void (*job)(struct input *in); /* NULL: to end */
    bool has_job;
} workers[WORKERS];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct input *shared_input;
static pthread_key_t last_words; /* the number of rounds that are left */

static void *
work(void *arg)
{
    struct worker *w = arg;
    pthread_mutex_lock(&mutex);
    for (bool goes_on = true; goes_on;) {
        while (!w->has_job)
            pthread_cond_wait(&changed, &mutex);
        goes_on = w->job != NULL;
        if (goes_on)
            w->job(shared_input);
        w->has_job = false;
        pthread_cond_broadcast(&changed);
    }
    pthread_mutex_unlock(&mutex);
    return NULL;
}

static void
hand_over(struct worker *w, void (*job)(struct input *in))
{
    if (!w->lives)
        need(pthread_create(&w->thread, NULL, work, w) == 0, "there are threads");
    w->lives = true;
    pthread_mutex_lock(&mutex);
    w->job = job;
    w->has_job = true;
    pthread_cond_broadcast(&changed);
    while (w->has_job)
        pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
}

static void
end_worker(struct worker *w)
{
    if (!w->lives)
        return;
    hand_over(w, NULL);
    pthread_join(w->thread, NULL);
    w->lives = false;
}

/* A thread allocates and frees in three rounds of its destructors, after the drop-in's, too. Its
   first malloc in the fourth and last round would leave a heap behind. */
static void
say_last_words(void *rounds)
{
    size_t left = (size_t)rounds - 1;
    if (objects[left].p != NULL)
        free_one(left);
    else
        put(left, fuzzed_malloc(100 * left), 100 * left, 1);
    if (left > 0)
        pthread_setspecific(last_words, (void *)left);
}

static void
want_last_words(struct input *in)
{
    (void)in;
    pthread_setspecific(last_words, (void *)(size_t)ROUNDS);
}

/* ---- fork ---- */

static void
live_in_child(struct input *in)
{
    compare_all();
    operate_on_many(in);
    for (size_t i = 0; i < OBJECTS; i++)
        if (objects[i].p != NULL)
            free_one(i);
    fuzzed_malloc_trim(0);
    for (size_t i = 0; i < OBJECTS; i++)
        put(i, fuzzed_malloc(i * i), i * i, 1);
    compare_all();
}

static bool
fork_now(struct input *in)
{
    pid_t child = fork();
    if (child == 0) {
        live_in_child(in);
        _exit(0);
    }
    int status = 1;
    pid_t ended = 0;
    do /* the fuzzer has a timer */
        ended = waitpid(child, &status, 0);
    while (ended < 0 && errno == EINTR);
    need(child > 0 && ended == child && status == 0, "the child is well");
    return true;
}

/* ---- An input ---- */

static void
end_input(void)
{
    for (size_t w = 0; w < WORKERS; w++)
        end_worker(&workers[w]);
    compare_all();
    for (size_t i = 0; i < OBJECTS; i++)
        if (objects[i].p != NULL)
            free_one(i);
    fuzzed_malloc_trim(0);
    need(pageheap.inuse_pages == 0, "when all is freed, no page is in use");
}

void
run_input(struct input *in)
{
    static bool has_key;
    if (!has_key)
        need(pthread_key_create(&last_words, say_last_words) == 0, "there are keys");
    has_key = true;
    shared_input = in;
    wrong = is_model_wrong();
    made = 0;
    bool has_forked = false; /* it takes longer than all else */
    for (size_t n = 0; !is_used_up(in); n++) {
        size_t what = choose(in, 64), w = what % (WORKERS + 1);
        void (*job)(struct input *) = what / 8 == 0 ? operate_on_many : operate;
        if (what == 63 && !has_forked && choose(in, 8) == 7)
            has_forked = fork_now(in);
        else if (what >= 60)
            end_worker(&workers[w % WORKERS]);
        else if (what == 59)
            hand_over(&workers[choose(in, WORKERS)], want_last_words);
        else if (w == WORKERS)
            job(in);
        else
            hand_over(&workers[w], job);
        if (n % 16 == 0)
            compare_all();
    }
    end_input();
}
