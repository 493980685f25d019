/*
 * Watching the heap: pauses, counters, the trace line, the trace file. Nothing here is called on a
 * fast path. The collector puts what has no pause of its own into the event ring; see events.h.
 */
#ifndef SPANHEAP_OBSERVE_H
#define SPANHEAP_OBSERVE_H

#include <spanheap.h>

struct cycle_record;
struct profile_bucket;

void observe_init(void);
/**
 * Keeps events for a file that is written at the program's normal end, and says how many; 0: the
 * default. file NULL: none is. Fatal if it cannot be written.
 */
void observe_trace_init(const char *file, size_t nevents);
/** Keeps a pause. Under the cycle lock. */
void observe_record_pause(const struct sh_pause *pause);
/** Keeps the phases and the heap's size of a collection for the trace file. The world runs. */
void observe_record_cycle(const struct cycle_record *r);
/** Tells the user's hook. Under the cycle lock, so that it sees the stops in their order. */
void observe_call_pause_hook(const struct sh_pause *pause);
/** Prints Go's gctrace line on stderr. */
void observe_print_trace(const struct cycle_record *r);
/** The line itself, ending in a newline, for tests. Returns its length. */
size_t observe_format_trace(const struct cycle_record *r, char *out, size_t size);
uint64_t observe_pause_total_ns(void);
/** Bytes ever allocated, as sh_stats_read() gives them. The world is stopped. */
uint64_t observe_total_alloc_stopped_b(void);

/**
 * Samples allocations, one in rate_b bytes on average, for a heap profile that is written to a file
 * at the program's normal end. file NULL: none is, and SETTING_UNSET then means no samples. Fatal
 * if the file cannot be written.
 */
void observe_profile_init(const char *file, uint64_t rate_b);
/** Has a heap dump written to a file at the program's normal end; NULL: none. Fatal if it cannot be
 * written. */
void observe_heap_dump_init(const char *file);
/** An object of a bucket has begun; sh_free has ended it; it was found dead. See profile.h. */
void observe_sample_made(struct profile_bucket *b);
void observe_sample_freed(struct profile_bucket *b);
void observe_sample_swept(struct profile_bucket *b);

/** Makes room for the stacks that allocate and free (hook_site). Fatal without memory. */
void observe_sites_init(void);

/** Around fork: the locks of the heap profile and of these stacks. */
void observe_lock_for_fork(void);
void observe_unlock_for_fork(void);

#endif
