
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/list.h"
#include "desk/approver.h"
#include "desk/page.h"
#include "desk/view.h"
#include "model/hash.h"


#define NGX_HTTP_APPROVAL_LIST_PAGE   100      /* actions per store request  */
#define NGX_HTTP_APPROVAL_LIST_SCAN   2000     /* actions read for a reply   */


/*
 * d->work.  The store returns pages of the actions that its index selects:
 * those of one requester, or those of the classes that have the rule and that
 * the approver may decide on.  Conditions that are not in the index are
 * checked here, until there are enough actions.
 */

typedef struct {
    ngx_http_approval_query_t   query;
    json_t                     *actions;
    ngx_uint_t                  scanned;
    ngx_uint_t                  got;         /* in the store's page     */
    int64_t                     last;        /* start of the next page  */
    u_char                      last_id[APPROVAL_ID_LEN];
    int64_t                     shown;       /* the last that is listed */
    u_char                      shown_id[APPROVAL_ID_LEN];
    ngx_http_approval_filter_t  filter;
    ngx_array_t                 classes;     /* of ids                  */
    unsigned                    waiting:1;   /* the inbox               */
    unsigned                    auditor:1;   /* may read all of them    */
    unsigned                    more:1;      /* there is another one    */
    unsigned                    end:1;       /* all others are older    */
    unsigned                    failed:1;    /* no memory               */
} ngx_http_approval_list_t;


static ngx_int_t ngx_http_approval_list_start(ngx_http_approval_desk_t *d,
    ngx_uint_t inbox);
static void ngx_http_approval_list_cleanup(void *data);
static ngx_int_t ngx_http_approval_list_first(ngx_http_approval_desk_t *d);
static ngx_int_t ngx_http_approval_list_requester(ngx_http_approval_desk_t *d);
static ngx_int_t ngx_http_approval_list_class(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply);
static ngx_int_t ngx_http_approval_list_page(ngx_http_approval_desk_t *d);
static ngx_int_t ngx_http_approval_list_step(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply);
static ngx_int_t ngx_http_approval_list_take(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply);
static ngx_int_t ngx_http_approval_list_view(ngx_http_approval_desk_t *d,
    json_t *doc, const ngx_http_approval_reply_t *reply,
    ngx_http_approval_votes_t *votes);
static ngx_uint_t ngx_http_approval_list_wanted(ngx_http_approval_desk_t *d,
    json_t *doc, const ngx_http_approval_reply_t *reply);
static ngx_uint_t ngx_http_approval_list_voted(ngx_http_approval_desk_t *d,
    ngx_http_approval_votes_t *votes);
static ngx_uint_t ngx_http_approval_list_rule(ngx_http_approval_query_t *q,
    json_t *doc);
static ngx_uint_t ngx_http_approval_list_may(ngx_http_approval_desk_t *d,
    json_t *doc);
static ngx_int_t ngx_http_approval_list_insert(ngx_http_approval_list_t *list,
    json_t *view, ngx_uint_t urgent);
static ngx_int_t ngx_http_approval_list_send(ngx_http_approval_desk_t *d);
static json_t *ngx_http_approval_list_fields(ngx_http_approval_query_t *q);


ngx_int_t
ngx_http_approval_list(ngx_http_approval_desk_t *d)
{
    d->html = 0;

    return ngx_http_approval_list_start(d, 0);
}


ngx_int_t
ngx_http_approval_list_inbox(ngx_http_approval_desk_t *d)
{
    return ngx_http_approval_list_start(d, d->html);
}


