/*
 * The C side of the fidelity run: facts about spanheap, each beside the same fact of Go's in go/.
 * A program here and there prints the same keys, one JSON object a line: {"key": ..., "value":
 * ...}.
 */
#ifndef SPANHEAP_FIDELITY_H
#define SPANHEAP_FIDELITY_H

#include <spanheap.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOINLINE __attribute__((noinline, noclone))
#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

/** A text that grows. Starts as zeroes. */
struct text {
    char *data;
    size_t len, cap;
};

void text_add(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** Prints a number, or a text, under a key: "format" makes the key. */
void record_number(double value, const char *format, ...) __attribute__((format(printf, 2, 3)));
void record_text(const char *value, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** Objects and bytes allocated so far. */
struct allocated {
    uint64_t objects, bytes;
};
struct allocated allocated_now(void);
/** Runs work(arg) on a thread that is gone afterwards, and with it what its stack and registers
 * held: roots are conservative here, and one old word would keep what the program has let go of. */
void run_elsewhere(void *(*work)(void *arg), void *arg);
/** Live bytes after three collections, on a stack without old words. */
uint64_t live_now(void);

void sizes(void);
void appends(void);
void escape(void);
void retention(void);
void maps(void);
void profile(void);
void pool(void);
void channels(void);
void defers(void);
void goals(void);
void patterns(void);
void trace(void);

#endif
