/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The life of one action, for spin: two gateways that hold it, join it, take
 * votes for it and forward it; their crashes and retries; Redis with a replica
 * that lags, a failover, and somebody without keys who writes to Redis.  A
 * gateway may crash after it has made the action, and before that is on record.
 *
 * Needs two approvals, of two persons; a denial of one ends it.
 *
 * Worlds, one of:
 *   HONEST    Redis does what it was told
 *   FAILOVER  once the replica becomes the primary, with what it has by then
 *   HOSTILE   somebody puts back what was there before, deletes, moves deadlines,
 *             and writes any decision or vote that was ever signed, or is forged
 *   BARE      a bot with Redis only decides, and changes its mind
 *             (approval_unsigned_decisions)
 *
 * Each NO_GUARD leaves one guard out: t/model.t wants a counterexample then.
 */

#if !defined(HONEST) && !defined(FAILOVER) && !defined(HOSTILE) \
    && !defined(BARE)
#error "no world"
#endif


#define G_BINDING      1   /* decide.c: the decision is this action's        */
#define G_VERIFY       1   /* decide.c: it is signed                         */
#define G_EXP          1   /* decide.c: it says itself until when it is good */
#define G_MATCH        1   /* consume.lua: it is still what was verified     */
#define G_ONCE         1   /* consume.lua: from pending or approved only     */
#define G_DEADLINE     1   /* consume.lua: not overdue, by Redis' clock      */
#define G_FREEZE       1   /* consume.lua: nothing is frozen                 */
#define G_CONSUME      1   /* it is taken before it is forwarded             */
#define G_SPENT        1   /* model/ends.c: what it has forwarded            */
#define G_VOTE_VERIFY  1   /* desk/votes.c: votes are signed                 */
#define G_QUORUM       1   /* core/quorum.c                                  */
#define G_CAS          1   /* vote.lua: over the votes that were judged      */
#define G_VOTE_STATE   1   /* vote.lua: pending, and not decided             */
#define G_VOTE_DEADLINE 1  /* vote.lua: not overdue                          */
#define G_SEEN         1   /* model/ends.c: what it has seen end             */
#define G_SEALED       1   /* desk/view.c: the deadline is in the document   */
#define G_WAIT         1   /* store/replicas.c, with replicas=               */
#define G_ANNOUNCE     1   /* announce.lua: who joins it has it recorded     */

#ifdef NO_BINDING
#undef G_BINDING
#define G_BINDING 0
#endif
#ifdef NO_VERIFY
#undef G_VERIFY
#define G_VERIFY 0
#endif
#ifdef NO_EXP
#undef G_EXP
#define G_EXP 0
#endif
#ifdef NO_MATCH
#undef G_MATCH
#define G_MATCH 0
#endif
#ifdef NO_ONCE
#undef G_ONCE
#define G_ONCE 0
#endif
#ifdef NO_DEADLINE
#undef G_DEADLINE
#define G_DEADLINE 0
#endif
#ifdef NO_FREEZE
#undef G_FREEZE
#define G_FREEZE 0
#endif
#ifdef NO_CONSUME
#undef G_CONSUME
#define G_CONSUME 0
#endif
#ifdef NO_SPENT
#undef G_SPENT
#define G_SPENT 0
#endif
#ifdef NO_VOTE_VERIFY
#undef G_VOTE_VERIFY
#define G_VOTE_VERIFY 0
#endif
#ifdef NO_QUORUM
#undef G_QUORUM
#define G_QUORUM 0
#endif
#ifdef NO_CAS
#undef G_CAS
#define G_CAS 0
#endif
#ifdef NO_VOTE_STATE
#undef G_VOTE_STATE
#define G_VOTE_STATE 0
#endif
#ifdef NO_VOTE_DEADLINE
#undef G_VOTE_DEADLINE
#define G_VOTE_DEADLINE 0
#endif
#ifdef NO_SEALED
#undef G_SEALED
#define G_SEALED 0
#endif
#ifdef NO_SEEN
#undef G_SEEN
#define G_SEEN 0
#endif
#ifdef NO_WAIT
#undef G_WAIT
#define G_WAIT 0
#endif
#ifdef NO_ANNOUNCE
#undef G_ANNOUNCE
#define G_ANNOUNCE 0
#endif


