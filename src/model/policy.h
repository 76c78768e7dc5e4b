
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The configuration, as all rooms see it.  conf/ creates it, all rooms read it,
 * and nothing changes it after nginx.conf has been read.
 */


#ifndef NGX_HTTP_APPROVAL_POLICY_H
#define NGX_HTTP_APPROVAL_POLICY_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "core/identity.h"
#include "core/ignore.h"
#include "core/keys.h"
#include "core/match.h"
#include "core/quorum.h"
#include "core/redact.h"
#include "event/http/http.h"
#include "request/request.h"


extern ngx_module_t  ngx_http_approval_module;


/* const for all rooms except conf/, which uses the second names. */

typedef const struct ngx_http_approval_policy_s  ngx_http_approval_policy_t;
typedef const struct ngx_http_approval_rule_s    ngx_http_approval_rule_t;
typedef const struct ngx_http_approval_main_conf_s
    ngx_http_approval_main_conf_t;

typedef struct ngx_http_approval_policy_s   ngx_http_approval_policy_conf_t;
typedef struct ngx_http_approval_rule_s     ngx_http_approval_rule_conf_t;
typedef struct ngx_http_approval_main_conf_s  ngx_http_approval_conf_t;
typedef struct ngx_http_approval_channel_s  ngx_http_approval_channel_t;


typedef enum {
    NGX_HTTP_APPROVAL_ALLOW = 0,
    NGX_HTTP_APPROVAL_DENY,
    NGX_HTTP_APPROVAL_REQUIRE
} ngx_http_approval_outcome_e;


typedef enum {
    NGX_HTTP_APPROVAL_RISK_LOW = 0,
    NGX_HTTP_APPROVAL_RISK_MEDIUM,
    NGX_HTTP_APPROVAL_RISK_HIGH,
    NGX_HTTP_APPROVAL_RISK_CRITICAL
} ngx_http_approval_risk_e;


/* comment: which votes need one. */

typedef enum {
    NGX_HTTP_APPROVAL_COMMENT_OPTIONAL = 0,
    NGX_HTTP_APPROVAL_COMMENT_DENY,
    NGX_HTTP_APPROVAL_COMMENT_ALWAYS
} ngx_http_approval_comment_e;


/* vote: how approvers prove their identity when they vote. */

typedef enum {
    NGX_HTTP_APPROVAL_VOTE_BY_ANY = 0,
    NGX_HTTP_APPROVAL_VOTE_BY_PASSKEY
} ngx_http_approval_vote_by_e;


#define NGX_HTTP_APPROVAL_ENFORCE     0
#define NGX_HTTP_APPROVAL_SHADOW      1

#define NGX_HTTP_APPROVAL_STORE_DENY  0
#define NGX_HTTP_APPROVAL_STORE_ALLOW 1

#define NGX_HTTP_APPROVAL_KEEP        0
#define NGX_HTTP_APPROVAL_CANCEL      1


/* The position of a directive, for messages. */

typedef struct {
    u_char                        *file;
    ngx_uint_t                     line;
} ngx_http_approval_at_t;


/* require [N of] GROUP...; */

typedef struct {
    ngx_uint_t                     count;
    ngx_array_t                    groups;      /* of ngx_int_t: people's     */
} ngx_http_approval_require_t;


/* show NAME VALUE; */

typedef struct {
    ngx_str_t                      name;
    ngx_http_approval_fact_t      *fact;
} ngx_http_approval_show_t;


/* escalate TIME CHANNEL...; */

typedef struct {
    ngx_msec_t                     after;
    ngx_array_t                   *channels;    /* as in "notify"             */
    ngx_http_approval_at_t         at;
} ngx_http_approval_escalate_t;


