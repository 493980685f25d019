#include "gc_calls.h"

#include <errno.h>
#include <fcntl.h>

/* ---- Kinds ---- */

static int kind_with_procedure;
static size_t procedure_calls;

/* The words are scanned besides. */
static struct GC_ms_entry *
mark_first(GC_word *object, struct GC_ms_entry *stack, struct GC_ms_entry *limit, GC_word env)
{
    need(env == 5, "a mark procedure has its number");
    procedure_calls++;
    return GC_MARK_AND_PUSH((void *)object[0], stack, limit, (void **)object);
}

void
make_kinds(void)
{
    unsigned proc = GC_new_proc(mark_first);
    kind_with_procedure = (int)GC_new_kind(GC_new_free_list(), GC_MAKE_PROC(proc, 5), 0, 1);
    GC_init_gcj_malloc(0, NULL);
    GC_set_warn_proc(GC_ignore_warn_proc);
    GC_set_log_fd(open("/dev/null", O_WRONLY));
}

/* ---- Allocation ---- */

static size_t limit_b; /* 0: none */

bool
is_limited(const void *p)
{
    if (p != NULL || limit_b == 0)
        return false;
    GC_set_max_heap_size(limit_b = 0);
    return true;
}

static void *
allocate_plain(size_t what, size_t size)
{
    switch (what) {
    case 0:
        return GC_malloc(size);
    case 1:
        return GC_malloc_atomic(size);
    case 2:
        return GC_malloc_uncollectable(size);
    case 3:
        return GC_malloc_atomic_uncollectable(size);
    case 4:
        return GC_malloc_ignore_off_page(size);
    case 5:
        return GC_malloc_atomic_ignore_off_page(size);
    case 6:
        return GC_malloc_stubborn(size);
    default:
        return GC_malloc_kind(size, kind_with_procedure);
    }
}

static void *
allocate_debug(size_t what, size_t size)
{
    switch (what) {
    case 0:
        return GC_debug_malloc(size, __FILE__, __LINE__);
    case 1:
        return GC_debug_malloc_atomic(size, __FILE__, __LINE__);
    case 2:
        return GC_debug_malloc_uncollectable(size, __FILE__, __LINE__);
    case 3:
        return GC_debug_malloc_atomic_uncollectable(size, __FILE__, __LINE__);
    case 4:
        return GC_debug_malloc_ignore_off_page(size, __FILE__, __LINE__);
    case 5:
        return GC_debug_malloc_atomic_ignore_off_page(size, __FILE__, __LINE__);
    case 6:
        return GC_debug_malloc_stubborn(size, __FILE__, __LINE__);
    default:
        return GC_generic_or_special_malloc(size, kind_with_procedure);
    }
}

/* Two words of the element are pointers. */
static struct allocated
allocate_typed(struct input *in, size_t size, bool array)
{
    GC_word bitmap[4] = {0};
    size_t words = size / sizeof(GC_word) < 200 ? size / sizeof(GC_word) : 200;
    struct allocated a = {.size = size, .align = 16, .has_end = true};
    for (size_t f = 0; f < 2 && words > 0; f++) {
        size_t at = choose(in, 256) % words;
        if (!GC_get_bit(bitmap, at))
            a.at[a.nfields++] = at;
        GC_set_bit(bitmap, at);
    }
    GC_descr descr = GC_make_descriptor(bitmap, words);
    size_t n = 1 + choose(in, 8), element = size / n / 8 * 8;
    if (!array || words == 0 || element <= 8 * a.at[0] || (a.nfields > 1 && element <= 8 * a.at[1]))
        a.p = GC_malloc_explicitly_typed(size, descr);
    else {
        a.p = GC_calloc_explicitly_typed(n, element, descr);
        a.size = n * element;
    }
    return a;
}

