/* Fixed: the compiler is asked where the field is, and the build checks its alignment. */
#include "pitfall.h"

enum {
    LENGTH = 137,
};

struct message {
    char kind;
    int64_t length; /* at offset 8, not 1 */
};

_Static_assert(offsetof(struct message, length) % _Alignof(int64_t) == 0,
               "length can be read through an int64_t pointer");

static PITFALL_NOINLINE int64_t
read_length(const struct message *m)
{
    return *(const int64_t *)((const char *)m + offsetof(struct message, length));
}

static uint64_t
run(uint64_t n)
{
    struct message m;
    int64_t length = 0;
    uint64_t work = 0;

    memset(&m, 0, sizeof m);
    m.kind = 1;
    m.length = LENGTH;
    for (uint64_t i = 0; i < n; i++) {
        pitfall_keep(&m);
        length = read_length(&m);
        pitfall_keep(&length);
        work++;
    }
    pitfall_saw((double)length, LENGTH);
    return work;
}

const struct pitfall PITFALL = {
    .id = "unsafe-cast",
    .variant = PITFALL_VARIANT,
    .work_unit = "reads",
    .default_n = 1000000,
    .op = PITFALL_OP_IS_ONE_OF_N,
    .run = run,
};
