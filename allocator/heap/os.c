/*
 * Memory is asked for in three steps, as in Go: reserved (addresses only), committed (usable, not
 * yet backed), touched.
 *
 * Huge pages are not asked for unless SH_HUGEPAGES=1 says so: the first object in one backs 2 MiB,
 * and the kernel may fill up again what was given back in pieces, so that less memory is given back
 * than is counted. Nor are they refused: where the system is set to "always", its owner has made
 * that choice for all programs, and one library should not know better. SH_HUGEPAGES=0 refuses
 * them, for a program that has to keep a memory limit on such a system. Go 1.19 leaves fresh memory
 * to the system too. (It then refuses them around each piece that it gives back, and asks for them
 * when such memory is used again; that splits mappings, of which a process has 65,530, and newer
 * versions do neither.)
 */
#define _GNU_SOURCE
#include "heap/os.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* For tests: the call of mmap or mprotect that fails, counted down; 0: none, or it has been. */
static _Atomic uint64_t calls_to_failure SH_STATE;
static _Atomic uint64_t failures SH_STATE; /* then: of so many calls */
static _Atomic uint64_t memory_calls SH_STATE;

void
os_fail(uint64_t first, uint64_t count)
{
    atomic_store(&failures, count);
    atomic_store(&calls_to_failure, first);
}

uint64_t
os_memory_calls(void)
{
    return atomic_load(&memory_calls);
}

/* Before each call that may be told that there is no memory. */
static bool
fails_now(void)
{
    atomic_fetch_add(&memory_calls, 1);
    if (likely(atomic_load(&calls_to_failure) == 0))
        return false;
    if (atomic_fetch_sub(&calls_to_failure, 1) != 1)
        return false;
    if (atomic_fetch_sub(&failures, 1) > 1)
        atomic_store(&calls_to_failure, 1); /* the next one too */
    errno = ENOMEM;
    return true;
}

static void *
map_memory(size_t size, int protection, int flags)
{
    if (unlikely(fails_now()))
        return NULL;
    void *p = mmap(NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

void *
os_reserve(size_t size)
{
    return map_memory(size, PROT_NONE, MAP_NORESERVE);
}

void
os_unreserve(void *start, size_t size)
{
    munmap(start, size);
}

bool
os_commit(void *start, size_t size)
{
    return likely(!fails_now()) && mprotect(start, size, PROT_READ | PROT_WRITE) == 0;
}

void
os_advise_huge_pages(void *start, size_t size, bool wanted)
{
    madvise(start, size, wanted ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

/* Since Linux 5.14; an older kernel does not know the advice, and the pages come when touched. */
void
os_populate(void *start, size_t size)
{
    madvise(start, size, MADV_POPULATE_WRITE);
}

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* since Linux 6.13 */
#endif

bool
os_guard(void *start, size_t size)
{
    return madvise(start, size, MADV_GUARD_INSTALL) == 0;
}

void
os_release(void *start, size_t size)
{
    madvise(start, size, MADV_DONTNEED);
}

void *
os_map(size_t size)
{
    return map_memory(size, PROT_READ | PROT_WRITE, 0);
}

void *
os_map_sparse(size_t size)
{
    return map_memory(size, PROT_READ | PROT_WRITE, MAP_NORESERVE);
}

bool
os_is_mapped(uintptr_t start, uintptr_t end)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), first = start & ~(page - 1);
    return msync((void *)first, end - first, MS_ASYNC) == 0 || errno != ENOMEM;
}

static uint64_t
clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t
os_now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

/* Before the kernel has gathered enough, addresses and the time must do. */
bool
os_fence_init(void)
{
    return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
}

void
os_fence_others(void)
{
    if (syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) != 0)
        sh_fatal("membarrier, which the kernel has offered, fails: error %d", errno);
}

uint64_t
os_random(void)
{
    uint64_t bits;
    if (getrandom(&bits, sizeof bits, GRND_NONBLOCK) == (ssize_t)sizeof bits)
        return bits;
    return (os_now_ns() ^ (uintptr_t)&bits) * UINT64_C(0x9e3779b97f4a7c15);
}

uint64_t
os_cpu_ns(void)
{
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t
os_process_cpu_ns(void)
{
    return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

unsigned
os_processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    int n = CPU_COUNT(&set);
    return n > 0 ? (unsigned)n : 1;
}

/* The second number of /proc/self/statm, in pages of the system. No stdio, no cancellation point.
 */
size_t
os_rss_b(void)
{
    char text[128];
    long fd = syscall(SYS_openat, AT_FDCWD, "/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    long n = syscall(SYS_read, fd, text, sizeof text - 1);
    syscall(SYS_close, fd);
    text[n > 0 ? n : 0] = '\0';
    const char *resident = strchr(text, ' ');
    return resident == NULL ? 0 : strtoull(resident, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE);
}

void
os_write_error(const char *text, size_t length)
{
    syscall(SYS_write, STDERR_FILENO, text, length);
}

void
os_futex_wait(_Atomic uint32_t *word, uint32_t value, uint64_t timeout_ns)
{
    struct timespec limit = {(time_t)(timeout_ns / 1000000000u), (long)(timeout_ns % 1000000000u)};
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, timeout_ns ? &limit : NULL, NULL, 0);
}

void
os_futex_wake_all(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

void
os_futex_wake_one(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
