
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/passkey.h"
#include "audit/audit.h"
#include "core/jws.h"
#include "core/token.h"
#include "desk/approver.h"
#include "desk/decision.h"
#include "model/ends.h"
#include "store/passkey.h"


#define NGX_HTTP_APPROVAL_PASSKEY_TIME  600     /* to sign, s */


/* The assertion to check; ends with the request. */

typedef struct {
    approval_passkey_proof_t  proof;
    unsigned char             challenge[APPROVAL_SHA256_LEN];
    u_char                    name[APPROVAL_ID_LEN];
    u_char                    nonce[APPROVAL_PASSKEY_NONCE_LEN];
    json_t                   *psk;           /* until it was used */
} ngx_http_approval_passkey_t;


static ngx_int_t ngx_http_approval_passkey_read(ngx_http_approval_desk_t *d,
    json_t *doc, ngx_http_approval_passkey_t *p);
static ngx_int_t ngx_http_approval_passkey_shown(ngx_http_approval_desk_t *d,
    json_t *doc, u_char *nonce, char *shown);
static void ngx_http_approval_passkey_cleanup(void *data);
static ngx_int_t ngx_http_approval_passkey_found(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply);
static const char *ngx_http_approval_passkey_check(
    ngx_http_approval_desk_t *d, ngx_http_approval_passkey_t *p,
    json_t *claims, uint32_t *count);
static ngx_int_t ngx_http_approval_passkey_used(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply);
static ngx_int_t ngx_http_approval_passkey_refuse(ngx_http_approval_desk_t *d,
    const char *why);
static ngx_int_t ngx_http_approval_passkey_revoked(
    ngx_http_approval_desk_t *d, ngx_str_t *name, json_t *claims,
    ngx_str_t *ended, int64_t now);
static void ngx_http_approval_passkey_token(ngx_http_approval_desk_t *d,
    u_char *id, ngx_str_t *digest, u_char *nonce, approval_buf_t *text,
    approval_token_t *t);
static ngx_http_approval_passkey_t *ngx_http_approval_passkey_of(
    ngx_http_approval_desk_t *d);


static u_char  ngx_http_approval_passkey_none[] =
    "00000000000000000000000000000000";


ngx_uint_t
ngx_http_approval_passkey_wanted(ngx_http_approval_desk_t *d, json_t *doc)
{
    ngx_http_approval_decision_t  *dec = d->work;

    return dec->act.data[0] != 'c' && json_object_get(doc, "vote") != NULL;
}


