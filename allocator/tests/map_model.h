/*
 * A map beside a plain model: for each key whether it is there, and the number of its element; and
 * iterators that go on while the map changes, by Go's rules: an entry is shown once at most; one
 * that was deleted before it was reached, not at all; one that is new, perhaps; every other one,
 * once. A key that is deleted and set again is a new entry.
 *
 * NaNs are keys that cannot be asked for; they are known by their elements, whose numbers differ.
 */
#ifndef SPANHEAP_TESTS_MAP_MODEL_H
#define SPANHEAP_TESTS_MAP_MODEL_H

#include "element.h"

#include <spanheap/map.h>

#include <math.h>

#ifndef MODEL_KEYS
#define MODEL_KEYS 1024
#endif
enum { MODEL_NANS = 32, MODEL_ENTRIES = MODEL_KEYS + MODEL_NANS };
enum { MODEL_ITERATORS = 3, NOT_THERE = -1 };

/* Keys of a type, numbered. */
struct key_kind {
    struct sh_map_type type;
    void (*write)(void *to, size_t key, bool other); /* other: an equal one, if there is any */
    size_t (*read)(const void *from);                /* MODEL_KEYS: NaN */
    size_t keys;                                     /* at most; fewer where look-ups are slow */
    bool has_nan, keeps_key; /* keeps_key: setting an entry does not change its key */
    int element;             /* of element_kinds; NOT_THERE: none, the map is a set */
};

union key {
    uint64_t words[18];
    struct {
        struct sh_string string;
        char text[40]; /* of a key that is only looked up */
    } named;
};

struct model_iterator {
    struct sh_map_iterator real;
    bool runs;
    bool must[MODEL_ENTRIES], shown[MODEL_ENTRIES];
};

static struct {
    struct key_kind *kind;
    struct sh_map *map; /* static: a root */
    uint64_t values[MODEL_ENTRIES];
    bool there[MODEL_ENTRIES], negative_zero;
    size_t count, nans;
    struct model_iterator iterators[MODEL_ITERATORS];
    bool wrong; /* the model forgets that a deleted entry is not shown: for a test of the tests */
} maps;

/* ---- Kinds of keys ---- */

static inline void
write_int(void *to, size_t key, bool other)
{
    (void)other;
    *(int64_t *)to = (int64_t)key - 7;
}

static inline size_t
read_int(const void *from)
{
    return (size_t)(*(const int64_t *)from + 7);
}

static inline void
write_int32(void *to, size_t key, bool other)
{
    (void)other;
    *(int32_t *)to = (int32_t)key - 7;
}

static inline size_t
read_int32(const void *from)
{
    int32_t number = *(const int32_t *)from;
    return (size_t)number + 7;
}

/* 0 is 0.0 or -0.0. */
static inline void
write_double(void *to, size_t key, bool other)
{
    *(double *)to = key == MODEL_KEYS ? NAN : key == 0 && other ? -0.0 : (double)key;
}

static inline size_t
read_double(const void *from)
{
    double number = *(const double *)from;
    return isnan(number) ? MODEL_KEYS : (size_t)number;
}

/* Of different lengths. */
static inline void
write_string(void *to, size_t key, bool other)
{
    union key *k = to;
    char *text = k->named.text;
    (void)other;
    int len =
        snprintf(text, sizeof k->named.text, key % 3 ? "%zu" : "the key with the number %zu", key);
    k->named.string = (struct sh_string){text, (size_t)len};
}

static inline size_t
read_string(const void *from)
{
    const struct sh_string *s = from;
    size_t key = 0;
    for (size_t i = 0; i < s->len; i++)
        if (s->data[i] >= '0' && s->data[i] <= '9')
            key = key * 10 + (size_t)(s->data[i] - '0');
    return key;
}

static inline void
write_long(void *to, size_t key, bool other)
{
    uint64_t *words = to;
    (void)other;
    for (size_t i = 0; i < 17; i++)
        words[i] = key + i;
}

static inline size_t
read_long(const void *from)
{
    const uint64_t *words = from;
    for (size_t i = 0; i < 17; i++)
        need(words[i] == words[0] + i, "the words of a key are of one key");
    return words[0];
}

/* All keys in one chain of buckets. */
static inline uint64_t
hash_nothing(const void *key, uint64_t seed)
{
    (void)key;
    (void)seed;
    return 0;
}

static const struct sh_type long_key = {"long key", sizeof(uint64_t[17]), NULL, 0};
static const struct sh_type int32_key = {"int32", 4, NULL, 0};
#define STRING_KEY .key = &sh_string_type, .hash = sh_hash_string, .equal = sh_equal_string
#define DOUBLE_KEY .key = &element_word, .hash = sh_hash_double, .equal = sh_equal_double
#define COLLIDING .key = &element_word, .hash = hash_nothing, .equal = sh_equal_int64

