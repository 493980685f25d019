/*
 * Strings as in Go: a window (pointer, length) into bytes that nobody changes. A substring shares
 * the bytes, and so keeps all of them; sh_string_clone() lets go of the rest. Bytes are not
 * followed by a zero: print one with "%.*s", (int)s.len, s.data. A string of zeroes is "".
 */
#ifndef SPANHEAP_STRING_H
#define SPANHEAP_STRING_H

#include <spanheap.h>
#include <spanheap/slice.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sh_string {
    const char *data;
    size_t len; /**< bytes */
};

/** A string literal, without a copy. */
#define SH_STRING(literal) ((struct sh_string){("" literal), sizeof(literal) - 1})

/** A copy of the len bytes at data, in an object of its own. */
SH_API struct sh_string sh_string_make(const char *data, size_t len);
/** The same of a C string. */
SH_API struct sh_string sh_string_from(const char *text);
/** A copy that shares nothing. */
SH_API struct sh_string sh_string_clone(struct sh_string s);
/** A C string on the heap: the bytes and a zero. */
SH_API char *sh_string_to_c(struct sh_string s);

/** s[low:high], sharing the bytes. Panics unless low <= high <= len. */
SH_API struct sh_string sh_string_sub(struct sh_string s, size_t low, size_t high);
/** s[i]. Panics unless i < len. */
SH_API char sh_string_at(struct sh_string s, size_t i);

/** a + b. As in Go, a copy only if both have bytes. Panics if the length overflows. */
SH_API struct sh_string sh_string_concat(struct sh_string a, struct sh_string b);
/** Below 0, 0 or above 0, as the bytes compare (unsigned; a prefix comes first). */
SH_API int sh_string_compare(struct sh_string a, struct sh_string b);
/** Whether both have the same bytes. */
SH_API bool sh_string_equal(struct sh_string a, struct sh_string b);

/** []byte(s): a copy that may be changed, with the capacity that append would give it. */
SH_API struct sh_slice sh_string_to_bytes(struct sh_string s);
/** string(b): a copy of a slice of bytes. */
SH_API struct sh_string sh_string_of_bytes(struct sh_slice bytes);

/** Of a char, for sh_string_to_bytes() and slices of bytes. */
SH_API extern const struct sh_type sh_byte_type;
/** Of a struct sh_string, for slices of strings, map keys and the like. */
SH_API extern const struct sh_type sh_string_type;

#ifdef __cplusplus
}
#endif
#endif
