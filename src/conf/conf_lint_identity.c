
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Identities that nobody has verified.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "conf/conf.h"


/*
 * The directives by which nginx's own modules verify clients, and the type
 * that each keeps at its offset.  A "user" directive verifies $remote_user
 * only.  The others admit only known clients, for example a proxy that sets
 * the header.  With "satisfy any" one of them is enough, but for TLS.
 */

typedef enum {
    NGX_HTTP_APPROVAL_KEPT_VALUE,       /* ngx_http_complex_value_t *         */
    NGX_HTTP_APPROVAL_KEPT_TEXT,        /* ngx_str_t                          */
    NGX_HTTP_APPROVAL_KEPT_ADDRESSES,   /* ngx_array_t *                      */
    NGX_HTTP_APPROVAL_KEPT_TLS          /* ngx_uint_t: ..._verify_e           */
} ngx_http_approval_kept_e;


typedef struct {
    const char                    *module;
    const char                    *directive;
    ngx_http_approval_kept_e       kept;
    const char                    *with;        /* no effect without it       */
    unsigned                       user:1;
} ngx_http_approval_verifier_t;


static const ngx_http_approval_verifier_t  ngx_http_approval_verifiers[] = {
    { "ngx_http_auth_basic_module", "auth_basic",
      NGX_HTTP_APPROVAL_KEPT_VALUE, "auth_basic_user_file", 1 },
    { "ngx_http_auth_request_module", "auth_request",
      NGX_HTTP_APPROVAL_KEPT_TEXT, NULL, 0 },
    { "ngx_http_access_module", "allow",
      NGX_HTTP_APPROVAL_KEPT_ADDRESSES, NULL, 0 },
    { "ngx_http_ssl_module", "ssl_verify_client",
      NGX_HTTP_APPROVAL_KEPT_TLS, NULL, 0 },
    { NULL, NULL, 0, NULL, 0 }
};


/* ngx_http_ssl_verify[] and ngx_http_access_rule_t, which nginx has inside. */

#define NGX_HTTP_APPROVAL_VERIFY_ON     1
#define NGX_HTTP_APPROVAL_VERIFY_NO_CA  3

typedef struct {
    in_addr_t                      mask;
    in_addr_t                      addr;
    ngx_uint_t                     deny;
} ngx_http_approval_address_t;


/* What an identity says about itself. */

typedef enum {
    NGX_HTTP_APPROVAL_CLAIM_NONE,
    NGX_HTTP_APPROVAL_CLAIM_CLIENT,     /* a header, argument or cookie       */
    NGX_HTTP_APPROVAL_CLAIM_USER,       /* $remote_user                       */
    NGX_HTTP_APPROVAL_CLAIM_CERTIFICATE,    /* nobody looks who issued it     */
    NGX_HTTP_APPROVAL_CLAIM_ALL         /* everybody has the same             */
} ngx_http_approval_claim_e;


/*
 * Prefixes of other modules' directives that verify clients.  With such a
 * module nothing is checked, since it is not known where they apply.
 */

static ngx_str_t  ngx_http_approval_others[] = {
    ngx_string("auth_"),
    ngx_string("access_by_"),
    ngx_string("js_access"),
    ngx_null_string
};


/* The name, in warnings, for requests that no location takes. */

static ngx_str_t  ngx_http_approval_root = ngx_string("/");


static ngx_uint_t ngx_http_approval_identity_others(ngx_conf_t *cf);
static void ngx_http_approval_identity_none(ngx_conf_t *cf,
    ngx_http_approval_loc_conf_t *conf);
static void ngx_http_approval_identity_check(ngx_conf_t *cf,
    ngx_http_approval_place_t *place, const char *directive, const char *as,
    ngx_str_t *text, ngx_http_approval_at_t *at);
static ngx_http_approval_claim_e ngx_http_approval_identity_claim(
    ngx_conf_t *cf, ngx_http_approval_place_t *place, ngx_str_t *text,
    ngx_str_t *name);
static ngx_uint_t ngx_http_approval_identity_verified(ngx_conf_t *cf,
    ngx_http_approval_place_t *place, ngx_http_approval_claim_e claim);
static ngx_uint_t ngx_http_approval_identity_kept(
    ngx_http_approval_kept_e kept, void *value);
