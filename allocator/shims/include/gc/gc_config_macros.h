/* What the declarations of gc.h are made with. Included by it; Linux, gcc or clang. */
#ifndef GC_CONFIG_MACROS_H
#define GC_CONFIG_MACROS_H

#include <stddef.h>

/* A program may ask for threads by the name of a system, too. */
#if defined(GC_LINUX_THREADS) || defined(LINUX_THREADS) || defined(_REENTRANT_GC)
#undef GC_THREADS
#define GC_THREADS 1
#endif
#if defined(GC_THREADS)
#undef GC_LINUX_THREADS
#undef GC_PTHREADS
#define GC_LINUX_THREADS 1
#define GC_PTHREADS 1
#ifndef _REENTRANT
#define _REENTRANT 1
#endif
#endif
#define GC_HAVE_PTHREAD_EXIT 1

#define GC_GNUC_PREREQ(major, minor)                                                               \
    ((__GNUC__ << 16) + __GNUC_MINOR__ >= ((major) << 16) + (minor))

#ifndef GC_API
#ifdef GC_BUILD
#define GC_API extern __attribute__((__visibility__("default")))
#else
#define GC_API extern
#endif
#endif
#ifndef GC_CALL
#define GC_CALL
#endif
#ifndef GC_CALLBACK
#define GC_CALLBACK GC_CALL
#endif

#ifndef GC_ATTR_MALLOC
#ifdef GC_OOM_FUNC_RETURNS_ALIAS
#define GC_ATTR_MALLOC
#else
#define GC_ATTR_MALLOC __attribute__((__malloc__))
#endif
#endif
#define GC_ATTR_ALLOC_SIZE(n) __attribute__((__alloc_size__(n)))
#define GC_ATTR_CALLOC_SIZE(n, size) __attribute__((__alloc_size__(n, size)))
#define GC_ATTR_NONNULL(n) __attribute__((__nonnull__(n)))
#define GC_ATTR_CONST __attribute__((__const__))
#ifdef GC_BUILD
#define GC_ATTR_DEPRECATED
#else
#define GC_ATTR_DEPRECATED __attribute__((__deprecated__))
#endif
#define GC_PTHREAD_EXIT_ATTRIBUTE __attribute__((__noreturn__))

/* What debugging calls are told of where they are made. */
#define GC_EXTRAS __FILE__, __LINE__
#define GC_EXTRA_PARAMS const char *file, int line

#endif
