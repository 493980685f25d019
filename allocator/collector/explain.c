/*
 * Roots are asked group by group, variables before stacks, since a variable says more; a group's
 * objects are followed before the next group is asked. The path that the walk has then found is
 * gone back to its first object, and the groups are asked once more for the word that leads there:
 * so nothing need be kept of the many roots that are of no interest.
 */
#include "collector/explain.h"

#include "collector/cycle.h"
#include "collector/finalizer.h"
#include "collector/segments.h"
#include "collector/sweep.h"
#include "heap/os.h"
#include "heap/pageheap.h"
#include "observe/observe.h"

#define RED_ZONE_OF_FRAME_B 128

/* ---- The words of a group ---- */

/* Takes a word that may be a pointer. frames: the address past an object's end may keep it. */
typedef void (*group_word)(void *arg, const struct explain_root *root, uintptr_t word, bool frames);

struct asking {
    enum root_group group;
    group_word take;
    void *arg;
    bool parked;
};

static enum root_group
group_of(const struct root_range *r)
{
    switch (r->kind) {
    case ROOT_STACK:
    case ROOT_REGISTERS:
        return r->thread == thread_self() ? GROUP_OWN_STACK : GROUP_STACKS;
    case ROOT_THREAD_LOCAL:
        return GROUP_THREAD_LOCAL;
    case ROOT_KEYS:
        return GROUP_KEYS;
    case ROOT_ARGUMENT:
    case ROOT_RESULT:
        return GROUP_THREADS;
    case ROOT_RANGE:
        return GROUP_RANGES;
    case ROOT_DATA:
        break;
    }
    return GROUP_GLOBALS;
}

static const enum sh_root_kind kind_of_root[] = {
    [ROOT_STACK] = SH_ROOT_STACK,
    [ROOT_REGISTERS] = SH_ROOT_REGISTER,
    [ROOT_KEYS] = SH_ROOT_KEY,
    [ROOT_THREAD_LOCAL] = SH_ROOT_THREAD_LOCAL,
    [ROOT_DATA] = SH_ROOT_GLOBAL,
    [ROOT_ARGUMENT] = SH_ROOT_THREAD_ARGUMENT,
    [ROOT_RESULT] = SH_ROOT_THREAD_RESULT,
    [ROOT_RANGE] = SH_ROOT_RANGE,
};

__attribute__((no_sanitize_address, no_sanitize_thread)) static void
ask_range(void *arg, const struct root_range *r)
{
    const struct asking *a = arg;
    if (group_of(r) != a->group)
        return;
    struct explain_root root = {.kind = kind_of_root[r->kind],
                                .start = r->start,
                                .number = r->number,
                                .caller = r->thread != NULL && r->thread == thread_self(),
                                .thread = r->thread == NULL ? 0 : (int)r->thread->tid};
    uintptr_t base = pageheap.base, used_b = atomic_load(&pageheap.used_b);
    for (uintptr_t at = round_up(r->start, WORD_B); at + WORD_B <= r->end; at += WORD_B) {
        uintptr_t word = *(const volatile uintptr_t *)at;
        root.address = at;
        if (unlikely(word - base <= used_b))
            a->take(a->arg, &root, word, root_has_frames(r->kind));
    }
}

__attribute__((no_sanitize_address, no_sanitize_thread)) static void
ask_parked(void *arg, uintptr_t start, uintptr_t end)
{
    const struct asking *a = arg;
    struct explain_root root = {.kind = SH_ROOT_TASK, .start = start};
    for (uintptr_t at = start; at + WORD_B <= end; at += WORD_B) {
        uintptr_t word = *(const volatile uintptr_t *)at;
        root.address = at;
        if (unlikely(word - pageheap.base <= atomic_load(&pageheap.used_b)))
            a->take(a->arg, &root, word, true);
    }
}

static void
ask_special(void *arg, enum special_root kind, uintptr_t word, uintptr_t object)
{
    static const enum sh_root_kind kinds[] = {
        [SPECIAL_ROOT_OBJECT] = SH_ROOT_FINALIZER,
        [SPECIAL_ROOT_ARGUMENT] = SH_ROOT_FINALIZER_ARGUMENT,
        [SPECIAL_ROOT_WEAK] = SH_ROOT_WEAK,
        [SPECIAL_ROOT_QUEUED] = SH_ROOT_FINALIZER_QUEUE,
    };
    const struct asking *a = arg;
    struct explain_root root = {.kind = kinds[kind], .owner = object};
    a->take(a->arg, &root, word, false);
}

