/* Roots of every sort, and switching collections off. */
#include "check.h"

#include <gc/gc.h>
#include <gc/gc_mark.h>
#include <sys/mman.h>

enum { MANY = 400, NEARLY_ALL = 320, SLOTS_B = MANY * sizeof(void *) };

static GC_hidden_pointer links[MANY];
static void **slots;

static void
fill_slots(void)
{
    for (int i = 0; i < MANY; i++) {
        slots[i] = GC_MALLOC(32);
        links[i] = GC_HIDE_POINTER(slots[i]);
        GC_general_register_disappearing_link((void **)&links[i], slots[i]);
    }
}

static int
count_dead(void)
{
    int n = 0;
    wipe_stack();
    GC_gcollect();
    GC_gcollect();
    for (int i = 0; i < MANY; i++)
        n += links[i] == 0;
    return n;
}

/* Memory that is no root by itself. */
static void **
other_memory(void)
{
    void *p = mmap(NULL, 2 * SLOTS_B, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    return p;
}

static void
ranges(void)
{
    slots = other_memory();
    far_away(fill_slots);
    CHECK(count_dead() >= NEARLY_ALL);
    GC_add_roots(slots, slots + MANY);
    far_away(fill_slots);
    CHECK(count_dead() == 0);
    GC_add_roots(slots, slots + MANY / 2); /* again */
    GC_add_roots(slots + MANY / 2, slots + MANY);
    CHECK(count_dead() == 0);
    GC_remove_roots(slots, slots + MANY);
    CHECK(count_dead() >= NEARLY_ALL);
}

static void *static_slots[MANY];

static void
static_data(void)
{
    slots = static_slots;
    far_away(fill_slots);
    CHECK(count_dead() == 0);
    GC_exclude_static_roots(static_slots, static_slots + MANY);
    CHECK(count_dead() >= NEARLY_ALL);
}

static GC_push_other_roots_proc before;

static void
push(void)
{
    GC_push_all(slots, slots + MANY);
    if (before != NULL)
        before();
}

static void
pushed(void)
{
    slots = other_memory();
    before = GC_get_push_other_roots();
    GC_set_push_other_roots(push);
    far_away(fill_slots);
    CHECK(count_dead() == 0);
    GC_set_push_other_roots(before);
    CHECK(count_dead() >= NEARLY_ALL);
}

/* ---- Off and on ---- */

static int events[16], nevents;

static void
note_event(GC_EventType event)
{
    if (nevents < 16)
        events[nevents++] = (int)event;
}

static int starts;

static void
note_start(void)
{
    starts++;
}

static int
say_stop(void)
{
    return 1;
}

static void
off_and_on(void)
{
    GC_word n = GC_get_gc_no();
    GC_disable();
    GC_disable();
    GC_enable();
    CHECK(GC_is_disabled());
    for (int i = 0; i < 40000; i++)
        GC_MALLOC(1000);
    GC_gcollect();
    CHECK(GC_get_gc_no() == n);
    GC_enable();
    CHECK(!GC_is_disabled());
    for (int i = 0; i < 200000; i++)
        GC_MALLOC(1000);
    CHECK(GC_get_gc_no() > n);
    CHECK(GC_try_to_collect(say_stop) == 0);
}

static void
told(void)
{
    GC_set_on_collection_event(note_event);
    GC_set_start_callback(note_start);
    GC_gcollect();
    GC_set_on_collection_event(NULL);
    GC_set_start_callback(NULL);
    CHECK(starts >= 1 && nevents >= 8 && events[0] == GC_EVENT_START);
    int last = -1;
    static const int in_turn[] = {GC_EVENT_PRE_STOP_WORLD,  GC_EVENT_POST_STOP_WORLD,
                                  GC_EVENT_MARK_START,      GC_EVENT_MARK_END,
                                  GC_EVENT_PRE_START_WORLD, GC_EVENT_POST_START_WORLD,
                                  GC_EVENT_RECLAIM_START,   GC_EVENT_RECLAIM_END};
    for (size_t i = 0; i < sizeof in_turn / sizeof *in_turn; i++) {
        int at = 0;
        while (at < nevents && events[at] != in_turn[i])
            at++;
        CHECK(at < nevents && at > last);
        last = at;
    }
}

int
main(void)
{
    GC_INIT();
    ranges();
    pushed();
    static_data();
    off_and_on();
    told();
    return 0;
}
