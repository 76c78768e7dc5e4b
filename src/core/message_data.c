
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The description of an action, as the values of a template.
 */


#include "core/message.h"

#include <string.h>


/* Limits in bytes of one value, and of all matched, or all shown, ones. */
#define DATA_VALUE  8192
#define DATA_PAIRS  32768


typedef struct {
    const approval_message_t  *m;
    json_t                    *data;
    json_t                    *list;        /* of facts or pairs           */
    const char                *member;      /* "matched" or "show"         */
    size_t                     used;        /* by its pairs                */
    size_t                     longest;     /* value                       */
    int                        failed;
} data_t;


static json_t *data_make(const approval_message_t *m, size_t longest);
static void data_event(data_t *d);
static void data_document(data_t *d);
static void data_texts(data_t *d);
static void data_facts(data_t *d);
static void data_fact(void *data, const char *name, approval_str_t value);
static void data_pairs(data_t *d, const char *member);
static int data_pair(void *data, approval_str_t name, approval_str_t value);
static void data_list(data_t *d, const char *member);
static void data_item(data_t *d, approval_str_t name, approval_str_t value);
static void data_time(data_t *d, const char *name, const char *seconds,
    int64_t ms);
static void data_number(data_t *d, json_t *from, const char *name);
static void data_set(data_t *d, const char *name, approval_str_t value);
static void data_put(data_t *d, const char *name, json_t *value);
static json_t *data_string(data_t *d, approval_str_t value, size_t hidden);


json_t *
approval_message_data(const approval_message_t *m)
{
    return data_make(m, DATA_VALUE);
}


json_t *
approval_message_whole(const approval_message_t *m)
{
    return data_make(m, SIZE_MAX);
}


static json_t *
data_make(const approval_message_t *m, size_t longest)
{
    data_t  d;

    d.m = m;
    d.data = json_object();
    d.longest = longest;
    d.failed = 0;

    data_event(&d);
    data_document(&d);

    data_time(&d, "created_at", "created", m->created);
    data_time(&d, "expires_at", "expires", m->expires);
    data_time(&d, "told_at", "told", m->event == APPROVAL_EVENT_REQUESTED
                                     ? m->created : m->told);

    data_texts(&d);
    data_facts(&d);
    data_pairs(&d, "matched");
    data_pairs(&d, "show");

    if (d.failed) {
        json_decref(d.data);
        return NULL;
    }

    return d.data;
}


static void
data_event(data_t *d)
{
    int               open;
    approval_event_e  event;

    open = approval_event_open(d->m->event);

    for (event = APPROVAL_EVENT_REQUESTED; event <= APPROVAL_EVENT_FAILED;
         event++)
    {
        data_put(d, approval_event_name(event),
                 json_boolean(event == d->m->event));
    }

    data_put(d, "event", json_string(approval_event_name(d->m->event)));
    data_put(d, "open", json_boolean(open));
    data_put(d, "closed", json_boolean(!open));
}


static void
data_document(data_t *d)
{
    size_t           i, hidden;
    json_t          *doc;
    approval_str_t   risk, body;

    static const char  *names[] = {
        "policy", "rule", "action", "risk", "summary", "requester",
        "on_behalf_of", "reason", "method", "host", "target", "remote_addr",
        "digest", "content_type", "traceparent"
    };

    static const char  *risks[] = { "low", "medium", "high", "critical" };

    doc = d->m->doc;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        data_set(d, names[i], approval_message_get(doc, names[i]));
    }

    risk = approval_message_get(doc, "risk");

    for (i = 0; i < sizeof(risks) / sizeof(risks[0]); i++) {
        data_put(d, risks[i],
                 json_boolean(approval_str_eq(risk, approval_str(risks[i]))));
    }

    body = approval_message_get(doc, "body");
    hidden = (size_t) json_integer_value(json_object_get(doc, "body_hidden"));

    data_put(d, "body", data_string(d, body, body.len ? hidden : 0));

    data_number(d, doc, "body_bytes");
    data_number(d, doc, "body_hidden");
    data_number(d, doc, "query_hidden");
    data_put(d, "body_declared", json_boolean(approval_message_shown(doc)));
}


static void
data_texts(data_t *d)
{
    approval_buf_t             title, text;
    const approval_message_t  *m;

    m = d->m;

    approval_buf_init(&title);
    approval_buf_init(&text);

    approval_message_title(m, &title);
    approval_message_outcome(m, &text);

    if (title.failed || text.failed) {
        d->failed = 1;
    }

    data_set(d, "title", approval_buf_str(&title));
    data_set(d, "outcome", approval_buf_str(&text));
    data_set(d, "comment", approval_message_get(m->facts, "comment"));
    data_set(d, "why", approval_message_get(m->facts, "why"));
    data_set(d, "id", m->id);
    data_set(d, "url", m->url);
    data_set(d, "approver", m->approver);
    data_set(d, "code", m->code);
    data_set(d, "audit_head", m->head);
    data_number(d, json_object_get(m->facts, "outcome"), "status");
    data_put(d, "recent", json_integer((json_int_t) m->recent));

    approval_buf_free(&title);
    approval_buf_free(&text);
}