static void
ask(enum root_group group, group_word take, void *arg)
{
    struct asking a = {.group = group, .take = take, .arg = arg};
    if (group == GROUP_SPECIALS)
        finalizer_each_root(ask_special, &a);
    else if (group == GROUP_TASKS)
        parked_each(ask_parked, &a);
    else
        roots_each(ROOTS_ALL, ask_range, &a);
}

/* ---- Walking ---- */

static void
walk_from(void *arg, const struct explain_root *root, uintptr_t word, bool frames)
{
    struct walk *w = arg;
    if (root->kind == SH_ROOT_FINALIZER) {
        walk_through(w, word);
        return;
    }
    walk_word(w, word, WALK_ROOT, 0);
    if (frames && pageheap_end_keeps(word))
        walk_word(w, word - 1, WALK_ROOT, 0);
}

void
explain_add_group(struct walk *w, enum root_group group)
{
    ask(group, walk_from, w);
}

static bool
walk_to_target(struct walk *w)
{
    static const enum root_group ends[] = {GROUP_SPECIALS, GROUP_STACKS, GROUP_OWN_STACK};
    unsigned group = 0;
    for (unsigned i = 0; i < sizeof ends / sizeof *ends && w->found_target == SIZE_MAX; i++) {
        for (; group <= ends[i]; group++)
            explain_add_group(w, (enum root_group)group);
        walk_follow(w);
    }
    return w->found_target != SIZE_MAX;
}

/* ---- The root of a path ---- */

struct search {
    uintptr_t object;
    bool through; /* it is the one with a finalizer */
    bool found;
    struct explain_root root;
};

/* The first word there is; but of a stack the last one: that of the outermost frame, while those
   deeper down may be copies, or what calls that have returned have left. */
static void
match(void *arg, const struct explain_root *root, uintptr_t word, bool frames)
{
    struct search *s = arg;
    bool same_stack = frames && s->found && root->start == s->root.start;
    if ((s->found && !same_stack) || (root->kind == SH_ROOT_FINALIZER) != s->through)
        return;
    bool inside = walk_object_of(word) == s->object;
    bool past_end =
        !inside && frames && pageheap_end_keeps(word) && walk_object_of(word - 1) == s->object;
    if ((!inside && !past_end) || (s->found && past_end && !s->root.past_end))
        return;
    s->found = true;
    s->root = *root;
    s->root.past_end = past_end;
}

static const struct thread *
thread_of(int tid)
{
    const struct thread *t = world.threads;
    while (t != NULL && (int)t->tid != tid)
        t = t->next;
    return t;
}

/*
 * The function whose frame holds a word: the nearest return address below it leads into that
 * function, as it was stored by the function's last call. What an earlier call has left in a part
 * of the frame that was never written to may be taken for it.
 */
__attribute__((no_sanitize_address, no_sanitize_thread)) static uintptr_t
return_address_below(uintptr_t address, uintptr_t low)
{
    for (uintptr_t at = address - WORD_B; at >= low && at < address; at -= WORD_B) {
        uintptr_t word = *(const volatile uintptr_t *)at;
        if (segments_is_return_address(word))
            return word;
    }
    return 0;
}

static bool
lies_in(struct range r, uintptr_t address)
{
    return address >= r.start && address < r.end;
}

/* What the stop has saved lies below the frames that it interrupted. */
static void
look_at_stack(struct explain_root *root)
{
    const struct thread *t = thread_of(root->thread);
    if (t == NULL)
        return;
    uintptr_t low = root->start, sp = t->interrupted_sp;
    bool on_other = lies_in(t->other_stack, root->address);
    bool same_stack = sp != 0 && on_other == lies_in(t->other_stack, sp);
    parked_owner_of(root->address, &root->task);
    if (sp == 0 && !on_other && root->address < t->sp + SPILLED_WORDS * WORD_B) {
        root->kind = SH_ROOT_REGISTER;
        return;
    }
    if (sp != 0 && (same_stack ? root->address < sp - RED_ZONE_OF_FRAME_B : on_other)) {
        root->kind = SH_ROOT_REGISTER;
        root->code = t->interrupted_pc;
        return;
    }
    if (same_stack)
        low = sp;
    root->code = return_address_below(root->address, low & ~(WORD_B - 1));
    root->is_return = root->code != 0;
    if (root->code == 0 && same_stack)
        root->code = t->interrupted_pc;
}

static struct explain_root
find_root(const struct walk_found *first)
{
    struct search s = {.object = first->object, .through = first->from == WALK_THROUGH};
    for (unsigned group = 0; group < NGROUPS && !s.found; group++)
        ask((enum root_group)group, match, &s);
    if (s.root.kind == SH_ROOT_STACK)
        look_at_stack(&s.root);
    if (s.root.kind == SH_ROOT_TASK) {
        parked_owner_of(s.root.address, &s.root.task);
        s.root.code = return_address_below(s.root.address, s.root.start);
        s.root.is_return = s.root.code != 0;
    }
    return s.root;
}

