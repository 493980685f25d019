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
    unsigned long long adds, subs; /* the loader's counters when the table was made */
};
extern struct segments segments;

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

#endif
