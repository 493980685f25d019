/*
 * The collector in small: two mutators, a marker, three objects. SPIN tries every interleaving of
 * their steps. README.md says what is modelled, what is not, and how to run it.
 *
 * A d_step is one step that nobody can divide. A stop of the world is such a step: nobody else
 * moves in it. It waits until no mutator is inside a section that must not be stopped.
 *
 * Which collector:
 *   BARRIER=DELETION    logs the pointer that a store overwrites. All roots are read in one stop,
 *                       at the start; objects are born black. The default.
 *   BARRIER=INSERTION   logs the pointer that is stored. Roots are read at the start and again in
 *                       the last stop; objects are born white. STACKS_AT_END: at the start, only
 *                       the global variable is read.
 *   BARRIER=HYBRID      logs both. Each thread's roots are read once, one thread after the other;
 *                       objects are born black.
 *   BARRIER=NONE        logs nothing; otherwise like DELETION.
 *
 * What mutators may do besides load, store, forget and allocate:
 *   SHARED_STACKS       read, write and clear the other's locals (in C: through a pointer)
 *   GLOBAL              read and write a global variable, plainly
 *   PLAIN_INIT          fill null slots of the object that it has allocated and not shown, plainly
 *   EXCHANGE            sh_exchange; a sh_compare_exchange is an exchange or a load
 *   WEAK                set and read a weak slot
 *   EXPLICIT_FREE       sh_free
 *
 * FORK: A has two slots, B one, C none; otherwise each object has one. OPS: how many operations the
 * mutators begin, both together. START: the heap at the beginning; 0 tries each. Collections follow
 * each other without end. FAULT_...: what is done wrongly; explained where it acts.
 */
#include "heap.pml"
#include "mutator.pml"

/* ---- Stops ---- */

/* FAULT_STOP_ANYWHERE: also between an exchange, or a weak read, and its log. */
#ifdef FAULT_STOP_ANYWHERE
#define may_stop(m) (pc[m] < READ || pc[m] == SWAPPED || pc[m] == WEAK_READ)
#else
#define may_stop(m) (pc[m] < READ)
#endif
#define may_stop_all (may_stop(0) && may_stop(1))

/* What the handler of the stop signal does to a thread in the restartable section.
   FAULT_NO_RESTART: nothing. */
inline stop(m)
{
#ifndef FAULT_NO_RESTART
    if
    :: pc[m] == TESTED -> pc[m] = TEST
    :: else
    fi
#else
    skip
#endif
}

inline stop_all()
{
    stop(0);
    stop(1)
}

inline switch_on()
{
#if BARRIER != NONE
    barrier = 1
#else
    skip
#endif
}

/* Of one mutator. */
inline read_roots(m)
{
    for (o : 1 .. 3) {
        if
        :: is_root(m, o) -> shade(o)
        :: else
        fi
    }
    o = 0
}

/* FAULT_MISSING_THREAD: mutator 2 is forgotten. */
inline read_all_roots()
{
    shade(global);
    read_roots(0);
#ifndef FAULT_MISSING_THREAD
    read_roots(1)
#endif
}

/* ---- The beginning of a collection ---- */

inline begin_cycle()
{
    d_step {
        !cycling && may_stop_all ->
        stop_all();
        switch_on();
#ifdef STACKS_AT_END
        printf("collector: stops the world, reads the global variable, starts it\n");
        shade(global);
#else
        printf("collector: stops the world, reads all roots, starts it\n");
        read_all_roots();
#endif
        cycling = 1
    }
}

/* FAULT_LATE_SWITCH: roots are read in one stop, and the barrier is switched on in the next. */
inline begin_with_roots()
{
    d_step {
        !cycling && may_stop_all ->
        printf("collector: stops the world, reads all roots, starts it\n");
        stop_all();
        read_all_roots();
        to_do = 1;
        cycling = 1
    }
}

