/*
 * The event ring as a file in Chrome's trace format (JSON), which ui.perfetto.dev and
 * chrome://tracing open. Phases and stops have tracks of their own, assists and sweeps stand on the
 * track of their thread; live bytes, goal and resident memory are counters. Times are microseconds
 * since the library's start, with three decimals: nothing of the nanoseconds is lost.
 */
#ifndef SPANHEAP_TRACE_JSON_H
#define SPANHEAP_TRACE_JSON_H

#include <stdio.h>

/** Writes all that the ring holds. Returns 0, or the errno of the first write that failed. Uses
 * stdio and malloc: not while the world is stopped. There must be a ring. */
int trace_json_write(FILE *out);

#endif
