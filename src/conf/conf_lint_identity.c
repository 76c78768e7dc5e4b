
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
 * the header.
 */

typedef enum {
    NGX_HTTP_APPROVAL_KEPT_VALUE,       /* ngx_http_complex_value_t *         */
    NGX_HTTP_APPROVAL_KEPT_TEXT,        /* ngx_str_t                          */
    NGX_HTTP_APPROVAL_KEPT_LIST,        /* ngx_array_t *                      */
    NGX_HTTP_APPROVAL_KEPT_ON           /* ngx_uint_t: 1                      */
} ngx_http_approval_kept_e;


typedef struct {
    const char                    *module;
    const char                    *directive;
    ngx_http_approval_kept_e       kept;
    unsigned                       user:1;
} ngx_http_approval_verifier_t;


static const ngx_http_approval_verifier_t  ngx_http_approval_verifiers[] = {
    { "ngx_http_auth_basic_module", "auth_basic",
      NGX_HTTP_APPROVAL_KEPT_VALUE, 1 },
    { "ngx_http_auth_request_module", "auth_request",
      NGX_HTTP_APPROVAL_KEPT_TEXT, 0 },
    { "ngx_http_access_module", "allow", NGX_HTTP_APPROVAL_KEPT_LIST, 0 },
    { "ngx_http_ssl_module", "ssl_verify_client",
      NGX_HTTP_APPROVAL_KEPT_ON, 0 },
    { NULL, NULL, 0, 0 }
};


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
static void ngx_http_approval_identity_check(ngx_conf_t *cf,
    ngx_http_approval_place_t *place, const char *directive, const char *as,
    ngx_str_t *text, ngx_http_approval_at_t *at);
static ngx_uint_t ngx_http_approval_identity_claim(ngx_str_t *text,
    ngx_str_t *name, ngx_uint_t *user);
static ngx_uint_t ngx_http_approval_identity_verified(ngx_conf_t *cf,
    ngx_http_approval_place_t *place, ngx_uint_t user);
static ngx_command_t *ngx_http_approval_identity_command(ngx_module_t *module,
    const ngx_http_approval_verifier_t *verifier);
static ngx_uint_t ngx_http_approval_identity_kept(
    ngx_http_approval_kept_e kept, void *value);
static ngx_uint_t ngx_http_approval_identity_reached(
    ngx_http_approval_conf_t *mcf, ngx_http_approval_place_t *place);


ngx_int_t
ngx_http_approval_lint_identities(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf)
{
    ngx_uint_t                     i;
    ngx_http_approval_place_t     *place;
    ngx_http_approval_loc_conf_t  *conf;

    if (ngx_http_approval_identity_others(cf)) {
        return NGX_OK;
    }

    place = mcf->lint->places.elts;

    for (i = 0; i < mcf->lint->places.nelts; i++) {

        conf = place[i].conf;

        if (!ngx_http_approval_identity_reached(mcf, &place[i])) {
            continue;
        }

        if (conf->api && conf->approver) {
            ngx_http_approval_identity_check(cf, &place[i],
                                             "approval_api approver=", "vote",
                                             &conf->approver->value,
                                             &conf->api_at);
        }

        if (conf->policy && conf->policy->requires && conf->requester) {
            ngx_http_approval_identity_check(cf, &place[i],
                                             "approval_requester ",
                                             "send requests",
                                             &conf->requester->name,
                                             &conf->requester_at);
        }
    }

    return NGX_OK;
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
    ngx_str_t   name;
    ngx_uint_t  user;

    if (!ngx_http_approval_identity_claim(text, &name, &user)
        || ngx_http_approval_identity_verified(cf, place, user)
        || ngx_http_approval_linted(cf,
                                    NGX_HTTP_APPROVAL_LINT_UNVERIFIED_IDENTITY,
                                    ngx_http_approval_at(*at)))
    {
        return;
    }

    ngx_http_approval_lint(cf, NGX_HTTP_APPROVAL_LINT_UNVERIFIED_IDENTITY,
                           ngx_http_approval_at(*at),
                           "\"%s%V\" trusts the client: nothing in location "
                           "\"%V\" verifies \"$%V\", so anybody can %s there "
                           "under any name. %s",
                           directive, text,
                           place->location->name.len
                           ? &place->location->name
                           : &ngx_http_approval_root, &name, as,
                           user ? "Add \"auth_basic\" and "
                                  "\"auth_basic_user_file\""
                                : "Use a variable that \"auth_request_set\", "
                                  "a \"map\" of secrets or a client "
                                  "certificate sets");
}