static ngx_uint_t ngx_http_approval_identity_closed(ngx_array_t *list);
static ngx_uint_t ngx_http_approval_identity_reached(
    ngx_http_approval_conf_t *mcf, ngx_http_approval_place_t *place);


ngx_int_t
ngx_http_approval_lint_identities(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf)
{
    ngx_uint_t                     i, others;
    ngx_http_approval_place_t     *place;
    ngx_http_approval_loc_conf_t  *conf;

    others = ngx_http_approval_identity_others(cf);
    place = mcf->lint->places.elts;

    for (i = 0; i < mcf->lint->places.nelts; i++) {

        conf = place[i].conf;

        if (!ngx_http_approval_identity_reached(mcf, &place[i])) {
            continue;
        }

        if (conf->policy && conf->policy->requires
            && (conf->requester == NULL || conf->requester->name.len == 0))
        {
            ngx_http_approval_identity_none(cf, conf);
            continue;
        }

        if (others) {
            continue;
        }

        if (conf->api && conf->approver) {
            ngx_http_approval_identity_check(cf, &place[i],
                                             "approval_api approver=", "vote",
                                             &conf->approver->value,
                                             &conf->api_at);
        }

        if (conf->policy && conf->policy->requires) {
            ngx_http_approval_identity_check(cf, &place[i],
                                             "approval_requester ",
                                             "send requests",
                                             &conf->requester->name,
                                             &conf->requester_at);
        }
    }

    return NGX_OK;
}


/*
 * There is no default requester: if nginx does not check $remote_user, it is
 * only what the client says.
 */

static void
ngx_http_approval_identity_none(ngx_conf_t *cf,
    ngx_http_approval_loc_conf_t *conf)
{
    if (ngx_http_approval_linted(cf, NGX_HTTP_APPROVAL_LINT_NO_REQUESTER,
                                 conf->conf_file, conf->conf_line))
    {
        return;
    }

    ngx_http_approval_lint(cf, NGX_HTTP_APPROVAL_LINT_NO_REQUESTER,
                           conf->conf_file, conf->conf_line,
                           "policy \"%V\" requires approvals, but applies "
                           "where no \"approval_requester\" is set, so "
                           "requests that need an approval are refused there. "
                           "Set it to a verified identity, for example "
                           "\"approval_requester $remote_user;\" together "
                           "with \"auth_basic\"", &conf->name);
}


static ngx_uint_t
ngx_http_approval_identity_others(ngx_conf_t *cf)
{
    ngx_str_t                           *other;
    ngx_uint_t                           known;
    ngx_command_t                       *cmd;
    ngx_module_t                       **modules;
    const ngx_http_approval_verifier_t  *verifier;

    for (modules = cf->cycle->modules; *modules; modules++) {

        if ((*modules)->type != NGX_HTTP_MODULE
            || (*modules)->commands == NULL)
        {
            continue;
        }

        /* "auth_delay" of the core module verifies nothing */

        known = (ngx_strcmp((*modules)->name, "ngx_http_core_module") == 0);

        for (verifier = ngx_http_approval_verifiers; verifier->module;
             verifier++)
        {
            known |= (ngx_strcmp((*modules)->name, verifier->module) == 0);
        }

        for (cmd = (*modules)->commands; !known && cmd->name.len; cmd++) {
            for (other = ngx_http_approval_others; other->len; other++) {
                if (ngx_strncmp(cmd->name.data, other->data, other->len) == 0)
                {
                    return 1;
                }
            }
        }
    }

    return 0;
}


/* One warning a directive, however many locations inherit it. */

