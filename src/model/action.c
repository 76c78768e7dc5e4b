
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "model/action.h"

#include "core/escape.h"
#include "core/jws.h"
#include "core/pack.h"


#define NGX_HTTP_APPROVAL_ACTION_PURPOSE  "action"
#define NGX_HTTP_APPROVAL_ACTION_KEY      16  /* of its kid, 96 bits */

/* Much more than any document that a gateway seals. */
#define NGX_HTTP_APPROVAL_ACTION_MAX      (64 * 1024 * 1024)


static json_t *ngx_http_approval_decision_claims(json_t *doc,
    ngx_http_approval_state_e state, json_t *by, time_t now, time_t exp);
static ngx_int_t ngx_http_approval_claim_is(json_t *claims, const char *name,
    approval_str_t value);


static ngx_str_t  ngx_http_approval_risks[] = {
    ngx_string("low"),
    ngx_string("medium"),
    ngx_string("high"),
    ngx_string("critical")
};


ngx_str_t *
ngx_http_approval_risk_name(ngx_uint_t risk)
{
    if (risk > NGX_HTTP_APPROVAL_RISK_CRITICAL) {
        risk = NGX_HTTP_APPROVAL_RISK_CRITICAL;
    }

    return &ngx_http_approval_risks[risk];
}


json_t *
ngx_http_approval_json_str(const ngx_str_t *s)
{
    json_t          *value;
    approval_buf_t   buf;

    if (s->len == 0) {
        return json_string("");
    }

    /* stored documents are parsed strictly, which rejects NUL */

    if (ngx_strlchr(s->data, s->data + s->len, '\0') == NULL
        && approval_utf8_valid(ngx_http_approval_core_str(s)))
    {
        return json_stringn((char *) s->data, s->len);
    }

    approval_buf_init(&buf);
    approval_escape_visible(ngx_http_approval_core_str(s),
                            APPROVAL_VISIBLE_TEXT, &buf);

    value = buf.failed ? NULL : json_stringn((char *) buf.data, buf.len);

    approval_buf_free(&buf);

    return value;
}


json_t *
ngx_http_approval_json_cut(ngx_str_t *s, size_t max)
{
    size_t           hidden;
    json_t          *value;
    ngx_str_t        text;
    approval_buf_t   buf;
    approval_str_t   cut;

    cut = ngx_http_approval_core_str(s);
    hidden = approval_cut(&cut, max);

    if (hidden == 0) {
        return ngx_http_approval_json_str(s);
    }

    approval_buf_init(&buf);
    approval_buf_add(&buf, cut.data, cut.len);
    approval_buf_printf(&buf, "\xe2\x80\xa6 (%zu bytes hidden)", hidden);

    text.data = buf.data;
    text.len = buf.len;

    value = buf.failed ? NULL : ngx_http_approval_json_str(&text);

    approval_buf_free(&buf);

    return value;
}


json_t *
ngx_http_approval_json_shown(approval_redact_t *redact, ngx_str_t *name,
    ngx_str_t *s, size_t max)
{
    int              rc;
    json_t          *value;
    ngx_str_t        text;
    approval_buf_t   buf;

    approval_buf_init(&buf);

    rc = name ? approval_redact_named(redact,
                                      ngx_http_approval_core_str(name),
                                      ngx_http_approval_core_str(s), &buf)
              : approval_redact_text(redact, ngx_http_approval_core_str(s),
                                     &buf);

    text.data = buf.data;
    text.len = buf.len;

    value = rc == APPROVAL_OK ? ngx_http_approval_json_cut(&text, max) : NULL;

    approval_buf_free(&buf);

    return value;
}


/* Milliseconds since the epoch by this host's clock, as cached by nginx. */

int64_t
ngx_http_approval_now(void)
{
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    return (int64_t) tp->sec * 1000 + tp->msec;
}


