/*
 * The second mark (SH_VERIFY=1): in the stop that ends marking, everything that can be reached is
 * found once more, in bits of its own, and each object found must be marked. One that is not is a
 * lost object: the program ends, and prints how it was reached.
 *
 * It starts from the words that were read in the first stop, and from what objects born since point
 * to, and follows typed edges only. A word of a root that is first seen now proves nothing: it may
 * be stale, left on a stack by a call that has returned. A word in an untyped object may be no
 * pointer.
 */
#ifndef SPANHEAP_REACH_H
#define SPANHEAP_REACH_H

#include "heap/base.h"

/** Keeps a copy of the roots that have just been read, and notes which objects there are. In the
 * first stop of a collection. */
void reach_begin(void);
/**
 * Fatal if something that can be reached is not marked. World stopped, marking done.
 * born_are_marked: new objects are black, so all of them must be, and what they point to.
 */
void reach_check(bool born_are_marked);

#endif