/*
 * What t/model.t puts before this is of src/model/life.def: the states, UNKNOWN
 * where there is no such action; and MAY(), the transitions of each script.
 * A model that lacks a guard may do others.
 */

#define go(by, to)  assert(!SOUND || MAY(by, P.s, to)); P.s = to


/* what may stand in the decision key, each signed but for the last ones */

#define EMPTY      0
#define APPROVE    1
#define DENY       2
#define EXPIRE     3
#define CANCEL     4
#define OTHERS     5       /* another action's approval */
#define FORGED     6
#define BARE_YES   7
#define BARE_NO    8

/* a gateway's connection that waits for the action */

#define AWAY       0
#define MADE       1       /* it has made the action, and not recorded that */
#define WAITS      2
#define TAKES      3       /* it has read the decision key, and believes it */
#define TAKEN      4       /* consume.lua said ok */
#define FORWARDS   5
#define OVER       6

#define ALICE      1
#define BOB        2
#define BOTH       3


/* what one Redis has */

typedef redis_t {
    byte s;
    byte decision;
    byte yes;              /* approvals: bits by person */
    bit  forged;           /* a vote that nobody signed */
    bit  frozen;
};

redis_t P, R;              /* the primary, the replica */

#ifdef FAILOVER
#define LAGS 1
#else
#define LAGS 0
#endif

bit failed_over;

/* how many connections each gateway has, one after another, and votes it takes;
   how often others write to Redis */

#define TRIES(g)  (2 - g)
#define VOTES(g)  (1 + g)
#define WRITES    2

bit late, lapsed;          /* Redis' clock: past the deadline to decide; past
                              that to use the approval */
bit moved;                 /* somebody has moved the deadlines in Redis */

bit issued;                /* an approval has been signed, and sent */


/* each gateway's own memory, over its workers' crashes */

bit  spent[2];             /* it has forwarded the action */
bit  seen[2];              /* it has seen a limit: a denial, the end, a freeze */


/* what is only asserted about */

bit  made;                 /* an id is made once */
bit  recorded;             /* the trail has the request */
byte given;                /* approvals that persons gave */
byte executed[2];
bit  ended;                /* a limit stood in Redis */


#define when(condition, what)  if :: condition -> what :: else -> skip fi

/* close() of store/action.lua, by whoever finds it due, or ends it */

inline settle(g, by, to, what) {
    go(by, to);
    P.decision = what;
    seen[g] = 1;
    ended = 1;
}


/*
 * consume.lua.  yes: it is taken.  In an honest Redis no limit stands then.
 */

inline consume(g, got, yes) {
    yes = 1;

    when(G_ONCE && P.s != APPROVED && P.s != PENDING, yes = 0);
    when(P.s == UNKNOWN || P.s > EXECUTING, yes = 0);
    when(G_DEADLINE && !moved && P.s == PENDING && late, yes = 0);
    when(G_DEADLINE && !moved && P.s == APPROVED && lapsed, yes = 0);
    when(G_MATCH && P.decision != got, yes = 0);
    when(yes && G_FREEZE && P.frozen, yes = 0; seen[g] = 1);

    if
    :: yes ->
#if defined(HONEST) || defined(BARE)
        assert(!ended);
        assert(!(P.s == PENDING && late) && !(P.s == APPROVED && lapsed));
        assert(P.decision != BARE_NO);
#endif
        when(G_CONSUME, go(BY_consume, EXECUTING))
    :: else -> skip
    fi
}


/* The first byte goes upstream. */

inline forward(g, seen_before, stale) {
    spent[g] = 1;
    executed[g]++;

    assert(executed[g] <= 1);
    assert(!seen_before);
    assert(!stale);

#ifndef BARE
    assert(given == BOTH);
#endif
#ifndef HOSTILE
    assert(recorded);
#endif
#if defined(HONEST) || defined(BARE) || (defined(FAILOVER) && !defined(EACH))
    assert(executed[0] + executed[1] <= 1);
#endif
}


/* vote.lua, by a desk that has judged "yes" of the votes it saw */

