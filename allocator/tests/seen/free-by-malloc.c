/* An object of this heap is given to free(). */
#include <spanheap.h>

#include <stdlib.h>

int
main(void)
{
    char *p = sh_alloc(100);
    p[0] = 1;
#ifdef FIXED
    sh_free(p);
#else
    free(p); /* here */
#endif
    return 0;
}
