/* One byte too many. */
#include <spanheap.h>

#include <string.h>

int
main(void)
{
    char *p = sh_alloc_noscan(100);
#ifdef FIXED
    memset(p, 1, 100);
#else
    memset(p, 1, 101); /* here */
#endif
    SH_KEEP_ALIVE(p);
    sh_free(p);
    return 0;
}
