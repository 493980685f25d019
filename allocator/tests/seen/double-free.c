/* An object is freed twice. */
#include <spanheap.h>

int
main(void)
{
    char *p = sh_alloc(100);
    p[0] = 1;
    sh_free(p);
#ifndef FIXED
    sh_free(p); /* here */
#endif
    return 0;
}