struct ngx_http_approval_rule_s {
    ngx_str_t                      name;
    ngx_str_t                      action;
    ngx_http_approval_policy_t    *policy;
    int                            number;      /* the matcher's              */
    ngx_uint_t                     risk;        /* ..._risk_e                 */
    ngx_uint_t                     outcome;     /* ..._outcome_e              */
    ngx_str_t                      why;         /* deny "why";                */
    ngx_http_approval_fact_t      *summary;     /* NULL: made from the action */
    ngx_array_t                   *shows;       /* of ..._show_t, or NULL     */
    approval_redact_t             *redact;      /* with the policy's defaults */
    ngx_uint_t                     reason;      /* 1: required                */
    ngx_array_t                    facts;       /* of ..._fact_t *: all used
                                                   facts and those of "bind"  */
    const char                    *binds;       /* directive that binds facts,
                                                   or NULL                    */
    ngx_array_t                   *requires;    /* of ..._require_t           */
    ngx_int_t                      deny_after;
    ngx_uint_t                     comment;     /* ..._comment_e              */
    ngx_uint_t                     vote;        /* ..._vote_by_e              */
    ngx_msec_t                     timeout;
    ngx_msec_t                     hold;        /* of the connection          */
    ngx_uint_t                     hold_status; /* if "hold" ends first       */
    ngx_msec_t                     execute_within;
    ngx_msec_t                     remember;    /* approvals; 0: off          */
    ngx_http_approval_fact_t      *remember_per;
    ngx_uint_t                     remember_uses;   /* 0: any number          */
    ngx_int_t                      break_glass; /* a group, or NGX_ERROR      */
    ngx_array_t                   *notify;      /* of ..._channel_t *; while
                                                   parsing: of ngx_str_t      */
    ngx_array_t                   *escalate;    /* of ..._escalate_t, or NULL */
    ngx_msec_t                     remind;      /* 0: off                     */
    ngx_http_approval_at_t         remind_at;
    ngx_uint_t                     mode;
    ngx_uint_t                     mcp;         /* has mcp_tool               */
    ngx_uint_t                     matches;     /* number of "match" lines    */
    ngx_array_t                    conditions;  /* of ..._at_t, by the matcher's
                                                   numbers; while parsing     */
    struct ngx_http_approval_series_s  *series; /* NULL: nothing is counted   */
    ngx_str_t                      class;       /* model/class.h; set if the
                                                   rule has "require"         */
    ngx_str_t                      class_doc;
    u_char                        *conf_file;   /* for messages               */
    ngx_uint_t                     conf_line;
};


/*
 * The compiled matches contain their scratch memory, so only one execution at a
 * time is possible in each worker.
 */

struct ngx_http_approval_policy_s {
    ngx_str_t                      name;
    ngx_uint_t                     def;         /* ..._outcome_e              */
    size_t                         body_limit;
    ngx_flag_t                     strict_path;
    ngx_array_t                    rules;       /* of ..._rule_t *            */
    approval_match_t              *match;
    ngx_array_t                    subjects;    /* of ..._fact_t *, by the
                                                   matcher's subject numbers  */
    ngx_http_approval_facts_t      facts;       /* of all its rules           */
    ngx_http_approval_fact_t      *host;        /* bound by all rules         */
    ngx_http_approval_fact_t      *method;
    ngx_http_approval_fact_t      *path;
    ngx_str_t                      digest;      /* "sha256:...", of the text  */
    approval_buf_t                 text;        /* while parsing only         */
    ngx_http_approval_plain_t      plain;       /* what its rules read        */
    ngx_str_t                      hashes;      /* of its name, in the store;
                                                   if it requires approvals   */
    unsigned                       shadow:1;    /* nothing is enforced; refused
                                                   requests pass as well      */
    unsigned                       quick:1;     /* a plain request is judged
                                                   by its path and method     */
    unsigned                       mcp:1;       /* a rule has mcp_tool        */
    unsigned                       requires:1;  /* a rule requires approvals  */
    unsigned                       reads_json:1;    /* a rule reads a body    */
    unsigned                       used:1;      /* a location uses it         */
    unsigned                       decides:1;   /* a rule that is not in shadow
                                                   requires approvals         */
    u_char                        *conf_file;
    ngx_uint_t                     conf_line;
};


