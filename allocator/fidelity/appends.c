/* Capacities by append, what it allocates, and bulk appends. */
#include "fidelity.h"

#include <spanheap/slice.h>

enum { LENGTH = 1000000 };

static const size_t bulk[][2] = {{0, 5},     {0, 33},   {1, 1000},    {4, 5},
                                 {4, 4},     {255, 1},  {256, 1},     {256, 257},
                                 {512, 512}, {1000, 1}, {1000, 3000}, {7, 100000}};

static void
one_by_one(const struct sh_type *type)
{
    struct text text = {0};
    struct sh_slice s = {NULL, 0, 0};
    struct allocated start = allocated_now();
    size_t cap = 0, grown = 0;
    for (size_t i = 0; i < LENGTH; i++) {
        s = sh_slice_append(type, s, NULL, 1);
        if (s.cap == cap)
            continue;
        cap = s.cap;
        grown++;
        text_add(&text, "%zu ", cap);
    }
    struct allocated end = allocated_now();
    record_text(text.data, "append/caps/%zu", type->size);
    record_number((double)grown, "append/reallocations/%zu", type->size);
    record_number((double)(end.bytes - start.bytes), "append/bytes/%zu", type->size);
}

static void
in_bulk(const struct sh_type *type)
{
    struct text text = {0};
    for (size_t i = 0; i < COUNT_OF(bulk); i++) {
        struct sh_slice s = sh_slice_make(type, bulk[i][0], bulk[i][0]);
        text_add(&text, "%zu ", sh_slice_append(type, s, NULL, bulk[i][1]).cap);
    }
    record_text(text.data, "append/bulk/%zu", type->size);
}

void
appends(void)
{
    static const size_t element_b[] = {1, 3, 5, 8, 12, 16, 24, 40};
    sh_set_gogc(SH_GOGC_OFF);
    for (size_t i = 0; i < COUNT_OF(element_b); i++) {
        struct sh_type type = {"element", element_b[i], NULL, 0};
        one_by_one(&type);
        in_bulk(&type);
        sh_collect();
    }
}