enum { KEY_WORD, KEY_WORD_TO_POINTER, KEY_STRING_TO_POINTER };
static struct key_kind key_kinds[] = {
    {{.key = &element_word}, write_int, read_int, MODEL_KEYS, false, true, KIND_WORD},
    {{.key = &element_word}, write_int, read_int, MODEL_KEYS, false, true, KIND_POINTER},
    {{STRING_KEY}, write_string, read_string, MODEL_KEYS, false, false, KIND_POINTER},
    {{STRING_KEY}, write_string, read_string, MODEL_KEYS, false, false, KIND_BYTE},
    {{DOUBLE_KEY}, write_double, read_double, MODEL_KEYS, true, false, KIND_WORD},
    {{DOUBLE_KEY}, write_double, read_double, MODEL_KEYS, true, false, KIND_MIXED},
    {{COLLIDING}, write_int, read_int, 64, false, true, KIND_POINTER},
    {{.key = &long_key}, write_long, read_long, MODEL_KEYS, false, true, KIND_WIDE},
    {{.key = &int32_key}, write_int32, read_int32, MODEL_KEYS, false, true, KIND_MIXED},
    {{.key = &element_word}, write_int, read_int, MODEL_KEYS, false, true, NOT_THERE},
    {{.key = &element_word}, write_int, read_int, MODEL_KEYS, false, true, KIND_NOTHING},
};

/* ---- Single entries ---- */

static inline const struct element_kind *
element_of_map(void)
{
    return &element_kinds[maps.kind->element == NOT_THERE ? KIND_NOTHING : maps.kind->element];
}

/* A key to be set: it lies in the heap, not on the stack. */
static inline void
write_to_keep(union key *k, size_t key, bool other)
{
    maps.kind->write(k, key, other);
    if (maps.kind->type.key == &sh_string_type)
        k->named.string = sh_string_clone(k->named.string);
}

/* A new map, of which nothing is known to iterators. */
static inline void
make_map(size_t kind, size_t hint)
{
    bool wrong = maps.wrong;
    memset(&maps, 0, sizeof maps);
    maps.wrong = wrong;
    maps.kind = &key_kinds[kind % COUNT_OF(key_kinds)];
    if (maps.kind->element != NOT_THERE)
        maps.kind->type.element = element_of_map()->type;
    maps.map = sh_map_make(&maps.kind->type, hint);
}

static inline void
check_element(size_t entry, const void *element)
{
    need(element_of_map()->read(element) == maps.values[entry], "an element is the model's");
}

/* The key is looked up. */
static inline void
check_key(size_t key)
{
    union key k = {{0}};
    maps.kind->write(&k, key, false);
    const void *found = sh_map_get(maps.map, &k);
    need((found != NULL) == maps.there[key], "found if it is there");
    if (found != NULL)
        check_element(key, found);
}

static inline void
model_set(size_t entry, uint64_t value)
{
    maps.count += !maps.there[entry];
    maps.there[entry] = true;
    maps.values[entry] = value;
}

static inline void
note_zero(size_t key, bool other)
{
    if (key == 0 && !maps.kind->keeps_key)
        maps.negative_zero = other;
}

static inline void
set_key(size_t key, bool other)
{
    union key k = {{0}};
    union element e;
    uint64_t value = new_element(element_of_map(), &e);
    write_to_keep(&k, key, other);
    sh_map_set(maps.map, &k, &e);
    note_zero(key, other);
    model_set(key, value);
}

/* Without an element: a zeroed one. */
static inline void
set_key_to_zero(size_t key)
{
    union key k = {{0}};
    write_to_keep(&k, key, false);
    sh_map_set(maps.map, &k, NULL);
    note_zero(key, false);
    model_set(key, 0);
}

static inline void
set_by_slot(size_t key, bool other)
{
    union key k = {{0}};
    union element e;
    uint64_t value = new_element(element_of_map(), &e);
    write_to_keep(&k, key, other);
    void *slot = sh_map_slot(maps.map, &k);
    need(element_of_map()->read(slot) == (maps.there[key] ? maps.values[key] : 0),
         "a slot has its element, or a zeroed one");
    store_element(element_of_map(), slot, &e);
    note_zero(key, other);
    model_set(key, value);
}

