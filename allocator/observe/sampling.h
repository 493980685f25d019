/*
 * The arithmetic of sampling: one sample for each `rate` bytes on average. The gaps between samples
 * are exponentially distributed, so that no rhythm of the program can hide from them, and an object
 * of `size` bytes is a sample with probability 1 - exp(-size / rate), whatever came before it.
 * Dividing by that gives back what was allocated. Pure, and without the mathematics library.
 * Source: Go 1.19, runtime/malloc.go (nextSample), runtime/pprof/protomem.go (scaleHeapSample).
 */
#ifndef SPANHEAP_SAMPLING_H
#define SPANHEAP_SAMPLING_H

#include "heap/base.h"

/** The state of a random generator; any seed is good. */
uint64_t sampling_seed(uint64_t seed);
/** Bytes up to the next sample; 0 for a rate of 1, with which every object is one. */
uint64_t sampling_gap(uint64_t *random, uint64_t rate_b);
/** How many objects of a size a sample of it stands for; at least 1. */
double sampling_weight(uint64_t size_b, uint64_t rate_b);

#endif
