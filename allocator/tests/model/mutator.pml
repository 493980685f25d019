/*
 * A mutator: the operations that it may begin at any time, and the steps of a store that has begun.
 * `me` is its number.
 */

#define LOGS_OLD (BARRIER == DELETION || BARRIER == HYBRID)
#define LOGS_NEW (BARRIER == INSERTION || BARRIER == HYBRID)

#define other (1 - me)
#define may_begin (pc[me] == IDLE && ops > 0)
#define may_store(s, v) (may_begin && holds(me, owner(s)) && (v == null || holds(me, v)))

/* ---- Operations that are one step ---- */

inline load(s)
{
    d_step {
        may_begin && holds(me, owner(s)) && slot[s] != null && !holds(me, slot[s]) ->
        ops--;
        take(me, slot[s]);
        printf("mutator %d: loads %e.%d -> %e\n", me + 1, owner(s), number(s), slot[s])
    }
}

inline forget(x)
{
    d_step {
        may_begin && holds(me, x) ->
        ops--;
        drop(me, x);
        publish(x);
        printf("mutator %d: forgets %e\n", me + 1, x)
    }
}

inline allocate(x)
{
    d_step {
        may_begin && colour[x] == FREE ->
        ops--;
        if
        :: cycling -> witness(BORN)
        :: else
        fi;
        colour[x] = (cycling -> BIRTH : WHITE);
        take(me, x);
#ifdef PLAIN_INIT
        fresh[me] = x;
#endif
        printf("mutator %d: allocates %e\n", me + 1, x)
    }
}

/* FAULT_PLAIN_OVERWRITE: not only the first store to a slot of a fresh object is plain. */
inline initialise(s, v)
{
    d_step {
#ifdef FAULT_PLAIN_OVERWRITE
        may_store(s, v) && fresh[me] == owner(s) ->
#else
        may_store(s, v) && fresh[me] == owner(s) && slot[s] == null && v != null ->
#endif
        ops--;
        publish(v);
        printf("mutator %d: stores plainly %e.%d = %e, where %e was\n", me + 1, owner(s),
               number(s), v, slot[s]);
        slot[s] = v
    }
}

/* A program must not free what it still refers to. */
#define nobody_else_has(x)                                                                         \
    (!is_root(other, x) && global != x && weak != x && slot[1] != x && slot[2] != x && slot[3] != x)

inline free_object(x)
{
    d_step {
        may_begin && holds(me, x) && nobody_else_has(x) ->
        ops--;
        printf("mutator %d: frees %e\n", me + 1, x);
        drop(me, x);
        publish(x);
        if
        :: cycling -> freed = freed | bit_of(x)
        :: else ->
            colour[x] = FREE;
            for (o : 1 .. 3) {
                if
                :: owner(o) == x -> slot[o] = null
                :: else
                fi
            }
            o = 0
        fi
    }
}

inline read_other(x)
{
    d_step {
        may_begin && holds(other, x) && !holds(me, x) ->
        ops--;
        take(me, x);
        publish(x);
        printf("mutator %d: reads %e from a local of mutator %d\n", me + 1, x, other + 1)
    }
}

inline write_other(x)
{
    d_step {
        may_begin && holds(me, x) && !holds(other, x) ->
        ops--;
        take(other, x);
        publish(x);
        printf("mutator %d: writes %e to a local of mutator %d\n", me + 1, x, other + 1)
    }
}

inline clear_other(x)
{
    d_step {
        may_begin && holds(other, x) ->
        ops--;
        drop(other, x);
        publish(x);
        printf("mutator %d: clears the local of mutator %d that held %e\n", me + 1, other + 1, x)
    }
}

inline read_global()
{
    d_step {
        may_begin && global != null && !holds(me, global) ->
        ops--;
        take(me, global);
        printf("mutator %d: reads %e from the global variable\n", me + 1, global)
    }
}

inline write_global(v)
{
    d_step {
        may_begin && global != v && (v == null || holds(me, v)) ->
        ops--;
        publish(v);
        global = v;
        printf("mutator %d: writes %e to the global variable\n", me + 1, v)
    }
}

inline set_weak(x)
{
    d_step {
        may_begin && weak != x && holds(me, x) ->
        ops--;
        publish(x);
        weak = x;
        printf("mutator %d: sets the weak slot to %e\n", me + 1, x)
    }
}

/* ---- A weak read ---- */

inline read_weak()
{
    d_step {
        may_begin && weak != null && !holds(me, weak) ->
        ops--;
        old[me] = weak;
        pc[me] = WEAK_READ;
        printf("mutator %d: reads %e from the weak slot\n", me + 1, weak)
    }
}

/* It shades what it returns while marking. FAULT_WEAK_UNSHADED: it does not. */
inline return_weak()
{
    d_step {
        pc[me] == WEAK_READ ->
#ifndef FAULT_WEAK_UNSHADED
        if
        :: barrier -> log_of(me, old[me])
        :: else
        fi;
#endif
        take(me, old[me]);
        old[me] = 0;
        pc[me] = IDLE
    }
}

/* ---- A store, an exchange ---- */