inline vote(g, who, out, saw, yes, ok) {
    ok = 1;

    when(P.s == UNKNOWN, ok = 0);
    when(G_VOTE_STATE && (P.s != PENDING || P.decision != EMPTY), ok = 0);
    when(G_VOTE_DEADLINE && late && !moved, ok = 0);
    when(G_SEALED && late && moved, ok = 0);
    when(G_CAS && P.yes != saw, ok = 0);

    if
    :: ok && out -> settle(g, BY_vote, DENIED, DENY)
    :: ok && !out ->
        given = given | who;
        P.yes = P.yes | who;

        if
        :: !G_QUORUM || (yes | who) == BOTH ->
#if defined(HONEST) || defined(HOSTILE)
            assert(!late);
#endif
            issued = 1;
            go(BY_vote, APPROVED);
            P.decision = APPROVE
        :: else -> skip
        fi;

#ifdef HONEST
        assert(!(P.yes == BOTH && P.s == PENDING))
#endif
    :: else -> skip
    fi
}


proctype gateway(byte g) {
    byte hold = AWAY, got = EMPTY, tries = TRIES(g), asks = VOTES(g);
    bit  ok = 0;

    bit  stale = 0, before = 0, epoch = 0;   /* of what it holds */

    byte who = 0, saw = 0, yes = 0;          /* the desk: what it has judged */
    bit  judging = 0, out = 0;

    end: do

    /* create.lua: the action is made, or joined; announce.lua: who joins it
       waits until it is recorded, or records it */

    :: atomic { hold == AWAY && tries > 0 ->
           tries--;

           if
           :: P.frozen -> seen[g] = 1; hold = OVER
           :: !P.frozen && !made -> made = 1; go(BY_create, PENDING); hold = MADE
           :: !P.frozen && made && (P.s == PENDING || P.s == APPROVED) ->
                  when(G_ANNOUNCE, recorded = 1);
                  hold = WAITS
           :: !P.frozen && made && P.s != PENDING && P.s != APPROVED -> skip
           fi
       }

    :: atomic { hold == MADE -> recorded = 1; hold = WAITS }

    /* watch.c: a push, or the sweep; decide.c: what was read is believed, obeyed
       or removed */

    :: atomic { hold == WAITS && P.decision != EMPTY ->
           got = P.decision;
           stale = lapsed;

           if
           :: got == APPROVE && G_EXP && lapsed -> hold = OVER
           :: ((got == APPROVE && !(G_EXP && lapsed)) || got == BARE_YES
               || (got == OTHERS && !G_BINDING)
               || (got == FORGED && !G_VERIFY)) -> hold = TAKES
           :: got == DENY || got == EXPIRE || got == CANCEL ->
                  seen[g] = 1; hold = OVER
           :: got == BARE_NO ->
                  when(P.s == PENDING, settle(g, BY_settle, DENIED, DENY));
                  hold = OVER
           :: ((got == OTHERS && G_BINDING) || (got == FORGED && G_VERIFY)) ->
                  P.decision = EMPTY
           fi;

           when(hold != TAKES, got = EMPTY; stale = 0)
       }

    :: atomic { hold == TAKES ->
           consume(g, got, ok);
           got = EMPTY;

           if
           :: ok -> epoch = failed_over; before = seen[g]; hold = TAKEN
           :: !ok && (P.s == PENDING || P.s == APPROVED) && !P.frozen ->
                  hold = WAITS
           :: !ok && !((P.s == PENDING || P.s == APPROVED) && !P.frozen) ->
                  hold = OVER
           fi;

           when(hold != TAKEN, stale = 0);
           ok = 0
       }

    /* consume.c; WAIT, on the connection that consumed: where that is lost, or
       the replica has not got it, nothing is forwarded */

    :: atomic { hold == TAKEN && (!LAGS || !G_WAIT || epoch != failed_over
                                  || R.s == EXECUTING) ->
           if
           :: ((LAGS && G_WAIT && epoch != failed_over) || (G_SPENT && spent[g])
               || (G_SEEN && before)) ->
                  when(P.s == EXECUTING, go(BY_finish, FAILED));
                  hold = OVER
           :: else ->
                  forward(g, before, stale);
                  hold = FORWARDS
           fi;

           before = 0; stale = 0; epoch = 0
       }

    /* finish.lua, or the lease of a worker that died ends: settle.lua */

    :: atomic { hold == FORWARDS ->
           when(P.s == EXECUTING || !G_CONSUME, go(BY_finish, EXECUTED));
           hold = OVER
       }
    :: atomic { hold == AWAY && P.s == EXECUTING && late ->
           go(BY_settle, FAILED)
       }

    /* a worker dies, or a client goes and comes again: what is lost is all but
       the memory that the workers of a gateway share */

    :: atomic { hold != AWAY && tries > 0 ->
           hold = AWAY; got = EMPTY; stale = 0; before = 0; epoch = 0
       }

    /* the desk: it loads the votes, and somebody's is judged with them */

    :: atomic { !judging && asks > 0 && P.s != UNKNOWN ->
           asks--; judging = 1;
           saw = P.yes; yes = P.yes;
           when(P.forged && !G_VOTE_VERIFY, yes = BOTH);

           if :: who = ALICE :: who = BOB fi;
           if :: out = 0 :: out = 1 fi;

#ifndef HONEST
           /* what happens between the two is looked at in that world only */

           vote(g, who, out, saw, yes, ok);
           judging = 0; saw = 0; yes = 0; who = 0; out = 0; ok = 0
#endif
       }
    :: atomic { judging ->
           vote(g, who, out, saw, yes, ok);
           judging = 0; saw = 0; yes = 0; who = 0; out = 0; ok = 0
       }

    /* who finds it overdue; the last one left; an operator freezes */

    :: atomic { !moved && ((P.s == PENDING && late)
                           || (P.s == APPROVED && lapsed)) ->
           settle(g, BY_settle, EXPIRED, EXPIRE)
       }
    :: atomic { g == 0 && P.s == PENDING && hold == AWAY && tries == 0 ->
           settle(g, BY_leave, CANCELLED, CANCEL)
       }
    :: atomic { g == 0 && made && !P.frozen && !seen[g] ->
           P.frozen = 1; seen[g] = 1; ended = 1;
           if
           :: P.s == PENDING -> settle(g, BY_settle, CANCELLED, CANCEL)
           :: skip
           fi
       }
    od
}


