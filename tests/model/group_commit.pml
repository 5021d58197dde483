/* SPDX-License-Identifier: BSD-3-Clause */
/* group_commit.pml: reserve, fill, publish, commit, wake, as docs/concurrency.md describes them, small enough that
 * every interleaving can be looked at. The steps are named [M1] to [M18]; the C code names them where it takes them,
 * and tests/model/check_steps.py holds the two lists together.
 *
 * What is left out: payloads (a bit says whether a slot is filled), time (whoever looks again and again in C is a
 * process here that blocks until a look would find something), weak memory (the model is sequentially consistent;
 * ThreadSanitizer looks at the orders). What is proved, for the casts at the end of this file:
 *
 *   - a record that was acknowledged is flushed, and nothing below the durable point is not;
 *   - what the leader folds, and what a reader is shown, is filled;
 *   - the frontier never passes a slot that is not published, and nobody touches a segment that is not mapped;
 *   - one leader at a time;
 *   - everybody comes to an end: nobody waits for a wake-up that will never come (no invalid end states).
 *
 * PLANTED=n in the environment of the checker plants fault n (see run_model.py), CAST=n picks one cast. */
c_decl {
\#include <stdlib.h>
}

#define SEG 3       /* places in a segment; a record takes one or two */
#define PLACES 15   /* in all the segments a run can reach */
#define RING 2      /* segments mapped at once */
#define THREADS 3   /* that can sleep */

#define OPEN 1      /* record words: 0 nobody was here; reserved; */
#define PUBLISHED 2

#define AWAKE 0
#define REMEMBERS 1 /* what `commits` was; it has not changed since */
#define OUTDATED 2  /* it has */
#define ASLEEP 3    /* queued by the kernel, which found it unchanged */

byte planted, cast;                      /* from the environment; constant */
bool mayFail, mayRefuse, marks, reading; /* what this cast goes through; constant */

byte tail, ready = SEG, durable, frontier;
byte word[PLACES], size[PLACES];
bool filled[PLACES], flushed[PLACES], lost[PLACES]; /* lost: called clean by a flush that failed */
byte low, high = 1;        /* segments mapped: [low, high) */
bool leader, failed;
byte leaders;              /* how many believe that they lead */
byte followers;
byte nap[THREADS];         /* what each knows of `commits` */
byte asked;                /* sync_wanted: 1 somebody asked, 2 the helper must look again */
byte refusals;             /* the disk was full so often */
byte debtFrom, debtTo;     /* given up beyond `ready` */
byte liveDurable, waiters; /* for other processes, in the control file */
byte liveNap;
byte running;              /* threads that are not at their end */

#define MAPPED(at) assert((at) / SEG >= low && (at) / SEG < high)
#define MIN(a, b) (((a) < (b)) -> (a) : (b))
#define FOLDS(limit) (frontier < limit && (word[frontier] == PUBLISHED || (planted == 8 && word[frontier] == OPEN)))

/* ---- slots */

/* [M5] publish: one store, with release. */
inline publish(where, bytes)
{
    d_step {
        MAPPED(where);
        size[where] = bytes;
        word[where] = PUBLISHED
    }
}

inline fill(where)
{
    d_step {
        MAPPED(where);
        filled[where] = true
    }
}

/* A pad has no payload that could be missing. */
inline pad(where, bytes)
{
    d_step {
        MAPPED(where);
        filled[where] = true;
        size[where] = bytes;
        word[where] = PUBLISHED
    }
}

/* ---- wake-ups */

/* [M11] wake: `commits` changes, then a look at the count. */
inline wake()
{
    d_step {
        nap[0] = ((nap[0] == REMEMBERS) -> OUTDATED : nap[0]);
        nap[1] = ((nap[1] == REMEMBERS) -> OUTDATED : nap[1]);
        nap[2] = ((nap[2] == REMEMBERS) -> OUTDATED : nap[2])
    };
    d_step {
        if
        :: followers != 0 ->
            nap[0] = ((nap[0] == ASLEEP) -> AWAKE : nap[0]);
            nap[1] = ((nap[1] == ASLEEP) -> AWAKE : nap[1]);
            nap[2] = ((nap[2] == ASLEEP) -> AWAKE : nap[2])
        :: else
        fi
    }
}

