/*
 * What is shown of the heap profile: records for the program, and the file, at the program's end
 * with SH_PROFILE=FILE or by sh_profile_write().
 */
#include "collector/settings.h"
#include "collector/world.h"
#include "observe/exit_file.h"
#include "observe/observe.h"
#include "observe/pprof.h"
#include "observe/profile.h"
#include "observe/sampling.h"
#include "observe/symbols.h"

#include <errno.h>
#include <string.h>

/* ---- Frames of our own ---- */

/* All through which an allocation may go, those that compilers make part of others too. */
static const char *const own_names[] = {
    /* the way to a sample */
    "hook_sample", "take_sample", "charge_profile", "hook_site", "site_of_caller", "alloc_charged",
    "alloc_retry", "alloc_inline", "alloc_object", "alloc_or_die", "alloc_typed_slowly",
    "move_object",
    /* inside the types */
    "grow_for", "take_defer_record", "panic_with", "panic_runtime", "panic_plain", "start_times",
    "put_slow", "items_of", "make_chain", "select_of_many", "store_object", "store_key",
    "renew_key", "add_entry", "assign_entry", "set_object", "map_new_table", "map_rest_of",
    "map_overflow_list", "keep_overflow", "map_add_overflow", "map_grow", "map_move_some",
    "advance_growth", "move_bucket", "move_entries", "move_entries_of_kind", "move_entry",
    "make_part_once"};

/* What a program calls begins with sh_. "alloc_charged.constprop.0" is a copy of alloc_charged. */
static bool
is_own_name(const char *name)
{
    size_t n = strcspn(name, ".");
    if (strncmp(name, "sh_", 3) == 0)
        return true;
    for (size_t i = 0; i < sizeof own_names / sizeof *own_names; i++)
        if (strncmp(own_names[i], name, n) == 0 && own_names[i][n] == '\0')
            return true;
    return false;
}

/* libspanheap.so and the drop-ins. */
static bool
is_own_library(const char *file)
{
    const char *name = symbols_base_name(file);
    return strncmp(name, "libspanheap", 11) == 0 || strncmp(name, "libgc.so", 8) == 0;
}

static bool
is_own_frame(uintptr_t return_address, const char *own_file)
{
    struct symbol s = symbols_find(return_address - 1);
    if (s.file == NULL || s.file != own_file)
        return false;
    return is_own_library(s.file) || (s.function != NULL && is_own_name(s.function));
}

void
profile_skip_own_frames(struct profile_sample *s)
{
    const char *own_file = symbols_find((uintptr_t)profile_skip_own_frames).file;
    for (; s->nstack > 0 && is_own_frame(s->stack[0], own_file); s->nstack--)
        s->stack++;
}

bool
profile_is_own_frame(uintptr_t return_address)
{
    return is_own_frame(return_address, symbols_find((uintptr_t)profile_is_own_frame).file);
}

/* The samples as the program is to see them: innermost is who called the library. */
static bool
take_view(struct profile_view *view)
{
    if (!profile_view_take(view))
        return false;
    for (size_t i = 0; i < view->n; i++)
        profile_skip_own_frames(&view->samples[i]);
    return true;
}

/* ---- Records ---- */

static void
fill_record(struct sh_profile_record *r, const struct profile_sample *s)
{
    double weight = sampling_weight(s->size_b, s->rate_b);
    uint64_t inuse = s->allocs - s->frees;
    r->size = s->size_b;
    r->alloc_objects = (uint64_t)((double)s->allocs * weight);
    r->alloc_b = (uint64_t)((double)(s->allocs * s->size_b) * weight);
    r->inuse_objects = (uint64_t)((double)inuse * weight);
    r->inuse_b = (uint64_t)((double)(inuse * s->size_b) * weight);
    r->nstack = s->nstack;
    memcpy(r->stack, s->stack, s->nstack * sizeof *r->stack);
}

static void
take_view_safely(void *arg)
{
    struct profile_view *view = arg;
    if (!take_view(view))
        *view = (struct profile_view){0};
}

/* In the safe state as far as the heap is not touched: it may wait for the loader. */
size_t
sh_profile_read(struct sh_profile_record *out, size_t max)
{
    struct profile_view view;
    sh_init();
    if (cache_self != NULL)
        world_safe_call(take_view_safely, &view);
    else
        take_view_safely(&view);
    for (size_t i = 0; i < view.n && i < max; i++)
        fill_record(&out[i], &view.samples[i]);
    profile_view_free(&view);
    return view.n;
}

/* ---- The file ---- */

static int
write_profile(FILE *out)
{
    struct profile_view view;
    if (!take_view(&view))
        return ENOMEM;
    int error = pprof_write(out, &view);
    profile_view_free(&view);
    return error;
}

static struct exit_file profile_file SH_STATE = {
    .variable = "SH_PROFILE", .what = "the heap profile", .write = write_profile};

int
sh_profile_write(const char *path)
{
    sh_init();
    int error = path == NULL || !profile_exists() ? EINVAL : exit_file_write(path, write_profile);
    if (error == 0)
        return 0;
    errno = error;
    return -1;
}

/* ---- The rate ---- */

size_t
sh_profile_set_rate(size_t rate_b)
{
    sh_init();
    return profile_set_rate(rate_b);
}

void
observe_profile_init(const char *file, uint64_t rate_b)
{
    if (rate_b == SETTING_UNSET)
        rate_b = file == NULL ? 0 : SH_PROFILE_RATE_DEFAULT;
    if (file != NULL)
        exit_file_keep(&profile_file, file);
    if (rate_b > 0)
        profile_set_rate(rate_b);
}
