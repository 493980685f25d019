/*
 * The writable data of the program and its libraries, and where they keep thread-local storage.
 * Read from the loader outside the stop; the stop itself only walks the table.
 */
#ifndef SPANHEAP_SEGMENTS_H
#define SPANHEAP_SEGMENTS_H

#include "collector/world.h"

struct tls_module {
    size_t id; /* the loader's number of a module with thread-local variables */
    size_t size;
};

struct segments {
    struct range *data;
    size_t ndata;
    struct tls_module *tls;
    size_t ntls;
    struct range *code; /* of functions, readable */
    size_t ncode;
    unsigned long long adds, subs; /* the loader's counters when the table was made */
};
extern struct segments segments;

/** Makes the tables. Fatal without memory. */
void segments_init(void);
/** Leaves [start, end) out of the table from now on. Under world.cycle_lock. False: too many. */
bool segments_exclude(uintptr_t start, uintptr_t end);
/** Takes all of that back. */
void segments_exclude_nothing(void);
/** The next collection reads the loader's table anew. */
void segments_forget(void);

/**
 * Runs work(arg) with the loader's lock held, and the table up to date: no thread can then be
 * stopped while it holds that lock.
 */
void segments_with_loader_locked(void (*work)(void *arg), void *arg);

/** Whether a call may return to the address: it lies in code, behind a call instruction. The table
 * is up to date, and nobody unloads a library. */
bool segments_is_return_address(uintptr_t address);

#endif
