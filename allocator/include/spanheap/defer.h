/*
 * Deferred calls as in Go's heap-allocated form: each sh_defer() makes an 80-byte record that
 * holds its argument until the scope ends; records run last in, first out.
 *
 *     struct sh_defer_scope scope = {0};
 *     sh_defer(&scope, release, buffer);
 *     ...
 *     sh_defer_run(&scope);
 */
#ifndef SPANHEAP_DEFER_H
#define SPANHEAP_DEFER_H

#include <spanheap.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sh_defer_record;
struct sh_defer_scope {
    struct sh_defer_record *last; /**< newest record; NULL: none */
    size_t count;                 /**< calls that wait */
};

/** Adds call(arg) to the scope. Fatal if call is NULL. Allocates one record (80 bytes). */
SH_API void sh_defer(struct sh_defer_scope *scope, void (*call)(void *arg), void *arg);

/** Runs the scope's calls, newest first, and empties it. A call may add further ones. */
SH_API void sh_defer_run(struct sh_defer_scope *scope);

#ifdef __cplusplus
}
#endif
#endif
