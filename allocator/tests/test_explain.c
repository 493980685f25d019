/* Why is it alive: each kind of root, and the paths. Objects are asked for by hidden addresses. */
/* libs: -ldl */
#include "folder.h"

#include <spanheap/channel.h>
#include <spanheap/closure.h>
#include <spanheap/explain.h>
#include <spanheap/map.h>
#include <spanheap/slice.h>
#include <spanheap/task.h>

#include "collector/cycle.h"
#include "collector/threads.h"

#include <dlfcn.h>
#include <sys/mman.h>

enum { STEPS = 2000, LIST = 1000 };

struct node {
    struct node *next, *other;
    long payload[6];
};
static const struct sh_type node_type =
    SH_TYPE(struct node, SH_POINTER_AT(struct node, next) | SH_POINTER_AT(struct node, other));

struct pair {
    void *a, *b;
};
static const struct sh_type pair_type =
    SH_TYPE(struct pair, SH_POINTER_AT(struct pair, a) | SH_POINTER_AT(struct pair, b));

/* The answers are addresses, and would be roots in a static array: they lie in malloc's memory. */
static uintptr_t hidden;
static struct sh_explain_step *steps;
static struct sh_explain_root *answer;
#define root (*answer)
static size_t nsteps;

static int
make_room(void **state)
{
    steps = calloc(STEPS, sizeof *steps);
    answer = calloc(1, sizeof *answer);
    return steps == NULL || answer == NULL ? -1 : make_folder(state);
}

static NOINLINE enum sh_explained
explain_at(uintptr_t offset)
{
    return sh_explain((const char *)~hidden + offset, &root, steps, STEPS, &nsteps);
}

static NOINLINE void
make_node(void *slot)
{
    struct node *n = sh_alloc_typed(&node_type);
    hidden = hide(n);
    *(void *volatile *)slot = n;
}

static void
assert_last_step_is_the_object(void)
{
    assert_true(nsteps > 0);
    assert_true(nsteps > STEPS || hide(steps[nsteps - 1].object) == hidden);
}

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

static struct {
    long before[3];
    void *slot;
} registry;
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

static const char *
build_library(void)
{
    char command[2 * PATH_MAX];
    const char *source = in_folder("held.c");
    FILE *f = fopen(source, "w");
    assert_non_null(f);
    fputs(
        "static void *held[9];\nstatic __thread void *own[9];\n"
        "void **held_slot(void) { return &held[7]; }\nvoid **own_slot(void) { return &own[5]; }\n",
        f);
    fclose(f);
    snprintf(command, sizeof command, "cc -O0 -shared -fPIC -o '%s/held.so' '%s'", folder, source);
    assert_int_equal(system(command), 0);
    return in_folder("held.so");
}

