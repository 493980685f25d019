/* How many collections a way of allocating leads to. */
#include "fidelity.h"

#include <spanheap/slice.h>

static const struct sh_type word_type = {"word", 8, NULL, 0};
static const struct sh_type pointer_type = {"pointer", 8, (const uint64_t[]){1}, 0};

struct node {
    struct node *next;
    uint64_t value[7];
};
static const struct sh_type node_type = SH_TYPE(struct node, SH_POINTER_AT(struct node, next));

static void *volatile sink;
static void **table;
static struct node *list;

static NOINLINE void
small_and_dropped(void)
{
    for (int i = 0; i < 4000000; i++)
        sink = sh_alloc_typed(&node_type);
}

static NOINLINE void
growing_slice(void)
{
    struct sh_slice s = {NULL, 0, 0};
    for (int i = 0; i < 20000000; i++)
        s = sh_slice_append(&word_type, s, &(uint64_t){1}, 1);
    sink = s.data;
}

static NOINLINE void
beside_live_heap(void)
{
    size_t n = 32 << 10;
    table = sh_alloc_array(&pointer_type, n);
    for (size_t i = 0; i < n; i++)
        sh_store(&table[i], sh_alloc_noscan(1024));
    for (int i = 0; i < 1000000; i++)
        sink = sh_alloc_noscan(512);
    table = NULL;
}

static NOINLINE void
large_and_dropped(void)
{
    for (int i = 0; i < 2000; i++)
        sink = sh_alloc_noscan(1 << 20);
}

static NOINLINE void
growing_list(void)
{
    for (int i = 0; i < 2000000; i++) {
        struct node *n = sh_alloc_typed(&node_type);
        n->next = list;
        sh_store(&list, n);
    }
    list = NULL;
}

void
patterns(void)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } cases[] = {
        {"64 B, dropped", small_and_dropped},
        {"a slice grows", growing_slice},
        {"512 B beside 32 MiB", beside_live_heap},
        {"1 MiB, dropped", large_and_dropped},
        {"a list grows", growing_list},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct sh_stats before, after;
        sink = NULL;
        live_now();
        sh_stats_read(&before);
        cases[i].run();
        sh_stats_read(&after);
        record_number(after.num_gc - before.num_gc, "collections/%s", cases[i].name);
    }
}