inline go_on_with_switch()
{
    d_step {
        to_do && may_stop_all ->
        printf("collector: stops the world, switches the barrier on, starts it\n");
        stop_all();
        switch_on();
        to_do = 0
    }
}

/* HYBRID, and FAULT_ONE_BY_ONE: each thread is stopped for itself, in either order. */
inline begin_with_switch()
{
    d_step {
        !cycling && may_stop_all ->
        printf("collector: stops the world, switches the barrier on, starts it\n");
        stop_all();
        switch_on();
        shade(global);
        to_do = 3;
        cycling = 1
    }
}

inline go_on_with_roots(m)
{
    d_step {
        (to_do & (1 << m)) && may_stop(m) ->
        printf("collector: stops mutator %d, reads its roots, starts it\n", m + 1);
        stop(m);
        read_roots(m);
        to_do = to_do & ~(1 << m)
    }
}

/* ---- Marking ---- */

/* FAULT_ZOMBIE_AT_ONCE: takes it for a mistake of the program if the object was freed. But the slot
   may have been cleared, and the object freed, since the slot was read. */
inline mark_pointer(pointer)
{
#ifdef FAULT_ZOMBIE_AT_ONCE
    if
    :: freed & bit_of(pointer) ->
        printf("marker: a slot pointed to %e, which is free\n", pointer);
        assert(false)
    :: else
    fi;
#endif
    assert(pointer == null || colour[pointer] != FREE);
    shade(pointer)
}

/* With EXPLICIT_FREE in two steps; otherwise nobody could tell. */
inline visit(s)
{
    printf("marker: scans %e.%d, finds %e\n", owner(s), number(s), slot[s]);
#ifdef EXPLICIT_FREE
    found = slot[s]
#else
    mark_pointer(slot[s])
#endif
}

inline mark_found()
{
    d_step { found -> mark_pointer(found); found = 0 }
}

/* Takes a grey object from the queue and scans its first slot. */
inline scan(x)
{
    colour[x] = BLACK;
    if
    :: owner(x) == x -> visit(x)
    :: else /* C of FORK */
    fi;
    rest = (x == A && owner(3) == A -> 3 : 0)
}

inline scan_grey(x)
{
    d_step { colour[x] == GREY && !rest && !found -> scan(x) }
}

inline scan_rest()
{
    d_step { rest && !found -> visit(rest); rest = 0 }
}

/* ---- The end of a collection ---- */

/* FAULT_NO_FLUSH: what threads have in their buffers is left there. */
inline flush_all()
{
#ifndef FAULT_NO_FLUSH
    flush(0);
    flush(1)
#else
    skip
#endif
}

/* INSERTION reads all roots again, and marks from them while the world is stopped.
   FAULT_NO_RESCAN: it does not. */
inline mark_again()
{
#if BARRIER == INSERTION && !defined(FAULT_NO_RESCAN)
    printf("collector: reads all roots again\n");
    read_all_roots();
    do
    :: found -> mark_pointer(found); found = 0
    :: !found && rest -> visit(rest); rest = 0
    :: else ->
        if
        :: colour[A] == GREY -> scan(A)
        :: colour[B] == GREY -> scan(B)
        :: colour[C] == GREY -> scan(C)
        :: else -> break
        fi
    od
#else
    skip
#endif
}

/* In the last stop. FAULT_WEAK_LATE: when the program runs again. */
inline clear_weak()
{
    if
    :: weak != null && colour[weak] == WHITE ->
        printf("collector: clears the weak slot\n");
        weak = null
    :: else
    fi
}

inline clear_weak_late()
{
    d_step {
        weak != null && colour[weak] == FREE ->
        printf("collector: clears the weak slot\n");
        weak = null
    }
}

/* At once: nobody could allocate an object before it is swept, anyway. */
inline sweep()
{
    for (o : 1 .. 3) {
        if
        :: colour[o] == WHITE || (freed & bit_of(o)) ->
            printf("sweep: frees %e\n", o);
            publish(o);
            colour[o] = FREE
        :: colour[o] == BLACK && !(freed & bit_of(o)) -> colour[o] = WHITE
        :: else
        fi
    }
    freed = 0;
    o = 0
}

