/* The JSON of the record: see record.h. The only place that knows commas and quotes. */
#include "record.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>

static void
separate(struct record *record)
{
    if (record->started)
        fputc(',', record->out);
    record->started = 1;
}

static void
write_text(FILE *out, const char *text)
{
    fputc('"', out);
    for (const unsigned char *c = (const unsigned char *)text; *c != 0; c++) {
        if (*c == '"' || *c == '\\')
            fprintf(out, "\\%c", *c);
        else if (*c < 0x20)
            fprintf(out, "\\u%04x", *c);
        else
            fputc(*c, out);
    }
    fputc('"', out);
}

static void
write_key(struct record *record, const char *key)
{
    separate(record);
    write_text(record->out, key);
    fputc(':', record->out);
}

void
record_begin(struct record *record, FILE *out)
{
    record->out = out;
    record->started = 0;
    fputc('{', out);
}

int
record_end(struct record *record)
{
    fputs("}\n", record->out);
    errno = 0;
    return fflush(record->out) == 0 && !ferror(record->out) ? 0 : -1;
}

void
record_uint(struct record *record, const char *key, uint64_t value)
{
    write_key(record, key);
    fprintf(record->out, "%" PRIu64, value);
}

void
record_int(struct record *record, const char *key, int64_t value)
{
    write_key(record, key);
    fprintf(record->out, "%" PRId64, value);
}

void
record_real(struct record *record, const char *key, double value)
{
    if (!isfinite(value)) {
        record_null(record, key, isnan(value) ? "not a number" : "infinite");
        return;
    }
    write_key(record, key);
    fprintf(record->out, "%.17g", value);
}

void
record_text(struct record *record, const char *key, const char *text)
{
    write_key(record, key);
    write_text(record->out, text);
}

void
record_bool(struct record *record, const char *key, int value)
{
    write_key(record, key);
    fputs(value ? "true" : "false", record->out);
}

void
record_null(struct record *record, const char *key, const char *why)
{
    char why_key[80];

    write_key(record, key);
    fputs("null", record->out);
    snprintf(why_key, sizeof why_key, "why_%s", key);
    record_text(record, why_key, why);
}

void
record_list_begin(struct record *record, const char *key)
{
    write_key(record, key);
    fputc('[', record->out);
    record->started = 0;
}

void
record_list_uint(struct record *record, uint64_t value)
{
    separate(record);
    fprintf(record->out, "%" PRIu64, value);
}

void
record_list_int(struct record *record, int64_t value)
{
    separate(record);
    fprintf(record->out, "%" PRId64, value);
}

void
record_list_text(struct record *record, const char *text)
{
    separate(record);
    write_text(record->out, text);
}

void
record_list_end(struct record *record)
{
    fputc(']', record->out);
    record->started = 1;
}
