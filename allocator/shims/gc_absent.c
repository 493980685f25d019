/* What is not offered: each ends the program with its own name. Not declared as in the headers,
   since none of them returns. */
#include "shims/gc_die.h"

#define ABSENT(name)                                                                               \
    __attribute__((visibility("default"))) _Noreturn void name(void);                              \
    void name(void)                                                                                \
    {                                                                                              \
        gc_die(#name " is not offered by spanheap's libgc.so.1 (see shims/README.md)");            \
    }

/* Marks mean nothing outside of a collection. */
ABSENT(GC_is_marked)
ABSENT(GC_clear_mark_bit)

/* The sweep asks nobody. */
ABSENT(GC_register_disclaim_proc)
ABSENT(GC_init_finalized_malloc)
ABSENT(GC_finalized_malloc)

ABSENT(GC_set_toggleref_func)
ABSENT(GC_get_toggleref_func)
ABSENT(GC_toggleref_add)

/* A stop is a collection's. */
ABSENT(GC_stop_world_external)
ABSENT(GC_start_world_external)
ABSENT(GC_suspend_thread)
ABSENT(GC_resume_thread)
ABSENT(GC_is_thread_suspended)
