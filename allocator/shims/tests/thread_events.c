/* What a program is told of its threads: which of them a collection stops, and lets go. And what
   cannot be set any more. */
#define GC_THREADS
#include "check.h"

#include <gc/gc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

enum { THREADS = 3, COLLECTIONS = 20 };

static pthread_t threads[THREADS], blocked, self;
static int suspended[THREADS], resumed[THREADS], strangers;
static volatile int running, end;

static void
note(GC_EventType event, void *thread)
{
    int *row = event == GC_EVENT_THREAD_SUSPENDED ? suspended : resumed;
    if (event != GC_EVENT_THREAD_SUSPENDED && event != GC_EVENT_THREAD_UNSUSPENDED)
        strangers++;
    for (int i = 0; i < THREADS; i++) {
        if ((void *)threads[i] != thread)
            continue;
        row[i]++;
        return;
    }
    strangers++; /* the main thread, or the one that blocks */
}

static void *
spin(void *arg)
{
    __atomic_fetch_add(&running, 1, __ATOMIC_SEQ_CST);
    while (!end)
        *(void *volatile *)GC_MALLOC(16) = arg;
    return NULL;
}

static int pipe_ends[2];

static void *
wait_for_byte(void *arg)
{
    char c;
    __atomic_fetch_add(&running, 1, __ATOMIC_SEQ_CST);
    CHECK(read(pipe_ends[0], &c, 1) == 1);
    return arg;
}

static void *
block(void *arg)
{
    return GC_do_blocking(wait_for_byte, arg);
}

static void
told_of_threads(void)
{
    CHECK(pipe(pipe_ends) == 0);
    self = pthread_self();
    CHECK(pthread_create(&blocked, NULL, block, NULL) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, spin, NULL) == 0);
    while (running < THREADS + 1)
        sched_yield();
    GC_disable(); /* so that nobody else collects */
    GC_set_on_thread_event(note);
    GC_enable();
    CHECK(GC_get_on_thread_event() == note);
    for (int i = 0; i < COLLECTIONS; i++)
        GC_gcollect();
    GC_set_on_thread_event(NULL);
    GC_gcollect();
    for (int i = 0; i < THREADS; i++)
        CHECK(suspended[i] >= 1 && suspended[i] == resumed[i]);
    end = 1;
    CHECK(write(pipe_ends[1], "x", 1) == 1);
    CHECK(pthread_join(blocked, NULL) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
}

/* Once the heap is there, the signals stay. */
static void
signals_stay(void)
{
    int stop = GC_get_suspend_signal(), restart = GC_get_thr_restart_signal();
    CHECK(stop > 0 && restart > 0 && stop != restart);
    GC_set_suspend_signal(SIGUSR1);
    GC_set_thr_restart_signal(SIGUSR2);
    CHECK(GC_get_suspend_signal() == stop && GC_get_thr_restart_signal() == restart);
}

static void *
leave(void *arg)
{
    GC_pthread_exit(arg);
    return NULL;
}

static void
exits(void)
{
    static int value;
    pthread_t thread;
    void *result = NULL;
    CHECK(pthread_create(&thread, NULL, leave, &value) == 0);
    CHECK(pthread_join(thread, &result) == 0 && result == &value);
}

int
main(void)
{
    GC_INIT();
    signals_stay();
    exits();
    told_of_threads();
    return 0;
}