static struct allocated
allocate_aligned(struct input *in, size_t size)
{
    struct allocated a = {.size = size, .align = (size_t)16 << choose(in, 10), .has_end = true};
    if (choose(in, 2))
        a.p = GC_memalign(a.align, size);
    else
        need(GC_posix_memalign(&a.p, a.align, size) == 0 || limit_b > 0, "there is memory");
    a.nfields = spread_fields(size, a.at);
    return a;
}

/* The first of a list; the rest is garbage. */
static void *
first_of_many(size_t size)
{
    void **p = GC_malloc_many(size);
    need(p != NULL || limit_b > 0, "there is memory");
    if (p == NULL)
        return NULL;
    for (void **rest = *p; rest != NULL; rest = *rest)
        need(GC_base(rest) == rest && GC_size(rest) == GC_size(p), "a list is of equal objects");
    p[0] = NULL;
    return p;
}

struct allocated
allocate_somehow(struct input *in, size_t size)
{
    size_t what = choose(in, 14);
    struct allocated a = {.size = size, .align = 16};
    if (what < 8) {
        bool is_atomic = what == 1 || what == 3 || what == 5;
        a.p = choose(in, 2) ? allocate_plain(what, size) : allocate_debug(what, size);
        a.nfields = is_atomic ? 0 : spread_fields(size, a.at);
        a.stays = what == 2 || what == 3;
        a.has_end = !a.stays && !((what == 4 || what == 5) && size > 32768);
        return a;
    }
    if (what == 8 || what == 9)
        return allocate_typed(in, size, what == 9);
    if (what == 10)
        return allocate_aligned(in, size);
    a.nfields = spread_fields(size, a.at);
    a.has_end = true;
    if (what == 11)
        a.p = first_of_many(size);
    else if (what == 12)
        a.p = GC_gcj_malloc(size, NULL);
    else
        a.p = GC_malloc_kind_global(size, 1);
    return a;
}

void
copy_string(struct input *in)
{
    char text[64];
    size_t length = choose(in, sizeof text), most = choose(in, sizeof text);
    memset(text, 'x', sizeof text);
    text[length] = '\0';
    const char *all = GC_strdup(text), *start = GC_debug_strndup(text, most, __FILE__, __LINE__);
    if (is_limited(all) || is_limited(start))
        return;
    need(strcmp(all, text) == 0 && strlen(start) == (most < length ? most : length) &&
             strncmp(start, text, most) == 0,
         "a copy is equal");
    need(GC_strdup(NULL) == NULL, "there is no copy of nothing");
}

/* ---- Wrong calls ---- */

static void
call_realloc(void *p)
{
    GC_realloc(p, 10);
}

void
check_freed(void *p)
{
    need(GC_base(p) == NULL, "what was freed is no object");
    need_fatal(GC_free, p, "GC_free: %p is not ", p);
    need_fatal(call_realloc, p, "GC_realloc: %p is not ", p);
}

static char reserve;

static void *
give_reserve(size_t size)
{
    (void)size;
    return &reserve;
}

/* What the program's own function returns is returned. */
static void
ask_too_much(struct input *in)
{
    static const size_t sizes[] = {(size_t)1 << 45, PTRDIFF_MAX, SIZE_MAX, SIZE_MAX - 15,
                                   SIZE_MAX / 2 + 2};
    size_t size = sizes[choose(in, COUNT_OF(sizes))];
    bool own = choose(in, 2);
    GC_oom_func before = GC_get_oom_fn();
    void *nothing = own ? &reserve : NULL, *p = &size;
    if (own)
        GC_set_oom_fn(give_reserve);
    need(GC_malloc(size) == nothing && GC_malloc_atomic(size) == nothing &&
             GC_malloc_uncollectable(size) == nothing &&
             GC_malloc_ignore_off_page(size) == nothing && GC_memalign(64, size) == nothing &&
             GC_memalign(16384, 10) == nothing && GC_malloc_explicitly_typed(size, 0) == nothing &&
             GC_calloc_explicitly_typed(size, 16, 0) == nothing,
         "what cannot be had is what the function says");
    GC_set_oom_fn(before);
    need(GC_posix_memalign(&p, 24, 10) == EINVAL && GC_posix_memalign(&p, 4, 10) == EINVAL,
         "an alignment that is none is EINVAL");
}

