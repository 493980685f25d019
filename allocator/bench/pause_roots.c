/*
 * What a stop costs against how much memory is a root: forced collections of an almost empty heap,
 * with 0 to 64 MiB of registered ranges. Medians of 15 collections.
 */
#include "bench.h"

#include <spanheap.h>
#include <stdio.h>

#define COLLECTIONS 15
#define MAX_RANGE_B ((size_t)64 << 20)

/* The stop of the newest collection that read the roots; the others of a collection read none. */
static struct sh_pause
newest_with_roots(void)
{
    struct sh_pause recent[4] = {0};
    size_t n = sh_pauses_read(recent, 4);

    while (n > 1 && recent[n - 1].root_b == 0)
        n--;
    return recent[n > 0 ? n - 1 : 0];
}

int
main(void)
{
    char *range = malloc(MAX_RANGE_B);
    if (range == NULL) {
        perror("pause_roots");
        return 1;
    }
    for (size_t i = 0; i < MAX_RANGE_B; i += 4096)
        range[i] = 1;
    printf("%12s %12s %12s %12s %10s\n", "root bytes", "pause us", "signal us", "roots us",
           "ns/KiB");
    for (size_t size = 0; size <= MAX_RANGE_B; size = size == 0 ? 64 << 10 : size * 4) {
        double length[COLLECTIONS], signal[COLLECTIONS], roots[COLLECTIONS];
        struct sh_pause pause = {0};
        if (size > 0)
            sh_roots_add(range, size);
        for (int i = 0; i < COLLECTIONS; i++) {
            sh_collect();
            pause = newest_with_roots();
            length[i] = (double)pause.length_ns / 1e3;
            signal[i] = (double)pause.signal_ns / 1e3;
            roots[i] = (double)pause.roots_ns / 1e3;
        }
        if (size > 0)
            sh_roots_remove(range);
        double roots_us = bench_median(roots, COLLECTIONS);
        printf("%12llu %12.1f %12.1f %12.1f %10.1f\n", (unsigned long long)pause.root_b,
               bench_median(length, COLLECTIONS), bench_median(signal, COLLECTIONS), roots_us,
               roots_us * 1e3 / ((double)pause.root_b / 1024));
    }
    free(range);
    return 0;
}