json_t *
ngx_http_approval_json_time(int64_t ms)
{
    char  text[APPROVAL_TIME_LEN + 1];

    if (ms == 0) {
        return json_null();
    }

    approval_time_format(text, ms);

    return json_string(text);
}


ngx_str_t
ngx_http_approval_json_get(json_t *doc, const char *name)
{
    json_t     *value;
    ngx_str_t   s;

    value = json_object_get(doc, name);

    if (!json_is_string(value)) {
        ngx_str_null(&s);
        return s;
    }

    s.len = json_string_length(value);
    s.data = (u_char *) json_string_value(value);

    return s;
}


ngx_int_t
ngx_http_approval_action_seal(ngx_http_approval_main_conf_t *mcf, json_t *doc,
    approval_buf_t *out)
{
    ngx_int_t       rc;
    ngx_str_t       id;
    approval_buf_t  buf, packed;

    id = ngx_http_approval_json_get(doc, "id");

    if (mcf->keyring == NULL || id.len != APPROVAL_ID_LEN) {
        return NGX_ERROR;
    }

    rc = NGX_ERROR;

    approval_buf_init(&buf);
    approval_buf_init(&packed);

    if (approval_json_canonical(doc, &buf) == APPROVAL_OK
        && !buf.failed
        && approval_pack(approval_buf_str(&buf), &packed)
           == APPROVAL_OK
        && approval_seal(mcf->keyring, NGX_HTTP_APPROVAL_ACTION_PURPOSE,
                         ngx_http_approval_core_str(&id),
                         approval_buf_str(&packed), out)
           == APPROVAL_OK
        && !out->failed)
    {
        rc = NGX_OK;
    }

    approval_buf_wipe(&buf);
    approval_buf_wipe(&packed);

    return rc;
}


json_t *
ngx_http_approval_action_open(ngx_http_approval_main_conf_t *mcf, u_char *id,
    ngx_str_t *sealed)
{
    json_t          *doc;
    const char      *err;
    ngx_str_t        own;
    approval_buf_t   buf, packed;
    approval_str_t   aad;

    if (mcf->keyring == NULL) {
        return NULL;
    }

    aad.len = APPROVAL_ID_LEN;
    aad.data = id;

    doc = NULL;

    approval_buf_init(&buf);
    approval_buf_init(&packed);

    if (approval_open(mcf->keyring, NGX_HTTP_APPROVAL_ACTION_PURPOSE, aad,
                      ngx_http_approval_core_str(sealed), &packed)
        == APPROVAL_OK
        && !packed.failed
        && approval_unpack(approval_buf_str(&packed),
                           NGX_HTTP_APPROVAL_ACTION_MAX, &buf)
           == APPROVAL_OK)
    {
        doc = approval_json_parse(approval_buf_str(&buf), &err);
    }

    approval_buf_wipe(&buf);
    approval_buf_wipe(&packed);

    if (doc == NULL) {
        return NULL;
    }

    own = ngx_http_approval_json_get(doc, "id");

    if (json_integer_value(json_object_get(doc, "v")) != 1
        || own.len != APPROVAL_ID_LEN
        || ngx_memcmp(own.data, id, APPROVAL_ID_LEN) != 0)
    {
        json_decref(doc);
        return NULL;
    }

    return doc;
}


int64_t
ngx_http_approval_action_deadline(json_t *doc)
{
    int64_t    ms;
    ngx_str_t  time;

    time = ngx_http_approval_json_get(doc, "deadline");

    if (time.len == 0
        || approval_time_parse(ngx_http_approval_core_str(&time), &ms)
           != APPROVAL_OK)
    {
        return 0;
    }

    return ms;
}


json_t *
ngx_http_approval_action_disclose(json_t *doc, ngx_uint_t what)
{
    json_t  *told, *request;

    told = json_copy(doc);
    request = json_object_get(doc, "request");

    if (told == NULL || request == NULL) {
        return told;
    }

    if (json_object_del(told, "request") != 0
        || (what == NGX_HTTP_APPROVAL_DISCLOSE_REQUEST
            && json_object_update(told, request) != 0))
    {
        json_decref(told);
        return NULL;
    }

    return told;
}