typedef enum {
    NGX_HTTP_APPROVAL_CHANNEL_JSON = 0,
    NGX_HTTP_APPROVAL_CHANNEL_SLACK,
    NGX_HTTP_APPROVAL_CHANNEL_TEAMS,
    NGX_HTTP_APPROVAL_CHANNEL_MAIL,
    NGX_HTTP_APPROVAL_CHANNEL_TEMPLATE
} ngx_http_approval_channel_type_e;


/* disclose declared | request; */

#define NGX_HTTP_APPROVAL_DISCLOSE_DECLARED  0
#define NGX_HTTP_APPROVAL_DISCLOSE_REQUEST   1


/* body FILE ...; of "type template".  Texts and URIs end with a NUL. */

typedef struct {
    ngx_str_t                      file;
    ngx_str_t                      text;
    ngx_str_t                      content_type;
    void                         (*escape)(approval_str_t s,
                                       approval_buf_t *out);
    ngx_str_t                      uri;         /* len 0: that of "url"       */
    ngx_str_t                      method;      /* len 0: POST                */
    ngx_uint_t                     events;      /* bits; 0: all others        */
    unsigned                       json:1;
    unsigned                       replied:1;   /* contains {{reply}}         */
} ngx_http_approval_template_t;


struct ngx_http_approval_channel_s {
    ngx_str_t                      name;
    ngx_uint_t                     type;
    ngx_uint_t                     disclose;
    ngx_str_t                      pass;        /* URI of an internal location*/
    ngx_http_approval_at_t         pass_at;
    ngx_http_approval_target_t    *url;         /* NULL if pass is set        */
    ngx_array_t                   *secrets;     /* of ngx_str_t, decoded      */
    ngx_array_t                   *signing_secrets;  /* of ngx_str_t, Slack's */
    ngx_array_t                   *teams;       /* of ngx_str_t: Slack teams
                                                   whose members may use the
                                                   buttons; NULL: the app's   */
    ngx_str_t                      trusted;     /* texts in PEM               */
    ngx_str_t                      certificate;
    ngx_str_t                      certificate_key;
    ngx_msec_t                     timeout;
    ngx_int_t                      retries;
    ngx_uint_t                     persistent;  /* further retries, up to the
                                                   deadline                   */
    ngx_msec_t                     backoff_min;
    ngx_msec_t                     backoff_max;
    ngx_flag_t                     per_approver;
    ngx_str_t                      from;        /* mail                       */
    ngx_str_t                      to;          /* mail; len 0: the address of
                                                   the approver               */
    ngx_flag_t                     starttls;
    ngx_array_t                   *bodies;      /* of template: ..._body_t    */
    ngx_array_t                   *headers;     /* of ngx_keyval_t            */
    ngx_array_t                   *values;      /* of ngx_keyval_t            */
    approval_json_pointer_t       *reply;       /* or NULL                    */
    struct ngx_http_approval_series_s  *series; /* NULL: nothing is counted   */
    u_char                        *conf_file;
    ngx_uint_t                     conf_line;
};


/* Configurations and worker states of the rooms; defined in each room. */

struct ngx_http_approval_series_s;
struct ngx_http_approval_counters_s;
struct ngx_http_approval_store_conf_s;
struct ngx_http_approval_store_s;
struct ngx_http_approval_audit_conf_s;
struct ngx_http_approval_audit_s;
struct ngx_http_approval_sender_s;
struct ngx_http_approval_once_conf_s;
struct ngx_http_approval_lint_s;


/* The state of a running worker; pointers are NULL before and after. */

typedef struct {
    struct ngx_http_approval_store_s       *store;
    struct ngx_http_approval_audit_s       *audit;
    struct ngx_http_approval_sender_s      *sender;      /* NULL: no "url"   */
    ngx_queue_t                             endings;     /* ..._ending_t     */
    ngx_queue_t                             changes;     /* ..._change_t     */
} ngx_http_approval_worker_t;


