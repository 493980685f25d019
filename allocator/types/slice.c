#include <spanheap/slice.h>

#include "collector/settings.h"
#include "heap/alloc.h"
#include "types/panic.h"

#include <string.h>

#define DOUBLING_BELOW 256      /* elements, since Go 1.18 */
#define OLD_DOUBLING_BELOW 1024 /* before */
#define NO_HEADER_MAX_B 512     /* since Go 1.22: larger objects with pointers have a header */
#define HEADER_B 8

/* ---- Growth ---- */

/* From doubling to a quarter more, smoothly: Go 1.18's formula. */
static size_t
grow_smoothly(size_t cap, size_t need)
{
    while (cap < need) {
        size_t step = (cap + 3 * DOUBLING_BELOW) / 4;
        if (__builtin_add_overflow(cap, step, &cap))
            return need;
    }
    return cap;
}

/* By a quarter: before Go 1.18. */
static size_t
grow_by_quarter(size_t cap, size_t need)
{
    while (cap < need)
        if (__builtin_add_overflow(cap, cap / 4, &cap))
            return need;
    return cap;
}

static size_t
wanted_cap(enum sh_slice_rule rule, size_t old_cap, size_t need)
{
    if (old_cap > SIZE_MAX / 2 || need > 2 * old_cap)
        return need;
    if (old_cap < (rule == SH_SLICE_GO_1_0 ? OLD_DOUBLING_BELOW : DOUBLING_BELOW))
        return 2 * old_cap;
    return rule == SH_SLICE_GO_1_0 ? grow_by_quarter(old_cap, need) : grow_smoothly(old_cap, need);
}

/* What an array of so many bytes really gets, less what later Go keeps of it. */
static size_t
usable_b(enum sh_slice_rule rule, bool has_pointers, size_t bytes)
{
    bool header = rule == SH_SLICE_GO_1_22 && has_pointers && bytes > NO_HEADER_MAX_B &&
                  bytes <= SMALL_MAX_B - HEADER_B;
    return header ? sizeclass_round(bytes + HEADER_B) - HEADER_B : sizeclass_round(bytes);
}

static size_t
cap_by(enum sh_slice_rule rule, bool has_pointers, size_t element_b, size_t old_cap, size_t need)
{
    if (element_b == 0) /* an array of nothing need not grow ahead */
        return need;
    size_t cap = wanted_cap(rule, old_cap, need), bytes;
    if (__builtin_mul_overflow(cap, element_b, &bytes) || bytes > PTRDIFF_MAX)
        panic_runtime("growslice: cap out of range: %zu elements of %zu bytes", cap, element_b);
    return usable_b(rule, has_pointers, bytes) / element_b;
}

size_t
sh_slice_cap_by(enum sh_slice_rule rule, const struct sh_type *element, size_t old_cap, size_t need)
{
    refuse_nil(element, "sh_slice_cap_by: element");
    return cap_by(rule, element->pointer_mask != NULL, element->size, old_cap, need);
}

size_t
sh_slice_grow_cap(size_t element_size, size_t old_cap, size_t need)
{
    return cap_by(SH_SLICE_GO_1_18, false, element_size, old_cap, need);
}

static _Atomic uint32_t chosen_rule SH_STATE; /* and 1; 0: SH_SLICE_RULE decides */

static enum sh_slice_rule
rule_now(void)
{
    uint32_t chosen = atomic_load_explicit(&chosen_rule, memory_order_relaxed);
    return likely(chosen > 0) ? (enum sh_slice_rule)(chosen - 1)
                              : (enum sh_slice_rule)settings_get()->slice_rule;
}

enum sh_slice_rule
sh_slice_set_rule(enum sh_slice_rule rule)
{
    sh_require(rule <= SH_SLICE_GO_1_22, "sh_slice_set_rule: there is no rule %u", rule);
    enum sh_slice_rule old = rule_now();
    atomic_store(&chosen_rule, (uint32_t)rule + 1);
    return old;
}

/* ---- Making and appending ---- */

struct sh_slice
sh_slice_make(const struct sh_type *element, size_t len, size_t cap)
{
    refuse_nil(element, "sh_slice_make: element");
    size_t bytes;
    if (__builtin_mul_overflow(len, element->size, &bytes) || bytes > PTRDIFF_MAX)
        panic_runtime("makeslice: len out of range: %zu elements of %zu bytes", len, element->size);
    if (len > cap || __builtin_mul_overflow(cap, element->size, &bytes) || bytes > PTRDIFF_MAX)
        panic_runtime("makeslice: cap out of range: %zu with length %zu", cap, len);
    struct sh_slice s = {NULL, len, cap};
    if (cap > 0)
        s.data = sh_alloc_array(element, cap);
    return s;
}