inline test_switch()
{
    if
    :: barrier ->
        pc[me] = SLOW;
        printf("mutator %d: about to store to %e.%d, sees the barrier on\n", me + 1,
               owner(at[me]), number(at[me]))
    :: else ->
        pc[me] = TESTED;
        printf("mutator %d: about to store to %e.%d, sees the barrier off\n", me + 1,
               owner(at[me]), number(at[me]))
    fi
}

inline begin(s, v, swap)
{
    d_step {
        may_store(s, v) ->
        ops--;
        at[me] = s;
        value[me] = v;
        swaps[me] = swap;
        publish(v);
        test_switch()
    }
}

/* A stop has sent it back to the beginning. */
inline test_again()
{
    d_step {
        pc[me] == TEST ->
        witness(RESTARTED);
        test_switch()
    }
}

inline put_value()
{
    printf("mutator %d: stores %e.%d = %e, where %e was\n", me + 1, owner(at[me]), number(at[me]),
           value[me], slot[at[me]]);
    slot[at[me]] = value[me]
}

inline end_store()
{
    at[me] = 0;
    value[me] = 0;
    old[me] = 0;
    swaps[me] = 0;
    pc[me] = IDLE
}

/* With the barrier off. An exchange returns what was there. */
inline store_unlogged()
{
    if
    :: swaps[me] && slot[at[me]] != null -> take(me, slot[at[me]])
    :: else
    fi;
    put_value();
    end_store()
}

inline store_fast()
{
    d_step { pc[me] == TESTED -> store_unlogged() }
}

/* It may have been stopped since the test: now that it cannot be, it looks at the switch again.
   FAULT_NO_SECOND_LOOK: it does not. */
inline enter_slow_path()
{
    d_step {
        pc[me] == SLOW ->
        if
#ifndef FAULT_NO_SECOND_LOOK
        :: !barrier -> witness(LOOKED_AGAIN); store_unlogged()
#endif
        :: else ->
            if
            :: swaps[me] ->
                old[me] = slot[at[me]];
                put_value();
                pc[me] = SWAPPED
            :: else ->
#if LOGS_OLD
                old[me] = slot[at[me]];
#endif
                pc[me] = READ
            fi
        fi
    }
}

inline log_values()
{
#if LOGS_OLD
    log_of(me, old[me]);
#endif
#if LOGS_NEW
    log_of(me, value[me]);
#endif
    skip
}

inline log_store()
{
    d_step { pc[me] == READ -> log_values(); old[me] = 0; pc[me] = LOGGED }
}

/* The buffer was full, perhaps: so buffers of every size are tried. */
inline flush_full()
{
    d_step { pc[me] == LOGGED && buffer[me] != 0 -> flush(me) }
}

inline store_logged()
{
    d_step {
        pc[me] == LOGGED ->
        if
        :: pc[other] == LOGGED && at[other] == at[me] -> witness(RACED)
        :: else
        fi;
        put_value();
        end_store()
    }
}

inline log_exchange()
{
    d_step {
        pc[me] == SWAPPED ->
        log_values();
        if
        :: old[me] != null -> take(me, old[me])
        :: else
        fi;
        end_store()
    }
}

/* ---- All of it ---- */

proctype mutator(byte me)
{
    byte o;
    do
    :: load(1) :: load(2) :: load(3)
    :: forget(A) :: forget(B) :: forget(C)
    :: allocate(A) :: allocate(B) :: allocate(C)
    :: begin(1, null, 0) :: begin(1, A, 0) :: begin(1, B, 0) :: begin(1, C, 0)
    :: begin(2, null, 0) :: begin(2, A, 0) :: begin(2, B, 0) :: begin(2, C, 0)
    :: begin(3, null, 0) :: begin(3, A, 0) :: begin(3, B, 0) :: begin(3, C, 0)
    :: test_again() :: store_fast()
    :: enter_slow_path() :: log_store() :: flush_full() :: store_logged()
#ifdef EXCHANGE
    :: begin(1, null, 1) :: begin(1, A, 1) :: begin(1, B, 1) :: begin(1, C, 1)
    :: begin(2, null, 1) :: begin(2, A, 1) :: begin(2, B, 1) :: begin(2, C, 1)
    :: begin(3, null, 1) :: begin(3, A, 1) :: begin(3, B, 1) :: begin(3, C, 1)
    :: log_exchange()
#endif
#ifdef EXPLICIT_FREE
    :: free_object(A) :: free_object(B) :: free_object(C)
#endif
#ifdef PLAIN_INIT
    :: initialise(1, null) :: initialise(1, A) :: initialise(1, B) :: initialise(1, C)
    :: initialise(2, null) :: initialise(2, A) :: initialise(2, B) :: initialise(2, C)
    :: initialise(3, null) :: initialise(3, A) :: initialise(3, B) :: initialise(3, C)
#endif
#ifdef SHARED_STACKS
    :: read_other(A) :: read_other(B) :: read_other(C)
    :: write_other(A) :: write_other(B) :: write_other(C)
    :: clear_other(A) :: clear_other(B) :: clear_other(C)
#endif
#ifdef GLOBAL
    :: read_global()
    :: write_global(null) :: write_global(A) :: write_global(B) :: write_global(C)
#endif
#ifdef WEAK
    :: set_weak(A) :: set_weak(B) :: set_weak(C)
    :: read_weak() :: return_weak()
#endif
    od
}
