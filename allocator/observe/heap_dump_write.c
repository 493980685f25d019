/* Sites are shown by their innermost functions; what differs further out only is one site. */
#include "observe/explain_text.h"
#include "observe/heap_dump.h"
#include "observe/json_text.h"
#include "observe/sampling.h"
#include "observe/symbols.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_SITES_MAX 5 /* of a row, in the table */
#define NAME_MAX_B 256

static const char *const group_names[NGROUPS] = {
    [GROUP_GLOBALS] = "global variables",
    [GROUP_RANGES] = "ranges of sh_roots_add()",
    [GROUP_THREAD_LOCAL] = "thread-local variables",
    [GROUP_KEYS] = "pthread keys",
    [GROUP_THREADS] = "arguments and results of threads",
    [GROUP_SPECIALS] = "finalizers and weak references",
    [GROUP_TASKS] = "stacks of parked tasks",
    [GROUP_STACKS] = "stacks of other threads",
    [GROUP_OWN_STACK] = "stack of the thread that wrote this",
};

/* ---- Sites ---- */

struct site_line {
    uint32_t row;
    struct profile_sample sample;
    double objects, bytes; /* that its samples stand for */
};

static int
by_row_and_stack(const void *a, const void *b)
{
    const struct site_line *x = a, *y = b;
    if (x->row != y->row)
        return x->row < y->row ? -1 : 1;
    for (size_t i = 0; i < EXPLAIN_FRAMES; i++) {
        uintptr_t f = i < x->sample.nstack ? x->sample.stack[i] : 0;
        uintptr_t g = i < y->sample.nstack ? y->sample.stack[i] : 0;
        if (f != g)
            return f < g ? -1 : 1;
    }
    return 0;
}

static int
by_row_and_bytes(const void *a, const void *b)
{
    const struct site_line *x = a, *y = b;
    if (x->row != y->row)
        return x->row < y->row ? -1 : 1;
    return x->bytes < y->bytes ? 1 : x->bytes > y->bytes ? -1 : by_row_and_stack(a, b);
}

static void
fill_site(struct site_line *line, const struct dump_site *site)
{
    line->row = site->row;
    line->sample = profile_of_bucket(site->bucket);
    profile_skip_own_frames(&line->sample);
    double weight = sampling_weight(line->sample.size_b, line->sample.rate_b);
    line->objects = site->samples * weight;
    line->bytes = line->objects * (double)line->sample.size_b;
}

/* One line for each row and its innermost frames. NULL: none, or no memory. */
static struct site_line *
make_sites(const struct heap_dump *d, size_t *n)
{
    *n = 0;
    struct site_line *lines = d->nsites == 0 ? NULL : malloc(d->nsites * sizeof *lines);
    if (lines == NULL)
        return NULL;
    for (size_t i = 0; i < DUMP_SITES; i++)
        if (d->sites[i].bucket != NULL)
            fill_site(&lines[(*n)++], &d->sites[i]);
    qsort(lines, *n, sizeof *lines, by_row_and_stack);
    size_t kept = 0;
    for (size_t i = 0; i < *n; i++) {
        if (kept > 0 && by_row_and_stack(&lines[kept - 1], &lines[i]) == 0) {
            lines[kept - 1].objects += lines[i].objects;
            lines[kept - 1].bytes += lines[i].bytes;
        } else {
            lines[kept++] = lines[i];
        }
    }
    *n = kept;
    qsort(lines, *n, sizeof *lines, by_row_and_bytes);
    return lines;
}

/* ---- Rows ---- */

static int
by_bytes(const void *a, const void *b)
{
    const struct dump_row *x = *(struct dump_row *const *)a, *y = *(struct dump_row *const *)b;
    if (x->sum.bytes != y->sum.bytes)
        return x->sum.bytes < y->sum.bytes ? 1 : -1;
    return x < y ? -1 : x > y;
}

/* The rows that are used, most bytes first. NULL: no memory. */
static struct dump_row **
sort_rows(const struct heap_dump *d, size_t *n)
{
    struct dump_row **rows = malloc((d->nrows + 1) * sizeof(struct dump_row *));
    *n = 0;
    for (size_t i = 0; rows != NULL && i <= DUMP_ROWS; i++)
        if (d->rows[i].used)
            rows[(*n)++] = &d->rows[i];
    if (rows != NULL)
        qsort(rows, *n, sizeof *rows, by_bytes);
    return rows;
}

static const char *
kind_name(const struct dump_row *row)
{
    static const char *const names[] = {
        [SH_OBJECT_TYPED] = "typed",
        [SH_OBJECT_UNTYPED] = "untyped",
        [SH_OBJECT_NOSCAN] = "noscan",
        [SH_OBJECT_TINY] = "tiny",
    };
    return row->is_rest ? "rest" : names[row->kind];
}

static void
row_name(char *out, size_t size, const struct dump_row *row)
{
    if (row->is_rest)
        snprintf(out, size, "other types");
    else if (row->type != NULL)
        snprintf(out, size, "%s", row->type->name == NULL ? "(no name)" : row->type->name);
    else if (row->kind == SH_OBJECT_TINY)
        snprintf(out, size, "blocks of tiny objects");
    else if (row->size == 0)
        snprintf(out, size, "(%s, over 32 KiB)", kind_name(row));
    else
        snprintf(out, size, "(%s, %zu bytes)", kind_name(row), row->size);
}

struct report {
    struct dump_row **rows;
    size_t nrows;
    struct site_line *sites;
    size_t nsites;
};

