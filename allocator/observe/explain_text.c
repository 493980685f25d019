#include "observe/explain_text.h"

#include "observe/symbols.h"

#include <inttypes.h>
#include <string.h>

#define WORDS_MAX_B 256

/* ---- Names ---- */

struct sh_explain_root
explain_named_root(const struct explain_root *raw)
{
    struct sh_explain_root root = {
        .kind = raw->kind,
        .address = (const void *)raw->address,
        .thread = raw->thread,
        .caller = raw->caller,
        .task = raw->task.number,
        .task_runs = raw->task.runs,
        .task_started_at = raw->task.started_at,
        .owner = (const void *)raw->owner,
        .past_end = raw->past_end,
    };
    struct symbol s = {0};
    size_t offset = raw->address - raw->start;
    if (raw->kind == SH_ROOT_GLOBAL)
        s = symbols_find_variable(raw->address);
    else if (raw->kind == SH_ROOT_THREAD_LOCAL)
        s = symbols_find_thread_local(raw->number, offset);
    else if (raw->code != 0)
        s = symbols_find(raw->code - raw->is_return);
    root.symbol = s.function;
    root.offset = s.offset + raw->is_return;
    root.file = s.file;
    if (raw->kind == SH_ROOT_KEY)
        root.key = (unsigned)(raw->number + offset / (2 * WORD_B));
    if (raw->kind == SH_ROOT_RANGE) {
        root.range = (const void *)raw->start;
        root.offset = offset;
    }
    return root;
}

/* ---- Objects ---- */

/* "struct node, 64 bytes", or what there is to say of an object without a known type. */
static void
object_words(char *out, size_t size, const struct sh_explain_step *step)
{
    static const char *const kinds[] = {
        [SH_OBJECT_TYPED] = "typed (several types share its span, see SH_TYPES)",
        [SH_OBJECT_UNTYPED] = "untyped",
        [SH_OBJECT_NOSCAN] = "pointer-free",
        [SH_OBJECT_TINY] = "block of tiny pointer-free objects",
    };
    const struct sh_type *type = step->type;
    size_t elements = type == NULL || type->size == 0 ? 0 : step->size / type->size;
    const char *name = type == NULL ? kinds[step->kind] : type->name;
    if (name == NULL)
        name = "type without a name";
    if (elements > 1)
        snprintf(out, size, "%s[%zu], %zu bytes", name, elements, step->size);
    else
        snprintf(out, size, "%s, %zu bytes", name, step->size);
}

static void
offset_words(char *out, size_t size, const struct sh_explain_step *step)
{
    const struct sh_type *type = step->type;
    if (type != NULL && type->size > 0 && step->size / type->size > 1)
        snprintf(out, size, "element %zu, offset %zu", step->offset / type->size,
                 step->offset % type->size);
    else
        snprintf(out, size, "offset %zu", step->offset);
}

void
explain_write_frames(FILE *out, const struct profile_sample *sample)
{
    for (size_t i = 0; i < EXPLAIN_FRAMES && i < sample->nstack; i++) {
        struct symbol s = symbols_find(sample->stack[i] - 1);
        fputs(i == 0 ? "" : " < ", out);
        fputs(s.function != NULL ? s.function
              : s.file != NULL   ? symbols_base_name(s.file)
                                 : "?",
              out);
    }
}

/* ---- The root ---- */

static void
write_symbol(FILE *out, const struct sh_explain_root *root, const char *what)
{
    const char *file = root->file == NULL ? "" : symbols_base_name(root->file);
    if (root->symbol != NULL && root->offset > 0)
        fprintf(out, "%s %s + %zu (%s)", what, root->symbol, root->offset, file);
    else if (root->symbol != NULL)
        fprintf(out, "%s %s (%s)", what, root->symbol, file);
    else
        fprintf(out, "%s without a name at %s + 0x%zx", what, file, root->offset);
}

static void
write_task(FILE *out, const struct sh_explain_root *root)
{
    struct symbol runs = symbols_find((uintptr_t)root->task_runs);
    struct symbol started = symbols_find((uintptr_t)root->task_started_at - 1);
    fprintf(out, "task %" PRIu64, root->task);
    if (runs.function != NULL)
        fprintf(out, ", which runs %s", runs.function);
    if (started.function != NULL)
        fprintf(out, ", started in %s + 0x%zx", started.function, started.offset + 1);
}

static void
write_stack(FILE *out, const struct sh_explain_root *root)
{
    bool is_register = root->kind == SH_ROOT_REGISTER;
    fprintf(out, is_register ? "register" : "conservative stack word");
    if (root->symbol != NULL)
        fprintf(out, is_register ? " in %s (%s)" : " in the frame of %s (%s)", root->symbol,
                symbols_base_name(root->file));
    fprintf(out, " of ");
    if (root->task != 0)
        write_task(out, root);
    if (root->task != 0 && root->thread != 0)
        fprintf(out, ", on ");
    if (root->thread != 0)
        fprintf(out, "thread %d", root->thread);
    if (root->caller)
        fprintf(out, ", which asks: there is no other root");
    if (root->past_end)
        fprintf(out, "; the word is the address just past the object");
}

