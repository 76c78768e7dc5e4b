
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Reads the trail as for an export.  The story is made from the resulting
 * lines of JSON when all have been read.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/story.h"
#include "core/form.h"
#include "core/story.h"
#include "desk/approver.h"
#include "desk/page.h"
#include "desk/trail.h"


#define NGX_HTTP_APPROVAL_STORY_RECORDS  2000
#define NGX_HTTP_APPROVAL_STORY_SIZE     (8 * 1024 * 1024)


/* d->work. */

typedef struct {
    ngx_http_approval_desk_t        *desk;
    ngx_http_approval_trail_t       *trail;
    approval_wanted_t                wanted;
    const char                      *err;
    json_t                          *lines;      /* of the export           */
    json_t                          *actions;    /* as they are shown       */
    size_t                           size;       /* of the lines            */
} ngx_http_approval_story_t;


static int ngx_http_approval_story_argument(void *data, approval_str_t name,
    approval_str_t value);
static void ngx_http_approval_story_cleanup(void *data);
static ngx_int_t ngx_http_approval_story_piece(ngx_http_approval_desk_t *d,
    ngx_int_t rc, approval_str_t piece);
static ngx_int_t ngx_http_approval_story_lines(ngx_http_approval_story_t *s,
    approval_str_t piece);
static ngx_int_t ngx_http_approval_story_line(ngx_http_approval_story_t *s,
    approval_str_t text);
static ngx_int_t ngx_http_approval_story_tell(ngx_http_approval_story_t *s);
static ngx_int_t ngx_http_approval_story_record(ngx_http_approval_story_t *s,
    json_t *line);
static ngx_int_t ngx_http_approval_story_request(json_t *action,
    json_t *record, ngx_uint_t authentic);
static json_t *ngx_http_approval_story_action(ngx_http_approval_story_t *s,
    json_t *id);
static void ngx_http_approval_story_fact(void *data, const char *name,
    approval_str_t text);
static const char *ngx_http_approval_story_time(json_t *line);
static void ngx_http_approval_story_viewed(ngx_http_approval_story_t *s);
static ngx_int_t ngx_http_approval_story_send(ngx_http_approval_story_t *s);