static void
test_static_variables_of_a_loaded_library_are_named_with_its_file(void **state)
{
    (void)state;
    void *library = dlopen(build_library(), RTLD_NOW);
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
    for (int i = 0; i < 10000; i++) {
        hidden == 0 ? SH_EXPLAIN_FREE : explain_at(0);
        if (root.kind == SH_ROOT_THREAD_RESULT)
            break;
        usleep(100);
    }
    assert_int_equal(root.kind, SH_ROOT_THREAD_RESULT);
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

/* ---- Paths ---- */

static NOINLINE void
make_list(void *arg)
{
    struct node *first = sh_alloc_typed(&node_type), *last = first;
    for (size_t i = 1; i < LIST; i++) {
        last->next = sh_alloc_typed(&node_type);
        last = last->next;
    }
    last->next = first; /* a ring */
    if (arg != NULL) {
        struct node *middle = first;
        for (size_t i = 0; i < LIST / 2; i++)
            middle = middle->next;
        first->next->other = middle; /* a shorter way */
    }
    registry.slot = first;
    hidden = hide(last);
}

static void
test_path_through_a_list_is_complete_and_shortest(void **state)
{
    (void)state;
    run_elsewhere(make_list, NULL);
    assert_int_equal(explain_at(0), SH_EXPLAIN_ALIVE);
    assert_int_equal(nsteps, LIST);
    for (size_t i = 0; i + 1 < nsteps; i++) {
        const struct node *n = steps[i].object;
        assert_ptr_equal(n->next, steps[i + 1].object);
        assert_int_equal(steps[i].offset, offsetof(struct node, next));
        assert_int_equal(steps[i].size, sizeof(struct node));
    }
    run_elsewhere(make_list, &stage);
    assert_int_equal(explain_at(0), SH_EXPLAIN_ALIVE);
    assert_int_equal(nsteps, 2 + LIST / 2);
    assert_int_equal(steps[1].offset, offsetof(struct node, other));
    assert_last_step_is_the_object();
    registry.slot = NULL;
    assert_int_equal(explain_at(0), SH_EXPLAIN_GARBAGE); /* a ring holds nothing by itself */
}

static void
test_short_array_gets_the_first_steps(void **state)
{
    (void)state;
    struct sh_explain_step *few = steps;
    size_t n = 0;
    run_elsewhere(make_list, NULL);
    memset(few, 0, 3 * sizeof *few);
    assert_int_equal(sh_explain((void *)~hidden, NULL, few, 2, &n), SH_EXPLAIN_ALIVE);
    assert_int_equal(n, LIST);
    assert_ptr_equal(few[0].object, registry.slot);
    assert_ptr_equal(few[1].object, ((struct node *)registry.slot)->next);
    assert_null(few[2].object);
    assert_int_equal(sh_explain((void *)~hidden, NULL, NULL, 0, NULL), SH_EXPLAIN_ALIVE);
    registry.slot = NULL;
}

static NOINLINE void
make_holders(void *arg)
{
    (void)arg;
    struct pair *large = sh_alloc_array(&pair_type, 3000);
    void **untyped = sh_alloc(100);
    registry.slot = large;
    large[2000].b = untyped;
    untyped[5] = sh_alloc_noscan(64);
    hidden = hide(untyped[5]);
}

static void
test_elements_kinds_and_sizes_are_told(void **state)
{
    (void)state;
    run_elsewhere(make_holders, NULL);
    assert_int_equal(explain_at(63), SH_EXPLAIN_ALIVE);
    assert_int_equal(nsteps, 3);
    assert_ptr_equal(steps[0].type, &pair_type);
    assert_int_equal(steps[0].size, sh_round_size(3000 * sizeof(struct pair)));
    assert_int_equal(steps[0].offset, 2000 * sizeof(struct pair) + sizeof(void *));
    assert_int_equal(steps[1].kind, SH_OBJECT_UNTYPED);
    assert_null(steps[1].type);
    assert_int_equal(steps[1].size, 112);
    assert_int_equal(steps[1].offset, 5 * sizeof(void *));
    assert_int_equal(steps[2].kind, SH_OBJECT_NOSCAN);
    assert_int_equal(steps[2].offset, 63);
    registry.slot = NULL;
}

/* ---- Holders of Go's kinds ---- */

static struct sh_slice window;
static struct sh_map *map;
static struct sh_closure *closure;
static const struct sh_type pointer_type = SH_TYPE(void *, 1);
static const struct sh_type byte_type = {"byte", 1, NULL, 0};
static struct sh_map_type map_type = {.key = &int_type, .element = &pointer_type};
struct captured {
    struct sh_closure closure;
    void *node;
};
static const struct sh_type captured_type =
    SH_TYPE(struct captured, SH_POINTER_AT(struct captured, node));

static NOINLINE void
hold_by_slice(void *arg)
{
    (void)arg;
    struct sh_slice whole = sh_slice_make(&byte_type, 1 << 20, 1 << 20);
    hidden = hide(whole.data);
    window = sh_slice_window(&byte_type, whole, 5000, 5016);
}

static NOINLINE void
hold_by_map(void *arg)
{
    (void)arg;
    void *n;
    make_node(&n);
    map = sh_map_make(&map_type, 0);
    sh_map_set(map, &(int){7}, &n);
}

static NOINLINE void
hold_by_channel(void *arg)
{
    (void)arg;
    void *n;
    make_node(&n);
    channel = sh_channel_make(&pointer_type, 1);
    sh_channel_send(channel, &n);
}

static void
call_nothing(struct sh_closure *self, void *arg)
{
    (void)self;
    (void)arg;
}

static NOINLINE void
hold_by_closure(void *arg)
{
    (void)arg;
    void *n;
    make_node(&n);
    closure = sh_closure_make(&captured_type, &(struct captured){{call_nothing}, n});
}

static void
assert_held_by(void (*hold)(void *arg), const char *symbol, void *slot)
{
    run_elsewhere(hold, NULL);
    assert_int_equal(explain_at(16), SH_EXPLAIN_ALIVE);
    assert_int_equal(root.kind, SH_ROOT_GLOBAL);
    assert_string_equal(root.symbol, symbol);
    assert_int_equal(steps[nsteps - 1].offset, 16);
    assert_last_step_is_the_object();
    *(void *volatile *)slot = NULL;
    assert_int_equal(explain_at(16), SH_EXPLAIN_GARBAGE);
}

static void
test_slice_map_channel_and_closure_are_seen_through(void **state)
{
    (void)state;
    assert_held_by(hold_by_slice, "window", &window.data);
    assert_held_by(hold_by_map, "map", (void *)&map);
    assert_held_by(hold_by_channel, "channel", (void *)&channel);
    assert_held_by(hold_by_closure, "closure", (void *)&closure);
}

/* ---- Types ---- */

struct alike {
    void *first;
    long rest[3];
};
static const struct sh_type alike_type = SH_TYPE(struct alike, 1);
struct twin {
    void *first;
    long rest[3];
};
static const struct sh_type twin_type = SH_TYPE(struct twin, 1);
static void *kept[200];

static NOINLINE void
make_alike(void *arg)
{
    for (size_t i = 0; i < COUNT_OF(kept); i++) {
        kept[i] = sh_alloc_typed(arg == NULL || i % 2 == 0 ? &alike_type : &twin_type);
        hidden = hide(kept[i]);
    }
}

static void
test_type_is_named_where_it_is_known_and_never_wrongly(void **state)
{
    (void)state;
    run_elsewhere(make_alike, NULL);
    assert_int_equal(explain_at(0), SH_EXPLAIN_ALIVE);
    assert_ptr_equal(steps[0].type, &alike_type);
    run_elsewhere(make_alike, &stage); /* of one shape, in one span */
    assert_int_equal(explain_at(0), SH_EXPLAIN_ALIVE);
    assert_null(steps[0].type);
    assert_int_equal(steps[0].kind, SH_OBJECT_TYPED);
    memset(kept, 0, sizeof kept);
}

/* ---- Addresses that are no objects' ---- */

static NOINLINE void
make_and_free(void *arg)
{
    (void)arg;
    void *p = fresh_object(300);
    hidden = hide(p);
    sh_free(p);
}

static void
test_null_foreign_and_free_addresses_are_told(void **state)
{
    (void)state;
    int local = 0;
    static const void *const foreign[] = {NULL, &registry, (void *)UINTPTR_MAX};
    for (size_t i = 0; i < COUNT_OF(foreign); i++)
        assert_int_equal(sh_explain(foreign[i], &root, steps, STEPS, &nsteps), SH_EXPLAIN_FOREIGN);
    assert_int_equal(sh_explain(&local, NULL, NULL, 0, &nsteps), SH_EXPLAIN_FOREIGN);
    assert_int_equal(nsteps, 0);
    assert_int_equal(sh_explain(sh_alloc(0), NULL, NULL, 0, NULL), SH_EXPLAIN_FOREIGN);
    run_elsewhere(make_and_free, NULL);
    assert_int_equal(explain_at(0), SH_EXPLAIN_FREE);
    assert_int_equal(nsteps, 0);
    assert_int_equal(root.kind, SH_ROOT_NONE);
}

/* ---- Together with collections ---- */

static void
explain_while_marking(void *arg)
{
    (void)arg;
    run_elsewhere(make_list, NULL);
    for (int i = 0; i < 50; i++) {
        cycle_begin(SH_TRIGGER_FORCED);
        assert_int_equal(explain_at(0), SH_EXPLAIN_ALIVE);
        assert_int_equal(atomic_load(&cycle.phase), PHASE_OFF);
        assert_int_equal(nsteps, LIST);
    }
    collect();
    assert_true(is_alive(hidden));
    registry.slot = NULL;
    assert_int_equal(explain_at(0), SH_EXPLAIN_GARBAGE);
    collect();
    assert_false(is_alive(hidden));
}

static void
test_collection_that_marks_is_finished_first(void **state)
{
    (void)state;
    explain_while_marking(NULL);
}

static void
test_every_mode_gives_the_same(void **state)
{
    (void)state;
    static struct outcome out;
    static const char *const modes[][2] = {{"SH_MODE=stw", NULL},
                                           {"SH_BARRIER=insertion", NULL},
                                           {"SH_VERIFY=1", NULL},
                                           {"SH_WORKERS=0", NULL}};
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        run_anew(&out, "while-marking", modes[i]);
        assert_success(&out);
    }
}

