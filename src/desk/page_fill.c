
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * What the pages show of an action besides its JSON.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/page.h"
#include "desk/approver.h"
#include "desk/passkey.h"


#define NGX_HTTP_APPROVAL_PAGE_NAMES  20     /* remaining voters on a page  */
#define NGX_HTTP_APPROVAL_PAGE_FEW    4      /* ... in a list               */
#define NGX_HTTP_APPROVAL_PAGE_LONG   1000   /* longer text is folded       */


/* Collects who may still vote: visits each member of each group. */

typedef struct {
    ngx_http_approval_desk_t   *desk;
    json_t                     *doc;
    ngx_http_approval_votes_t  *votes;
    json_t                     *names;
    size_t                      max;
    ngx_uint_t                  more;
} ngx_http_approval_page_still_t;


static ngx_int_t ngx_http_approval_page_facts(
    const ngx_http_approval_reply_t *reply, json_t *data);
static ngx_int_t ngx_http_approval_page_pairs(json_t *data, const char *from,
    const char *to);
static ngx_int_t ngx_http_approval_page_long(json_t *data);
static ngx_int_t ngx_http_approval_page_remember(json_t *data);
static ngx_int_t ngx_http_approval_page_lines(json_t *data);
static ngx_int_t ngx_http_approval_page_forms(ngx_http_approval_desk_t *d,
    json_t *doc, const ngx_http_approval_reply_t *reply,
    ngx_http_approval_votes_t *votes, json_t *data);
static ngx_int_t ngx_http_approval_page_still(ngx_http_approval_desk_t *d,
    json_t *doc, ngx_http_approval_votes_t *votes, json_t *data, size_t max);
static int ngx_http_approval_page_person(void *data, approval_str_t person);
static json_t *ngx_http_approval_page_time(int64_t ms);


ngx_int_t
ngx_http_approval_page_whole(ngx_http_approval_desk_t *d, json_t *doc,
    const ngx_http_approval_reply_t *reply, ngx_http_approval_votes_t *votes,
    json_t *view)
{
    if (ngx_http_approval_page_facts(reply, view) != NGX_OK
        || ngx_http_approval_page_long(view) != NGX_OK
        || ngx_http_approval_page_forms(d, doc, reply, votes, view) != NGX_OK
        || (json_object_get(view, "nonce")
            && ngx_http_approval_passkey_page(d, doc, view) != NGX_OK))
    {
        return NGX_ERROR;
    }

    return ngx_http_approval_page_still(d, doc, votes, view,
                                        NGX_HTTP_APPROVAL_PAGE_NAMES);
}


ngx_int_t
ngx_http_approval_page_card(ngx_http_approval_desk_t *d, json_t *doc,
    const ngx_http_approval_reply_t *reply, ngx_http_approval_votes_t *votes,
    json_t *view)
{
    if (ngx_http_approval_page_facts(reply, view) != NGX_OK
        || ngx_http_approval_page_forms(d, doc, reply, votes, view) != NGX_OK
        || json_object_set_new(view, "choosable",
                json_boolean(json_is_true(json_object_get(view, "may_decide"))
                             && ngx_http_approval_approver_several(doc)))
           != 0)
    {
        return NGX_ERROR;
    }

    return ngx_http_approval_page_still(d, doc, votes, view,
                                        NGX_HTTP_APPROVAL_PAGE_FEW);
}


/* What a template cannot derive itself: objects as lists, and conditions. */

