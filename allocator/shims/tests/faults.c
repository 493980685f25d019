/* What may happen to a program that collects: signals all the time, on alternate stacks too,
   libraries that come and go with roots in them, deep recursion. (Boehm's library does not look at
   the ordinary stack of a thread that it finds on its alternate one.) */
#define GC_THREADS
#include "list.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>

enum { THREADS = 3, SIGNALS = 3000, LOADS = 20, DEPTH = 40000, SIGNAL_STACK_B = 65536 };

/* ---- Signals ---- */

static _Atomic unsigned signals;
static _Atomic int stop;
static struct list *shared;

/* Holds a pointer, and may be stopped anywhere. */
static void
on_signal(int number)
{
    struct list *volatile local = shared;
    (void)number;
    atomic_fetch_add(&signals, 1);
    for (volatile int i = 0; i < 200; i++) {
    }
    (void)local;
}

static void *
work_under_fire(void *arg)
{
    stack_t stack = {.ss_size = SIGNAL_STACK_B, .ss_sp = malloc(SIGNAL_STACK_B)};
    if ((uintptr_t)arg % 2 == 0)
        CHECK(sigaltstack(&stack, NULL) == 0);
    for (int i = 0; !atomic_load(&stop); i++) {
        struct list *l = make_list(50);
        if (i % 50 == 0)
            GC_gcollect();
        CHECK(sum(l) == 1225);
    }
    stack.ss_flags = SS_DISABLE;
    sigaltstack(&stack, NULL);
    free(stack.ss_sp);
    return NULL;
}

/* From a timer and from another thread, to all, on both kinds of stacks. */
static void
storm(void)
{
    struct sigaction action = {.sa_flags = SA_ONSTACK | SA_RESTART};
    struct itimerval often = {{0, 200}, {0, 200}}, never = {{0, 0}, {0, 0}};
    pthread_t threads[THREADS];
    action.sa_handler = on_signal;
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGPROF, &action, NULL);
    shared = make_list(10);
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, work_under_fire, (void *)i) == 0);
    setitimer(ITIMER_PROF, &often, NULL);
    for (unsigned i = 0; atomic_load(&signals) < SIGNALS; i++) {
        pthread_kill(threads[i % THREADS], SIGUSR1);
        sched_yield();
    }
    atomic_store(&stop, 1);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    setitimer(ITIMER_PROF, &never, NULL);
    CHECK(sum(shared) == 45);
}

/* ---- Libraries ---- */

static GC_hidden_pointer links[LOADS];
static int loads;

static void
load_and_unload(void)
{
    void *library = dlopen(getenv("LIBRARY"), RTLD_NOW);
    struct list **(*slot)(void);
    CHECK(library != NULL);
    *(void **)&slot = dlsym(library, "slot");
    *slot() = make_list(100);
    links[loads] = GC_HIDE_POINTER(*slot());
    GC_general_register_disappearing_link((void **)&links[loads], *slot());
    wipe_stack();
    GC_gcollect();
    CHECK(sum(*slot()) == 4950 && links[loads] != 0);
    CHECK(dlclose(library) == 0);
    loads++;
}

/* A root while it is loaded, and no longer. */
static void
libraries(void)
{
    while (loads < LOADS)
        far_away(load_and_unload);
    wipe_stack();
    GC_gcollect();
    GC_gcollect();
    CHECK(count_clear(links, LOADS) >= LOADS - LOADS / 5);
}

/* ---- Deep stacks ---- */

/* An object in each frame, found by nobody else. */
static __attribute__((noinline)) int
descend(int depth)
{
    int *own = GC_MALLOC_ATOMIC(16);
    *own = depth;
    if (depth == DEPTH)
        GC_gcollect();
    int below = depth < DEPTH ? descend(depth + 1) : 0;
    CHECK(*own == depth);
    return below + 1;
}

static void *
start_descending(void *arg)
{
    CHECK(descend(1) == DEPTH);
    return arg;
}

static void
recursion(void)
{
    pthread_t thread;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, (size_t)64 << 20);
    CHECK(pthread_create(&thread, &attr, start_descending, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

int
main(void)
{
    GC_INIT();
    storm();
    libraries();
    recursion();
    return 0;
}
