/*
 * One lane: commit, reclaim, claim, and SIGKILL between any two steps.
 *
 * Two owners compete for the lane's lock, dying at any moment and coming back;
 * a helper reads and gives back, dying too; a third reads {tail, ordinal} as
 * beacon_lane_tail() does.  Positions count records of one unit; the lane has
 * SIZE units.  Stores of a process are seen in their order: what weaker
 * memory would add is excluded by release and acquire, which ThreadSanitizer
 * watches over.  A record is two stores, so that half of one can be met.
 *
 *     spin -a ring.pml && cc -O2 -DSAFETY -o pan pan.c && ./pan
 *
 * -DBUG=1..4 makes the mistakes that the model has to find.
 */

#ifndef SIZE
#define SIZE    2
#endif
#ifndef HITS
#define HITS    3           /* then owners stop */
#endif
#ifndef DEATHS
#define DEATHS  1           /* of owners and of helpers, each */
#endif

#ifndef BUG
#define BUG     0
#endif

byte tail, reclaim, reclaim_ordinal;
byte commit_tail[2], commit_ordinal[2];

/* the lane's bytes: a record's position and its payload, 0 half-written */
byte offset[SIZE], payload[SIZE];

bool locked;                /* the lane's OFD lock */
bool helped;                /* beacond.lock; one helper at a time */
byte deaths, helper_deaths;
byte seen;                  /* hits that any helper has read: must be 0, 1, .. */

/*
 * An owner.  Its position is also its ordinal here, so commit_ordinal can be
 * held against tail.  Dying gives the lock back: at each "die" point.
 */
#define die(lock, count)                                                      \
    if                                                                        \
    :: count < DEATHS -> d_step { count++; lock = false }; goto again         \
    :: true                                                                   \
    fi

proctype owner()
{
    byte t, o, slot, r;

again:
    atomic { !locked -> locked = true };

    /* claim: everything is read under the lock */

#if BUG == 1
    /* as if tail had been read before the lock was taken */
    t = (tail > 0 -> tail - 1 : 0);
#else
    t = tail;
#endif

    if
    :: commit_tail[0] == t -> slot = 1; o = commit_ordinal[0]
    :: else -> slot = 0; o = commit_ordinal[1]
    fi;

    assert(o == t);
    r = reclaim;

    do
    :: t == HITS -> break
    :: else ->
        die(locked, deaths);

        /* room? */

        if
        :: t - r >= SIZE ->
            r = reclaim;
            assert(t - r <= SIZE)
        :: else
        fi;

        if
        :: t - r >= SIZE -> skip            /* full: refused */
        :: else ->

            /* a record in two stores; the reader must never meet half */

            payload[t % SIZE] = 0;
            die(locked, deaths);
            offset[t % SIZE] = t;
#if BUG == 2
            tail = t + 1;
            die(locked, deaths);
#endif
            payload[t % SIZE] = t + 1;
            die(locked, deaths);

            commit_tail[slot] = t + 1;
            die(locked, deaths);
            commit_ordinal[slot] = o + 1;
            die(locked, deaths);

            tail = t + 1;                   /* the commit */

            t++;
            o++;
#if BUG != 3
            slot = 1 - slot
#endif
        fi
    od;

    locked = false
}

/* The helper: reads what is there, gives it back; its successor goes on. */
proctype helper()
{
    byte t, c, o;

again:
    atomic { !helped -> helped = true };

    /* beacon_lane_reclaimed(): the record, or the tail, knows the ordinal */

    c = reclaim;
    t = tail;

    if
    :: c != t -> o = payload[c % SIZE] - 1; assert(offset[c % SIZE] == c)
    :: else -> o = c                        /* the pair: see pair() */
    fi;

    assert(o == c);

    do
    :: c == HITS -> break
    :: else ->
        t = tail;
        assert(t - reclaim <= SIZE);

        if
        :: c == t -> skip
        :: else ->
            die(helped, helper_deaths);

            assert(offset[c % SIZE] == c && payload[c % SIZE] == c + 1);

            if
            :: c == seen -> seen++
            :: else -> assert(c < seen)     /* again, after a death */
            fi;

            c++;
            die(helped, helper_deaths);

#if BUG == 4
            /* gives back what it has not read */
            reclaim = c + (c < tail -> 1 : 0);
#else
            reclaim_ordinal = c;
            die(helped, helper_deaths);
            reclaim = c
#endif
        fi
    od;

    helped = false
}

/* beacon_lane_pair(): the slot whose tail is the lane's, looked at again. */
proctype pair()
{
    byte t, i, o, n;

    do
    :: n == 1 -> break
    :: else ->
        t = tail;
        i = 0;

        if
        :: commit_tail[0] == t -> i = 0
        :: else ->
            if
            :: commit_tail[1] == t -> i = 1
            :: else -> i = 2
            fi
        fi;

        if
        :: i == 2 ->
            /* neither: only if the tail has moved on */
            assert(tail != t)
        :: else ->
            o = commit_ordinal[i];

            if
            :: commit_tail[i] == t -> assert(o == t); n++
            :: else                         /* it changed hands: try again */
            fi
        fi
    od
}

init {
    atomic {
        run owner();
        run owner();
        run helper();
        run pair()
    }
}
