/*
 * A thread's scopes are a list, the innermost first, so that a panic finds them (panic.c). A scope
 * is entered by its first record: one without any costs nothing.
 */
#include "types/defer.h"

#include "heap/base.h"

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

/* Records that have run, for the next calls: as many as a processor of Go's keeps. */
#define KEPT_RECORDS 32

static _Thread_local struct {
    struct heap_record *first; /* linked by record.older */
    uint32_t n;
} kept_records;

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

void
sh_defer_record(struct sh_defer_scope *scope, struct sh_defer_record *record,
                void (*call)(void *arg), void *arg)
{
    sh_require(call != NULL, "sh_defer: no function to call");
    defer_enter(scope);
    record->call = call;
    record->arg = arg;
    record->on_heap = false;
    record->older = scope->last;
    scope->last = record;
    scope->count++;
}

/* Never inlined, as the code that it is called from may go on in another thread. */
static __attribute__((noinline)) struct heap_record *
take_defer_record(void)
{
    struct heap_record *record = kept_records.first;
    if (record == NULL)
        return sh_alloc_typed(&record_type);
    kept_records.first = (struct heap_record *)record->record.older;
    kept_records.n--;
    return record;
}

/* Unlinks a record from its scope: what is kept is linked with others that are. */
static __attribute__((noinline)) void
keep_defer_record(struct sh_defer_record *record)
{
    bool keep = kept_records.n < KEPT_RECORDS;
    sh_store(&record->older, keep ? kept_records.first : NULL);
    if (keep) {
        kept_records.first = (struct heap_record *)record;
        kept_records.n++;
    }
}

void
sh_defer(struct sh_defer_scope *scope, void (*call)(void *arg), void *arg)
{
    sh_require(call != NULL, "sh_defer: no function to call");
    struct sh_defer_record *record = &take_defer_record()->record;
    defer_enter(scope);
    record->call = call;
    sh_store(&record->arg, arg);
    record->on_heap = true;
    sh_store(&record->older, scope->last);
    scope->last = record;
    scope->count++;
}

/* A record is cleared before its call runs: a stale word on the stack may keep the record, and must
   not keep with it what the call releases, nor all the records before it. */
struct sh_defer_record
defer_pop(struct sh_defer_scope *scope)
{
    struct sh_defer_record *record = scope->last, taken = *record;
    scope->last = taken.older;
    scope->count--;
    sh_store(&record->arg, NULL);
    if (taken.on_heap)
        keep_defer_record(record);
    else
        record->older = NULL; /* it lies on a stack */
    return taken;
}

void
sh_defer_run(struct sh_defer_scope *scope)
{
    bool may_recover = flow_self.may_recover;
    flow_self.may_recover = false;
    while (scope->last != NULL) {
        struct sh_defer_record record = defer_pop(scope);
        record.call(record.arg);
    }
    flow_self.may_recover = may_recover;
    if (scope->entered)
        defer_leave(scope);
}
