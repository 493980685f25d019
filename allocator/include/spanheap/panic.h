/*
 * Panics as in Go: a mistake that the program may want to survive. sh_panic() runs the deferred
 * calls of every scope that the thread is in (defer.h), the innermost first. If one of them calls
 * sh_recover(), the scope that deferred it goes on at its landing, and the function returns from
 * there as usual; otherwise the program ends, with the message and the functions that were running.
 *
 *     int parse_safely(const char *text)
 *     {
 *         SH_SCOPE(scope);
 *         sh_landing landing;
 *         if (SH_RECOVERED(scope, landing))
 *             return -1;
 *         sh_defer(&scope, note_panic, NULL);      // calls sh_recover()
 *         return parse(text);                      // may panic, however deep
 *     }
 *
 * How it differs from Go. C cannot return to a caller by itself: the landing says where to go on,
 * and a scope without one cannot recover (sh_recover() returns NULL there). The way there is a
 * longjmp: what the C standard says of it holds (a local that changed after SH_RECOVERED has to be
 * volatile), and clean-up attributes of the frames in between do not run: use sh_defer(). Scopes
 * are local variables: a landing tells by their addresses what lies deeper. sh_recover() counts in
 * functions that the deferred call calls, too. All else is as there: a panic in a deferred call
 * takes the place of the first one, the calls that are left still run, and an inner panic that is
 * recovered inside a deferred call lets the outer one go on.
 *
 * The other types of this folder panic where Go's do, with Go's words ("runtime error: ..." for
 * those that are runtime errors in Go). NULL where a function goes through a pointer is Go's
 * "invalid memory address or nil pointer dereference", with the function and the argument behind
 * it; any other wild pointer is SIGSEGV. Misuse that would corrupt the heap is fatal as ever.
 */
#ifndef SPANHEAP_PANIC_H
#define SPANHEAP_PANIC_H

#include <spanheap.h>
#include <spanheap/defer.h>

#include <setjmp.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What a panic says. */
struct sh_panic_value {
    const char *message; /**< one line; of sh_panic_value() NULL */
    void *value;         /**< of sh_panic_value(); else NULL */
    bool is_runtime;     /**< by the types themselves: a "runtime error: ..." */
};

/** Panics with a message, formatted as by printf. At most 255 bytes of it are kept. */
SH_API void sh_panic(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
/** Panics with any value, which the deferred calls get from sh_recover(). */
SH_API void sh_panic_value(void *value) __attribute__((noreturn));

/**
 * In a deferred call: ends the panic, and returns what it said; the object is on the heap. NULL: no
 * panic, or the scope of the deferred call has no landing, or it was recovered already.
 */
SH_API const struct sh_panic_value *sh_recover(void);

typedef jmp_buf sh_landing;
/**
 * True when a panic was recovered by one of the scope's deferred calls. The function should return
 * then; the calls that are left run as it does. Stands in an if, before what may panic, in the
 * function of the scope.
 */
#define SH_RECOVERED(scope, landing) (sh_scope_land(&(scope), &(landing)), _setjmp(landing) != 0)
/** Used by SH_RECOVERED. */
SH_API void sh_scope_land(struct sh_defer_scope *scope, sh_landing *landing);

#ifdef __cplusplus
}
#endif
#endif
