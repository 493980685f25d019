/* The capacity that append computes for every request, what an object of that size gets, and how
   tiny objects are packed. */
#include "fidelity.h"

#include <spanheap/slice.h>
#include <spanheap/string.h>

enum {
    LARGEST = 40000,
    TINY_OBJECTS = 15840,
    /* full blocks of 1, 2, 3, 4, 5, 8 or 16 */ TRIES = 10
};

static void *volatile sink;

/* What a request is given, each by an allocation of its own. */
static const char *
sizes_of_objects(void)
{
    static struct text text;
    size_t before = 0;
    for (size_t n = 1; n <= LARGEST; n++) {
        void *object = sh_alloc(n);
        size_t usable = sh_usable_size(object);
        if (usable != before)
            text_add(&text, "%zu:%zu ", n, usable);
        before = usable;
        sh_free(object);
    }
    return text.data;
}

void
sizes(void)
{
    struct text text = {0};
    size_t before = 0;
    for (size_t n = 1; n <= LARGEST; n++) {
        size_t cap = sh_slice_append(&sh_byte_type, (struct sh_slice){NULL, 0, 0}, NULL, n).cap;
        if (cap != before)
            text_add(&text, "%zu:%zu ", n, cap);
        before = cap;
    }
    record_text(text.data, "size/first:capacity");
    record_text(sizes_of_objects(), "size/first:object");
    sh_set_gogc(SH_GOGC_OFF);
    for (size_t n = 1; n < 16; n++) {
        uint64_t least = UINT64_MAX; /* a block that is there already may hold some */
        for (int try = 0; try < TRIES; try++) {
            struct allocated start = allocated_now();
            for (int i = 0; i < TINY_OBJECTS; i++)
                sink = sh_alloc_noscan(n);
            uint64_t bytes = allocated_now().bytes - start.bytes;
            least = bytes < least ? bytes : least;
        }
        record_number((double)least, "tiny/%zu", n);
    }
}
