/* To be preloaded: call number FAIL_AT of mmap and mprotect, those of the C library itself left
   out, finds no memory. Says at the end how many there were. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static unsigned long calls;

/* Perhaps before the C library has begun, for a malloc: nothing is called that may need it. */
static int
fails_now(void)
{
    unsigned long n = __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED), at = 0;
    for (const char *c = getenv("FAIL_AT"); c != NULL && *c != '\0'; c++)
        at = at * 10 + (unsigned long)(*c - '0');
    if (n != at)
        return 0;
    errno = ENOMEM;
    return 1;
}

void *
mmap(void *start, size_t size, int protection, int flags, int file, off_t offset)
{
    if (fails_now())
        return MAP_FAILED;
    return (void *)syscall(SYS_mmap, start, size, protection, flags, file, offset);
}

int
mprotect(void *start, size_t size, int protection)
{
    return fails_now() ? -1 : (int)syscall(SYS_mprotect, start, size, protection);
}

__attribute__((destructor)) static void
tell(void)
{
    fprintf(stderr, "calls %lu\n", calls);
}
