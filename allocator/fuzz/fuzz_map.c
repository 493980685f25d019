/* Maps: one map of some kind of keys and elements, with up to three iterators on their way while it
   grows, shrinks, is cleared, and is collected around. */
#include "fuzz.h"

#include "tests/map_model.h"

/* ---- What a nil map does ---- */

static void
call_set(void *arg)
{
    union key k = {{0}};
    maps.kind->write(&k, 1, false);
    sh_map_set(arg, &k, NULL);
}

static void
call_slot(void *arg)
{
    union key k = {{0}};
    maps.kind->write(&k, 1, false);
    sh_map_slot(arg, &k);
}

static void
use_nil_map(struct input *in)
{
    union key k = {{0}};
    struct sh_map_iterator it = sh_map_iterate(NULL);
    maps.kind->write(&k, 1, false);
    need(sh_map_len(NULL) == 0 && sh_map_get(NULL, &k) == NULL, "a nil map is empty");
    need(!sh_map_delete(NULL, &k) && !sh_map_next(&it), "a nil map is empty");
    sh_map_clear(NULL);
    need_panic(choose(in, 2) ? call_set : call_slot, NULL, "assignment to entry in nil map");
}

/* ---- Many at once, so that short inputs have large maps ---- */

static size_t
some_key(struct input *in)
{
    return choose_wide(in, maps.kind->keys);
}

static void
set_many(struct input *in)
{
    size_t key = some_key(in), n = choose(in, 256), step = 1 + choose(in, 8);
    for (size_t i = 0; i < n; i++)
        set_key((key + i * step) % maps.kind->keys, false);
}

static void
delete_many(struct input *in)
{
    size_t key = some_key(in), n = choose(in, 256), step = 1 + choose(in, 8);
    for (size_t i = 0; i < n; i++)
        delete_key((key + i * step) % maps.kind->keys);
}

/* Deletes or sets each key that is shown, as a loop over a map may do. */
static void
change_while_iterating(struct input *in)
{
    size_t i = choose(in, MODEL_ITERATORS), what = choose(in, 4), most = choose(in, 256);
    for (size_t n = 0; n < most && step_iteration(i, what == 3); n++) {
        size_t entry = maps.kind->read(maps.iterators[i].real.key);
        if (entry < MODEL_KEYS && what != 2)
            delete_key(entry);
        if (what != 0)
            set_key((entry * 5 + n) % maps.kind->keys, false);
    }
}

/* ---- The stream ---- */

static void
operate(struct input *in)
{
    size_t what = choose(in, 16);
    switch (what) {
    case 0:
    case 1:
        set_key(some_key(in), what == 1);
        break;
    case 2:
        set_by_slot(some_key(in), choose(in, 2));
        break;
    case 3:
        set_key_to_zero(some_key(in));
        break;
    case 4:
        delete_key(some_key(in));
        break;
    case 5:
        set_many(in);
        break;
    case 6:
        delete_many(in);
        break;
    case 7:
        copy_within_map(some_key(in), some_key(in));
        break;
    case 8:
        set_nan();
        break;
    case 9:
        begin_iteration(choose(in, MODEL_ITERATORS));
        break;
    case 10:
        for (size_t i = choose(in, MODEL_ITERATORS), n = choose(in, 64); n > 0; n--)
            step_iteration(i, n % 4 == 0);
        break;
    case 11:
        change_while_iterating(in);
        break;
    case 12:
        collect_somehow(in);
        break;
    case 13:
        use_nil_map(in);
        break;
    case 14:
        check_key(some_key(in));
        break;
    default:
        if (choose(in, 4) == 0)
            clear_map();
        else
            compare_map();
        break;
    }
    need(sh_map_len(maps.map) == maps.count, "the length is right");
}

void
run_input(struct input *in)
{
    static const size_t hints[] = {0, 8, 9, 100, SIZE_MAX, 0, 0, 0};
    size_t kind = choose(in, COUNT_OF(key_kinds)), hint = hints[choose(in, COUNT_OF(hints))];
    maps.wrong = is_model_wrong();
    make_map(kind, hint);
    while (!is_used_up(in)) {
        tick();
        operate(in);
    }
    for (size_t i = 0; i < MODEL_ITERATORS; i++)
        while (step_iteration(i, false)) {
        }
    sh_collect();
    compare_map();
}
