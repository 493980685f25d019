#include <spanheap/defer.h>

#include "heap/base.h"

/* As large as Go 1.19's runtime._defer, so that a loop of defers holds what it holds there. */
#define RECORD_B 80

struct sh_defer_record {
    struct sh_defer_record *older;
    void (*call)(void *arg);
    void *arg;
    char rest[RECORD_B - 3 * sizeof(void *)];
};
_Static_assert(sizeof(struct sh_defer_record) == RECORD_B, "the record's size is documented");

static const struct sh_type record_type =
    SH_TYPE(struct sh_defer_record, SH_POINTER_AT(struct sh_defer_record, older) |
                                        SH_POINTER_AT(struct sh_defer_record, arg));

void
sh_defer(struct sh_defer_scope *scope, void (*call)(void *arg), void *arg)
{
    sh_require(call != NULL, "sh_defer: no function to call");
    struct sh_defer_record *record = sh_alloc_typed(&record_type);
    record->call = call;
    record->arg = arg;
    record->older = scope->last;
    sh_store(&scope->last, record);
    scope->count++;
}

/* A record is cleared before its call runs: a stale word on the stack may keep the record, and must
   not keep with it what the call releases, nor all the records before it. */
static struct sh_defer_record
pop_record(struct sh_defer_scope *scope)
{
    struct sh_defer_record *record = scope->last, taken = *record;
    sh_store(&scope->last, taken.older);
    scope->count--;
    sh_store(&record->older, NULL);
    sh_store(&record->arg, NULL);
    return taken;
}

void
sh_defer_run(struct sh_defer_scope *scope)
{
    while (scope->last != NULL) {
        struct sh_defer_record record = pop_record(scope);
        record.call(record.arg);
    }
}
