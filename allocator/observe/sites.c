#include "observe/sites.h"

#include "heap/lock.h"
#include "heap/meta.h"
#include "heap/os.h"
#include "observe/observe.h"
#include "observe/profile.h"
#include "observe/sampling.h"
#include "observe/symbols.h"

#include <errno.h>
#include <string.h>

#define SITE_FRAMES 24       /* that are looked at, the library's own included */
#define SITE_LINES 5         /* that are kept as text */
#define SITE_TEXT_MAX_B 1024 /* of them together */
#define SITE_CHAINS 4096
#define SITES_MAX ((size_t)1 << 20)

struct site {
    struct site *next; /* of its chain */
    uint64_t hash;     /* of its return addresses: equal ones are taken for the same stack */
    uint32_t number;
    char text[];
};

static struct {
    struct lock lock;
    struct site *chains[SITE_CHAINS];
    _Atomic(struct site *) *all; /* by number; 0 is none */
    uint32_t n;
} sites SH_STATE = {.lock = {.rank = RANK_SITES}};

/* Naming a function may call malloc, and malloc may be this heap's. */
static _Thread_local bool inside_site __attribute__((tls_model("initial-exec")));

void
observe_sites_init(void)
{
    uintptr_t stack[1];
    symbols_stack(stack, 1, 0); /* the unwinder is loaded here and not inside an allocation */
    sites.all = os_map_sparse((SITES_MAX + 1) * sizeof *sites.all);
    sh_require(sites.all != NULL, "SH_DEBUG_HEAP: no memory for the stacks of allocations");
}

static uint64_t
site_hash(const uintptr_t *stack, size_t n)
{
    uint64_t hash = n;
    for (size_t i = 0; i < n; i++)
        hash = sampling_seed(hash ^ stack[i]);
    return hash;
}

static struct site *
find_site(uint64_t hash)
{
    lock_take(&sites.lock);
    struct site *site = sites.chains[hash % SITE_CHAINS];
    while (site != NULL && site->hash != hash)
        site = site->next;
    lock_drop(&sites.lock);
    return site;
}

/* Without the library's own frames. Returns its length. */
static size_t
write_text(char *text, const uintptr_t *stack, size_t n)
{
    size_t first = 0, used = 0;
    while (first < n && profile_is_own_frame(stack[first]))
        first++;
    for (size_t i = first; i < n && i < first + SITE_LINES; i++)
        used += symbols_format(text + used, SITE_TEXT_MAX_B - used, stack[i]);
    text[used] = '\0';
    return used;
}

/* Two threads may add the same stack: then it has two numbers. NULL: no memory, or too many. */
static struct site *
add_site(uint64_t hash, const uintptr_t *stack, size_t n)
{
    char text[SITE_TEXT_MAX_B];
    size_t length = write_text(text, stack, n);
    struct site *site = meta_alloc(sizeof *site + length + 1);
    if (site == NULL)
        return NULL;
    memcpy(site->text, text, length + 1);
    site->hash = hash;
    lock_take(&sites.lock);
    bool room = sites.n < SITES_MAX;
    if (room) {
        site->number = ++sites.n;
        site->next = sites.chains[hash % SITE_CHAINS];
        sites.chains[hash % SITE_CHAINS] = site;
        atomic_store(&sites.all[site->number], site);
    }
    lock_drop(&sites.lock);
    if (!room)
        meta_free(site, sizeof *site + length + 1);
    return room ? site : NULL;
}

__attribute__((noinline)) uint32_t
hook_site(void)
{
    uintptr_t stack[SITE_FRAMES];
    if (inside_site || sites.all == NULL)
        return 0;
    inside_site = true;
    int old_errno = errno;
    size_t n = symbols_stack(stack, SITE_FRAMES, 0);
    uint64_t hash = site_hash(stack, n);
    struct site *site = find_site(hash);
    if (site == NULL)
        site = add_site(hash, stack, n);
    errno = old_errno;
    inside_site = false;
    return site == NULL ? 0 : site->number;
}

const char *
hook_site_text(uint32_t number)
{
    const struct site *site =
        number == 0 || sites.all == NULL ? NULL : atomic_load(&sites.all[number]);
    return site == NULL ? NULL : site->text;
}

/* ---- fork ---- */

void
sites_lock_for_fork(void)
{
    lock_take(&sites.lock);
}

void
sites_unlock_for_fork(void)
{
    lock_drop(&sites.lock);
}