json_t *
ngx_http_approval_action_key(ngx_http_approval_main_conf_t *mcf)
{
    approval_str_t  kid;

    kid = approval_signer_kid(mcf->signer);

    return json_stringn((char *) kid.data, NGX_HTTP_APPROVAL_ACTION_KEY);
}


approval_signer_t *
ngx_http_approval_action_signer(ngx_http_approval_main_conf_t *mcf,
    json_t *doc)
{
    ngx_str_t           key;
    approval_signer_t  *s;

    key = ngx_http_approval_json_get(doc, "key");

    if (key.len == 0) {
        return mcf->signer;
    }

    for (s = mcf->signer; s; s = approval_signer_next(s)) {
        if (key.len == NGX_HTTP_APPROVAL_ACTION_KEY
            && ngx_memcmp(key.data, approval_signer_kid(s).data, key.len) == 0)
        {
            break;
        }
    }

    return s;
}


ngx_int_t
ngx_http_approval_decision_make(ngx_http_approval_main_conf_t *mcf,
    json_t *doc, ngx_http_approval_state_e state, json_t *by, time_t now,
    time_t exp, approval_buf_t *out)
{
    json_t             *claims;
    ngx_int_t           rc;
    approval_signer_t  *signer;

    signer = ngx_http_approval_action_signer(mcf, doc);
    signer = signer ? signer : mcf->signer;

    if (signer == NULL
        || (state != NGX_HTTP_APPROVAL_APPROVED
            && !ngx_http_approval_state_terminal(state)))
    {
        return NGX_ERROR;
    }

    claims = ngx_http_approval_decision_claims(doc, state, by, now, exp);
    if (claims == NULL) {
        return NGX_ERROR;
    }

    rc = NGX_OK;

    if (approval_jws_make(signer, NGX_HTTP_APPROVAL_DECISION_TYP, claims, out)
        != APPROVAL_OK
        || out->failed)
    {
        rc = NGX_ERROR;
    }

    json_decref(claims);

    return rc;
}


static json_t *
ngx_http_approval_decision_claims(json_t *doc, ngx_http_approval_state_e state,
    json_t *by, time_t now, time_t exp)
{
    json_t      *claims, *value;
    ngx_str_t   *sta;
    ngx_uint_t   i;

    static const struct {
        const char  *claim;
        const char  *member;
    } names[] = {
        { "jti", "id" },
        { "dig", "digest" },
        { "sub", "requester" },
        { "pol", "policy" },
        { "rul", "rule" },
        { "act", "action" }
    };

    claims = json_object();
    if (claims == NULL) {
        return NULL;
    }

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        value = json_object_get(doc, names[i].member);

        if (!json_is_string(value)
            || json_object_set(claims, names[i].claim, value) != 0)
        {
            goto failed;
        }
    }

    /* cancelled by an operator, not by its requester */

    if (json_is_true(json_object_get(doc, "frozen"))
        && json_object_set_new(claims, "frz", json_true()) != 0)
    {
        goto failed;
    }

    /* a MAC over everything that approvers were shown */

    value = json_object_get(doc, "join");

    if (json_is_string(value) && json_object_set(claims, "shw", value) != 0) {
        goto failed;
    }

    /* approved by break-glass: valid only for this request */

    if (json_is_true(json_object_get(doc, "alone"))
        && json_object_set_new(claims, "bg", json_true()) != 0)
    {
        goto failed;
    }

    /* each approver has signed with a passkey */

    value = json_object_get(doc, "vote");

    if (json_is_string(value) && json_object_get(doc, "grant") == NULL
        && json_array_size(by)
        && json_object_set(claims, "vot", value) != 0)
    {
        goto failed;
    }

    /* for a use of a grant: which grant, and the number of the use */

    value = json_object_get(doc, "grant");

    if (json_is_string(value)
        && (json_object_set(claims, "grt", value) != 0
            || json_object_set(claims, "use", json_object_get(doc, "use"))
               != 0))
    {
        goto failed;
    }

    sta = ngx_http_approval_state_name(state);

    if (json_object_set_new(claims, "sta",
                            json_stringn((char *) sta->data, sta->len))
        != 0
        || json_object_set_new(claims, "by",
                               by ? json_incref(by) : json_array())
           != 0
        || json_object_set_new(claims, "iat", json_integer(now)) != 0
        || json_object_set_new(claims, "exp", json_integer(exp)) != 0)
    {
        goto failed;
    }

    return claims;

