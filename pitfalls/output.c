/* Telling what a run gave: see output.h. Nothing here runs before everything is measured. */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <spanheap/explain.h>

#include "probe.h"
#include "record.h"

enum {
    RECORD_FD = 3,
    EXPLANATION_MAX_B = 16384,
};

/* ---- The record ------------------------------------------------------------------------------ */

/* What became of the pitfall: NULL where the variant computes no value that tells. */
static const char *
outcome_of(const struct timed *timed, const struct own_numbers *own)
{
    int right = own->seen.value == own->seen.expected;

    if (!own->seen.known)
        return NULL;
    if (timed->work == 0)
        return "elided";
    if (strncmp(PITFALL.variant, "bad", 3) == 0)
        return right ? "latent" : "manifest";
    return right ? "clean" : "manifest";
}

static void
write_outcome(struct record *record, const struct timed *timed, const struct own_numbers *own)
{
    static const char none[] = "this program computes no value that the pitfall could change";
    const char *outcome = outcome_of(timed, own);

    if (outcome == NULL) {
        record_null(record, "manifest", none);
        record_null(record, "outcome", none);
        return;
    }
    record_bool(record, "manifest", strcmp(outcome, "manifest") == 0);
    record_text(record, "outcome", outcome);
    record_real(record, "value", own->seen.value);
    record_real(record, "expected", own->seen.expected);
}

static void
write_bytes(struct record *record, const char *key, int64_t value)
{
    if (value < 0)
        record_null(record, key, "/proc/self/status cannot be read");
    else
        record_int(record, key, value);
}

static void
write_counters(struct record *record, const struct timed *timed)
{
    const struct sh_stats *a = &timed->before, *b = &timed->after;
    uint64_t allocs = b->mallocs - a->mallocs, alloc_b = b->total_alloc_b - a->total_alloc_b;
    size_t npauses;
    uint64_t dropped;

    probe_pauses(&npauses, &dropped);
    record_uint(record, "allocs", allocs);
    record_uint(record, "frees", b->frees - a->frees);
    record_uint(record, "alloc_b", alloc_b);
    record_uint(record, "collections", b->num_gc - a->num_gc);
    record_uint(record, "stops", npauses + dropped);
    record_real(record, "allocs_per_op", (double)allocs / (double)timed->ops);
    record_real(record, "alloc_b_per_op", (double)alloc_b / (double)timed->ops);
    write_bytes(record, "rss_before_b", timed->rss_before_b);
    write_bytes(record, "peak_rss_b", timed->peak_rss_b);
    record_bool(record, "peak_rss_reset", timed->peak_was_reset);
    if (b->num_gc > a->num_gc)
        record_uint(record, "peak_live_b", b->most_marked_b);
    else
        record_null(record, "peak_live_b", "no collection in the timed region");
}

static void
write_left_behind(struct record *record, const struct left_behind *left)
{
    static const char none[] = "this program marks no moment with pitfall_look()";

    record_int(record, "retained_b", left->retained_b);
    if (left->looked)
        record_int(record, "held_b", left->held_b);
    else
        record_null(record, "held_b", none);
    if (!left->looked)
        record_null(record, "open_fds", none);
    else if (left->open_fds < 0)
        record_null(record, "open_fds", "/proc/self/fd cannot be read");
    else
        record_int(record, "open_fds", left->open_fds);
}

enum pause_field { LENGTH, SIGNAL, ROOTS, ROOT_BYTES, CAUSE, AT };

static uint64_t
pause_field(const struct sh_pause *pause, enum pause_field field)
{
    switch (field) {
    case LENGTH:
        return pause->length_ns;
    case SIGNAL:
        return pause->signal_ns;
    case ROOTS:
        return pause->roots_ns;
    case ROOT_BYTES:
        return pause->root_b;
    case CAUSE:
        return pause->cause;
    case AT:
        break;
    }
    return pause->start_ns;
}

static void
write_pauses(struct record *record)
{
    static const char *const keys[] = {
        [LENGTH] = "pause_ns",         [SIGNAL] = "pause_signal_ns", [ROOTS] = "pause_roots_ns",
        [ROOT_BYTES] = "pause_root_b", [CAUSE] = "pause_cause",      [AT] = "pause_at_ns",
    };
    size_t count;
    uint64_t dropped;
    const struct sh_pause *pauses = probe_pauses(&count, &dropped);

    for (enum pause_field field = LENGTH; field <= AT; field++) {
        record_list_begin(record, keys[field]);
        for (size_t i = 0; i < count; i++)
            record_list_uint(record, pause_field(&pauses[i], field));
        record_list_end(record);
    }
    record_uint(record, "pauses_dropped", dropped);
}

static void
write_own(struct record *record, const struct arguments *args, const struct own_numbers *own)
{
    for (size_t i = 0; i < own->nmetrics; i++)
        record_uint(record, own->metrics[i].key, own->metrics[i].value);
    for (size_t i = 0; i < own->nlists; i++) {
        record_list_begin(record, own->lists[i].key);
        for (size_t j = 0; j < own->lists[i].count; j++)
            record_list_uint(record, own->lists[i].values[j]);
        record_list_end(record);
    }
    if (!args->events)
        return;
    record_list_begin(record, "mark");
    for (size_t i = 0; i < own->nmarks; i++)
        record_list_text(record, own->marks[i].name);
    record_list_end(record);
    record_list_begin(record, "mark_at_ns");
    for (size_t i = 0; i < own->nmarks; i++)
        record_list_uint(record, own->marks[i].at_ns);
    record_list_end(record);
}