/* ---- Text ---- */

static void
print_list(void *arg)
{
    (void)arg;
    run_elsewhere(make_list, NULL);
    sh_explain_print((void *)~hidden, STDERR_FILENO);
    registry.slot = NULL;
    sh_explain_print((char *)~hidden + 3, STDERR_FILENO);
    sh_explain_print(NULL, STDERR_FILENO);
    sh_explain_print(NULL, -1);
}

static void
test_text_names_root_and_objects_and_shortens_lists(void **state)
{
    (void)state;
    static struct outcome out;
    run_in_child(&out, print_list, NULL);
    assert_success(&out);
    static const char *const wanted[] = {
        " is alive: struct node, 64 bytes\n  global variable registry + 24 (",
        "struct node, 64 bytes; points on at offset 0, and so on: 999 such objects\n",
        " is garbage: struct node, 64 bytes, and nothing leads to it\n",
        "\n0x0 is no address of this heap\n",
    };
    for (size_t i = 0; i < COUNT_OF(wanted); i++) {
        if (strstr(out.text, wanted[i]) == NULL)
            print_error("%s", out.text);
        assert_non_null(strstr(out.text, wanted[i]));
    }
}

static void
while_marking(void)
{
    explain_while_marking(NULL);
    remove_folder(NULL);
}

