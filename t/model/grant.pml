/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * A grant that is good for two uses, for spin: two gateways use it, one revokes
 * it.  Worlds and guards as in life.pml.
 */

#define G_USES    1    /* create.lua counts uses, and ends with the last    */
#define G_REVOKE  1    /* revoke.lua removes it                             */
#define G_SEEN    1    /* each gateway remembers uses and revocations:
                          model/ends.c                                      */

#ifdef NO_USES
#undef G_USES
#define G_USES 0
#endif
#ifdef NO_REVOKE
#undef G_REVOKE
#define G_REVOKE 0
#endif
#ifdef NO_SEEN
#undef G_SEEN
#define G_SEEN 0
#endif

#define MOST   2
#define TRIES  3

/* in Redis */

bit  there = 1;
byte used;

/* in each gateway's memory */

byte own[2];               /* how often it has used it */
bit  revoked[2];

/* only asserted about */

bit ended;


proctype gateway(byte g) {
    byte tries = TRIES;
    bit  taken = 0, before = 0;

    end: do
    :: atomic { !taken && tries > 0 -> tries--;
           if
           :: there && (!G_USES || used < MOST) ->
                  used++;
                  taken = 1;
                  before = revoked[g];
#ifdef HONEST
                  assert(!ended);
#endif
                  if
                  :: G_USES && used >= MOST -> there = 0
                  :: else -> skip
                  fi
           :: else -> skip
           fi
       }
    :: atomic { taken ->
           if
           :: G_SEEN && (own[g] >= MOST || before) -> skip
           :: else ->
                  own[g]++;
                  assert(own[g] <= MOST);
                  assert(!before);
#ifdef HONEST
                  assert(own[0] + own[1] <= MOST)
#endif
           fi;
           taken = 0; before = 0
       }

    /* a worker dies */

    :: atomic { taken -> taken = 0; before = 0 }

    :: atomic { g == 0 && !revoked[g] ->
           revoked[g] = 1;
           ended = 1;
           if :: G_REVOKE -> there = 0 :: else -> skip fi
       }
    od
}


#ifdef HOSTILE

active proctype mallory() {
    byte n = 0;

    end: do
    :: atomic { n < 3 -> n++; if :: used = 0 :: there = 1; used = 0 fi }
    od
}

#endif


init {
    atomic { run gateway(0); run gateway(1) }
}
