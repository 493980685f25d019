/*
 * sh_explain() and sh_explain_print(). They begin in registers.S, which spills the caller's
 * registers: all frames from here down hold the pointer that is asked for, and are not scanned.
 */
#include "collector/world.h"
#include "observe/explain_text.h"

#include <string.h>
#include <unistd.h>

enum sh_explained explain_spilled(void *sp, const void *p, struct sh_explain_root *root,
                                  struct sh_explain_step *steps, size_t max, size_t *n);
enum sh_explained explain_print_spilled(void *sp, const void *p, int fd);

struct explain_job {
    uintptr_t hidden;
    struct explanation *out;
    struct sh_explain_root *root;
    int fd;
};

static void
explain_in_safety(void *arg)
{
    struct explain_job *job = arg;
    explain_hidden(job->hidden, job->out);
    *job->root = explain_named_root(&job->out->root);
    if (job->fd < 0)
        return;
    int own = dup(job->fd); /* that fclose may close */
    FILE *text = fdopen(own, "w");
    if (text == NULL) {
        if (own >= 0)
            close(own);
        return;
    }
    explain_write(text, ~job->hidden, job->out, job->root);
    fclose(text);
}

static enum sh_explained
explain_at(void *sp, const void *p, int fd, struct explanation *e, struct sh_explain_root *root)
{
    struct explain_job job = {~(uintptr_t)p, e, root, fd};
    sh_init();
    if (cache_self == NULL)
        hook_attach_caller();
    world_safe_call_spilled(sp, explain_in_safety, &job);
    return e->result;
}

__attribute__((used)) enum sh_explained
explain_spilled(void *sp, const void *p, struct sh_explain_root *root,
                struct sh_explain_step *steps, size_t max, size_t *n)
{
    struct explanation e;
    struct sh_explain_root found;
    enum sh_explained result = explain_at(sp, p, -1, &e, &found);
    if (root != NULL)
        *root = found;
    if (n != NULL)
        *n = e.n;
    if (e.n > 0 && max > 0)
        memcpy(steps, e.steps, size_min(e.n, max) * sizeof *steps);
    explain_forget(&e);
    return result;
}

__attribute__((used)) enum sh_explained
explain_print_spilled(void *sp, const void *p, int fd)
{
    struct explanation e;
    struct sh_explain_root root;
    enum sh_explained result = explain_at(sp, p, fd, &e, &root);
    explain_forget(&e);
    return result;
}
