/*
 * What a run gave, and how it is told: one JSON record on descriptor 3, or one readable line.
 */
#ifndef PITFALL_OUTPUT_H
#define PITFALL_OUTPUT_H

#include <stddef.h>
#include <stdint.h>

#include "arguments.h"
#include "pitfall.h"

enum {
    METRICS_MAX = 32,
    LISTS_MAX = 4,
    MARKS_MAX = 16,
};

/* What the timed region gave. */
struct timed {
    uint64_t count, ops, work;
    uint64_t start_ns, end_ns, user_ns, sys_ns;
    struct sh_stats before, after;
    int64_t rss_before_b, peak_rss_b; /* -1: unknown */
    int peak_was_reset;
};

/* What the round after it gave. */
struct left_behind {
    int64_t retained_b;
    int looked; /* held_b is known */
    int64_t held_b, open_fds;
};

/* What the variant added by itself, and when each phase of the run began. */
struct own_numbers {
    struct {
        const char *key;
        uint64_t value;
    } metrics[METRICS_MAX];
    size_t nmetrics;
    struct {
        const char *key;
        const uint64_t *values;
        size_t count;
    } lists[LISTS_MAX];
    size_t nlists;
    struct {
        const char *name;
        uint64_t at_ns;
    } marks[MARKS_MAX];
    size_t nmarks;
    struct {
        int known;
        double value, expected;
    } seen;
};

/** True if descriptor 3 is open for writing: then the record goes there. */
int output_record_wanted(void);

/** Writes the record. Ends the program with status 1 if it cannot be written whole. */
void output_record(const struct arguments *args, const struct timed *timed,
                   const struct left_behind *left, const struct own_numbers *own);

/** Why the object is alive of whose address `hidden` is the complement, as text that the caller
 * frees. held_b, if it is not negative, is what the round holds at this moment. */
char *output_explain(uintptr_t hidden, int64_t held_b);

/** Tells that: a record with that text alone, or the text for a person. */
void output_explanation(const struct arguments *args, const char *words);

/** Prints one line for a person. */
void output_line(const struct arguments *args, const struct timed *timed,
                 const struct left_behind *left, const struct own_numbers *own);

#endif /* PITFALL_OUTPUT_H */
