/*
 * Assists: while a collection marks, a thread that takes memory pays for it by marking, at the rate
 * that lets marking end before the heap reaches its goal. It pays by whole spans, when its cache
 * needs another one: with work that the background workers have done beforehand (credit), else
 * with its own.
 * Source: Go 1.19, runtime/mgcmark.go (gcAssistAlloc).
 */
#ifndef SPANHEAP_ASSIST_H
#define SPANHEAP_ASSIST_H

#include "heap/cache.h"

/** In the first stop of a collection: no credit, nobody owes. */
void assist_begin(void);
/** Pays what the thread owes, if marking has work. Depth is held; may stop. */
void assist_pay(struct cache *c);
/** Work that the background workers have done. */
void assist_add_credit(uint64_t work_b);

#endif
