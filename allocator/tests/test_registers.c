/*
 * Objects that only a register, or a stack other than the ordinary one, holds: of the thread that
 * collects, of one that is blocked, of one that the signal stops, of one inside a signal handler.
 */
#include "check.h"

#include "collector/world.h"

#if defined(__x86_64__)

/* hold_REGISTER(call, hidden): REGISTER holds the object, nothing else does, while call() runs. */
#define DEFINE_HOLD(name)                                                                          \
    void hold_##name(void (*call)(void), uintptr_t hidden);                                        \
    __asm__(                                                                                       \
        ".text\n.type hold_" #name ", %function\nhold_" #name ":\n"                                \
        "push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n sub $8, %rsp\n"   \
        "mov %rdi, %rax\n not %rsi\n xor %edi, %edi\n"                                             \
        "xor %ebx, %ebx\n xor %ebp, %ebp\n xor %r12d, %r12d\n"                                     \
        "xor %r13d, %r13d\n xor %r14d, %r14d\n xor %r15d, %r15d\n"                                 \
        "mov %rsi, %" #name "\n xor %esi, %esi\n call *%rax\n"                                     \
        "add $8, %rsp\n pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n")

DEFINE_HOLD(rbx);
DEFINE_HOLD(rbp);
DEFINE_HOLD(r12);
DEFINE_HOLD(r13);
DEFINE_HOLD(r14);
DEFINE_HOLD(r15);

static uintptr_t hidden;

static void
make_hidden(void *unused)
{
    (void)unused;
    hidden = hide(fresh_object(500));
}

static void
new_object(void)
{
    run_elsewhere(make_hidden, NULL);
}

static void
assert_dead_now(void)
{
    collect();
    assert_false(is_alive(hidden));
}

static void
test_each_callee_saved_register_of_the_collecting_thread_is_a_root(void **state)
{
    (void)state;
    void (*const hold[])(void (*)(void), uintptr_t) = {hold_rbx, hold_rbp, hold_r12,
                                                       hold_r13, hold_r14, hold_r15};
    for (size_t n = 0; n < COUNT_OF(hold); n++) {
        new_object();
        hold[n](sh_collect, hidden);
        if (!is_alive(hidden))
            fail_msg("register %zu", n);
        assert_dead_now();
    }
}

/* A loop may leave nothing but its end pointer: in a register, the byte before it counts as well.
 */
static void
test_end_pointer_in_a_register_keeps_object(void **state)
{
    (void)state;
    size_t usable = sh_round_size(500);
    new_object();
    hold_r12(sh_collect, hidden - usable); /* hidden: the complement of one past the end */
    assert_true(is_alive(hidden));
    clear_stack();
    hold_r12(sh_collect, hidden - usable - 1);
    assert_false(is_alive(hidden));
    new_object();
    hold_r12(sh_collect, hidden + 1); /* one before the start */
    assert_false(is_alive(hidden));
}

/* A size that no other test uses, so that the objects of one type are alone in their span. */
struct leaf {
    void *pointer;
    long rest[49];
};

static const struct sh_type plain_leaf =
    SH_PLAIN_TYPE(struct leaf, SH_POINTER_AT(struct leaf, pointer));
static const struct sh_type leaf = SH_TYPE(struct leaf, SH_POINTER_AT(struct leaf, pointer));

static void
make_plain_leaf(void *unused)
{
    (void)unused;
    hidden = hide(sh_alloc_typed(&plain_leaf));
}

static void
make_leaf_array(void *type)
{
    hidden = hide(sh_alloc_array(type, 1));
}

static bool
is_kept_by_its_end(void)
{
    clear_stack();
    hold_r12(sh_collect, hidden - sh_round_size(sizeof(struct leaf)));
    return is_alive(hidden);
}

static void
test_end_pointer_keeps_no_object_of_a_plain_type(void **state)
{
    (void)state;
    run_elsewhere(make_plain_leaf, NULL);
    hold_r12(sh_collect, hidden - 8); /* inside */
    assert_true(is_alive(hidden));
    assert_false(is_kept_by_its_end());
}

static void
test_end_pointer_keeps_an_array_of_a_plain_type(void **state)
{
    (void)state;
    run_elsewhere(make_leaf_array, (void *)(uintptr_t)&plain_leaf);
    assert_true(is_kept_by_its_end());
    assert_dead_now();
    run_elsewhere(make_leaf_array, (void *)(uintptr_t)&leaf);
    assert_true(is_kept_by_its_end());
    assert_dead_now();
}

/* ---- A thread that is elsewhere ---- */

