
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/votes.h"
#include "desk/approver.h"
#include "core/jws.h"


static void ngx_http_approval_votes_group(ngx_http_approval_desk_t *d,
    json_t *name, approval_buf_t *out);
static ngx_int_t ngx_http_approval_votes_verify(ngx_http_approval_desk_t *d,
    json_t *doc, ngx_str_t *jws, ngx_http_approval_vote_t *vote);
static ngx_int_t ngx_http_approval_votes_person(ngx_http_approval_desk_t *d,
    ngx_str_t *identity, ngx_str_t *person);
static uint32_t ngx_http_approval_votes_lines(json_t *doc, ngx_str_t *names);
static ngx_uint_t ngx_http_approval_votes_is(json_t *group,
    approval_str_t name);
static ngx_int_t ngx_http_approval_votes_text(ngx_pool_t *pool,
    json_t *claims, const char *name, ngx_str_t *text);


ngx_http_approval_votes_t *
ngx_http_approval_votes_read(ngx_http_approval_desk_t *d, json_t *doc,
    const ngx_http_approval_reply_t *reply)
{
    ngx_int_t                   rc;
    ngx_uint_t                  i;
    ngx_pool_t                 *pool;
    ngx_http_approval_votes_t  *votes;

    pool = d->request->pool;

    votes = ngx_pcalloc(pool, sizeof(ngx_http_approval_votes_t));
    if (votes == NULL) {
        return NULL;
    }

    votes->votes = ngx_pcalloc(pool, (reply->nvotes + 1)
                                     * sizeof(ngx_http_approval_vote_t));
    if (votes->votes == NULL) {
        return NULL;
    }

    for (i = 0; i < reply->nvotes; i++) {
        rc = ngx_http_approval_votes_verify(d, doc, &reply->votes[i],
                                            &votes->votes[votes->nvotes]);
        if (rc == NGX_ERROR) {
            return NULL;
        }

        if (rc == NGX_OK) {
            votes->nvotes++;
        }
    }

    if (ngx_http_approval_votes_count(d, doc, votes) != NGX_OK) {
        return NULL;
    }

    return votes;
}


static ngx_int_t
ngx_http_approval_votes_verify(ngx_http_approval_desk_t *d, json_t *doc,
    ngx_str_t *jws, ngx_http_approval_vote_t *vote)
{
    json_t       *claims;
    ngx_int_t     rc;
    ngx_str_t     id, digest, want;
    ngx_pool_t   *pool;
    const char   *err;

    err = NULL;
    pool = d->request->pool;

    claims = approval_jws_verify(d->mcf->signer, NGX_HTTP_APPROVAL_VOTE_TYP,
                                 ngx_http_approval_core_str(jws), &err);
    if (claims == NULL) {
        goto foreign;
    }

    id = ngx_http_approval_json_get(claims, "jti");
    digest = ngx_http_approval_json_get(claims, "dig");
    want = ngx_http_approval_json_get(doc, "digest");

    if (id.len != APPROVAL_ID_LEN
        || ngx_memcmp(id.data, d->id, APPROVAL_ID_LEN) != 0
        || digest.len != want.len
        || ngx_memcmp(digest.data, want.data, want.len) != 0)
    {
        json_decref(claims);
        err = "it belongs to another action";
        goto foreign;
    }

    vote->time = json_integer_value(json_object_get(claims, "iatms"));
    vote->glass = json_is_true(json_object_get(claims, "bg"));
    vote->passkey = json_is_object(json_object_get(claims, "psk"));

    rc = NGX_ERROR;

    if (ngx_http_approval_votes_text(pool, claims, "idn", &vote->identity)
        == NGX_OK
        && ngx_http_approval_votes_text(pool, claims, "sub", &vote->name)
           == NGX_OK
        && ngx_http_approval_votes_text(pool, claims, "how", &vote->how)
           == NGX_OK
        && ngx_http_approval_votes_text(pool, claims, "act", &vote->act)
           == NGX_OK
        && ngx_http_approval_votes_text(pool, claims, "cmt", &vote->comment)
           == NGX_OK
        && ngx_http_approval_votes_text(pool, claims, "grp", &vote->groups)
           == NGX_OK)
    {
        rc = ngx_http_approval_votes_person(d, &vote->identity,
                                            &vote->person);
    }

    json_decref(claims);

    if (rc == NGX_DECLINED) {
        err = "its identity cannot be used";
        goto foreign;
    }

    return rc;

foreign:

    ngx_log_error(NGX_LOG_WARN, ngx_http_approval_log(d->request), 0,
                  "approval action \"%*s\": a vote in Redis is ignored: %s",
                  (size_t) APPROVAL_ID_LEN, d->id, err ? err : "it is not "
                                                               "signed");

    return NGX_DECLINED;
}