/* One line, with a newline. */
static void
write_root(FILE *out, const struct sh_explain_root *root)
{
    switch (root->kind) {
    case SH_ROOT_NONE:
        fputs("no root", out);
        break;
    case SH_ROOT_GLOBAL:
        write_symbol(out, root, "global variable");
        break;
    case SH_ROOT_RANGE:
        fprintf(out, "memory of sh_roots_add(%p) + %zu", root->range, root->offset);
        break;
    case SH_ROOT_THREAD_LOCAL:
        write_symbol(out, root, "thread-local variable");
        fprintf(out, " of thread %d", root->thread);
        break;
    case SH_ROOT_KEY:
        fprintf(out, "value of pthread key %u of thread %d", root->key, root->thread);
        break;
    case SH_ROOT_THREAD_ARGUMENT:
        fputs("argument of a thread that has not begun to run", out);
        break;
    case SH_ROOT_THREAD_RESULT:
        fprintf(out, "result of thread %d, which nobody has joined", root->thread);
        break;
    case SH_ROOT_FINALIZER:
        fprintf(out, "finalizer of %p: what the object points to is kept for it", root->owner);
        break;
    case SH_ROOT_FINALIZER_ARGUMENT:
        fprintf(out, "argument of the finalizer of %p", root->owner);
        break;
    case SH_ROOT_FINALIZER_QUEUE:
        fputs("its finalizer is due and has not run (see sh_run_finalizers)", out);
        break;
    case SH_ROOT_WEAK:
        fprintf(out, "weak reference of %p, which has not been freed", root->owner);
        break;
    case SH_ROOT_TASK:
    case SH_ROOT_STACK:
    case SH_ROOT_REGISTER:
        write_stack(out, root);
        break;
    }
    fputc('\n', out);
}

/* ---- The path ---- */

static bool
goes_on_alike(const struct sh_explain_step *a, const struct sh_explain_step *b)
{
    return a->type == b->type && a->kind == b->kind && a->size == b->size && a->offset == b->offset;
}

static void
write_site(FILE *out, const struct profile_bucket *bucket)
{
    struct profile_sample sample = profile_of_bucket(bucket);
    profile_skip_own_frames(&sample);
    fputs("  allocated at ", out);
    explain_write_frames(out, &sample);
    fputc('\n', out);
}

/* The last object of the path is always a line of its own. */
static void
write_path(FILE *out, const struct explanation *e)
{
    char object[WORDS_MAX_B], offset[WORDS_MAX_B];
    for (size_t i = 0, alike; i < e->n; i += alike) {
        const struct sh_explain_step *s = &e->steps[i];
        alike = 1;
        while (i + alike + 1 < e->n && goes_on_alike(s, &e->steps[i + alike]))
            alike++;
        object_words(object, sizeof object, s);
        offset_words(offset, sizeof offset, s);
        fprintf(out, "  %p  %s", s->object, object);
        if (i + 1 == e->n && s->offset > 0)
            fprintf(out, "; asked for at %s", offset);
        else if (i + 1 < e->n)
            fprintf(out, "; points on at %s", offset);
        if (alike > 1)
            fprintf(out, ", and so on: %zu such objects", alike);
        fputc('\n', out);
    }
}

void
explain_write(FILE *out, uintptr_t address, const struct explanation *e,
              const struct sh_explain_root *root)
{
    char object[WORDS_MAX_B];
    switch (e->result) {
    case SH_EXPLAIN_ALIVE:
        object_words(object, sizeof object, &e->steps[e->n - 1]);
        fprintf(out, "0x%zx is alive: %s\n  ", (size_t)address, object);
        write_root(out, root);
        write_path(out, e);
        break;
    case SH_EXPLAIN_GARBAGE:
        object_words(object, sizeof object, &e->steps[0]);
        fprintf(out, "0x%zx is garbage: %s, and nothing leads to it\n", (size_t)address, object);
        break;
    case SH_EXPLAIN_FREE:
        fprintf(out, "0x%zx is in no object: it was freed, or never used\n", (size_t)address);
        break;
    case SH_EXPLAIN_FOREIGN:
        fprintf(out, "0x%zx is no address of this heap\n", (size_t)address);
        break;
    case SH_EXPLAIN_NO_MEMORY:
        fprintf(out, "0x%zx: no memory to find out\n", (size_t)address);
        break;
    }
    if (e->sample != NULL)
        write_site(out, e->sample);
}
