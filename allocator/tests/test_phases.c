/*
 * What may happen to a program in the middle of a collection, in each of its phases: threads end,
 * the process forks, signals arrive all the time, libraries come and go, stacks are deep.
 * SH_STRESS_DELAY makes the phases long enough to be met; a stop is held until it was.
 */
/* libs: -ldl */
#include "loaded.h"
#include "tree.h"

#include "collector/cycle.h"
#include "collector/stress.h"
#include "collector/sweep.h"
#include "collector/verify.h"
#include "collector/world.h"

#include <sched.h>
#include <sys/time.h>

static struct outcome out;
static _Atomic bool stop;

/* ---- Phases, as the program can see them ---- */

/* STOPPING: the thread is asked to stop, for the end of marking, and has not yet done so. The last
   two are stops, in which only a thread in a blocking region does anything. */
enum { RESTING, MARKING, SWEEPING, STOPPING, STOPPED_TO_BEGIN, STOPPED_TO_END, PHASES };
static const char *const phase_names[PHASES] = {
    "resting", "marking", "sweeping", "stopping", "stopped to begin", "stopped to end",
};

static unsigned
phase_now(void)
{
    if (cycle_is_marking())
        return MARKING;
    return sweep_is_pending() ? SWEEPING : RESTING;
}

/* Of the thread that stops the world, at an edge. */
static unsigned
stop_now(void)
{
    uint32_t phase = atomic_load(&cycle.phase);
    if (!atomic_load(&world.stopping))
        return RESTING;
    if (phase == PHASE_MARK_TERMINATION)
        return STOPPED_TO_END;
    if (phase == PHASE_MARK)
        return STOPPING;
    return atomic_load(&heap_marking) ? STOPPED_TO_BEGIN : RESTING;
}

static _Atomic unsigned wanted;      /* the stop that is to be held; RESTING: none */
static _Atomic bool held, begun;     /* it is; what is tested has begun */
static _Atomic unsigned met[PHASES]; /* stops in which it had begun */

/* In a stop, whether somebody waits for its end: to run, or for the lock. */
static bool
is_waited_for(uint32_t acks)
{
    return atomic_load(&world.acks) != acks || atomic_load(&world.cycle_lock.state) == 2;
}

/* By the thread that stops the world: a signal of an earlier stop may come late, and stops a thread
   that is only being asked. */
static bool
nobody_runs(void)
{
    for (struct thread *t = world.threads; t != NULL; t = t->next)
        if (atomic_load(&t->state) == THREAD_RUNNING)
            return false;
    return true;
}

/* By the thread that stops the world, until another is in the middle of what is tested. */
static void
hold_stop(void)
{
    unsigned now = stop_now();
    if (now == RESTING || now != atomic_load(&wanted))
        return;
    uint32_t acks = atomic_load(&world.acks);
    atomic_store(&held, true);
    while (!atomic_load(&begun) || (now != STOPPING && !is_waited_for(acks))) {
        if (now == STOPPING && nobody_runs())
            break;
        sched_yield();
    }
    atomic_fetch_add(&met[now], atomic_load(&begun));
    atomic_store(&held, atomic_load(&begun));
    atomic_store(&wanted, RESTING);
}

/* Tries for a while to be in a phase, and waits for a stop until there is one, which is then held;
   if the world is to stand still, in a blocking region. Returns where it is, as far as one can
   know. */
static unsigned
meet_phase(unsigned phase)
{
    if (phase < STOPPING) {
        unsigned now = phase_now();
        for (int i = 0; i < 200000 && now != phase; i++)
            now = phase_now();
        return now;
    }
    while (atomic_load(&wanted) != RESTING) /* the last one is about to be let go */
        sched_yield();
    if (phase > STOPPING)
        sh_blocking_begin();
    atomic_store(&held, false);
    atomic_store(&begun, false);
    atomic_store(&wanted, phase);
    while (!atomic_load(&held)) {
        sched_yield();
        if (!atomic_load(&held) && atomic_load(&wanted) == RESTING)
            atomic_store(&wanted, phase); /* that one was missed: another */
    }
    return phase;
}

static void
say_begun(void)
{
    atomic_store(&begun, true);
}

static void
leave_phase(unsigned phase)
{
    say_begun();
    if (phase > STOPPING)
        sh_blocking_end();
}