static void
copy_elements(const struct sh_type *element, void *dst, const void *src, size_t count)
{
    if (element->pointer_mask != NULL)
        sh_memmove(dst, src, count * element->size);
    else
        memmove(dst, src, count * element->size);
}

static void
clear_elements(const struct sh_type *element, void *dst, size_t count)
{
    if (element->pointer_mask != NULL)
        sh_memset(dst, 0, count * element->size);
    else
        memset(dst, 0, count * element->size);
}

static struct sh_slice
grow_for(const struct sh_type *element, struct sh_slice s, size_t need)
{
    size_t cap = sh_slice_cap_by(rule_now(), element, s.cap, need);
    struct sh_slice bigger = {sh_alloc_array(element, cap), s.len, cap};
    if (s.len > 0) { /* new, but a marker may see it already: pointers are copied whole */
        refuse_nil(s.data, "sh_slice_append: the array of a slice with elements");
        copy_elements(element, bigger.data, s.data, s.len);
    }
    return bigger;
}

struct sh_slice
sh_slice_append(const struct sh_type *element, struct sh_slice s, const void *src, size_t count)
{
    refuse_nil(element, "sh_slice_append: element");
    size_t need;
    if (__builtin_add_overflow(s.len, count, &need))
        panic_runtime("growslice: len out of range: %zu elements and %zu more", s.len, count);
    if (need > s.cap)
        s = grow_for(element, s, need);
    if (count > 0) {
        refuse_nil(s.data, "sh_slice_append: the array of a slice with capacity");
        char *end = (char *)s.data + s.len * element->size;
        if (src != NULL)
            copy_elements(element, end, src, count);
        else
            clear_elements(element, end, count);
    }
    s.len = need;
    return s;
}

struct sh_slice
sh_slice_append_sized(const struct sh_type *element, struct sh_slice s, const void *src,
                      size_t count, size_t size)
{
    refuse_nil(element, "sh_append: element");
    sh_require(element->size == size, "sh_append: type %s has %zu bytes, the value has %zu",
               element->name, element->size, size);
    return sh_slice_append(element, s, src, count);
}

/* ---- Windows ---- */

/* An empty window at the end would point past the array, into another object: as in Go, it keeps
   the array's start instead. */
static void *
window_data(const struct sh_type *element, struct sh_slice s, size_t low, size_t cap)
{
    return cap == 0 ? s.data : (char *)s.data + low * element->size;
}

struct sh_slice
sh_slice_window(const struct sh_type *element, struct sh_slice s, size_t low, size_t high)
{
    refuse_nil(element, "sh_slice_window: element");
    if (unlikely(high > s.cap))
        panic_runtime("slice bounds out of range [:%zu] with capacity %zu", high, s.cap);
    if (unlikely(low > high))
        panic_runtime("slice bounds out of range [%zu:%zu]", low, high);
    return (struct sh_slice){window_data(element, s, low, s.cap - low), high - low, s.cap - low};
}

struct sh_slice
sh_slice_window3(const struct sh_type *element, struct sh_slice s, size_t low, size_t high,
                 size_t max)
{
    refuse_nil(element, "sh_slice_window3: element");
    if (unlikely(max > s.cap))
        panic_runtime("slice bounds out of range [::%zu] with capacity %zu", max, s.cap);
    if (unlikely(high > max))
        panic_runtime("slice bounds out of range [:%zu:%zu]", high, max);
    if (unlikely(low > high))
        panic_runtime("slice bounds out of range [%zu:%zu:]", low, high);
    return (struct sh_slice){window_data(element, s, low, max - low), high - low, max - low};
}

void *
sh_slice_at(const struct sh_type *element, struct sh_slice s, size_t i)
{
    refuse_nil(element, "sh_slice_at: element");
    if (unlikely(i >= s.len))
        panic_runtime("index out of range [%zu] with length %zu", i, s.len);
    refuse_nil(s.data, "sh_slice_at: the array of a slice with elements");
    return (char *)s.data + i * element->size;
}

/* ---- Copies ---- */

size_t
sh_slice_copy(const struct sh_type *element, struct sh_slice dst, struct sh_slice src)
{
    refuse_nil(element, "sh_slice_copy: element");
    size_t count = size_min(dst.len, src.len);
    if (count > 0) {
        refuse_nil(dst.data, "sh_slice_copy: the array of dst");
        refuse_nil(src.data, "sh_slice_copy: the array of src");
        copy_elements(element, dst.data, src.data, count);
    }
    return count;
}

struct sh_slice
sh_slice_clone(const struct sh_type *element, struct sh_slice s)
{
    refuse_nil(element, "sh_slice_clone: element");
    if (s.len == 0)
        return (struct sh_slice){NULL, 0, 0};
    refuse_nil(s.data, "sh_slice_clone: the array of a slice with elements");
    return sh_slice_append(element, (struct sh_slice){NULL, 0, 0}, s.data, s.len);
}