struct ngx_http_approval_main_conf_s {
    ngx_http_approval_worker_t             *worker;
    struct ngx_http_approval_store_conf_s  *store_conf;  /* NULL: no redis   */
    struct ngx_http_approval_audit_conf_s  *audit_conf;  /* NULL: no audit   */
    struct ngx_http_approval_counters_s    *counters;    /* NULL: no zone    */
    struct ngx_http_approval_once_conf_s   *once;
    ngx_shm_zone_t                         *ends;        /* NULL: no redis, or
                                                            no approval_key  */

    approval_keyring_t            *keyring;     /* NULL: no approval_key      */
    approval_signer_t             *signer;      /* derived if not configured  */
    ngx_http_complex_value_t      *base_url;
    ngx_http_approval_at_t         base_url_at;
    ngx_str_t                      passkey_origin;  /* len 0: none            */
    approval_people_t             *people;
    approval_redact_t             *redact;      /* for text of no rule; NULL:
                                                   no policy                  */
    ngx_array_t                   *operators;   /* of ngx_int_t: groups that
                                                   may freeze, or NULL        */
    ngx_http_approval_at_t         operators_at;
    ngx_array_t                   *auditors;    /* of ngx_int_t: groups that
                                                   may read the trail; NULL:
                                                   any group                  */
    ngx_http_approval_at_t         auditors_at;
    ngx_array_t                    channels;    /* of ..._channel_t *         */
    ngx_array_t                    policies;    /* of ..._policy_t *          */
    ngx_http_approval_facts_t      facts;       /* of http, server, location  */
    struct ngx_http_approval_lint_s  *lint;     /* while parsing              */
};


/* A limit for each value of a fact, or for the policy; inherited as a whole. */

typedef struct {
    ngx_uint_t                     n;           /* 0: any number              */
    ngx_msec_t                     time;        /* in this time; 0: at the same
                                                   time                       */
    ngx_http_approval_fact_t      *per;         /* NULL: for the policy       */
} ngx_http_approval_limit_t;


/* approval_refusals */

typedef enum {
    NGX_HTTP_APPROVAL_FORM_PROBLEM = 0,
    NGX_HTTP_APPROVAL_FORM_KUBERNETES,
    NGX_HTTP_APPROVAL_FORM_OPENAI,
    NGX_HTTP_APPROVAL_FORM_ANTHROPIC,
    NGX_HTTP_APPROVAL_FORM_OCI
} ngx_http_approval_form_e;


typedef struct {
    ngx_str_t                      name;        /* of the policy, or "off"    */
    u_char                        *conf_file;
    ngx_uint_t                     conf_line;
    ngx_http_approval_policy_t    *policy;      /* NULL: off                  */
    ngx_http_approval_policy_t    *quick;       /* the same if it is quick, and
                                                   all access handlers count  */
    ngx_str_t                      place;       /* the names of the location
                                                   and of those around it     */
    ngx_http_approval_fact_t      *requester;
    ngx_http_approval_at_t         requester_at;
    ngx_http_approval_fact_t      *on_behalf;
    ngx_http_approval_fact_t      *reason;
    ngx_uint_t                     store_failure;
    ngx_flag_t                     unsigned_decisions;
    ngx_http_approval_limit_t      max_pending;
    ngx_http_approval_limit_t      max_prompts;
    ngx_msec_t                     repeat;      /* of an end, 0: never        */
    ngx_uint_t                     disconnect;
    ngx_msec_t                     progress;    /* 0: off                     */
    ngx_flag_t                     prefer;
    ngx_uint_t                     refusals;    /* ..._form_e                 */
    approval_ignore_t             *ignore;      /* NULL: all is bound         */
    ngx_uint_t                     api;
    ngx_http_approval_at_t         api_at;
    ngx_http_complex_value_t      *approver;
    ngx_uint_t                     metrics;
    ngx_http_handler_pt            content;     /* the location's own handler */
} ngx_http_approval_loc_conf_t;


#endif /* NGX_HTTP_APPROVAL_POLICY_H */
