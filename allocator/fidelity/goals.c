/* The heap goal and the trigger for live heaps of several sizes, and the peaks that come of them.
 */
#include "fidelity.h"

enum { BLOCK_B = 1024, CYCLES = 9, MIB = 1 << 20 };

static const struct sh_type blocks_type = {"blocks", 8, (const uint64_t[]){1}, 0};
static void **live;
static void *volatile sink;

/* Of each cycle, the largest heap that was seen before its collection ended; MiB. */
static double peaks[CYCLES];

static int
compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static NOINLINE void
fill(size_t mib)
{
    size_t n = mib * MIB / BLOCK_B;
    live = sh_alloc_array(&blocks_type, n);
    for (size_t i = 0; i < n; i++)
        sh_store(&live[i], sh_alloc_noscan(BLOCK_B));
}

static double
formula_of(const struct sh_stats *s, int gogc)
{
    double goal =
        (double)s->marked_b +
        ((double)s->marked_b + (double)s->stack_roots_b + (double)s->data_roots_b) * gogc / 100;
    double least = 4.0 * MIB * gogc / 100;
    return goal < least ? least : goal;
}

static void
measure(size_t mib, int gogc)
{
    struct sh_stats s;
    double worst = 1;
    sh_collect();
    for (int cycle = 0; cycle < CYCLES; cycle++) {
        sh_stats_read(&s);
        uint32_t before = s.num_gc;
        double goal = (double)s.next_gc_b, ratio = goal / formula_of(&s, gogc), peak = 0;
        if (ratio > worst || 1 / ratio > worst)
            worst = ratio > 1 ? ratio : 1 / ratio;
        while (s.num_gc == before) {
            for (int i = 0; i < 256; i++)
                sink = sh_alloc_noscan(BLOCK_B);
            sh_stats_read(&s);
            if (s.num_gc == before && (double)s.heap_alloc_b > peak)
                peak = (double)s.heap_alloc_b;
        }
        peaks[cycle] = peak / MIB;
    }
    qsort(peaks, CYCLES, sizeof *peaks, compare);
    record_number(worst, "goal/by the formula/%zu MiB, GOGC=%d", mib, gogc);
    record_number(peaks[CYCLES / 2], "goal/peak MiB/%zu MiB, GOGC=%d", mib, gogc);
}

void
goals(void)
{
    static const size_t sizes_mib[] = {16, 64, 256};
    static const int gogcs[] = {50, 100, 200};
    for (size_t i = 0; i < COUNT_OF(sizes_mib); i++) {
        sh_set_gogc(100);
        fill(sizes_mib[i]);
        for (size_t j = 0; j < COUNT_OF(gogcs); j++) {
            sh_set_gogc(gogcs[j]);
            measure(sizes_mib[i], gogcs[j]);
        }
        live = NULL;
        sh_collect();
    }
}
