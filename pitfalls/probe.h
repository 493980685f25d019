/*
 * What the driver sees of its own process: clocks, resident memory, open files, pauses, and the
 * live bytes of the heap measured so that no stale pointer keeps anything alive.
 */
#ifndef PITFALL_PROBE_H
#define PITFALL_PROBE_H

#include <stddef.h>
#include <stdint.h>

#include <spanheap.h>

/** CLOCK_MONOTONIC, nanoseconds. */
uint64_t probe_now_ns(void);

/** Processor time of the process so far, nanoseconds. */
void probe_cpu_ns(uint64_t *user_ns, uint64_t *sys_ns);

/** A field of /proc/self/status in bytes ("VmHWM", "VmRSS"), or -1 if it cannot be read. */
int64_t probe_status_b(const char *field);

/** Makes VmHWM start again from the present resident size. False where /proc does not allow it. */
int probe_reset_peak(void);

/** Open file descriptors of the process, or -1 if they cannot be counted. */
int64_t probe_open_descriptors(void);

/** Overwrites the stack below the caller with zeros, 64 KiB deep. */
void probe_clear_stack(void);

/**
 * Bytes in live objects. Clears the stack below and the registers, collects twice (finished
 * sweeps, and pools that keep an item for one collection), then reads heap_alloc_b.
 */
int64_t probe_live_b(void);

/** Maps the pauses' memory and registers the hook. Nothing is recorded until probe_pauses_start. */
void probe_pauses_init(void);
void probe_pauses_start(void);
void probe_pauses_stop(void);
/** The pauses between start and stop, oldest first; *dropped: those that found no room. */
const struct sh_pause *probe_pauses(size_t *count, uint64_t *dropped);

#endif /* PITFALL_PROBE_H */
