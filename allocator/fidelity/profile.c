/* The heap profile against the known truth: 512 MiB by two functions, five times over. Printed is
   the one of the five that is farthest from the truth, as a ratio to it. */
#include "fidelity.h"

enum { ROUNDS = 5, MORE = 96 << 10, LARGE_B = 4096, LESS = 2 << 20, SMALL_B = 64, RECORDS = 1000 };

static void *volatile sink;
static struct sh_profile_record records[RECORDS];

static NOINLINE void
allocate_large(void)
{
    for (int i = 0; i < MORE; i++)
        sink = sh_alloc_noscan(LARGE_B);
}

static NOINLINE void
allocate_small(void)
{
    for (int i = 0; i < LESS; i++)
        sink = sh_alloc_noscan(SMALL_B);
}

struct estimate {
    double all_b, large_b;
};

/* Of two functions, the one that starts last before an address contains it. */
static bool
is_in(uintptr_t address, void (*function)(void), void (*other)(void))
{
    uintptr_t start = (uintptr_t)function, other_start = (uintptr_t)other;
    return address > start && !(other_start > start && address > other_start);
}

static struct estimate
estimate_now(void)
{
    struct estimate e = {0, 0};
    size_t n = sh_profile_read(records, RECORDS);
    for (size_t i = 0; i < n && i < RECORDS; i++) {
        uintptr_t at = records[i].nstack == 0 ? 0 : records[i].stack[0];
        e.all_b += (double)records[i].alloc_b;
        e.large_b += is_in(at, allocate_large, allocate_small) ? (double)records[i].alloc_b : 0;
    }
    return e;
}

static double
farther(double a, double b)
{
    double of_a = a > 1 ? a - 1 : 1 - a, of_b = b > 1 ? b - 1 : 1 - b;
    return of_a > of_b ? a : b;
}

void
profile(void)
{
    double total = 1, share = 1, large_b = (double)MORE * LARGE_B;
    double truth_b = large_b + (double)LESS * SMALL_B;
    sh_profile_set_rate(SH_PROFILE_RATE_DEFAULT);
    for (int i = 0; i < ROUNDS; i++) {
        struct estimate before = estimate_now();
        allocate_large();
        allocate_small();
        live_now();
        struct estimate after = estimate_now();
        double all_b = after.all_b - before.all_b;
        total = farther(total, all_b / truth_b);
        share = farther(share, (after.large_b - before.large_b) / all_b / (large_b / truth_b));
    }
    record_number(total, "profile/total over the truth");
    record_number(share, "profile/share of the top function over the truth");
}
