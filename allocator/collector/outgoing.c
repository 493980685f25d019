#include "collector/outgoing.h"

__attribute__((noinline)) struct workbuf *
outgoing_open(struct marker *m, uint32_t region)
{
    if ((m->out_set >> region & 1) != 0)
        regions_send(region, m->out[region]);
    struct workbuf *b = m->spare;
    m->spare = NULL;
    if (b == NULL)
        b = workbuf_take_empty(WORK_FOUND);
    b->kind = WORK_FOUND;
    m->out[region] = b;
    m->out_set |= UINT64_C(1) << region;
    return b;
}

void
outgoing_send_all(struct marker *m)
{
    for (; m->out_set != 0; m->out_set &= m->out_set - 1) {
        uint32_t region = (uint32_t)__builtin_ctzll(m->out_set);
        regions_send(region, m->out[region]);
    }
}
