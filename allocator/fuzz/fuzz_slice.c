/* Slices: making, appending, windows, copies and stores on a few slices that share arrays, with
   indices in bounds and out of them. The elements are of one kind in an input. */
#include "fuzz.h"

#include "tests/slice_model.h"

enum { SLOTS = 6, MOST = 400 }; /* slices in use; elements of one */

/* ---- Arguments that may be wrong ---- */

struct call {
    size_t at, low, high, max;
};

static const struct sh_slice *
slice_of(const struct call *c)
{
    return &table.slices[c->at];
}

static void
call_make(void *arg)
{
    const struct call *c = arg;
    sh_slice_make(table.kind->type, c->low, c->high);
}

static void
call_window(void *arg)
{
    const struct call *c = arg;
    sh_slice_window(table.kind->type, *slice_of(c), c->low, c->high);
}

static void
call_window3(void *arg)
{
    const struct call *c = arg;
    sh_slice_window3(table.kind->type, *slice_of(c), c->low, c->high, c->max);
}

static void
call_at(void *arg)
{
    const struct call *c = arg;
    sh_slice_at(table.kind->type, *slice_of(c), c->low);
}

static void
call_append_many(void *arg)
{
    const struct call *c = arg;
    sh_slice_append(table.kind->type, *slice_of(c), NULL, SIZE_MAX - c->low);
}

static bool
is_too_large(size_t count)
{
    size_t bytes;
    return __builtin_mul_overflow(count, table.kind->type->size, &bytes) || bytes > PTRDIFF_MAX;
}

static void
make_one(struct input *in, size_t to)
{
    size_t cap = choose_size(in, MOST / 8), len = choose_size(in, cap);
    struct call c = {.low = len, .high = cap};
    if (is_too_large(len))
        need_panic(call_make, &c,
                   "runtime error: makeslice: len out of range: %zu elements of %zu"
                   " bytes",
                   len, table.kind->type->size);
    else if (len > cap || is_too_large(cap))
        need_panic(call_make, &c, "runtime error: makeslice: cap out of range: %zu with length %zu",
                   cap, len);
    else if (cap <= MOST)
        make_slice(to, len, cap);
}

static void
cut_one(struct input *in, size_t from, size_t to)
{
    const struct model_slice *m = &table.models[from];
    size_t high = choose_size(in, m->cap), low = choose_size(in, high);
    struct call c = {from, low, high, 0};
    if (high > m->cap)
        need_panic(call_window, &c,
                   "runtime error: slice bounds out of range [:%zu] with capacity %zu", high,
                   m->cap);
    else if (low > high)
        need_panic(call_window, &c, "runtime error: slice bounds out of range [%zu:%zu]", low,
                   high);
    else
        cut_slice(from, to, low, high, SIZE_MAX);
}

static void
cut_one_short(struct input *in, size_t from, size_t to)
{
    const struct model_slice *m = &table.models[from];
    size_t max = choose_size(in, m->cap), high = choose_size(in, max), low = choose_size(in, high);
    struct call c = {from, low, high, max};
    if (max > m->cap)
        need_panic(call_window3, &c,
                   "runtime error: slice bounds out of range [::%zu] with capacity %zu", max,
                   m->cap);
    else if (high > max)
        need_panic(call_window3, &c, "runtime error: slice bounds out of range [:%zu:%zu]", high,
                   max);
    else if (low > high)
        need_panic(call_window3, &c, "runtime error: slice bounds out of range [%zu:%zu:]", low,
                   high);
    else
        cut_slice(from, to, low, high, max);
}

static void
store_one(struct input *in, size_t at)
{
    size_t len = table.models[at].len, i = choose_size(in, len);
    struct call c = {.at = at, .low = i};
    if (i >= len)
        need_panic(call_at, &c, "runtime error: index out of range [%zu] with length %zu", i, len);
    else
        store_in_slice(at, i);
}

/* So many that the length overflows, or no array could have that size. */
static void
append_too_many(struct input *in, size_t at)
{
    size_t len = table.models[at].len, size = table.kind->type->size;
    struct call c = {.at = at, .low = choose(in, 256)};
    if (len > c.low)
        need_panic(call_append_many, &c,
                   "runtime error: growslice: len out of range: %zu elements and %zu more", len,
                   SIZE_MAX - c.low);
    else if (size > 0)
        need_panic(call_append_many, &c,
                   "runtime error: growslice: cap out of range: %zu elements of %zu bytes",
                   len + (SIZE_MAX - c.low), size);
}

/* ---- The stream ---- */

static void
operate(struct input *in)
{
    size_t what = choose(in, 13), from = choose(in, SLOTS), to = choose(in, SLOTS);
    switch (what) {
    case 0:
        make_one(in, to);
        break;
    case 1:
        cut_one(in, from, to);
        break;
    case 2:
        cut_one_short(in, from, to);
        break;
    case 3:
        copy_slice(from, to);
        break;
    case 4:
        clone_slice(from, to);
        break;
    case 5:
        store_one(in, to);
        break;
    case 6:
        append_new(from, to, choose(in, APPEND_MAX + 1));
        break;
    case 7:
        append_slice(from, to, choose(in, SLOTS));
        break;
    case 8:
        append_zeroes(from, to, choose(in, 64));
        break;
    case 9:
        clip_slice(from, to);
        break;
    case 10:
        append_too_many(in, from);
        break;
    case 11:
        collect_somehow(in);
        break;
    default: /* the nil slice */
        table.slices[to] = (struct sh_slice){0};
        put_model(to, (struct model_slice){0});
        break;
    }
    if (table.models[to].len > MOST)
        make_slice(to, 1, 2);
}

void
run_input(struct input *in)
{
    table.kind = &element_kinds[choose(in, KINDS)];
    table.wrong = is_model_wrong();
    for (size_t at = 0; at < SLOTS; at++) {
        table.slices[at] = (struct sh_slice){0};
        put_model(at, (struct model_slice){0});
    }
    while (!is_used_up(in)) {
        tick();
        operate(in);
        for (size_t at = 0; at < SLOTS; at++)
            compare_slice(at);
    }
    sh_collect();
    for (size_t at = 0; at < SLOTS; at++)
        compare_slice(at);
}
