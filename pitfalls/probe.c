/*
 * Measurements of the own process: see probe.h.
 *
 * Conservative scanning takes whatever lies on the stack for a pointer. Calls that have returned
 * leave their locals below the stack pointer, and a later, deeper call (the collector's own) makes
 * those bytes part of the scanned stack again. So before live bytes are read, the stack below and
 * the registers are overwritten; otherwise -O0 builds show memory retained that nobody holds.
 */
#include "probe.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
    PAUSES_MAX = 1 << 16,       /* 3 MiB of addresses; only those used become resident */
    STACK_CLEARED_B = 64 << 10, /* deeper than any call chain of a pitfall */
    STATUS_MAX_B = 8192,        /* /proc/self/status is under 2 KiB */
};

uint64_t
probe_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t
timeval_ns(struct timeval time)
{
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_usec * 1000u;
}

void
probe_cpu_ns(uint64_t *user_ns, uint64_t *sys_ns)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    *user_ns = timeval_ns(usage.ru_utime);
    *sys_ns = timeval_ns(usage.ru_stime);
}

int64_t
probe_status_b(const char *field)
{
    char text[STATUS_MAX_B];
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return -1;
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    if (length <= 0)
        return -1;
    text[length] = 0;
    const char *line = strstr(text, field);
    if (line == NULL || line[strlen(field)] != ':')
        return -1;
    return strtoll(line + strlen(field) + 1, NULL, 10) * 1024;
}

int
probe_reset_peak(void)
{
    int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return 0;
    ssize_t written = write(fd, "5", 1);
    close(fd);
    return written == 1;
}

int64_t
probe_open_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    int64_t count = -1; /* not the directory's own descriptor */

    if (directory == NULL)
        return -1;
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        if (entry->d_name[0] != '.')
            count++;
    }
    closedir(directory);
    return count;
}

__attribute__((noinline)) void
probe_clear_stack(void)
{
    unsigned char below[STACK_CLEARED_B];

    memset(below, 0, sizeof below);
    __asm__ volatile("" : : "r"(below) : "memory");
}

/* Overwrites every general register that may hold an old pointer. The compiler saves and restores
 * what its own code still needs, which is nothing of the pitfall's. */
#if defined(__x86_64__)
static inline __attribute__((always_inline)) void
clear_registers(void)
{
    __asm__ volatile("xorl %%eax, %%eax\n\txorl %%ebx, %%ebx\n\txorl %%ecx, %%ecx\n\t"
                     "xorl %%edx, %%edx\n\txorl %%esi, %%esi\n\txorl %%edi, %%edi\n\t"
                     "xorl %%r8d, %%r8d\n\txorl %%r9d, %%r9d\n\txorl %%r10d, %%r10d\n\t"
                     "xorl %%r11d, %%r11d\n\txorl %%r12d, %%r12d\n\txorl %%r13d, %%r13d\n\t"
                     "xorl %%r14d, %%r14d\n\txorl %%r15d, %%r15d\n\t"
                     "pxor %%xmm0, %%xmm0\n\tpxor %%xmm1, %%xmm1\n\tpxor %%xmm2, %%xmm2\n\t"
                     "pxor %%xmm3, %%xmm3\n\tpxor %%xmm4, %%xmm4\n\tpxor %%xmm5, %%xmm5\n\t"
                     "pxor %%xmm6, %%xmm6\n\tpxor %%xmm7, %%xmm7"
                     :
                     :
                     : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12",
                       "r13", "r14", "r15", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
                       "xmm7", "cc", "memory");
}
#elif defined(__aarch64__)
static inline __attribute__((always_inline)) void
clear_registers(void)
{
    __asm__ volatile("mov x0, xzr\n\tmov x1, xzr\n\tmov x2, xzr\n\tmov x3, xzr\n\t"
                     "mov x4, xzr\n\tmov x5, xzr\n\tmov x6, xzr\n\tmov x7, xzr\n\t"
                     "mov x8, xzr\n\tmov x9, xzr\n\tmov x10, xzr\n\tmov x11, xzr\n\t"
                     "mov x12, xzr\n\tmov x13, xzr\n\tmov x14, xzr\n\tmov x15, xzr\n\t"
                     "mov x16, xzr\n\tmov x17, xzr\n\tmov x20, xzr\n\tmov x21, xzr\n\t"
                     "mov x22, xzr\n\tmov x23, xzr\n\tmov x24, xzr\n\tmov x25, xzr\n\t"
                     "mov x26, xzr\n\tmov x27, xzr\n\tmov x28, xzr"
                     :
                     :
                     : "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11",
                       "x12", "x13", "x14", "x15", "x16", "x17", "x20", "x21", "x22", "x23", "x24",
                       "x25", "x26", "x27", "x28", "memory");
}
#else
#error "the pitfalls know the registers of x86-64 and arm64 only"
#endif

/* Its frame, with the slots that the compiler never writes, lies in the memory just cleared. */
static __attribute__((noinline)) int64_t
read_live_b(void)
{
    static struct sh_stats stats;

    for (int i = 0; i < 2; i++) {
        probe_clear_stack();
        clear_registers();
        sh_collect();
    }
    sh_stats_read(&stats);
    return (int64_t)stats.heap_alloc_b;
}

/* No locals, so that no old pointer can lie in this frame. */
__attribute__((noinline)) int64_t
probe_live_b(void)
{
    probe_clear_stack();
    return read_live_b();
}

/* ---- Pauses ---------------------------------------------------------------------------------- */

/* Mapped, not static: a static array is a root, and would lengthen the pauses that it records. */
static struct {
    struct sh_pause *at;
    size_t count;
    uint64_t dropped;
    int recording;
} pauses;

/* Runs on the thread that stopped the world, one stop at a time. */
static void
record_pause(const struct sh_pause *pause)
{
    if (!pauses.recording)
        return;
    if (pauses.count < PAUSES_MAX)
        pauses.at[pauses.count++] = *pause;
    else
        pauses.dropped++;
}

void
probe_pauses_init(void)
{
    void *memory = mmap(NULL, PAUSES_MAX * sizeof(struct sh_pause), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        perror("pitfall: no memory to record pauses");
        exit(1);
    }
    pauses.at = memory;
    sh_set_pause_hook(record_pause);
}

void
probe_pauses_start(void)
{
    pauses.count = 0;
    pauses.dropped = 0;
    pauses.recording = 1;
}

void
probe_pauses_stop(void)
{
    pauses.recording = 0;
}

const struct sh_pause *
probe_pauses(size_t *count, uint64_t *dropped)
{
    *count = pauses.count;
    *dropped = pauses.dropped;
    return pauses.at;
}
