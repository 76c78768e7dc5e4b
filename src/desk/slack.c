
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/slack.h"

#include "core/form.h"
#include "core/chat.h"
#include "core/slack.h"
#include "desk/decision.h"
#include "notify/notify.h"
#include "notify/respond.h"
#include "store/queue.h"


#define NGX_HTTP_APPROVAL_SLACK_BODY_MAX  (1024 * 1024)

/* Longer than a signature is valid. */
#define NGX_HTTP_APPROVAL_SLACK_ONCE      (3 * APPROVAL_SLACK_AGE * 1000)


/* A button that was pressed; d->work is the decision that it makes. */

typedef struct {
    ngx_http_approval_decision_t   decision;     /* must be first: d->work  */
    ngx_http_approval_channel_t   *channel;      /* through which it came   */
    ngx_array_t                    signed_by;    /* of ..._channel_t *, with
                                                    that secret             */
    ngx_str_t                      team;         /* the person's home       */
    unsigned                       foreign:1;    /* not the app's workspace */
    ngx_str_t                      respond;      /* response_url            */
    ngx_str_t                      digest;       /* of what was shown       */
    json_t                        *doc;
} ngx_http_approval_slack_t;


static void ngx_http_approval_slack_cleanup(void *data);
static void ngx_http_approval_slack_read(ngx_http_request_t *r);
static ngx_int_t ngx_http_approval_slack_start(ngx_http_approval_desk_t *d);
static ngx_int_t ngx_http_approval_slack_signed(ngx_http_approval_desk_t *d,
    ngx_str_t *body, u_char *seen);
static ngx_int_t ngx_http_approval_slack_parse(ngx_http_approval_desk_t *d,
    ngx_str_t *body);
static ngx_int_t ngx_http_approval_slack_pressed(ngx_http_approval_desk_t *d,
    json_t *payload);
static ngx_int_t ngx_http_approval_slack_who(ngx_http_approval_desk_t *d,
    json_t *payload);
static ngx_int_t ngx_http_approval_slack_copy(ngx_http_approval_desk_t *d,
    json_t *object, const char *name, ngx_str_t *to);
static ngx_int_t ngx_http_approval_slack_once(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply);
static ngx_int_t ngx_http_approval_slack_loaded(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply);
static ngx_int_t ngx_http_approval_slack_speaks(ngx_http_approval_desk_t *d,
    ngx_int_t *rc);
static ngx_uint_t ngx_http_approval_slack_shown(
    ngx_http_approval_slack_t *slack, ngx_http_approval_channel_t *channel);
static ngx_uint_t ngx_http_approval_slack_among(
    ngx_http_approval_slack_t *slack, ngx_array_t *teams);
static ngx_int_t ngx_http_approval_slack_reply(ngx_http_approval_desk_t *d,
    ngx_uint_t status, const char *title, const char *detail, json_t *extra);
static ngx_int_t ngx_http_approval_slack_decided(ngx_http_approval_desk_t *d,
    ngx_uint_t status, json_t *extra, approval_buf_t *out);
static ngx_int_t ngx_http_approval_slack_ok(ngx_http_approval_desk_t *d);
static ngx_int_t ngx_http_approval_slack_refuse(ngx_http_approval_desk_t *d);


ngx_uint_t
ngx_http_approval_slack_expected(ngx_http_approval_main_conf_t *mcf)
{
    ngx_uint_t                     i;
    ngx_http_approval_channel_t  **channel;

    channel = mcf->channels.elts;

    for (i = 0; i < mcf->channels.nelts; i++) {
        if (channel[i]->signing_secrets) {
            return 1;
        }
    }

    return 0;
}


ngx_int_t
ngx_http_approval_slack(ngx_http_approval_desk_t *d)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = d->request;
    d->html = 0;

    if (ngx_http_approval_desk_work(d, sizeof(ngx_http_approval_slack_t),
                                    ngx_http_approval_slack_cleanup)
        == NULL)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_read_client_request_body(r, ngx_http_approval_slack_read);

    return rc >= NGX_HTTP_SPECIAL_RESPONSE ? rc : NGX_DONE;
}


static void
ngx_http_approval_slack_cleanup(void *data)
{
    ngx_http_approval_slack_t *slack = data;

    json_decref(slack->decision.by);
    json_decref(slack->doc);
}