/* map[to] = map[from], by addresses inside the map. */
static inline void
copy_within_map(size_t from, size_t to)
{
    union key k_from = {{0}}, k_to = {{0}};
    maps.kind->write(&k_from, from, false);
    write_to_keep(&k_to, to, false);
    const void *element = sh_map_get(maps.map, &k_from);
    need((element != NULL) == maps.there[from], "found if it is there");
    if (element == NULL)
        return;
    sh_map_set(maps.map, &k_to, element);
    note_zero(to, false);
    model_set(to, maps.values[from]);
}

static inline void
set_nan(void)
{
    union key k = {{0}};
    union element e;
    if (!maps.kind->has_nan || maps.nans == MODEL_NANS)
        return;
    uint64_t value = new_element(element_of_map(), &e);
    maps.kind->write(&k, MODEL_KEYS, false);
    sh_map_set(maps.map, &k, &e);
    need(sh_map_get(maps.map, &k) == NULL && !sh_map_delete(maps.map, &k), "NaN is not found");
    model_set(MODEL_KEYS + maps.nans++, value);
}

static inline void
delete_key(size_t key)
{
    union key k = {{0}};
    maps.kind->write(&k, key, false);
    need(sh_map_delete(maps.map, &k) == maps.there[key], "deleted if it was there");
    maps.count -= maps.there[key];
    maps.there[key] = false;
    for (size_t i = 0; i < MODEL_ITERATORS; i++) {
        maps.iterators[i].must[key] &= maps.wrong;
        maps.iterators[i].shown[key] = false;
    }
}

static inline void
clear_map(void)
{
    sh_map_clear(maps.map);
    memset(maps.there, 0, sizeof maps.there);
    maps.count = maps.nans = 0;
    for (size_t i = 0; i < MODEL_ITERATORS; i++) {
        memset(maps.iterators[i].must, 0, sizeof maps.iterators[i].must);
        memset(maps.iterators[i].shown, 0, sizeof maps.iterators[i].shown);
    }
}

/* ---- Iteration ---- */

static inline void
begin_iteration(size_t i)
{
    struct model_iterator *it = &maps.iterators[i];
    it->real = sh_map_iterate(maps.map);
    it->runs = true;
    memcpy(it->must, maps.there, sizeof it->must);
    memset(it->shown, 0, sizeof it->shown);
}

/* Which entry of the model an iterator shows. */
static inline size_t
entry_shown(const struct sh_map_iterator *it)
{
    size_t key = maps.kind->read(it->key);
    if (key != MODEL_KEYS || !maps.kind->has_nan)
        return key;
    uint64_t value = element_of_map()->read(it->element);
    for (size_t i = 0; i < maps.nans; i++)
        if (maps.values[MODEL_KEYS + i] == value)
            return MODEL_KEYS + i;
    need(false, "a NaN that is shown was set");
    return 0;
}

static inline void
end_iteration(struct model_iterator *it)
{
    need(it->real.key == NULL && it->real.element == NULL, "there is no entry at the end");
    need(!sh_map_next(&it->real), "the end is the end");
    for (size_t i = 0; i < MODEL_ENTRIES; i++)
        need(!it->must[i], "all that were there and stayed were shown");
    it->runs = false;
}

/* False: it has ended. The entry may be changed where it is shown, unless its key is NaN. */
static inline bool
step_iteration(size_t i, bool change)
{
    struct model_iterator *it = &maps.iterators[i];
    if (!it->runs)
        return false;
    if (!sh_map_next(&it->real)) {
        end_iteration(it);
        return false;
    }
    size_t entry = entry_shown(&it->real);
    need(entry < MODEL_ENTRIES && maps.there[entry], "what is shown is there");
    need(!it->shown[entry], "shown once at most");
    if (maps.kind->element != NOT_THERE)
        check_element(entry, it->real.element);
    if (maps.kind->has_nan && entry == 0)
        need(signbit(*(double *)it->real.key) == maps.negative_zero, "zero has its sign");
    it->shown[entry] = true;
    it->must[entry] = false;
    if (change && entry < MODEL_KEYS && maps.kind->element != NOT_THERE) {
        union element e;
        maps.values[entry] = new_element(element_of_map(), &e);
        store_element(element_of_map(), it->real.element, &e);
    }
    return true;
}

/* All of the map: each key is looked up, and one iteration shows the same. */
static inline void
compare_map(void)
{
    static struct model_iterator saved;
    saved = maps.iterators[0];
    need(sh_map_len(maps.map) == maps.count, "the length is right");
    for (size_t key = 0; key < maps.kind->keys; key++)
        check_key(key);
    begin_iteration(0);
    while (step_iteration(0, false)) {
    }
    maps.iterators[0] = saved;
}

#endif
