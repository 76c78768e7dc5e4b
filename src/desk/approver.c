
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/approver.h"
#include "core/form.h"
#include "core/token.h"
#include "model/link.h"


#define NGX_HTTP_APPROVAL_COOKIE       "approval_session"
#define NGX_HTTP_APPROVAL_COOKIE_TIME  3600


static ngx_int_t ngx_http_approval_approver_link(ngx_http_approval_desk_t *d);
static ngx_int_t ngx_http_approval_approver_cookie(
    ngx_http_approval_desk_t *d);
static ngx_uint_t ngx_http_approval_approver_may_sign_in(
    ngx_http_approval_desk_t *d);
static ngx_int_t ngx_http_approval_approver_token(ngx_http_approval_desk_t *d,
    const char *purpose, ngx_str_t *token, json_t *doc, int64_t now,
    ngx_str_t *who, int64_t *expires);
static ngx_int_t ngx_http_approval_approver_person(
    ngx_http_approval_desk_t *d, ngx_str_t *who,
    ngx_http_approval_desk_how_e how, ngx_int_t *rc);
static ngx_int_t ngx_http_approval_approver_unusable(
    ngx_http_approval_desk_t *d, const char *err);
static ngx_int_t ngx_http_approval_approver_lapsed(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply);
static ngx_uint_t ngx_http_approval_approver_secure(
    ngx_http_approval_desk_t *d);
static ngx_uint_t ngx_http_approval_approver_origin(
    ngx_http_approval_desk_t *d, ngx_str_t *origin);


