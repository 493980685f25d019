#include "collector/client.h"

#include "collector/background.h"
#include "collector/markers.h"
#include "collector/roots.h"

/* Marked by the one thread that asks before others are woken for it. */
#define ALONE_B ((uint64_t)256 << 10)

const struct client *client SH_STATE;

static struct workbuf *words SH_STATE, *contents SH_STATE;

void
client_set(const struct client *c)
{
    client = c;
}

void
client_add_word(uintptr_t word)
{
    if (word - pageheap.base < atomic_load(&pageheap.used_b))
        workbuf_append(&words, WORK_WORDS, word);
}

size_t
client_add_range(uintptr_t start, uintptr_t end)
{
    return roots_read_range(&words, WORK_WORDS, start, end);
}

void
client_add_contents(uintptr_t object)
{
    workbuf_append(&contents, WORK_SCAN, object);
}

void
client_close_roots(void)
{
    workbuf_close(&words);
    workbuf_close(&contents);
}

void
client_mark(void)
{
    client_close_roots();
    struct marker m;
    mark_init(&m);
    bool done = mark_drain(&m, ALONE_B);
    mark_flush(&m);
    markers_add(&m);
    if (done)
        return;
    markers_reopen();
    background_wake();
    markers_finish();
}

bool
client_is_live(uintptr_t address)
{
    const struct span *s = pageheap_span_of(address);
    if (s == NULL)
        return false;
    uint32_t index = span_index(s, address);
    return span_is_allocated(s, index) && span_is_marked(s, index);
}
