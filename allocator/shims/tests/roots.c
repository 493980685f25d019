/* Roots of every sort, and switching collections off. */
#include "slots.h"

#include <gc/gc_mark.h>

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
    GC_add_roots(slots, slots + MANY);
    far_away(fill_slots);
    CHECK(count_dead() == 0);
    GC_clear_roots();
    CHECK(count_dead() >= NEARLY_ALL);
}

/* Nobody looks into memory of malloc, whatever its size, unless the program says so. */
static void
malloc_memory(void)
{
    for (int large = 0; large < 2; large++) {
        slots = calloc(large ? 1 << 20 : SLOTS_B, 1);
        CHECK(slots != NULL);
        far_away(fill_slots);
        CHECK(count_dead() >= NEARLY_ALL);
        GC_add_roots(slots, slots + MANY);
        far_away(fill_slots);
        CHECK(count_dead() == 0);
        GC_remove_roots(slots, slots + MANY);
        CHECK(count_dead() >= NEARLY_ALL);
        free(slots);
    }
    slots = GC_MALLOC_UNCOLLECTABLE(SLOTS_B);
    far_away(fill_slots);
    CHECK(count_dead() == 0);
    GC_FREE(slots);
    slots = NULL;
    CHECK(count_dead() >= NEARLY_ALL);
}

static void *static_slots[MANY], *excluded;

static void
static_data(void)
{
    slots = static_slots;
    far_away(fill_slots);
    CHECK(count_dead() == 0);
    GC_exclude_static_roots(static_slots, static_slots + MANY);
    CHECK(count_dead() >= NEARLY_ALL);
    GC_clear_exclusion_table();
    GC_exclude_static_roots(&excluded, &excluded + 1); /* Boehm's library wants one at least */
    far_away(fill_slots);
    CHECK(count_dead() == 0);
}

static GC_push_other_roots_proc before;

static void
push(void)
{
    GC_push_all(slots, slots + MANY);
    if (before != NULL)
        before();
}

/* Only by their marks: nothing leads to them. */
static GC_hidden_pointer marked[MANY];

static void
set_marks(void)
{
    for (int i = 0; i < MANY; i++)
        GC_set_mark_bit(GC_REVEAL_POINTER(marked[i]));
    if (before != NULL)
        before();
}

static void
hide_slots(void)
{
    fill_slots();
    for (int i = 0; i < MANY; i++) {
        marked[i] = GC_HIDE_POINTER(slots[i]);
        slots[i] = NULL;
    }
}

static void
marked_by_hand(void)
{
    slots = other_memory();
    GC_disable(); /* no mark while the array is half full */
    GC_set_push_other_roots(set_marks);
    far_away(hide_slots);
    GC_enable();
    CHECK(count_dead() == 0);
    GC_set_push_other_roots(before);
    CHECK(count_dead() >= NEARLY_ALL);
}

static void
pushed(void)
{
    slots = other_memory();
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

static int asked;

static int
say_stop(void)
{
    asked++;
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

/* The stop function is asked by GC_gcollect(), and when the heap would be collected by itself. */
static void
stopped(void)
{
    GC_stop_func original = GC_get_stop_func();
    GC_gcollect();
    GC_word n = GC_get_gc_no();
    GC_set_stop_func(say_stop);
    CHECK(GC_get_stop_func() == say_stop);
    GC_gcollect();
    CHECK(asked > 0 && GC_get_gc_no() == n);
    asked = 0;
    for (int i = 0; i < 400000 && asked == 0; i++)
        GC_MALLOC(1000);
    CHECK(asked > 0 && GC_get_gc_no() == n);
    GC_gcollect_and_unmap(); /* asks nobody */
    CHECK(GC_get_gc_no() > n);
    GC_set_stop_func(original);
    n = GC_get_gc_no();
    GC_gcollect();
    CHECK(GC_get_gc_no() > n);
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
    malloc_memory();
    before = GC_get_push_other_roots();
    pushed();
    marked_by_hand();
    static_data();
    off_and_on();
    stopped();
    told();
    return 0;
}
