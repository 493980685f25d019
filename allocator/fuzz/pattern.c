#include "pattern.h"

void
fill_with_pattern(void *p, size_t size, uint64_t number)
{
    uint64_t *words = p, rest = pattern_word(number, size / 8);
    for (size_t at = 0; at < size / 8; at++)
        words[at] = pattern_word(number, at);
    memcpy(words + size / 8, &rest, size % 8);
}

void
need_pattern(const void *p, size_t size, uint64_t number)
{
    const uint64_t *words = p, rest = pattern_word(number, size / 8);
    bool same = true;
    for (size_t at = 0; at < size / 8; at++)
        same = same && words[at] == pattern_word(number, at);
    need(same && memcmp(words + size / 8, &rest, size % 8) == 0, "an object keeps its content");
}

void
need_zero(const void *p, size_t size)
{
    const char *at = p, *end = at + size;
    for (uint64_t word; end - at >= 8; at += 8) {
        memcpy(&word, at, 8);
        need(word == 0, "fresh memory is zero");
    }
    for (; at < end; at++)
        need(*at == 0, "fresh memory is zero");
}
