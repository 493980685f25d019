/* Why is it alive: each kind of root. What lies between it and the object: test_explain_path.c. */
/* libs: -ldl */
#include "explain_check.h"
#include "loaded.h"

#include <spanheap/channel.h>
#include <spanheap/task.h>

#include <sys/mman.h>

/* What *slot holds, once nothing else does. */
static void
assert_root(void *slot, enum sh_root_kind kind, const char *symbol, size_t offset)
{
    run_elsewhere(make_node, slot);
    assert_int_equal(explain_at(0), SH_EXPLAIN_ALIVE);
    assert_int_equal(root.kind, kind);
    if (symbol != NULL) {
        assert_non_null(root.symbol);
        assert_string_equal(root.symbol, symbol);
    }
    assert_int_equal(root.offset, offset);
    assert_ptr_equal(root.address, slot);
    assert_false(root.past_end);
    assert_int_equal(nsteps, 1);
    assert_last_step_is_the_object();
    assert_ptr_equal(steps[0].type, &node_type);
    *(void *volatile *)slot = NULL;
    assert_int_equal(explain_at(0), SH_EXPLAIN_GARBAGE);
}

/* ---- Variables ---- */

static _Thread_local void *thread_slots[4];

static void
test_global_variable_is_named_with_the_offset(void **state)
{
    (void)state;
    assert_root(&registry.slot, SH_ROOT_GLOBAL, "registry", offsetof(typeof(registry), slot));
    assert_int_equal(root.kind, SH_ROOT_NONE); /* when it was garbage */
}

static void
test_thread_local_variable_is_named_with_its_thread(void **state)
{
    (void)state;
    run_elsewhere(make_node, &thread_slots[2]);
    assert_int_equal(explain_at(0), SH_EXPLAIN_ALIVE);
    assert_int_equal(root.thread, gettid());
    assert_root(&thread_slots[2], SH_ROOT_THREAD_LOCAL, "thread_slots", 2 * sizeof(void *));
}

static const char held_library[] =
    "static void *held[9]; static __thread void *own[9];"
    "void **held_slot(void) { return &held[7]; } void **own_slot(void) { return &own[5]; }";

static void
test_static_variables_of_a_loaded_library_are_named_with_its_file(void **state)
{
    (void)state;
    void *library = dlopen(build_library("held.so", held_library), RTLD_NOW);
    void **(*slot)(void);
    assert_non_null(library);
    *(void **)&slot = dlsym(library, "held_slot");
    run_elsewhere(make_node, slot());
    assert_int_equal(explain_at(0), SH_EXPLAIN_ALIVE);
    assert_string_equal(root.file, in_folder("held.so"));
    assert_root(slot(), SH_ROOT_GLOBAL, "held", 7 * sizeof(void *));
    *(void **)&slot = dlsym(library, "own_slot");
    assert_root(slot(), SH_ROOT_THREAD_LOCAL, "own", 5 * sizeof(void *));
    dlclose(library);
}

static NOINLINE void
set_key(pthread_key_t key)
{
    struct node *n = sh_alloc_typed(&node_type);
    hidden = hide(n);
    pthread_setspecific(key, n);
}

static void
test_pthread_key_is_told_by_its_number(void **state)
{
    (void)state;
    pthread_key_t keys[40];
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        pthread_key_create(&keys[i], NULL);
    for (size_t i = 0; i < COUNT_OF(keys); i += 39) {
        set_key(keys[i]);
        clear_stack();
        assert_int_equal(explain_at(0), SH_EXPLAIN_ALIVE);
        assert_int_equal(root.kind, SH_ROOT_KEY);
        assert_int_equal(root.key, keys[i]);
        assert_int_equal(root.thread, gettid());
    }
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        pthread_key_delete(keys[i]);
}

static void
test_registered_range_is_told_with_the_offset(void **state)
{
    (void)state;
    void **outside = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    sh_roots_add(outside, 64);
    assert_root(&outside[3], SH_ROOT_RANGE, NULL, 3 * sizeof(void *));
    run_elsewhere(make_node, &outside[3]);
    explain_at(0);
    assert_ptr_equal(root.range, outside);
    sh_roots_remove(outside);
    munmap(outside, 4096);
}

/* ---- Stacks ---- */

static _Atomic int stage;

static void
wait_stage(int wanted)
{
    while (atomic_load(&stage) < wanted)
        usleep(100);
}

static NOINLINE void
sit_with_node(bool blocking)
{
    struct node *volatile held;
    make_node((void *)&held);
    clear_stack();
    if (blocking)
        sh_blocking_begin();
    atomic_store(&stage, 1);
    wait_stage(2);
    if (blocking)
        sh_blocking_end();
    SH_KEEP_ALIVE(held);
}

static NOINLINE void *
sit(void *arg)
{
    sit_with_node(arg != NULL);
    return NULL;
}

