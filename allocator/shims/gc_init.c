/* The start, and what a collection does for the program. */
#include "shims/gc_shim.h"

#include "collector/zombie.h"
#include "heap/pageheap.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TEXT_B 512

struct lock gc_lock SH_STATE = {.rank = RANK_CLIENT};
_Atomic bool gc_due SH_STATE;

static bool init_called SH_STATE;

void
gc_die(const char *format, ...)
{
    char text[TEXT_B];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    GC_abort_func on_abort = GC_get_abort_func();
    if (on_abort != NULL)
        on_abort(text);
    sh_fatal("%s", text);
}

void
gc_warn(const char *text, GC_word arg)
{
    GC_get_warn_proc()((char *)(uintptr_t)text, arg);
}

/* ---- A collection ---- */

static bool
may_begin(enum sh_gc_trigger trigger)
{
    return !gc_is_disabled(trigger);
}

static void
tell_event(enum client_event event)
{
    switch (event) {
    case CLIENT_START:
        gc_keep_reached_size();
        gc_settings_look();
        gc_tell_event(GC_EVENT_START);
        gc_start_callback();
        gc_tell_event(GC_EVENT_PRE_STOP_WORLD);
        break;
    case CLIENT_STOPPED:
        gc_figures_note_stop();
        gc_tell_of_stopped();
        gc_tell_event(GC_EVENT_POST_STOP_WORLD);
        gc_tell_event(GC_EVENT_MARK_START);
        break;
    case CLIENT_RELEASING:
        gc_tell_event(GC_EVENT_MARK_END);
        gc_tell_event(GC_EVENT_PRE_START_WORLD);
        gc_tell_of_released();
        break;
    case CLIENT_RELEASED:
        gc_tell_event(GC_EVENT_POST_START_WORLD);
        gc_tell_event(GC_EVENT_RECLAIM_START);
        break;
    case CLIENT_END:
        gc_figures_after();
        gc_tell_event(GC_EVENT_RECLAIM_END);
        gc_tell_event(GC_EVENT_END);
        break;
    }
}

/* Who collects holds the lock, and the program's procedures may read figures. */
static void
on_event(enum client_event event)
{
    gc_alloc_lock_depth++;
    if (event == CLIENT_STOPPED)
        gc_in_stop = true;
    tell_event(event);
    if (event == CLIENT_RELEASING)
        gc_in_stop = false;
    gc_alloc_lock_depth--;
}

static void
read_roots(void)
{
    gc_procs_begin();
    gc_held_read();
    gc_finalizers_read();
    gc_roots_read();
}

/* The order is Boehm's: what is weak is cleared before anything is kept for a finalizer, long links
   after that. */
static void
after_mark(void)
{
    gc_procs_settle();
    gc_links_clear(GC_LINK_SHORT);
    gc_finalizers_find();
    gc_links_clear(GC_LINK_LONG);
    gc_links_prune();
    gc_procs_prune();
    if (gc_finalizers_are_due())
        atomic_store(&gc_due, true);
}

void
gc_do_due(void)
{
    if (atomic_exchange(&gc_due, false))
        gc_finalizers_notify();
}

static void
lock_for_fork(void)
{
    lock_take(&gc_lock);
}

static void
unlock_after_fork(void)
{
    lock_drop(&gc_lock);
}

/* ---- The start ---- */

static const struct client shim = {
    .may_begin = may_begin,
    .on_event = on_event,
    .read_roots = read_roots,
    .after_mark = after_mark,
    .scans_module = gc_roots_scan_module,
    .lock_for_fork = lock_for_fork,
    .unlock_after_fork = unlock_after_fork,
};

void
gc_start(void)
{
    if (client != NULL)
        return;
    span_end_keeps = false;
    zombies_are_fatal = false;
    client_set(&shim);
    sh_init();
    GC_least_plausible_heap_addr = (void *)pageheap.base;
    GC_greatest_plausible_heap_addr = (void *)(pageheap.base + pageheap.reserved_b);
    GC_stackbottom = (char *)thread_self()->stack_high;
}

/* Before sh_init()'s own constructor. */
__attribute__((constructor(101))) static void
start_with_program(void)
{
    gc_start();
}

void
GC_init(void)
{
    gc_start();
    if (init_called)
        return;
    init_called = true;
    gc_extra_b = GC_all_interior_pointers != 0;
    gc_alloc_lock_take();
    gc_settings_look();
    gc_alloc_lock_drop();
}

int
GC_is_init_called(void)
{
    return init_called;
}

void
GC_deinit(void)
{
}

unsigned
GC_get_version(void)
{
    return GC_VERSION_MAJOR << 16 | GC_VERSION_MINOR << 8 | GC_VERSION_MICRO;
}
