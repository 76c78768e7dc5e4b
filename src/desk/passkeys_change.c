
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Enrols, confirms and revokes passkeys.  Each step reads all records first,
 * which also yields Redis' clock and the record to change.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/passkeys.h"
#include "audit/audit.h"
#include "core/escape.h"
#include "core/jws.h"
#include "desk/approver.h"
#include "desk/change.h"
#include "desk/form.h"
#include "desk/page.h"
#include "store/passkey.h"


#define NGX_HTTP_APPROVAL_PASSKEYS_OWN   16     /* of one person */
#define NGX_HTTP_APPROVAL_PASSKEY_LABEL  240    /* bytes         */
#define NGX_HTTP_APPROVAL_PASSKEY_TRIES  4      /* to revoke it  */


static ngx_int_t ngx_http_approval_passkeys_enrol(ngx_http_approval_desk_t *d);
static ngx_int_t ngx_http_approval_passkeys_claims(ngx_http_approval_desk_t *d,
    approval_passkey_proof_t *proof, approval_passkey_key_t *key,
    uint32_t count);
static ngx_int_t ngx_http_approval_passkeys_step(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply);
static ngx_int_t ngx_http_approval_passkeys_find(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply);
static ngx_int_t ngx_http_approval_passkeys_change(ngx_http_approval_desk_t *d,
    int64_t now, ngx_int_t *rc);
static ngx_int_t ngx_http_approval_passkeys_over(ngx_http_approval_desk_t *d,
    int64_t now);
static ngx_int_t ngx_http_approval_passkeys_again(ngx_http_approval_desk_t *d);
static ngx_int_t ngx_http_approval_passkeys_sign(ngx_http_approval_desk_t *d,
    int64_t now);
static ngx_int_t ngx_http_approval_passkeys_stored(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply);
static json_t *ngx_http_approval_passkeys_facts(ngx_http_approval_desk_t *d);
static ngx_http_approval_op_t *ngx_http_approval_passkeys_store(
    ngx_http_approval_desk_t *d, int64_t now);
static ngx_http_approval_change_t *ngx_http_approval_passkeys_end(
    ngx_http_approval_desk_t *d);


ngx_int_t
ngx_http_approval_passkeys_posted(ngx_http_approval_desk_t *d, ngx_str_t *body)
{
    ngx_int_t                      rc;
    ngx_str_t                      confirm, revoke, name;
    ngx_http_approval_passkeys_t  *work = d->work;

    work->fields = ngx_http_approval_form_read(d, "passkeys", body, &rc);

    if (work->fields == NULL) {
        return rc;
    }

    confirm = ngx_http_approval_json_get(work->fields, "confirm");
    revoke = ngx_http_approval_json_get(work->fields, "revoke");

    if (confirm.len == 0 && revoke.len == 0) {
        work->what = "passkey enrolled";
        return ngx_http_approval_passkeys_enrol(d);
    }

    if (confirm.len && revoke.len) {
        return ngx_http_approval_desk_bad_body(d,
                   "Either confirm or revoke a passkey, not both.");
    }

    name = confirm.len ? confirm : revoke;

    if (!approval_id_valid(ngx_http_approval_core_str(&name))) {
        return ngx_http_approval_desk_not_found(d);
    }

    ngx_memcpy(work->name, name.data, APPROVAL_ID_LEN);
    work->what = confirm.len ? "passkey confirmed" : "passkey revoked";

    return ngx_http_approval_passkeys_read(d, ngx_http_approval_passkeys_step);
}


