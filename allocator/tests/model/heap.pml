/*
 * What the threads share: objects, locals, buffers, the barrier's switch. Names of the field are in
 * README.md.
 */

#define NONE 0
#define DELETION 1
#define INSERTION 2
#define HYBRID 3
#ifndef BARRIER
#define BARRIER DELETION
#endif
#ifndef OPS
#define OPS 5
#endif
#ifndef START
#define START 0
#endif

/* ---- Objects and slots ---- */

mtype = { null, C, B, A }; /* numbered from the right: A is 1, null is 4 */

#define FREE 0
#define WHITE 1
#define GREY 2  /* marked, not yet scanned */
#define BLACK 3 /* marked and scanned */

#if BARRIER == INSERTION && !defined(FAULT_BORN_BLACK) || defined(FAULT_BORN_WHITE)
#define BIRTH WHITE /* colour of an object born during marking */
#else
#define BIRTH BLACK
#endif

byte colour[4];      /* of object A, B, C */
byte slot[4] = null; /* what slot 1, 2, 3 points to */

#ifdef FORK /* A.0, B.0, A.1 */
#define owner(s) (s == 3 -> A : s)
#define number(s) (s == 3 -> 1 : 0)
#else /* A.0, B.0, C.0 */
#define owner(s) (s)
#define number(s) 0
#endif

byte weak = null; /* a weak slot; it belongs to no object */

/* ---- Threads ---- */

/* Where a mutator is. From READ on it must not be stopped. */
#define IDLE 0
#define TEST 1      /* at the beginning of a store: will test the switch */
#define TESTED 2    /* found it off: in the restartable section, up to the store itself */
#define SLOW 3      /* found it on: on the way to the slow path */
#define READ 4      /* in the slow path: has read the old value */
#define LOGGED 5    /* has logged */
#define SWAPPED 6   /* has exchanged, and not logged */
#define WEAK_READ 7 /* has read the weak slot, and not logged */

byte pc[2];
byte held[2];   /* locals: the set of objects that they point to */
byte at[2];     /* operands of the store on its way: slot, */
byte value[2];  /* ... new value, */
byte old[2];    /* ... old value */
bit swaps[2];   /* it is an exchange */
byte buffer[2]; /* logged and not yet marked: a set */
byte fresh[2];  /* the object that it has allocated and not shown, if any */
byte global = null;
byte ops = OPS; /* operations that mutators may still begin */

bit barrier; /* the switch */
bit cycling; /* a collection is running */
byte to_do;  /* what is left of its beginning */
byte rest;   /* the marker is in an object; this slot is left */
byte found;  /* ... and has read this pointer from one (EXPLICIT_FREE) */
byte freed;  /* told to sh_free during marking, and not yet swept: a set */

/* WITNESS=...: ends the search where the thing does happen, to show that it is not left out. */
#define RESTARTED 1    /* a stop has sent a store back to its beginning */
#define LOOKED_AGAIN 2 /* a slow path has found the barrier off meanwhile */
#define RACED 3        /* two stores with the barrier, to the same slot at once */
#define RESUMED 4      /* the last stop has found work in a buffer */
#define BORN 5         /* an object is allocated during marking */
#ifdef WITNESS
#define witness(what) assert(WITNESS != what)
#else
#define witness(what) skip
#endif

#define bit_of(o) ((1 << (o)) >> 1)
#define holds(m, o) ((held[m] & bit_of(o)) != 0)
/* Operands are in registers, and these are roots. */
#define is_root(m, o) (holds(m, o) || owner(at[m]) == o || value[m] == o || old[m] == o)

inline take(m, o)
{
    held[m] = held[m] | bit_of(o)
}

inline drop(m, o)
{
    held[m] = held[m] & ~bit_of(o)
}

/* From here on the object is not fresh: others may know it. */
inline publish(o)
{
    if
    :: fresh[0] == o -> fresh[0] = 0
    :: fresh[1] == o -> fresh[1] = 0
    :: else
    fi
}

/* ---- Marks ---- */

/* What sh_free was told is marked like the rest until it is swept: it may be the only way to what
   the program has taken out of it. FAULT_FREED_IGNORED: it counts as free at once. */
#ifdef FAULT_FREED_IGNORED
#define can_be_marked(o) (o != null && colour[o] == WHITE && !(freed & bit_of(o)))
#else
#define can_be_marked(o) (o != null && colour[o] == WHITE)
#endif

inline shade(o)
{
    if
    :: can_be_marked(o) -> colour[o] = GREY
    :: else
    fi
}

/* What is marked already is not logged. */
inline log_of(m, o)
{
    if
    :: o != null && colour[o] == WHITE ->
        buffer[m] = buffer[m] | bit_of(o);
        printf("mutator %d: logs %e\n", m + 1, o)
    :: else
    fi
}

/* Marks what is logged. While nobody marks, that would hide objects from the next collection. */
inline flush(m)
{
    if
    :: buffer[m] != 0 && !barrier ->
        printf("mutator %d: marks what it has logged, but no collection is running\n", m + 1);
        assert(false)
    :: else
    fi;
    for (o : 1 .. 3) {
        if
        :: buffer[m] & bit_of(o) -> shade(o)
        :: else
        fi
    }
    buffer[m] = 0;
    o = 0
}
