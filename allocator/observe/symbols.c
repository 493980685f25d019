#define _GNU_SOURCE
/*
 * The symbol table of a file is read once, when an address in it is asked for: .symtab where there
 * is one, since .dynsym has no static functions. It stays mapped.
 */
#include "observe/symbols.h"

#include "heap/os.h"

#include <elf.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FRAMES_MAX 64
#define FRAME_LINE_MAX_B 512

struct function {
    uintptr_t start; /* as linked */
    size_t size;
    const char *name;
};

struct code_file {
    struct code_file *next;
    uintptr_t loaded; /* added to addresses as linked */
    char *path;
    struct function *functions; /* by start */
    size_t nfunctions;
};

static struct {
    pthread_mutex_t lock;
    struct code_file *files;
} symbols = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- One file ---- */

struct image {
    const char *bytes;
    size_t size;
};

static bool
map_file(const char *path, struct image *image)
{
    struct stat about;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool ok = fstat(fd, &about) == 0 && (size_t)about.st_size > sizeof(ElfW(Ehdr));
    if (ok) {
        image->size = (size_t)about.st_size;
        image->bytes = mmap(NULL, image->size, PROT_READ, MAP_PRIVATE, fd, 0);
        ok = image->bytes != MAP_FAILED;
    }
    close(fd);
    return ok;
}

static bool
is_inside(const struct image *image, uint64_t offset, uint64_t size)
{
    return offset <= image->size && size <= image->size - offset;
}

static const ElfW(Shdr) * find_section(const struct image *image, unsigned type)
{
    const ElfW(Ehdr) *head = (const void *)image->bytes;
    if (memcmp(head->e_ident, ELFMAG, SELFMAG) != 0 || head->e_shentsize != sizeof(ElfW(Shdr)) ||
        !is_inside(image, head->e_shoff, (uint64_t)head->e_shnum * sizeof(ElfW(Shdr))))
        return NULL;
    const ElfW(Shdr) *sections = (const void *)(image->bytes + head->e_shoff);
    for (unsigned i = 0; i < head->e_shnum; i++)
        if (sections[i].sh_type == type && sections[i].sh_link < head->e_shnum &&
            is_inside(image, sections[i].sh_offset, sections[i].sh_size) &&
            is_inside(image, sections[sections[i].sh_link].sh_offset,
                      sections[sections[i].sh_link].sh_size))
            return &sections[i];
    return NULL;
}

static int
by_start(const void *a, const void *b)
{
    const struct function *f = a, *g = b;
    return f->start < g->start ? -1 : f->start > g->start;
}

static void
read_functions(struct code_file *file, const struct image *image)
{
    const ElfW(Shdr) *table = find_section(image, SHT_SYMTAB);
    if (table == NULL)
        table = find_section(image, SHT_DYNSYM);
    if (table == NULL)
        return;
    const ElfW(Ehdr) *head = (const void *)image->bytes;
    const ElfW(Shdr) *strings =
        (const ElfW(Shdr) *)(const void *)(image->bytes + head->e_shoff) + table->sh_link;
    const ElfW(Sym) *all = (const void *)(image->bytes + table->sh_offset);
    size_t n = table->sh_size / sizeof *all;
    file->functions = malloc(n * sizeof *file->functions);
    for (size_t i = 0; file->functions != NULL && i < n; i++) {
        if (ELF64_ST_TYPE(all[i].st_info) != STT_FUNC || all[i].st_value == 0 ||
            all[i].st_name >= strings->sh_size)
            continue;
        file->functions[file->nfunctions++] = (struct function){
            all[i].st_value, all[i].st_size, image->bytes + strings->sh_offset + all[i].st_name};
    }
    if (file->nfunctions > 0)
        qsort(file->functions, file->nfunctions, sizeof *file->functions, by_start);
}

/* ---- All files ---- */

struct where {
    uintptr_t address, loaded;
    char path[4096];
    bool found;
};

static int
look_into(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    struct where *where = arg;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type != PT_LOAD ||
            where->address - (info->dlpi_addr + part->p_vaddr) >= part->p_memsz)
            continue;
        where->loaded = info->dlpi_addr;
        where->found = true;
        if (info->dlpi_name[0] != '\0') {
            snprintf(where->path, sizeof where->path, "%s", info->dlpi_name);
        } else {
            ssize_t n = readlink("/proc/self/exe", where->path, sizeof where->path - 1);
            where->path[n > 0 ? n : 0] = '\0';
        }
        return 1;
    }
    return 0;
}