struct worker {
    pthread_t thread;
    _Atomic int stage; /* 1: it holds the object; 2: it may go on */
    void (*hold)(struct worker *w);
    bool with_alternate_stack;
};

static struct worker *the_worker; /* for the signal handlers */

static void
wait_stage(struct worker *w, int stage)
{
    while (atomic_load(&w->stage) < stage)
        sched_yield();
}

static void
set_alternate_stack(void *memory, size_t size)
{
    stack_t stack = {.ss_sp = memory, .ss_size = size, .ss_flags = memory == NULL ? SS_DISABLE : 0};
    if (sigaltstack(&stack, NULL) != 0)
        abort();
}

static void *
run_worker(void *arg)
{
    static char alternate[65536] __attribute__((aligned(16)));
    struct worker *w = arg;
    if (w->with_alternate_stack)
        set_alternate_stack(alternate, sizeof alternate);
    w->hold(w);
    if (w->with_alternate_stack) {
        set_alternate_stack(NULL, 0);
        memset(alternate, 0, sizeof alternate); /* it lies in a data segment */
    }
    return NULL;
}

static void
start_worker(struct worker *w)
{
    new_object();
    the_worker = w;
    assert_int_equal(sh_thread_create(&w->thread, NULL, run_worker, w), 0);
    wait_stage(w, 1);
}

static void
expect_held(void (*hold)(struct worker *w), bool with_alternate_stack)
{
    struct worker w = {.hold = hold, .with_alternate_stack = with_alternate_stack};
    start_worker(&w);
    collect();
    bool alive = is_alive(hidden);
    atomic_store(&w.stage, 2);
    sh_thread_join(w.thread, NULL);
    assert_true(alive);
    assert_dead_now();
}

static void
spin_with_general_register(struct worker *w)
{
    __asm__ volatile("mov %1, %%r8\n not %%r8\n movl $1, %0\n"
                     "1: cmpl $2, %0\n jne 1b\n xor %%r8d, %%r8d\n"
                     : "+m"(w->stage)
                     : "m"(hidden)
                     : "r8", "memory", "cc");
}

static void
spin_with_vector_register(struct worker *w)
{
    __asm__ volatile("mov %1, %%rax\n not %%rax\n movq %%rax, %%xmm7\n xor %%eax, %%eax\n"
                     "movl $1, %0\n 1: cmpl $2, %0\n jne 1b\n pxor %%xmm7, %%xmm7\n"
                     : "+m"(w->stage)
                     : "m"(hidden)
                     : "rax", "xmm7", "memory", "cc");
}

/* A leaf function may keep its locals below the stack pointer. */
static void
spin_with_red_zone(struct worker *w)
{
    __asm__ volatile("mov %1, %%rax\n not %%rax\n mov %%rax, -128(%%rsp)\n xor %%eax, %%eax\n"
                     "movl $1, %0\n 1: cmpl $2, %0\n jne 1b\n movq $0, -128(%%rsp)\n"
                     : "+m"(w->stage)
                     : "m"(hidden)
                     : "rax", "memory", "cc");
}

static void
test_general_register_of_a_running_thread_is_a_root(void **state)
{
    (void)state;
    expect_held(spin_with_general_register, false);
    expect_held(spin_with_general_register, true);
}

static void
test_vector_register_of_a_running_thread_is_a_root(void **state)
{
    (void)state;
    expect_held(spin_with_vector_register, false);
    expect_held(spin_with_vector_register, true);
}

static __attribute__((noinline)) void
call_red_zone(struct worker *w)
{
    spin_with_red_zone(w);
}

static void
test_red_zone_of_a_running_thread_is_a_root(void **state)
{
    (void)state;
    expect_held(call_red_zone, false);
    expect_held(call_red_zone, true);
}

/* ---- Signal handlers ---- */

static void
in_handler(int signal)
{
    (void)signal;
    spin_with_general_register(the_worker);
}

static void
in_handler_with_local(int signal)
{
    (void)signal;
    void *volatile local = (void *)~hidden;
    atomic_store(&the_worker->stage, 1);
    wait_stage(the_worker, 2);
    local = NULL;
    (void)local;
}

static void
collect_in_handler(int signal)
{
    (void)signal;
    void *volatile local = (void *)~hidden;
    collect();
    atomic_store(&the_worker->stage, is_alive(hidden) ? 3 : 4);
    local = NULL;
    (void)local;
}

static void
raise_with(void (*handler)(int))
{
    struct sigaction action = {.sa_flags = SA_ONSTACK};
    action.sa_handler = handler;
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
}

