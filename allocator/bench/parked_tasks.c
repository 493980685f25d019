/*
 * What tasks that wait cost: memory of one, and the stops and time of a collection beside any
 * number of them. Each waits for a channel, a few calls deep, with an object on its stack. Longest
 * stop and median time of 15 collections.
 */
#include "bench.h"

#include <spanheap.h>
#include <spanheap/channel.h>
#include <spanheap/task.h>
#include <stdio.h>
#include <unistd.h>

#define COLLECTIONS 15
#define MOST_TASKS 100000

static struct sh_channel *never;

static void
wait_for_ever(void *arg)
{
    (void)arg;
    char *held = sh_alloc_noscan(64);
    sh_channel_receive(never, NULL);
    SH_KEEP_ALIVE(held);
}

static void
do_nothing(void *arg)
{
    (void)arg;
}

static size_t
resident_b(void)
{
    unsigned long pages = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    if (statm == NULL || fscanf(statm, "%*u %lu", &pages) != 1)
        perror("/proc/self/statm");
    if (statm != NULL)
        fclose(statm);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

int
main(void)
{
    size_t tasks = 0, empty_b = 0;
    never = sh_channel_make(&sh_uint64_type, 0);
    for (int i = 0; i < 100; i++) /* the threads are there from the beginning */
        sh_task_start(do_nothing, NULL);
    printf("%8s %14s %14s %14s\n", "tasks", "bytes a task", "longest us", "collection us");
    for (size_t wanted = 0; wanted <= MOST_TASKS; wanted = wanted == 0 ? 1000 : wanted * 10) {
        double time[COLLECTIONS], stop[COLLECTIONS];
        for (; tasks < wanted; tasks++)
            sh_task_start(wait_for_ever, NULL);
        sh_task_sleep(wanted * 2000 + 10000000);
        sh_collect();
        sh_release_memory();
        if (wanted == 0)
            empty_b = resident_b();
        for (int i = 0; i < COLLECTIONS; i++) {
            struct sh_pause recent[4] = {{0}};
            double start_s = bench_now_s();
            sh_collect();
            time[i] = (bench_now_s() - start_s) * 1e6;
            size_t n = sh_pauses_read(recent, 4);
            stop[i] = 0;
            for (size_t j = 0; j < n; j++)
                if (recent[j].cycle == recent[n - 1].cycle &&
                    (double)recent[j].length_ns / 1e3 > stop[i])
                    stop[i] = (double)recent[j].length_ns / 1e3;
        }
        double longest = 0;
        for (int i = 0; i < COLLECTIONS; i++)
            longest = stop[i] > longest ? stop[i] : longest;
        size_t more_b = resident_b() - empty_b;
        printf("%8zu %14.0f %14.1f %14.1f\n", tasks,
               tasks == 0 ? 0.0 : (double)more_b / (double)tasks, longest,
               bench_median(time, COLLECTIONS));
    }
    return 0;
}