static void
assert_stack_of_another_thread(bool blocking)
{
    pthread_t thread;
    atomic_store(&stage, 0);
    assert_int_equal(sh_thread_create(&thread, NULL, sit, blocking ? &stage : NULL), 0);
    wait_stage(1);
    enum sh_explained result = explain_at(8);
    atomic_store(&stage, 2);
    sh_thread_join(thread, NULL);
    assert_int_equal(result, SH_EXPLAIN_ALIVE);
    assert_int_equal(root.kind, SH_ROOT_STACK);
    assert_int_not_equal(root.thread, gettid());
    assert_false(root.caller);
    assert_non_null(root.symbol);
    assert_string_equal(root.symbol, "sit_with_node");
    assert_int_equal(steps[0].offset, 8);
}

static void
test_stack_word_of_another_thread_is_told_with_its_function(void **state)
{
    (void)state;
    assert_stack_of_another_thread(false);
    assert_stack_of_another_thread(true);
}

#if defined(__x86_64__)
static NOINLINE void *
spin_with_register(void *arg)
{
    (void)arg;
    struct node *n = sh_alloc_typed(&node_type);
    hidden = hide(n);
    register void *r14 __asm__("r14") = n;
    n = NULL;
    __asm__ volatile("" : "+r"(r14));
    clear_stack();
    __asm__ volatile("" : "+r"(r14));
    /* No call from here on, so that the word stays where it is. */
    __asm__ volatile("movl $1, %0\n1: cmpl $2, %0\n jne 1b" : "+m"(stage) : "r"(r14) : "memory");
    return NULL;
}

static void
test_register_of_a_running_thread_is_told(void **state)
{
    (void)state;
    pthread_t thread;
    atomic_store(&stage, 0);
    assert_int_equal(sh_thread_create(&thread, NULL, spin_with_register, NULL), 0);
    wait_stage(1);
    enum sh_explained result = explain_at(0);
    atomic_store(&stage, 2);
    sh_thread_join(thread, NULL);
    assert_int_equal(result, SH_EXPLAIN_ALIVE);
    assert_true(root.kind == SH_ROOT_REGISTER || root.kind == SH_ROOT_STACK);
    assert_string_equal(root.symbol, "spin_with_register");
}
#else
static void
test_register_of_a_running_thread_is_told(void **state)
{
    (void)state;
    skip();
}
#endif

static NOINLINE void *
sit_with_end(void *arg)
{
    char *volatile end = sh_alloc(192);
    hidden = hide(end);
    end += 192;
    clear_stack();
    atomic_store(&stage, 1);
    wait_stage(2);
    SH_KEEP_ALIVE(end);
    return arg;
}

static void
test_word_just_past_an_object_is_said_to_be_one(void **state)
{
    (void)state;
    pthread_t thread;
    atomic_store(&stage, 0);
    assert_int_equal(sh_thread_create(&thread, NULL, sit_with_end, NULL), 0);
    wait_stage(1);
    enum sh_explained result = explain_at(0);
    atomic_store(&stage, 2);
    sh_thread_join(thread, NULL);
    assert_int_equal(result, SH_EXPLAIN_ALIVE);
    assert_true(root.past_end);
    assert_string_equal(root.symbol, "sit_with_end");
}

static NOINLINE void
hold_alone(void)
{
    struct node *volatile held;
    make_node((void *)&held);
    clear_stack();
    assert_int_equal(explain_at(0), SH_EXPLAIN_ALIVE);
    assert_true(root.caller);
    assert_true(root.kind == SH_ROOT_STACK || root.kind == SH_ROOT_REGISTER);
    assert_int_equal(root.thread, gettid());
    registry.slot = held;
    assert_int_equal(explain_at(0), SH_EXPLAIN_ALIVE);
    assert_int_equal(root.kind, SH_ROOT_GLOBAL);
    registry.slot = NULL;
}

static void
test_callers_own_word_is_told_only_if_there_is_no_other(void **state)
{
    (void)state;
    hold_alone();
}

/* The question has the address in a register and in the library's frames. */
static void
test_question_itself_is_no_root(void **state)
{
    (void)state;
    void *slot = NULL;
    run_elsewhere(make_node, &slot);
    slot = NULL;
    clear_stack();
    for (int i = 0; i < 3; i++)
        assert_int_equal(explain_at(0), SH_EXPLAIN_GARBAGE);
    assert_int_equal(nsteps, 1);
    assert_last_step_is_the_object();
    collect();
    assert_int_equal(explain_at(0), SH_EXPLAIN_FREE);
}

static NOINLINE void *
return_node(void *arg)
{
    (void)arg;
    void *n;
    make_node(&n);
    return n;
}

static void
test_result_of_a_thread_that_is_not_joined_is_told(void **state)
{
    (void)state;
    pthread_t thread;
    assert_int_equal(sh_thread_create(&thread, NULL, return_node, NULL), 0);
    for (root.kind = SH_ROOT_NONE; root.kind != SH_ROOT_THREAD_RESULT; usleep(100))
        explain_at(0); /* until the thread has ended */
    assert_last_step_is_the_object();
    sh_thread_join(thread, NULL);
}

