/*
 * A thread's scopes are a list, the innermost first, so that a panic finds them (panic.c). A scope
 * is entered by its first record: one without any costs nothing.
 */
#include "types/defer.h"

#include "collector/cycle.h"
#include "types/panic.h"

/* As large as Go 1.19's runtime._defer, so that a loop of defers holds what it holds there. */
#define RECORD_B 80

struct heap_record {
    struct sh_defer_record record;
    char rest[RECORD_B - sizeof(struct sh_defer_record)];
};
_Static_assert(sizeof(struct heap_record) == RECORD_B, "the record's size is documented");

static const struct sh_type record_type =
    SH_TYPE(struct heap_record, SH_POINTER_AT(struct heap_record, record.older) |
                                    SH_POINTER_AT(struct heap_record, record.arg));

_Thread_local struct flow flow_self;

/* Records that have run, for the next calls: as many as a processor of Go's keeps. They hold no
   pointers. Each function here uses the thread's own before it calls what may go on in another
   thread, and not after that. */
#define KEPT_RECORDS 32
static _Thread_local struct {
    struct sh_defer_record *of[KEPT_RECORDS];
    uint32_t n;
} kept;

void
defer_enter(struct sh_defer_scope *scope)
{
    if (scope->entered)
        return;
    scope->outer = flow_self.scopes;
    scope->entered = true;
    flow_self.scopes = scope;
}

void
defer_leave(struct sh_defer_scope *scope)
{
    sh_require(flow_self.scopes == scope,
               "sh_defer_run: a scope that began later has not ended, or another thread's scope");
    flow_self.scopes = scope->outer;
    scope->entered = false;
}

/* In place of no function: as in Go, it panics when it is run. */
static void
run_no_function(void *arg)
{
    (void)arg;
    panic_nil("sh_defer: call");
}

void
sh_defer_record(struct sh_defer_scope *scope, struct sh_defer_record *record,
                void (*call)(void *arg), void *arg)
{
    refuse_nil(scope, "sh_defer_record: scope");
    refuse_nil(record, "sh_defer_record: record");
    defer_enter(scope);
    record->call = likely(call != NULL) ? call : run_no_function;
    record->arg = arg;
    record->on_heap = false;
    record->older = scope->last;
    scope->last = record;
    scope->count++;
}

static __attribute__((noinline, cold)) struct sh_defer_record *
take_defer_record(void)
{
    return sh_alloc_typed(&record_type);
}

void
sh_defer(struct sh_defer_scope *scope, void (*call)(void *arg), void *arg)
{
    refuse_nil(scope, "sh_defer: scope");
    defer_enter(scope);
    struct sh_defer_record *record = likely(kept.n > 0) ? kept.of[--kept.n] : take_defer_record();
    record->call = likely(call != NULL) ? call : run_no_function;
    cycle_fill(&record->arg, arg);
    record->on_heap = true;
    cycle_fill(&record->older, scope->last);
    scope->last = record;
    scope->count++;
}

/* A record is cleared before its call runs: a stale word on the stack may keep the record, and must
   not keep with it what the call releases, nor all the records before it. Never inlined: it is
   called after the code of others. */
__attribute__((noinline)) struct deferred
defer_pop(struct sh_defer_scope *scope)
{
    struct sh_defer_record *record = scope->last;
    struct deferred taken = {record->call, record->arg};
    scope->last = record->older;
    scope->count--;
    if (record->on_heap) {
        sh_store(&record->arg, NULL);
        sh_store(&record->older, NULL);
        if (kept.n < KEPT_RECORDS)
            kept.of[kept.n++] = record;
    } else {
        record->arg = record->older = NULL; /* it lies on a stack */
    }
    return taken;
}

/* Never inlined, as defer_pop() is not. */
static __attribute__((noinline)) void
end_scope(struct sh_defer_scope *scope, bool may_recover)
{
    flow_self.may_recover = may_recover;
    if (scope->entered)
        defer_leave(scope);
}

void
sh_defer_run(struct sh_defer_scope *scope)
{
    refuse_nil(scope, "sh_defer_run: scope");
    bool may_recover = flow_self.may_recover;
    flow_self.may_recover = false;
    while (scope->last != NULL) {
        struct deferred next = defer_pop(scope);
        next.call(next.arg);
    }
    end_scope(scope, may_recover);
}
