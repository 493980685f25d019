/* A pointer that leads to no live object, given to every function of gc.h that takes one: what
   would be corrupted ends the program, with the function's name, after the program's own abort
   function; the rest answers. (Boehm's library goes through the pointer, or believes it.) */
#include "check.h"

#include <gc/gc.h>
#include <gc/gc_mark.h>
#include <gc/javaxfc.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OBJECT_B = 64, LARGE_B = 100000, TEXT_B = 1024 };

/* ---- The pointers ---- */

static char outside[64];

static void *
freed(size_t size)
{
    void *p = GC_MALLOC(size);
    GC_FREE(p);
    return p;
}

enum wild { STATIC, FRAME, NOWHERE, INSIDE, FREED, FREED_LARGE, NWILD };

static void *
make_wild(enum wild kind)
{
    switch (kind) {
    case STATIC:
        return outside + 16;
    case FRAME:
        return __builtin_frame_address(0);
    case NOWHERE:
        return (void *)0x10;
    case INSIDE:
        return (char *)GC_MALLOC(OBJECT_B) + 24;
    case FREED:
        return freed(OBJECT_B);
    default:
        return freed(LARGE_B);
    }
}

/* ---- The functions ---- */

static GC_hidden_pointer word;
static int finalized;

static void
finalize(void *object, void *arg)
{
    (void)object;
    (void)arg;
    finalized++;
}

/* An address inside an object is as good as its start for finalizers and links: programs put tags
   into addresses. What lies outside of the heap never dies. */
#define CALLS(X)                                                                                   \
    X(free, "GC_free", OUTSIDE | WITHIN, GC_free(p))                                               \
    X(free_debug, "GC_free", OUTSIDE | WITHIN, GC_debug_free(p))                                   \
    X(resize, "GC_realloc", OUTSIDE | WITHIN, GC_realloc(p, 10))                                   \
    X(resize_to_0, "GC_realloc", OUTSIDE | WITHIN, GC_realloc(p, 0))                               \
    X(resize_debug, "GC_realloc", OUTSIDE | WITHIN, GC_debug_realloc(p, 200000, "file", 1))        \
    X(finalizer, "GC_register_finalizer", 0, GC_register_finalizer(p, finalize, NULL, NULL, NULL)) \
    X(ignore_self, "GC_register_finalizer_ignore_self", 0,                                         \
      GC_register_finalizer_ignore_self(p, finalize, NULL, NULL, NULL))                            \
    X(no_order, "GC_register_finalizer_no_order", 0,                                               \
      GC_register_finalizer_no_order(p, finalize, NULL, NULL, NULL))                               \
    X(unreachable, "GC_register_finalizer_unreachable", 0,                                         \
      GC_register_finalizer_unreachable(p, finalize, NULL, NULL, NULL))                            \
    X(finalizer_debug, "GC_register_finalizer", 0,                                                 \
      GC_debug_register_finalizer(p, finalize, NULL, NULL, NULL))                                  \
    X(link, "GC_general_register_disappearing_link", 0,                                            \
      GC_general_register_disappearing_link((void **)&word, p))                                    \
    X(long_link, "GC_register_long_link", 0, GC_register_long_link((void **)&word, p))             \
    X(own_link, "GC_register_disappearing_link", OUTSIDE, GC_register_disappearing_link(p))        \
    X(kind_and_size, "GC_get_kind_and_size", OUTSIDE, GC_get_kind_and_size(p, NULL))

/* Of what it dies beside an object that was freed. */
enum { OUTSIDE = 1, WITHIN = 2 };

#define X(id, name, of, expression)                                                                \
    static void call_##id(void *p)                                                                 \
    {                                                                                              \
        expression;                                                                                \
    }
CALLS(X)
#undef X

typedef void (*call)(void *p);

static const struct {
    call fn;
    const char *name;
    int of;
} calls[] = {
#define X(id, name, of, expression) {call_##id, name, of},
    CALLS(X)
#undef X
};

static int
is_outside(enum wild kind)
{
    return kind == STATIC || kind == FRAME || kind == NOWHERE;
}

/* ---- A child dies, and says why ---- */

static int abort_pipe;

