/* What windows, copies and closures keep. */
#include "fidelity.h"

#include <spanheap/closure.h>
#include <spanheap/slice.h>
#include <spanheap/string.h>

enum { PARENT_B = 1 << 20, WINDOWS = 1000, WINDOW_B = 16, ELEMENTS = 1000000 };

static const struct sh_type word_type = {"word", 8, NULL, 0};
static const struct sh_type slice_type =
    SH_TYPE(struct sh_slice, SH_POINTER_AT(struct sh_slice, data));

static struct sh_slice kept;
static struct sh_closure *closure;

static NOINLINE void
keep(bool copied)
{
    struct sh_slice parent = sh_slice_make(&sh_byte_type, PARENT_B, PARENT_B);
    kept = sh_slice_make(&slice_type, WINDOWS, WINDOWS);
    for (size_t i = 0; i < WINDOWS; i++) {
        struct sh_slice w =
            sh_slice_window(&sh_byte_type, parent, i * WINDOW_B, (i + 1) * WINDOW_B);
        if (copied)
            w = sh_slice_clone(&sh_byte_type, w);
        struct sh_slice *to = &((struct sh_slice *)kept.data)[i];
        sh_store(&to->data, w.data);
        to->len = w.len;
        to->cap = w.cap;
    }
}

struct captured {
    struct sh_closure closure;
    struct sh_slice all;
};
static const struct sh_type captured_type =
    SH_TYPE(struct captured, SH_POINTER_AT(struct captured, all.data));

static void
use_length(struct sh_closure *self, void *arg)
{
    *(size_t *)arg = ((struct captured *)self)->all.len;
}

static NOINLINE void
capture(void)
{
    struct captured c = {{use_length}, sh_slice_make(&word_type, ELEMENTS, ELEMENTS)};
    sh_store(&closure, sh_closure_make(&captured_type, &c));
}

static void *
keep_windows(void *copied)
{
    keep(copied != NULL);
    return NULL;
}

static void *
capture_all(void *arg)
{
    capture();
    return arg;
}

void
retention(void)
{
    uint64_t start = live_now();
    run_elsewhere(keep_windows, NULL);
    record_number((double)(live_now() - start), "retained/windows");
    kept = (struct sh_slice){NULL, 0, 0};
    start = live_now();
    run_elsewhere(keep_windows, "copied");
    record_number((double)(live_now() - start), "retained/copies");
    kept = (struct sh_slice){NULL, 0, 0};
    start = live_now();
    run_elsewhere(capture_all, NULL);
    record_number((double)(live_now() - start), "retained/closure");
    size_t n = 0;
    sh_closure_call(closure, &n);
}
