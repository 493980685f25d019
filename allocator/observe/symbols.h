/* Addresses as functions and variables of the program and its libraries. Not inside a stop: it
 * takes the loader's lock and malloc's. */
#ifndef SPANHEAP_SYMBOLS_H
#define SPANHEAP_SYMBOLS_H

#include "heap/base.h"

struct symbol {
    const char *function; /**< or variable; NULL: its file has no name for the address */
    size_t offset;        /**< from its start; else from where the file was loaded */
    const char *file;     /**< of the program or library; NULL: the address is in none */
    uintptr_t start;      /**< of it; 0 if it has no name */
};

/** The function that contains an address. The strings stay. Any thread. */
struct symbol symbols_find(uintptr_t address);
/** The same for a variable. */
struct symbol symbols_find_variable(uintptr_t address);
/** The thread-local variable of a module, by the loader's number, that contains an offset in its
 * block. Without a name, offset is that in the block. */
struct symbol symbols_find_thread_local(size_t module, size_t offset);
/** The last part of a path. */
const char *symbols_base_name(const char *path);

/** The return addresses of the caller and its callers, at most max, without the innermost `skip` of
 * them. Returns how many. */
size_t symbols_stack(uintptr_t *addresses, size_t max, size_t skip);

/** Around fork. */
void symbols_lock_for_fork(void);
void symbols_unlock_for_fork(void);

/** Writes "WHOSE [running]:" and the caller's stack to stderr, one function a line. */
void symbols_print_stack(const char *whose, size_t skip);

/** One line of a stack, as symbols_print_stack() has it, with its end of line; cut off at size.
 * Returns its length. */
size_t symbols_format(char *line, size_t size, uintptr_t return_address);

#endif