static void
note_abort(const char *text)
{
    CHECK(text != NULL && write(abort_pipe, "!", 1) == 1);
}

/* What the child has written. */
static void
text_of_death(call fn, void *p, char *text)
{
    int ends[2], aborts[2];
    CHECK(pipe(ends) == 0 && pipe(aborts) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        abort_pipe = aborts[1];
        dup2(ends[1], 2);
        GC_set_abort_func(note_abort);
        fn(p);
        _exit(0);
    }
    close(ends[1]);
    close(aborts[1]);
    size_t length = 0;
    for (ssize_t n; (n = read(ends[0], text + length, TEXT_B - 1 - length)) > 0;)
        length += (size_t)n;
    text[length] = '\0';
    int status = 0;
    char mark = 0;
    CHECK(waitpid(child, &status, 0) == child);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
        fprintf(stderr, "no abort, but %d: %s\n", status, text);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    CHECK(read(aborts[0], &mark, 1) == 1 && mark == '!');
    close(ends[0]);
    close(aborts[0]);
}

static void
need_death(call fn, const char *name, enum wild kind)
{
    void *p = make_wild(kind);
    char text[TEXT_B], wanted[200];
    text_of_death(fn, p, text);
    snprintf(wanted, sizeof wanted, "spanheap: fatal: %s: %p ", name, p);
    if (strstr(text, wanted) == NULL)
        fprintf(stderr, "%s, pointer %d: %s\n", name, (int)kind, text);
    CHECK(strstr(text, wanted) != NULL);
}

static void
deaths(void)
{
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        for (enum wild kind = 0; kind < NWILD; kind++) {
            int needed = is_outside(kind) ? OUTSIDE : kind == INSIDE ? WITHIN : 0;
            if ((calls[i].of & needed) == needed)
                need_death(calls[i].fn, calls[i].name, kind);
        }
}

/* A finalizer of an address inside an object is called with that address, when the object dies, and
   what the object leads to is there. */
struct pair {
    long *number;
    void *other;
};
static int tagged;

static void
finalize_tagged(void *object, void *arg)
{
    struct pair *p = GC_base(object);
    CHECK((char *)object == (char *)p + 5 && arg == &tagged && *p->number == 77);
    tagged++;
}

static void
make_tagged(void)
{
    for (int i = 0; i < 200; i++) {
        struct pair *p = GC_MALLOC(sizeof *p);
        p->number = GC_MALLOC_ATOMIC(sizeof *p->number);
        *p->number = 77;
        p->other = p;
        GC_register_finalizer_ignore_self((char *)p + 5, finalize_tagged, &tagged, NULL, NULL);
    }
}

static void
tags(void)
{
    far_away(make_tagged);
    wipe_stack();
    GC_gcollect();
    GC_invoke_finalizers();
    CHECK(tagged >= 150);
}

/* ---- Those that answer ---- */

static void
answers(void)
{
    for (enum wild kind = 0; kind < NWILD; kind++) {
        void *p = make_wild(kind), *old_arg = p;
        GC_finalization_proc old = finalize;
        CHECK(GC_is_heap_ptr(p) == !is_outside(kind) || kind == FREED_LARGE);
        CHECK((GC_base(p) == NULL) == (kind != INSIDE));
        CHECK(!is_outside(kind) || GC_size(p) == 0);
        CHECK(GC_unregister_disappearing_link(p) == 0 && GC_unregister_long_link(p) == 0);
        CHECK(GC_move_disappearing_link(p, (void **)&word) == GC_NOT_FOUND);
        if (!is_outside(kind))
            continue;
        GC_register_finalizer(p, finalize, NULL, &old, &old_arg);
        CHECK(old == NULL && old_arg == NULL); /* what never dies is not finalized */
        word = GC_HIDE_POINTER(p);
        CHECK(GC_general_register_disappearing_link((void **)&word, p) == GC_SUCCESS);
        GC_gcollect();
        GC_invoke_finalizers();
        CHECK(finalized == 0 && GC_REVEAL_POINTER(word) == p);
        CHECK(GC_unregister_disappearing_link((void **)&word) == 1);
    }
}

int
main(void)
{
    GC_INIT();
    answers();
    deaths();
    tags();
    return 0;
}
