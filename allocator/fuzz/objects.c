#include "objects.h"

#include "go_sizes.h"
#include "pattern.h"

struct objects objects;

void
objects_begin(void (*store)(void *slot, const void *value))
{
    memset(&objects, 0, sizeof objects);
    objects.wrong = is_model_wrong();
    objects.store = store;
}

/* ---- Content: every word is a function of the object's number, but fields ---- */

static bool
is_field(const struct object *o, size_t at)
{
    for (size_t f = 0; f < o->nfields; f++)
        if (o->at[f] == at)
            return true;
    return false;
}

static void
fill(size_t i)
{
    const struct object *o = &objects.all[i];
    char *p = address_of(i);
    size_t words = o->size / 8;
    for (size_t at = 0; at < words; at++) {
        uint64_t word = pattern_word(o->number, at);
        if (!is_field(o, at))
            memcpy(p + 8 * at, &word, 8);
    }
    uint64_t rest = pattern_word(o->number, words);
    memcpy(p + 8 * words, &rest, o->size % 8);
}

/* The first `size` bytes. */
static void
compare_bytes(const struct object *o, size_t size)
{
    const char *p = (const char *)~o->hidden;
    size_t words = size / 8;
    for (size_t at = 0; at < words; at++) {
        uint64_t word;
        memcpy(&word, p + 8 * at, 8);
        need(is_field(o, at) || word == pattern_word(o->number, at), "an object keeps its content");
    }
    uint64_t rest = pattern_word(o->number, words);
    need(is_field(o, words) || memcmp(p + 8 * words, &rest, size % 8) == 0,
         "an object keeps its content");
}

static void
compare_fields(size_t i)
{
    const struct object *o = &objects.all[i];
    for (size_t f = 0; f < o->nfields; f++) {
        uintptr_t word, wanted = o->to[f] == NOBODY ? 0 : ~objects.all[o->to[f]].hidden;
        memcpy(&word, (char *)address_of(i) + 8 * o->at[f], 8);
        need(word == wanted, "a field points to where it pointed");
    }
}

void
compare_content(const struct object *o)
{
    if (!o->is_closed)
        compare_bytes(o, o->size);
}

void
compare_object(size_t i)
{
    if (!objects.all[i].exists || objects.all[i].is_closed)
        return;
    compare_content(&objects.all[i]);
    compare_fields(i);
}

void
compare_objects(void)
{
    for (size_t i = 0; i < OBJECTS; i++)
        compare_object(i);
}

void
need_apart(const void *p, size_t size)
{
    uintptr_t start = (uintptr_t)p;
    for (size_t i = 0; i < OBJECTS; i++) {
        uintptr_t other = ~objects.all[i].hidden;
        if (objects.all[i].exists)
            need(other + objects.all[i].size <= start || start + size <= other,
                 "no object lies in another");
    }
}

/* ---- Making and resizing ---- */

static size_t
all_bytes(void)
{
    size_t bytes = 0;
    for (size_t i = 0; i < OBJECTS; i++)
        bytes += objects.all[i].exists ? objects.all[i].size : 0;
    return bytes;
}

size_t
choose_bytes(struct input *in, size_t least, size_t most_b)
{
    size_t what = choose(in, 256);
    if (what < 100)
        return least + what % 80;
    if (what < 200)
        return class_of_go(what - 100) + choose(in, 3) - 1;
    if (what < 250 || all_bytes() > most_b)
        return least + choose_wide(in, 65536);
    return (least + choose(in, 64)) << 13;
}

size_t
spread_fields(size_t size, size_t at[FIELDS])
{
    size_t words = size / 8, n = words < FIELDS ? words : FIELDS;
    const size_t places[FIELDS] = {0, words < FIELDS ? 1 : words / 2, words - 1};
    for (size_t f = 0; f < n; f++)
        at[f] = places[f];
    return n;
}

void
put_object(size_t i, void *p, size_t size, size_t nfields, const size_t *at)
{
    need_apart(p, size);
    need_zero(p, size);
    struct object *o = &objects.all[i];
    *o = (struct object){.exists = true, .reachable = true, .hidden = ~(uintptr_t)p, .size = size};
    o->number = ++objects.made;
    o->nfields = nfields;
    o->argument = NOBODY;
    for (size_t f = 0; f < nfields; f++) {
        o->at[f] = at[f];
        o->to[f] = NOBODY;
    }
    hold_object(i, &objects.roots[i], 0);
    fill(i);
}

void
object_moved(size_t i, void *p, size_t size, bool zeroed)
{
    struct object *o = &objects.all[i];
    size_t common = size < o->size ? size : o->size, old = o->size;
    o->hidden = ~(uintptr_t)p;
    compare_bytes(o, common);
    size_t n = 0;
    for (size_t f = 0; f < o->nfields; f++)
        if (8 * (o->at[f] + 1) <= size) {
            o->at[n] = o->at[f];
            o->to[n++] = o->to[f];
        }
    o->nfields = n;
    for (size_t j = 0; j < OBJECTS; j++)
        for (size_t f = 0; objects.all[j].exists && f < objects.all[j].nfields; f++)
            if (objects.all[j].to[f] == i)
                point(j, f, i);
    compare_fields(i);
    if (zeroed && size > old)
        need_zero((char *)p + old, size - old);
    o->size = size;
    if (o->root != NULL)
        hold_object(i, o->root, 0);
    fill(i);
}