int
main(int argc, char **argv)
{
    static const struct program_part parts[] = {{"while-marking", while_marking}};
    if (argc > 1 && make_room(NULL) == 0)
        return run_part(parts, COUNT_OF(parts), argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_global_variable_is_named_with_the_offset),
        cmocka_unit_test(test_thread_local_variable_is_named_with_its_thread),
        cmocka_unit_test(test_static_variables_of_a_loaded_library_are_named_with_its_file),
        cmocka_unit_test(test_pthread_key_is_told_by_its_number),
        cmocka_unit_test(test_registered_range_is_told_with_the_offset),
        cmocka_unit_test(test_stack_word_of_another_thread_is_told_with_its_function),
        cmocka_unit_test(test_register_of_a_running_thread_is_told),
        cmocka_unit_test(test_callers_own_word_is_told_only_if_there_is_no_other),
        cmocka_unit_test(test_question_itself_is_no_root),
        cmocka_unit_test(test_result_of_a_thread_that_is_not_joined_is_told),
        cmocka_unit_test(test_stack_of_a_parked_task_is_told_with_its_number),
        cmocka_unit_test(test_what_an_object_with_a_finalizer_holds_is_told),
        cmocka_unit_test(test_weak_reference_holds_nothing),
        cmocka_unit_test(test_path_through_a_list_is_complete_and_shortest),
        cmocka_unit_test(test_short_array_gets_the_first_steps),
        cmocka_unit_test(test_elements_kinds_and_sizes_are_told),
        cmocka_unit_test(test_slice_map_channel_and_closure_are_seen_through),
        cmocka_unit_test(test_type_is_named_where_it_is_known_and_never_wrongly),
        cmocka_unit_test(test_null_foreign_and_free_addresses_are_told),
        cmocka_unit_test(test_collection_that_marks_is_finished_first),
        cmocka_unit_test(test_every_mode_gives_the_same),
        cmocka_unit_test(test_text_names_root_and_objects_and_shortens_lists),
    };
    return cmocka_run_group_tests(tests, make_room, remove_folder);
}
