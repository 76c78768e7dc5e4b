
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Shared by the files of the verifier.
 */


#ifndef APPROVAL_VERIFY_INTERNAL_H
#define APPROVAL_VERIFY_INTERNAL_H


#include "core/quorum.h"
#include "core/verify.h"


#define APPROVAL_VERIFY_RECENT    64      /* records, and ...             */
#define APPROVAL_VERIFY_POINTS    64      /* ... checkpoints, per writer  */
#define APPROVAL_VERIFY_REST      4       /* of each, after its end       */
#define APPROVAL_VERIFY_LIVE      4096    /* writers that may continue    */
#define APPROVAL_VERIFY_BUCKETS   16384   /* a power of two               */
#define APPROVAL_VERIFY_ENDED     8192    /* actions that are over        */
#define APPROVAL_VERIFY_OPEN      65536   /* ... that are not             */
#define APPROVAL_VERIFY_USES      64      /* of a grant, not executed yet */
#define APPROVAL_VERIFY_SEATS     256     /* groups of all require lines  */
#define APPROVAL_VERIFY_FREEZES   256     /* and thaws                    */
#define APPROVAL_VERIFY_CLOCK     1000    /* ms, not reported             */


typedef struct {
    uint64_t                     seq;
    unsigned char                hash[APPROVAL_SHA256_LEN];
} approval_point_t;


/* A head known from elsewhere whose record has not been read yet. */

typedef enum {
    APPROVAL_EXPECT_TOLD = 0,             /* half of a hash, unsigned     */
    APPROVAL_EXPECT_PEER,                 /* cited by another writer      */
    APPROVAL_EXPECT_SIGNED                /* by the writer itself         */
} approval_expect_e;

typedef struct {
    approval_point_t             point;
    approval_expect_e            kind;
    approval_place_t             place;
} approval_expect_t;


/* What is kept for a chain that continues. */

typedef struct {
    approval_merkle_t            tree;
    approval_point_t             recent[APPROVAL_VERIFY_RECENT];
    approval_point_t             points[APPROVAL_VERIFY_POINTS];
    size_t                       npoints;
} approval_live_t;


typedef struct approval_writer_s  approval_writer_t;

struct approval_writer_s {
    approval_writer_t           *next;    /* in its bucket         */
    approval_writer_t           *before;  /* while it is live: by  */
    approval_writer_t           *after;   /* who was heard last    */
    char                         id[APPROVAL_WRITER_LEN + 1];
    char                         kid[APPROVAL_KID_LEN + 1];
    uint64_t                     seq;     /* 0: only heard of      */
    int64_t                      time;    /* ms, of the last one   */
    unsigned char                hash[APPROVAL_SHA256_LEN];
    approval_place_t             place;   /* of the last record    */
    uint64_t                     covered; /* by its signatures     */
    approval_live_t             *live;    /* NULL: not begun, or over */
    approval_point_t            *rest;    /* when it is over       */

    approval_expect_t           *expects; /* by seq                */
    size_t                       nexpects;
    size_t                       size;
    size_t                       passed;

    unsigned                     keyed:1; /* "open" names its key  */
    unsigned                     partial:1;
    unsigned                     closed:1;
    unsigned                     ended:1; /* by a checkpoint       */
};


typedef struct approval_act_s  approval_act_t;


/* Texts of unlimited length are kept as their hashes. */

typedef struct {
    unsigned char                md[APPROVAL_SHA256_LEN];
} approval_hashed_t;


typedef struct {
    approval_hashed_t            person;
    approval_hashed_t            digest;
    char                        *groups;
    approval_place_t             place;
    char                         act;     /* of approve, deny, comment */
    unsigned                     glass:1;
    unsigned                     blank:1; /* without a comment     */
    json_t                      *signed_by; /* a passkey: its claims */
} approval_ballot_t;


/* A group that may fill a place of a line of "require". */

typedef struct {
    approval_hashed_t            group;
    unsigned                     line;
} approval_seat_t;


/* A freeze, or its end, of a policy or a requester; times by Redis' clock. */

typedef struct {
    approval_hashed_t            scope;
    int64_t                      from;
    int64_t                      until;
    unsigned                     policy:1;
    unsigned                     thaw:1;
} approval_freeze_t;


/* The use of an approval, by a record of "approved". */

typedef struct {
    approval_place_t             at;
    approval_writer_t           *by;      /* NULL: not used        */
    approval_hashed_t            facts;
    unsigned                     early:1; /* executed before       */
} approval_taken_t;


/* One action, from its request until some time after its end. */

