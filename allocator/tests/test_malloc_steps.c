/* needs-malloc */
/* run: native */
/*
 * The malloc that is preloaded, with another thread stopped between any two of its instructions:
 * while the process is forked, and while a span is given back that somebody frees in.
 *
 * The processor's trap flag raises SIGTRAP after each instruction. The handler counts, and holds
 * the thread where it is wanted; so the library needs nothing for it. On x86-64 only.
 */
#include "check.h"

#include <malloc.h>
#include <sched.h>
#include <ucontext.h>

static void *(*volatile allocate)(size_t) = malloc;
static void (*volatile release)(void *) = free;

/* ---- A thread that is stepped through an operation ---- */

#define TRAP_FLAG 0x100
#define PATIENCE 20000 /* turns; then who is about to fork waits for a lock of ours */

static struct {
    void (*operation)(void);
    size_t first, every; /* steps before the first hold, and between two holds; every 0: one hold */
    size_t steps;        /* until the next one */
    _Atomic bool stepping, held, forking, over;
} stepper;

static void
set_trap_flag(void *context, bool on)
{
#ifdef __x86_64__
    greg_t *flags = &((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL];
    *flags = on ? *flags | TRAP_FLAG : *flags & ~(greg_t)TRAP_FLAG;
#else
    (void)context, (void)on;
#endif
}

static void
begin_steps(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info;
    stepper.stepping = true;
    set_trap_flag(context, true);
}

static void
step(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info;
    if (!stepper.stepping) {
        set_trap_flag(context, false);
        return;
    }
    if (stepper.held || --stepper.steps > 0) /* held: the other one still waits for a lock */
        return;
    stepper.steps = stepper.every;
    stepper.stepping = stepper.every > 0;
    stepper.held = true;
    for (size_t turns = 0; stepper.held && (turns < PATIENCE || !stepper.forking); turns++)
        sched_yield();
}

/* From here on; called by the operation when it is ready. */
static void
begin_stepping(void)
{
    stepper.steps = stepper.first;
    raise(SIGUSR1);
}

static void *
be_stepped(void *unused)
{
    (void)unused;
    stepper.operation();
    stepper.stepping = false;
    stepper.over = true;
    return NULL;
}

static pthread_t
start_stepping(void (*operation)(void), size_t first, size_t every)
{
    pthread_t thread;
    struct sigaction begin = {.sa_sigaction = begin_steps, .sa_flags = SA_SIGINFO},
                     each = {.sa_sigaction = step, .sa_flags = SA_SIGINFO};
    need(sigaction(SIGUSR1, &begin, NULL) == 0 && sigaction(SIGTRAP, &each, NULL) == 0, "handlers");
    stepper.operation = operation;
    stepper.first = first;
    stepper.every = every;
    stepper.over = stepper.held = stepper.stepping = false;
    need(pthread_create(&thread, NULL, be_stepped, NULL) == 0, "a thread is made");
    return thread;
}

/* False: the operation is over. */
static bool
wait_until_held(void)
{
    while (!stepper.held && !stepper.over)
        sched_yield();
    return stepper.held;
}

static void
run_thread(void *(*run)(void *), void *arg)
{
    pthread_t thread;
    need(pthread_create(&thread, NULL, run, arg) == 0, "a thread is made");
    need(pthread_join(thread, NULL) == 0, "a thread is joined");
}

/* ---- Objects that know who they are ---- */

enum {
    SIZE = 48,
    FEW = 100,
    MANY = 500,
    ENOUGH = 10000, /* objects, more than there can be free slots */
    STRIDE = 199,   /* instructions between two forks, which are dear */
};

struct object {
    uint64_t words[SIZE / 8];
};

static struct object *
make(uint64_t name)
{
    struct object *o = allocate(sizeof *o);
    need(o != NULL, "there is memory");
    for (size_t i = 0; i < SIZE / 8; i++)
        o->words[i] = name + i;
    return o;
}

static void
end(struct object *o, uint64_t name)
{
    for (size_t i = 0; i < SIZE / 8; i++)
        need(o->words[i] == name + i, "an object is its owner's alone");
    release(o);
}

/* ---- fork while another thread is in the middle of it ---- */

static struct object *stable[MANY], *changing[2 * FEW], *of_main[FEW];
static volatile size_t freed; /* of the latter */

/* Magazines are emptied and filled, spans become full, partly free, and empty. */
static void
change_heap(void)
{
    for (size_t i = 0; i < FEW; i++)
        release(changing[i]);
    for (size_t i = FEW; i < 2 * FEW; i++)
        changing[i] = allocate(SIZE);
    for (freed = 0; freed < FEW; freed++)
        release(of_main[freed]);
}

static void
fill_and_change_heap(void)
{
    for (size_t i = 0; i < MANY; i++) {
        stable[i] = make(i * 100);
        if (i < FEW)
            changing[i] = make(7);
    }
    begin_stepping();
    change_heap();
}

static void *
take_and_give_back(void *unused)
{
    struct object *own[MANY];
    (void)unused;
    for (size_t i = 0; i < MANY; i++)
        own[i] = make(UINT64_C(1) << 32 | i * 100);
    for (size_t i = 0; i < MANY; i++)
        end(own[i], UINT64_C(1) << 32 | i * 100);
    return NULL;
}

static bool
is_of_main(const void *p)
{
    for (size_t i = 0; i < freed; i++)
        if (p == of_main[i])
            return true;
    return false;
}

/* The main thread's heap has not seen yet what the other thread freed of it. */
static void
find_freed_ones(void)
{
    size_t found = 0;
    for (size_t i = 0; i < ENOUGH && found < freed; i++)
        found += is_of_main(allocate(SIZE));
    need(found == freed, "what another has freed is used again");
}

/* The first thread gets the heap of the one that is not there. */
static void
work_in_child(void)
{
    find_freed_ones();
    run_thread(take_and_give_back, NULL);
    for (size_t i = 0; i < MANY; i++)
        end(stable[i], i * 100);
    run_thread(take_and_give_back, NULL);
    malloc_trim(0);
    take_and_give_back(NULL);
}

static void
fork_between_instructions(void)
{
    size_t forks = 0;
    for (size_t i = 0; i < FEW; i++)
        of_main[i] = make(9);
    pthread_t thread = start_stepping(fill_and_change_heap, 1, STRIDE);
    while (wait_until_held()) {
        stepper.forking = true;
        pid_t child = fork();
        stepper.forking = false;
        int status = 1;
        if (child == 0) {
            alarm(60);
            work_in_child();
            _exit(0);
        }
        need(waitpid(child, &status, 0) == child && status == 0, "the child has a whole heap");
        stepper.held = false;
        forks++;
    }
    need(pthread_join(thread, NULL) == 0, "the thread ends");
    fprintf(stderr, "%zu forks\n", forks);
    need(forks >= 30, "the operation is cut into many parts");
    for (size_t i = 0; i < MANY; i++)
        end(stable[i], i * 100);
}

/* ---- A span is given back while somebody frees in it ---- */

enum {
    LARGER = 1008, /* bytes: some 32 to a span */
    MAGAZINE = 8,  /* of such objects */
};

static unsigned char *row[FEW], *last;

static unsigned char *
make_larger(size_t i)
{
    return memset(allocate(LARGER), (int)i, LARGER);
}

static void
end_larger(unsigned char *p, size_t i)
{
    need(p[0] == (unsigned char)i && p[LARGER - 1] == (unsigned char)i, "nobody else has written");
    release(p);
}

/* The first ones bring their spans into the list of the other thread's heap. */
static void
free_odd_ones(void)
{
    for (size_t i = 1; i < FEW; i += 2)
        if (row[i] != last)
            end_larger(row[i], i);
    begin_stepping();
    release(last);
}

/* Looks into the list of what others have freed, and gives nothing back. */
static void
look_into_list(void)
{
    unsigned char *some[MAGAZINE + 1];
    for (size_t i = 0; i < COUNT_OF(some); i++)
        some[i] = make_larger(i);
    for (size_t i = 0; i < COUNT_OF(some); i++)
        end_larger(some[i], i);
}

/* The other thread frees the last object of a span. It is held after some instructions, and, if
   more > 0, once more after so many: meanwhile its heap's owner looks into the list, and gives the
   span back. used: the pages, and the span's record, are used again at once. */
static bool
give_back_beside_a_free(size_t steps, size_t more, bool used)
{
    void *others[FEW / 10];
    for (size_t i = 0; i < FEW; i++)
        row[i] = make_larger(i);
    last = row[FEW / 2 + 1];
    for (size_t i = 0; i < FEW; i += 2)
        end_larger(row[i], i);
    pthread_t thread = start_stepping(free_odd_ones, steps, more);
    bool held = wait_until_held();
    if (more > 0) {
        look_into_list();
        stepper.held = false;
        wait_until_held();
    }
    malloc_trim(0);
    for (size_t i = 0; i < COUNT_OF(others); i++)
        others[i] = used ? allocate(50000) : NULL;
    stepper.stepping = false;
    stepper.held = false;
    need(pthread_join(thread, NULL) == 0, "the thread ends");
    for (size_t i = 0; i < COUNT_OF(others); i++)
        release(others[i]);
    malloc_trim(0);
    return held;
}

static void
give_back_between_instructions(void)
{
    size_t steps = 1;
    for (; give_back_beside_a_free(steps, 0, false); steps++)
        give_back_beside_a_free(steps, 0, true);
    need(steps > 50, "the operation is that long");
    for (size_t more = 5; more <= 11; more += 3) /* a few are between two accesses */
        for (steps = 1; give_back_beside_a_free(steps, more, false); steps += 2)
            continue;
}

/* ---- The tests ---- */

static void
run_stepped(const char *part)
{
    static struct outcome out;
#ifndef __x86_64__
    skip();
#endif
    run_anew(&out, part, NULL);
    assert_success(&out);
}

static void
test_fork_between_any_two_instructions_leaves_a_whole_heap(void **state)
{
    (void)state;
    run_stepped("fork");
}

static void
test_span_is_not_given_back_under_who_frees_in_it(void **state)
{
    (void)state;
    run_stepped("give back");
}

int
main(int argc, char **argv)
{
    static const struct program_part parts[] = {
        {"fork", fork_between_instructions},
        {"give back", give_back_between_instructions},
    };
    if (argc > 1)
        return run_part(parts, COUNT_OF(parts), argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fork_between_any_two_instructions_leaves_a_whole_heap),
        cmocka_unit_test(test_span_is_not_given_back_under_who_frees_in_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
