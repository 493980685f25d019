/* The SH_* environment variables: the one table of them is in settings.c. */
#ifndef SPANHEAP_SETTINGS_H
#define SPANHEAP_SETTINGS_H

#include "heap/base.h"

#define SETTING_UNSET UINT64_MAX

/* What they say, or their defaults. Sizes in bytes. */
struct settings {
    uint64_t gogc;           /* percent; UINT64_MAX: off */
    uint64_t memory_limit_b; /* UINT64_MAX: none */
    uint64_t reserve_b, period_s, signal;
    uint64_t huge_pages;    /* SETTING_UNSET: left to the system */
    uint64_t mode, barrier; /* enum gc_mode, SETTING_UNSET; enum barrier_kind */
    uint64_t workers;
    uint64_t gctrace, clobber, verify;
    uint64_t poison, debug_heap, quarantine_b; /* SETTING_UNSET: the default */
    uint64_t stress_delay_us, stress_buffers, stress_shards, stress_os;
    const char *trace; /* file; NULL: none */
    uint64_t events;
    const char *profile;                 /* file; NULL: none */
    uint64_t profile_rate_b;             /* SETTING_UNSET: the default, if there is a file */
    const char *heap_dump;               /* file; NULL: none */
    uint64_t types;                      /* SETTING_UNSET: if there is a heap dump */
    uint64_t slice_rule;                 /* enum sh_slice_rule */
    uint64_t task_stack_b, task_threads; /* 0 threads: one a processor */
};

/** What holds where the environment says nothing, in each library, ... */
#define SETTINGS_COMMON                                                                            \
    .memory_limit_b = UINT64_MAX, .huge_pages = SETTING_UNSET, .workers = INT32_MAX,               \
    .profile_rate_b = SETTING_UNSET, .types = SETTING_UNSET, .poison = 1,                          \
    .quarantine_b = SETTING_UNSET, .stress_buffers = WORKBUF_WORDS,                                \
    .task_stack_b = UINT64_C(64) << 10
/** ... and in this one: with gogc, period_s, mode, barrier. */
extern const struct settings settings_default;
/** Reads the environment. Fatal, naming the variable, for a value that cannot be read. */
struct settings settings_read(void);
/** What was read. */
const struct settings *settings_get(void);

#endif