/* ---- Pointers ---- */

void
hold_object(size_t i, uintptr_t *root, size_t offset)
{
    uintptr_t *old = objects.all[i].root;
    *root = ~objects.all[i].hidden + offset;
    objects.all[i].root = root;
    if (old != NULL && old != root)
        *old = 0;
}

void
let_go(size_t i)
{
    if (objects.all[i].root != NULL)
        *objects.all[i].root = 0;
    objects.all[i].root = NULL;
}

void
note_point(size_t from, size_t field, size_t to)
{
    objects.all[from].to[field] = objects.wrong ? NOBODY : to;
}

void
point(size_t from, size_t field, size_t to)
{
    void *slot = (char *)address_of(from) + 8 * objects.all[from].at[field];
    objects.store(slot, to == NOBODY ? NULL : address_of(to));
    note_point(from, field, to);
}

size_t
take_out(size_t from, size_t field, bool held)
{
    size_t old = objects.all[from].to[field];
    if (held && old != NOBODY)
        hold_object(old, &objects.roots[old], 0);
    return old;
}

bool
may_go(size_t i)
{
    if (objects.all[i].is_in_garbage)
        return false;
    for (size_t j = 0; j < OBJECTS; j++) {
        const struct object *o = &objects.all[j];
        if (o->exists && o->is_root && o->argument == i)
            return false;
        bool is_out_of_reach = o->exists && (!o->reachable || o->is_closed);
        for (size_t f = 0; is_out_of_reach && f < o->nfields; f++)
            if (o->to[f] == i && j != i)
                return false;
    }
    return true;
}

void
unlink_object(size_t i)
{
    for (size_t j = 0; j < OBJECTS; j++)
        for (size_t f = 0; objects.all[j].exists && f < objects.all[j].nfields; f++)
            if (objects.all[j].to[f] == i)
                point(j, f, NOBODY);
    let_go(i);
}

void
forget_object(size_t i)
{
    let_go(i);
    objects.all[i] = (struct object){.exists = false};
}

/* ---- What is there ---- */

size_t
some_object(struct input *in)
{
    size_t from = choose(in, OBJECTS);
    for (size_t n = 0; n < OBJECTS; n++) {
        size_t i = (from + n) % OBJECTS;
        if (objects.all[i].exists && objects.all[i].reachable)
            return i;
    }
    return NOBODY;
}

static void
reach(size_t i, bool seen[OBJECTS])
{
    if (i == NOBODY || seen[i])
        return;
    seen[i] = true;
    for (size_t f = 0; f < objects.all[i].nfields; f++)
        reach(objects.all[i].to[f], seen);
}

static void
reach_from(size_t i, bool seen[OBJECTS])
{
    for (size_t f = 0; f < objects.all[i].nfields; f++)
        reach(objects.all[i].to[f], seen);
    if (objects.all[i].is_root)
        reach(objects.all[i].argument, seen);
}

bool
leads_to(size_t i, size_t to)
{
    bool seen[OBJECTS] = {false};
    reach_from(i, seen);
    return seen[to];
}

bool
leads_back(size_t i)
{
    const struct object *o = &objects.all[i];
    for (size_t f = 0; f < o->nfields; f++)
        if (o->to[f] != NOBODY && o->to[f] != i && leads_to(o->to[f], i))
            return true;
    return o->argument != NOBODY && (o->argument == i || leads_to(o->argument, i));
}

/* It may stay in the heap for long: a stale word, taken for a pointer, keeps it. */
static void
forget_garbage(size_t i)
{
    const struct object *o = &objects.all[i];
    for (size_t f = 0; o->is_typed && f < o->nfields; f++)
        if (o->to[f] != NOBODY)
            objects.all[o->to[f]].is_in_garbage = true;
    forget_object(i);
}

void
sort_out(void)
{
    bool reachable[OBJECTS] = {false}, kept[OBJECTS];
    for (size_t i = 0; i < OBJECTS; i++)
        if (objects.all[i].exists && (objects.all[i].root != NULL || objects.all[i].stays))
            reach(i, reachable);
    memcpy(kept, reachable, sizeof kept);
    for (size_t i = 0; i < OBJECTS; i++)
        if (objects.all[i].exists && objects.all[i].is_root) {
            kept[i] = true;
            reach_from(i, kept);
        }
    for (size_t i = 0; i < OBJECTS; i++) {
        objects.all[i].reachable = reachable[i];
        if (objects.all[i].exists && !kept[i])
            forget_garbage(i);
    }
}
