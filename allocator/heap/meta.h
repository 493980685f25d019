/*
 * Memory for the allocator's own records: spans, bitmaps, threads. Outside the heap's range, never
 * scanned, zeroed when handed out, kept in one free list a power of two (16 bytes to 64 KiB).
 */
#ifndef SPANHEAP_META_H
#define SPANHEAP_META_H

#include "heap/base.h"

/** size bytes, zeroed, 16-byte aligned; NULL without memory. Fatal above 64 KiB. */
void *meta_alloc(size_t size);
/** size must be the one that was asked for. */
void meta_free(void *p, size_t size);
/** Bytes taken from the operating system. */
size_t meta_sys_b(void);
/** Around fork: the child must not find the lock held by a thread that it does not have. */
void meta_lock_for_fork(void);
void meta_unlock_for_fork(void);

#endif
