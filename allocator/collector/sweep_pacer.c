#include "collector/sweep_pacer.h"

#include "collector/saturate.h"
#include "heap/base.h"

/* Rounding, and threads that sweep at once, must not leave pages for the next cycle. */
#define MARGIN_B ((uint64_t)1 << 20)

void
sweep_pacer_set(struct sweep_pacer *s, uint64_t trigger_b, uint64_t live_b, uint64_t in_use_pages,
                uint64_t swept_pages)
{
    uint64_t way_b = saturate_sub(saturate_sub(trigger_b, live_b), MARGIN_B);
    if (way_b < PAGE_B)
        way_b = PAGE_B; /* or one allocation would sweep the whole heap many times over */
    s->pages_per_byte = (double)saturate_sub(in_use_pages, swept_pages) / (double)way_b;
    s->live_b = live_b;
    s->swept_pages = swept_pages;
}

uint64_t
sweep_pacer_debt(const struct sweep_pacer *s, uint64_t live_b, uint64_t span_b,
                 uint64_t swept_pages, uint64_t caller_pages)
{
    /* A reading of live_b from before the pacer was set gives a small debt, not a huge one. */
    uint64_t grown_b = saturate_add(saturate_sub(live_b, s->live_b), span_b);
    uint64_t due = saturate_to_uint64(s->pages_per_byte * (double)grown_b);
    uint64_t done = saturate_add(saturate_sub(swept_pages, s->swept_pages), caller_pages);
    return saturate_sub(due, done);
}
