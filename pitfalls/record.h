/*
 * One flat JSON object on one line, written as it grows. Numbers are integers or finite doubles;
 * what is unknown is null, with "why_KEY" beside it.
 */
#ifndef PITFALL_RECORD_H
#define PITFALL_RECORD_H

#include <stdint.h>
#include <stdio.h>

struct record {
    FILE *out;
    int started; /* a comma is needed before the next key or list element */
};

void record_begin(struct record *record, FILE *out);
/** Ends the line. Returns 0, or -1 with errno set if any of it could not be written. */
int record_end(struct record *record);

void record_uint(struct record *record, const char *key, uint64_t value);
void record_int(struct record *record, const char *key, int64_t value);
/** A double that is not finite becomes null with a reason. */
void record_real(struct record *record, const char *key, double value);
void record_text(struct record *record, const char *key, const char *text);
void record_bool(struct record *record, const char *key, int value);
void record_null(struct record *record, const char *key, const char *why);

void record_list_begin(struct record *record, const char *key);
void record_list_uint(struct record *record, uint64_t value);
void record_list_int(struct record *record, int64_t value);
void record_list_text(struct record *record, const char *text);
void record_list_end(struct record *record);

#endif /* PITFALL_RECORD_H */