/* [M12] The same for readers in other processes, over the control file. */
inline wakeReaders()
{
    if
    :: reading ->
        liveNap = ((liveNap == REMEMBERS) -> OUTDATED : liveNap);
        liveNap = ((liveNap == ASLEEP && waiters != 0) -> AWAKE : liveNap)
    :: else
    fi
}

/* [M15] latch: the failure, then `ready`, then everybody who sleeps. */
inline latch()
{
    failed = true;
    ready = 0;
    wake()
}

/* ---- the leader */

/* [M6] lead: compare and swap. */
inline lead(won)
{
    atomic {
        if
        :: !leader || planted == 7 -> leader = true; leaders++; assert(leaders == 1); won = true
        :: else
        fi
    }
}

/* [M10] resign: first free, then those who wait are told. */
inline resign()
{
    atomic { leader = false; leaders--; won = false };
    if
    :: planted == 2 || planted == 3
    :: else -> wake()
    fi
}

/* [M9] advance: the durable point moves, for this process, then for others; never before the flush. */
inline advance()
{
    d_step {
        durable = frontier;
        i = 0;
        do
        :: i < durable -> assert(flushed[i]); i++
        :: else -> break
        od;
        i = 0
    };
    if
    :: reading -> liveDurable = frontier; wakeReaders()
    :: else
    fi
}

/* [M8] persist: what the frontier has passed. After a failure it is clean, and no later flush writes it. */
inline persist(succeeds)
{
    d_step {
        i = durable;
        do
        :: i < frontier ->
            MAPPED(i);
            flushed[i] = succeeds && !lost[i];
            lost[i] = !succeeds;
            i++
        :: else -> break
        od;
        i = 0
    }
}

/* A mark never waits, does not cross, and is not written where somebody was faster. */
inline mark()
{
    atomic { a = tail; tail++; assert(tail <= PLACES) };
    fill(a);
    publish(a, 1);
    a++;
    do
    :: atomic { FOLDS(a) -> MAPPED(frontier); assert(filled[frontier]); frontier = frontier + size[frontier] }
    :: atomic { !FOLDS(a) -> break }
    od
}

/* One round up to `end`. [M7] fold: over what is published, up to the limit, and no further. */
inline round(end)
{
    atomic { a = (failed -> 0 : MIN(end, ready)) }; /* what is not prepared has no address */
    do
    :: atomic {
           FOLDS(a) ->
           MAPPED(frontier);
           assert(word[frontier] == PUBLISHED);
           assert(filled[frontier]);
           frontier = frontier + size[frontier]
       }
    :: atomic { !FOLDS(a) -> break }
    od;
    if
    :: marks && frontier > durable && tail / SEG == frontier / SEG && tail + 1 <= ready -> mark()
    :: else
    fi;
    if
    :: atomic { failed || frontier == durable -> a = 0 }
    :: atomic { else -> a = 0 };
        if
        :: planted == 5 -> advance() /* said first, then done */
        :: planted == 2 -> wake()    /* woken first, and not again when it is true */
        :: else
        fi;
        if
        :: mayFail ->
            persist(false);
            if
            :: planted == 6 -> persist(true); advance() /* tried again */
            :: else -> latch()
            fi
        :: persist(true); advance()
        fi
    fi
}

/* ---- those who wait */

/* [M13] Remember `commits`, count oneself; [M14] then look; sleep only if `commits` is still the same. */
inline follow(end, mayLead)
{
    if
    :: planted != 1 -> nap[me] = REMEMBERS; followers++
    :: else
    fi;
    atomic { won = (mayLead && !leader && planted != 4) };
    if
    :: atomic { !won && durable < end && !failed ->
           if
           :: planted == 1 -> skip; nap[me] = REMEMBERS; followers++ /* it looked before */
           :: else
           fi
       };
       d_step { nap[me] = ((nap[me] == REMEMBERS) -> ASLEEP : AWAKE) }; /* the kernel compares and queues at once */
       atomic { nap[me] == AWAKE -> followers-- }
    :: atomic { else ->
           if
           :: planted != 1 -> followers--
           :: else
           fi;
           nap[me] = AWAKE;
           won = false
       }
    fi
}

