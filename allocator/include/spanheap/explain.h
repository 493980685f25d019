/*
 * Why is it alive? The path from a root to an object, and what the heap is full of.
 *
 *     sh_explain_print(p, STDERR_FILENO);
 *
 *     0x7f0a40012340 is alive: struct node, 64 bytes
 *       global variable registry + 16 (server)
 *       0x7f0a40010000  struct table, 4096 bytes; points on at offset 24
 *       0x7f0a40012340  struct node, 64 bytes
 *
 * Both functions stop the world while they walk the heap, once, in every mode; a collection that
 * marks is finished first. They take memory from the system, up to 1/64 of the heap's addresses, 48
 * bytes for each live object and 48 for each on the path, and give it back. Any attached thread or
 * task may call them, but no signal handler, and no hook.
 */
#ifndef SPANHEAP_EXPLAIN_H
#define SPANHEAP_EXPLAIN_H

#include <spanheap.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What sh_explain() found. */
enum sh_explained {
    SH_EXPLAIN_ALIVE,   /**< there is a path from a root */
    SH_EXPLAIN_GARBAGE, /**< an object, and nothing leads to it: a collection would free it, or
                           call its finalizer */
    SH_EXPLAIN_FREE,    /**< an address of the heap, but in no object: freed, or not used yet */
    SH_EXPLAIN_FOREIGN, /**< NULL, or an address outside of the heap; what sh_alloc(0) returns is */
    SH_EXPLAIN_NO_MEMORY, /**< the walk could not be made */
};

enum sh_root_kind {
    SH_ROOT_NONE,
    SH_ROOT_GLOBAL,             /**< a variable of the program or a library */
    SH_ROOT_RANGE,              /**< memory given to sh_roots_add() */
    SH_ROOT_THREAD_LOCAL,       /**< a thread-local variable */
    SH_ROOT_KEY,                /**< the value of a pthread key */
    SH_ROOT_THREAD_ARGUMENT,    /**< of a thread that has not begun to run */
    SH_ROOT_THREAD_RESULT,      /**< of a thread that nobody has joined */
    SH_ROOT_FINALIZER,          /**< an object with a finalizer keeps what it points to, for it */
    SH_ROOT_FINALIZER_ARGUMENT, /**< of sh_set_finalizer() */
    SH_ROOT_FINALIZER_QUEUE,    /**< the object's finalizer is due, and has not run */
    SH_ROOT_WEAK,               /**< a weak reference, kept while its object lives */
    SH_ROOT_TASK,               /**< a word on the stack of a task that does not run */
    SH_ROOT_STACK,              /**< a word on a thread's stack, or on that of the task it runs */
    SH_ROOT_REGISTER,           /**< a register of a thread, as it was saved */
};

/** Where a path begins. What is not known, or makes no sense for the kind, is 0 or NULL. */
struct sh_explain_root {
    enum sh_root_kind kind;
    const void *address; /**< of the word; NULL: it is not in the program's memory */
    const char *symbol;  /**< the variable; of a stack the function in whose frame the word lies.
                            The strings stay */
    size_t offset;       /**< of the word in the variable or range */
    const char *file;    /**< the program or library that the symbol is of */
    int thread;          /**< Linux's number of the thread that it belongs to */
    bool caller;         /**< that thread called sh_explain() */
    uint64_t task;       /**< number of the task on whose stack it lies */
    const void *task_runs, *task_started_at; /**< its function, and the code that started it */
    unsigned key;                            /**< the pthread key */
    const void *range;                       /**< the start that was given to sh_roots_add() */
    const void *owner; /**< the object that the finalizer or the weak reference is of */
    bool past_end;     /**< the word is the address just past the object (it may be chance) */
};

enum sh_object_kind {
    SH_OBJECT_TYPED,   /**< of a type with pointers */
    SH_OBJECT_UNTYPED, /**< sh_alloc(): each word may be a pointer, and may not be one */
    SH_OBJECT_NOSCAN,  /**< without pointers */
    SH_OBJECT_TINY,    /**< a block that several objects without pointers share */
};

/** An object on the way. */
struct sh_explain_step {
    const void *object; /**< its start */
    size_t size;        /**< what it takes of the heap, bytes */
    enum sh_object_kind kind;
    /** NULL: none is known. The heap keeps the type of objects over 512 bytes; of smaller ones it
     * knows it while all objects of a span (8 KiB or more, of one size) are of one type, or always
     * with SH_TYPES=1. */
    const struct sh_type *type;
    size_t offset; /**< of the word that points to the next; of the last step: of the address that
                      was asked for */
};

/**
 * Finds out why the object that contains p is alive. The path begins in a variable if there is one
 * from a variable (all kinds up to SH_ROOT_WEAK), else on another stack, else on the caller's; of
 * those it is one with the fewest objects. What the library itself holds of p does not count: if
 * the caller's own copy is all there is, that is said (root.caller). A conservative word is taken
 * at its word, as the collector does.
 *
 * p: any address; one inside an object stands for the object, the one just past it does not.
 * root: filled in, or NULL. steps: the path's first `max` objects, that of the root first and that
 * of p last; NULL with max 0. n: how many objects the path has (0 if there is none), or NULL. An
 * object that is garbage is described in steps[0], with n 1. The answer holds addresses of objects:
 * where it lies in a variable, it is a root as any other.
 */
SH_API enum sh_explained sh_explain(const void *p, struct sh_explain_root *root,
                                    struct sh_explain_step *steps, size_t max, size_t *n);

/**
 * The same as text, to a file descriptor. Objects of one type that follow each other by the same
 * field are one line. Errors in writing are not reported.
 */
SH_API enum sh_explained sh_explain_print(const void *p, int fd);

/**
 * Writes what the heap is full of to a file: for each type (and size, where there is no type) how
 * many objects live and their bytes, most bytes first; how many bytes each kind of root keeps; and,
 * if there is a heap profile (SH_PROFILE_RATE), where the samples of each type were allocated. A
 * table, or JSON if the name ends in .json. What was there before is overwritten. Objects that
 * nothing leads to are not counted. Returns 0, or -1 with errno: EINVAL (path is NULL), ENOMEM, or
 * why the file could not be opened or written in full. SH_HEAPDUMP=FILE does it at the program's
 * end.
 */
SH_API int sh_heap_dump(const char *path);

#ifdef __cplusplus
}
#endif
#endif