/* ---- Tasks ---- */

static struct sh_channel *channel;
static const struct sh_type int_type = {"int", sizeof(int), NULL, 0};
static _Atomic bool asked;

static NOINLINE void
park_with_node(void *arg)
{
    (void)arg;
    struct node *volatile held;
    make_node((void *)&held);
    clear_stack();
    atomic_store(&stage, 1);
    sh_channel_receive(channel, NULL);
    SH_KEEP_ALIVE(held);
}

static void
ask_in_task(void *arg)
{
    (void)arg;
    while (sh_tasks_read(0, NULL, 0) < 2)
        sh_task_yield();
    explain_at(0);
    atomic_store(&asked, true);
}

static void
test_stack_of_a_parked_task_is_told_with_its_number(void **state)
{
    (void)state;
    channel = sh_channel_make(&int_type, 0);
    atomic_store(&stage, 0);
    uint64_t number = sh_task_start(park_with_node, NULL);
    wait_stage(1);
    struct sh_task_info info = {0};
    while (sh_tasks_read(number - 1, &info, 1) == 0 || info.waits_on == NULL)
        usleep(100);
    for (int from_task = 0; from_task < 2; from_task++) {
        memset(&root, 0, sizeof root);
        if (from_task) {
            sh_task_start(ask_in_task, NULL);
            while (!atomic_load(&asked))
                usleep(100);
        } else {
            explain_at(0);
        }
        assert_int_equal(root.kind, SH_ROOT_TASK);
        assert_int_equal(root.task, number);
        assert_ptr_equal(root.task_runs, (void *)(uintptr_t)park_with_node);
        assert_non_null(root.task_started_at);
        assert_string_equal(root.symbol, "park_with_node");
    }
    sh_channel_close(channel);
    channel = NULL;
    assert_int_equal(sh_tasks_leaked(0, 1000000000, NULL, 0), 0);
}

/* ---- Finalizers and weak references ---- */

static void
nothing_to_do(void *object, void *arg)
{
    (void)object;
    (void)arg;
}

static NOINLINE void
make_with_finalizer(void *arg)
{
    (void)arg;
    struct node *a = sh_alloc_typed(&node_type);
    a->other = sh_alloc_typed(&node_type);
    hidden = hide(a->other);
    sh_set_finalizer(a, nothing_to_do, sh_alloc(64));
}

static void
test_what_an_object_with_a_finalizer_holds_is_told(void **state)
{
    (void)state;
    run_elsewhere(make_with_finalizer, NULL);
    assert_int_equal(explain_at(0), SH_EXPLAIN_ALIVE);
    assert_int_equal(root.kind, SH_ROOT_FINALIZER);
    assert_int_equal(nsteps, 2);
    assert_ptr_equal(root.owner, steps[0].object);
    assert_int_equal(steps[0].offset, offsetof(struct node, other));
    hidden = hide(steps[0].object); /* itself it is not kept */
    assert_int_equal(explain_at(0), SH_EXPLAIN_GARBAGE);
}

static struct sh_weak *weak;

static NOINLINE void
make_weak(void *arg)
{
    (void)arg;
    struct node *n = sh_alloc_typed(&node_type);
    weak = sh_weak_make(n);
    hidden = hide(n);
}

static void
test_weak_reference_holds_nothing(void **state)
{
    (void)state;
    run_elsewhere(make_weak, NULL);
    assert_int_equal(explain_at(0), SH_EXPLAIN_GARBAGE);
    hidden = hide(weak);
    weak = NULL;
    assert_int_equal(explain_at(0), SH_EXPLAIN_ALIVE);
    assert_int_equal(root.kind, SH_ROOT_WEAK);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_global_variable_is_named_with_the_offset),
        cmocka_unit_test(test_thread_local_variable_is_named_with_its_thread),
        cmocka_unit_test(test_static_variables_of_a_loaded_library_are_named_with_its_file),
        cmocka_unit_test(test_pthread_key_is_told_by_its_number),
        cmocka_unit_test(test_registered_range_is_told_with_the_offset),
        cmocka_unit_test(test_stack_word_of_another_thread_is_told_with_its_function),
        cmocka_unit_test(test_register_of_a_running_thread_is_told),
        cmocka_unit_test(test_word_just_past_an_object_is_said_to_be_one),
        cmocka_unit_test(test_callers_own_word_is_told_only_if_there_is_no_other),
        cmocka_unit_test(test_question_itself_is_no_root),
        cmocka_unit_test(test_result_of_a_thread_that_is_not_joined_is_told),
        cmocka_unit_test(test_stack_of_a_parked_task_is_told_with_its_number),
        cmocka_unit_test(test_what_an_object_with_a_finalizer_holds_is_told),
        cmocka_unit_test(test_weak_reference_holds_nothing),
    };
    return cmocka_run_group_tests(tests, make_room, remove_folder);
}
