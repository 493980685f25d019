/*
 * types: Go's types on spanheap beside Go's own. One of them at a time: the option that is not 0
 * says which, and how many operations.
 *   --append   elements appended to a slice of numbers, one by one
 *   --map      keys inserted, then found, then deleted
 *   --channel  values sent from one task to another, without a buffer
 *   --defer    calls deferred and run, 10 a function, as records on the heap
 *   --pool     items got and put, by each of two threads
 */
#include "work.h"

#include <pthread.h>
#include <spanheap.h>
#include <spanheap/channel.h>
#include <spanheap/defer.h>
#include <spanheap/map.h>
#include <spanheap/pool.h>
#include <spanheap/slice.h>
#include <spanheap/task.h>

enum { DEFERS = 10, ITEM_B = 1024, BUFFERED = 128 };

static uint64_t
append_numbers(uint64_t n)
{
    SH_SLICE_OF(uint64_t) s = {{NULL, 0, 0}};
    for (uint64_t i = 0; i < n; i++)
        sh_append(&sh_uint64_type, &s, i);
    return s.len + s.data[n - 1];
}

static struct sh_map_type numbers = {.key = &sh_uint64_type,
                                     .element = &sh_uint64_type,
                                     .hash = sh_hash_int64,
                                     .equal = sh_equal_int64};

/* Keys that are spread over all 64 bits. */
static uint64_t
key_of(uint64_t i)
{
    return i * UINT64_C(0x9e3779b97f4a7c15);
}

static uint64_t
use_map(uint64_t n)
{
    struct sh_map *map = sh_map_make(&numbers, 0);
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t key = key_of(i);
        *(uint64_t *)sh_map_slot(map, &key) = i;
    }
    for (uint64_t i = 0; i < n; i++) {
        uint64_t key = key_of(i);
        sum += *(uint64_t *)sh_map_get(map, &key);
    }
    for (uint64_t i = 0; i < n; i++) {
        uint64_t key = key_of(i);
        sh_map_delete(map, &key);
    }
    return sum + sh_map_len(map);
}

static struct sh_channel *channel;
static struct sh_wait_group both;
static uint64_t to_send, received;

static void
send_all(void *arg)
{
    (void)arg;
    for (uint64_t i = 0; i < to_send; i++)
        sh_channel_send(channel, &i);
    sh_channel_close(channel);
    sh_wait_group_done(&both);
}

static void
receive_all(void *arg)
{
    (void)arg;
    uint64_t value;
    while (sh_channel_receive(channel, &value))
        received += value;
    sh_wait_group_done(&both);
}

static uint64_t
use_channel(uint64_t n)
{
    channel = sh_channel_make(&sh_uint64_type, 0);
    to_send = n;
    sh_wait_group_add(&both, 2);
    sh_task_start(send_all, NULL);
    sh_task_start(receive_all, NULL);
    sh_wait_group_wait(&both);
    return received;
}

static uint64_t calls;

static void
count(void *arg)
{
    calls += (uint64_t)(uintptr_t)arg;
}

static __attribute__((noinline)) void
defer_some(void)
{
    SH_SCOPE(scope);
    for (int i = 0; i < DEFERS; i++)
        sh_defer(&scope, count, (void *)1);
}

static uint64_t
use_defer(uint64_t n)
{
    for (uint64_t i = 0; i < n / DEFERS; i++)
        defer_some();
    return calls;
}

static void *
make_item(void)
{
    return sh_alloc_noscan(ITEM_B);
}

static struct sh_pool items = {.make = make_item};
static uint64_t each;

static void *
get_and_put(void *arg)
{
    for (uint64_t i = 0; i < each; i++) {
        unsigned char *item = sh_pool_get(&items);
        item[0]++;
        sh_pool_put(&items, item);
    }
    return arg;
}

static uint64_t
use_pool(uint64_t n)
{
    pthread_t threads[2];
    each = n;
    for (int i = 0; i < 2; i++)
        if (sh_thread_create(&threads[i], NULL, get_and_put, NULL) != 0)
            work_fail("no thread");
    for (int i = 0; i < 2; i++)
        sh_thread_join(threads[i], NULL);
    return n;
}

int
main(int argc, char **argv)
{
    double n[5] = {0};
    const struct work_option options[] = {
        {"--append", &n[0], "elements"},
        {"--map", &n[1], "keys"},
        {"--channel", &n[2], "values"},
        {"--defer", &n[3], "calls"},
        {"--pool", &n[4], "items for each of two threads"},
    };
    static uint64_t (*const use[])(uint64_t) = {append_numbers, use_map, use_channel, use_defer,
                                                use_pool};
    uint64_t checksum = 0;
    double operations = 0;

    work_begin("types", options, 5, argc, argv);
    sh_init();
    work_start();
    for (int i = 0; i < 5; i++)
        if (n[i] > 0) {
            checksum += use[i]((uint64_t)n[i]);
            operations += n[i];
        }
    work_stop();
    if (operations == 0)
        work_fail("nothing to do: give one of the options");
    work_metric("ns_per_op", work_seconds() * 1e9 / operations);
    work_end(checksum);
    return 0;
}
