/* The only pointer to an object is hidden from the collector. Fixed: it is kept in sight. */
#include <spanheap.h>

static uintptr_t hidden;
#ifdef FIXED
static void *seen;
#endif

static __attribute__((noinline)) void
hide(void)
{
    void *spacer = sh_alloc(300), *p = sh_alloc(300);
    hidden = ~(uintptr_t)p;
#ifdef FIXED
    seen = p;
#endif
    SH_KEEP_ALIVE(spacer);
}

static __attribute__((noinline)) void
overwrite_stack(void)
{
    volatile char used[8192];
    for (unsigned i = 0; i < sizeof used; i++)
        used[i] = 0;
}

int
main(void)
{
    hide();
    overwrite_stack();
    sh_collect();
    volatile char *p = (volatile char *)~hidden;
    p[42] = 2; /* here */
#ifdef FIXED
    SH_KEEP_ALIVE(seen);
#endif
    return 0;
}