struct approval_act_s {
    approval_act_t              *next;    /* in its bucket         */
    approval_act_t              *before;  /* in its list           */
    approval_act_t              *after;
    char                         id[APPROVAL_ID_LEN + 1];
    approval_hashed_t            person;
    approval_hashed_t            behalf;
    approval_hashed_t            digest;
    unsigned                     need[APPROVAL_QUORUM_LINES];
    size_t                       nlines;
    unsigned                     deny_after;
    approval_seat_t             *seats;
    size_t                       nseats;
    approval_ballot_t           *ballots;
    size_t                       nballots;
    json_t                      *by;      /* of the decision       */
    json_t                      *denied_by;
    approval_hashed_t            glass_group;
    approval_hashed_t            scope;   /* of what it asks ...   */
    approval_hashed_t            used;    /* ... and of its uses   */
    approval_hashed_t            request; /* its whole record      */
    approval_hashed_t            asked;   /* the request           */
    approval_hashed_t            decided;
    approval_hashed_t            refused;
    approval_taken_t             use;     /* of its approval       */
    approval_taken_t             other;   /* an earlier one        */
    approval_hashed_t            outcome; /* of "executed"         */
    approval_place_t             executed_at;
    approval_place_t             denied_at;
    approval_place_t             granted_at;
    approval_writer_t           *executed_by;
    approval_hashed_t           *running; /* uses of its grant     */
    size_t                       nrunning;
    uint64_t                     uses;        /* bits of the first 64     */
    uint64_t                     last;        /* the highest number       */
    uint64_t                     most;        /* 0: any number            */

    unsigned char                shown[APPROVAL_SHA256_LEN];  /* facts    */
    approval_hashed_t            policy;
    int64_t                      deadline;    /* ms by Redis' clock; 0:   */
    int64_t                      decided_at;  /* not known                */
    int64_t                      lapses;
    int64_t                      taken;
    int64_t                      expired;
    int64_t                      remembered;  /* ms                       */
    int64_t                      revoked;
    int64_t                      used_last;   /* of its grant             */
    approval_place_t             used_at;

    unsigned                     requested:1;
    unsigned                     glass:1;     /* one may approve alone    */
    unsigned                     behalf_of:1; /* for somebody else        */
    unsigned                     passkey:1;   /* signs each vote          */
    unsigned                     say_deny:1;  /* denials need a comment   */
    unsigned                     say_all:1;   /* ... and approvals do     */
    unsigned                     remember:1;  /* the approval is a grant  */
    unsigned                     crowded:1;   /* not all seats are kept   */
    unsigned                     approved:1;
    unsigned                     denied:1;
    unsigned                     cancelled:1;
    unsigned                     lost:1;      /* redis lost its execution */
    unsigned                     executed:1;
    unsigned                     granted:1;   /* its grant was used       */
    unsigned                     scoped:1;    /* "used" is set            */
    unsigned                     frozen:1;    /* reported already         */
    unsigned                     outran:1;    /* there may be uses that
                                                 are not kept             */
    unsigned                     ended:1;
};


typedef struct {
    approval_act_t              *first;
    approval_act_t              *last;
    size_t                       n;
} approval_acts_t;


struct approval_verify_s {
    approval_signer_t           *keys;
    approval_found_pt            found;
    void                        *data;

    approval_writer_t           *writers[APPROVAL_VERIFY_BUCKETS];
    approval_writer_t           *last;    /* looked up last */
    approval_writer_t           *silent;  /* the longest of all live */
    approval_writer_t           *heard;
    size_t                       nlive;
    uint64_t                     seeds[2];
    approval_act_t              *acts[APPROVAL_VERIFY_BUCKETS];
    approval_acts_t              open;
    approval_acts_t              ended;

    struct approval_enrolled_s  *enrolled;    /* passkeys                 */
    size_t                       nenrolled;

    approval_freeze_t           *freezes;
    size_t                       nfreezes;    /* all, also dropped ones   */

    uint64_t                     torn;
    uint64_t                     torn_told;
    uint64_t                     unclosed;
    approval_place_t             torn_at;
    approval_checkpoint_t        checkpoint;
    approval_verify_stats_t      stats;

    unsigned                     partial:1;   /* a chain has no start */
    unsigned                     forgot:1;    /* open actions            */
    unsigned                     dropped:1;   /* actions that are over   */
    unsigned                     strayed:1;   /* ... with uses of grants */
    unsigned                     failed:1;    /* no memory               */
};


/* verify.c */
__attribute__((format(printf, 4, 5)))
void approval_verify_found(approval_verify_t *v, approval_found_e what,
    const approval_place_t *place, const char *fmt, ...);

/* verify_writer.c */

/* For an id of a writer or an action, which has 32 hex digits. */
size_t approval_verify_bucket(const approval_verify_t *v, const char *id);

/* NULL: not known, or, from get(), no memory. */
approval_writer_t *approval_verify_writer(approval_verify_t *v,
    const char *id);
approval_writer_t *approval_verify_writer_get(approval_verify_t *v,
    const char *id);
