/*
 * The heap profile as a file of pprof: a protocol buffer, gzip-compressed. Values are estimates of
 * the whole, not counts of samples. Functions are named, so pprof needs no program file; it can
 * look into one for what has no name here. The library's own frames at the top of a stack are left
 * out.
 * Source: github.com/google/pprof, proto/profile.proto; Go 1.19, runtime/pprof/protomem.go.
 */
#ifndef SPANHEAP_PPROF_H
#define SPANHEAP_PPROF_H

#include "observe/profile.h"

#include <stdio.h>

/** Writes a profile. Returns 0 or an errno. Uses stdio and malloc: not inside a stop. */
int pprof_write(FILE *out, const struct profile_view *view);

#endif
