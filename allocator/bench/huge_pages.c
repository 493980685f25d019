/*
 * What huge pages do to a program: it is run with SH_HUGEPAGES=0 and =1 in turns, and the medians
 * stand side by side.
 *
 *     huge-pages ROUNDS PROGRAM ARGUMENTS...
 *
 * Time, processor time and faults are the whole process's, its start included; its output is
 * dropped. Exit status 1 if a run fails.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS_MAX 99

enum figure { ELAPSED_S, CPU_S, FAULTS, PEAK_MB, NFIGURES };
static const char *const figure_names[NFIGURES] = {"elapsed s", "cpu s", "page faults", "peak MB"};

static double results[2][NFIGURES][ROUNDS_MAX];

static double
seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec * 1e-6;
}

static _Noreturn void
become(char **program, int huge)
{
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(nowhere, STDOUT_FILENO);
    setenv("SH_HUGEPAGES", huge ? "1" : "0", 1);
    execv(program[0], program);
    perror(program[0]);
    _exit(127);
}

static int
run(char **program, int huge, int round)
{
    struct rusage used;
    int status;
    double start_s = bench_now_s();
    pid_t child = fork();
    if (child == 0)
        become(program, huge);
    if (child < 0 || wait4(child, &status, 0, &used) < 0 || status != 0) {
        fprintf(stderr, "huge-pages: %s failed\n", program[0]);
        return 0;
    }
    results[huge][ELAPSED_S][round] = bench_now_s() - start_s;
    results[huge][CPU_S][round] = seconds(used.ru_utime) + seconds(used.ru_stime);
    results[huge][FAULTS][round] = (double)used.ru_minflt;
    results[huge][PEAK_MB][round] = (double)used.ru_maxrss * 1024e-6;
    return 1;
}

int
main(int argc, char **argv)
{
    int rounds = argc > 2 ? atoi(argv[1]) : 0;
    if (rounds < 1 || rounds > ROUNDS_MAX) {
        fprintf(stderr, "usage: huge-pages ROUNDS PROGRAM ARGUMENTS..., 1 to %d rounds\n",
                ROUNDS_MAX);
        return 2;
    }
    for (int round = 0; round < rounds; round++)
        for (int i = 0; i < 2; i++)
            if (!run(argv + 2, (i + round) % 2, round))
                return 1;
    for (char **word = argv + 2; *word != NULL; word++)
        printf("%s%s", word == argv + 2 ? "" : " ", *word);
    printf("\n%12s %12s %12s %8s\n", "", "refused", "asked for", "ratio");
    for (int f = 0; f < NFIGURES; f++) {
        double small = bench_median(results[0][f], (size_t)rounds);
        double huge = bench_median(results[1][f], (size_t)rounds);
        printf("%12s %12.6g %12.6g %8.2f\n", figure_names[f], small, huge, huge / small);
    }
    return 0;
}
