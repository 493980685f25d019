#define _GNU_SOURCE
/*
 * A panic is an `unwinding` in the frame of the function that began it. It takes the thread's
 * scopes one by one and runs their calls on top of the stack, as Go does, so that nothing is lost
 * of a stack that nobody recovers. A call may panic in its turn: that unwinding goes on with the
 * same list, and never returns to the first.
 *
 * Stacks grow down, so at a landing the panics that are over are those whose frames lie below it.
 */
#include "types/panic.h"

#include "heap/base.h"
#include "heap/os.h"
#include "observe/symbols.h"
#include "types/defer.h"
#include "types/task.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PANIC_MAX_B 256
#define PANIC_LINE_MAX_B (PANIC_MAX_B + 64)

struct unwinding {
    const struct sh_panic_value *value;
    struct unwinding *outer; /* was there when this one began */
    struct sh_defer_scope *scope;
    bool recovered;
};

static const struct sh_type value_type =
    SH_TYPE(struct sh_panic_value, SH_POINTER_AT(struct sh_panic_value, message) |
                                       SH_POINTER_AT(struct sh_panic_value, value));

/* ---- The end, if nobody recovers ---- */

static void
print_panic(const struct unwinding *u, unsigned depth)
{
    char line[PANIC_LINE_MAX_B];
    const char *indent = depth > 0 ? "\t" : "";
    const char *suffix = u->recovered ? " [recovered]" : "";
    int n =
        u->value->message != NULL
            ? snprintf(line, sizeof line, "%spanic: %s%s\n", indent, u->value->message, suffix)
            : snprintf(line, sizeof line, "%spanic: value %p%s\n", indent, u->value->value, suffix);
    os_write_error(line, size_min((size_t)n, sizeof line - 1));
}

/* The oldest first, as Go prints them. Returns how many there are. */
static unsigned
print_panics(const struct unwinding *newest)
{
    if (newest == NULL)
        return 0;
    unsigned depth = print_panics(newest->outer);
    print_panic(newest, depth);
    return depth + 1;
}

/* Whose stack it is, and at its end where the task was started. */
static __attribute__((noinline)) void
print_stack_of_caller(void)
{
    char line[PANIC_LINE_MAX_B];
    const struct task *t = task_self();
    if (t == NULL)
        snprintf(line, sizeof line, "thread %d", (int)gettid());
    else
        snprintf(line, sizeof line, "task %llu on thread %d",
                 (unsigned long long)atomic_load(&t->number), (int)gettid());
    symbols_print_stack(line, 3);
    if (t != NULL)
        os_write_error(line, task_format_start(line, sizeof line, t->started_by, t->started_at));
}

static __attribute__((noinline)) _Noreturn void
die(void)
{
    print_panics(flow_self.panics);
    print_stack_of_caller();
    abort();
}

/* ---- Unwinding ---- */

/* A deferred call may go on in another thread. What uses the thread's own is not inlined into the
   function that makes the calls, where the compiler might keep the address. */

static __attribute__((noinline)) _Noreturn void
land(struct sh_defer_scope *scope)
{
    while (flow_self.panics != NULL && (uintptr_t)flow_self.panics < (uintptr_t)scope)
        flow_self.panics = flow_self.panics->outer;
    flow_self.may_recover = scope->may_recover;
    sh_landing *landing = scope->landing;
    scope->landing = NULL; /* once: the function returns now */
    longjmp(*landing, 1);
}

/* Nothing below the scope's frame is going to go on. */
static void
abandon_below(const struct sh_defer_scope *scope)
{
    struct flow_guard *g;
    while ((g = flow_self.guards) != NULL && (uintptr_t)g < (uintptr_t)scope) {
        flow_self.guards = g->outer;
        g->abandon(g->arg);
    }
}

/* The innermost scope with a call to be run; NULL: there is none. */
static __attribute__((noinline)) struct sh_defer_scope *
next_scope(struct unwinding *u)
{
    struct sh_defer_scope *scope;
    while ((scope = flow_self.scopes) != NULL && scope->last == NULL)
        defer_leave(scope);
    u->scope = scope;
    if (scope == NULL)
        return NULL;
    abandon_below(scope);
    flow_self.may_recover = true;
    return scope;
}

static _Noreturn __attribute__((noinline)) void
unwind(const struct sh_panic_value *value)
{
    struct unwinding u = {.value = value, .outer = flow_self.panics};
    struct sh_defer_scope *scope;
    flow_self.panics = &u;
    while ((scope = next_scope(&u)) != NULL) {
        struct deferred next = defer_pop(scope);
        next.call(next.arg);
        if (u.recovered)
            land(scope);
    }
    die();
}

void
sh_scope_land(struct sh_defer_scope *scope, sh_landing *landing)
{
    refuse_nil(scope, "SH_RECOVERED: scope");
    refuse_nil(landing, "SH_RECOVERED: landing");
    defer_enter(scope);
    scope->landing = landing;
    scope->may_recover = flow_self.may_recover;
}

const struct sh_panic_value *
sh_recover(void)
{
    struct unwinding *u = flow_self.panics;
    if (u == NULL || !flow_self.may_recover || u->recovered || u->scope->landing == NULL)
        return NULL;
    u->recovered = true;
    return u->value;
}

/* ---- What it says ---- */

static _Noreturn void
panic_with(bool is_runtime, const char *prefix, const char *format, va_list args)
{
    char *message = sh_alloc_noscan(PANIC_MAX_B);
    int head = snprintf(message, PANIC_MAX_B, "%s", prefix);
    vsnprintf(message + head, PANIC_MAX_B - (size_t)head, format, args);
    struct sh_panic_value *value = sh_alloc_typed(&value_type);
    value->message = message;
    value->is_runtime = is_runtime;
    unwind(value);
}

void
panic_runtime(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    panic_with(true, "runtime error: ", format, args);
}

void
panic_plain(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    panic_with(true, "", format, args);
}

void
panic_nil(const char *what)
{
    panic_runtime("invalid memory address or nil pointer dereference: %s is NULL", what);
}

void
sh_panic(const char *format, ...)
{
    refuse_nil(format, "sh_panic: format");
    va_list args;
    va_start(args, format);
    panic_with(false, "", format, args);
}

void
sh_panic_value(void *thing)
{
    struct sh_panic_value *value = sh_alloc_typed(&value_type);
    value->value = thing;
    unwind(value);
}