static void
begin_record(struct record *record, const struct arguments *args)
{
    FILE *out = fdopen(RECORD_FD, "w");

    if (out == NULL)
        pitfall_fail("the record cannot be written: %s", strerror(errno));
    record_begin(record, out);
    record_int(record, "v", 1);
    record_text(record, "pitfall", PITFALL.id);
    record_text(record, "variant", PITFALL.variant);
    record_uint(record, "n", args->n);
}

static void
end_record(struct record *record)
{
    if (record_end(record) != 0)
        pitfall_fail("the record cannot be written: %s", strerror(errno));
}

struct question {
    uintptr_t hidden;
    int file;
};

/* In a thread of its own: who asks has the address, and what others hold is told first. */
static void *
ask(void *arg)
{
    const struct question *q = arg;

    sh_explain_print((const void *)~q->hidden, q->file);
    return NULL;
}

char *
output_explain(uintptr_t hidden, int64_t held_b)
{
    char *words = malloc(EXPLANATION_MAX_B); /* a static array would be a root of all runs */
    FILE *text = tmpfile();
    pthread_t thread;
    if (words == NULL || text == NULL)
        pitfall_fail("no temporary file for what is found: %s", strerror(errno));
    if (held_b >= 0)
        fprintf(text, "while the round holds the most, %" PRId64 " bytes:\n", held_b);
    fflush(text);
    struct question question = {hidden, fileno(text)};
    if (sh_thread_create(&thread, NULL, ask, &question) != 0 || sh_thread_join(thread, NULL) != 0)
        pitfall_fail("no thread to ask in");
    rewind(text);
    words[fread(words, 1, EXPLANATION_MAX_B - 1, text)] = '\0';
    fclose(text);
    return words;
}

void
output_explanation(const struct arguments *args, const char *words)
{
    struct record record;

    if (!output_record_wanted()) {
        fputs(words, stdout);
        return;
    }
    begin_record(&record, args);
    record_text(&record, "explanation", words);
    end_record(&record);
}

void
output_record(const struct arguments *args, const struct timed *timed,
              const struct left_behind *left, const struct own_numbers *own)
{
    struct record record;

    begin_record(&record, args);
    record_uint(&record, "count", timed->count);
    record_uint(&record, "ops", timed->ops);
    record_uint(&record, "threads", args->threads);
    record_uint(&record, "warmup", args->warmup);
    record_uint(&record, "work", timed->work);
    record_text(&record, "work_unit", PITFALL.work_unit);
    record_uint(&record, "start_ns", timed->start_ns);
    record_uint(&record, "end_ns", timed->end_ns);
    record_uint(&record, "time_ns", timed->end_ns - timed->start_ns);
    record_uint(&record, "user_ns", timed->user_ns);
    record_uint(&record, "sys_ns", timed->sys_ns);
    write_counters(&record, timed);
    write_left_behind(&record, left);
    write_outcome(&record, timed, own);
    write_own(&record, args, own);
    write_pauses(&record);
    end_record(&record);
}

/* ---- By hand --------------------------------------------------------------------------------- */

static const char *
scaled(char to[32], double value, double step, const char *const units[])
{
    size_t unit = 0;

    while (fabs(value) >= step && units[unit + 1] != NULL) {
        value /= step;
        unit++;
    }
    snprintf(to, 32, "%.4g %s", value, units[unit]);
    return to;
}

static const char *
bytes_text(char to[32], double bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", NULL};
    return scaled(to, bytes, 1024, units);
}

static const char *
time_text(char to[32], double ns)
{
    static const char *const units[] = {"ns", "us", "ms", "s", NULL};
    return scaled(to, ns, 1000, units);
}

void
output_line(const struct arguments *args, const struct timed *timed, const struct left_behind *left,
            const struct own_numbers *own)
{
    char text[5][32];
    const char *outcome = outcome_of(timed, own);
    double ns = (double)(timed->end_ns - timed->start_ns), ops = (double)timed->ops;
    double allocs = (double)(timed->after.mallocs - timed->before.mallocs);
    double alloc_b = (double)(timed->after.total_alloc_b - timed->before.total_alloc_b);

    printf("%s.%s n=%" PRIu64 ": %" PRIu64 " operations in %s, %s each; per operation "
           "%.6g allocations, %s; %u collections; peak RSS %s; retained %s",
           PITFALL.id, PITFALL.variant, args->n, timed->ops, time_text(text[0], ns),
           time_text(text[1], ns / ops), allocs / ops, bytes_text(text[2], alloc_b / ops),
           timed->after.num_gc - timed->before.num_gc,
           timed->peak_rss_b < 0 ? "unknown" : bytes_text(text[3], (double)timed->peak_rss_b),
           bytes_text(text[4], (double)left->retained_b));
    if (left->looked)
        printf("; held at most %s, %" PRId64 " open files",
               bytes_text(text[0], (double)left->held_b), left->open_fds);
    if (outcome != NULL)
        printf("; %s: value %.17g, right is %.17g", outcome, own->seen.value, own->seen.expected);
    for (size_t i = 0; i < own->nmetrics; i++)
        printf("; %s %" PRIu64, own->metrics[i].key, own->metrics[i].value);
    printf("; work %" PRIu64 " %s\n", timed->work, PITFALL.work_unit);
}

int
output_record_wanted(void)
{
    int flags = fcntl(RECORD_FD, F_GETFL);
    return flags >= 0 && (flags & O_ACCMODE) != O_RDONLY;
}
