#include <spanheap/string.h>

#include "heap/alloc.h"
#include "types/panic.h"

#include <string.h>

const struct sh_type sh_byte_type = {"byte", 1, NULL, 0};
const struct sh_type sh_string_type =
    SH_TYPE(struct sh_string, SH_POINTER_AT(struct sh_string, data));

struct sh_string
sh_string_make(const char *data, size_t len)
{
    if (len == 0)
        return (struct sh_string){NULL, 0};
    refuse_nil(data, "sh_string_make: data");
    char *copy = sh_alloc_noscan(len);
    memcpy(copy, data, len);
    return (struct sh_string){copy, len};
}

struct sh_string
sh_string_from(const char *text)
{
    refuse_nil(text, "sh_string_from: text");
    return sh_string_make(text, strlen(text));
}

struct sh_string
sh_string_clone(struct sh_string s)
{
    return sh_string_make(s.data, s.len);
}

char *
sh_string_to_c(struct sh_string s)
{
    if (s.len > 0)
        refuse_nil(s.data, "sh_string_to_c: s.data");
    char *copy = sh_alloc_noscan(s.len + 1);
    if (s.len > 0)
        memcpy(copy, s.data, s.len);
    copy[s.len] = '\0';
    return copy;
}

struct sh_string
sh_string_sub(struct sh_string s, size_t low, size_t high)
{
    if (unlikely(high > s.len))
        panic_runtime("slice bounds out of range [:%zu] with length %zu", high, s.len);
    if (unlikely(low > high))
        panic_runtime("slice bounds out of range [%zu:%zu]", low, high);
    /* An empty one at the end must not point into the next object. */
    const char *data = low == high ? s.data : s.data + low;
    return (struct sh_string){data, high - low};
}

char
sh_string_at(struct sh_string s, size_t i)
{
    if (unlikely(i >= s.len))
        panic_runtime("index out of range [%zu] with length %zu", i, s.len);
    refuse_nil(s.data, "sh_string_at: s.data");
    return s.data[i];
}

struct sh_string
sh_string_concat(struct sh_string a, struct sh_string b)
{
    size_t len;
    if (a.len == 0 || b.len == 0)
        return a.len == 0 ? b : a;
    if (__builtin_add_overflow(a.len, b.len, &len) || len > PTRDIFF_MAX)
        panic_plain("string concatenation too long: %zu bytes and %zu", a.len, b.len);
    refuse_nil(a.data, "sh_string_concat: a.data");
    refuse_nil(b.data, "sh_string_concat: b.data");
    char *both = sh_alloc_noscan(len);
    memcpy(both, a.data, a.len);
    memcpy(both + a.len, b.data, b.len);
    return (struct sh_string){both, len};
}

int
sh_string_compare(struct sh_string a, struct sh_string b)
{
    size_t common = size_min(a.len, b.len);
    int order = 0;
    if (common > 0) {
        refuse_nil(a.data, "sh_string_compare: a.data");
        refuse_nil(b.data, "sh_string_compare: b.data");
        order = memcmp(a.data, b.data, common);
    }
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

bool
sh_string_equal(struct sh_string a, struct sh_string b)
{
    if (a.len != b.len || a.len == 0)
        return a.len == b.len;
    refuse_nil(a.data, "sh_string_equal: a.data");
    refuse_nil(b.data, "sh_string_equal: b.data");
    return memcmp(a.data, b.data, a.len) == 0;
}

struct sh_slice
sh_string_to_bytes(struct sh_string s)
{
    if (s.len == 0)
        return (struct sh_slice){(void *)(uintptr_t)s.data, 0, 0};
    refuse_nil(s.data, "sh_string_to_bytes: s.data");
    size_t cap = sizeclass_round(s.len);
    struct sh_slice bytes = {sh_alloc_noscan(cap), s.len, cap};
    memcpy(bytes.data, s.data, s.len);
    return bytes;
}

struct sh_string
sh_string_of_bytes(struct sh_slice bytes)
{
    return sh_string_make(bytes.data, bytes.len);
}
