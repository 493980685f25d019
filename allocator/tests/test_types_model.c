/* A million random operations on slices and channels, each beside a plain model in memory of
   malloc, while collections run all the time and the heap is verified. Elements are pointers to
   numbers. The models are also those of the fuzz targets (../fuzz/). */
/* run: native asan tsan */
#include "check.h"

#include "channel_model.h"
#include "slice_model.h"

#define SEED 20261127
#define OPERATIONS (UNDER_ASAN || UNDER_TSAN ? 200000 : 1000000)
#define MOST 120 /* elements of a slice */

/* ---- Slices ---- */

static void
cut_somewhere(struct rng *r, size_t from, size_t to)
{
    size_t max = rng_below(r, table.models[from].cap + 1), high = rng_below(r, max + 1),
           low = rng_below(r, high + 1);
    cut_slice(from, to, low, high, rng_below(r, 2) == 0 ? max : SIZE_MAX);
}

static void
make_some(struct rng *r, size_t at)
{
    size_t cap = rng_below(r, 20), len = rng_below(r, cap + 1);
    make_slice(at, len, cap);
}

static void
operate_on_slices(void)
{
    struct rng r = {SEED};
    table.kind = &element_kinds[KIND_POINTER];
    for (int i = 0; i < OPERATIONS; i++) {
        size_t from = rng_below(&r, SLICES), to = rng_below(&r, SLICES);
        switch (rng_below(&r, 10)) {
        case 0:
            make_some(&r, to);
            break;
        case 1:
            cut_somewhere(&r, from, to);
            break;
        case 2:
            copy_slice(from, to);
            break;
        case 3:
            clone_slice(from, to);
            break;
        case 4:
            if (table.models[to].len > 0)
                store_in_slice(to, rng_below(&r, table.models[to].len));
            break;
        case 5:
            append_slice(from, to, rng_below(&r, SLICES));
            break;
        default:
            append_new(from, to, 1 + rng_below(&r, APPEND_MAX));
            break;
        }
        if (table.models[to].len > MOST)
            make_some(&r, to);
        compare_slice(to);
        if (i % 20000 == 0)
            for (size_t at = 0; at < SLICES; at++)
                compare_slice(at);
    }
}

/* ---- Channels ---- */

static void
receive_from_some(struct rng *r)
{
    struct model_case cases[5];
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        cases[i] =
            (struct model_case){.channel = rng_below(r, CHANNELS), .kind = SH_SELECT_RECEIVE};
    select_now(cases, COUNT_OF(cases));
}

static void
operate_on_channels(void)
{
    struct rng r = {SEED};
    for (size_t at = 0; at < CHANNELS; at++)
        make_channel(at, KIND_POINTER, rng_below(&r, BUFFER_MAX + 1));
    for (int i = 0; i < OPERATIONS; i++) {
        size_t at = rng_below(&r, CHANNELS), what = rng_below(&r, 1000);
        bool closed = net.models[at].closed;
        if (what < 450 && !closed)
            try_send(at);
        else if (what < 800)
            try_receive(at, false);
        else if (what < 990)
            receive_from_some(&r);
        else if (what < 995 && !closed)
            close_channel(at);
        else
            make_channel(at, KIND_POINTER, rng_below(&r, BUFFER_MAX + 1));
        compare_channel(at);
    }
}

/* ---- Tests ---- */

static void
run_part_under_stress(const char *part)
{
    static struct outcome out;
    static const char *const settings[][5] = {
        {"SH_VERIFY=1", "SH_GOGC=10", "SH_CLOBBER=1", NULL},
        {"SH_GOGC=10", "SH_BARRIER=insertion", "SH_CLOBBER=1", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(settings); i++) {
        run_anew(&out, part, settings[i]);
        assert_success(&out);
    }
}

static void
test_slices_are_what_the_model_is(void **state)
{
    (void)state;
    run_part_under_stress("slices");
}

static void
test_channels_are_what_the_model_is(void **state)
{
    (void)state;
    run_part_under_stress("channels");
}

static const struct program_part parts[] = {
    {"slices", operate_on_slices},
    {"channels", operate_on_channels},
};

int
main(int argc, char **argv)
{
    if (argc > 1)
        return run_part(parts, COUNT_OF(parts), argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slices_are_what_the_model_is),
        cmocka_unit_test(test_channels_are_what_the_model_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