/* stele_sync(): lead or follow until it is true. Behind an open slot one looks again and again: here, blocks until a
 * look would find something. */
inline syncUntil(end)
{
    do
    :: atomic { durable >= end || failed -> break }
    :: else ->
        lead(won);
        if
        :: won ->
            round(tail);
            resign();
            durable >= end || failed || leader || word[durable] == PUBLISHED
        :: else -> follow(end, true)
        fi
    od
}

/* ---- appending */

/* A reserved place that nobody will use: what is mapped is padded now, the rest is a debt. Under the space lock. */
inline giveUp(bytes)
{
    atomic {
        if
        :: failed
        :: !failed && at < ready ->
            filled[at] = true;
            size[at] = ready - at;
            word[at] = PUBLISHED;
            debtFrom = ready;
            debtTo = at + bytes
        :: else ->
            debtFrom = ((debtTo == 0 || at < debtFrom) -> at : debtFrom);
            debtTo = ((at + bytes > debtTo) -> at + bytes : debtTo)
        fi
    }
}

/* [M1] look at `ready`; [M2] add to the tail; [M3] wait for the segment, or give up. */
inline reserve(bytes)
{
    do
    :: atomic { true -> before = refusals; a = tail + bytes };
       if
       :: atomic { ready >= a -> a = 0 }
       :: atomic { failed || (ready < a && refusals > before) -> a = 0; before = 0; goto done }
       fi;
       atomic { at = tail; tail = tail + bytes; assert(tail <= PLACES) };
       if
       :: atomic { ready >= at + bytes -> before = 0 }
       :: atomic { failed || (ready < at + bytes && refusals > before) -> before = 0; giveUp(bytes); goto done }
       fi;
       if
       :: atomic { at / SEG == (at + bytes - 1) / SEG -> break }
       :: else -> /* [M4] cross: both sides are padded, everybody behind is in the new segment */
           pad(at, SEG - at % SEG);
           a = (at / SEG + 1) * SEG;
           pad(a, at + bytes - a);
           atomic { a = 0; at = 0 }
       fi
    od
}

/* Appends records and waits for each: by stele_sync(), or (`asks`) by asking the helper and waiting without leading.
 * `slots`: through stele_reserve(), with an open word in between. */
proctype appender(byte me, bytes, count; bool slots, asks)
{
    byte at, a, i, before;
    bool won;
    do
    :: atomic { count == 0 -> break }
    :: atomic { else -> count-- };
        reserve(bytes);
        if
        :: slots -> d_step { MAPPED(at); word[at] = OPEN; size[at] = bytes }
        :: else
        fi;
        if
        :: planted == 9 -> publish(at, bytes); fill(at)
        :: else -> fill(at); publish(at, bytes)
        fi;
        if
        :: asks ->
            asked = 1;
            do
            :: atomic { durable >= at + 1 || failed -> break }
            :: else -> follow(at + 1, false)
            od
        :: else -> syncUntil(at + 1)
        fi;
        atomic {
            if
            :: durable >= at + 1 -> assert(flushed[at]); at = 0 /* acknowledged */
            :: else -> assert(failed); break
            fi
        }
    od;
done:
    atomic { at = 0; running-- }
}

/* One who makes a hole, and gives its slot up late. Everybody behind it waits for it. */
proctype abandoner(byte bytes)
{
    byte at, a, before;
    reserve(bytes);
    atomic { MAPPED(at); word[at] = OPEN; size[at] = bytes };
    pad(at, bytes);
done:
    atomic { at = 0; running-- }
}

/* [M16] The helper opens a segment: ring entry and debts first, `ready` last. */
inline open()
{
    if
    :: planted == 10 -> ready = ready + SEG; high++
    :: else ->
        high++;
        atomic { /* under the space lock */
            if
            :: debtTo > debtFrom && planted != 11 ->
                a = MIN(debtTo, ready + SEG);
                pad(debtFrom, a - debtFrom);
                debtFrom = a
            :: else
            fi;
            if
            :: debtFrom == debtTo -> debtFrom = 0; debtTo = 0
            :: else
            fi;
            a = 0;
            if
            :: !failed -> ready = ready + SEG
            :: else
            fi
        }
    fi
}

