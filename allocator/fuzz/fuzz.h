/*
 * What the fuzz targets share: the bytes of an input as a source of choices, collections, and
 * panics and fatal errors that are survived and compared. See README.md.
 */
#ifndef SPANHEAP_FUZZ_H
#define SPANHEAP_FUZZ_H

#include "tests/need.h"

#include <spanheap.h>

#include <stddef.h>
#include <stdint.h>

/* ---- Choices: a byte each, or two; zeroes when the input is used up ---- */

struct input {
    const uint8_t *at, *end;
};

bool is_used_up(const struct input *in);
/** A number in [0, n), of one byte. n is at most 256. */
size_t choose(struct input *in, size_t n);
/** A number in [0, n), of two bytes. */
size_t choose_wide(struct input *in, size_t n);
/** A size as a careless program has it: `near`, one beside it, a small one, or a huge one. */
size_t choose_size(struct input *in, size_t near);

/* ---- Collections: collections.c ---- */

/** Before each operation: a collection takes a step by itself, if this input wants it so often. */
void tick(void);
/** A full collection, or a step of one: its beginning, some marking, its end. What follows runs
 * beside the marking then. */
void collect_somehow(struct input *in);

/* ---- Panics: panics.c ---- */

/** The message of the panic in call(arg), in a buffer; NULL: none. */
const char *panic_of(void (*call)(void *arg), void *arg);
/** call(arg) panics with the message that the format makes; a NULL format: it does not panic. */
void need_panic(void (*call)(void *arg), void *arg, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- Fatal errors ---- */

/** call(arg) ends with a fatal error whose message begins with what the format makes. It may hold
 * no lock then. */
void need_fatal(void (*call)(void *arg), void *arg, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- The target ---- */

/** Whether something that this input wants again and again is due: every 1 to 64 operations, or
 * never. */
bool is_time_for_step(void);
/** Runs one input. */
void run_input(struct input *in);
/** Whether the model is to be wrong on purpose: FUZZ_WRONG=1 in the environment. */
bool is_model_wrong(void);

#endif
