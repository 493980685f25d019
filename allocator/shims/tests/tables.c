/* Objects that begin with the address of a table, which says how they are marked; typed ones that
   are large; uncollectable ones of any kind; and a visit of all that live. */
#define GC_THREADS
#include "watch.h"

#include <gc/gc_gcj.h>
#include <gc/gc_inline.h>
#include <gc/gc_mark.h>
#include <gc/gc_typed.h>

enum { MANY = 400, NEARLY_ALL = 320, ENV = 11, LARGE_WORDS = 8192, LARGE = 40 };

static GC_hidden_pointer links[MANY];

static int
count_dead(void)
{
    collect_all(2);
    return count_clear(links, MANY);
}

/* ---- By a table ---- */

struct table {
    void *methods;
    GC_word descr;
};

struct tabled {
    const struct table *table;
    void *pointer;
    GC_hidden_pointer hidden; /* only the procedure knows */
};

static struct table by_length = {NULL, sizeof(struct tabled)}, by_procedure;
static struct tabled *tabled[MANY];
static const struct table *used;
static int calls;

static struct GC_ms_entry *
mark_tabled(GC_word *object, struct GC_ms_entry *stack, struct GC_ms_entry *limit, GC_word env)
{
    struct tabled *t = (struct tabled *)object;
    if (t->table != &by_procedure)
        return stack; /* it was freed */
    CHECK(env == ENV);
    calls++;
    stack = GC_MARK_AND_PUSH(t->pointer, stack, limit, &t->pointer);
    if (t->hidden != 0)
        stack = GC_MARK_AND_PUSH(GC_REVEAL_POINTER(t->hidden), stack, limit, NULL);
    return stack;
}

static void
make_tabled(void)
{
    for (int i = 0; i < MANY; i++) {
        struct tabled *t = i % 2 ? GC_GCJ_MALLOC(sizeof *t, (void *)used)
                                 : GC_GCJ_MALLOC_IGNORE_OFF_PAGE(sizeof *t, (void *)used);
        CHECK(t->table == used && t->pointer == NULL && t->hidden == 0);
        void *p = GC_MALLOC(48);
        tabled[i] = t;
        watch(&links[i], p);
        if (used == &by_procedure && i % 4 < 2)
            t->hidden = GC_HIDE_POINTER(p);
        else
            t->pointer = p;
    }
}

static void
by_tables(void)
{
    GC_init_gcj_malloc(GC_GCJ_RESERVED_MARK_PROC_INDEX, (void *)mark_tabled);
    by_procedure.descr = GC_MAKE_PROC(GC_GCJ_RESERVED_MARK_PROC_INDEX, (GC_word)ENV);
    const struct table *tables[] = {&by_length, &by_procedure};
    for (int i = 0; i < 2; i++) {
        used = tables[i];
        far_away(make_tabled);
        CHECK(count_dead() == 0);
        CHECK((calls > 0) == (used == &by_procedure)); /* a table that asks for none has none */
    }
    CHECK(GC_get_kind_and_size(tabled[0], NULL) == GC_gcj_kind);
    memset(tabled, 0, sizeof tabled);
    CHECK(count_dead() >= NEARLY_ALL);
}

/* ---- Large and typed: only its second word is a pointer ---- */

static GC_descr descr;
void **typed[LARGE]; /* not static: it would be seen that nobody reads them */
static GC_hidden_pointer by_first[LARGE];

static void
make_typed(void)
{
    for (int i = 0; i < LARGE; i++) {
        typed[i] = GC_malloc_explicitly_typed_ignore_off_page(LARGE_WORDS * sizeof(void *), descr);
        CHECK(typed[i][0] == NULL && typed[i][LARGE_WORDS - 1] == NULL);
        typed[i][0] = GC_MALLOC(48);
        typed[i][1] = GC_MALLOC(48);
        watch(&by_first[i], typed[i][0]);
        watch(&links[i], typed[i][1]);
    }
}

static void
large_and_typed(void)
{
    GC_word bitmap[1] = {0};
    GC_set_bit(bitmap, 1);
    descr = GC_make_descriptor(bitmap, 2);
    far_away(make_typed);
    count_dead();
    CHECK(count_clear(links, LARGE) == 0 && count_clear(by_first, LARGE) >= LARGE * 3 / 4);
    memset(typed, 0, sizeof typed);
}

/* ---- Uncollectable, by its kind ---- */

/* Kinds that every library has, and no header names. */
enum { UNCOLLECTABLE = 2, ATOMIC_UNCOLLECTABLE = 3 };

static GC_hidden_pointer holders[MANY];

static void
make_holders(void)
{
    for (int i = 0; i < MANY; i++) {
        void **scanned = GC_generic_malloc_uncollectable(32, UNCOLLECTABLE);
        char *leaf = GC_generic_malloc_uncollectable(32, ATOMIC_UNCOLLECTABLE);
        *scanned = GC_MALLOC(48);
        watch(&links[i], *scanned);
        memset(leaf, i, 32);
        ((GC_hidden_pointer *)(void *)leaf)[1] = GC_HIDE_POINTER(scanned);
        holders[i] = GC_HIDE_POINTER(leaf);
    }
}

static void
uncollectable(void)
{
    far_away(make_holders);
    for (int round = 0; round < 3; round++) {
        CHECK(count_dead() == 0);
        for (int i = 0; i < 5000; i++)
            memset(GC_MALLOC_ATOMIC(32), 0x77, 32);
    }
    for (int i = 0; i < MANY; i++) {
        char *leaf = GC_REVEAL_POINTER(holders[i]);
        CHECK(leaf[0] == (char)i && leaf[31] == (char)i);
        GC_FREE(GC_REVEAL_POINTER(((GC_hidden_pointer *)(void *)leaf)[1]));
        GC_FREE(leaf);
    }
    CHECK(count_dead() >= NEARLY_ALL);
}

/* ---- A visit ---- */

static void *visited[MANY];
static int met[MANY];

static void
visit(void *object, size_t size, void *arg)
{
    CHECK(arg == met);
    for (int i = 0; i < MANY; i++) {
        if (visited[i] != object)
            continue;
        met[i]++;
        CHECK(size == GC_size(object));
    }
}

static void *
visit_all(void *arg)
{
    GC_enumerate_reachable_objects_inner(visit, arg);
    return arg;
}

static void
enumerate(void)
{
    for (int i = 0; i < MANY; i++)
        visited[i] = i % 3 ? GC_MALLOC((size_t)i * 8) : GC_MALLOC_ATOMIC((size_t)i * 200);
    GC_gcollect();
    CHECK(GC_call_with_alloc_lock(visit_all, met) == met);
    for (int i = 0; i < MANY; i++)
        CHECK(met[i] == 1);
}

int
main(void)
{
    GC_INIT();
    by_tables();
    large_and_typed();
    uncollectable();
    enumerate();
    return 0;
}
