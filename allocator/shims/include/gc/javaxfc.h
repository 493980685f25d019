/* What a Java runtime asks of the collector. GC_suspend_thread and its kin abort. */
#ifndef GC_JAVAXFC_H
#define GC_JAVAXFC_H

#include "gc.h"

#ifdef __cplusplus
extern "C" {
#endif
/** Makes every finalizer due, whether its object is reached or not, and runs them. */
GC_API void GC_CALL GC_finalize_all(void);
#ifdef GC_THREADS
#ifndef GC_SUSPEND_THREAD_ID
#define GC_SUSPEND_THREAD_ID pthread_t
#endif
GC_API void GC_CALL GC_suspend_thread(GC_SUSPEND_THREAD_ID thread);
GC_API void GC_CALL GC_resume_thread(GC_SUSPEND_THREAD_ID thread);
GC_API int GC_CALL GC_is_thread_suspended(GC_SUSPEND_THREAD_ID thread);
#endif
#ifdef __cplusplus
}
#endif
#endif
