/* The command line of every pitfall program. */
#ifndef PITFALL_ARGUMENTS_H
#define PITFALL_ARGUMENTS_H

#include <stdint.h>

#include "pitfall.h"

struct arguments {
    uint64_t n;       /* the pitfall's parameter */
    uint64_t count;   /* rounds in the timed region; with seconds: the first guess */
    double seconds;   /* above 0: double count until the timed region lasts that long */
    uint64_t threads; /* threads that each run count rounds */
    uint64_t warmup;  /* untimed rounds before */
    int start_only;   /* leave right after setup */
    int events;       /* also report the marks of the run's phases */
    int explain;      /* instead of all that: why is what a round leaves behind alive? */
};

/**
 * Reads argv. --help prints the usage on stdout and ends with 0; a wrong argument prints what was
 * wrong and what is right on stderr and ends with 2.
 */
struct arguments arguments_read(const struct pitfall *pitfall, int argc, char **argv);

#endif /* PITFALL_ARGUMENTS_H */