ngx_int_t
ngx_http_approval_story(ngx_http_approval_desk_t *d)
{
    ngx_int_t                   rc;
    const char                 *err;
    ngx_http_approval_story_t  *s;

    if (ngx_http_approval_approver_member(d, d->mcf->auditors, &rc)
        != NGX_OK)
    {
        return rc;
    }

    s = ngx_http_approval_desk_work(d, sizeof(ngx_http_approval_story_t),
                                    ngx_http_approval_story_cleanup);
    if (s == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    s->desk = d;
    s->err = "The query cannot be read.";
    s->lines = json_array();
    s->actions = json_array();

    if (s->lines == NULL || s->actions == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (approval_form_each(ngx_http_approval_core_str(&d->request->args),
                           ngx_http_approval_story_argument, s, &err)
        != APPROVAL_OK)
    {
        return ngx_http_approval_desk_bad_argument(d, s->err,
                                                   json_string("of"));
    }

    if (s->wanted.of[0] == '\0') {
        return ngx_http_approval_story_send(s);
    }

    s->wanted.limit = NGX_HTTP_APPROVAL_STORY_RECORDS;

    return ngx_http_approval_trail_read(d, &s->wanted,
                                        ngx_http_approval_story_piece,
                                        &s->trail);
}


/* The value was pasted, maybe with blanks around it. */

static int
ngx_http_approval_story_argument(void *data, approval_str_t name,
    approval_str_t value)
{
    ngx_http_approval_story_t *s = data;

    if (!approval_str_eq(name, approval_str("of"))) {
        s->err = "The query has an unknown argument.";
        return APPROVAL_DECLINED;
    }

    if (s->wanted.of[0]) {
        s->err = "The query has the same argument twice.";
        return APPROVAL_DECLINED;
    }

    while (value.len && value.data[0] <= ' ') {
        value.data++;
        value.len--;
    }

    while (value.len && value.data[value.len - 1] <= ' ') {
        value.len--;
    }

    if (value.len > APPROVAL_FIND_LEN) {
        s->err = "It is neither the id of an action or a grant, nor a digest, "
                 "a link or a receipt.";
        return APPROVAL_DECLINED;
    }

    ngx_memcpy(s->wanted.of, value.data, value.len);

    return APPROVAL_OK;
}


static void
ngx_http_approval_story_cleanup(void *data)
{
    ngx_http_approval_story_t *s = data;

    json_decref(s->lines);
    json_decref(s->actions);
}


static ngx_int_t
ngx_http_approval_story_piece(ngx_http_approval_desk_t *d, ngx_int_t rc,
    approval_str_t piece)
{
    ngx_http_approval_story_t *s = d->work;

    if (ngx_http_approval_story_lines(s, piece) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc == NGX_DONE || s->size > NGX_HTTP_APPROVAL_STORY_SIZE) {
        return ngx_http_approval_story_tell(s);
    }

    return ngx_http_approval_trail_next(s->trail) == NGX_AGAIN
           ? NGX_AGAIN : NGX_HTTP_INTERNAL_SERVER_ERROR;
}


/* A piece always ends with a complete line. */

static ngx_int_t
ngx_http_approval_story_lines(ngx_http_approval_story_t *s,
    approval_str_t piece)
{
    u_char          *p, *last, *lf;
    approval_str_t   text;

    s->size += piece.len;

    p = (u_char *) piece.data;
    last = p + piece.len;

    for ( /* void */ ; p < last; p = lf + 1) {

        lf = ngx_strlchr(p, last, LF);
        if (lf == NULL) {
            return NGX_ERROR;
        }

        text.data = p;
        text.len = lf - p;

        if (ngx_http_approval_story_line(s, text) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* Sorts lines by time. */

static ngx_int_t
ngx_http_approval_story_line(ngx_http_approval_story_t *s,
    approval_str_t text)
{
    size_t       k, n, end;
    json_t      *line;
    const char  *err, *time;

    line = approval_json_parse(text, &err);
    time = ngx_http_approval_story_time(line);

    for (n = 0, end = json_array_size(s->lines); n < end; /* void */ ) {
        k = n + (end - n) / 2;

        if (ngx_strcmp(ngx_http_approval_story_time(json_array_get(s->lines,
                                                                   k)),
                       time)
            <= 0)
        {
            n = k + 1;

        } else {
            end = k;
        }
    }

    return json_array_insert_new(s->lines, n, line) == 0 ? NGX_OK : NGX_ERROR;
}


static const char *
ngx_http_approval_story_time(json_t *line)
{
    const char  *time;

    time = json_string_value(json_object_get(json_object_get(line, "record"),
                                             "time"));
    return time ? time : "";
}


static ngx_int_t
ngx_http_approval_story_tell(ngx_http_approval_story_t *s)
{
    size_t   i;
    json_t  *line;

    json_array_foreach(s->lines, i, line) {
        if (ngx_http_approval_story_record(s, line) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    if (s->desk->request->method == NGX_HTTP_GET) {
        ngx_http_approval_story_viewed(s);
    }

    return ngx_http_approval_story_send(s);
}


static ngx_int_t
ngx_http_approval_story_record(ngx_http_approval_story_t *s, json_t *line)
{
    json_t          *record, *action, *told;
    ngx_uint_t       authentic;
    approval_buf_t   text;

    record = json_object_get(line, "record");
    authentic = json_object_get(line, "unauthenticated") == NULL;
    action = ngx_http_approval_story_action(s,
                                         json_object_get(record, "action_id"));

    if (action == NULL
        || ngx_http_approval_story_request(action, record, authentic)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    approval_buf_init(&text);
    approval_story_record(record, &text);

    told = json_pack("{s:O, s:O, s:s%, s:b, s:O}",
                     "time", json_object_get(record, "time"),
                     "type", json_object_get(record, "type"),
                     "text", text.len ? (char *) text.data : "", text.len,
                     "signed", (int) authentic, "record", record);

    if (text.failed) {
        json_decref(told);
        told = NULL;
    }

    approval_buf_free(&text);

    return json_array_append_new(json_object_get(action, "records"), told) == 0
           ? NGX_OK : NGX_ERROR;
}


/* An unsigned request is shown only until a signed one is found. */

static ngx_int_t
ngx_http_approval_story_request(json_t *action, json_t *record,
    ngx_uint_t authentic)
{
    int      rc;
    json_t  *facts;

    facts = json_array();

    rc = facts ? approval_story_request(record, ngx_http_approval_story_fact,
                                        facts)
               : APPROVAL_ERROR;

    if (rc != APPROVAL_OK
        || (json_array_size(json_object_get(action, "request"))
            && !(authentic
                 && json_object_get(action, "request_unauthenticated"))))
    {
        json_decref(facts);
        return rc == APPROVAL_ERROR ? NGX_ERROR : NGX_OK;
    }

    if (json_object_set_new(action, "request", facts) != 0) {
        return NGX_ERROR;
    }

    if (authentic) {
        (void) json_object_del(action, "request_unauthenticated");
        return NGX_OK;
    }

    return json_object_set_new(action, "request_unauthenticated", json_true())
           == 0 ? NGX_OK : NGX_ERROR;
}


/* Returns the action with this id, or a new one. */

static json_t *
ngx_http_approval_story_action(ngx_http_approval_story_t *s, json_t *id)
{
    size_t   i;
    json_t  *action;

    json_array_foreach(s->actions, i, action) {
        if (json_equal(json_object_get(action, "id"), id)) {
            return action;
        }
    }

    action = json_pack("{s:O, s:[], s:[]}", "id", id, "request", "records");

    return json_array_append_new(s->actions, action) == 0 ? action : NULL;
}


static void
ngx_http_approval_story_fact(void *data, const char *name,
    approval_str_t text)
{
    (void) json_array_append_new(data,
               json_pack("{s:s, s:s%}", "name", name,
                         "text", (char *) text.data, text.len));
}


/* The trail gets ids only, because a pasted link may contain a token. */

static void
ngx_http_approval_story_viewed(ngx_http_approval_story_t *s)
{
    size_t   i;
    json_t  *facts, *ids, *action;

    ids = json_array();

    json_array_foreach(s->actions, i, action) {
        (void) json_array_append(ids, json_object_get(action, "id"));
    }

    facts = ngx_http_approval_approver_facts(s->desk);

    if (facts == NULL || json_object_set_new(facts, "story", ids) != 0) {
        json_decref(facts);
        facts = NULL;
    }

    (void) ngx_http_approval_audit(s->desk->mcf, APPROVAL_RECORD_VIEWED, NULL,
                                   facts);
}


static ngx_int_t
ngx_http_approval_story_send(ngx_http_approval_story_t *s)
{
    int                        more;
    json_t                    *data;
    ngx_http_approval_desk_t  *d;

    d = s->desk;

    more = json_array_size(s->lines) == NGX_HTTP_APPROVAL_STORY_RECORDS
           || json_array_size(s->actions) == APPROVAL_FIND_MAX
           || s->size > NGX_HTTP_APPROVAL_STORY_SIZE;

    data = json_pack("{s:O, s:b}", "actions", s->actions, "more", more);

    if (!d->html) {
        return ngx_http_approval_send_json(d->request, NGX_HTTP_OK,
                                           "application/json", data);
    }

    if (data == NULL
        || json_object_set_new(data, "asked",
                               json_boolean(s->wanted.of[0])) != 0
        || json_object_set_new(data, "at_story", json_true()) != 0)
    {
        json_decref(data);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_approval_page_story(d, data);
}