static ngx_int_t
ngx_http_approval_list_start(ngx_http_approval_desk_t *d, ngx_uint_t inbox)
{
    ngx_int_t                  rc;
    ngx_str_t                  name;
    const char                *err;
    ngx_http_approval_list_t  *list;

    if (ngx_http_approval_approver_claims(d) == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_approval_approver_idp(d, &rc) != NGX_OK) {
        return rc;
    }

    list = ngx_http_approval_desk_work(d, sizeof(ngx_http_approval_list_t),
                                       ngx_http_approval_list_cleanup);
    if (list == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_approval_query_parse(d, &list->query, &err, &name)
        != NGX_OK)
    {
        return ngx_http_approval_desk_bad_argument(d, err,
                                           ngx_http_approval_json_str(&name));
    }

    list->waiting = (inbox && !list->query.history);
    list->auditor = !list->waiting && ngx_http_approval_approver_auditor(d);

    if (list->waiting) {
        list->query.states = 1 << NGX_HTTP_APPROVAL_PENDING;
        list->query.limit = NGX_HTTP_APPROVAL_LIST_MAX;
    }

    list->actions = json_array();

    if (list->actions == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (list->query.cursor) {
        list->last = list->query.before;
        ngx_memcpy(list->last_id, list->query.before_id, APPROVAL_ID_LEN);

    } else if (list->query.until) {
        list->last = list->query.until + 1;
        ngx_memset(list->last_id, '0', APPROVAL_ID_LEN);
    }

    return ngx_http_approval_list_first(d);
}


static ngx_int_t
ngx_http_approval_list_first(ngx_http_approval_desk_t *d)
{
    ngx_int_t                  rc;
    ngx_http_approval_list_t  *list = d->work;

    list->filter.states = list->query.states;
    list->filter.since = list->query.since;

    if (list->query.requester.len) {
        rc = ngx_http_approval_list_requester(d);

        if (rc != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        rc = ngx_http_approval_list_page(d);

        return rc == NGX_AGAIN ? rc : ngx_http_approval_desk_unavailable(d);
    }

    if (ngx_array_init(&list->classes, d->request->pool, 16, APPROVAL_ID_LEN)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_approval_desk_wait(d,
               ngx_http_approval_store_classes(d->mcf->worker->store,
                                               ngx_http_approval_desk_answer,
                                               d),
               ngx_http_approval_list_class);
}


/* Any alias of a person finds the actions of all their aliases. */

static ngx_int_t
ngx_http_approval_list_requester(ngx_http_approval_desk_t *d)
{
    u_char                    *buf;
    ngx_int_t                  rc;
    ngx_str_t                  value;
    const char                *err;
    approval_buf_t             person;
    ngx_http_approval_list_t  *list = d->work;

    buf = ngx_pnalloc(d->request->pool, NGX_HTTP_APPROVAL_HASHES);
    if (buf == NULL) {
        return NGX_ERROR;
    }

    approval_buf_init(&person);

    value = list->query.requester;

    rc = approval_people_person(d->mcf->people,
                                ngx_http_approval_core_str(&value), &person,
                                &err);
    if (rc == APPROVAL_OK) {
        value.data = person.data;
        value.len = person.len;
    }

    if (rc == APPROVAL_ERROR
        || ngx_http_approval_hashes(d->mcf, NGX_HTTP_APPROVAL_HASH_REQUESTER,
                                    &value, 1, buf, &list->filter.requester)
           != NGX_OK
        || ngx_http_approval_store_shard(d->mcf->worker->store, &value,
                                         list->filter.shard)
           != NGX_OK)
    {
        rc = NGX_ERROR;

    } else {
        rc = NGX_OK;
    }

    approval_buf_free(&person);

    return rc;
}


/* Collects the classes with this rule whose actions the approver may see. */

static ngx_int_t
ngx_http_approval_list_class(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply)
{
    u_char                     id[APPROVAL_ID_LEN], *class;
    json_t                    *doc;
    ngx_str_t                  sealed;
    ngx_http_approval_list_t  *list = d->work;

    if (reply->rc == NGX_OK) {
        sealed = reply->doc;
        ngx_memcpy(id, reply->id, APPROVAL_ID_LEN);

        doc = ngx_http_approval_action_open(d->mcf, id, &sealed);

        if (doc && ngx_http_approval_list_rule(&list->query, doc)
            && (list->auditor || ngx_http_approval_list_may(d, doc)))
        {
            class = ngx_array_push(&list->classes);

            if (class) {
                ngx_memcpy(class, id, APPROVAL_ID_LEN);

            } else {
                list->failed = 1;
            }
        }

        json_decref(doc);

        return NGX_BUSY;
    }

    if (list->failed) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    list->filter.classes = list->classes.elts;
    list->filter.nclasses = list->classes.nelts;

    if (reply->rc != NGX_DONE || ngx_http_approval_list_page(d) != NGX_AGAIN) {
        return ngx_http_approval_desk_unavailable(d);
    }

    return NGX_AGAIN;
}


static void
ngx_http_approval_list_cleanup(void *data)
{
    ngx_http_approval_list_t  *list = data;

    json_decref(list->actions);
}


static ngx_int_t
ngx_http_approval_list_page(ngx_http_approval_desk_t *d)
{
    ngx_http_approval_op_t    *op;
    ngx_http_approval_list_t  *list = d->work;

    list->got = 0;

    op = ngx_http_approval_store_list(d->mcf->worker->store, &list->filter,
                                      list->last, list->last_id,
                                      NGX_HTTP_APPROVAL_LIST_PAGE,
                                      ngx_http_approval_desk_answer, d);
    if (op == NULL) {
        return NGX_DECLINED;
    }

    return ngx_http_approval_desk_wait(d, op, ngx_http_approval_list_step);
}


static ngx_int_t
ngx_http_approval_list_step(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply)
{
    ngx_http_approval_list_t  *list = d->work;

    if (reply->rc == NGX_OK) {
        list->got++;
        list->scanned++;
        list->last = reply->created;
        ngx_memcpy(list->last_id, reply->id, APPROVAL_ID_LEN);

        if (!list->more && !list->end
            && ngx_http_approval_list_take(d, reply) != NGX_OK)
        {
            list->end = 1;
            list->failed = 1;
        }

        return NGX_BUSY;
    }

    if (reply->rc != NGX_DONE) {
        return ngx_http_approval_desk_unavailable(d);
    }

    if (list->failed) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (list->got == 0) {
        list->end = 1;
    }

    if (list->more || list->end
        || list->scanned >= NGX_HTTP_APPROVAL_LIST_SCAN)
    {
        return ngx_http_approval_list_send(d);
    }

    if (ngx_http_approval_list_page(d) != NGX_AGAIN) {
        return ngx_http_approval_desk_unavailable(d);
    }

    return NGX_AGAIN;
}


static ngx_int_t
ngx_http_approval_list_take(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply)
{
    json_t                     *doc;
    ngx_int_t                   rc;
    ngx_str_t                   sealed;
    ngx_http_approval_list_t   *list = d->work;
    ngx_http_approval_votes_t  *votes;

    if (list->query.since && reply->created < list->query.since) {
        list->end = 1;
        return NGX_OK;
    }

    sealed = reply->doc;
    ngx_memcpy(d->id, reply->id, APPROVAL_ID_LEN);

    doc = ngx_http_approval_action_open(d->mcf, d->id, &sealed);

    if (doc == NULL) {
        return NGX_OK;
    }

    rc = NGX_OK;

    if (!ngx_http_approval_list_wanted(d, doc, reply)) {
        goto done;
    }

    votes = ngx_http_approval_votes_read(d, doc, reply);

    if (votes == NULL) {
        rc = NGX_ERROR;
        goto done;
    }

    if (list->query.approver.len && !ngx_http_approval_list_voted(d, votes)) {
        goto done;
    }

    if (json_array_size(list->actions) == list->query.limit) {
        list->more = 1;
        goto done;
    }

    rc = ngx_http_approval_list_view(d, doc, reply, votes);

    list->shown = reply->created;
    ngx_memcpy(list->shown_id, reply->id, APPROVAL_ID_LEN);

done:

    json_decref(doc);

    return rc;
}


static ngx_int_t
ngx_http_approval_list_view(ngx_http_approval_desk_t *d, json_t *doc,
    const ngx_http_approval_reply_t *reply, ngx_http_approval_votes_t *votes)
{
    json_t                    *view;
    ngx_http_approval_list_t  *list = d->work;

    view = ngx_http_approval_view(doc, reply, votes,
                                  NGX_HTTP_APPROVAL_VIEW_LIST);

    if (view && d->html
        && ngx_http_approval_page_card(d, doc, reply, votes, view) != NGX_OK)
    {
        json_decref(view);
        return NGX_ERROR;
    }

    return ngx_http_approval_list_insert(list, view, list->waiting);
}


static ngx_uint_t
ngx_http_approval_list_wanted(ngx_http_approval_desk_t *d, json_t *doc,
    const ngx_http_approval_reply_t *reply)
{
    ngx_str_t                   value;
    ngx_http_approval_list_t   *list = d->work;
    ngx_http_approval_query_t  *q;
    ngx_http_approval_state_e   state;

    q = &list->query;
    state = ngx_http_approval_view_state(doc, reply);

    if (q->states && !(q->states & ((ngx_uint_t) 1 << state))) {
        return 0;
    }

    if (!ngx_http_approval_list_rule(q, doc)) {
        return 0;
    }

    if (q->requester.len) {
        value = ngx_http_approval_json_get(doc, "requester");

        if (!approval_people_same(d->mcf->people,
                                  ngx_http_approval_core_str(&value),
                                  ngx_http_approval_core_str(&q->requester)))
        {
            return 0;
        }
    }

    return list->auditor
           || (ngx_http_approval_list_may(d, doc)
               && !ngx_http_approval_approver_self(d->mcf, doc,
                                        ngx_http_approval_core_str(&d->who)));
}


/* Did the approver in the query vote, under any alias? */

static ngx_uint_t
ngx_http_approval_list_voted(ngx_http_approval_desk_t *d,
    ngx_http_approval_votes_t *votes)
{
    ngx_uint_t                 i;
    ngx_http_approval_list_t  *list = d->work;

    for (i = 0; i < votes->nvotes; i++) {
        if (!ngx_http_approval_vote_is(&votes->votes[i], "comment")
            && approval_people_same(d->mcf->people,
                      ngx_http_approval_core_str(&votes->votes[i].identity),
                      ngx_http_approval_core_str(&list->query.approver)))
        {
            return 1;
        }
    }

    return 0;
}


/* Does an action, or a class of actions, have the rule in the query? */

static ngx_uint_t
ngx_http_approval_list_rule(ngx_http_approval_query_t *q, json_t *doc)
{
    ngx_str_t  value;

    if (q->rule.len == 0) {
        return 1;
    }

    value = ngx_http_approval_json_get(doc, "rule");

    return value.len == q->rule.len
           && ngx_strncmp(value.data, q->rule.data, value.len) == 0;
}


static ngx_uint_t
ngx_http_approval_list_may(ngx_http_approval_desk_t *d, json_t *doc)
{
    approval_str_t  who;

    who = ngx_http_approval_core_str(&d->who);

    return ngx_http_approval_approver_lines(d->mcf, doc, who) != 0
           || ngx_http_approval_approver_glass(d->mcf, doc, who);
}


/* Newest first; in the inbox, the earliest deadline first. */

static ngx_int_t
ngx_http_approval_list_insert(ngx_http_approval_list_t *list, json_t *view,
    ngx_uint_t urgent)
{
    size_t       i;
    json_t      *other;
    const char  *expires;

    if (view == NULL) {
        return NGX_ERROR;
    }

    i = json_array_size(list->actions);

    if (urgent) {
        expires = json_string_value(json_object_get(view, "expires_at"));

        for ( /* void */ ; i > 0; i--) {
            other = json_object_get(json_array_get(list->actions, i - 1),
                                    "expires_at");

            if (expires == NULL || !json_is_string(other)
                || ngx_strcmp(json_string_value(other), expires) <= 0)
            {
                break;
            }
        }
    }

    return json_array_insert_new(list->actions, i, view) == 0 ? NGX_OK
                                                              : NGX_ERROR;
}


static ngx_int_t
ngx_http_approval_list_send(ngx_http_approval_desk_t *d)
{
    json_t                    *reply, *next;
    const char                *detail;
    ngx_http_approval_list_t  *list = d->work;

    next = NULL;

    if (list->more) {
        next = ngx_http_approval_query_cursor(list->shown, list->shown_id);

    } else if (!list->end) {

        /* enough actions were read: the cursor leads to the rest */

        next = ngx_http_approval_query_cursor(list->last, list->last_id);
    }

    reply = json_pack("{s:O, s:o}", "actions", list->actions, "next",
                      next ? next : json_null());

    if (reply && next && !list->more) {
        json_object_set_new(reply, "partial", json_true());
    }

    if (reply == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (!d->html) {
        return ngx_http_approval_send_json(d->request, NGX_HTTP_OK,
                                           "application/json", reply);
    }

    if (next && json_object_set_new(reply, "more",
                    ngx_http_approval_query_link(&list->query,
                                                 json_string_value(next)))
                != 0)
    {
        json_decref(reply);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (list->query.history) {
        (void) json_object_set_new(reply, "history", json_true());
        (void) json_object_set_new(reply, "search",
                                 ngx_http_approval_list_fields(&list->query));
    }

    if (list->query.several) {
        (void) json_object_set_new(reply, "several", json_true());
    }

    if (!list->auditor && !ngx_http_approval_approver_in(d, NULL)) {
        detail = ngx_http_approval_approver_stranger(d);

        (void) json_object_set_new(reply, "stranger",
                                   detail ? json_string(detail) : NULL);
    }

    return ngx_http_approval_page_inbox(d, reply);
}


/* The values that the search form shows again. */

static json_t *
ngx_http_approval_list_fields(ngx_http_approval_query_t *q)
{
    char         since[APPROVAL_TIME_LEN + 1], until[APPROVAL_TIME_LEN + 1];
    size_t       day;
    json_t      *states, *item;
    ngx_str_t   *name;
    ngx_uint_t   state;

    since[0] = '\0';
    until[0] = '\0';

    if (q->since) {
        approval_time_format(since, q->since);
    }

    if (q->until) {
        approval_time_format(until, q->until);
    }

    day = sizeof("2026-01-02") - 1;

    states = json_array();

    for (state = 0; state < NGX_HTTP_APPROVAL_UNKNOWN; state++) {
        name = ngx_http_approval_state_name(state);

        item = json_pack("{s:o, s:b}",
                   "name", json_stringn((char *) name->data, name->len),
                   "selected", q->states == (ngx_uint_t) 1 << state);

        (void) json_array_append_new(states, item);
    }

    return json_pack("{s:o, s:o, s:o, s:s%, s:s%, s:s, s:s, s:o}",
               "requester", ngx_http_approval_json_str(&q->requester),
               "approver", ngx_http_approval_json_str(&q->approver),
               "rule", ngx_http_approval_json_str(&q->rule),
               "since", since, q->since ? day : (size_t) 0,
               "until", until, q->until ? day : (size_t) 0,
               "since_at", since, "until_at", until, "states", states);
}