/* Finds the first variable of the text that the client controls. */

static ngx_uint_t
ngx_http_approval_identity_claim(ngx_str_t *text, ngx_str_t *name,
    ngx_uint_t *user)
{
    ngx_str_t  rest, *own;

    static ngx_str_t  claims[] = {
        ngx_string("http_"),
        ngx_string("arg_"),
        ngx_string("cookie_"),
        ngx_null_string
    };

    rest = *text;

    while (ngx_http_approval_next_name(&rest, name)) {

        *user = (name->len == sizeof("remote_user") - 1
                 && ngx_strncasecmp(name->data, (u_char *) "remote_user",
                                    name->len)
                    == 0);

        if (*user) {
            return 1;
        }

        for (own = claims; own->len; own++) {
            if (name->len > own->len
                && ngx_strncasecmp(name->data, own->data, own->len) == 0)
            {
                return 1;
            }
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_approval_identity_verified(ngx_conf_t *cf,
    ngx_http_approval_place_t *place, ngx_uint_t user)
{
    void                                *conf;
    ngx_command_t                       *cmd;
    ngx_module_t                       **modules;
    const ngx_http_approval_verifier_t  *verifier;

    verifier = ngx_http_approval_verifiers;

    for ( /* void */ ; verifier->module; verifier++) {

        if (verifier->user && !user) {
            continue;
        }

        for (modules = cf->cycle->modules; *modules; modules++) {

            cmd = ngx_http_approval_identity_command(*modules, verifier);

            if (cmd == NULL) {
                continue;
            }

            conf = (cmd->conf == NGX_HTTP_SRV_CONF_OFFSET)
                   ? place->server->ctx->srv_conf[(*modules)->ctx_index]
                   : place->loc_conf[(*modules)->ctx_index];

            if (conf
                && ngx_http_approval_identity_kept(verifier->kept,
                                                 (char *) conf + cmd->offset))
            {
                return 1;
            }
        }
    }

    return 0;
}


static ngx_command_t *
ngx_http_approval_identity_command(ngx_module_t *module,
    const ngx_http_approval_verifier_t *verifier)
{
    ngx_command_t  *cmd;

    if (ngx_strcmp(module->name, verifier->module) != 0) {
        return NULL;
    }

    for (cmd = module->commands; cmd->name.len; cmd++) {
        if (ngx_strcmp(cmd->name.data, verifier->directive) == 0) {
            return cmd;
        }
    }

    return NULL;
}


static ngx_uint_t
ngx_http_approval_identity_kept(ngx_http_approval_kept_e kept, void *value)
{
    ngx_array_t               *list;
    ngx_http_complex_value_t  *complex;

    switch (kept) {

    case NGX_HTTP_APPROVAL_KEPT_VALUE:
        complex = *(ngx_http_complex_value_t **) value;

        return complex != NULL && complex != NGX_CONF_UNSET_PTR
               && ngx_strcmp(complex->value.data, "off") != 0;

    case NGX_HTTP_APPROVAL_KEPT_TEXT:
        return ((ngx_str_t *) value)->len != 0;

    case NGX_HTTP_APPROVAL_KEPT_LIST:
        list = *(ngx_array_t **) value;

        return list != NULL && list->nelts != 0;

    default:
        return *(ngx_uint_t *) value == 1;
    }
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