int approval_verify_begin(approval_verify_t *v, approval_writer_t *w);
int approval_verify_heard(approval_verify_t *v, approval_writer_t *w,
    const unsigned char hash[APPROVAL_SHA256_LEN]);
void approval_verify_over(approval_verify_t *v, approval_writer_t *w);

/* The record "seq" of the writer, if it is kept. */
const approval_point_t *approval_verify_point(const approval_writer_t *w,
    uint64_t seq);

/* verify_chain.c */
int approval_verify_expect(approval_verify_t *v, const approval_head_t *head,
    approval_expect_e kind, const approval_place_t *place);
int approval_verify_chain(approval_verify_t *v, const approval_place_t *place,
    json_t *event, const unsigned char hash[APPROVAL_SHA256_LEN],
    const char *type);
void approval_verify_clock(approval_verify_t *v,
    const approval_place_t *place, json_t *event, int64_t ms);
void approval_verify_chains_end(approval_verify_t *v);

/* verify_action.c */
int approval_verify_action(approval_verify_t *v,
    const approval_place_t *place, json_t *event, const char *type);
void approval_verify_act_judge(approval_verify_t *v, approval_act_t *a);

/* verify_request.c: is all there that the rest is judged by? */
int approval_verify_requested(approval_verify_t *v,
    const approval_place_t *place, approval_act_t *a, json_t *event);

/* verify_grant.c */
void approval_verify_grant(approval_verify_t *v, approval_act_t *a,
    const approval_place_t *place, json_t *event);
const char *approval_verify_grant_use(approval_act_t *a, json_t *event,
    json_t *claims);
void approval_verify_grant_used(approval_verify_t *v, approval_act_t *a,
    const approval_place_t *place, json_t *event);
int approval_verify_grant_over(approval_verify_t *v, approval_act_t *a,
    json_t *event);
void approval_verify_grant_judge(approval_verify_t *v, approval_act_t *a);

/* verify_limits.c: a time in ms; 0: it is absent. */
int64_t approval_verify_time(json_t *event, const char *name);
void approval_verify_config(approval_verify_t *v,
    const approval_place_t *place, json_t *event);
void approval_verify_limits_request(approval_verify_t *v, approval_act_t *a,
    json_t *event);
void approval_verify_limits_approved(approval_act_t *a, json_t *event,
    json_t *claims);
void approval_verify_limits_use(approval_verify_t *v, approval_act_t *a,
    const approval_place_t *place, json_t *event);
void approval_verify_limits_judge(approval_verify_t *v, approval_act_t *a);

/* verify_passkey.c */
void approval_verify_passkey_config(approval_verify_t *v,
    const approval_place_t *place, json_t *event);
void approval_verify_passkey_vote(approval_verify_t *v, approval_act_t *a,
    const approval_ballot_t *b);
void approval_verify_passkeys_free(approval_verify_t *v);

/* verify_claims.c: what was signed, and what records say. */
json_t *approval_verify_jws(approval_verify_t *v, const char *typ,
    json_t *token, const char **err);
int approval_verify_same(json_t *claims, const char *name, json_t *event,
    const char *member);
int approval_verify_claim(json_t *claims, const char *name, const char *value);
int approval_verify_names(json_t *event, json_t *claims);

int approval_verify_hash(approval_verify_t *v, const char *text, size_t len,
    approval_hashed_t *hashed);
int approval_verify_hashed(approval_verify_t *v, json_t *value,
    approval_hashed_t *hashed);
int approval_hashed_eq(const approval_hashed_t *one,
    const approval_hashed_t *two);

/* Hashes these members of a record, or of claims. */
int approval_verify_members(approval_verify_t *v, json_t *from,
    const char **names, approval_hashed_t *hashed);

/*
 * facts: of a request, which "approved" and "executed" share, and their writer.
 * scope: the policy, the rule and the type of action.  about, asked: the
 * request that a decision is about, by its claims and by the request.
 */
extern const char  *approval_verify_facts[];
extern const char  *approval_verify_scope[];
extern const char  *approval_verify_about[];
extern const char  *approval_verify_asked[];


/* verify_acts.c: NULL if it is not known; get() creates it. */
approval_act_t *approval_verify_act(approval_verify_t *v, const char *id);
approval_act_t *approval_verify_act_get(approval_verify_t *v, const char *id);
void approval_verify_act_ended(approval_verify_t *v, approval_act_t *a);
void approval_verify_actions_end(approval_verify_t *v);

/* verify_vote.c */
int approval_verify_voted(approval_verify_t *v, const approval_place_t *place,
    approval_act_t *a, json_t *event);
void approval_verify_ballots(approval_verify_t *v, approval_act_t *a);
void approval_verify_quorum(approval_verify_t *v, approval_act_t *a);
void approval_verify_refusal(approval_verify_t *v, approval_act_t *a);
void approval_verify_ballots_free(approval_act_t *a);


#endif /* APPROVAL_VERIFY_INTERNAL_H */
