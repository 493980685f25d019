/* Slices beside a plain model of them in memory of malloc. Each operation is done to both, and what
   it returns is compared; so are whole slices, by compare_slice(). All slices of the table have
   elements of one kind. */
#ifndef SPANHEAP_TESTS_SLICE_MODEL_H
#define SPANHEAP_TESTS_SLICE_MODEL_H

#include "element.h"

#include <spanheap/slice.h>

#include "heap/sizeclass.h"

#define SLICES 24
#define APPEND_MAX 4 /* new elements at once */

struct model_array {
    size_t users;
    uint64_t values[];
};

struct model_slice {
    struct model_array *array;
    size_t first, len, cap;
};

static struct {
    const struct element_kind *kind;
    struct sh_slice slices[SLICES]; /* static: roots */
    struct model_slice models[SLICES];
    bool wrong; /* the model forgets the third number of a window: for a test of the tests */
} table;

static inline void
put_model(size_t at, struct model_slice m)
{
    struct model_slice *old = &table.models[at];
    if (m.array != NULL)
        m.array->users++;
    if (old->array != NULL && --old->array->users == 0)
        free(old->array);
    *old = m;
}

static inline struct model_slice
new_model(size_t len, size_t cap)
{
    struct model_slice m = {NULL, 0, len, cap};
    if (cap == 0)
        return m;
    m.array = calloc(1, sizeof *m.array + cap * sizeof(uint64_t));
    need(m.array != NULL, "memory for the model");
    return m;
}

static inline uint64_t *
values_of(const struct model_slice *m)
{
    return m->array->values + m->first;
}

/* growslice of Go 1.19. */
static inline size_t
model_cap(size_t element_b, size_t old_cap, size_t wanted)
{
    size_t cap = old_cap;
    if (element_b == 0 || wanted > 2 * old_cap)
        cap = wanted;
    else if (old_cap < 256)
        cap = 2 * old_cap;
    while (cap < wanted)
        cap += (cap + 3 * 256) / 4;
    return element_b == 0 ? cap : sizeclass_round(cap * element_b) / element_b;
}

/* Every element of a slice, its length and its capacity. */
static inline void
compare_slice(size_t at)
{
    const struct model_slice *m = &table.models[at];
    const struct sh_slice *s = &table.slices[at];
    need(s->len == m->len && s->cap == m->cap, "length and capacity are right");
    for (size_t i = 0; i < m->len; i++) {
        const void *element = (char *)s->data + i * table.kind->type->size;
        need(table.kind->read(element) == values_of(m)[i], "every element is the model's");
    }
}

static inline void
make_slice(size_t at, size_t len, size_t cap)
{
    table.slices[at] = sh_slice_make(table.kind->type, len, cap);
    put_model(at, new_model(len, cap));
}

/* The model of slice m with room for n more: m itself, or a copy in an array of its own. */
static inline struct model_slice
model_with_room(struct model_slice m, size_t n)
{
    if (m.len + n <= m.cap)
        return m;
    struct model_slice larger =
        new_model(m.len, model_cap(table.kind->type->size, m.cap, m.len + n));
    if (m.len > 0)
        memcpy(values_of(&larger), values_of(&m), m.len * sizeof(uint64_t));
    return larger;
}

/* slices[to] = append(slices[from], n new elements) */
static inline void
append_new(size_t from, size_t to, size_t n)
{
    size_t size = table.kind->type->size;
    char elements[APPEND_MAX * sizeof(union element)] __attribute__((aligned(8)));
    struct model_slice m = model_with_room(table.models[from], n);
    for (size_t i = 0; i < n; i++) {
        union element e;
        uint64_t value = new_element(table.kind, &e);
        memcpy(elements + i * size, &e, size);
        values_of(&m)[m.len + i] = value;
    }
    m.len += n;
    table.slices[to] = sh_slice_append(table.kind->type, table.slices[from], elements, n);
    put_model(to, m);
}

/* slices[to] = append(slices[from], make([]element, n)...) */
static inline void
append_zeroes(size_t from, size_t to, size_t n)
{
    struct model_slice m = model_with_room(table.models[from], n);
    if (n > 0)
        memset(values_of(&m) + m.len, 0, n * sizeof(uint64_t));
    m.len += n;
    table.slices[to] = sh_slice_append(table.kind->type, table.slices[from], NULL, n);
    put_model(to, m);
}

/* slices[to] = append(slices[from], slices[what]...); the two may overlap. */
static inline void
append_slice(size_t from, size_t to, size_t what)
{
    struct model_slice src = table.models[what];
    struct model_slice m = model_with_room(table.models[from], src.len);
    if (src.len > 0)
        memmove(values_of(&m) + m.len, values_of(&src), src.len * sizeof(uint64_t));
    m.len += src.len;
    table.slices[to] =
        sh_slice_append(table.kind->type, table.slices[from], table.slices[what].data, src.len);
    put_model(to, m);
}

/* slices[to] = slices[from][low:high:max], which is in bounds; max SIZE_MAX: [low:high] */
static inline void
cut_slice(size_t from, size_t to, size_t low, size_t high, size_t max)
{
    struct model_slice m = table.models[from];
    const struct sh_type *type = table.kind->type;
    table.slices[to] = max == SIZE_MAX ? sh_slice_window(type, table.slices[from], low, high)
                                       : sh_slice_window3(type, table.slices[from], low, high, max);
    m.first += low;
    m.len = high - low;
    m.cap = (max == SIZE_MAX || table.wrong ? m.cap : max) - low;
    put_model(to, m);
}

static inline void
clip_slice(size_t from, size_t to)
{
    struct model_slice m = table.models[from];
    table.slices[to] = sh_slice_clip(table.slices[from]);
    m.cap = m.len;
    put_model(to, m);
}

static inline void
copy_slice(size_t from, size_t to)
{
    const struct model_slice *src = &table.models[from], *dst = &table.models[to];
    size_t n = src->len < dst->len ? src->len : dst->len;
    need(sh_slice_copy(table.kind->type, table.slices[to], table.slices[from]) == n,
         "copy tells how many");
    if (n > 0)
        memmove(values_of(dst), values_of(src), n * sizeof(uint64_t));
}

static inline void
clone_slice(size_t from, size_t to)
{
    struct model_slice old = table.models[from];
    struct model_slice m = new_model(old.len, model_cap(table.kind->type->size, 0, old.len));
    if (m.len > 0)
        memcpy(values_of(&m), values_of(&old), m.len * sizeof(uint64_t));
    table.slices[to] = sh_slice_clone(table.kind->type, table.slices[from]);
    put_model(to, m);
}

/* slices[at][i] = a new element; i is in bounds. */
static inline void
store_in_slice(size_t at, size_t i)
{
    union element e;
    const struct model_slice *m = &table.models[at];
    uint64_t value = new_element(table.kind, &e);
    store_element(table.kind, sh_slice_at(table.kind->type, table.slices[at], i), &e);
    values_of(m)[i] = value;
}

#endif