/* Nothing that is free can be reached, and no live object points to a free one. Whoever reaches a
   free object reaches a first one on his way: it is in a root or in a live object. */
inline check()
{
    for (o : 1 .. 3) {
        if
        :: colour[o] == FREE && (is_root(0, o) || is_root(1, o) || global == o) ->
            if
            :: is_root(0, o) -> printf("mutator 1 still holds %e: it is lost\n", o)
            :: is_root(1, o) -> printf("mutator 2 still holds %e: it is lost\n", o)
            :: else -> printf("the global variable still holds %e: it is lost\n", o)
            fi;
            assert(false)
        :: else
        fi
    }
    for (o : 1 .. 3) { /* slots */
        if
        :: colour[owner(o)] == FREE -> slot[o] = null /* zeroed before it is used again */
        :: colour[owner(o)] != FREE && slot[o] != null && colour[slot[o]] == FREE ->
            printf("%e.%d still points to %e: it is lost\n", owner(o), number(o), slot[o]);
            assert(false)
        :: else
        fi
    }
    o = 0
}

#define any_grey (colour[A] == GREY || colour[B] == GREY || colour[C] == GREY)

inline end_cycle()
{
    d_step {
        cycling && !to_do && !rest && !found && !any_grey && may_stop_all ->
        printf("collector: stops the world\n");
        stop_all();
        flush_all();
        mark_again();
        if
        :: any_grey ->
            witness(RESUMED);
            printf("collector: finds work in the buffers, starts it again\n")
        :: else ->
            printf("collector: all is marked, starts it again\n");
            barrier = 0;
            cycling = 0;
#ifndef FAULT_WEAK_LATE
            clear_weak();
#endif
            sweep();
            check()
        fi
    }
}

proctype collector()
{
    byte o;
    do
#if BARRIER == HYBRID || defined(FAULT_ONE_BY_ONE)
    :: begin_with_switch() :: go_on_with_roots(0) :: go_on_with_roots(1)
#elif defined(FAULT_LATE_SWITCH)
    :: begin_with_roots() :: go_on_with_switch()
#else
    :: begin_cycle()
#endif
    :: scan_grey(A) :: scan_grey(B) :: scan_grey(C) :: scan_rest()
#ifdef EXPLICIT_FREE
    :: mark_found()
#endif
    :: end_cycle()
#ifdef FAULT_WEAK_LATE
    :: clear_weak_late()
#endif
    od
}

/* ---- The beginning ---- */

#define start_is(n) (START == 0 || START == n)

init
{
    atomic {
        colour[A] = WHITE;
        held[0] = bit_of(A);
        held[1] = bit_of(A);
        if
        :: start_is(1) ->
            printf("start: both mutators hold A, A.0 -> B, C is free\n");
            colour[B] = WHITE;
            slot[1] = B
        :: start_is(2) ->
            printf("start: both mutators hold A, A.0 -> B -> C\n");
            colour[B] = WHITE;
            colour[C] = WHITE;
            slot[1] = B;
            slot[2] = C
        :: start_is(3) ->
            printf("start: mutator 1 holds A, mutator 2 holds B and C\n");
            colour[B] = WHITE;
            colour[C] = WHITE;
            held[1] = bit_of(B) | bit_of(C)
#ifdef PLAIN_INIT
        :: start_is(4) ->
            printf("start: both mutators hold A, mutator 1 holds B, which is fresh, B.0 -> C\n");
            colour[B] = WHITE;
            colour[C] = WHITE;
            held[0] = bit_of(A) | bit_of(B);
            fresh[0] = B;
            slot[2] = C
#endif
#ifdef WEAK
        :: start_is(5) ->
            printf("start: both mutators hold A, the weak slot holds B, C is free\n");
            colour[B] = WHITE;
            weak = B
#endif
        fi;
        run mutator(0);
        run mutator(1);
        run collector()
    }
}