static void
call_same(void *p)
{
    char *other = GC_malloc_atomic(10);
    if (other + GC_size(other) == p) /* an end counts */
        GC_same_obj(other, p);
    GC_same_obj(p, other);
}

static void
call_kind(void *arg)
{
    (void)arg;
    GC_malloc_kind(10, 255);
}

static void
call_link(void *p)
{
    GC_general_register_disappearing_link(p, p);
}

static size_t aborts;

static void
count_abort(const char *text)
{
    need(text != NULL, "the reason is told");
    aborts++;
}

void
call_wrongly(struct input *in, size_t i)
{
    char local, *p = address_of(i), *inside = p + 1 + choose(in, 256) % (objects.all[i].size + 1);
    GC_abort_func before = GC_get_abort_func();
    switch (choose(in, 6)) {
    case 0:
        if (inside < p + objects.all[i].size)
            need_fatal(GC_free, inside, "GC_free: %p lies inside an object that begins at %p",
                       (void *)inside, (void *)p);
        break;
    case 1:
        need_fatal(GC_free, &local, "GC_free: %p is not in the heap", (void *)&local);
        break;
    case 2:
        aborts = 0;
        GC_set_abort_func(count_abort);
        need_fatal(call_same, p, "GC_same_obj: ");
        need_fatal(call_kind, NULL, "there is no kind 255");
        need_fatal(call_link, p + 4, "a link that disappears must be aligned: %p", (void *)(p + 4));
        need(aborts == 3, "the program's own function is called first");
        GC_set_abort_func(before);
        break;
    case 3:
        need(GC_base(&local) == NULL && !GC_is_heap_ptr(&local) && GC_size(&local) == 0,
             "no object is there");
        GC_free(NULL);
        break;
    default:
        ask_too_much(in);
        break;
    }
}

/* ---- Questions ---- */

static struct {
    size_t i, met, count;
} visit;

static void
visit_one(void *p, size_t size, void *arg)
{
    need(arg == &visit, "the argument is handed on");
    visit.count++;
    if (p != address_of(visit.i))
        return;
    need(size == GC_size(p), "the size is told");
    visit.met++;
}

static void *
visit_all(void *arg)
{
    GC_enumerate_reachable_objects_inner(visit_one, arg);
    return NULL;
}

static void
ask_for_all(size_t i)
{
    visit.i = i;
    visit.met = visit.count = 0;
    GC_call_with_alloc_lock(visit_all, &visit);
    need(visit.met == 1, "an object that is reachable is met, once");
}

static void
ask_figures(void)
{
    GC_word heap, unused, unmapped, since, total;
    struct GC_prof_stats_s stats;
    GC_get_heap_usage_safe(&heap, &unused, &unmapped, &since, &total);
    need(heap == GC_get_heap_size() && unused <= heap && since <= total, "figures agree");
    need(GC_get_free_bytes() <= heap && GC_get_total_bytes() >= total &&
             GC_get_bytes_since_gc() >= since && GC_get_unmapped_bytes() == unmapped,
         "figures agree");
    need(GC_get_prof_stats(&stats, sizeof stats) == sizeof stats && stats.gc_no == GC_get_gc_no(),
         "figures agree");
    need(GC_get_prof_stats(&stats, 16) == 16, "as many as there is room for");
}

static void
ask_of_addresses(size_t i)
{
    char *p = address_of(i), *q = p;
    size_t size = objects.all[i].size, told = 0, last = size;
    if (!objects.all[i].kind && size > 0)
        last--;
    need(GC_is_heap_ptr(p) && GC_is_valid_displacement(p + size / 2) == p + size / 2,
         "it lies in the heap");
    need(GC_same_obj(p + size, p) == p + size, "the end is of the same object");
    need(GC_post_incr((void **)&q, (ptrdiff_t)last) == p && q == p + last, "it is incremented");
    need(GC_pre_incr((void **)&q, -(ptrdiff_t)last) == p && q == p, "it is decremented");
    need(GC_get_kind_and_size(p, &told) >= 0 && told == GC_size(p), "its kind and size are told");
    if (objects.all[i].nfields > 0)
        need(GC_is_visible(p) == p, "a word that is scanned is visible");
}

