/* What the parts of the launcher share. */
#ifndef PITMARK_LAUNCHER_H
#define PITMARK_LAUNCHER_H

#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

enum {
    ENV_MAX = 64, /* --env pairs */
    TURNS_A_LENGTH = 256,
};

struct options {
    double timeout_s;
    double turn_ms;       /* 0: it runs without a break */
    long cpu;             /* where each of its turns begins; -1: anywhere */
    cpu_set_t processors; /* those that it may use */
    long env_pad_b;
    long long limit_b; /* of each file that the program writes */
    const char *record, *out, *err, *result, *observe;
    int no_aslr;
    char *env[ENV_MAX + 4];
    int env_count;
    char **command;
};

/* CLOCK_MONOTONIC. */
struct turn {
    uint64_t begin_ns, end_ns;
};

struct outcome {
    uint64_t wall_ns;
    struct turn *turns;
    size_t turn_count;
    int status;
    int timed_out;
    int leftovers;  /* processes that outlived the program and were killed */
    int unobserved; /* errno of reading its memory; 0: it was read, or not asked for */
    struct rusage usage;
};

extern volatile sig_atomic_t stop_signal; /* the launcher is to end; 0: it is not */

_Noreturn void die(const char *what);
uint64_t now_ns(void);
/** A process that is not running, or the caller (0), can run there alone from now on. */
void confine(pid_t process, long cpu);
/** Starts the program; *pidfd: a descriptor of its process. With --cpu it can run there alone until
 * it is executed. */
pid_t start_program(struct options *o, int *pidfd);
/** Runs it by turns, until it has ended or is to be killed. */
pid_t run_in_turns(struct options *o, struct outcome *result, int *pidfd);

#endif