static void *
collect_for_ever(void *arg)
{
    struct node *tree = tree_build(5, 9);
    while (!atomic_load(&stop)) {
        for (int i = 0; i < 100; i++)
            tree_build((uint64_t)i, 4);
        sh_collect();
        tree_check(tree, 5, 9);
    }
    return arg;
}

static pthread_t collector_thread;

static void
begin_collections(void)
{
    stress_at_edge = hold_stop;
    need(sh_thread_create(&collector_thread, NULL, collect_for_ever, NULL) == 0, "a thread");
}

static void
end_collections(void)
{
    atomic_store(&stop, true);
    sh_thread_join(collector_thread, NULL);
    verify_now();
}

static void
need_all_phases(unsigned seen[PHASES])
{
    for (unsigned phase = 0; phase < PHASES; phase++) {
        if (phase >= STOPPING)
            seen[phase] = atomic_load(&met[phase]);
        if (seen[phase] == 0)
            fprintf(stderr, "never while %s\n", phase_names[phase]);
        need(seen[phase] > 0, "each phase was met");
    }
}

/* ---- Threads that end ---- */

enum { RETURN, EXIT, CANCEL, WAYS };
static _Atomic unsigned ended_in[PHASES];
static pthread_key_t end_key;

struct end {
    unsigned way, phase;
    struct node *tree;
};

/* The destructor of a key: the thread is ending. */
static void
note_end(void *arg)
{
    (void)arg;
    say_begun();
}

static void
leave_cancelled(void *phase)
{
    leave_phase(*(unsigned *)phase);
}

static void
be_cancelled(unsigned phase)
{
    pthread_cleanup_push(leave_cancelled, &phase);
    pthread_cancel(pthread_self());
    for (;;)
        pthread_testcancel();
    pthread_cleanup_pop(0);
}

/* In a stop it begins to end when it leaves the blocking region; else its end says so itself. */
static void *
end_in_phase(void *arg)
{
    struct end *e = arg;
    struct node *own = tree_build(e->phase, 3);
    tree_check(e->tree, 1, 3);
    pthread_setspecific(end_key, &end_key);
    unsigned phase = meet_phase(e->phase);
    tree_check(own, e->phase, 3);
    atomic_fetch_add(&ended_in[phase], 1);
    if (e->way == CANCEL)
        be_cancelled(phase);
    if (phase > STOPPING)
        leave_phase(phase);
    if (e->way == EXIT)
        sh_thread_exit(own);
    return own;
}

static void
end_threads(void)
{
    unsigned seen[PHASES];
    need(pthread_key_create(&end_key, note_end) == 0, "a key");
    begin_collections();
    for (unsigned i = 0; i < (UNDER_ASAN ? 120 : 400); i++) {
        struct end *e = sh_alloc(sizeof *e);
        pthread_t thread;
        void *result = NULL;
        e->way = i % WAYS;
        e->phase = i / WAYS % PHASES;
        sh_store(&e->tree, tree_build(1, 3));
        need(sh_thread_create(&thread, NULL, end_in_phase, e) == 0, "a thread");
        need(sh_thread_join(thread, &result) == 0, "it is joined");
        if (i % WAYS == CANCEL)
            need(result == PTHREAD_CANCELED, "it was cancelled");
        else
            tree_check(result, i / WAYS % PHASES, 3);
    }
    end_collections();
    for (unsigned i = 0; i < PHASES; i++)
        seen[i] = atomic_load(&ended_in[i]);
    need_all_phases(seen);
}

/* ---- Forks ---- */

static void
live_in_child(const struct node *tree)
{
    atomic_store(&stop, true);
    alarm(60);
    tree_check(tree, 2, 6);
    for (int i = 0; i < 3; i++) {
        tree_build((uint64_t)i, 8);
        sh_collect();
        verify_now();
    }
    tree_check(tree, 2, 6);
    _exit(0);
}

static void
fork_in_phases(void)
{
    unsigned seen[PHASES] = {0};
    const struct node *tree = tree_build(2, 6);
    need(pthread_atfork(say_begun, NULL, NULL) == 0, "it runs before the library's own");
    begin_collections();
    for (unsigned i = 0; i < (UNDER_ASAN ? 40 : 120); i++) {
        unsigned phase = meet_phase(i % PHASES);
        seen[phase]++;
        pid_t child = fork();
        int status = 1;
        leave_phase(phase);
        if (child == 0)
            live_in_child(tree);
        need(waitpid(child, &status, 0) == child && status == 0, "the child's heap is whole");
        tree_check(tree, 2, 6);
    }
    end_collections();
    need_all_phases(seen);
}

