/*
 * What the heap is full of: all that the roots lead to, counted by type in one stop (heap_dump.c),
 * and told as a table or as JSON afterwards (heap_dump_write.c).
 */
#ifndef SPANHEAP_HEAP_DUMP_H
#define SPANHEAP_HEAP_DUMP_H

#include "collector/explain.h"
#include "observe/profile.h"

#include <stdio.h>

struct dump_sum {
    uint64_t objects, bytes;
};

/* Objects of one type, or of one kind and size where there is no type. */
struct dump_row {
    struct dump_sum sum;
    const struct sh_type *type;
    size_t size; /* without a type: of each, 0: over 32 KiB, of any size */
    enum sh_object_kind kind;
    bool used, is_rest; /* the rest: of types for which there was no room */
};

/* Samples of one row that one bucket has counted. */
struct dump_site {
    struct profile_bucket *bucket; /* NULL: unused */
    uint32_t row;
    uint32_t samples;
};

#define DUMP_ROWS ((size_t)1 << 14) /* powers of 2 */
#define DUMP_SITES ((size_t)1 << 16)

struct heap_dump {
    struct dump_sum all, groups[NGROUPS];
    struct dump_row *rows;   /* a hash table of DUMP_ROWS, and the rest */
    struct dump_site *sites; /* a hash table of DUMP_SITES */
    size_t nrows, nsites;
    int error;             /* 0 or ENOMEM */
    uint64_t lost_samples; /* for which there was no room */
};

/** Fills in. In the safe state. Returns 0 or ENOMEM. */
int heap_dump_take(struct heap_dump *d);
void heap_dump_free(struct heap_dump *d);

/** Return 0 or an errno. May sort the tables. */
int heap_dump_write_text(FILE *out, struct heap_dump *d);
int heap_dump_write_json(FILE *out, struct heap_dump *d);

#endif