static void
raise_register(struct worker *w)
{
    (void)w;
    raise_with(in_handler);
}

static void
raise_local(struct worker *w)
{
    (void)w;
    raise_with(in_handler_with_local);
}

static void
spin_in_handler(int signal)
{
    (void)signal;
    atomic_store(&the_worker->stage, 1);
    wait_stage(the_worker, 2);
}

/* The interrupted frame, on the ordinary stack, holds the object; the handler does not. */
static void
raise_under_local(struct worker *w)
{
    (void)w;
    void *volatile local = (void *)~hidden;
    raise_with(spin_in_handler);
    local = NULL;
    (void)local;
}

static void
test_handler_on_an_alternate_stack_holds_its_objects(void **state)
{
    (void)state;
    expect_held(raise_register, true);
    expect_held(raise_local, true);
    expect_held(raise_local, false);
}

static void
test_ordinary_stack_is_a_root_while_a_handler_runs_on_another(void **state)
{
    (void)state;
    expect_held(raise_under_local, true);
}

static void
raise_collect(struct worker *w)
{
    (void)w;
    raise_with(collect_in_handler);
}

static void
test_handler_on_an_alternate_stack_may_collect(void **state)
{
    (void)state;
    struct worker w = {.hold = raise_collect, .with_alternate_stack = true};
    start_worker(&w);
    sh_thread_join(w.thread, NULL);
    assert_int_equal(atomic_load(&w.stage), 3);
    assert_dead_now();
}

/* ---- Blocked threads ---- */

static void
wait_until_blocked(void)
{
    for (bool blocked = false; !blocked; sched_yield()) {
        world_lock_safely(&world.lock);
        for (struct thread *t = world.threads; t != NULL; t = t->next)
            blocked = blocked || (t->blocking_depth > 0 && atomic_load(&t->state) == THREAD_SAFE);
        lock_drop(&world.lock);
    }
}

/* When hold_r12 has returned, only what sh_blocking_begin saved knows the object. */
static void
block_with_register(struct worker *w)
{
    hold_r12(sh_blocking_begin, hidden);
    atomic_store(&w->stage, 1);
    wait_stage(w, 2);
    sh_blocking_end();
}

static void
block_with_local(struct worker *w)
{
    register void *p __asm__("r13") = (void *)~hidden;
    __asm__ volatile("" : "+r"(p));
    sh_blocking_begin();
    atomic_store(&w->stage, 1);
    wait_stage(w, 2);
    sh_blocking_end();
    SH_KEEP_ALIVE(p);
}

static void
test_register_of_a_blocked_thread_is_a_root(void **state)
{
    (void)state;
    expect_held(block_with_register, false);
    expect_held(block_with_local, false);
}

static void
block_on_alternate(int signal)
{
    (void)signal;
    block_with_local(the_worker);
}

static void
raise_block(struct worker *w)
{
    (void)w;
    raise_with(block_on_alternate);
}

static void
test_thread_may_block_inside_a_handler(void **state)
{
    (void)state;
    struct worker w = {.hold = raise_block, .with_alternate_stack = true};
    start_worker(&w);
    wait_until_blocked();
    collect();
    bool alive = is_alive(hidden);
    atomic_store(&w.stage, 2);
    sh_thread_join(w.thread, NULL);
    assert_true(alive);
    assert_dead_now();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_callee_saved_register_of_the_collecting_thread_is_a_root),
        cmocka_unit_test(test_end_pointer_in_a_register_keeps_object),
        cmocka_unit_test(test_end_pointer_keeps_no_object_of_a_plain_type),
        cmocka_unit_test(test_end_pointer_keeps_an_array_of_a_plain_type),
        cmocka_unit_test(test_general_register_of_a_running_thread_is_a_root),
        cmocka_unit_test(test_vector_register_of_a_running_thread_is_a_root),
        cmocka_unit_test(test_red_zone_of_a_running_thread_is_a_root),
        cmocka_unit_test(test_handler_on_an_alternate_stack_holds_its_objects),
        cmocka_unit_test(test_ordinary_stack_is_a_root_while_a_handler_runs_on_another),
        cmocka_unit_test(test_handler_on_an_alternate_stack_may_collect),
        cmocka_unit_test(test_register_of_a_blocked_thread_is_a_root),
        cmocka_unit_test(test_thread_may_block_inside_a_handler),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else
/* The assembly above is for x86-64; elsewhere test_roots.c and test_threads.c cover what C can say.
 */
int
main(void)
{
    return 0;
}
#endif