/* ---- The path ---- */

struct sh_explain_step
explain_step(uintptr_t object, size_t offset)
{
    static const enum sh_object_kind kinds[] = {
        [KIND_TYPED] = SH_OBJECT_TYPED,
        [KIND_NOSCAN] = SH_OBJECT_NOSCAN,
        [KIND_UNTYPED] = SH_OBJECT_UNTYPED,
        [KIND_TINY] = SH_OBJECT_TINY,
    };
    const struct span *s = pageheap_span_of(object);
    return (struct sh_explain_step){(const void *)object, s->elem_b, kinds[s->kind],
                                    span_type_of(s, span_index(s, object)), offset};
}

static bool
make_path(struct explanation *e, size_t n)
{
    e->steps = os_map_sparse(n * sizeof *e->steps);
    e->n = e->steps == NULL ? 0 : n;
    return e->steps != NULL;
}

static void
fill_path(struct explanation *e, const struct walk *w, size_t offset)
{
    size_t n = 1;
    const struct walk_found *f = &w->list[w->found_target];
    for (; !walk_is_first(f); f = &w->list[f->from])
        n++;
    e->result = make_path(e, n) ? SH_EXPLAIN_ALIVE : SH_EXPLAIN_NO_MEMORY;
    if (e->steps == NULL)
        return;
    e->root = find_root(f);
    f = &w->list[w->found_target];
    for (size_t i = n; i > 0; i--) {
        e->steps[i - 1] = explain_step(f->object, offset);
        offset = f->word * WORD_B;
        f = walk_is_first(f) ? f : &w->list[f->from];
    }
}

struct sample_search {
    uintptr_t object;
    struct profile_bucket *bucket;
};
static struct sample_search finding SH_STATE; /* guarded by world.cycle_lock */

static void
note_sample(uintptr_t object, struct profile_bucket *bucket)
{
    if (object == finding.object)
        finding.bucket = bucket;
}

struct question {
    uintptr_t hidden;
    struct explanation *out;
};

static void
explain_now(void *arg)
{
    const struct question *q = arg;
    struct explanation *e = q->out;
    uintptr_t address = ~q->hidden, object = walk_object_of(address);
    finding = (struct sample_search){object, NULL};
    if (object == 0) {
        bool foreign = address - pageheap.base >= atomic_load(&pageheap.used_b);
        e->result = foreign ? SH_EXPLAIN_FOREIGN : SH_EXPLAIN_FREE;
        return;
    }
    struct walk w = {.target = object, .untyped = true};
    finalizer_each_sample(pageheap_span_of(object), note_sample);
    e->sample = finding.bucket;
    bool ok = walk_begin(&w);
    if (ok && walk_to_target(&w)) {
        fill_path(e, &w, address - object);
    } else if (ok && !w.failed && make_path(e, 1)) {
        e->result = SH_EXPLAIN_GARBAGE;
        e->steps[0] = explain_step(object, address - object);
    } else {
        e->result = SH_EXPLAIN_NO_MEMORY;
    }
    walk_end(&w);
}

void
explain_hidden(uintptr_t hidden, struct explanation *out)
{
    struct question q = {hidden, out};
    *out = (struct explanation){0};
    explain_stopped(explain_now, &q);
}

void
explain_forget(struct explanation *e)
{
    if (e->steps != NULL)
        os_unreserve(e->steps, e->n * sizeof *e->steps);
    e->steps = NULL;
}

/* ---- The stop ---- */

struct stopped_work {
    void (*work)(void *arg);
    void *arg;
    struct sh_pause pause;
};

static void
stop_and_work(void *arg)
{
    struct stopped_work *w = arg;
    cycle_stop_to_read(w->work, w->arg, &w->pause);
}

/* The lock, and no collection under way. */
static void
take_quiet_lock(void)
{
    for (;;) {
        cycle_help_to_end();
        lock_take(&world.cycle_lock);
        if (!cycle_is_marking())
            return;
        lock_drop(&world.cycle_lock);
    }
}

void
explain_stopped(void (*work)(void *arg), void *arg)
{
    struct stopped_work w = {.work = work, .arg = arg};
    take_quiet_lock();
    if (cache_self != NULL)
        sweep_finish(cache_self);
    segments_with_loader_locked(stop_and_work, &w);
    observe_call_pause_hook(&w.pause);
    lock_drop(&world.cycle_lock);
}