ngx_int_t
ngx_http_approval_approver_claims(ngx_http_approval_desk_t *d)
{
    if (d->lcf->approver
        && ngx_http_complex_value(d->request, d->lcf->approver, &d->idp)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_approval_approver_link(d) != NGX_OK
        || ngx_http_approval_approver_cookie(d) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (d->idp.len == 0 && d->link.len == 0 && d->session.len == 0) {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_approver_link(ngx_http_approval_desk_t *d)
{
    int              found;
    ngx_int_t        rc;
    const char      *err;
    approval_buf_t   value;

    approval_buf_init(&value);

    found = approval_form_get(ngx_http_approval_core_str(&d->request->args),
                              approval_str("t"), &value, &err);

    rc = value.failed ? NGX_ERROR : NGX_OK;

    if (rc == NGX_OK && found == APPROVAL_OK) {
        rc = ngx_http_approval_desk_copy(d->request->pool,
                                         approval_buf_str(&value), &d->link);
    }

    approval_buf_wipe(&value);

    ngx_http_approval_desk_hide(d->request);

    return rc;
}


static ngx_int_t
ngx_http_approval_approver_cookie(ngx_http_approval_desk_t *d)
{
    size_t                        len;
    u_char                       *p, *last, *end;
    ngx_table_elt_t              *h;
    ngx_http_approval_headers_t   it;

    static ngx_str_t  name = ngx_string("cookie");

    len = sizeof(NGX_HTTP_APPROVAL_COOKIE "=") - 1;

    for (h = NULL;
         (h = ngx_http_approval_header_of(d->request, &it, h, &name)); )
    {
        p = h->value.data;
        last = p + h->value.len;

        while (p < last) {

            end = ngx_strlchr(p, last, ';');
            if (end == NULL) {
                end = last;
            }

            while (p < end && *p == ' ') {
                p++;
            }

            if ((size_t) (end - p) > len
                && ngx_strncmp(p, NGX_HTTP_APPROVAL_COOKIE "=", len) == 0)
            {
                d->session.data = p + len;
                d->session.len = end - d->session.data;
                return NGX_OK;
            }

            p = end + 1;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_approval_approver_unknown(ngx_http_approval_desk_t *d)
{
    if (ngx_http_approval_approver_may_sign_in(d)) {
        return NGX_HTTP_UNAUTHORIZED;
    }

    return ngx_http_approval_desk_refuse(d, NGX_HTTP_UNAUTHORIZED,
               "identity-required", "Who are you?",
               "Open the personal link of your message, or sign in as an "
               "approver.", NULL);
}


/*
 * May the client sign in here?  Only a browser that opens a page may, in a
 * location that has an error_page for 401.
 */

static ngx_uint_t
ngx_http_approval_approver_may_sign_in(ngx_http_approval_desk_t *d)
{
    ngx_uint_t                 i;
    ngx_http_err_page_t       *page;
    ngx_http_core_loc_conf_t  *clcf;

    if (!d->html || !(d->request->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return 0;
    }

    clcf = ngx_http_get_module_loc_conf(d->request, ngx_http_core_module);

    if (clcf->error_pages == NULL) {
        return 0;
    }

    page = clcf->error_pages->elts;

    for (i = 0; i < clcf->error_pages->nelts; i++) {
        if (page[i].status == NGX_HTTP_UNAUTHORIZED) {
            return 1;
        }
    }

    return 0;
}


ngx_int_t
ngx_http_approval_approver_idp(ngx_http_approval_desk_t *d, ngx_int_t *rc)
{
    if (d->idp.len == 0) {
        *rc = ngx_http_approval_approver_unknown(d);
        return NGX_DECLINED;
    }

    return ngx_http_approval_approver_person(d, &d->idp,
                                             NGX_HTTP_APPROVAL_DESK_IDP, rc);
}


ngx_int_t
ngx_http_approval_approver_identify(ngx_http_approval_desk_t *d, json_t *doc,
    const ngx_http_approval_reply_t *reply, ngx_int_t *rc)
{
    int64_t      now, expires;
    ngx_str_t    who;
    ngx_int_t    valid;
    ngx_uint_t   linked;

    now = reply->now / 1000;
    valid = NGX_DECLINED;

    if (d->slack.len) {
        return ngx_http_approval_approver_person(d, &d->slack,
                                             NGX_HTTP_APPROVAL_DESK_SLACK, rc);
    }

    if (d->link.len) {
        valid = ngx_http_approval_approver_token(d, "link", &d->link, doc,
                                                 now, &who, &expires);
    }

    linked = (valid == NGX_OK);

    if (valid == NGX_DECLINED && d->session.len) {
        valid = ngx_http_approval_approver_token(d, "session", &d->session,
                                                 doc, now, &who, &expires);
    }

    if (valid == NGX_ERROR) {
        *rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
        return NGX_ERROR;
    }

    if (d->idp.len == 0) {

        if (valid == NGX_OK) {
            return ngx_http_approval_approver_person(d, &who,
                                              NGX_HTTP_APPROVAL_DESK_LINK, rc);
        }

        *rc = (valid == NGX_ABORT)
              ? ngx_http_approval_approver_lapsed(d, reply)
              : ngx_http_approval_approver_unknown(d);

        return NGX_DECLINED;
    }

    /* ignore a cookie that somebody else left in the browser */

    if (valid == NGX_OK && linked
        && !approval_people_same(d->mcf->people,
                                 ngx_http_approval_core_str(&who),
                                 ngx_http_approval_core_str(&d->idp)))
    {
        *rc = ngx_http_approval_desk_refuse(d, NGX_HTTP_FORBIDDEN,
                  "identity-mismatch", "Two identities",
                  "You opened the personal link of another person than the "
                  "one who is signed in. Open the link in your own message, "
                  "or sign out and open this link again.", NULL);
        return NGX_DECLINED;
    }

    return ngx_http_approval_approver_person(d, &d->idp,
                                             NGX_HTTP_APPROVAL_DESK_IDP, rc);
}


/* NGX_OK; NGX_DECLINED: not our token; NGX_ABORT: ours, but expired. */

static ngx_int_t
ngx_http_approval_approver_token(ngx_http_approval_desk_t *d,
    const char *purpose, ngx_str_t *token, json_t *doc, int64_t now,
    ngx_str_t *who, int64_t *expires)
{
    int                rc;
    ngx_int_t          ok;
    ngx_str_t          digest;
    approval_buf_t     approver;
    approval_token_t   t;

    digest = ngx_http_approval_json_get(doc, "digest");

    ngx_memzero(&t, sizeof(approval_token_t));
    t.action.data = d->id;
    t.action.len = APPROVAL_ID_LEN;
    t.digest = ngx_http_approval_core_str(&digest);

    approval_buf_init(&approver);

    rc = approval_token_read(d->mcf->keyring, purpose,
                             ngx_http_approval_core_str(token), &t, &approver,
                             now);

    if (rc == APPROVAL_OK) {
        ok = ngx_http_approval_desk_copy(d->request->pool,
                                         approval_buf_str(&approver), who);
        *expires = t.expires;

    } else {
        ok = (rc == APPROVAL_ERROR) ? NGX_ABORT : NGX_DECLINED;
    }

    if (approver.failed) {
        ok = NGX_ERROR;
    }

    approval_buf_free(&approver);

    return ok;
}


static ngx_int_t
ngx_http_approval_approver_person(ngx_http_approval_desk_t *d, ngx_str_t *who,
    ngx_http_approval_desk_how_e how, ngx_int_t *rc)
{
    int              found;
    ngx_int_t        ok;
    const char      *err;
    approval_buf_t   person;

    err = NULL;
    approval_buf_init(&person);

    found = approval_people_person(d->mcf->people,
                                   ngx_http_approval_core_str(who), &person,
                                   &err);

    ok = NGX_ERROR;
    *rc = NGX_HTTP_INTERNAL_SERVER_ERROR;

    if (found == APPROVAL_DECLINED) {
        ok = NGX_DECLINED;
        *rc = ngx_http_approval_approver_unusable(d, err);

    } else if (found == APPROVAL_OK && !person.failed) {
        ok = ngx_http_approval_desk_copy(d->request->pool,
                                         approval_buf_str(&person),
                                         &d->person);
        d->who = *who;
        d->how = how;
    }

    approval_buf_free(&person);

    return ok;
}


static ngx_int_t
ngx_http_approval_approver_unusable(ngx_http_approval_desk_t *d,
    const char *err)
{
    u_char  detail[512];

    (void) ngx_snprintf(detail, sizeof(detail),
                        "Your identity cannot be accepted: %s. Correct it "
                        "where you sign in.%Z",
                        err ? err : "it is not valid");

    return ngx_http_approval_desk_refuse(d, NGX_HTTP_UNAUTHORIZED,
               "identity-required", "Unusable identity",
               (const char *) detail, NULL);
}


/* A link is valid as long as its action waits. */

static ngx_int_t
ngx_http_approval_approver_lapsed(ngx_http_approval_desk_t *d,
    const ngx_http_approval_reply_t *reply)
{
    if (reply->state == NGX_HTTP_APPROVAL_EXPIRED
        || (reply->state == NGX_HTTP_APPROVAL_PENDING
            && reply->now >= reply->expires))
    {
        return ngx_http_approval_desk_refuse(d, 410, "expired", "Expired",
                   "Nobody decided in time. The request was not forwarded, "
                   "and it is too late to decide; the requester can send it "
                   "again.", NULL);
    }

    if (ngx_http_approval_approver_may_sign_in(d)) {
        return NGX_HTTP_UNAUTHORIZED;
    }

    return ngx_http_approval_desk_refuse(d, NGX_HTTP_UNAUTHORIZED,
               "link-expired", "The link has expired",
               "Open the link in your message again, or sign in as an "
               "approver.", NULL);
}


ngx_int_t
ngx_http_approval_approver_exchange(ngx_http_approval_desk_t *d, json_t *doc,
    const ngx_http_approval_reply_t *reply)
{
    int64_t              now, expires;
    ngx_int_t            rc;
    ngx_str_t            who, digest;
    approval_str_t       id;
    approval_buf_t       out;
    approval_token_t     t;
    ngx_http_request_t  *r;

    r = d->request;
    now = reply->now / 1000;

    /* identify() has accepted the link, or the IdP's identity without it */

    rc = ngx_http_approval_approver_token(d, "link", &d->link, doc, now, &who,
                                          &expires);
    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    approval_buf_init(&out);

    if (rc == NGX_OK) {
        digest = ngx_http_approval_json_get(doc, "digest");

        t.action.data = d->id;
        t.action.len = APPROVAL_ID_LEN;
        t.digest = ngx_http_approval_core_str(&digest);
        t.approver = ngx_http_approval_core_str(&who);
        t.expires = ngx_min(expires, now + NGX_HTTP_APPROVAL_COOKIE_TIME);

        approval_buf_adds(&out, NGX_HTTP_APPROVAL_COOKIE "=");

        rc = approval_token_make(d->mcf->keyring, "session", &t, &out)
             == APPROVAL_OK ? NGX_OK : NGX_ERROR;

        /* the location's prefix and the id: nothing is taken from the client */

        approval_buf_adds(&out, "; Path=");
        approval_buf_add(&out, r->uri.data, r->uri.len);
        approval_buf_adds(&out, "; HttpOnly; SameSite=Lax");

        if (ngx_http_approval_approver_secure(d)) {
            approval_buf_adds(&out, "; Secure");
        }

        if (rc != NGX_OK || out.failed
            || ngx_http_approval_header(r, "Set-Cookie",
                                        approval_buf_str(&out))
               != NGX_OK)
        {
            approval_buf_wipe(&out);
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    approval_buf_wipe(&out);

    /* relative, so that it also works behind a proxy that changes the prefix */

    id.data = d->id;
    id.len = APPROVAL_ID_LEN;

    if (ngx_http_approval_header(r, "Location", id) != NGX_OK
        || ngx_http_approval_header(r, "Referrer-Policy",
                                    approval_str("no-referrer")) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_approval_send(r, NGX_HTTP_SEE_OTHER, "text/plain",
                                  approval_str("See the action's page.\n"));
}


static ngx_uint_t
ngx_http_approval_approver_secure(ngx_http_approval_desk_t *d)
{
    ngx_str_t  url;

#if (NGX_HTTP_SSL)
    if (d->request->connection->ssl) {
        return 1;
    }
#endif

    /* a proxy in front may end TLS */

    return d->mcf->base_url
           && ngx_http_complex_value(d->request, d->mcf->base_url, &url)
              == NGX_OK
           && url.len > 8
           && ngx_strncasecmp(url.data, (u_char *) "https://", 8) == 0;
}


ngx_int_t
ngx_http_approval_approver_nonce(ngx_http_approval_desk_t *d, json_t *doc,
    const ngx_http_approval_reply_t *reply, approval_buf_t *out)
{
    ngx_str_t          digest;
    approval_token_t   t;

    digest = ngx_http_approval_json_get(doc, "digest");

    t.action.data = d->id;
    t.action.len = APPROVAL_ID_LEN;
    t.digest = ngx_http_approval_core_str(&digest);
    t.approver = ngx_http_approval_core_str(&d->person);
    t.expires = reply->expires / 1000 + 1;

    if (approval_token_make(d->mcf->keyring, "nonce", &t, out)
        != APPROVAL_OK)
    {
        return NGX_ERROR;
    }

    return out->failed ? NGX_ERROR : NGX_OK;
}


ngx_uint_t
ngx_http_approval_approver_nonce_valid(ngx_http_approval_desk_t *d,
    json_t *doc, const ngx_http_approval_reply_t *reply, ngx_str_t *nonce)
{
    int64_t    expires;
    ngx_str_t  person;

    return ngx_http_approval_approver_token(d, "nonce", nonce, doc,
                                            reply->now / 1000, &person,
                                            &expires)
           == NGX_OK
           && person.len == d->person.len
           && ngx_strncmp(person.data, d->person.data, person.len) == 0;
}


/*
 * Browsers say where a request comes from.  The referrer policy of our own
 * pages makes their Origin "null".  If the browser sends no Sec-Fetch-Site
 * either, the nonce of the form is checked instead.
 */

ngx_uint_t
ngx_http_approval_approver_foreign(ngx_http_approval_desk_t *d)
{
    ngx_str_t  *site, *origin;

    site = ngx_http_approval_header_first(d->request, "sec-fetch-site");

    if (site) {
        if (!(site->len == 11
              && ngx_strncasecmp(site->data, (u_char *) "same-origin", 11)
                 == 0)
            && !(site->len == 4
                 && ngx_strncasecmp(site->data, (u_char *) "none", 4) == 0))
        {
            return 1;
        }
    }

    origin = ngx_http_approval_header_first(d->request, "origin");

    if (origin == NULL) {
        return 0;
    }

    if (origin->len == 4
        && ngx_strncasecmp(origin->data, (u_char *) "null", 4) == 0)
    {
        return !site && !d->form;
    }

    return !ngx_http_approval_approver_origin(d, origin);
}


/* Is it the requested host, or the host of approval_base_url? */

static ngx_uint_t
ngx_http_approval_approver_origin(ngx_http_approval_desk_t *d,
    ngx_str_t *origin)
{
    u_char           *p, *last;
    size_t            len;
    ngx_str_t        *host, url;

    last = origin->data + origin->len;
    p = ngx_strlcasestrn(origin->data, last, (u_char *) "://", 3 - 1);

    if (p == NULL) {
        return 0;
    }

    p += 3;
    len = last - p;

    host = ngx_http_approval_header_first(d->request, "host");

    if (host == NULL) {
        host = &d->request->headers_in.server;
    }

    if (host->len && host->len == len
        && ngx_strncasecmp(p, host->data, len) == 0)
    {
        return 1;
    }

    if (d->mcf->base_url == NULL
        || ngx_http_complex_value(d->request, d->mcf->base_url, &url)
           != NGX_OK)
    {
        return 0;
    }

    return url.len >= origin->len
           && ngx_strncasecmp(url.data, origin->data, origin->len) == 0
           && (url.len == origin->len || url.data[origin->len] == '/');
}


const char *
ngx_http_approval_approver_how(ngx_http_approval_desk_t *d)
{
    switch (d->how) {

    case NGX_HTTP_APPROVAL_DESK_LINK:
        return "link";

    case NGX_HTTP_APPROVAL_DESK_SLACK:
        return "slack";

    default:
        return "idp";
    }
}


json_t *
ngx_http_approval_approver_facts(ngx_http_approval_desk_t *d)
{
    return json_pack("{s:o, s:o, s:s, s:o}",
                     "person", ngx_http_approval_json_str(&d->person),
                     "identity", ngx_http_approval_json_str(&d->who),
                     "how", ngx_http_approval_approver_how(d),
                     "remote_addr",
                     ngx_http_approval_json_str(
                                       &d->request->connection->addr_text));
}
