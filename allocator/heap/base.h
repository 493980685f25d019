/*
 * What every file of the library includes: sizes, attributes, the two assertion macros.
 *
 * sh_require() guards against a user's mistake: it is always on and says what is wrong.
 * sh_invariant() guards our own promises: it is on in debug builds (-DSH_DEBUG).
 */
#ifndef SPANHEAP_BASE_H
#define SPANHEAP_BASE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_SHIFT 13
#define PAGE_B ((size_t)1 << PAGE_SHIFT)
#define ARENA_B ((size_t)64 << 20)
#define ARENA_PAGES (ARENA_B / PAGE_B)
#define WORD_B sizeof(void *)
#define CACHE_LINE_B 64

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/*
 * The library's own writable data. The section lies in the data segment, which is a root; what is
 * marked so is left out when roots are read, or the allocator's lists would keep garbage alive.
 */
#define SH_STATE __attribute__((section("spanheap_state")))

/* Keeps the compiler from moving memory accesses; enough against a signal on the same thread. */
#define signal_fence() atomic_signal_fence(memory_order_seq_cst)

/* Stores so far are seen by others before those that follow. Stores are in order on x86-64. */
#if defined(__x86_64__)
#define publish() signal_fence()
#else
#define publish() atomic_thread_fence(memory_order_release)
#endif

/* In a loop that waits for another processor. */
static inline void
pause_processor(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    __asm__ volatile("yield");
#endif
}

/** Prints "spanheap: fatal: ..." and aborts. Formats %s %zu %lu %p %d only; takes no lock. */
_Noreturn void sh_fatal(const char *format, ...) __attribute__((format(printf, 1, 2), cold));
/** Prints "spanheap: ..." on stderr in one write. Same formats. */
void sh_warn(const char *format, ...) __attribute__((format(printf, 1, 2), cold));

#define sh_require(condition, ...)                                                                 \
    do {                                                                                           \
        if (unlikely(!(condition)))                                                                \
            sh_fatal(__VA_ARGS__);                                                                 \
    } while (0)

#ifdef SH_DEBUG
#define sh_invariant(condition)                                                                    \
    sh_require(condition, "invariant broken: %s (%s:%d)", #condition, __FILE__, __LINE__)
#else
#define sh_invariant(condition) ((void)sizeof(condition))
#endif

/* Set bits of a word. Without the instruction for it, gcc calls a function that reads a table. */
static inline unsigned
count_bits(uint64_t w)
{
#if defined(__POPCNT__) || defined(__aarch64__)
    return (unsigned)__builtin_popcountll(w);
#else
    w -= w >> 1 & UINT64_C(0x5555555555555555);
    w = (w & UINT64_C(0x3333333333333333)) + (w >> 2 & UINT64_C(0x3333333333333333));
    w = (w + (w >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    return (unsigned)(w * UINT64_C(0x0101010101010101) >> 56);
#endif
}

static inline size_t
size_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t
round_up(size_t n, size_t unit)
{
    return (n + unit - 1) / unit * unit;
}

#endif
