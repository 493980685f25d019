#include "heap/meta.h"

#include "heap/lock.h"
#include "heap/os.h"

#include <string.h>

#define CHUNK_B ((size_t)256 << 10)
/* A cache line: no two spans' bits share one, or their threads would wait for each other. */
#define MIN_SHIFT 6
#define MAX_SHIFT 16

struct free_block {
    struct free_block *next;
};

static struct {
    struct lock lock;
    struct free_block *free[MAX_SHIFT + 1];
    char *chunk, *chunk_end;
    size_t sys_b;
} meta SH_STATE = {.lock = {.rank = RANK_META}};

static unsigned
shift_of(size_t size)
{
    unsigned shift = MIN_SHIFT;
    while (((size_t)1 << shift) < size)
        shift++;
    sh_require(shift <= MAX_SHIFT, "bookkeeping block of %zu bytes", size);
    return shift;
}

static void *
bump(size_t size)
{
    size_t align = size_min(size, CACHE_LINE_B);
    meta.chunk = (char *)round_up((uintptr_t)meta.chunk, align);
    if (meta.chunk_end < meta.chunk || (size_t)(meta.chunk_end - meta.chunk) < size) {
        char *chunk = os_map(CHUNK_B);
        if (chunk == NULL)
            return NULL;
        meta.chunk = chunk;
        meta.chunk_end = chunk + CHUNK_B;
        meta.sys_b += CHUNK_B;
    }
    void *p = meta.chunk;
    meta.chunk += size;
    return p;
}

void *
meta_alloc(size_t size)
{
    unsigned shift = shift_of(size);
    lock_take(&meta.lock);
    struct free_block *block = meta.free[shift];
    if (block != NULL)
        meta.free[shift] = block->next;
    void *p = block != NULL ? block : bump((size_t)1 << shift);
    lock_drop(&meta.lock);
    if (block != NULL)
        memset(p, 0, size);
    return p;
}

void
meta_free(void *p, size_t size)
{
    unsigned shift = shift_of(size);
    struct free_block *block = p;
    lock_take(&meta.lock);
    block->next = meta.free[shift];
    meta.free[shift] = block;
    lock_drop(&meta.lock);
}

size_t
meta_sys_b(void)
{
    lock_take(&meta.lock);
    size_t sys_b = meta.sys_b;
    lock_drop(&meta.lock);
    return sys_b;
}

void
meta_lock_for_fork(void)
{
    lock_take(&meta.lock);
}

void
meta_unlock_for_fork(void)
{
    lock_drop(&meta.lock);
}
