/*
 * Random lifetimes on malloc, for `make soak` with libspanheap-malloc.so preloaded: small and large
 * objects by every function of the family, most of them freed by another thread than the one that
 * made them, which may have ended. Options: see soak.h.
 */
#include "soak.h"

enum {
    SMALL = 60000,      /* objects of up to SMALL_MAX_B: some 30 MB */
    SMALL_MAX_B = 1024, /* bytes */
    LARGE = 32,         /* objects, each in steps of STEP_B larger than the one before: 17 MB */
    STEP_B = 32768,     /* bytes */
    LARGE_EVERY = 2000, /* steps of a thread between two large objects */
    OWN = 200,          /* objects that a thread keeps to itself, and hands over when it ends */
    STEPS = 200000,     /* of a thread */
    LOOKED_AT_B = 4096, /* one byte of so many of a large object is written and looked at */
};

struct object {
    size_t size;
    uint64_t seed;
};
static _Atomic(struct object *) small[SMALL], large[LARGE];

static void
fill(struct object *o, size_t size, uint64_t seed)
{
    unsigned char *bytes = (unsigned char *)o;
    size_t stride = size > SMALL_MAX_B ? LOOKED_AT_B : 1;
    o->size = size;
    o->seed = seed;
    for (size_t i = sizeof *o; i < size; i += stride)
        bytes[i] = (unsigned char)(seed + i);
}

/* Whether it is what it was, up to a size. */
static void
check(const struct object *o, size_t size)
{
    const unsigned char *bytes = (const unsigned char *)o;
    size_t stride = o->size > SMALL_MAX_B ? LOOKED_AT_B : 1;
    for (size_t i = sizeof *o; i < size; i += stride)
        need(bytes[i] == (unsigned char)(o->seed + i), "an object keeps its contents");
}

static struct object *
make(struct soak_rng *r, size_t size)
{
    struct object *o = NULL;
    switch (soak_below(r, 8)) {
    case 0:
        o = calloc(1, size);
        need(o != NULL && o->seed == 0, "calloc gives zeros");
        break;
    case 1:
        need(posix_memalign((void **)&o, (size_t)16 << soak_below(r, 7), size) == 0,
             "an aligned object");
        break;
    default:
        o = malloc(size);
    }
    need(o != NULL, "there is memory");
    fill(o, size, soak_next(r));
    return o;
}

static void
end(struct soak_rng *r, struct object *o)
{
    if (o == NULL)
        return;
    check(o, o->size);
    if (!soak_leaks(r))
        free(o);
}

static struct object *
resize(struct soak_rng *r, struct object *o, size_t size)
{
    size_t kept = o->size < size ? o->size : size;
    o = realloc(o, size);
    need(o != NULL, "there is memory for another size");
    check(o, kept);
    fill(o, size, soak_next(r));
    return o;
}

static size_t
small_size(struct soak_rng *r)
{
    return sizeof(struct object) + soak_below(r, SMALL_MAX_B - sizeof(struct object) + 1);
}

/* The size of a place is nearly the same each time: so what lives is, too. */
static size_t
large_size(struct soak_rng *r, size_t place)
{
    return (place + 1) * STEP_B + soak_below(r, STEP_B);
}

/* A new object, or the old one with another size, in a place that all threads share. */
static void
renew(struct soak_rng *r, _Atomic(struct object *) *place, size_t size)
{
    struct object *o = soak_below(r, 10) == 0 ? atomic_exchange(place, NULL) : NULL;
    o = o == NULL ? make(r, size) : resize(r, o, size);
    end(r, atomic_exchange(place, o));
}

static void *
work(void *number)
{
    struct soak_rng r = {(uintptr_t)number};
    struct object *own[OWN] = {NULL};
    for (size_t step = 0; step < STEPS; step++) {
        struct object **mine = &own[soak_below(&r, OWN)];
        if (step % LARGE_EVERY == 0) {
            size_t place = soak_below(&r, LARGE);
            renew(&r, &large[place], large_size(&r, place));
        } else if (step % 4 == 0) {
            end(&r, *mine);
            *mine = make(&r, small_size(&r));
        } else {
            renew(&r, &small[soak_below(&r, SMALL)], small_size(&r));
        }
    }
    for (size_t i = 0; i < OWN; i++)
        if (own[i] != NULL)
            end(&r, atomic_exchange(&small[soak_below(&r, SMALL)], own[i]));
    return NULL;
}

int
main(int argc, char **argv)
{
    struct soak_rng r = {1};
    soak_read_options(argc, argv);
    for (size_t i = 0; i < SMALL; i++) /* from the first moment on all of them are there */
        renew(&r, &small[i], small_size(&r));
    for (size_t i = 0; i < LARGE; i++)
        renew(&r, &large[i], large_size(&r, i));
    soak_run(work);
    return 0;
}