/* ---- Signals ---- */

enum { SIGNALS = 3000 };
static _Atomic unsigned long signals;
static void *shared_object;

/* Holds pointers, and may be stopped anywhere. */
static void
on_signal(int number)
{
    (void)number;
    void *volatile local = shared_object;
    atomic_fetch_add(&signals, 1);
    for (volatile int i = 0; i < 200; i++) {
    }
    (void)local;
}

static void *
work_under_fire(void *arg)
{
    struct rng rng = {(uintptr_t)arg};
    struct node *trees[6] = {NULL};
    stack_t stack = {.ss_size = 65536, .ss_sp = malloc(65536)};
    if ((uintptr_t)arg % 2 == 0)
        sigaltstack(&stack, NULL);
    for (unsigned i = 0; !atomic_load(&stop); i++) {
        size_t at = rng_below(&rng, COUNT_OF(trees));
        if (trees[at] != NULL)
            tree_check(trees[at], trees[at]->seed, trees[at]->depth);
        trees[at] = tree_build(rng_next(&rng), (uint32_t)rng_below(&rng, 6));
        if (i % 50 == 0)
            sh_collect();
    }
    stack.ss_flags = SS_DISABLE;
    sigaltstack(&stack, NULL);
    free(stack.ss_sp);
    return NULL;
}

static void *
fire(void *threads)
{
    while (!atomic_load(&stop))
        for (unsigned i = 0; i < 3; i++) {
            pthread_kill(((pthread_t *)threads)[i], SIGUSR1);
            sched_yield();
        }
    return NULL;
}

/* Signals from a timer and from another thread, to all; handlers on both kinds of stacks. */
static void
storm_of_signals(void)
{
    struct sigaction action = {.sa_flags = SA_ONSTACK | SA_RESTART};
    struct itimerval often = {{0, 200}, {0, 200}};
    static pthread_t threads[3];
    pthread_t gun;
    shared_object = sh_alloc(64);
    action.sa_handler = on_signal;
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGPROF, &action, NULL);
    for (uintptr_t i = 0; i < 3; i++)
        need(sh_thread_create(&threads[i], NULL, work_under_fire, (void *)(i + 1)) == 0, "one");
    setitimer(ITIMER_PROF, &often, NULL);
    need(sh_thread_create(&gun, NULL, fire, threads) == 0, "a thread");
    while (atomic_load(&signals) < SIGNALS)
        sched_yield();
    atomic_store(&stop, true);
    sh_thread_join(gun, NULL); /* first: the others' names end with them */
    for (unsigned i = 0; i < 3; i++)
        sh_thread_join(threads[i], NULL);
    setitimer(ITIMER_PROF, &(struct itimerval){{0, 0}, {0, 0}}, NULL);
    verify_now();
}

/* ---- Libraries ---- */

static void
load_and_unload(void)
{
    begin_collections();
    for (unsigned i = 0; i < 60; i++) {
        void *library = dlopen(getenv("LIBRARY"), RTLD_NOW);
        void **(*slot)(void);
        need(library != NULL, "the library is loaded");
        *(void **)&slot = dlsym(library, "slot");
        *slot() = tree_build(i, 3);
        meet_phase(i % STOPPED_TO_BEGIN);
        say_begun();
        sh_collect();
        tree_check(*slot(), i, 3);
        meet_phase(i / STOPPED_TO_BEGIN % STOPPED_TO_BEGIN);
        say_begun();
        need(dlclose(library) == 0, "it goes");
    }
    end_collections();
}

static NOINLINE uintptr_t
hold_in(void **slot)
{
    *slot = fresh_object(300);
    return hide(*slot);
}

/* ---- Deep stacks ---- */

enum { DEPTH = 60000 };

/* An object in each frame, found by nobody else. */
static NOINLINE unsigned
descend(unsigned depth)
{
    uint64_t *own = sh_alloc_noscan(16 + depth % 5 * 16);
    *own = depth;
    if (depth == DEPTH)
        collect();
    unsigned below = depth < DEPTH ? descend(depth + 1) : 0;
    need(*own == depth, "an object of a deep stack is alive");
    SH_KEEP_ALIVE(own);
    return below + 1;
}

