/*
 * What compilers are told of the allocation functions, so that they warn of what is wrong at every
 * call: free() of an object of this heap, sh_free() of something else or of an address inside an
 * object, an access beyond the requested size, a size that cannot be.
 *
 * They are for a program's declarations. The library's own sources, which see the definitions, go
 * without: a definition need not be what a caller may believe. So does a program with
 * -DSH_NO_ATTRIBUTES.
 */
#ifndef SPANHEAP_ATTRIBUTES_H
#define SPANHEAP_ATTRIBUTES_H

#if defined(SPANHEAP_BASE_H) && !defined(SH_NO_ATTRIBUTES)
#define SH_NO_ATTRIBUTES
#endif

#if defined(__GNUC__) && !defined(SH_NO_ATTRIBUTES)
/** The object is new: no other pointer leads to it. */
#define SH_NEW __attribute__((malloc))
/** Never NULL. */
#define SH_NONNULL __attribute__((returns_nonnull))
/** Its size in bytes is an argument, or the product of two. */
#define SH_SIZED(...) __attribute__((alloc_size(__VA_ARGS__)))
#else
#define SH_NEW
#define SH_NONNULL
#define SH_SIZED(...)
#endif

/** The function that ends the object, by its first argument. gcc knows this from version 11 on. */
#if defined(__GNUC__) && !defined(__clang__) && !defined(SH_NO_ATTRIBUTES)
#if __GNUC__ >= 11
#define SH_ENDED_BY(function) __attribute__((malloc(function, 1)))
#endif
#endif
#ifndef SH_ENDED_BY
#define SH_ENDED_BY(function)
#endif

#endif
