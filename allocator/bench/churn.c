/*
 * churn: a given amount of live linked objects; an operation drops a random chain of 8 and makes
 * another. What a server with a cache does. Ends after a time, when the live data were replaced
 * once too: at GOGC=100 that is about one whole cycle of the collector.
 *
 * Measures throughput, the time of each batch of 500 operations (what a user waits: it holds the
 * stops, the marking that allocation is made to help with, and the processor that the collector
 * takes away), the stops, and peak memory.
 */
#include "chain.h"

enum {
    BATCH = 500, /* operations between two readings of the clock */
};

static struct cell **table; /* static: a root for every collector */

int
main(int argc, char **argv)
{
    double live_mb = 100, seconds = 10, turnover = 1, fixed = 0;
    const struct work_option options[] = {
        {"--live-mb", &live_mb, "of live objects, in 10^6 bytes"},
        {"--seconds", &seconds, "of the timed region, at least"},
        {"--turnover", &turnover, "times that the live data are replaced, at least"},
        {"--batches", &fixed, "instead of both: so many batches of 500 operations"},
    };
    struct rng random = {WORK_SEED};
    uint64_t checksum = 0, unused = 0, batches = 0;

    work_begin("churn", options, 4, argc, argv);
    gc_init();
    struct work_histogram *latency = work_histogram_new();
    size_t n = (size_t)(live_mb * 1e6 / CHAIN_MEAN_B) + 1;
    table = chain_table(n, &random);
    for (size_t i = 0; i < n / 4; i++) /* warm up; what comes later depends on the time */
        checksum += chain_replace(table, n, &random);
    work_start();
    uint64_t last_ns = work_now_ns(), end_ns = last_ns + (uint64_t)(seconds * 1e9);
    double least = fixed > 0 ? fixed : turnover * (double)n / BATCH;
    if (fixed > 0)
        end_ns = 0;
    while (last_ns < end_ns || (double)batches < least) {
        for (int i = 0; i < BATCH; i++)
            unused += chain_replace(table, n, &random);
        uint64_t now_ns = work_now_ns();
        work_histogram_add(latency, now_ns - last_ns);
        last_ns = now_ns;
        batches++;
    }
    work_stop();
    gc_keep((const void *)(uintptr_t)unused);
    work_metric("ops_per_s", (double)(batches * BATCH) / work_seconds());
    work_metric("batch_p999_ns", (double)work_histogram_quantile(latency, 0.999));
    work_metric("batch_max_ns", (double)work_histogram_quantile(latency, 1));
    work_metric("batch_p50_ns", (double)work_histogram_quantile(latency, 0.5));
    work_end(checksum);
    return 0;
}
