/* What an operation allocates whose result escapes, and one whose result does not. */
#include "fidelity.h"

#include <spanheap/slice.h>

enum { OPERATIONS = 10000, WORDS = 3 };

static const struct sh_type word_type = {"word", 8, NULL, 0};
static const struct sh_type slice_type =
    SH_TYPE(struct sh_slice, SH_POINTER_AT(struct sh_slice, data));

static NOINLINE struct sh_slice *
by_address(void)
{
    struct sh_slice *s = sh_alloc_typed(&slice_type);
    *s = sh_slice_make(&word_type, WORDS, WORDS);
    return s;
}

struct words {
    uint64_t w[WORDS];
};

static NOINLINE struct words
by_value(void)
{
    return (struct words){{1, 2, 3}};
}

void
escape(void)
{
    volatile uint64_t sum = 0;
    sh_set_gogc(SH_GOGC_OFF);
    struct allocated start = allocated_now();
    for (int i = 0; i < OPERATIONS; i++)
        sum += by_address()->len;
    struct allocated end = allocated_now();
    record_number((double)(end.objects - start.objects) / OPERATIONS, "escape/address/objects");
    record_number((double)(end.bytes - start.bytes) / OPERATIONS, "escape/address/bytes");
    start = allocated_now();
    for (int i = 0; i < OPERATIONS; i++)
        sum += by_value().w[0];
    end = allocated_now();
    record_number((double)(end.objects - start.objects) / OPERATIONS, "escape/value/objects");
    record_number((double)(end.bytes - start.bytes) / OPERATIONS, "escape/value/bytes");
}
