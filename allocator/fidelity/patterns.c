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
small_and_dropped(int run)
{
    (void)run;
    for (int i = 0; i < 4000000; i++)
        sink = sh_alloc_typed(&node_type);
}

static NOINLINE void
growing_slice(int run)
{
    (void)run;
    struct sh_slice s = {NULL, 0, 0};
    for (int i = 0; i < 20000000; i++)
        s = sh_slice_append(&word_type, s, &(uint64_t){1}, 1);
    sink = s.data;
}

static NOINLINE void
beside_live_heap(int run)
{
    (void)run;
    size_t n = 32 << 10;
    table = sh_alloc_array(&pointer_type, n);
    for (size_t i = 0; i < n; i++)
        sh_store(&table[i], sh_alloc_noscan(1024));
    for (int i = 0; i < 1000000; i++)
        sink = sh_alloc_noscan(512);
    table = NULL;
}

static NOINLINE void
large_and_dropped(int run)
{
    (void)run;
    for (int i = 0; i < 2000; i++)
        sink = sh_alloc_noscan(1 << 20);
}

static NOINLINE void
growing_list(int run)
{
    for (int i = 0; i < run * 1000000; i++) {
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
        int runs;
        void (*run)(int run);
    } cases[] = {
        {"64 B, dropped", 1, small_and_dropped},
        {"a slice grows", 1, growing_slice},
        {"512 B beside 32 MiB", 1, beside_live_heap},
        {"1 MiB, dropped", 1, large_and_dropped},
        {"lists grow", 8, growing_list}, /* to 8 lengths: each is but a handful of collections */
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        static struct sh_stats before, after; /* on the stack, unset words would be roots */
        uint64_t collections = 0;
        for (int run = 1; run <= cases[i].runs; run++) {
            sink = NULL;
            live_now();
            sh_stats_read(&before);
            cases[i].run(run);
            sh_stats_read(&after);
            collections += after.num_gc - before.num_gc;
        }
        record_number(collections, "collections/%s", cases[i].name);
    }
}
