/* Threads: made here or registered, blocking, with the lock, cancelled; and fork. */
#define GC_THREADS
#include "list.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 4, ROUNDS = 3000 };

static void *
work(void *arg)
{
    struct list *own = arg;
    for (int i = 0; i < ROUNDS; i++) {
        struct list *l = make_list(20);
        CHECK(sum(l) == 190 && sum(own) == 4950);
    }
    return make_list(50);
}

/* The argument is held by the thread alone, the result by nobody until it is joined. */
static void
made_here(void)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, work, make_list(100)) == 0);
    for (int i = 0; i < 30; i++)
        GC_gcollect();
    for (int i = 0; i < THREADS; i++) {
        void *result = NULL;
        GC_gcollect();
        CHECK(pthread_join(threads[i], &result) == 0 && sum(result) == 1225);
    }
}

/* ---- Made elsewhere ---- */

#undef pthread_create
#undef pthread_join

static void *
register_and_work(void *arg)
{
    struct GC_stack_base base;
    (void)arg;
    CHECK(GC_get_stack_base(&base) == GC_SUCCESS && (char *)base.mem_base > (char *)&base);
    CHECK(!GC_thread_is_registered());
    CHECK(GC_register_my_thread(&base) == GC_SUCCESS);
    CHECK(GC_register_my_thread(&base) == GC_DUPLICATE && GC_thread_is_registered());
    for (int i = 0; i < ROUNDS; i++)
        CHECK(sum(make_list(20)) == 190);
    CHECK(GC_unregister_my_thread() == GC_SUCCESS && !GC_thread_is_registered());
    return NULL;
}

static void
made_elsewhere(void)
{
    pthread_t threads[THREADS];
    GC_allow_register_threads();
    CHECK(GC_thread_is_registered());
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, register_and_work, NULL) == 0);
    for (int i = 0; i < 10; i++)
        GC_gcollect();
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
}

/* ---- Blocking ---- */

static int pipe_ends[2];
static struct list *found;

static void *
wait_for_byte(void *arg)
{
    char c;
    CHECK(read(pipe_ends[0], &c, 1) == 1);
    return arg;
}

static void *
make_inside(void *arg)
{
    struct list **slot = arg, *own = make_list(30);
    *slot = own; /* Boehm's library does not look there: it is the frame of one that blocks */
    GC_gcollect();
    CHECK(sum(own) == 435);
    return slot;
}

static void *
block_and_call(void *arg)
{
    struct list *inner = NULL;
    wait_for_byte(NULL);
    CHECK(GC_call_with_gc_active(make_inside, &inner) == &inner);
    wait_for_byte(NULL);
    return arg;
}

static void *
block(void *arg)
{
    struct list *own = make_list(100);
    CHECK(GC_do_blocking(wait_for_byte, arg) == arg);
    CHECK(GC_do_blocking(block_and_call, arg) == arg);
    found = own;
    return NULL;
}

static void
blocking(void)
{
    pthread_t thread;
    CHECK(pipe(pipe_ends) == 0);
    CHECK(GC_pthread_create(&thread, NULL, block, &thread) == 0);
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 5; k++) {
            GC_gcollect();
            make_list(500);
        }
        CHECK(write(pipe_ends[1], "x", 1) == 1);
    }
    CHECK(GC_pthread_join(thread, NULL) == 0 && sum(found) == 4950);
}

/* ---- The lock, stacks, signals ---- */

static volatile int inside;
static int any;

static void *
alone(void *arg)
{
    CHECK(inside == 0);
    inside = 1;
    for (volatile int i = 0; i < 100; i++) {
    }
    inside = 0;
    return arg;
}

static void *
take_lock_often(void *arg)
{
    for (int i = 0; i < 2000; i++) {
        CHECK(GC_call_with_alloc_lock(alone, arg) == arg);
        GC_alloc_lock();
        alone(NULL);
        GC_alloc_unlock();
        GC_MALLOC(100);
    }
    return NULL;
}

static void *
with_base(struct GC_stack_base *base, void *arg)
{
    CHECK((char *)base->mem_base >= (char *)&arg);
    return arg;
}

static void
locks_and_stacks(void)
{
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        CHECK(GC_pthread_create(&threads[i], NULL, take_lock_often, &any) == 0);
    for (int i = 0; i < 2; i++)
        CHECK(GC_pthread_join(threads[i], NULL) == 0);
    CHECK(GC_call_with_stack_base(with_base, threads) == threads);
    struct GC_stack_base base;
    void *self = GC_get_my_stackbottom(&base);
    CHECK((char *)base.mem_base > (char *)&base);
    GC_set_stackbottom(self, &base);
    GC_gcollect();
}

static void *
block_signals(void *arg)
{
    sigset_t all;
    sigfillset(&all);
    CHECK(GC_pthread_sigmask(SIG_BLOCK, &all, NULL) == 0);
    while (!*(volatile int *)arg) {
    }
    return NULL;
}

static void
blocked_signals(void)
{
    static volatile int stop;
    pthread_t thread;
    CHECK(GC_pthread_create(&thread, NULL, block_signals, (void *)&stop) == 0);
    for (int i = 0; i < 20; i++)
        GC_gcollect();
    stop = 1;
    CHECK(GC_pthread_join(thread, NULL) == 0);
}

static void *
sleep_long(void *arg)
{
    for (;;)
        sleep(1000); /* a stop's signal ends it early */
    return arg;
}

static void *
sleep_blocking(void *arg)
{
    GC_do_blocking(sleep_long, arg);
    return arg;
}

static void
cancelled(void)
{
    for (int i = 0; i < 2; i++) {
        pthread_t thread;
        void *result = NULL;
        CHECK(GC_pthread_create(&thread, NULL, i ? sleep_blocking : sleep_long, NULL) == 0);
        GC_gcollect();
        CHECK(GC_pthread_cancel(thread) == 0);
        CHECK(GC_pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED);
        GC_gcollect();
    }
    pthread_t thread;
    CHECK(GC_pthread_create(&thread, NULL, take_lock_often, &any) == 0);
    CHECK(GC_pthread_detach(thread) == 0);
}

static void
forked(void)
{
    struct list *own = make_list(100);
    for (int i = 0; i < 3; i++) {
        pid_t child = fork();
        if (child == 0) {
            GC_gcollect();
            _exit(sum(make_list(20)) == 190 && sum(own) == 4950 ? 0 : 1);
        }
        int status = 1;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
}

int
main(void)
{
    GC_set_handle_fork(1);
    GC_INIT();
    made_here();
    made_elsewhere();
    blocking();
    locks_and_stacks();
    blocked_signals();
    cancelled();
    forked();
    return 0;
}