/* the deadlines pass */

active proctype clock() {
    end: do
    :: !late -> late = 1
    :: P.s == APPROVED && !lapsed -> lapsed = 1
    od
}


#ifdef FAILOVER

/* what the primary has reaches the replica, late */

active proctype replica() {
    end: do
    :: d_step { !failed_over ->
           R.s = P.s; R.decision = P.decision; R.yes = P.yes;
           R.frozen = P.frozen
       }
    :: d_step { !failed_over ->
           P.s = R.s; P.decision = R.decision; P.yes = R.yes;
           P.frozen = R.frozen;
           failed_over = 1
       }
    :: d_step { failed_over && (R.s != P.s) -> R.s = P.s }
    od
}

#endif


#ifdef HOSTILE

/*
 * What was there before is among what can be written: an action put back to
 * pending or approved, with any decision that was sent, with or without the
 * votes that were given.
 */

active proctype mallory() {
    byte n = 0;

    end: do
    :: atomic { n < WRITES && made -> n++;
           if
           :: if :: P.s = UNKNOWN :: P.s = PENDING :: P.s = APPROVED fi;
              if
              :: P.decision = EMPTY
              :: P.decision = FORGED
              :: P.decision = OTHERS
              :: issued -> P.decision = APPROVE
              fi;
              if :: P.yes = 0 :: P.yes = given fi
           :: P.frozen -> P.frozen = 0
           :: !moved -> moved = 1
           :: !P.forged -> P.forged = 1
           fi
       }
    od
}

#endif


#ifdef BARE

active proctype bot() {
    byte n = 0;

    end: do
    :: atomic { n < WRITES && (P.s == PENDING || P.s == APPROVED) -> n++;
           if :: P.decision = BARE_YES :: P.decision = BARE_NO fi
       }
    od
}

#endif


init {
    atomic { run gateway(0); run gateway(1) }
}
