#include "heap/pages.h"

#include "heap/os.h"

#define RUN_BITS 21
#define RUN_MAX ((uint64_t)1 << RUN_BITS) /* pages under one root entry */
#define ALL_FREE_ROOT ((uint64_t)1 << 63) /* a root entry with all of its 2^21 pages free */

struct runs {
    size_t start, max, end;
};

static unsigned
level_shift(unsigned level)
{
    return 9 + FANOUT_SHIFT * (LEVELS - 1 - level);
}

static uint64_t
pack(struct runs r)
{
    if (r.max == RUN_MAX)
        return ALL_FREE_ROOT;
    return r.start | (uint64_t)r.max << RUN_BITS | (uint64_t)r.end << (2 * RUN_BITS);
}

static struct runs
unpack(uint64_t summary)
{
    if (summary & ALL_FREE_ROOT)
        return (struct runs){RUN_MAX, RUN_MAX, RUN_MAX};
    uint64_t mask = RUN_MAX - 1;
    return (struct runs){summary & mask, summary >> RUN_BITS & mask,
                         summary >> (2 * RUN_BITS) & mask};
}

static void
unmap(void *table, size_t size)
{
    if (table != NULL)
        os_unreserve(table, round_up(size, PAGE_B));
}

void
pages_discard(struct pages *p)
{
    unmap(p->free, p->nchunks * CHUNK_PAGES / 8);
    unmap(p->scavenged, p->nchunks * CHUNK_PAGES / 8);
    for (unsigned level = 0; level < LEVELS; level++)
        unmap(p->summary[level], p->nodes[level] * sizeof(uint64_t));
}

bool
pages_init(struct pages *p, size_t npages)
{
    *p = (struct pages){.nchunks = npages / CHUNK_PAGES, .hint = npages};
    p->free = os_map_sparse(round_up(npages / 8, PAGE_B));
    p->scavenged = os_map_sparse(round_up(npages / 8, PAGE_B));
    if (p->free == NULL || p->scavenged == NULL)
        return false;
    size_t nodes = p->nchunks;
    for (unsigned level = LEVELS; level-- > 0;) {
        p->nodes[level] = nodes;
        p->summary[level] = os_map_sparse(round_up(nodes * sizeof(uint64_t), PAGE_B));
        if (p->summary[level] == NULL)
            return false;
        nodes = (nodes + (1 << FANOUT_SHIFT) - 1) >> FANOUT_SHIFT;
    }
    return true;
}

/* The run of equal bits that begins at bit `from` of a chunk; *set says which kind it is. */
static size_t
run_length(const uint64_t *words, size_t from, bool *set)
{
    *set = words[from / 64] >> (from % 64) & 1;
    size_t at = from;
    while (at < CHUNK_PAGES) {
        uint64_t w = *set ? ~words[at / 64] : words[at / 64];
        w >>= at % 64;
        if (w != 0)
            return at + (size_t)__builtin_ctzll(w) - from;
        at = (at / 64 + 1) * 64;
    }
    return CHUNK_PAGES - from;
}

/* The longest run of set bits in a word, or at_least if none is longer. Each step of the loop takes
   one bit off every run, all runs at once. */
static size_t
longest_run(uint64_t w, size_t at_least)
{
    size_t n = 0;
    if (count_bits(w) <= at_least)
        return at_least;
    for (; w != 0 && n < at_least; n++)
        w &= w >> 1;
    for (; w != 0; n++)
        w &= w >> 1;
    return n > at_least ? n : at_least;
}

static struct runs
chunk_runs(const uint64_t *words)
{
    struct runs r = {0, 0, 0};
    bool from_start = true;
    for (size_t i = 0; i < CHUNK_WORDS; i++) {
        uint64_t w = words[i];
        bool full = w == ~UINT64_C(0);
        r.end += full ? 64 : (size_t)__builtin_ctzll(~w);
        if (from_start)
            r.start = r.end;
        from_start = from_start && full;
        if (r.end > r.max)
            r.max = r.end;
        if (full)
            continue;
        r.max = longest_run(w, r.max);
        r.end = w >> 63 == 0 ? 0 : (size_t)__builtin_clzll(~w);
    }
    return r;
}

static struct runs
merge_children(const struct pages *p, unsigned level, size_t node)
{
    size_t child_pages = (size_t)1 << level_shift(level + 1);
    size_t first = node << FANOUT_SHIFT;
    size_t last = size_min(first + (1 << FANOUT_SHIFT), p->nodes[level + 1]);
    struct runs r = {0, 0, 0};
    bool from_start = true;
    size_t run = 0;
    for (size_t child = first; child < last; child++) {
        struct runs c = unpack(p->summary[level + 1][child]);
        if (from_start)
            r.start += c.start;
        from_start = from_start && c.start == child_pages;
        if (run + c.start > r.max)
            r.max = run + c.start;
        if (c.max > r.max)
            r.max = c.max;
        run = c.start == child_pages ? run + child_pages : c.end;
    }
    r.end = last - first == 1 << FANOUT_SHIFT ? run : 0; /* a cut-off node has no end to join */
    return r;
}

static bool
set_summary(struct pages *p, unsigned level, size_t node, struct runs runs)
{
    uint64_t summary = pack(runs);
    bool changed = p->summary[level][node] != summary;
    p->summary[level][node] = summary;
    return changed;
}