static ngx_int_t
ngx_http_approval_page_facts(const ngx_http_approval_reply_t *reply,
    json_t *data)
{
    json_t      *state;
    ngx_uint_t   pending;

    state = json_object_get(data, "state");
    pending = ngx_strcmp(json_string_value(state), "pending") == 0;

    if (ngx_http_approval_page_pairs(data, "matched", "matched_list") != NGX_OK
        || ngx_http_approval_page_pairs(data, "show", "show_list") != NGX_OK
        || ngx_http_approval_page_pairs(data, "headers", "header_list")
           != NGX_OK
        || ngx_http_approval_page_remember(data) != NGX_OK
        || ngx_http_approval_page_lines(data) != NGX_OK
        || json_object_set_new(data, "left",
                               ngx_http_approval_page_left(reply->now,
                                                           reply->expires))
           != 0
        || json_object_set_new(data, "partial",
                    json_boolean(json_object_get(data, "not_bound") != NULL))
           != 0
        || json_object_set_new(data, "pending", json_boolean(pending)) != 0)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_page_pairs(json_t *data, const char *from, const char *to)
{
    void    *iter;
    json_t  *object, *list;

    list = json_array();
    object = json_object_get(data, from);

    for (iter = json_object_iter(object); iter;
         iter = json_object_iter_next(object, iter))
    {
        if (json_array_append_new(list,
                json_pack("{s:s, s:O}", "name", json_object_iter_key(iter),
                          "value", json_object_iter_value(iter)))
            != 0)
        {
            json_decref(list);
            return NGX_ERROR;
        }
    }

    return json_object_set_new(data, to, list) == 0 ? NGX_OK : NGX_ERROR;
}


/*
 * Folds long values, which would push the rest of the page out of sight, and
 * shows their size.
 */

static ngx_int_t
ngx_http_approval_page_long(json_t *data)
{
    json_t  *target, *body;

    target = json_object_get(data, "target");
    body = json_object_get(data, "body");

    if (json_string_length(target) > NGX_HTTP_APPROVAL_PAGE_LONG
        && json_object_set_new(data, "target_long",
                               json_integer(json_string_length(target)))
           != 0)
    {
        return NGX_ERROR;
    }

    return json_object_set_new(data, "body_long",
                               json_boolean(json_string_length(body)
                                            > NGX_HTTP_APPROVAL_PAGE_LONG))
           == 0 ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_approval_page_remember(json_t *data)
{
    json_t  *remember;

    remember = json_object_get(data, "remember");

    if (!json_is_object(remember)) {
        return NGX_OK;
    }

    return json_object_set_new(remember, "time", ngx_http_approval_page_time(
               json_integer_value(json_object_get(remember, "seconds"))
               * 1000))
           == 0 ? NGX_OK : NGX_ERROR;
}


/* "2 of dba or sre: 1 missing" */

static ngx_int_t
ngx_http_approval_page_lines(json_t *data)
{
    size_t           i, j;
    json_t          *lines, *line, *groups, *value;
    approval_buf_t   text;

    lines = json_object_get(data, "require");

    for (i = 0; i < json_array_size(lines); i++) {
        line = json_array_get(lines, i);
        groups = json_object_get(line, "groups");

        approval_buf_init(&text);

        for (j = 0; j < json_array_size(groups); j++) {
            if (j) {
                approval_buf_adds(&text, " or ");
            }

            value = json_array_get(groups, j);
            approval_buf_add(&text, json_string_value(value),
                             json_string_length(value));
        }

        value = text.failed ? NULL
                            : json_stringn((char *) text.data, text.len);

        approval_buf_free(&text);

        if (json_object_set_new(line, "groups_text", value) != 0) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_page_forms(ngx_http_approval_desk_t *d, json_t *doc,
    const ngx_http_approval_reply_t *reply, ngx_http_approval_votes_t *votes,
    json_t *data)
{
    json_t                    *nonce;
    ngx_str_t                  risk, comment;
    ngx_uint_t                 self, pending, lines, glass, denied;
    approval_buf_t             text;
    approval_str_t             who;
    ngx_http_approval_vote_t  *vote;

    who = ngx_http_approval_core_str(&d->who);

    self = ngx_http_approval_approver_self(d->mcf, doc, who);
    lines = (ngx_http_approval_approver_lines(d->mcf, doc, who) != 0);
    glass = ngx_http_approval_approver_glass(d->mcf, doc, who);
    vote = ngx_http_approval_votes_of(votes, &d->person);
    denied = (vote && ngx_http_approval_vote_is(vote, "deny"));
    pending = json_is_true(json_object_get(data, "pending"));

    if ((self && json_object_set_new(data, "self", json_true()) != 0)
        || (vote && json_object_set_new(data, "voted",
                        ngx_http_approval_json_str(&vote->act)) != 0))
    {
        return NGX_ERROR;
    }

    if (!pending || self) {
        return NGX_OK;
    }

    approval_buf_init(&text);

    nonce = (ngx_http_approval_approver_nonce(d, doc, reply, &text) == NGX_OK)
            ? json_stringn((char *) text.data, text.len)
            : NULL;

    approval_buf_free(&text);

    risk = ngx_http_approval_json_get(doc, "risk");
    comment = ngx_http_approval_json_get(doc, "comment_required");

    if (json_object_set_new(data, "nonce", nonce) != 0
        || json_object_set_new(data, "may_comment",
                               json_boolean(lines || glass)) != 0
        || json_object_set_new(data, "may_decide",
                               json_boolean(vote == NULL && lines)) != 0
        || json_object_set_new(data, "may_glass",
                               json_boolean(glass && !denied)) != 0
        || json_object_set_new(data, "approve_comment",
                               json_boolean(comment.len
                                            && comment.data[0] == 'a'))
           != 0
        || json_object_set_new(data, "critical",
                               json_boolean(risk.len == 8
                                   && ngx_strncmp(risk.data, "critical", 8)
                                      == 0))
           != 0)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_page_still(ngx_http_approval_desk_t *d, json_t *doc,
    ngx_http_approval_votes_t *votes, json_t *data, size_t max)
{
    int                              group;
    size_t                           i, j;
    json_t                          *lines, *groups, *name;
    ngx_http_approval_page_still_t   still;

    if (!json_is_true(json_object_get(data, "pending"))) {
        return NGX_OK;
    }

    still.desk = d;
    still.doc = doc;
    still.votes = votes;
    still.names = json_array();
    still.max = max;
    still.more = 0;

    if (json_object_set_new(data, "still", still.names) != 0) {
        return NGX_ERROR;
    }

    lines = json_object_get(doc, "require");

    for (i = 0; i < json_array_size(lines); i++) {
        groups = json_object_get(json_array_get(lines, i), "groups");

        for (j = 0; j < json_array_size(groups); j++) {
            name = json_array_get(groups, j);

            group = json_is_string(name)
                    ? approval_people_group_find(d->mcf->people,
                                      approval_str(json_string_value(name)))
                    : -1;

            if (group >= 0
                && approval_people_each(d->mcf->people, group,
                                        ngx_http_approval_page_person, &still)
                   == APPROVAL_ERROR)
            {
                return NGX_ERROR;
            }
        }
    }

    return json_object_set_new(data, "still_more", json_integer(still.more))
           == 0 ? NGX_OK : NGX_ERROR;
}


static int
ngx_http_approval_page_person(void *data, approval_str_t person)
{
    ngx_http_approval_page_still_t *still = data;

    size_t      i;
    json_t     *name;
    ngx_str_t   who;

    who.data = (u_char *) person.data;
    who.len = person.len;

    if (ngx_http_approval_votes_of(still->votes, &who)
        || ngx_http_approval_approver_self(still->desk->mcf, still->doc,
                                           person))
    {
        return APPROVAL_OK;
    }

    for (i = 0; i < json_array_size(still->names); i++) {
        name = json_array_get(still->names, i);

        if (json_string_length(name) == who.len
            && ngx_memcmp(json_string_value(name), who.data, who.len) == 0)
        {
            return APPROVAL_OK;
        }
    }

    if (i == still->max) {
        still->more = 1;
        return APPROVAL_DECLINED;
    }

    return json_array_append_new(still->names,
                                 ngx_http_approval_json_str(&who))
           == 0 ? APPROVAL_OK : APPROVAL_ERROR;
}


json_t *
ngx_http_approval_page_left(int64_t now, int64_t expires)
{
    return expires > now ? ngx_http_approval_page_time(expires - now)
                         : json_string("no time");
}


static json_t *
ngx_http_approval_page_time(int64_t ms)
{
    int  s;

    s = (int) ngx_min(ms / 1000, 100 * 86400);

    if (s >= 86400) {
        return json_sprintf("%d d %d h", s / 86400, s % 86400 / 3600);
    }

    if (s >= 3600) {
        return json_sprintf("%d h %d min", s / 3600, s % 3600 / 60);
    }

    if (s >= 60) {
        return json_sprintf("%d min", s / 60);
    }

    return json_sprintf("%d s", s);
}
