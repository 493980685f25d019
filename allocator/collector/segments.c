#define _GNU_SOURCE
#include "collector/segments.h"

#include "collector/client.h"
#include "heap/os.h"

#include <link.h>

#define MAX_RANGES 8192
#define MAX_TLS 4096

#define MAX_EXCLUDED 512

struct segments segments SH_STATE;

static struct range excluded[MAX_EXCLUDED] SH_STATE;
static size_t nexcluded SH_STATE;

/* The library's own data, see SH_STATE. The linker defines the names. */
extern char __start_spanheap_state[] __attribute__((visibility("hidden")));
extern char __stop_spanheap_state[] __attribute__((visibility("hidden")));

static void
add_range(uintptr_t start, uintptr_t end)
{
    if (start >= end)
        return;
    sh_require(segments.ndata < MAX_RANGES, "more than %d data segments", MAX_RANGES);
    segments.data[segments.ndata++] = (struct range){start, end};
}

/* Adds [start, end) without the cut. */
static void
add_without(uintptr_t start, uintptr_t end, struct range cut)
{
    if (cut.end <= start || cut.start >= end) {
        add_range(start, end);
        return;
    }
    add_range(start, cut.start);
    add_range(cut.end, end);
}

static bool
client_scans(const struct dl_phdr_info *info, uintptr_t start, uintptr_t end)
{
    return client == NULL || client->scans_module(info->dlpi_name, start, end - start);
}

static int
note_module(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)arg;
    (void)size;
    struct range own = {(uintptr_t)__start_spanheap_state, (uintptr_t)__stop_spanheap_state};
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + header->p_vaddr, end = start + header->p_memsz;
        if (header->p_type == PT_LOAD && (header->p_flags & PF_W) != 0 &&
            client_scans(info, start, end))
            add_without(start, end, own);
        if (header->p_type == PT_LOAD && (header->p_flags & (PF_X | PF_R)) == (PF_X | PF_R) &&
            segments.ncode < MAX_RANGES)
            segments.code[segments.ncode++] = (struct range){start, end};
        if (header->p_type == PT_TLS && info->dlpi_tls_modid != 0 && segments.ntls < MAX_TLS)
            segments.tls[segments.ntls++] =
                (struct tls_module){info->dlpi_tls_modid, header->p_memsz};
    }
    return 0;
}

/* Now, and not in the first collection: that may come because there is no memory. */
void
segments_init(void)
{
    segments.data = os_map_sparse(MAX_RANGES * sizeof *segments.data);
    segments.tls = os_map_sparse(MAX_TLS * sizeof *segments.tls);
    segments.code = os_map_sparse(MAX_RANGES * sizeof *segments.code);
    sh_require(segments.data != NULL && segments.tls != NULL && segments.code != NULL,
               "no memory for the table of data segments");
}

/* Takes what is excluded out of the ranges that are in the table. */
static void
cut_excluded(void)
{
    for (size_t i = 0; i < nexcluded; i++) {
        size_t n = segments.ndata;
        for (size_t j = 0; j < n; j++) {
            struct range r = segments.data[j];
            segments.data[j] = (struct range){0, 0};
            add_without(r.start, r.end, excluded[i]);
        }
        size_t kept = 0;
        for (size_t j = 0; j < segments.ndata; j++)
            if (segments.data[j].end != 0)
                segments.data[kept++] = segments.data[j];
        segments.ndata = kept;
    }
}

static void
read_table(void)
{
    segments.ndata = segments.ntls = segments.ncode = 0;
    dl_iterate_phdr(note_module, NULL);
    cut_excluded();
}

void
segments_forget(void)
{
    segments.adds = ~0ull;
}

bool
segments_exclude(uintptr_t start, uintptr_t end)
{
    if (nexcluded == MAX_EXCLUDED)
        return false;
    excluded[nexcluded++] = (struct range){start, end};
    segments_forget();
    return true;
}

void
segments_exclude_nothing(void)
{
    nexcluded = 0;
    segments_forget();
}

struct locked_work {
    void (*work)(void *arg);
    void *arg;
};

/* Called for the first module; the lock is recursive, so the table can be read from in here. */
static int
run_locked(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    struct locked_work *w = arg;
    if (segments.ndata == 0 || info->dlpi_adds != segments.adds ||
        info->dlpi_subs != segments.subs) {
        read_table();
        segments.adds = info->dlpi_adds;
        segments.subs = info->dlpi_subs;
    }
    w->work(w->arg);
    return 1;
}

void
segments_with_loader_locked(void (*work)(void *arg), void *arg)
{
    struct locked_work w = {work, arg};
    dl_iterate_phdr(run_locked, &w);
}

/* ---- Return addresses ---- */

#if defined(__x86_64__)
#define LONGEST_CALL_B 7

/* Bytes of an indirect call (FF /2) by what follows its opcode, or 0: it is none. */
static unsigned
indirect_call_b(const uint8_t *code)
{
    unsigned mode = code[1] >> 6, operand = code[1] & 7;
    if (code[0] != 0xff || (code[1] >> 3 & 7) != 2)
        return 0;
    if (mode == 3)
        return 2;
    unsigned sib_b = operand == 4;
    if (mode == 0)
        return 2 + sib_b + (operand == 5 || (sib_b && (code[2] & 7) == 5) ? 4 : 0);
    return 2 + sib_b + (mode == 1 ? 1 : 4);
}

static bool
follows_call(const uint8_t *code)
{
    if (code[-5] == 0xe8)
        return true;
    for (unsigned n = 2; n <= LONGEST_CALL_B; n++)
        if (indirect_call_b(code - n) == n)
            return true;
    return false;
}
#else
#define LONGEST_CALL_B 4

static bool
follows_call(const uint8_t *code)
{
    uint32_t call = *(const uint32_t *)(const void *)(code - 4);
    bool is_bl = (call & 0xfc000000) == 0x94000000, is_blr = (call & 0xfffffc1f) == 0xd63f0000;
    return (uintptr_t)code % 4 == 0 && (is_bl || is_blr);
}
#endif

__attribute__((no_sanitize_address)) bool
segments_is_return_address(uintptr_t address)
{
    for (size_t i = 0; i < segments.ncode; i++)
        if (address >= segments.code[i].start + LONGEST_CALL_B && address < segments.code[i].end)
            return follows_call((const uint8_t *)address);
    return false;
}
