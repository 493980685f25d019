#include <spanheap/closure.h>

#include "heap/base.h"
#include "types/panic.h"

#include <string.h>

/* Nobody has seen the object yet: plain stores. */
void *
sh_box(const struct sh_type *type, const void *initial)
{
    void *box = sh_alloc_typed(type);
    if (initial != NULL)
        memcpy(box, initial, type->size);
    return box;
}

struct sh_closure *
sh_closure_make(const struct sh_type *type, const void *captured)
{
    const struct sh_closure *closure = captured;
    sh_require(type->size >= sizeof *closure && closure->function != NULL,
               "sh_closure_make: type %s does not begin with a function to call", type->name);
    return sh_box(type, captured);
}

void
sh_closure_call(struct sh_closure *c, void *arg)
{
    if (unlikely(c == NULL))
        panic_runtime("invalid memory address or nil pointer dereference");
    c->function(c, arg);
}