static bool
make_report(struct report *r, const struct heap_dump *d)
{
    r->rows = sort_rows(d, &r->nrows);
    if (r->rows != NULL)
        r->sites = make_sites(d, &r->nsites);
    return r->rows != NULL;
}

static void
free_report(struct report *r)
{
    free(r->rows);
    free(r->sites);
}

/* The sites of a row, and how many; NULL: none. */
static const struct site_line *
sites_of(const struct report *r, uint32_t row, size_t *n)
{
    size_t first = 0, end = r->nsites;
    while (first < end) {
        size_t middle = first + (end - first) / 2;
        if (r->sites[middle].row < row)
            first = middle + 1;
        else
            end = middle;
    }
    for (*n = 0; first + *n < r->nsites && r->sites[first + *n].row == row;)
        ++*n;
    return *n == 0 ? NULL : r->sites + first;
}

static int
written(FILE *out)
{
    return ferror(out) ? (errno != 0 ? errno : EIO) : 0;
}

/* ---- The table ---- */

static void
text_site(FILE *out, const struct site_line *site)
{
    fprintf(out, "  %14.0f %10.0f      at ", site->bytes, site->objects);
    explain_write_frames(out, &site->sample);
    fputc('\n', out);
}

static void
text_sums(FILE *out, const struct heap_dump *d)
{
    fprintf(out, "heap dump: %" PRIu64 " bytes in %" PRIu64 " live objects\n\n", d->all.bytes,
            d->all.objects);
    fprintf(out, "  %14s %10s  %s\n", "bytes", "objects", "reached from (not from those above)");
    for (unsigned group = 0; group < NGROUPS; group++)
        if (d->groups[group].objects > 0)
            fprintf(out, "  %14" PRIu64 " %10" PRIu64 "  %s\n", d->groups[group].bytes,
                    d->groups[group].objects, group_names[group]);
    fprintf(out, "\n  %14s %10s  %s\n", "bytes", "objects",
            d->nsites > 0 ? "type, and where its samples were allocated (estimates)" : "type");
}

int
heap_dump_write_text(FILE *out, struct heap_dump *d)
{
    struct report r = {0};
    char name[NAME_MAX_B];
    if (!make_report(&r, d))
        return ENOMEM;
    text_sums(out, d);
    for (size_t i = 0; i < r.nrows; i++) {
        size_t n;
        const struct dump_row *row = r.rows[i];
        const struct site_line *sites = sites_of(&r, (uint32_t)(row - d->rows), &n);
        row_name(name, sizeof name, row);
        fprintf(out, "  %14" PRIu64 " %10" PRIu64 "  %s\n", row->sum.bytes, row->sum.objects, name);
        for (size_t k = 0; k < n && k < TEXT_SITES_MAX; k++)
            text_site(out, &sites[k]);
        if (n > TEXT_SITES_MAX)
            fprintf(out, "  %25s      and %zu other places\n", "", n - TEXT_SITES_MAX);
    }
    free_report(&r);
    return written(out);
}

/* ---- JSON ---- */

static void
json_site(FILE *out, const struct site_line *site)
{
    fprintf(out, "{\"bytes\": %.0f, \"objects\": %.0f, \"stack\": [", site->bytes, site->objects);
    for (size_t i = 0; i < EXPLAIN_FRAMES && i < site->sample.nstack; i++) {
        struct symbol s = symbols_find(site->sample.stack[i] - 1);
        fputs(i == 0 ? "" : ", ", out);
        json_put_string(out, s.function != NULL ? s.function : "?");
    }
    fputs("]}", out);
}

static void
json_row(FILE *out, const struct report *r, const struct heap_dump *d, const struct dump_row *row)
{
    size_t n;
    const struct site_line *sites = sites_of(r, (uint32_t)(row - d->rows), &n);
    fputs("{\"type\": ", out);
    json_put_string(out, row->type == NULL ? NULL : row->type->name);
    fprintf(out, ", \"kind\": \"%s\", \"size_b\": ", kind_name(row));
    if (row->size == 0)
        fputs("null", out);
    else
        fprintf(out, "%zu", row->size);
    fprintf(out, ", \"bytes\": %" PRIu64 ", \"objects\": %" PRIu64 ", \"sites\": [", row->sum.bytes,
            row->sum.objects);
    for (size_t i = 0; i < n; i++) {
        fputs(i == 0 ? "" : ", ", out);
        json_site(out, &sites[i]);
    }
    fputs("]}", out);
}

static void
json_sum(FILE *out, const struct dump_sum *sum)
{
    fprintf(out, "\"bytes\": %" PRIu64 ", \"objects\": %" PRIu64, sum->bytes, sum->objects);
}

int
heap_dump_write_json(FILE *out, struct heap_dump *d)
{
    struct report r = {0};
    const char *between = "";
    if (!make_report(&r, d))
        return ENOMEM;
    fputs("{\"v\": 1, ", out);
    json_sum(out, &d->all);
    fputs(",\n \"roots\": [", out);
    for (unsigned group = 0; group < NGROUPS; group++, between = ",") {
        fprintf(out, "%s\n  {\"root\": \"%s\", ", between, group_names[group]);
        json_sum(out, &d->groups[group]);
        fputc('}', out);
    }
    fputs("],\n \"types\": [", out);
    for (size_t i = 0; i < r.nrows; i++) {
        fputs(i == 0 ? "\n  " : ",\n  ", out);
        json_row(out, &r, d, r.rows[i]);
    }
    fputs("]}\n", out);
    free_report(&r);
    return written(out);
}
