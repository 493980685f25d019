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

struct named {
    uintptr_t start; /* as linked; of a thread-local variable, from the start of its block */
    size_t size;
    const char *name;
};

enum named_kind { NAMED_FUNCTION, NAMED_VARIABLE, NAMED_THREAD_LOCAL, NAMED_KINDS };

struct name_table {
    struct named *all; /* by start */
    size_t n;
};

struct code_file {
    struct code_file *next;
    uintptr_t loaded; /* added to addresses as linked */
    char *path;
    struct name_table names[NAMED_KINDS];
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
    const struct named *f = a, *g = b;
    return f->start < g->start ? -1 : f->start > g->start;
}

static unsigned
type_of_named(enum named_kind kind)
{
    static const unsigned types[] = {STT_FUNC, STT_OBJECT, STT_TLS};
    return types[kind];
}

static struct name_table
read_kind(const ElfW(Sym) * all, size_t n, enum named_kind kind, const char *strings,
          size_t strings_b)
{
    struct name_table t = {NULL, 0};
    size_t wanted = 0;
    for (int fill = 0; fill < 2; fill++) {
        for (size_t i = 0; i < n; i++) {
            const ElfW(Sym) *s = &all[i];
            bool defined =
                s->st_shndx != SHN_UNDEF && (s->st_value != 0 || kind == NAMED_THREAD_LOCAL);
            if (ELF64_ST_TYPE(s->st_info) != type_of_named(kind) || !defined ||
                s->st_name >= strings_b)
                continue;
            if (fill)
                t.all[t.n++] = (struct named){s->st_value, s->st_size, strings + s->st_name};
            else
                wanted++;
        }
        if (!fill && wanted > 0)
            t.all = malloc(wanted * sizeof *t.all);
        if (t.all == NULL)
            return t;
    }
    qsort(t.all, t.n, sizeof *t.all, by_start);
    return t;
}

static void
read_names(struct code_file *file, const struct image *image)
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
    for (unsigned kind = 0; kind < NAMED_KINDS; kind++)
        file->names[kind] = read_kind(all, table->sh_size / sizeof *all, (enum named_kind)kind,
                                      image->bytes + strings->sh_offset, strings->sh_size);
}

/* ---- All files ---- */

struct where {
    uintptr_t address, loaded;
    size_t module; /* the loader's number, instead of an address; 0: an address is asked for */
    char path[4096];
    bool found;
};

static bool
is_wanted(const struct where *where, const struct dl_phdr_info *info)
{
    if (where->module != 0)
        return info->dlpi_tls_modid == where->module;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type == PT_LOAD &&
            where->address - (info->dlpi_addr + part->p_vaddr) < part->p_memsz)
            return true;
    }
    return false;
}

static int
look_into(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    struct where *where = arg;
    if (!is_wanted(where, info))
        return 0;
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
        read_names(f, &image);
    f->next = symbols.files;
    symbols.files = f;
    return f;
}

/* The last one that starts at or before the address, if it reaches that far. */
static const struct named *
named_at(const struct name_table *t, uintptr_t linked)
{
    size_t low = 0, high = t->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (t->all[middle].start <= linked)
            low = middle + 1;
        else
            high = middle;
    }
    const struct named *f = low == 0 ? NULL : &t->all[low - 1];
    bool inside = f != NULL && (f->size == 0 || linked - f->start < f->size);
    return inside ? f : NULL;
}

static struct symbol
find_named(struct where *where, enum named_kind kind)
{
    struct symbol s = {NULL, 0, NULL, 0};
    /* The loader's lock is taken inside of ours: so no child of fork finds it held. */
    pthread_mutex_lock(&symbols.lock);
    dl_iterate_phdr(look_into, where);
    const struct code_file *file = where->found ? code_file_locked(where) : NULL;
    if (file != NULL) {
        uintptr_t base = kind == NAMED_THREAD_LOCAL ? 0 : file->loaded;
        const struct named *f = named_at(&file->names[kind], where->address - base);
        s.file = file->path;
        s.offset = where->address - base - (f == NULL ? 0 : f->start);
        s.function = f == NULL ? NULL : f->name;
        s.start = f == NULL ? 0 : f->start + base;
    }
    pthread_mutex_unlock(&symbols.lock);
    return s;
}

struct symbol
symbols_find(uintptr_t address)
{
    struct where where = {.address = address};
    return find_named(&where, NAMED_FUNCTION);
}

struct symbol
symbols_find_variable(uintptr_t address)
{
    struct where where = {.address = address};
    return find_named(&where, NAMED_VARIABLE);
}

struct symbol
symbols_find_thread_local(size_t module, size_t offset)
{
    struct where where = {.address = offset, .module = module};
    return find_named(&where, NAMED_THREAD_LOCAL);
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

const char *
symbols_base_name(const char *path)
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
                     symbols_base_name(s.file));
    else if (s.file != NULL)
        n = snprintf(line, size, "    %s+0x%zx\n", symbols_base_name(s.file), s.offset + 1);
    else
        n = snprintf(line, size, "    0x%zx\n", (size_t)return_address);
    return size_min((size_t)n, size - 1);
}

__attribute__((noinline)) void
symbols_print_stack(const char *whose, size_t skip)
{
    uintptr_t addresses[FRAMES_MAX];
    char line[FRAME_LINE_MAX_B];
    size_t n = symbols_stack(addresses, FRAMES_MAX, skip + 1);
    int head = snprintf(line, sizeof line, "\n%s [running]:\n", whose);
    os_write_error(line, size_min((size_t)head, sizeof line - 1));
    for (size_t i = 0; i < n; i++)
        os_write_error(line, symbols_format(line, sizeof line, addresses[i]));
}