static void *
start_descending(void *arg)
{
    need(descend(1) == DEPTH, "all frames have returned");
    return arg;
}

static void
recurse(void)
{
    pthread_t thread;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, (size_t)64 << 20);
    begin_collections();
    need(sh_thread_create(&thread, &attr, start_descending, NULL) == 0, "a thread");
    sh_thread_join(thread, NULL);
    end_collections();
}

static NOINLINE unsigned
descend_for_ever(volatile char *above)
{
    volatile char here[512];
    here[0] = *above;
    return descend_for_ever(here) + (unsigned char)here[0];
}

static void *
run_over(void *arg)
{
    char top = 1;
    descend_for_ever(&top);
    return arg;
}

/* The end of the stack while others collect: the end of the program, as of any. */
static void
recurse_too_deep(void)
{
    pthread_t thread;
    begin_collections();
    need(sh_thread_create(&thread, NULL, run_over, NULL) == 0, "a thread");
    sh_thread_join(thread, NULL);
}

/* ---- The tests ---- */

static const char *const slowly[] = {"SH_STRESS_DELAY=300", "SH_CLOBBER=1", NULL};
/* Nobody but the threads of the test: who waits for the end of a stop is the one that is meant. */
static const char *const alone[] = {"SH_STRESS_DELAY=300", "SH_CLOBBER=1", "SH_WORKERS=0", NULL};

static void
expect_good(const char *part, const char *const *environment)
{
    run_anew(&out, part, environment);
    assert_success(&out);
}

static void
test_threads_end_in_every_phase(void **state)
{
    (void)state;
    expect_good("end threads", slowly);
    expect_good("end threads", alone);
}

static void
test_fork_in_every_phase_leaves_a_whole_heap(void **state)
{
    (void)state;
    expect_good("fork", slowly);
    expect_good("fork", alone);
}

static void
test_storm_of_signals_loses_nothing(void **state)
{
    (void)state;
    expect_good("signals", (const char *const[]){"SH_CLOBBER=1", NULL});
    expect_good("signals", slowly);
}

static void
test_libraries_come_and_go_in_all_phases_that_run(void **state)
{
    (void)state;
    char library[PATH_MAX + 8];
    snprintf(library, sizeof library, "LIBRARY=%s",
             build_library("many.so",
                           "static void *data[20000]; void **slot(void) { return &data[19999]; }"));
    expect_good("libraries", (const char *const[]){library, slowly[0], slowly[1], NULL});
}

static void
test_root_of_a_closed_library_holds_nothing(void **state)
{
    (void)state;
    void *library =
        dlopen(build_library("closed.so", "static void *data; void **slot(void) { return &data; }"),
               RTLD_NOW);
    void **(*slot)(void);
    assert_non_null(library);
    *(void **)&slot = dlsym(library, "slot");
    uintptr_t hidden = hold_in(slot());
    collect();
    assert_true(is_alive(hidden));
    assert_int_equal(dlclose(library), 0);
    collect();
    assert_false(is_alive(hidden));
}

static void
test_objects_of_a_deep_recursion_are_alive(void **state)
{
    (void)state;
    expect_good("recurse", slowly);
}

static void
test_end_of_a_stack_ends_the_program_and_hangs_nobody(void **state)
{
    (void)state;
    run_anew(&out, "recurse too deep", NULL);
    assert_int_equal(out.code, UNDER_ASAN ? 99 : 128 + SIGSEGV);
}

static const struct program_part parts[] = {
    {"end threads", end_threads},  {"fork", fork_in_phases},
    {"signals", storm_of_signals}, {"libraries", load_and_unload},
    {"recurse", recurse},          {"recurse too deep", recurse_too_deep},
};

int
main(int argc, char **argv)
{
    if (argc > 1)
        return run_part(parts, COUNT_OF(parts), argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_end_in_every_phase),
        cmocka_unit_test(test_fork_in_every_phase_leaves_a_whole_heap),
        cmocka_unit_test(test_storm_of_signals_loses_nothing),
        cmocka_unit_test(test_libraries_come_and_go_in_all_phases_that_run),
        cmocka_unit_test(test_root_of_a_closed_library_holds_nothing),
        cmocka_unit_test(test_objects_of_a_deep_recursion_are_alive),
        cmocka_unit_test(test_end_of_a_stack_ends_the_program_and_hangs_nobody),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