static void
ngx_http_approval_identity_check(ngx_conf_t *cf,
    ngx_http_approval_place_t *place, const char *directive, const char *as,
    ngx_str_t *text, ngx_http_approval_at_t *at)
{
    ngx_str_t                  name;
    const char                *remedy;
    ngx_http_approval_claim_e  claim;

    claim = ngx_http_approval_identity_claim(cf, place, text, &name);

    if (claim == NGX_HTTP_APPROVAL_CLAIM_ALL && at != &place->conf->api_at) {
        return;
    }

    if (claim == NGX_HTTP_APPROVAL_CLAIM_NONE
        || ngx_http_approval_identity_verified(cf, place, claim)
        || ngx_http_approval_linted(cf,
                                    NGX_HTTP_APPROVAL_LINT_UNVERIFIED_IDENTITY,
                                    ngx_http_approval_at(*at)))
    {
        return;
    }

    remedy = (claim == NGX_HTTP_APPROVAL_CLAIM_CERTIFICATE)
             ? "Use \"ssl_verify_client on\" or \"optional\""
             : (claim == NGX_HTTP_APPROVAL_CLAIM_CLIENT)
             ? "Use a variable that \"auth_request_set\", a \"map\" of "
               "secrets or a client certificate sets"
             : "Add \"auth_basic\" and \"auth_basic_user_file\"";

    if (place->location->satisfy == NGX_HTTP_SATISFY_ANY) {
        remedy = "With \"satisfy any\", one check is enough: use \"satisfy "
                 "all\"";
    }

    ngx_http_approval_lint(cf, NGX_HTTP_APPROVAL_LINT_UNVERIFIED_IDENTITY,
                           ngx_http_approval_at(*at),
                           "\"%s%V\" trusts the client: nothing in location "
                           "\"%V\" verifies \"%s%V\", so anybody can %s "
                           "there under %s name. %s",
                           directive, text,
                           place->location->name.len
                           ? &place->location->name
                           : &ngx_http_approval_root,
                           (claim == NGX_HTTP_APPROVAL_CLAIM_ALL) ? "" : "$",
                           &name, as,
                           (claim == NGX_HTTP_APPROVAL_CLAIM_ALL)
                           ? "this" : "any", remedy);
}


/* Finds the first variable of the text that the client controls. */

static ngx_http_approval_claim_e
ngx_http_approval_identity_claim(ngx_conf_t *cf,
    ngx_http_approval_place_t *place, ngx_str_t *text, ngx_str_t *name)
{
    size_t                      len;
    ngx_str_t                   rest;
    ngx_uint_t                 *verify;
    ngx_http_approval_claim_e   claim;

    static const struct {
        ngx_str_t                  name;
        ngx_http_approval_claim_e  claim;
    } *own, claims[] = {
        { ngx_string("http_"), NGX_HTTP_APPROVAL_CLAIM_CLIENT },
        { ngx_string("arg_"), NGX_HTTP_APPROVAL_CLAIM_CLIENT },
        { ngx_string("cookie_"), NGX_HTTP_APPROVAL_CLAIM_CLIENT },
        { ngx_string("remote_user"), NGX_HTTP_APPROVAL_CLAIM_USER },
        { ngx_string("ssl_client_"), NGX_HTTP_APPROVAL_CLAIM_CERTIFICATE },
        { ngx_null_string, 0 }
    };

    rest = *text;
    claim = NGX_HTTP_APPROVAL_CLAIM_ALL;

    while (ngx_http_approval_next_name(&rest, name)) {

        claim = NGX_HTTP_APPROVAL_CLAIM_NONE;

        for (own = claims; own->name.len; own++) {
            len = own->name.len;

            if (name->len < len
                || ngx_strncasecmp(name->data, own->name.data, len) != 0)
            {
                continue;
            }

            verify = ngx_http_approval_lint_value(cf, place,
                                                  "ngx_http_ssl_module",
                                                  "ssl_verify_client");

            if (own->claim == NGX_HTTP_APPROVAL_CLAIM_CERTIFICATE
                && (verify == NULL
                    || *verify != NGX_HTTP_APPROVAL_VERIFY_NO_CA))
            {
                continue;
            }

            return own->claim;
        }
    }

    *name = *text;

    return claim;
}


