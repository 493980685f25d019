/*
 * Leaves the sanitizer's own variables out of the roots: ten megabytes, which would take most of
 * the time of each collection. The linker lays variables out in the order of the objects. The
 * compiler names the sanitizer's first, and this file is the first of ours: what lies between the
 * start of the zeroed variables and `first` is not ours. Were it otherwise, less would be left out.
 */
#include "collector/segments.h"

extern char __bss_start[];
void __real_segments_with_loader_locked(void (*work)(void *arg), void *arg);
void __wrap_segments_with_loader_locked(void (*work)(void *arg), void *arg);

static char first[8] __attribute__((used));

struct locked_work {
    void (*work)(void *arg);
    void *arg;
};

static void
cut_and_work(void *arg)
{
    struct locked_work *w = arg;
    uintptr_t low = (uintptr_t)__bss_start, high = (uintptr_t)first;
    for (size_t i = 0; i < segments.ndata; i++) {
        struct range r = segments.data[i];
        if (r.start > low || r.end <= high)
            continue;
        segments.data[i].end = low;
        segments.data[segments.ndata++] = (struct range){high, r.end};
        break;
    }
    w->work(w->arg);
}

void
__wrap_segments_with_loader_locked(void (*work)(void *arg), void *arg)
{
    struct locked_work w = {work, arg};
    __real_segments_with_loader_locked(cut_and_work, &w);
}
