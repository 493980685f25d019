#include <spanheap/closure.h>

#include "types/panic.h"

#include <string.h>

/* Nobody has seen the object yet: plain stores. */
void *
sh_box(const struct sh_type *type, const void *initial)
{
    refuse_nil(type, "sh_box: type");
    void *box = sh_alloc_typed(type);
    if (initial != NULL)
        memcpy(box, initial, type->size);
    return box;
}

struct sh_closure *
sh_closure_make(const struct sh_type *type, const void *captured)
{
    refuse_nil(type, "sh_closure_make: type");
    refuse_nil(captured, "sh_closure_make: captured");
    sh_require(type->size >= sizeof(struct sh_closure),
               "sh_closure_make: type %s does not begin with a struct sh_closure", type->name);
    return sh_box(type, captured);
}

void
sh_closure_call(struct sh_closure *c, void *arg)
{
    refuse_nil(c, "sh_closure_call: c");
    refuse_nil(c->function, "sh_closure_call: c->function");
    c->function(c, arg);
}