void
ngx_http_approval_votes_groups(ngx_http_approval_desk_t *d, json_t *doc,
    approval_buf_t *out)
{
    size_t   i, j;
    json_t  *lines, *groups;

    lines = json_object_get(doc, "require");

    for (i = 0; i < json_array_size(lines); i++) {
        groups = json_object_get(json_array_get(lines, i), "groups");

        for (j = 0; j < json_array_size(groups); j++) {
            ngx_http_approval_votes_group(d, json_array_get(groups, j), out);
        }
    }

    ngx_http_approval_votes_group(d, json_object_get(doc, "break_glass"), out);
}


/* Adds each group once: several lines of a rule may name it. */

static void
ngx_http_approval_votes_group(ngx_http_approval_desk_t *d, json_t *name,
    approval_buf_t *out)
{
    int              group;
    size_t           len;
    unsigned char   *p;
    approval_str_t   s;

    if (!json_is_string(name)) {
        return;
    }

    s = approval_str(json_string_value(name));
    group = approval_people_group_find(d->mcf->people, s);

    if (group < 0
        || !approval_people_in_group(d->mcf->people, group,
                                     ngx_http_approval_core_str(&d->who)))
    {
        return;
    }

    for (p = out->data, len = 0; p && p <= out->data + out->len; p += len + 1) {
        for (len = 0; p + len < out->data + out->len && p[len] != ' '; len++) {
            /* void */
        }

        if (len == s.len && ngx_memcmp(p, s.data, len) == 0) {
            return;
        }
    }

    if (out->len) {
        approval_buf_addc(out, ' ');
    }

    approval_buf_add(out, s.data, s.len);
}


/* The person by the present aliases, not by those at the time of the vote. */

static ngx_int_t
ngx_http_approval_votes_person(ngx_http_approval_desk_t *d,
    ngx_str_t *identity, ngx_str_t *person)
{
    int              found;
    ngx_int_t        rc;
    const char      *err;
    approval_buf_t   buf;

    approval_buf_init(&buf);

    found = approval_people_person(d->mcf->people,
                                   ngx_http_approval_core_str(identity), &buf,
                                   &err);

    if (found == APPROVAL_ERROR || buf.failed) {
        rc = NGX_ERROR;

    } else if (found != APPROVAL_OK) {
        rc = NGX_DECLINED;

    } else {
        rc = ngx_http_approval_desk_copy(d->request->pool,
                                         approval_buf_str(&buf), person);
    }

    approval_buf_free(&buf);

    return rc;
}


static ngx_int_t
ngx_http_approval_votes_text(ngx_pool_t *pool, json_t *claims,
    const char *name, ngx_str_t *text)
{
    ngx_str_t  value;

    value = ngx_http_approval_json_get(claims, name);

    return ngx_http_approval_desk_copy(pool,
                                       ngx_http_approval_core_str(&value),
                                       text);
}


ngx_int_t
ngx_http_approval_votes_count(ngx_http_approval_desk_t *d, json_t *doc,
    ngx_http_approval_votes_t *votes)
{
    size_t                     n;
    json_t                    *lines;
    unsigned                   deny_after;
    ngx_uint_t                 i, glass, passkey;
    approval_str_t             identity;
    approval_vote_t           *ballot;
    ngx_http_approval_vote_t  *vote;

    votes->quorum = APPROVAL_QUORUM_OPEN;
    votes->alone = 0;

    lines = json_object_get(doc, "require");
    votes->nlines = json_array_size(lines);

    if (votes->nlines == 0 || votes->nlines > APPROVAL_QUORUM_LINES) {
        votes->nlines = 0;
        return NGX_OK;
    }

    for (i = 0; i < votes->nlines; i++) {
        votes->need[i] = json_integer_value(
                      json_object_get(json_array_get(lines, i), "count"));

        if (votes->need[i] == 0) {
            votes->nlines = 0;
            return NGX_OK;
        }
    }

    deny_after = json_integer_value(json_object_get(doc, "deny_after"));
    passkey = (json_object_get(doc, "vote") != NULL);

    ballot = ngx_palloc(d->request->pool,
                        (votes->nvotes + 1) * sizeof(approval_vote_t));
    if (ballot == NULL) {
        return NGX_ERROR;
    }

    n = 0;
    glass = 0;

    for (i = 0; i < votes->nvotes && n < APPROVAL_QUORUM_VOTES; i++) {
        vote = &votes->votes[i];
        identity = ngx_http_approval_core_str(&vote->identity);

        /* by the recorded groups in which the voter still is */

        vote->lines = (ngx_http_approval_approver_self(d->mcf, doc, identity)
                       || (passkey && !vote->passkey))
                      ? 0
                      : ngx_http_approval_approver_lines(d->mcf, doc,
                                                         identity)
                        & ngx_http_approval_votes_lines(doc, &vote->groups);

        vote->glass = vote->glass
                      && ngx_http_approval_vote_is(vote, "approve")
                      && ngx_http_approval_approver_glass(d->mcf, doc,
                                                          identity)
                      && !ngx_http_approval_approver_self(d->mcf, doc,
                                                          identity)
                      && (!passkey || vote->passkey);
        glass |= vote->glass;

        if (vote->lines == 0
            || (!ngx_http_approval_vote_is(vote, "approve")
                && !ngx_http_approval_vote_is(vote, "deny")))
        {
            continue;
        }

        ballot[n].person = ngx_http_approval_core_str(&vote->person);
        ballot[n].lines = vote->lines;
        ballot[n].approve = ngx_http_approval_vote_is(vote, "approve");
        n++;
    }

    votes->quorum = approval_quorum(votes->need, votes->nlines,
                                    ngx_max(deny_after, 1), ballot, n,
                                    votes->missing);

    /* by break-glass one approval is enough, unless it was denied */

    votes->alone = (glass && votes->quorum == APPROVAL_QUORUM_OPEN);

    if (votes->alone) {
        votes->quorum = APPROVAL_QUORUM_APPROVED;
    }

    return NGX_OK;
}