static void
ngx_http_approval_slack_read(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_http_approval_desk_t  *d;

    d = ngx_http_approval_desk_find(r);

    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    rc = d ? ngx_http_approval_slack_start(d)
           : NGX_HTTP_INTERNAL_SERVER_ERROR;

    if (rc != NGX_AGAIN) {
        ngx_http_finalize_request(r, rc);
    }
}


static ngx_int_t
ngx_http_approval_slack_start(ngx_http_approval_desk_t *d)
{
    u_char     seen[APPROVAL_ID_LEN];
    ngx_int_t  rc;
    ngx_str_t  body;

    rc = ngx_http_approval_desk_body(d->request,
                                     NGX_HTTP_APPROVAL_SLACK_BODY_MAX, &body);

    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc == NGX_OK) {
        rc = ngx_http_approval_slack_signed(d, &body, seen);
    }

    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc != NGX_OK) {
        return ngx_http_approval_slack_refuse(d);
    }

    rc = ngx_http_approval_slack_parse(d, &body);

    if (rc == NGX_DECLINED) {
        return ngx_http_approval_slack_ok(d);
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_BAD_REQUEST;
    }

    d->reply = ngx_http_approval_slack_reply;

    /* a signature is valid for minutes, but may be used only once */

    return ngx_http_approval_desk_wait(d,
               ngx_http_approval_store_once(d->mcf->worker->store, seen,
                                            NGX_HTTP_APPROVAL_SLACK_ONCE,
                                            ngx_http_approval_desk_answer, d),
               ngx_http_approval_slack_once);
}


/* Channels may share an app, and therefore a secret. */