void
ask(struct input *in, size_t i)
{
    size_t map = choose_wide(in, 65536);
    switch (choose(in, 5)) {
    case 0:
        ask_for_all(i);
        break;
    case 1:
        ask_figures();
        break;
    case 2:
        ask_of_addresses(i);
        break;
    case 3:
        GC_dump();
        GC_dump_regions();
        GC_dump_named("fuzz");
        break;
    default:
        need(map > 32767 || GC_get_size_map_at((int)map) > map, "a size's class is larger");
        need(GC_get_size_map_at(-1) == (size_t)-1, "there is no class of less than nothing");
        need(procedure_calls > 0 || GC_get_gc_no() < 1000, "mark procedures are called");
        break;
    }
}

/* ---- Settings ---- */

static int disabled;

static void
ignore_event(GC_EventType event)
{
    need(event <= GC_EVENT_THREAD_UNSUSPENDED, "an event is one");
}

static void
ignore_size(GC_word size)
{
    need(size > 0, "the heap has a size");
}

static void
do_nothing(void)
{
}

void
set_something(struct input *in)
{
    size_t n = choose(in, 8);
    switch (choose(in, 12)) {
    case 0:
        GC_disable();
        disabled++;
        need(GC_is_disabled(), "what is disabled is");
        break;
    case 1:
        if (disabled > 0)
            GC_enable();
        disabled -= disabled > 0;
        need(GC_is_disabled() == (disabled > 0), "as often as it was");
        break;
    case 2:
        GC_set_disable_automatic_collection(n % 2 != 0);
        break;
    case 3:
        GC_set_free_space_divisor(n);
        need(GC_get_free_space_divisor() == n, "what is set can be read");
        break;
    case 4:
        GC_set_finalize_on_demand(n % 2 != 0);
        break;
    case 5:
        GC_set_max_heap_size(limit_b = n << 20);
        break;
    case 6:
        need(GC_expand_hp(n << 16) == 1 || limit_b > 0, "the heap may grow");
        need(GC_expand_hp(SIZE_MAX) == 0, "but not beyond all bounds");
        break;
    case 7:
        GC_set_on_collection_event(n % 2 != 0 ? ignore_event : NULL);
        GC_set_on_heap_resize(n % 4 > 1 ? ignore_size : NULL);
        GC_set_start_callback(n > 3 ? do_nothing : NULL);
        break;
    case 8:
        GC_enable_incremental();
        need(!GC_is_incremental_mode(), "there is none");
        break;
    case 9:
        GC_set_force_unmap_on_gcollect(n % 2 != 0);
        break;
    case 10:
        GC_set_finalizer_notifier(n % 2 != 0 ? do_nothing : NULL);
        break;
    default:
        GC_set_full_freq((int)n);
        GC_set_time_limit(n);
        GC_register_displacement(n);
        need(GC_get_full_freq() == (int)n && GC_get_time_limit() == n, "what is set can be read");
        break;
    }
}

void
set_all_back(void)
{
    for (; disabled > 0; disabled--)
        GC_enable();
    GC_set_disable_automatic_collection(0);
    GC_set_free_space_divisor(3);
    GC_set_finalize_on_demand(0);
    GC_set_max_heap_size(limit_b = 0);
    GC_set_on_collection_event(NULL);
    GC_set_on_heap_resize(NULL);
    GC_set_start_callback(NULL);
    GC_set_force_unmap_on_gcollect(0);
    GC_set_finalizer_notifier(NULL);
    sh_set_gogc(SH_GOGC_OFF);
}
