/* GC_INIT(). Included by gc.h, which declares what it calls. */
#ifndef GC_INIT_SETTINGS_H
#define GC_INIT_SETTINGS_H

/* Settings that a program makes by defining a macro before it includes this file. */
#ifdef GC_DONT_EXPAND
#define GC_INIT_CONF_DONT_EXPAND GC_set_dont_expand(1)
#else
#define GC_INIT_CONF_DONT_EXPAND (void)0
#endif
#ifdef GC_FORCE_UNMAP_ON_GCOLLECT
#define GC_INIT_CONF_FORCE_UNMAP_ON_GCOLLECT GC_set_force_unmap_on_gcollect(1)
#else
#define GC_INIT_CONF_FORCE_UNMAP_ON_GCOLLECT (void)0
#endif
#ifdef GC_DONT_GC
#define GC_INIT_CONF_DONT_GC (void)(GC_dont_gc = 1)
#else
#define GC_INIT_CONF_DONT_GC (void)0
#endif
#ifdef GC_FREE_SPACE_DIVISOR
#define GC_INIT_CONF_FREE_SPACE_DIVISOR GC_set_free_space_divisor(GC_FREE_SPACE_DIVISOR)
#else
#define GC_INIT_CONF_FREE_SPACE_DIVISOR (void)0
#endif
#ifdef GC_MAXIMUM_HEAP_SIZE
#define GC_INIT_CONF_MAXIMUM_HEAP_SIZE GC_set_max_heap_size(GC_MAXIMUM_HEAP_SIZE)
#else
#define GC_INIT_CONF_MAXIMUM_HEAP_SIZE (void)0
#endif
#ifdef GC_IGNORE_WARN
#define GC_INIT_CONF_IGNORE_WARN GC_set_warn_proc(GC_ignore_warn_proc)
#else
#define GC_INIT_CONF_IGNORE_WARN (void)0
#endif
#ifdef GC_INITIAL_HEAP_SIZE
#define GC_INIT_CONF_INITIAL_HEAP_SIZE (void)GC_expand_hp(GC_INITIAL_HEAP_SIZE)
#else
#define GC_INIT_CONF_INITIAL_HEAP_SIZE (void)0
#endif
#define GC_INIT()                                                                                  \
    {                                                                                              \
        GC_INIT_CONF_DONT_EXPAND;                                                                  \
        GC_INIT_CONF_FORCE_UNMAP_ON_GCOLLECT;                                                      \
        GC_INIT_CONF_DONT_GC;                                                                      \
        GC_INIT_CONF_FREE_SPACE_DIVISOR;                                                           \
        GC_INIT_CONF_MAXIMUM_HEAP_SIZE;                                                            \
        GC_init();                                                                                 \
        GC_INIT_CONF_IGNORE_WARN;                                                                  \
        GC_INIT_CONF_INITIAL_HEAP_SIZE;                                                            \
    }

#endif
