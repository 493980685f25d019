/* An object is used after sh_free(). */
#include <spanheap.h>

int
main(void)
{
    volatile char *p = sh_alloc(100);
    p[0] = 1;
#ifdef FIXED
    p[42] = 2;
#endif
    sh_free((void *)p);
#ifndef FIXED
    p[42] = 2; /* here */
#endif
    return 0;
}