static ngx_int_t
ngx_http_approval_slack_signed(ngx_http_approval_desk_t *d, ngx_str_t *body,
    u_char *seen)
{
    ngx_str_t                     *when, *sign, *secret;
    ngx_uint_t                     i, n;
    ngx_http_approval_slack_t     *slack = d->work;
    ngx_http_approval_channel_t  **channel, **found;

    when = ngx_http_approval_header_first(d->request,
                                          "x-slack-request-timestamp");
    sign = ngx_http_approval_header_first(d->request, "x-slack-signature");

    if (when == NULL || sign == NULL) {
        return NGX_DECLINED;
    }

    if (ngx_array_init(&slack->signed_by, d->request->pool, 1,
                       sizeof(ngx_http_approval_channel_t *))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    channel = d->mcf->channels.elts;

    for (i = 0; i < d->mcf->channels.nelts; i++) {

        if (channel[i]->signing_secrets == NULL) {
            continue;
        }

        secret = channel[i]->signing_secrets->elts;

        for (n = 0; n < channel[i]->signing_secrets->nelts; n++) {
            if (approval_slack_verify(ngx_http_approval_core_str(&secret[n]),
                                      ngx_http_approval_core_str(when),
                                      ngx_http_approval_core_str(sign),
                                      ngx_http_approval_core_str(body),
                                      ngx_time())
                != APPROVAL_OK)
            {
                continue;
            }

            found = ngx_array_push(&slack->signed_by);
            if (found == NULL) {
                return NGX_ERROR;
            }

            *found = channel[i];
            slack->channel = channel[i];
        }
    }

    if (slack->channel == NULL) {
        return NGX_DECLINED;
    }

    ngx_memcpy(seen, sign->data + 3, APPROVAL_ID_LEN);

    return NGX_OK;
}


/* NGX_DECLINED: the payload requests nothing. */

static ngx_int_t
ngx_http_approval_slack_parse(ngx_http_approval_desk_t *d, ngx_str_t *body)
{
    json_t          *payload;
    ngx_int_t        rc;
    const char      *err;
    approval_buf_t   text;

    approval_buf_init(&text);

    payload = NULL;

    if (approval_form_get(ngx_http_approval_core_str(body),
                          approval_str("payload"), &text, &err)
        == APPROVAL_OK
        && !text.failed)
    {
        payload = approval_json_parse(approval_buf_str(&text), &err);
    }

    approval_buf_free(&text);

    rc = json_is_object(payload) ? ngx_http_approval_slack_pressed(d, payload)
                                 : NGX_ERROR;
    json_decref(payload);

    return rc;
}


static ngx_int_t
ngx_http_approval_slack_pressed(ngx_http_approval_desk_t *d, json_t *payload)
{
    json_t                     *action;
    ngx_str_t                   value, name;
    approval_str_t              id;
    ngx_http_approval_slack_t  *slack = d->work;

    name = ngx_http_approval_json_get(payload, "type");

    if (!approval_str_eq(ngx_http_approval_core_str(&name),
                         approval_str("block_actions")))
    {
        return NGX_DECLINED;
    }

    action = json_array_get(json_object_get(payload, "actions"), 0);
    name = ngx_http_approval_json_get(action, "action_id");

    if (approval_str_eq(ngx_http_approval_core_str(&name),
                        approval_str("approval_approve")))
    {
        ngx_str_set(&slack->decision.act, "approve");

    } else if (approval_str_eq(ngx_http_approval_core_str(&name),
                               approval_str("approval_deny")))
    {
        ngx_str_set(&slack->decision.act, "deny");

    } else {
        return NGX_DECLINED;
    }

    value = ngx_http_approval_json_get(action, "value");

    if (value.len <= APPROVAL_ID_LEN + 1
        || value.data[APPROVAL_ID_LEN] != ' ')
    {
        return NGX_ERROR;
    }

    id.data = value.data;
    id.len = APPROVAL_ID_LEN;

    if (!approval_id_valid(id)) {
        return NGX_ERROR;
    }

    ngx_memcpy(d->id, id.data, APPROVAL_ID_LEN);
    d->id_valid = 1;

    id.data = value.data + APPROVAL_ID_LEN + 1;
    id.len = value.len - APPROVAL_ID_LEN - 1;

    if (ngx_http_approval_desk_copy(d->request->pool, id, &slack->digest)
        != NGX_OK
        || ngx_http_approval_slack_copy(d, payload, "response_url",
                                        &slack->respond)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_approval_slack_who(d, payload);
}


/*
 * "TEAM:USER", as in approval_alias.  Ids are used because names may change
 * hands.  The team is the person's own, wherever the button was pressed.
 */

static ngx_int_t
ngx_http_approval_slack_who(ngx_http_approval_desk_t *d, json_t *payload)
{
    u_char                     *p;
    json_t                     *who;
    ngx_str_t                   team, app, user;
    ngx_http_approval_slack_t  *slack = d->work;

    who = json_object_get(payload, "user");
    user = ngx_http_approval_json_get(who, "id");
    team = ngx_http_approval_json_get(who, "team_id");
    app = ngx_http_approval_json_get(json_object_get(payload, "team"), "id");

    if (team.len == 0) {
        team = app;
    }

    slack->foreign = app.len != team.len
                     || ngx_memcmp(app.data, team.data, team.len) != 0;

    if (team.len == 0 || user.len == 0) {
        return NGX_ERROR;
    }

    p = ngx_pnalloc(d->request->pool, team.len + 1 + user.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    d->slack.data = p;
    d->slack.len = team.len + 1 + user.len;

    slack->team.data = p;
    slack->team.len = team.len;

    p = ngx_cpymem(p, team.data, team.len);
    *p++ = ':';
    ngx_memcpy(p, user.data, user.len);

    /* it is written to the log */

    return approval_plain(ngx_http_approval_core_str(&d->slack)) ? NGX_OK
                                                                 : NGX_ERROR;
}


static ngx_int_t
ngx_http_approval_slack_copy(ngx_http_approval_desk_t *d, json_t *object,
    const char *name, ngx_str_t *to)
{
    ngx_str_t  s;

    s = ngx_http_approval_json_get(object, name);

    return ngx_http_approval_desk_copy(d->request->pool,
                                       ngx_http_approval_core_str(&s), to);
}


static ngx_int_t
ngx_http_approval_slack_once(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply)
{
    if (reply->rc == NGX_DECLINED) {
        return ngx_http_approval_slack_refuse(d);
    }

    if (reply->rc != NGX_OK) {
        return ngx_http_approval_desk_unavailable(d);
    }

    return ngx_http_approval_desk_load(d, ngx_http_approval_slack_loaded);
}


/* From here on it is handled like a decision posted for this action. */

static ngx_int_t
ngx_http_approval_slack_loaded(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply)
{
    ngx_int_t                   rc;
    ngx_str_t                   digest;
    ngx_http_approval_slack_t  *slack = d->work;

    if (ngx_http_approval_desk_open(d, reply, &slack->doc, &rc) != NGX_OK) {
        return rc;
    }

    digest = ngx_http_approval_json_get(slack->doc, "digest");

    if (!approval_str_eq(ngx_http_approval_core_str(&digest),
                         ngx_http_approval_core_str(&slack->digest)))
    {
        return ngx_http_approval_desk_not_found(d);
    }

    if (ngx_http_approval_slack_speaks(d, &rc) != NGX_OK) {
        return rc;
    }

    return ngx_http_approval_decision_step(d, reply);
}


/*
 * A signing secret is trusted only for its own channels: for actions that were
 * sent there, and for people of their workspaces, because whoever has the
 * secret can sign anything.
 */

static ngx_int_t
ngx_http_approval_slack_speaks(ngx_http_approval_desk_t *d, ngx_int_t *rc)
{
    ngx_uint_t                     i, told, may;
    ngx_http_approval_slack_t     *slack = d->work;
    ngx_http_approval_channel_t  **channel;

    told = 0;
    may = 0;
    slack->decision.unseen = 1;
    channel = slack->signed_by.elts;

    for (i = 0; i < slack->signed_by.nelts; i++) {

        if (!ngx_http_approval_notify_told(d->mcf, slack->doc, channel[i])) {
            continue;
        }

        told = 1;

        if (slack->decision.unseen
            && ngx_http_approval_slack_among(slack, channel[i]->teams))
        {
            may = 1;
            slack->channel = channel[i];
            slack->decision.unseen = !ngx_http_approval_slack_shown(slack,
                                                                  channel[i]);
        }
    }

    if (may) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_WARN, ngx_http_approval_log(d->request), 0,
                  "a vote in Slack on action %*s by \"%V\" was refused: %s",
                  (size_t) APPROVAL_ID_LEN, d->id, &d->slack,
                  told ? "the channel's \"team\" does not list this workspace"
                       : "no channel with this signing secret was notified of "
                         "the action");

    *rc = told
          ? ngx_http_approval_desk_refuse(d, NGX_HTTP_FORBIDDEN,
                "not-an-approver", "Not an approver",
                "Votes from your Slack workspace are not accepted in this "
                "channel.", NULL)
          : ngx_http_approval_desk_not_found(d);

    return NGX_DECLINED;
}


/* Did the message in this channel have the button? */

static ngx_uint_t
ngx_http_approval_slack_shown(ngx_http_approval_slack_t *slack,
    ngx_http_approval_channel_t *channel)
{
    json_t    *doc;
    unsigned   votes;

    doc = ngx_http_approval_action_disclose(slack->doc, channel->disclose);
    votes = doc ? approval_message_votes(doc) : 0;

    json_decref(doc);

    return votes & (slack->decision.act.data[0] == 'a' ? APPROVAL_VOTE_APPROVE
                                                       : APPROVAL_VOTE_DENY);
}


/*
 * A channel without teams accepts the workspace of the app, as Slack names it.
 */

static ngx_uint_t
ngx_http_approval_slack_among(ngx_http_approval_slack_t *slack,
    ngx_array_t *teams)
{
    ngx_str_t   *id;
    ngx_uint_t   i;

    if (teams == NULL) {
        return !slack->foreign;
    }

    id = teams->elts;

    for (i = 0; i < teams->nelts; i++) {
        if (id[i].len == slack->team.len
            && ngx_memcmp(id[i].data, slack->team.data, slack->team.len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/*
 * Slack gets an acknowledgement, and the person gets the result.  The message
 * is replaced if nothing is left to decide; otherwise only the person who
 * pressed the button sees the result.
 */

static ngx_int_t
ngx_http_approval_slack_reply(ngx_http_approval_desk_t *d, ngx_uint_t status,
    const char *title, const char *detail, json_t *extra)
{
    json_t                     *message;
    ngx_int_t                   rc;
    approval_buf_t              body;
    ngx_http_approval_slack_t  *slack = d->work;

    approval_buf_init(&body);

    rc = ngx_http_approval_slack_decided(d, status, extra, &body);

    if (rc == NGX_DECLINED) {
        message = json_pack("{s:s, s:b, s:b, s:b, s:b, s:o}",
                            "response_type", "ephemeral",
                            "unfurl_links", 0, "unfurl_media", 0,
                            "replace_original", 0, "mrkdwn", 0,
                            "text", json_sprintf("%s. %s", title, detail));

        rc = (message
              && approval_json_canonical(message, &body) == APPROVAL_OK
              && !body.failed)
             ? NGX_OK : NGX_ERROR;

        json_decref(message);
    }

    if (rc == NGX_OK && slack->respond.len && d->mcf->worker->sender) {
        ngx_http_approval_respond(d->mcf->worker->sender, slack->channel,
                                  &slack->respond, d->id, &body);
    }

    approval_buf_free(&body);

    return ngx_http_approval_slack_ok(d);
}


/* NGX_DECLINED: still open, as far as the gateway knows. */

static ngx_int_t
ngx_http_approval_slack_decided(ngx_http_approval_desk_t *d,
    ngx_uint_t status, json_t *extra, approval_buf_t *out)
{
    ngx_str_t                   name;
    json_t                     *by, *message, *facts;
    ngx_int_t                   rc;
    const char                 *err;
    approval_buf_t              text;
    approval_message_t          m;
    ngx_http_approval_slack_t  *slack = d->work;

    ngx_memzero(&m, sizeof(approval_message_t));

    by = slack->decision.by;

    if (slack->doc == NULL) {
        return NGX_DECLINED;
    }

    if (status == 410) {
        m.event = APPROVAL_EVENT_EXPIRED;
        by = NULL;

    } else if (status == NGX_HTTP_CONFLICT && json_object_get(extra, "state"))
    {
        name = ngx_http_approval_json_get(extra, "state");
        by = json_object_get(json_object_get(extra, "decision"), "by");

        m.event = approval_str_eq(ngx_http_approval_core_str(&name),
                                  approval_str("denied"))
                  ? APPROVAL_EVENT_DENIED
                  : approval_str_eq(ngx_http_approval_core_str(&name),
                                    approval_str("cancelled"))
                  ? APPROVAL_EVENT_CANCELLED : APPROVAL_EVENT_APPROVED;

    } else if (status == NGX_HTTP_OK
               && slack->decision.state == NGX_HTTP_APPROVAL_APPROVED)
    {
        m.event = APPROVAL_EVENT_APPROVED;

    } else if (status == NGX_HTTP_OK
               && slack->decision.state == NGX_HTTP_APPROVAL_DENIED)
    {
        m.event = APPROVAL_EVENT_DENIED;

    } else {
        return NGX_DECLINED;
    }

    facts = json_object();

    if (by) {
        (void) json_object_set(facts, "by", by);
    }

    m.doc = slack->doc;
    m.facts = facts;
    m.id.data = d->id;
    m.id.len = APPROVAL_ID_LEN;

    approval_buf_init(&text);
    message = NULL;

    if (approval_slack_message(&m, &text) == APPROVAL_OK) {
        message = approval_json_parse(approval_buf_str(&text), &err);
    }

    rc = (message
          && json_object_set_new(message, "replace_original", json_true()) == 0
          && approval_json_canonical(message, out) == APPROVAL_OK
          && !out->failed)
         ? NGX_OK : NGX_ERROR;

    approval_buf_free(&text);
    json_decref(message);
    json_decref(facts);

    return rc;
}


static ngx_int_t
ngx_http_approval_slack_ok(ngx_http_approval_desk_t *d)
{
    return ngx_http_approval_send(d->request, NGX_HTTP_OK, "text/plain",
                                  approval_str(""));
}


/* The same answer if it is not signed, too old, or was seen before. */

static ngx_int_t
ngx_http_approval_slack_refuse(ngx_http_approval_desk_t *d)
{
    ngx_log_error(NGX_LOG_WARN, ngx_http_approval_log(d->request), 0,
                  "approval: a request to /slack was refused: it is not "
                  "signed with a \"signing_secret\", is more than 5 minutes "
                  "old, or was received before");

    d->reply = NULL;
    d->id_valid = 0;

    return ngx_http_approval_desk_refuse(d, NGX_HTTP_UNAUTHORIZED,
               "identity-required", "Not signed",
               "This path accepts only requests that Slack signed, each once "
               "and within 5 minutes.",
               NULL);
}
