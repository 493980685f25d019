/*
 * A file that an environment variable names and that is written at the normal end of the program,
 * after the functions that it gave to atexit(). A %p in the name becomes the process id. A child of
 * fork would write over its parent's file, so it writes one only if the name has a %p.
 */
#ifndef SPANHEAP_EXIT_FILE_H
#define SPANHEAP_EXIT_FILE_H

#include <stdio.h>
#include <sys/types.h>

struct exit_file {
    const char *variable;    /* SH_... */
    const char *what;        /* "the trace" */
    int (*write)(FILE *out); /* returns 0 or an errno; may use stdio and malloc */
    /* The rest is set by exit_file_keep(). */
    const char *setting; /* the name as it was given */
    const char *path;    /* the same from the root directory on; may contain %p */
    pid_t pid;           /* who started */
    struct exit_file *next;
};

/** Has the file written at the end. Fatal, naming the variable, if it cannot be opened: better now
 * than after an hour. Once, at the start. */
void exit_file_keep(struct exit_file *file, const char *setting);
/** Creates or overwrites a file now; in the safe state, so that a slow disk delays no collection.
 * Returns 0 or an errno. */
int exit_file_write(const char *path, int (*write)(FILE *out));

#endif