/* [M17] It serves those who asked, and commits what is full. */
inline serve()
{
    lead(won);
    if
    :: won ->
        atomic { asked = 0; upto = tail };
        round(upto);
        a = durable;
        resign();
        if
        :: !failed && a < MIN(upto, ready) && planted != 12 -> asked = 2 /* a slot was open: again */
        :: else
        fi;
        atomic { upto = 0; a = 0 }
    :: else
    fi
}

proctype helper()
{
    byte a, i, upto;
    bool won;
    do
    :: tail / SEG + 1 >= high && high - low < RING && !failed && (high + 1) * SEG <= PLACES ->
        if
        :: mayRefuse && refusals == 0 -> refusals++
        :: open()
        fi
    :: (asked == 1 || (asked == 2 && word[durable] == PUBLISHED)) && !leader && !failed -> serve()
    :: durable < tail / SEG * SEG && word[durable] == PUBLISHED && !leader && !failed ->
        lead(won);
        if
        :: won -> upto = tail / SEG * SEG; round(upto); resign(); upto = 0
        :: else
        fi
    :: (durable >= (low + 1) * SEG || (planted == 13 && tail >= (low + 1) * SEG)) && low < high && !failed ->
        low++ /* [M18] retire: nobody comes back below the durable point */
    :: running == 0 -> break
    od
}

/* In another process: waits until everything below `upto` is durable, asleep on the control file's `commits`. */
proctype reader(byte upto)
{
    byte at;
    do
    :: atomic { at >= upto -> break }
    :: else ->
        if
        :: planted != 14 -> liveNap = REMEMBERS
        :: else
        fi;
        if
        :: atomic {
               at < liveDurable ->
               assert(word[at] == PUBLISHED && filled[at] && flushed[at]);
               at = at + size[at];
               liveNap = AWAKE
           }
        :: else ->
            if
            :: planted == 14 -> liveNap = REMEMBERS /* it looked before */
            :: else
            fi;
            waiters++;
            liveNap = ((liveNap == REMEMBERS) -> ASLEEP : AWAKE);
            atomic { liveNap == AWAKE -> waiters-- }
        fi
    od
}

#define CAST(n) (cast == 0 || cast == n)

init
{
    atomic {
        c_code {
            now.planted = getenv("PLANTED") ? (unsigned char) atoi(getenv("PLANTED")) : 0;
            now.cast = getenv("CAST") ? (unsigned char) atoi(getenv("CAST")) : 0;
        };
        if
        :: CAST(1) -> /* two who append and sync, and a reader who sleeps in another process */
            reading = true;
            running = 2;
            run appender(0, 1, 1, false, false);
            run appender(1, 1, 1, true, false);
            run reader(1)
        :: CAST(2) -> /* over the ends of segments, with crossing records, and one who follows without leading */
            running = 2;
            run appender(0, 2, 2, false, false);
            run appender(1, 1, 1, false, true);
            run helper()
        :: CAST(3) -> /* one who only asks, behind a slot that is given up late */
            running = 2;
            run abandoner(1);
            run appender(0, 1, 2, true, true);
            run helper()
        :: CAST(4) -> /* any flush may fail */
            mayFail = true;
            running = 2;
            run appender(0, 1, 1, true, false);
            run appender(1, 1, 1, false, true);
            run helper()
        :: CAST(5) -> /* the disk is full once */
            mayRefuse = true;
            running = 2;
            run appender(0, 2, 2, false, false);
            run appender(1, 2, 1, false, false);
            run helper()
        :: CAST(6) -> /* a mark with every commit */
            marks = true;
            running = 2;
            run appender(0, 1, 1, false, false);
            run appender(1, 1, 1, false, true);
            run helper()
        :: CAST(7) -> /* three who append and sync */
            running = 3;
            run appender(0, 1, 1, false, false);
            run appender(1, 1, 1, false, false);
            run appender(2, 1, 1, false, false)
        fi
    }
}