ngx_int_t
ngx_http_approval_passkey_ask(ngx_http_approval_desk_t *d, json_t *doc)
{
    ngx_int_t                      rc;
    ngx_pool_cleanup_t            *cln;
    ngx_http_approval_passkey_t   *p;
    ngx_http_approval_decision_t  *dec = d->work;

    if (dec->assertion.len == 0) {
        ngx_http_approval_vote_refused(d, "passkey-required");

        return ngx_http_approval_desk_refuse(d, NGX_HTTP_FORBIDDEN,
                   "passkey-required", "A passkey is required",
                   "The rule accepts only votes that your passkey signs: open "
                   "the action's page in a browser, and vote there.", NULL);
    }

    if (d->mcf->passkey_origin.len == 0) {
        return ngx_http_approval_passkey_refuse(d,
                   "this gateway has no approval_passkey_origin");
    }

    cln = ngx_pool_cleanup_add(d->request->pool,
                               sizeof(ngx_http_approval_passkey_t));
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p = cln->data;
    ngx_memzero(p, sizeof(ngx_http_approval_passkey_t));

    cln->handler = ngx_http_approval_passkey_cleanup;

    rc = ngx_http_approval_passkey_read(d, doc, p);

    if (rc == NGX_DECLINED) {
        return ngx_http_approval_passkey_refuse(d,
                   "it is not for this page, or is more than ten minutes old");
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_approval_desk_wait(d,
               ngx_http_approval_store_passkey_get(d->mcf->worker->store,
                                                  p->name,
                                                  ngx_http_approval_desk_answer,
                                                  d),
               ngx_http_approval_passkey_found);
}


static ngx_int_t
ngx_http_approval_passkey_read(ngx_http_approval_desk_t *d, json_t *doc,
    ngx_http_approval_passkey_t *p)
{
    char                           shown[APPROVAL_PASSKEY_SHOWN_LEN];
    ngx_str_t                      digest;
    approval_str_t                 text, act;
    ngx_http_approval_decision_t  *dec = d->work;

    digest = ngx_http_approval_json_get(doc, "digest");

    if (!ngx_http_approval_passkey_nonce_valid(d, d->id, &digest,
                                               &dec->challenge)
        || approval_passkey_read(ngx_http_approval_core_str(&dec->assertion),
                                 &p->proof)
           != APPROVAL_OK)
    {
        return NGX_DECLINED;
    }

    ngx_memcpy(p->nonce, dec->challenge.data, APPROVAL_PASSKEY_NONCE_LEN);

    text.data = (unsigned char *) shown;
    text.len = sizeof(shown);
    act = dec->glass ? approval_str("break_glass")
                     : ngx_http_approval_core_str(&dec->act);

    if (ngx_http_approval_passkey_shown(d, doc, p->nonce, shown) != NGX_OK
        || approval_passkey_challenge(text, act,
                                      ngx_http_approval_core_str(&dec->comment),
                                      p->challenge)
           != APPROVAL_OK
        || approval_passkey_name(approval_buf_str(&p->proof.id),
                                 (char *) p->name)
           != APPROVAL_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_passkey_shown(ngx_http_approval_desk_t *d, json_t *doc,
    u_char *nonce, char *shown)
{
    ngx_str_t                 digest;
    unsigned char             facts[APPROVAL_SHA256_LEN];
    approval_passkey_shown_t  s;

    if (approval_passkey_facts(doc, facts) != APPROVAL_OK) {
        return NGX_ERROR;
    }

    digest = ngx_http_approval_json_get(doc, "digest");

    s.action.data = d->id;
    s.action.len = APPROVAL_ID_LEN;
    s.digest = ngx_http_approval_core_str(&digest);
    s.approver = ngx_http_approval_core_str(&d->person);
    s.nonce.data = nonce;
    s.nonce.len = APPROVAL_PASSKEY_NONCE_LEN;
    s.facts = facts;

    return approval_passkey_shown(&s, shown) == APPROVAL_OK ? NGX_OK
                                                            : NGX_ERROR;
}


static void
ngx_http_approval_passkey_cleanup(void *data)
{
    ngx_http_approval_passkey_t *p = data;

    approval_passkey_free(&p->proof);
    json_decref(p->psk);
}


/* d->work is the decision's, so this is found by its cleanup. */

static ngx_http_approval_passkey_t *
ngx_http_approval_passkey_of(ngx_http_approval_desk_t *d)
{
    ngx_pool_cleanup_t  *cln;

    for (cln = d->request->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_http_approval_passkey_cleanup) {
            return cln->data;
        }
    }

    return NULL;
}


static ngx_int_t
ngx_http_approval_passkey_found(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply)
{
    json_t                        *claims;
    uint32_t                       count, first;
    ngx_str_t                      name;
    const char                    *why;
    ngx_http_approval_passkey_t   *p;
    ngx_http_approval_decision_t  *dec = d->work;

    p = ngx_http_approval_passkey_of(d);

    if (p == NULL || reply->rc != NGX_OK || reply->nvotes != 2) {
        return ngx_http_approval_desk_unavailable(d);
    }

    if (reply->votes[0].len == 0) {
        return ngx_http_approval_passkey_refuse(d,
                   "it is not enrolled, or was revoked");
    }

    name.data = p->name;
    name.len = APPROVAL_ID_LEN;
    count = 0;

    claims = ngx_http_approval_passkey_open(d, &name, &reply->votes[0],
                                            &reply->votes[1], reply->now,
                                            &why);

    if (claims) {
        why = ngx_http_approval_passkey_check(d, p, claims, &count);
    }

    first = (uint32_t) json_integer_value(json_object_get(claims, "cnt"));

    json_decref(claims);

    if (why) {
        return ngx_http_approval_passkey_refuse(d, why);
    }

    p->psk = json_pack("{s:s%, s:s%, s:s%}",
                       "key", (char *) p->name, (size_t) APPROVAL_ID_LEN,
                       "non", (char *) p->nonce,
                       (size_t) APPROVAL_PASSKEY_NONCE_LEN,
                       "prf", (char *) dec->assertion.data,
                       dec->assertion.len);
    if (p->psk == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_approval_desk_wait(d,
               ngx_http_approval_store_passkey_use(d->mcf->worker->store,
                                      p->name, &reply->votes[0], p->nonce,
                                      count, first,
                                      2 * NGX_HTTP_APPROVAL_PASSKEY_TIME * 1000,
                                      ngx_http_approval_desk_answer, d),
               ngx_http_approval_passkey_used);
}


/* NULL: the person's own confirmed passkey signed exactly this vote. */

static const char *
ngx_http_approval_passkey_check(ngx_http_approval_desk_t *d,
    ngx_http_approval_passkey_t *p, json_t *claims, uint32_t *count)
{
    ngx_str_t               owner, origin;
    const char             *err;
    approval_str_t          here;
    approval_passkey_key_t  key;

    owner = ngx_http_approval_json_get(claims, "sub");
    origin = ngx_http_approval_json_get(claims, "org");
    here = ngx_http_approval_core_str(&d->mcf->passkey_origin);

    if (!approval_str_eq(ngx_http_approval_core_str(&owner),
                         ngx_http_approval_core_str(&d->person)))
    {
        return "it belongs to somebody else, or is older than your "
               "approval_alias";
    }

    if (!approval_passkey_confirmed(claims)) {
        return "nobody has confirmed it yet";
    }

    if (!approval_str_eq(ngx_http_approval_core_str(&origin), here)) {
        return "it was enrolled for another approval_passkey_origin";
    }

    err = NULL;

    if (approval_passkey_claims(claims, &key) != APPROVAL_OK
        || approval_passkey_verify(&p->proof, here, p->challenge, &key, count,
                                   &err)
           != APPROVAL_OK)
    {
        return err ? err : "its record has no key";
    }

    return NULL;
}


static ngx_int_t
ngx_http_approval_passkey_used(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply)
{
    approval_str_t                 word;
    ngx_http_approval_passkey_t   *p;
    ngx_http_approval_decision_t  *dec = d->work;

    p = ngx_http_approval_passkey_of(d);

    if (p == NULL || reply->rc != NGX_OK || reply->nvotes != 1) {
        return ngx_http_approval_desk_unavailable(d);
    }

    word = ngx_http_approval_core_str(&reply->votes[0]);

    if (approval_str_eq(word, approval_str("replayed"))) {
        return ngx_http_approval_passkey_refuse(d, "it was used before");
    }

    if (approval_str_eq(word, approval_str("cloned"))) {
        return ngx_http_approval_passkey_refuse(d,
                   "its counter did not increase: the passkey may have been "
                   "copied; revoke it");
    }

    if (!approval_str_eq(word, approval_str("ok"))) {
        return ngx_http_approval_passkey_refuse(d,
                   "it was changed or revoked just now");
    }

    /* its order with a revocation is that of Redis */

    if (json_object_set_new(p->psk, "at", json_integer(reply->now)) != 0) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    dec->psk = p->psk;
    p->psk = NULL;

    return ngx_http_approval_desk_load(d, ngx_http_approval_decision_step);
}


static ngx_int_t
ngx_http_approval_passkey_refuse(ngx_http_approval_desk_t *d, const char *why)
{
    u_char  *detail;

    ngx_log_error(NGX_LOG_WARN, ngx_http_approval_log(d->request), 0,
                  "a vote of \"%V\" on action %*s was refused, because the "
                  "passkey does not sign it: "
                  "%s", &d->who, (size_t) APPROVAL_ID_LEN,
                  d->id, why);

    ngx_http_approval_vote_refused(d, "passkey-refused");

    detail = ngx_pnalloc(d->request->pool, 256);
    if (detail == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_snprintf(detail, 256, "Your vote was not accepted, because your "
                              "passkey does not sign it: %s. Open the action "
                              "again and vote there.%Z", why);

    return ngx_http_approval_desk_refuse(d, NGX_HTTP_FORBIDDEN,
               "passkey-refused", "Not signed by your passkey",
               (char *) detail, NULL);
}


ngx_int_t
ngx_http_approval_passkey_page(ngx_http_approval_desk_t *d, json_t *doc,
    json_t *data)
{
    char             shown[APPROVAL_PASSKEY_SHOWN_LEN];
    u_char           nonce[APPROVAL_PASSKEY_NONCE_LEN];
    json_t          *signing;
    ngx_str_t        digest;
    approval_str_t   rp;

    if (json_object_get(doc, "vote") == NULL
        || d->mcf->passkey_origin.len == 0)
    {
        return NGX_OK;
    }

    digest = ngx_http_approval_json_get(doc, "digest");
    rp = approval_passkey_rp(ngx_http_approval_core_str(
                                                   &d->mcf->passkey_origin));

    signing = json_object();

    if (signing == NULL
        || ngx_http_approval_passkey_nonce(d, d->id, &digest, nonce, signing)
           != NGX_OK
        || ngx_http_approval_passkey_shown(d, doc, nonce, shown) != NGX_OK
        || json_object_set_new(signing, "shown",
                               json_stringn(shown, sizeof(shown))) != 0
        || json_object_set_new(signing, "rp",
                               json_stringn((char *) rp.data, rp.len)) != 0
        || json_object_set(data, "signing", signing) != 0)
    {
        json_decref(signing);
        return NGX_ERROR;
    }

    json_decref(signing);

    return NGX_OK;
}


/* Sets "challenge" in data to "NONCE.TOKEN". */

ngx_int_t
ngx_http_approval_passkey_nonce(ngx_http_approval_desk_t *d, u_char *id,
    ngx_str_t *digest, u_char nonce[APPROVAL_PASSKEY_NONCE_LEN], json_t *data)
{
    u_char             rnd[APPROVAL_PASSKEY_NONCE_LEN / 2];
    ngx_int_t          rc;
    approval_buf_t     text, out;
    approval_token_t   t;

    if (approval_random(rnd, sizeof(rnd)) != APPROVAL_OK) {
        return NGX_ERROR;
    }

    approval_hex_encode(nonce, rnd, sizeof(rnd));

    approval_buf_init(&text);
    approval_buf_init(&out);

    ngx_http_approval_passkey_token(d, id, digest, nonce, &text, &t);

    approval_buf_add(&out, nonce, APPROVAL_PASSKEY_NONCE_LEN);
    approval_buf_addc(&out, '.');

    rc = (!text.failed
          && approval_token_make(d->mcf->keyring, "passkey", &t, &out)
             == APPROVAL_OK
          && !out.failed
          && json_object_set_new(data, "challenge",
                                 json_stringn((char *) out.data, out.len))
             == 0)
         ? NGX_OK : NGX_ERROR;

    approval_buf_free(&text);
    approval_buf_free(&out);

    return rc;
}


ngx_uint_t
ngx_http_approval_passkey_nonce_valid(ngx_http_approval_desk_t *d, u_char *id,
    ngx_str_t *digest, ngx_str_t *text)
{
    ngx_uint_t         valid;
    approval_buf_t     bound, who;
    approval_str_t     token;
    approval_token_t   t;

    if (text->len <= APPROVAL_PASSKEY_NONCE_LEN + 1
        || text->data[APPROVAL_PASSKEY_NONCE_LEN] != '.')
    {
        return 0;
    }

    token.data = text->data + APPROVAL_PASSKEY_NONCE_LEN + 1;
    token.len = text->len - APPROVAL_PASSKEY_NONCE_LEN - 1;

    approval_buf_init(&bound);
    approval_buf_init(&who);

    ngx_http_approval_passkey_token(d, id, digest, text->data, &bound, &t);

    valid = !bound.failed
            && approval_token_read(d->mcf->keyring, "passkey", token, &t, &who,
                                   ngx_time())
               == APPROVAL_OK
            && !who.failed
            && approval_str_eq(approval_buf_str(&who),
                               ngx_http_approval_core_str(&d->person));

    approval_buf_free(&bound);
    approval_buf_free(&who);

    return valid;
}


static void
ngx_http_approval_passkey_token(ngx_http_approval_desk_t *d, u_char *id,
    ngx_str_t *digest, u_char *nonce, approval_buf_t *text,
    approval_token_t *t)
{
    approval_buf_add(text, nonce, APPROVAL_PASSKEY_NONCE_LEN);
    approval_buf_addc(text, ' ');
    approval_buf_add(text, digest->data, digest->len);

    t->action.data = id ? id : ngx_http_approval_passkey_none;
    t->action.len = APPROVAL_ID_LEN;
    t->digest = approval_buf_str(text);
    t->approver = ngx_http_approval_core_str(&d->person);
    t->expires = ngx_time() + NGX_HTTP_APPROVAL_PASSKEY_TIME;
}


json_t *
ngx_http_approval_passkey_open(ngx_http_approval_desk_t *d, ngx_str_t *name,
    ngx_str_t *record, ngx_str_t *ended, int64_t now, const char **why)
{
    json_t     *claims;
    ngx_str_t   jti;

    claims = approval_jws_verify(d->mcf->signer, APPROVAL_PASSKEY_TYP,
                                 ngx_http_approval_core_str(record), why);

    /* a sound record may stand under another passkey's name */

    jti = ngx_http_approval_json_get(claims, "jti");

    if (jti.len != name->len || ngx_memcmp(jti.data, name->data, jti.len) != 0)
    {
        *why = "this gateway did not write its record";
        json_decref(claims);
        return NULL;
    }

    switch (ngx_http_approval_passkey_revoked(d, name, claims, ended, now)) {

    case NGX_DECLINED:
        return claims;

    case NGX_OK:
        *why = "it is not enrolled, or was revoked";
        break;

    default:
        *why = "the gateway cannot determine whether it was revoked";
        break;
    }

    json_decref(claims);

    return NULL;
}


/* NGX_OK: the store has a passkey again that was revoked. */

static ngx_int_t
ngx_http_approval_passkey_revoked(ngx_http_approval_desk_t *d, ngx_str_t *name,
    json_t *claims, ngx_str_t *ended, int64_t now)
{
    ngx_int_t                 rc;
    ngx_str_t                 said[3], state;
    const char               *why;
    ngx_http_approval_end_t   end;

    if (name->len != APPROVAL_ID_LEN) {
        return NGX_ERROR;
    }

    ngx_str_set(&said[0], "p");
    said[1] = *name;
    said[2] = *ended;

    if (ended->len) {
        ngx_http_approval_ends_learn(d->mcf, said, 3, now);
    }

    end.kind = NGX_HTTP_APPROVAL_END_PASSKEY;
    ngx_memcpy(end.id, name->data, APPROVAL_ID_LEN);

    rc = ngx_http_approval_end_find(d->mcf, &end, now);
    state = ngx_http_approval_json_get(claims, "sta");

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    /* a record that says "revoked" does not put the passkey back in force */

    if (rc == NGX_DECLINED
        && !approval_str_eq(ngx_http_approval_core_str(&state),
                            approval_str("revoked")))
    {
        return NGX_DECLINED;
    }

    why = "a passkey was revoked, but Redis has it again: votes that it signs "
          "are refused";

    ngx_log_error(NGX_LOG_ERR, ngx_http_approval_log(d->request), 0,
                  "passkey %V: %s", name, why);

    (void) ngx_http_approval_audit_often(d->mcf, APPROVAL_RECORD_FAULT,
               d->id_valid ? d->id : NULL,
               json_pack("{s:s, s:s%, s:s}", "limit", "passkey", "passkey",
                         (char *) name->data, name->len, "why", why));

    return NGX_OK;
}
