/*
 * Who marks: background workers, allocating threads that assist, a thread inside sh_collect(). Each
 * enters, drains, and leaves with empty hands. Marking may be over when nobody is inside and the
 * global lists are empty; the stop that ends it looks once more (cycle.c).
 *
 * Ending and entering exclude each other by Dekker's protocol: whoever wants to end closes the door
 * and then looks whether somebody is inside; whoever enters counts himself and then looks at the
 * door.
 */
#ifndef SPANHEAP_MARKERS_H
#define SPANHEAP_MARKERS_H

#include "collector/mark.h"

enum marker_role {
    MARKER_BACKGROUND, /* a worker: its work is credit for allocating threads */
    MARKER_ASSIST,     /* an allocating thread that pays for what it takes */
    MARKER_FORCED,     /* a thread that waits for the collection anyway */
};
#define NROLES 3

/** What the markers of one collection did. */
struct marker_figures {
    uint64_t marked_b, scanned_b;
    uint64_t cpu_ns[NROLES];
};

/** Opens the door: a collection marks from now on. Figures start at 0. */
void markers_open(void);
/** Closes it. False, and the door stays open: somebody is inside, or there is work. */
bool markers_close(void);
/** Opens it again: the end has found work. */
void markers_reopen(void);

/** False: the door is closed. */
bool markers_enter(void);
/** Flushes m, adds its figures and clears it. cpu_ns: processor time since it entered. */
void markers_leave(struct marker *m, enum marker_role role, uint64_t cpu_ns);
/** Adds figures of a marker that works inside a stop. */
void markers_add(const struct marker *m);
/** Nobody is inside and there is no work. An old answer is possible. */
bool markers_idle(void);
struct marker_figures markers_figures(void);

/** Somebody waits for work: others share with him. */
extern _Atomic uint32_t markers_hungry;
/** Waits until there may be work, or a while. In the safe state. */
void markers_wait(void);
/** Wakes those who wait. */
void markers_wake(void);

/**
 * Marks until no work can be seen. At most work_b bytes are scanned, of objects and parked stacks.
 * Returns those scanned. In the safe state.
 */
uint64_t markers_work(enum marker_role role, uint64_t work_b);

/** Marks, with whoever else does, until nothing is left, and closes the door. In a stop. */
void markers_finish(void);

/** In the child of a fork there are no markers. */
void markers_forget(void);

#endif