static struct code_file *
code_file_locked(const struct where *where)
{
    for (struct code_file *f = symbols.files; f != NULL; f = f->next)
        if (f->loaded == where->loaded && strcmp(f->path, where->path) == 0)
            return f;
    struct code_file *f = calloc(1, sizeof *f);
    if (f == NULL || (f->path = strdup(where->path)) == NULL) {
        free(f);
        return NULL;
    }
    f->loaded = where->loaded;
    struct image image;
    if (map_file(f->path, &image))
        read_functions(f, &image);
    f->next = symbols.files;
    symbols.files = f;
    return f;
}

/* The last function that starts at or before the address. */
static const struct function *
function_at(const struct code_file *file, uintptr_t linked)
{
    size_t low = 0, high = file->nfunctions;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (file->functions[middle].start <= linked)
            low = middle + 1;
        else
            high = middle;
    }
    const struct function *f = low == 0 ? NULL : &file->functions[low - 1];
    bool inside = f != NULL && (f->size == 0 || linked - f->start < f->size);
    return inside ? f : NULL;
}

struct symbol
symbols_find(uintptr_t address)
{
    struct symbol s = {NULL, 0, NULL, 0};
    struct where where = {.address = address};
    /* The loader's lock is taken inside of ours: so no child of fork finds it held. */
    pthread_mutex_lock(&symbols.lock);
    dl_iterate_phdr(look_into, &where);
    const struct code_file *file = where.found ? code_file_locked(&where) : NULL;
    if (file != NULL) {
        const struct function *f = function_at(file, address - file->loaded);
        s.file = file->path;
        s.offset = address - file->loaded - (f == NULL ? 0 : f->start);
        s.function = f == NULL ? NULL : f->name;
        s.start = f == NULL ? 0 : f->start + file->loaded;
    }
    pthread_mutex_unlock(&symbols.lock);
    return s;
}

void
symbols_lock_for_fork(void)
{
    pthread_mutex_lock(&symbols.lock);
}

void
symbols_unlock_for_fork(void)
{
    pthread_mutex_unlock(&symbols.lock);
}

/* ---- Stacks ---- */

/* Our own frame is the first; under a sanitizer backtrace() has one too. */
__attribute__((noinline)) size_t
symbols_stack(uintptr_t *addresses, size_t max, size_t skip)
{
    void *frames[FRAMES_MAX + 2];
    size_t n = (size_t)backtrace(frames, FRAMES_MAX + 2), first = 0, got = 0;
    while (first < n && frames[first] != __builtin_return_address(0))
        first++;
    if (first == n)
        first = 1;
    for (size_t i = first + skip; i < n && got < max; i++)
        addresses[got++] = (uintptr_t)frames[i];
    return got;
}

static const char *
base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

size_t
symbols_format(char *line, size_t size, uintptr_t return_address)
{
    /* The call lies before the address that it returns to. */
    struct symbol s = symbols_find(return_address - 1);
    int n;
    if (s.function != NULL)
        n = snprintf(line, size, "    %s+0x%zx (%s)\n", s.function, s.offset + 1,
                     base_name(s.file));
    else if (s.file != NULL)
        n = snprintf(line, size, "    %s+0x%zx\n", base_name(s.file), s.offset + 1);
    else
        n = snprintf(line, size, "    0x%zx\n", (size_t)return_address);
    return size_min((size_t)n, size - 1);
}

__attribute__((noinline)) void
symbols_print_stack(size_t skip)
{
    uintptr_t addresses[FRAMES_MAX];
    char line[FRAME_LINE_MAX_B];
    size_t n = symbols_stack(addresses, FRAMES_MAX, skip + 1);
    int head = snprintf(line, sizeof line, "\nthread %d [running]:\n", (int)gettid());
    os_write_error(line, (size_t)head);
    for (size_t i = 0; i < n; i++)
        os_write_error(line, symbols_format(line, sizeof line, addresses[i]));
}
