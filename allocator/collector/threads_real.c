/* Linked statically, the library leaves the C library's names alone. The shared library has
   interpose.c in place of this file. */
#include "collector/threads.h"

void
threads_real_init(struct threads_real *real)
{
    *real = (struct threads_real){
        .create = pthread_create,
        .join = pthread_join,
        .detach = pthread_detach,
        .exit = pthread_exit,
        .set_mask = pthread_sigmask,
    };
}
