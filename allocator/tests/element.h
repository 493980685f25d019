/*
 * Elements that carry a number, for models: the real type holds the element, the model the number.
 * The number of a zeroed element is 0. Where an element holds a pointer, its number lies in an
 * object that nothing else refers to; so an object that was lost is noticed where it is read.
 */
#ifndef SPANHEAP_TESTS_ELEMENT_H
#define SPANHEAP_TESTS_ELEMENT_H

#include "need.h"

#include <spanheap.h>

#include <string.h>

#define ELEMENT_MAX_B 208

struct element_kind {
    const struct sh_type *type;
    void (*write)(void *to, uint64_t number); /* to: zeroed, on the stack */
    uint64_t (*read)(const void *from);
};

/* ---- A pointer ---- */

static void
write_pointer(void *to, uint64_t number)
{
    uint64_t *object = sh_alloc_noscan(sizeof *object);
    *object = number;
    *(uint64_t **)to = object;
}

static uint64_t
read_pointer(const void *from)
{
    const uint64_t *object = *(uint64_t *const *)from;
    return object == NULL ? 0 : *object;
}

/* ---- A number itself, of eight bytes and of one ---- */

static void
write_word(void *to, uint64_t number)
{
    *(uint64_t *)to = number;
}

static uint64_t
read_word(const void *from)
{
    return *(const uint64_t *)from;
}

static void
write_byte(void *to, uint64_t number)
{
    *(uint8_t *)to = (uint8_t)number;
}

static uint64_t
read_byte(const void *from)
{
    return *(const uint8_t *)from;
}

/* ---- Some words, one of them a pointer ---- */

struct mixed {
    uint64_t number;
    void *object;
    uint32_t low;
};

static void
write_mixed(void *to, uint64_t number)
{
    struct mixed *m = to;
    m->number = number;
    write_pointer(&m->object, number);
    m->low = (uint32_t)number;
}

static uint64_t
read_mixed(const void *from)
{
    const struct mixed *m = from;
    need(read_pointer(&m->object) == m->number && m->low == (uint32_t)m->number,
         "the parts of an element are of one element");
    return m->number;
}

/* ---- Larger than what a map keeps in its buckets ---- */

struct wide {
    struct mixed first;
    uint64_t filling[19];
    void *last;
};

static void
write_wide(void *to, uint64_t number)
{
    struct wide *w = to;
    write_mixed(&w->first, number);
    for (size_t i = 0; i < COUNT_OF(w->filling); i++)
        w->filling[i] = number * i;
    write_pointer(&w->last, number);
}

static uint64_t
read_wide(const void *from)
{
    const struct wide *w = from;
    uint64_t number = read_mixed(&w->first);
    for (size_t i = 0; i < COUNT_OF(w->filling); i++)
        need(w->filling[i] == number * i, "the words of an element are of one element");
    need(read_pointer(&w->last) == number, "the last word of an element is its own");
    return number;
}

/* ---- Nothing ---- */

static void
write_nothing(void *to, uint64_t number)
{
    (void)to;
    (void)number;
}

static uint64_t
read_nothing(const void *from)
{
    (void)from;
    return 0;
}

static const struct sh_type element_pointer = SH_TYPE(void *, 1);
static const struct sh_type element_word = {"uint64", 8, NULL, 0};
static const struct sh_type element_byte = {"byte", 1, NULL, 0};
static const struct sh_type element_mixed =
    SH_TYPE(struct mixed, SH_POINTER_AT(struct mixed, object));
static const struct sh_type element_wide = SH_TYPE(
    struct wide, SH_POINTER_AT(struct wide, first.object) | SH_POINTER_AT(struct wide, last));
static const struct sh_type element_nothing = {"nothing", 0, NULL, 0};

enum { KIND_POINTER, KIND_WORD, KIND_BYTE, KIND_MIXED, KIND_WIDE, KIND_NOTHING, KINDS };
static const struct element_kind element_kinds[KINDS] = {
    [KIND_POINTER] = {&element_pointer, write_pointer, read_pointer},
    [KIND_WORD] = {&element_word, write_word, read_word},
    [KIND_BYTE] = {&element_byte, write_byte, read_byte},
    [KIND_MIXED] = {&element_mixed, write_mixed, read_mixed},
    [KIND_WIDE] = {&element_wide, write_wide, read_wide},
    [KIND_NOTHING] = {&element_nothing, write_nothing, read_nothing},
};

/* Room for one element of any kind. */
union element {
    uint64_t words[ELEMENT_MAX_B / 8];
    struct wide wide;
};

/* A new element with the next number. Returns what it reads as. */
static inline uint64_t
new_element(const struct element_kind *kind, union element *e)
{
    static uint64_t numbers;
    memset(e, 0, sizeof *e);
    kind->write(e, ++numbers);
    return kind->read(e);
}

/* *to = *e, where `to` is in the heap. */
static inline void
store_element(const struct element_kind *kind, void *to, const union element *e)
{
    if (kind->type->pointer_mask != NULL)
        sh_memmove(to, e, kind->type->size);
    else
        memcpy(to, e, kind->type->size);
}

#endif