static ngx_int_t
ngx_http_approval_passkeys_enrol(ngx_http_approval_desk_t *d)
{
    uint32_t                       count;
    ngx_int_t                      rc;
    ngx_str_t                      challenge, assertion, label, digest;
    const char                    *err;
    unsigned char                  md[APPROVAL_SHA256_LEN];
    approval_str_t                 nonce;
    approval_passkey_key_t         key;
    approval_passkey_proof_t       proof;
    ngx_http_approval_passkeys_t  *work = d->work;

    challenge = ngx_http_approval_json_get(work->fields, "challenge");
    assertion = ngx_http_approval_json_get(work->fields, "assertion");
    label = ngx_http_approval_json_get(work->fields, "label");

    ngx_str_set(&digest, "enrol");

    if (approval_blank(ngx_http_approval_core_str(&label))
        || label.len > NGX_HTTP_APPROVAL_PASSKEY_LABEL)
    {
        return ngx_http_approval_desk_bad_body(d,
                   "Give the passkey a name of at most 60 characters.");
    }

    if (!ngx_http_approval_passkey_nonce_valid(d, NULL, &digest, &challenge)
        || approval_passkey_read(ngx_http_approval_core_str(&assertion),
                                 &proof)
           != APPROVAL_OK)
    {
        return ngx_http_approval_desk_bad_body(d,
                   "The passkey was not created on this page, or more than "
                   "ten minutes after the page was opened. Open the page "
                   "again.");
    }

    nonce.data = challenge.data;
    nonce.len = APPROVAL_PASSKEY_NONCE_LEN;
    err = "The gateway has no memory left";

    rc = NGX_DECLINED;

    if (approval_passkey_enrol_challenge(
            ngx_http_approval_core_str(&d->person), nonce, md)
        == APPROVAL_OK
        && approval_passkey_enrol(&proof,
               ngx_http_approval_core_str(&d->mcf->passkey_origin), md, &key,
               &count, &err)
           == APPROVAL_OK)
    {
        rc = ngx_http_approval_passkeys_claims(d, &proof, &key, count);
    }

    approval_passkey_free(&proof);

    if (rc == NGX_DECLINED) {
        ngx_log_error(NGX_LOG_WARN, ngx_http_approval_log(d->request), 0,
                      "a passkey of \"%V\" was not enrolled: %s", &d->who, err);

        return ngx_http_approval_desk_refuse(d, NGX_HTTP_FORBIDDEN,
                   "passkey-refused", "Not enrolled",
                   "The passkey was not created on this gateway's page by an "
                   "authenticator that verifies its user. The gateway's error "
                   "log says what is wrong.", NULL);
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_approval_passkeys_read(d, ngx_http_approval_passkeys_step);
}


static ngx_int_t
ngx_http_approval_passkeys_claims(ngx_http_approval_desk_t *d,
    approval_passkey_proof_t *proof, approval_passkey_key_t *key,
    uint32_t count)
{
    size_t                         len;
    ngx_str_t                      label;
    unsigned char                  pub[approval_base64_size(
                                                 APPROVAL_PASSKEY_KEY_MAX)];
    ngx_http_approval_passkeys_t  *work = d->work;

    if (approval_passkey_name(approval_buf_str(&proof->id),
                              (char *) work->name)
        != APPROVAL_OK)
    {
        return NGX_ERROR;
    }

    len = approval_base64url_encode(pub, key->raw, key->len);
    label = ngx_http_approval_json_get(work->fields, "label");

    work->claims = json_pack("{s:s%, s:o, s:o, s:i, s:s%, s:o, s:o, s:I, s:[]}",
                      "jti", (char *) work->name, (size_t) APPROVAL_ID_LEN,
                      "sub", ngx_http_approval_json_str(&d->person),
                      "idn", ngx_http_approval_json_str(&d->who),
                      "alg", key->alg,
                      "pub", (char *) pub, len,
                      "org", ngx_http_approval_json_str(
                                                   &d->mcf->passkey_origin),
                      "nam", ngx_http_approval_json_str(&label),
                      "cnt", (json_int_t) count,
                      "cnf");

    return work->claims ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_approval_passkeys_step(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply)
{
    ngx_int_t                      rc;
    ngx_http_approval_passkeys_t  *work = d->work;

    if (reply->rc != NGX_OK) {
        return ngx_http_approval_desk_unavailable(d);
    }

    if (ngx_http_approval_passkeys_find(d, reply) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_approval_passkeys_change(d, reply->now, &rc) != NGX_OK) {
        return rc;
    }

    if (ngx_http_approval_passkeys_sign(d, reply->now) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* anything that lets somebody vote is recorded before it takes effect */

    if (ngx_strcmp(work->what, "passkey revoked") != 0
        && ngx_http_approval_audit(d->mcf, APPROVAL_RECORD_CONFIG, NULL,
                                   ngx_http_approval_passkeys_facts(d))
           != NGX_OK)
    {
        return ngx_http_approval_desk_refuse(d, NGX_HTTP_SERVICE_UNAVAILABLE,
                   "audit-unavailable", "Audit unavailable",
                   "The change could not be recorded, so it was not "
                   "made.", NULL);
    }

    return ngx_http_approval_desk_wait(d,
               ngx_http_approval_passkeys_store(d, reply->now),
               ngx_http_approval_passkeys_stored);
}


static ngx_http_approval_op_t *
ngx_http_approval_passkeys_store(ngx_http_approval_desk_t *d, int64_t now)
{
    int64_t                        since;
    ngx_str_t                      none;
    ngx_uint_t                     revoke;
    ngx_http_approval_op_t        *op;
    ngx_http_approval_change_t    *change;
    ngx_http_approval_passkeys_t  *work = d->work;

    change = NULL;
    revoke = (ngx_strcmp(work->what, "passkey revoked") == 0);

    if (revoke) {
        change = ngx_http_approval_passkeys_end(d);

        if (change == NULL) {
            return NULL;
        }
    }

    ngx_str_null(&none);

    /* a clock that is wrong must not prevent it */

    since = (work->tries < NGX_HTTP_APPROVAL_PASSKEY_TRIES) ? now : INT64_MAX;

    op = ngx_http_approval_store_passkey_put(d->mcf->worker->store, work->name,
                                             &work->old,
                                             revoke ? &none : &work->record,
                                             revoke ? &work->record : &none,
                                             since,
                                             ngx_http_approval_desk_answer, d);

    return change ? ngx_http_approval_change_keep(change, op) : op;
}


static ngx_http_approval_change_t *
ngx_http_approval_passkeys_end(ngx_http_approval_desk_t *d)
{
    json_t                        *facts;
    ngx_str_t                      id;
    ngx_http_approval_end_t        end;
    ngx_http_approval_passkeys_t  *work = d->work;

    facts = ngx_http_approval_passkeys_facts(d);
    if (facts == NULL) {
        return NULL;
    }

    ngx_memzero(&end, sizeof(ngx_http_approval_end_t));

    end.kind = NGX_HTTP_APPROVAL_END_PASSKEY;
    end.over = 1;
    end.since = json_integer_value(json_object_get(work->claims, "iatms"));

    id.data = work->name;
    id.len = APPROVAL_ID_LEN;

    return ngx_http_approval_change(d->mcf, &end, &id, facts);
}


/* Finds the record of this name, and counts the person's records. */

static ngx_int_t
ngx_http_approval_passkeys_find(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply)
{
    json_t                        *claims;
    ngx_uint_t                     i;
    const char                    *why;
    ngx_http_approval_passkeys_t  *work = d->work;

    for (i = 0; i + 2 < reply->nvotes; i += 3) {
        claims = ngx_http_approval_passkey_open(d, &reply->votes[i],
                                                &reply->votes[i + 1],
                                                &reply->votes[i + 2],
                                                reply->now, &why);

        work->own += (claims && ngx_http_approval_passkeys_own(d, claims));

        if (reply->votes[i].len == APPROVAL_ID_LEN
            && ngx_memcmp(reply->votes[i].data, work->name, APPROVAL_ID_LEN)
               == 0)
        {
            if (ngx_http_approval_desk_copy(d->request->pool,
                          ngx_http_approval_core_str(&reply->votes[i + 1]),
                          &work->old)
                != NGX_OK)
            {
                json_decref(claims);
                return NGX_ERROR;
            }

            if (work->claims == NULL) {
                work->claims = json_incref(claims);
            }
        }

        json_decref(claims);
    }

    return NGX_OK;
}


/*
 * Other than NGX_OK: answered, because the change is not allowed.  An operator
 * revokes a passkey by its id alone if its record was lost, or is not ours.
 */

static ngx_int_t
ngx_http_approval_passkeys_change(ngx_http_approval_desk_t *d, int64_t now,
    ngx_int_t *rc)
{
    json_t                        *item, *by;
    ngx_uint_t                     oper;
    approval_buf_t                 groups;
    ngx_http_approval_passkeys_t  *work = d->work;

    if (ngx_strcmp(work->what, "passkey enrolled") == 0) {

        switch (ngx_http_approval_passkeys_over(d, now)) {

        case NGX_OK:
            *rc = ngx_http_approval_passkeys_again(d);
            return NGX_DECLINED;

        case NGX_ERROR:
            *rc = ngx_http_approval_desk_refuse(d,
                      NGX_HTTP_SERVICE_UNAVAILABLE, "store-unavailable",
                      "Not enrolled",
                      "The gateway's memory of revocations is full, so it "
                      "does not know whether this passkey was revoked. Try "
                      "again later.", NULL);
            return NGX_DECLINED;
        }

        if (work->old.len == 0 && work->own < NGX_HTTP_APPROVAL_PASSKEYS_OWN) {
            return NGX_OK;
        }

        *rc = ngx_http_approval_desk_refuse(d, NGX_HTTP_CONFLICT,
                  "passkey-refused", "Not enrolled",
                  work->old.len ? "This passkey is already enrolled."
                                : "You have 16 passkeys: revoke one of them "
                                  "first.", NULL);
        return NGX_DECLINED;
    }

    oper = ngx_http_approval_approver_operator(d);

    if (ngx_strcmp(work->what, "passkey revoked") == 0) {

        if (work->claims == NULL && oper) {
            work->claims = json_pack("{s:s%}", "jti", (char *) work->name,
                                     (size_t) APPROVAL_ID_LEN);
            *rc = NGX_HTTP_INTERNAL_SERVER_ERROR;

            return work->claims ? NGX_OK : NGX_ERROR;
        }

        if (oper || (work->claims
                     && ngx_http_approval_passkeys_own(d, work->claims)))
        {
            return NGX_OK;
        }
    }

    if (work->claims == NULL) {
        *rc = ngx_http_approval_desk_not_found(d);
        return NGX_DECLINED;
    }

    if (ngx_strcmp(work->what, "passkey revoked") == 0) {
        *rc = ngx_http_approval_desk_refuse(d, NGX_HTTP_FORBIDDEN,
                  "not-an-operator", "Not yours",
                  "Only its owner or an operator can revoke a passkey.",
                  NULL);
        return NGX_DECLINED;
    }

    if (!ngx_http_approval_passkeys_confirmable(d, work->claims)) {
        *rc = ngx_http_approval_desk_refuse(d, NGX_HTTP_FORBIDDEN,
                  "not-an-approver", "You cannot confirm it",
                  "An operator, or two members of one of its owner's groups, "
                  "must confirm a passkey: each once, and never the "
                  "owner.", NULL);
        return NGX_DECLINED;
    }

    approval_buf_init(&groups);
    ngx_http_approval_passkeys_shared(d, work->claims, &groups);

    item = json_pack("{s:o, s:o, s:s%, s:b}",
                     "sub", ngx_http_approval_json_str(&d->person),
                     "idn", ngx_http_approval_json_str(&d->who),
                     "grp", groups.len ? (char *) groups.data : "", groups.len,
                     "opr", (int) oper);

    approval_buf_free(&groups);

    by = json_object_get(work->claims, "cnf");

    *rc = NGX_HTTP_INTERNAL_SERVER_ERROR;

    return json_array_append_new(by, item) == 0 ? NGX_OK : NGX_ERROR;
}


/*
 * NGX_OK: this gateway has seen that the passkey was revoked.  NGX_ERROR: it may
 * have forgotten that.
 */

static ngx_int_t
ngx_http_approval_passkeys_over(ngx_http_approval_desk_t *d, int64_t now)
{
    ngx_http_approval_end_t        end;
    ngx_http_approval_passkeys_t  *work = d->work;

    end.kind = NGX_HTTP_APPROVAL_END_PASSKEY;
    ngx_memcpy(end.id, work->name, APPROVAL_ID_LEN);

    return ngx_http_approval_end_find(d->mcf, &end, now);
}


static ngx_int_t
ngx_http_approval_passkeys_again(ngx_http_approval_desk_t *d)
{
    return ngx_http_approval_desk_refuse(d, NGX_HTTP_CONFLICT,
               "passkey-refused", "Not enrolled",
               "This passkey was revoked, and stays so: enrol a new one.",
               NULL);
}


static ngx_int_t
ngx_http_approval_passkeys_sign(ngx_http_approval_desk_t *d, int64_t now)
{
    ngx_int_t                      rc;
    approval_buf_t                 jws;
    ngx_http_approval_passkeys_t  *work = d->work;

    /* "sta" is the last word of work->what */

    if ((json_object_get(work->claims, "enr") == NULL
         && json_object_set_new(work->claims, "enr", json_integer(now)) != 0)
        || json_object_set_new(work->claims, "iatms", json_integer(now)) != 0
        || json_object_set_new(work->claims, "sta",
                               json_string(work->what + sizeof("passkey ") - 1))
           != 0)
    {
        return NGX_ERROR;
    }

    approval_buf_init(&jws);

    rc = NGX_ERROR;

    if (approval_jws_make(d->mcf->signer, APPROVAL_PASSKEY_TYP, work->claims,
                          &jws)
        == APPROVAL_OK && !jws.failed)
    {
        rc = ngx_http_approval_desk_copy(d->request->pool,
                                         approval_buf_str(&jws),
                                         &work->record);
    }

    approval_buf_free(&jws);

    return rc;
}


/* For the trail: a new object, or NULL. */

static json_t *
ngx_http_approval_passkeys_facts(ngx_http_approval_desk_t *d)
{
    json_t                        *facts, *owner;
    ngx_http_approval_passkeys_t  *work = d->work;

    owner = json_object_get(work->claims, "sub");
    facts = ngx_http_approval_approver_facts(d);

    if (facts == NULL
        || json_object_set_new(facts, "what", json_string(work->what)) != 0
        || (owner && json_object_set(facts, "owner", owner) != 0)
        || json_object_set_new(facts, "passkey",
                               ngx_http_approval_json_str(&work->record)) != 0
        || json_object_set_new(facts, "store_time",
                               ngx_http_approval_json_time(json_integer_value(
                                   json_object_get(work->claims, "iatms"))))
           != 0)
    {
        json_decref(facts);
        return NULL;
    }

    return facts;
}


static ngx_int_t
ngx_http_approval_passkeys_stored(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply)
{
    const char                    *detail;
    approval_str_t                 word;
    ngx_http_approval_passkeys_t  *work = d->work;

    if (reply->rc != NGX_OK || reply->nvotes != 1) {
        return ngx_http_approval_desk_unavailable(d);
    }

    word = ngx_http_approval_core_str(&reply->votes[0]);

    /* no use is later than the revocation, so sign a later one */

    if (approval_str_eq(word, approval_str("used"))) {
        work->tries++;

        json_decref(work->claims);
        work->claims = NULL;
        work->own = 0;
        ngx_str_null(&work->old);

        return ngx_http_approval_passkeys_read(d,
                                              ngx_http_approval_passkeys_step);
    }

    if (approval_str_eq(word, approval_str("ended"))) {
        return ngx_http_approval_passkeys_again(d);
    }

    if (approval_str_eq(word, approval_str("full"))) {
        return ngx_http_approval_desk_refuse(d, NGX_HTTP_CONFLICT,
                   "passkey-refused", "Not enrolled",
                   "The gateway stores no more passkeys: an operator must "
                   "revoke some.", NULL);
    }

    if (!approval_str_eq(word, approval_str("ok"))) {
        return ngx_http_approval_desk_refuse(d, NGX_HTTP_CONFLICT,
                   "passkey-refused", "Changed just now",
                   "Somebody else changed this passkey at the same time. Open "
                   "the page again.", NULL);
    }

    if (ngx_strcmp(work->what, "passkey enrolled") == 0) {
        detail = "It counts once an operator, or two members of one of your "
                 "groups, have confirmed it. They will ask you for its id.";

    } else if (ngx_strcmp(work->what, "passkey revoked") == 0) {
        detail = "Votes that it signs are refused from now on.";

    } else {
        detail = approval_passkey_confirmed(work->claims)
                 ? "It may sign votes from now on."
                 : "One more member of the group has to confirm it.";
    }

    ngx_log_error(NGX_LOG_NOTICE, ngx_http_approval_log(d->request), 0,
                  "%s: %*s, by \"%V\"", work->what, (size_t) APPROVAL_ID_LEN,
                  work->name, &d->who);

    return ngx_http_approval_page_result(d, NGX_HTTP_OK,
               json_pack("{s:s, s:s, s:b}", "title",
                         work->what[sizeof("passkey ") - 1] == 'e' ? "Enrolled"
                         : work->what[sizeof("passkey ") - 1] == 'r'
                           ? "Revoked" : "Confirmed",
                         "detail", detail, "enrols", 1));
}