static void
update_summaries(struct pages *p, size_t first_page, size_t n)
{
    size_t first = first_page / CHUNK_PAGES, last = (first_page + n - 1) / CHUNK_PAGES;
    bool changed = false;
    for (size_t chunk = first; chunk <= last; chunk++)
        changed |= set_summary(p, LEVELS - 1, chunk, chunk_runs(p->free + chunk * CHUNK_WORDS));
    for (unsigned level = LEVELS - 1; changed && level-- > 0;) {
        first >>= FANOUT_SHIFT;
        last >>= FANOUT_SHIFT;
        changed = false;
        for (size_t node = first; node <= last; node++)
            changed |= set_summary(p, level, node, merge_children(p, level, node));
    }
}

/* The mask of the bits of word w that fall inside [first, first + n). */
static uint64_t
range_mask(size_t w, size_t first, size_t n)
{
    size_t low = w * 64 > first ? w * 64 : first;
    size_t high = size_min((w + 1) * 64, first + n);
    uint64_t mask = high - low == 64 ? ~UINT64_C(0) : (UINT64_C(1) << (high - low)) - 1;
    return mask << (low % 64);
}

static void
set_range(uint64_t *bits, size_t first, size_t n)
{
    for (size_t w = first / 64; w * 64 < first + n; w++)
        bits[w] |= range_mask(w, first, n);
}

/* Clears a range and counts the bits that were set. */
static size_t
clear_range(uint64_t *bits, size_t first, size_t n)
{
    size_t were_set = 0;
    for (size_t w = first / 64; w * 64 < first + n; w++) {
        uint64_t mask = range_mask(w, first, n);
        were_set += count_bits(bits[w] & mask);
        bits[w] &= ~mask;
    }
    return were_set;
}

void
pages_add(struct pages *p, size_t first, size_t n)
{
    set_range(p->scavenged, first, n);
    p->scavenged_pages += n;
    pages_free(p, first, n);
}

void
pages_free(struct pages *p, size_t first, size_t n)
{
    set_range(p->free, first, n);
    p->free_pages += n;
    if (first < p->hint)
        p->hint = first;
    update_summaries(p, first, n);
}

static size_t
find_in_chunk(const struct pages *p, size_t chunk, size_t n)
{
    const uint64_t *words = p->free + chunk * CHUNK_WORDS;
    bool set;
    for (size_t at = 0, run; at < CHUNK_PAGES; at += run) {
        run = run_length(words, at, &set);
        if (set && run >= n)
            return chunk * CHUNK_PAGES + at;
    }
    sh_fatal("page allocator: a summary promises %zu pages that are not there", n);
}

/* First fit among `count` nodes of a level from node `first` on. False: no run of n pages. */
static bool
find_run(const struct pages *p, unsigned level, size_t first, size_t count, size_t n, size_t *found)
{
    unsigned shift = level_shift(level);
    size_t run = 0; /* free pages just before the node */
    size_t last = size_min(first + count, p->nodes[level]);
    for (size_t node = first; node < last; node++) {
        struct runs r = unpack(p->summary[level][node]);
        size_t base = node << shift;
        if (r.start > 0 && run + r.start >= n) {
            *found = base - run;
            return true;
        }
        if (r.max >= n && level == LEVELS - 1) {
            *found = find_in_chunk(p, node, n);
            return true;
        }
        if (r.max >= n)
            return find_run(p, level + 1, node << FANOUT_SHIFT, 1 << FANOUT_SHIFT, n, found);
        run = r.start == (size_t)1 << shift ? run + r.start : r.end;
    }
    return false;
}

size_t
pages_take(struct pages *p, size_t first, size_t n)
{
    size_t had = clear_range(p->free, first, n);
    sh_invariant(had == n);
    (void)had;
    size_t fresh = clear_range(p->scavenged, first, n);
    p->free_pages -= n;
    p->scavenged_pages -= fresh;
    if (first == p->hint)
        p->hint = first + n;
    update_summaries(p, first, n);
    return fresh;
}

bool
pages_alloc(struct pages *p, size_t n, size_t *first, size_t *fresh)
{
    size_t pieces = 1;
    return pages_alloc_pieces(p, n, &pieces, first, fresh);
}

size_t
pages_free_from(const struct pages *p, size_t first, size_t most)
{
    size_t n = 0, end = p->nchunks * CHUNK_PAGES;
    while (n < most && first + n < end && (p->free[(first + n) / 64] >> (first + n) % 64 & 1) != 0)
        n++;
    return n;
}

bool
pages_alloc_pieces(struct pages *p, size_t n, size_t *pieces, size_t *first, size_t *fresh)
{
    size_t root = p->hint >> level_shift(0);
    if (n == 0 || n > p->free_pages || !find_run(p, 0, root, p->nodes[0], n, first))
        return false;
    if (*pieces > 1)
        *pieces = pages_free_from(p, *first, *pieces * n) / n;
    *fresh = pages_take(p, *first, *pieces * n);
    return true;
}

bool
pages_find_unscavenged(const struct pages *p, size_t below, size_t max, size_t *first, size_t *n)
{
    for (size_t w = (below + 63) / 64; w-- > p->hint / 64;) {
        uint64_t bits = p->free[w] & ~p->scavenged[w];
        if ((w + 1) * 64 > below && below % 64 != 0)
            bits &= (UINT64_C(1) << (below % 64)) - 1;
        if (bits == 0)
            continue;
        size_t high = w * 64 + 63 - (size_t)__builtin_clzll(bits), low = high;
        while (low > w * 64 && high - low + 1 < max && (bits >> (low - 1) % 64 & 1) != 0)
            low--;
        *first = low;
        *n = high - low + 1;
        return true;
    }
    return false;
}

size_t
pages_free_before(const struct pages *p, size_t end)
{
    size_t n = 0;
    while (n < end && (p->free[(end - n - 1) / 64] >> ((end - n - 1) % 64) & 1) != 0)
        n++;
    return n;
}