static uint32_t
ngx_http_approval_votes_lines(json_t *doc, ngx_str_t *names)
{
    u_char          *p, *last, *end;
    size_t           i, j;
    json_t          *lines, *groups;
    uint32_t         mask;
    approval_str_t   name;

    mask = 0;
    last = names->data + names->len;
    lines = json_object_get(doc, "require");

    for (p = names->data; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, ' ');
        end = end ? end : last;

        name.data = p;
        name.len = end - p;

        for (i = 0; i < json_array_size(lines) && i < APPROVAL_QUORUM_LINES;
             i++)
        {
            groups = json_object_get(json_array_get(lines, i), "groups");

            for (j = 0; j < json_array_size(groups); j++) {
                if (ngx_http_approval_votes_is(json_array_get(groups, j),
                                               name))
                {
                    mask |= (uint32_t) 1 << i;
                }
            }
        }
    }

    return mask;
}


static ngx_uint_t
ngx_http_approval_votes_is(json_t *group, approval_str_t name)
{
    return json_is_string(group)
           && approval_str_eq(approval_str(json_string_value(group)), name);
}


ngx_http_approval_vote_t *
ngx_http_approval_votes_of(ngx_http_approval_votes_t *votes,
    ngx_str_t *person)
{
    ngx_uint_t                 i;
    ngx_http_approval_vote_t  *vote;

    for (i = 0; i < votes->nvotes; i++) {
        vote = &votes->votes[i];

        if (vote->person.len == person->len
            && ngx_memcmp(vote->person.data, person->data, person->len) == 0
            && !ngx_http_approval_vote_is(vote, "comment"))
        {
            return vote;
        }
    }

    return NULL;
}


ngx_uint_t
ngx_http_approval_votes_comments(ngx_http_approval_votes_t *votes,
    ngx_str_t *person)
{
    ngx_uint_t                 i, n;
    ngx_http_approval_vote_t  *vote;

    for (i = 0, n = 0; i < votes->nvotes; i++) {
        vote = &votes->votes[i];

        n += vote->person.len == person->len
             && ngx_memcmp(vote->person.data, person->data, person->len) == 0
             && ngx_http_approval_vote_is(vote, "comment");
    }

    return n;
}


json_t *
ngx_http_approval_votes_by(ngx_http_approval_votes_t *votes, const char *act)
{
    json_t                    *by;
    ngx_uint_t                 i;
    ngx_http_approval_vote_t  *vote;

    by = json_array();
    if (by == NULL) {
        return NULL;
    }

    for (i = 0; i < votes->nvotes; i++) {
        vote = &votes->votes[i];

        if ((vote->lines || vote->glass)
            && ngx_http_approval_vote_is(vote, act)
            && json_array_append_new(by,
                              ngx_http_approval_json_str(&vote->name))
               != 0)
        {
            json_decref(by);
            return NULL;
        }
    }

    return by;
}


ngx_uint_t
ngx_http_approval_vote_is(ngx_http_approval_vote_t *vote, const char *act)
{
    return vote->act.len == ngx_strlen(act)
           && ngx_strncmp(vote->act.data, act, vote->act.len) == 0;
}
