/* The operating system: the only callers of mmap, mprotect and madvise. All sizes in bytes. */
#ifndef SPANHEAP_OS_H
#define SPANHEAP_OS_H

#include "heap/base.h"

/** Address space without memory behind it. NULL if there is none of that size. */
void *os_reserve(size_t size);
/** Gives address space back. */
void os_unreserve(void *start, size_t size);
/** Makes a reserved range usable; fresh pages read as zero. False: no memory. */
bool os_commit(void *start, size_t size);
/** Asks for huge pages behind a usable range, or refuses them. A wish; a kernel without them
 * ignores it. */
void os_advise_huge_pages(void *start, size_t size, bool wanted);
/** Backs a usable range with memory at once, cheaper than page by page as it is touched. A wish. */
void os_populate(void *start, size_t size);
/** Makes touching a usable range fatal, without a mapping of its own. False: the kernel cannot. */
bool os_guard(void *start, size_t size);
/** Drops the memory behind a usable range; it stays usable and reads as zero again. */
void os_release(void *start, size_t size);
/** Usable zeroed memory for bookkeeping, or NULL. */
void *os_map(size_t size);
/** Usable zeroed memory that is only backed where it is touched (tables over all addresses). */
void *os_map_sparse(size_t size);

/** Whether there is memory, of whatever kind, at all addresses of a range. */
bool os_is_mapped(uintptr_t start, uintptr_t end);

/** For tests: call number `first` from now on, of those above that may find no memory, fails, and
 * count - 1 after it. 0: none. */
void os_fail(uint64_t first, uint64_t count);
/** How many such calls there were. */
uint64_t os_memory_calls(void);

uint64_t os_now_ns(void);         /**< CLOCK_MONOTONIC */
uint64_t os_cpu_ns(void);         /**< CPU time of this thread */
uint64_t os_process_cpu_ns(void); /**< of all threads of this process, ended ones too */
unsigned os_processors(void);     /**< that this process may use; at least 1 */
uint64_t os_random(void);         /**< random bits, to seed generators and hashes */
size_t os_rss_b(void);            /**< resident memory of this process; 0: not known */

/** Writes to standard error; no cancellation point, unlike write(). */
void os_write_error(const char *text, size_t length);

/** Before os_fence_others(), in each process (a fork's child, too). False: the kernel has no such
 * thing. */
bool os_fence_init(void);
/** Makes every other thread of the process pass a full memory barrier. Takes microseconds. */
void os_fence_others(void);

/** Waits while *word == value (spurious returns happen). timeout_ns 0: for ever. */
void os_futex_wait(_Atomic uint32_t *word, uint32_t value, uint64_t timeout_ns);
void os_futex_wake_all(_Atomic uint32_t *word);
void os_futex_wake_one(_Atomic uint32_t *word);

#endif