static ngx_uint_t
ngx_http_approval_identity_verified(ngx_conf_t *cf,
    ngx_http_approval_place_t *place, ngx_http_approval_claim_e claim)
{
    void                                *value;
    ngx_uint_t                           n, any, on, verified;
    const ngx_http_approval_verifier_t  *verifier;

    n = 0;
    any = (place->location->satisfy == NGX_HTTP_SATISFY_ANY);
    verified = 0;
    verifier = ngx_http_approval_verifiers;

    for ( /* void */ ; verifier->module; verifier++) {

        value = ngx_http_approval_lint_value(cf, place, verifier->module,
                                             verifier->directive);

        on = ngx_http_approval_identity_kept(verifier->kept, value);

        if (on && verifier->with) {
            value = ngx_http_approval_lint_value(cf, place, verifier->module,
                                                 verifier->with);
            on = ngx_http_approval_identity_kept(verifier->kept, value);
        }

        if (on && verifier->kept == NGX_HTTP_APPROVAL_KEPT_TLS) {
            return 1;
        }

        /* "allow" alone lets its clients pass all other checks */

        n += on || (any && value
                    && verifier->kept == NGX_HTTP_APPROVAL_KEPT_ADDRESSES
                    && *(ngx_array_t **) value != NULL);

        verified |= on && (!verifier->user
                           || claim == NGX_HTTP_APPROVAL_CLAIM_USER
                           || claim == NGX_HTTP_APPROVAL_CLAIM_ALL);
    }

    return verified && (!any || n == 1);
}


void *
ngx_http_approval_lint_value(ngx_conf_t *cf,
    ngx_http_approval_place_t *place, const char *module,
    const char *directive)
{
    char           *conf;
    ngx_command_t  *cmd;
    ngx_module_t  **modules;

    for (modules = cf->cycle->modules; *modules; modules++) {

        if (ngx_strcmp((*modules)->name, module) != 0) {
            continue;
        }

        for (cmd = (*modules)->commands; cmd->name.len; cmd++) {

            if (ngx_strcmp(cmd->name.data, directive) != 0) {
                continue;
            }

            conf = (cmd->conf == NGX_HTTP_SRV_CONF_OFFSET)
                   ? place->server->ctx->srv_conf[(*modules)->ctx_index]
                   : place->loc_conf[(*modules)->ctx_index];

            return conf ? conf + cmd->offset : NULL;
        }
    }

    return NULL;
}


static ngx_uint_t
ngx_http_approval_identity_kept(ngx_http_approval_kept_e kept, void *value)
{
    ngx_http_complex_value_t  *complex;

    if (value == NULL) {
        return 0;
    }

    switch (kept) {

    case NGX_HTTP_APPROVAL_KEPT_VALUE:
        complex = *(ngx_http_complex_value_t **) value;

        return complex != NULL && complex != NGX_CONF_UNSET_PTR
               && ngx_strcmp(complex->value.data, "off") != 0;

    case NGX_HTTP_APPROVAL_KEPT_TEXT:
        return ((ngx_str_t *) value)->len != 0;

    case NGX_HTTP_APPROVAL_KEPT_ADDRESSES:
        return ngx_http_approval_identity_closed(*(ngx_array_t **) value);

    default:
        return *(ngx_uint_t *) value == NGX_HTTP_APPROVAL_VERIFY_ON;
    }
}


/* Does the list of "allow" and "deny" refuse all others? */

static ngx_uint_t
ngx_http_approval_identity_closed(ngx_array_t *list)
{
    ngx_uint_t                    i;
    ngx_http_approval_address_t  *address;

    if (list == NULL || list->size != sizeof(ngx_http_approval_address_t)) {
        return list != NULL;
    }

    address = list->elts;

    for (i = 0; i < list->nelts; i++) {
        if (address[i].mask == 0) {
            return address[i].deny;
        }
    }

    return 0;
}


/*
 * Can a client's request arrive here?  A server itself gets none if it has a
 * "location /", which takes them all.
 */

static ngx_uint_t
ngx_http_approval_identity_reached(ngx_http_approval_conf_t *mcf,
    ngx_http_approval_place_t *place)
{
    ngx_str_t                  *name;
    ngx_uint_t                  i;
    ngx_http_approval_place_t  *other;

    if (place->location->noname || place->location->named
        || place->location->internal)
    {
        return 0;
    }

    if (place->location->name.len) {
        return 1;
    }

    other = mcf->lint->places.elts;

    for (i = 0; i < mcf->lint->places.nelts; i++) {

        name = &other[i].location->name;

        if (other[i].server == place->server && name->len == 1
            && name->data[0] == '/' && !other[i].location->exact_match)
        {
            return 0;
        }
    }

    return 1;
}
