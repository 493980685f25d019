/*
 * A client of the collector: code above the heap that has rules of its own about what lives, such
 * as finalizers in order, links that disappear, objects that are roots. The drop-in for Boehm's
 * collector (shims/) is one. There is at most one, it is set before the first collection, and it
 * works in stop-the-world mode: what it does in a stop calls nothing that takes a lock of the C
 * library.
 */
#ifndef SPANHEAP_CLIENT_H
#define SPANHEAP_CLIENT_H

#include "heap/span.h"

#include <spanheap.h>

enum client_event {
    CLIENT_START,     /* a collection begins; by the thread that does it, under the cycle lock */
    CLIENT_STOPPED,   /* the world has just been stopped */
    CLIENT_RELEASING, /* it is about to be let go */
    CLIENT_RELEASED,  /* it was; the safe state */
    CLIENT_END,       /* all is done but the sweep */
};

struct client {
    bool (*may_begin)(enum sh_gc_trigger trigger); /* false: no collection now */
    void (*on_event)(enum client_event event);
    void (*read_roots)(void); /* in the stop: client_add_word(), client_add_range() */
    void (*after_mark)(void); /* in the stop: asks for marks, and marks more */
    bool (*scans_module)(const char *name, uintptr_t start, size_t size); /* its data is a root */
    void (*lock_for_fork)(void);                                          /* locks of RANK_CLIENT */
    void (*unlock_after_fork)(void);
};
extern const struct client *client;

/** Before the first collection. The fields may not be NULL. */
void client_set(const struct client *c);

/** What keeps the object that contains word, if there is one. In the stop. */
void client_add_word(uintptr_t word);
/** All words in [start, end). Returns the bytes read. */
size_t client_add_range(uintptr_t start, uintptr_t end);
/** What the object that begins at `object` points to; not the object itself. */
void client_add_contents(uintptr_t object);
/** Hands what was added to the markers. Called by whoever has called read_roots. */
void client_close_roots(void);
/** In after_mark: marks all that the words added since then lead to. */
void client_mark(void);
/** In after_mark: whether the object that contains address is live. */
bool client_is_live(uintptr_t address);

#endif