failed:

    json_decref(claims);

    return NULL;
}


ngx_int_t
ngx_http_approval_decision_bare(ngx_str_t *decision,
    ngx_http_approval_state_e *state)
{
    approval_str_t  word;

    word = ngx_http_approval_core_str(decision);

    while (word.len && (word.data[word.len - 1] == LF
                        || word.data[word.len - 1] == CR))
    {
        word.len--;
    }

    if (approval_str_eq(word, approval_str("approve"))) {
        *state = NGX_HTTP_APPROVAL_APPROVED;
        return NGX_OK;
    }

    if (approval_str_eq(word, approval_str("deny"))) {
        *state = NGX_HTTP_APPROVAL_DENIED;
        return NGX_OK;
    }

    return NGX_DECLINED;
}


ngx_int_t
ngx_http_approval_decision_read(ngx_http_approval_main_conf_t *mcf,
    u_char *id, ngx_str_t *digest, ngx_str_t *decision, time_t now,
    ngx_http_approval_state_e *state, json_t **claims, const char **err)
{
    json_t                     *c, *exp;
    ngx_str_t                   sta;
    approval_str_t              jti;
    ngx_http_approval_state_e   s;

    if (claims) {
        *claims = NULL;
    }

    *state = NGX_HTTP_APPROVAL_UNKNOWN;

    if (mcf->signer == NULL) {
        *err = "the decision cannot be verified, because there is neither "
               "approval_key nor approval_signing_key";
        return NGX_DECLINED;
    }

    c = approval_jws_verify(mcf->signer, NGX_HTTP_APPROVAL_DECISION_TYP,
                            ngx_http_approval_core_str(decision), err);
    if (c == NULL) {
        return NGX_DECLINED;
    }

    jti.len = APPROVAL_ID_LEN;
    jti.data = id;

    if (ngx_http_approval_claim_is(c, "jti", jti) != NGX_OK) {
        *err = "the decision belongs to another action";
        goto declined;
    }

    if (digest
        && ngx_http_approval_claim_is(c, "dig",
                                      ngx_http_approval_core_str(digest))
           != NGX_OK)
    {
        *err = "the decision belongs to another request: the digests differ";
        goto declined;
    }

    sta = ngx_http_approval_json_get(c, "sta");
    s = ngx_http_approval_state_parse(&sta);

    if (s != NGX_HTTP_APPROVAL_APPROVED
        && !ngx_http_approval_state_terminal(s))
    {
        *err = "the decision's state is neither approved nor denied";
        goto declined;
    }

    exp = json_object_get(c, "exp");

    if (!json_is_integer(exp)
        || !json_is_integer(json_object_get(c, "iat")))
    {
        *err = "the decision has no iat or exp";
        goto declined;
    }

    if ((json_int_t) now >= json_integer_value(exp)) {
        *err = "the decision has expired";
        goto declined;
    }

    *state = s;

    if (claims) {
        *claims = c;

    } else {
        json_decref(c);
    }

    return NGX_OK;

declined:

    json_decref(c);

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_approval_claim_is(json_t *claims, const char *name,
    approval_str_t value)
{
    ngx_str_t  s;

    s = ngx_http_approval_json_get(claims, name);

    if (value.len == 0
        || !approval_str_eq(ngx_http_approval_core_str(&s), value))
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}