static void
data_facts(data_t *d)
{
    data_list(d, "facts");

    if (approval_message_facts(d->m, data_fact, d) != APPROVAL_OK) {
        d->failed = 1;
    }
}


static void
data_fact(void *data, const char *name, approval_str_t value)
{
    data_item(data, approval_str(name), value);
}


/* Adds each pair to the list, and by its name. */

static void
data_pairs(data_t *d, const char *member)
{
    d->member = member;
    d->used = 0;

    data_list(d, member);

    if (approval_message_pairs(d->m, member, data_pair, d)
        == APPROVAL_DECLINED)
    {
        data_item(d, approval_str("\xe2\x80\xa6"),
                  approval_str("more is hidden: see the action's page"));
    }
}


static int
data_pair(void *data, approval_str_t name, approval_str_t value)
{
    data_t  *d = data;

    approval_buf_t  key;

    d->used += name.len + (value.len < DATA_VALUE ? value.len : DATA_VALUE);

    if (d->used > DATA_PAIRS) {
        return APPROVAL_DECLINED;
    }

    approval_buf_init(&key);
    approval_buf_printf(&key, "%s.", d->member);
    approval_buf_add(&key, name.data, name.len);
    approval_buf_addc(&key, '\0');

    if (key.failed) {
        d->failed = 1;

    } else {
        data_set(d, (char *) key.data, value);
        data_item(d, name, value);
    }

    approval_buf_free(&key);

    return d->failed ? APPROVAL_ERROR : APPROVAL_OK;
}


static void
data_list(data_t *d, const char *member)
{
    d->list = json_array();

    data_put(d, member, d->list);
}


static void
data_item(data_t *d, approval_str_t name, approval_str_t value)
{
    json_t  *item;

    item = json_pack("{s:o, s:o, s:b, s:b}", "name", data_string(d, name, 0),
                     "value", data_string(d, value, 0),
                     "first", json_array_size(d->list) == 0,
                     "tenth", json_array_size(d->list) % 10 == 0);

    if (json_array_append_new(d->list, item) != 0) {
        d->failed = 1;
    }
}


static void
data_time(data_t *d, const char *name, const char *seconds, int64_t ms)
{
    char  text[APPROVAL_TIME_LEN + 1];

    approval_time_format(text, ms);

    data_put(d, name, json_string(text));
    data_put(d, seconds, json_integer(ms / 1000));
}


static void
data_number(data_t *d, json_t *from, const char *name)
{
    data_put(d, name,
             json_integer(json_integer_value(json_object_get(from, name))));
}


static void
data_set(data_t *d, const char *name, approval_str_t value)
{
    data_put(d, name, data_string(d, value, 0));
}


static void
data_put(data_t *d, const char *name, json_t *value)
{
    if (json_object_set_new(d->data, name, value) != 0) {
        d->failed = 1;
    }
}


/* Long values are cut, and say so.  Invalid UTF-8 cannot be a JSON string. */

static json_t *
data_string(data_t *d, approval_str_t value, size_t hidden)
{
    json_t          *string;
    approval_buf_t   text;

    if (value.len == 0) {
        return json_string("");
    }

    hidden += approval_cut(&value, d->longest);

    if (hidden == 0 && approval_utf8_valid(value)) {
        return json_stringn((const char *) value.data, value.len);
    }

    approval_buf_init(&text);

    if (approval_utf8_valid(value)) {
        approval_buf_add(&text, value.data, value.len);

    } else {
        approval_escape_visible(value, APPROVAL_VISIBLE_TEXT, &text);
    }

    if (hidden) {
        approval_buf_printf(&text, "\xe2\x80\xa6 (%zu bytes hidden)", hidden);
    }

    string = text.failed ? NULL
                         : json_stringn((char *) text.data, text.len);

    approval_buf_free(&text);

    return string;
}


int
approval_message_sample(approval_message_t *m, approval_event_e event,
    const char *risk)
{
    static const char  odd[] = "\"\\' <&>\n%{}[],: \xe2\x82\xac";

    memset(m, 0, sizeof(approval_message_t));

    m->event = event;
    m->id = approval_str("0123456789abcdef0123456789abcdef");
    m->approver = approval_str(odd);
    m->url = approval_str("https://gateway.example/_approval/actions/0?t=1.a");
    m->code = approval_str("123456");
    m->head = approval_str("sha256:0");

    m->doc = json_pack("{s:s s:s s:s s:s s:s s:s s:s s:s s:s s:s s:s s:s s:s"
                       " s:s s:s s:{s:s} s:{s:s}}",
                       "policy", odd, "rule", odd, "action", odd,
                       "risk", risk, "summary", odd, "requester", odd,
                       "on_behalf_of", odd, "reason", odd, "method", "POST",
                       "host", "gateway.example", "target", odd,
                       "remote_addr", "192.0.2.1", "digest", "sha256:0",
                       "content_type", odd, "body", odd,
                       "matched", odd, odd, "show", odd, odd);
    m->facts = json_pack("{s:s s:s s:s s:{s:i}}", "approvers", odd,
                         "comment", odd, "why", odd,
                         "outcome", "status", 200);

    if (m->doc == NULL || m->facts == NULL) {
        json_decref(m->doc);
        json_decref(m->facts);
        return APPROVAL_ERROR;
    }

    return APPROVAL_OK;
}
