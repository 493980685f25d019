#include "observe/heap_dump.h"

#include "collector/client.h"
#include "collector/finalizer.h"
#include "collector/world.h"
#include "heap/os.h"
#include "heap/pageheap.h"
#include "observe/exit_file.h"
#include "observe/observe.h"

#include <errno.h>
#include <string.h>

/* ---- Counting, in the stop ---- */

static struct {
    struct heap_dump *dump;
    struct walk walk;
} dumping SH_STATE; /* guarded by world.cycle_lock */

static size_t
hash_words(uint64_t a, uint64_t b)
{
    uint64_t h = (a ^ b * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xd6e8feb86659fd93);
    return (size_t)(h >> 32);
}

/* The row of an object; the last one, if there is no room. */
static uint32_t
row_of(struct heap_dump *d, uintptr_t object)
{
    const struct span *s = pageheap_span_of(object);
    struct sh_explain_step step = explain_step(object, 0);
    size_t size = step.type != NULL || s->class == 0 ? 0 : step.size;
    size_t at = hash_words((uintptr_t)step.type / 16, size * 4 + (size_t)step.kind);
    for (size_t i = 0; i < DUMP_ROWS; i++) {
        struct dump_row *row = &d->rows[(at + i) % DUMP_ROWS];
        if (!row->used && d->nrows >= DUMP_ROWS / 4 * 3)
            break;
        if (!row->used) {
            *row =
                (struct dump_row){.type = step.type, .size = size, .kind = step.kind, .used = true};
            d->nrows++;
        }
        if (row->type == step.type && row->size == size && row->kind == step.kind)
            return (uint32_t)((at + i) % DUMP_ROWS);
    }
    d->rows[DUMP_ROWS].used = d->rows[DUMP_ROWS].is_rest = true;
    return DUMP_ROWS;
}

static void
add_to(struct dump_sum *sum, size_t size)
{
    sum->objects++;
    sum->bytes += size;
}

static void
count_found(struct heap_dump *d, const struct walk *w, size_t first, enum root_group group)
{
    for (size_t i = first; i < w->n; i++) {
        const struct walk_found *f = &w->list[i];
        if (f->from == WALK_THROUGH)
            continue;
        size_t size = pageheap_span_of(f->object)->elem_b;
        add_to(&d->rows[row_of(d, f->object)].sum, size);
        add_to(&d->groups[group], size);
        add_to(&d->all, size);
    }
}

static void
count_sample(uintptr_t object, struct profile_bucket *bucket)
{
    struct heap_dump *d = dumping.dump;
    if (walk_object_of(object) != object || !walk_has_found(&dumping.walk, object))
        return;
    uint32_t row = row_of(d, object);
    size_t at = hash_words((uintptr_t)bucket / 16, row);
    for (size_t i = 0; i < DUMP_SITES; i++) {
        struct dump_site *site = &d->sites[(at + i) % DUMP_SITES];
        if (site->bucket == NULL && d->nsites >= DUMP_SITES / 4 * 3)
            break;
        if (site->bucket == NULL) {
            *site = (struct dump_site){.bucket = bucket, .row = row};
            d->nsites++;
        }
        if (site->bucket == bucket && site->row == row) {
            site->samples++;
            return;
        }
    }
    d->lost_samples++;
}

static void
count_samples_of(struct span *s)
{
    finalizer_each_sample(s, count_sample);
}

static void
count_now(void *arg)
{
    struct walk *w = &dumping.walk;
    dumping.dump = arg;
    *w = (struct walk){.untyped = true};
    bool ok = walk_begin(w);
    for (unsigned group = 0; group < NGROUPS && ok && !w->failed; group++) {
        size_t first = w->n;
        explain_add_group(w, (enum root_group)group);
        walk_follow(w);
        count_found(dumping.dump, w, first, (enum root_group)group);
    }
    ok = ok && !w->failed;
    if (ok && profile_exists())
        pageheap_each_span(count_samples_of);
    walk_end(w);
    dumping.dump->error = ok ? 0 : ENOMEM;
}

static size_t
rows_b(void)
{
    return (DUMP_ROWS + 1) * sizeof(struct dump_row);
}

int
heap_dump_take(struct heap_dump *d)
{
    *d = (struct heap_dump){.rows = os_map_sparse(rows_b()),
                            .sites = os_map_sparse(DUMP_SITES * sizeof *d->sites)};
    d->error = ENOMEM;
    if (d->rows != NULL && d->sites != NULL)
        explain_stopped(count_now, d);
    if (d->error != 0)
        heap_dump_free(d);
    return d->error;
}

void
heap_dump_free(struct heap_dump *d)
{
    if (d->rows != NULL)
        os_unreserve(d->rows, rows_b());
    if (d->sites != NULL)
        os_unreserve(d->sites, DUMP_SITES * sizeof *d->sites);
    d->rows = NULL;
    d->sites = NULL;
}

/* ---- The file ---- */

static int
take_and_write(FILE *out, int (*write)(FILE *out, struct heap_dump *d))
{
    struct heap_dump d;
    int error = heap_dump_take(&d);
    if (error != 0)
        return error;
    error = write(out, &d);
    heap_dump_free(&d);
    return error;
}

static int
write_dump_text(FILE *out)
{
    return take_and_write(out, heap_dump_write_text);
}

static int
write_dump_json(FILE *out)
{
    return take_and_write(out, heap_dump_write_json);
}

static bool
wants_json(const char *path)
{
    size_t n = strlen(path);
    return n >= 5 && strcmp(path + n - 5, ".json") == 0;
}

int
sh_heap_dump(const char *path)
{
    sh_init();
    int error = EINVAL;
    if (path != NULL)
        error = exit_file_write(path, wants_json(path) ? write_dump_json : write_dump_text);
    if (error == 0)
        return 0;
    errno = error;
    return -1;
}

static struct exit_file dump_file SH_STATE = {.variable = "SH_HEAPDUMP", .what = "the heap dump"};

void
observe_heap_dump_init(const char *file)
{
    if (file == NULL)
        return;
    if (client != NULL) {
        sh_warn("SH_HEAPDUMP: ignored: a heap dump does not know the roots that a program tells a "
                "drop-in of");
        return;
    }
    dump_file.write = wants_json(file) ? write_dump_json : write_dump_text;
    exit_file_keep(&dump_file, file);
}
