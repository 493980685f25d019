/* A pointer into an array is kept while the array grows, and moves. Fixed: the index is kept. */
#include <spanheap.h>

struct list {
    long *numbers;
    size_t n, cap;
};

static __attribute__((noinline)) void
append(struct list *l, long number)
{
    if (l->n == l->cap) {
        l->cap = l->cap == 0 ? 8 : 2 * l->cap;
        l->numbers = sh_realloc(l->numbers, l->cap * sizeof *l->numbers);
    }
    l->numbers[l->n++] = number;
}

int
main(void)
{
    struct list l = {NULL, 0, 0};
    append(&l, 1);
    volatile long *first = &l.numbers[0];
    for (long i = 2; i < 100; i++)
        append(&l, i);
#ifdef FIXED
    first = &l.numbers[0];
#endif
    *first = 7; /* here */
    return l.numbers[99 - 1] != 99;
}
