/* needs-malloc */
/* run: native */
/* libs: -ldl */
/* The malloc that is preloaded, among threads: foreign frees, threads that end, fork, and calls at
   unusual times. See also test_malloc.c. */
#include "check.h"

#include <dlfcn.h>
#include <malloc.h>
#include <threads.h>

static void *(*volatile allocate)(size_t) = malloc;
static void (*volatile release)(void *) = free;

static size_t
resident_b(void)
{
    size_t pages = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    need(f != NULL && fscanf(f, "%zu %zu", &pages, &resident) == 2, "statm can be read");
    fclose(f);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static pthread_t
start_thread(void *(*run)(void *), void *arg)
{
    pthread_t thread;
    need(pthread_create(&thread, NULL, run, arg) == 0, "a thread can be made");
    return thread;
}

static void
run_thread(void *(*run)(void *), void *arg)
{
    need(pthread_join(start_thread(run, arg), NULL) == 0, "it can be joined");
}

/* ---- Objects that change hands ---- */

enum { SLOTS = 2048, THREADS = 4, STEPS = 150000 };

struct object {
    size_t size;
    uint64_t seed;
};
static _Atomic(struct object *) shared[SLOTS];

static struct object *
make_object(struct rng *r)
{
    size_t size = sizeof(struct object) + rng_below(r, rng_below(r, 50) == 0 ? 60000 : 500);
    struct object *o = allocate(size);
    o->size = size;
    o->seed = rng_next(r);
    memset(o + 1, (int)o->seed, size - sizeof *o);
    return o;
}

static void
end_object(struct object *o)
{
    const unsigned char *p = (unsigned char *)(o + 1);
    for (size_t i = 0; i < o->size - sizeof *o; i++)
        need(p[i] == (unsigned char)o->seed, "an object keeps its contents");
    release(o);
}

static void *
exchange_objects(void *seed)
{
    struct rng r = {(uint64_t)(uintptr_t)seed * 88172645463325252u};
    for (size_t i = 0; i < STEPS; i++) {
        struct object *old = atomic_exchange(&shared[rng_below(&r, SLOTS)], make_object(&r));
        if (old != NULL)
            end_object(old);
    }
    return NULL;
}

static void
end_shared(void)
{
    for (size_t i = 0; i < SLOTS; i++) {
        struct object *o = atomic_exchange(&shared[i], NULL);
        if (o != NULL)
            end_object(o);
    }
}

static void
test_objects_are_freed_by_other_threads(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        threads[i] = start_thread(exchange_objects, (void *)(i + 1));
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    end_shared();
}

static void *
exchange_a_few(void *seed)
{
    struct rng r = {(uint64_t)(uintptr_t)seed * 2463534242u};
    for (size_t i = 0; i < 300; i++) {
        struct object *old = atomic_exchange(&shared[rng_below(&r, SLOTS)], make_object(&r));
        if (old != NULL)
            end_object(old);
    }
    return NULL;
}

static void *
start_and_end_threads(void *seed)
{
    for (uintptr_t i = 0; i < 150; i++)
        run_thread(exchange_a_few, (void *)((uintptr_t)seed * 1000 + i));
    return NULL;
}

static void
test_threads_end_while_others_free_their_objects(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        threads[i] = start_thread(start_and_end_threads, (void *)(i + 1));
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    end_shared();
}

/* ---- Memory of threads that have ended ---- */

enum { MANY = 200000 };
static void *many[MANY];

static void *
allocate_many(void *unused)
{
    (void)unused;
    for (size_t i = 0; i < MANY; i++)
        many[i] = memset(allocate(200), 1, 200);
    return NULL;
}

static void
test_memory_of_an_ended_thread_goes_back(void **state)
{
    (void)state;
    size_t before = resident_b();
    run_thread(allocate_many, NULL);
    assert_true(resident_b() > before + ((size_t)35 << 20));
    for (size_t i = 0; i < MANY; i++)
        release(many[i]);
    assert_true(resident_b() < before + ((size_t)12 << 20));
}

static void *
use_some(void *unused)
{
    (void)unused;
    void *p[5000];
    for (size_t i = 0; i < COUNT_OF(p); i++)
        p[i] = memset(allocate(100), 1, 100);
    for (size_t i = 0; i < COUNT_OF(p); i++)
        release(p[i]);
    return NULL;
}

static void
test_a_thousand_threads_one_after_another_take_no_more_than_one(void **state)
{
    (void)state;
    run_thread(use_some, NULL);
    size_t before = resident_b();
    for (size_t i = 0; i < 1000; i++)
        run_thread(use_some, NULL);
    assert_true(resident_b() < before + ((size_t)4 << 20));
}

enum { ITEMS = 1000000 };

static void *
consumer(void *unused)
{
    (void)unused;
    for (size_t i = 0; i < ITEMS; i++) {
        struct object *o;
        while ((o = atomic_exchange(&shared[i % SLOTS], NULL)) == NULL)
            thrd_yield();
        release(o);
    }
    return NULL;
}

static void
test_one_allocates_and_another_frees_in_constant_memory(void **state)
{
    (void)state;
    size_t before = resident_b();
    pthread_t other = start_thread(consumer, NULL);
    for (size_t i = 0; i < ITEMS; i++) {
        struct object *o = memset(allocate(100), 1, 100);
        while (atomic_load(&shared[i % SLOTS]) != NULL)
            thrd_yield();
        atomic_store(&shared[i % SLOTS], o);
    }
    pthread_join(other, NULL);
    assert_true(resident_b() < before + ((size_t)16 << 20));
}

/* ---- Calls when a thread ends ---- */

static pthread_key_t keys[3];
static _Atomic size_t ended;

/* In each round, so in the last one, too. */
static void
allocate_in_destructor(void *arg)
{
    void *p[100];
    release(arg);
    for (size_t i = 0; i < COUNT_OF(p); i++)
        p[i] = memset(allocate(10 + 40 * i), 1, 10 + 40 * i);
    for (size_t i = 1; i < COUNT_OF(p); i++)
        release(p[i]);
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        if (pthread_getspecific(keys[i]) == NULL) {
            pthread_setspecific(keys[i], p[0]);
            p[0] = NULL;
            break;
        }
    release(p[0]);
    ended++;
}

static void *
use_keys(void *unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        pthread_setspecific(keys[i], allocate(100));
    return NULL;
}

static void
test_destructors_of_keys_allocate(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        assert_int_equal(pthread_key_create(&keys[i], allocate_in_destructor), 0);
    for (size_t i = 0; i < 50; i++)
        run_thread(use_keys, NULL);
    assert_true(ended >= 50 * COUNT_OF(keys) * 2);
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        pthread_key_delete(keys[i]);
}

static pthread_key_t late;

static void
allocate_in_last_round(void *rounds_left)
{
    if (rounds_left == (void *)1)
        release(memset(allocate(100), 1, 100));
    else
        pthread_setspecific(late, (char *)rounds_left - 1);
}

static void *
use_late_key(void *unused)
{
    (void)unused;
    pthread_setspecific(late, (void *)3);
    return NULL;
}

/* They allocate for the first time when destructors have been called twice. */
static void
test_threads_that_allocate_late_leave_nothing(void **state)
{
    (void)state;
    assert_int_equal(pthread_key_create(&late, allocate_in_last_round), 0);
    run_thread(use_late_key, NULL);
    size_t before = resident_b();
    for (size_t i = 0; i < 300; i++)
        run_thread(use_late_key, NULL);
    assert_true(resident_b() < before + ((size_t)2 << 20));
    pthread_key_delete(late);
}

/* What C++ calls for the destructor of a thread_local object. */
extern int __cxa_thread_atexit_impl(void (*destroy)(void *), void *object, void *library);
extern void *__dso_handle;

static void *
use_thread_local(void *destroy)
{
    __cxa_thread_atexit_impl((void (*)(void *))(uintptr_t)destroy, allocate(100), &__dso_handle);
    return NULL;
}

static void
test_thread_local_destructors_allocate(void **state)
{
    (void)state;
    size_t before = ended;
    for (size_t i = 0; i < 50; i++)
        run_thread(use_thread_local, (void *)(uintptr_t)allocate_in_destructor);
    assert_int_equal(ended, before + 50);
}

/* ---- fork ---- */

static _Atomic bool enough;

static void *
exchange_for_ever(void *seed)
{
    struct rng r = {(uint64_t)(uintptr_t)seed * 88172645463325252u};
    while (!enough) {
        struct object *old = atomic_exchange(&shared[rng_below(&r, SLOTS)], make_object(&r));
        if (old != NULL)
            end_object(old);
    }
    return NULL;
}

/* The child frees what other threads had, whose heaps may be half changed, and makes threads. */
static void
work_in_child(void *mine)
{
    end_object(mine);
    for (size_t i = 0; i < SLOTS; i++) {
        struct object *o = atomic_exchange(&shared[i], NULL);
        if (o != NULL)
            release(o); /* perhaps still being filled when the process was forked */
    }
    for (uintptr_t i = 1; i < 4; i++)
        run_thread(exchange_a_few, (void *)i);
    end_shared();
}

static void
test_fork_beside_threads_that_allocate(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    struct rng r = {12345};
    enough = false;
    for (uintptr_t i = 0; i < THREADS; i++)
        threads[i] = start_thread(exchange_for_ever, (void *)(i + 1));
    for (size_t i = 0; i < 60; i++) {
        struct object *mine = make_object(&r);
        assert_child_succeeds(work_in_child, mine);
        end_object(mine);
    }
    enough = true;
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    end_shared();
}

static void
allocate_at_fork(void)
{
    void *p[500];
    for (size_t i = 0; i < COUNT_OF(p); i++)
        p[i] = allocate(40 * i);
    for (size_t i = 0; i < COUNT_OF(p); i++)
        release(p[i]);
}

static void
use_some_in_child(void *unused)
{
    use_some(unused);
}

static void
test_handlers_of_fork_allocate(void **state)
{
    (void)state;
    assert_int_equal(pthread_atfork(allocate_at_fork, allocate_at_fork, allocate_at_fork), 0);
    for (size_t i = 0; i < 10; i++)
        assert_child_succeeds(use_some_in_child, NULL);
}

/* ---- Early and late ---- */

static void *early;

/* Before the library's own constructor, perhaps, and main. */
__attribute__((constructor(101))) static void
allocate_early(void)
{
    early = memset(allocate(1000), 1, 1000);
    for (size_t size = 1; size < 100000; size *= 2)
        release(allocate(size));
}

static void *last;

__attribute__((destructor)) static void
allocate_late(void)
{
    release(last);
    allocate_at_fork();
}

static void
free_what_is_left(void)
{
    release(last);
    last = allocate(100);
    allocate_at_fork();
}

static void
return_from_main(void)
{
    need(early != NULL, "constructors can allocate");
    release(early);
    last = allocate(10);
    need(atexit(free_what_is_left) == 0, "atexit");
}

static void
test_constructors_and_exit_functions_allocate(void **state)
{
    (void)state;
    static struct outcome out;
    run_anew(&out, "return-from-main", NULL);
    assert_success(&out);
}

static void *
load_and_unload(void *unused)
{
    (void)unused;
    for (size_t i = 0; i < 20; i++) {
        void *library = dlopen("libm.so.6", RTLD_NOW | RTLD_LOCAL);
        need(library != NULL && dlsym(library, "cos") != NULL, "libm can be loaded");
        need(dlsym(library, "no such name") == NULL && dlerror() != NULL, "dlsym says so");
        dlclose(library);
    }
    return NULL; /* the C library frees the text of dlerror after all destructors */
}

static void
test_loader_allocates(void **state)
{
    (void)state;
    load_and_unload(NULL);
    for (size_t i = 0; i < 10; i++)
        run_thread(load_and_unload, NULL);
    assert_ptr_equal(dlsym(RTLD_DEFAULT, "malloc"), (void *)(uintptr_t)malloc);
}

static void
work_in_little_space(void)
{
    struct rlimit limit = {(rlim_t)512 << 20, (rlim_t)512 << 20};
    need(getenv("LIMITED") != NULL || setrlimit(RLIMIT_AS, &limit) == 0, "a limit can be set");
    if (getenv("LIMITED") == NULL) {
        static struct outcome out;
        static const char *const limited[] = {"LIMITED=1", NULL};
        run_anew(&out, "little-space", limited);
        assert_success(&out);
        return;
    }
    use_some(NULL);
    need(allocate((size_t)100 << 20) != NULL, "a part of the addresses is there");
    errno = 0;
    need(allocate((size_t)600 << 20) == NULL && errno == ENOMEM, "more than all is not");
    size_t n = 0;
    while (allocate(1000) != NULL)
        n++;
    need(n > 200000 && errno == ENOMEM, "small objects end with ENOMEM, too");
}

static void
test_limited_address_space(void **state)
{
    (void)state;
    static struct outcome out;
    run_anew(&out, "little-space", NULL);
    assert_success(&out);
}

int
main(int argc, char **argv)
{
    static const struct program_part parts[] = {
        {"return-from-main", return_from_main},
        {"little-space", work_in_little_space},
    };
    if (argc > 1)
        return run_part(parts, COUNT_OF(parts), argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_objects_are_freed_by_other_threads),
        cmocka_unit_test(test_threads_end_while_others_free_their_objects),
        cmocka_unit_test(test_memory_of_an_ended_thread_goes_back),
        cmocka_unit_test(test_a_thousand_threads_one_after_another_take_no_more_than_one),
        cmocka_unit_test(test_one_allocates_and_another_frees_in_constant_memory),
        cmocka_unit_test(test_destructors_of_keys_allocate),
        cmocka_unit_test(test_threads_that_allocate_late_leave_nothing),
        cmocka_unit_test(test_thread_local_destructors_allocate),
        cmocka_unit_test(test_fork_beside_threads_that_allocate),
        cmocka_unit_test(test_handlers_of_fork_allocate),
        cmocka_unit_test(test_constructors_and_exit_functions_allocate),
        cmocka_unit_test(test_loader_allocates),
        cmocka_unit_test(test_limited_address_space),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
