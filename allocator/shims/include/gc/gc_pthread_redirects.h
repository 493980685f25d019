/*
 * With GC_THREADS defined before gc.h, threads that the program makes are the collector's, too:
 * these names take the place of the C library's. GC_NO_THREAD_REDIRECTS leaves those alone.
 */
#ifndef GC_PTHREAD_REDIRECTS_H
#define GC_PTHREAD_REDIRECTS_H
#if defined(GC_H) && defined(GC_PTHREADS)

#ifndef GC_PTHREAD_REDIRECTS_ONLY
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>

#ifdef __cplusplus
extern "C" {
#endif
#ifndef GC_SUSPEND_THREAD_ID
#define GC_SUSPEND_THREAD_ID pthread_t
#endif
GC_API void *GC_dlopen(const char *path, int mode);
#if defined(GC_PTHREAD_SIGMASK_NEEDED) || defined(GC_BUILD) || defined(_DEFAULT_SOURCE) ||         \
    defined(_GNU_SOURCE) || (defined(_POSIX_C_SOURCE) && _POSIX_C_SOURCE >= 199506L) ||            \
    (defined(_XOPEN_SOURCE) && _XOPEN_SOURCE >= 500)
GC_API int GC_pthread_sigmask(int how, const sigset_t *set, sigset_t *old);
#endif
GC_API int GC_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *),
                             void *arg);
GC_API int GC_pthread_join(pthread_t thread, void **result);
GC_API int GC_pthread_detach(pthread_t thread);
GC_API int GC_pthread_cancel(pthread_t thread);
#ifndef GC_PTHREAD_EXIT_DECLARED
#define GC_PTHREAD_EXIT_DECLARED
GC_API void GC_pthread_exit(void *result) GC_PTHREAD_EXIT_ATTRIBUTE;
#endif
#ifdef __cplusplus
}
#endif
#endif

#if !defined(GC_NO_THREAD_REDIRECTS) && !defined(GC_USE_LD_WRAP)
#undef pthread_create
#undef pthread_join
#undef pthread_detach
#undef pthread_sigmask
#undef pthread_cancel
#undef pthread_exit
#undef dlopen
#define pthread_create GC_pthread_create
#define pthread_join GC_pthread_join
#define pthread_detach GC_pthread_detach
#define pthread_sigmask GC_pthread_sigmask
#define pthread_cancel GC_pthread_cancel
#define pthread_exit GC_pthread_exit
#define dlopen GC_dlopen
#endif

#endif
#endif
