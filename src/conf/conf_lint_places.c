
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Policies, the approvers' side and the links to it that do not fit together.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "conf/conf.h"


/* The approvers' side, over all servers. */

typedef struct {
    ngx_uint_t                     locations;   /* that answer                */
    ngx_uint_t                     signed_in;   /* of them, with approver=    */
    ngx_uint_t                     unsigned_decisions;
} ngx_http_approval_side_t;


static void ngx_http_approval_lint_return(ngx_conf_t *cf,
    ngx_http_approval_place_t *place);
static void ngx_http_approval_lint_side(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf, ngx_http_approval_side_t *side);
static ngx_uint_t ngx_http_approval_lint_serves(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf, ngx_http_approval_place_t *place);
static void ngx_http_approval_lint_taken(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf, ngx_http_approval_place_t *place);
static void ngx_http_approval_lint_deciders(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf, ngx_http_approval_policy_t *policy);
static ngx_uint_t ngx_http_approval_lint_personal(
    ngx_http_approval_conf_t *mcf, ngx_array_t *list);
static void ngx_http_approval_lint_base_url(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf);
static ngx_uint_t ngx_http_approval_lint_named(
    ngx_http_core_srv_conf_t *server, ngx_str_t *host);
static ngx_str_t ngx_http_approval_lint_unslashed(ngx_str_t path);


ngx_int_t
ngx_http_approval_lint_place(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf, ngx_http_approval_loc_conf_t *parent,
    ngx_http_approval_loc_conf_t *conf)
{
    ngx_http_approval_place_t  *place;

    place = ngx_array_push(&mcf->lint->places);
    if (place == NULL) {
        return NGX_ERROR;
    }

    place->server = ngx_http_conf_get_module_srv_conf(cf,
                                                      ngx_http_core_module);
    place->location = ngx_http_conf_get_module_loc_conf(cf,
                                                        ngx_http_core_module);
    place->conf = conf;
    place->parent = parent;
    place->loc_conf = ((ngx_http_conf_ctx_t *) cf->ctx)->loc_conf;

    return NGX_OK;
}


ngx_int_t
ngx_http_approval_lint_places(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf)
{
    ngx_uint_t                    i, decides;
    ngx_http_approval_side_t      side;
    ngx_http_approval_policy_t  **policies;

    ngx_http_approval_lint_side(cf, mcf, &side);

    decides = 0;
    policies = mcf->policies.elts;

    for (i = 0; i < mcf->policies.nelts; i++) {

        if (!policies[i]->used) {
            ngx_http_approval_lint(cf, NGX_HTTP_APPROVAL_LINT_UNUSED_POLICY,
                                   policies[i]->conf_file,
                                   policies[i]->conf_line,
                                   "policy \"%V\" has no effect, because no "
                                   "location uses it. Add \"approval %V;\" "
                                   "where it should apply", &policies[i]->name,
                                   &policies[i]->name);
            continue;
        }

        if (!policies[i]->decides || side.unsigned_decisions) {
            continue;
        }

        if (side.locations == 0 && !decides) {
            ngx_http_approval_lint(cf, NGX_HTTP_APPROVAL_LINT_NO_API,
                                   policies[i]->conf_file,
                                   policies[i]->conf_line,
                                   "policy \"%V\" requires approvals, but "
                                   "nobody can give them, because no location "
                                   "has \"approval_api\": add \"location "
                                   "/_approval/ { approval_api approver=...; "
                                   "}\"", &policies[i]->name);
        }

        decides = 1;

        if (side.locations && !side.signed_in) {
            ngx_http_approval_lint_deciders(cf, mcf, policies[i]);
        }
    }

    if (decides && side.locations) {
        ngx_http_approval_lint_base_url(cf, mcf);
    }

    return NGX_OK;
}


/*
 * "return" is looked for where nothing comes before it.  An inherited policy is
 * meant for other locations.
 */

static void
ngx_http_approval_lint_return(ngx_conf_t *cf, ngx_http_approval_place_t *place)
{
    ngx_array_t                  **codes;
    ngx_http_approval_at_t         at;
    ngx_http_approval_loc_conf_t  *conf;

    conf = place->conf;

    codes = ngx_http_approval_lint_value(cf, place, "ngx_http_rewrite_module",
                                         "return");

    if (codes == NULL || *codes == NULL || (*codes)->nelts == 0
        || *(ngx_http_script_code_pt *) (*codes)->elts
           != ngx_http_script_return_code)
    {
        return;
    }

    if (conf->api) {
        at = conf->api_at;

    } else if (conf->policy
               && (conf->conf_line != place->parent->conf_line
                   || conf->conf_file != place->parent->conf_file))
    {
        at.file = conf->conf_file;
        at.line = conf->conf_line;

    } else {
        return;
    }

    ngx_http_approval_lint(cf, NGX_HTTP_APPROVAL_LINT_RETURN_FIRST,
                           ngx_http_approval_at(at),
                           "\"%s\" has no effect here, because nginx does "
                           "\"return\" before it. Remove one of them",
                           conf->api ? "approval_api" : "approval");
}


static void
ngx_http_approval_lint_side(ngx_conf_t *cf, ngx_http_approval_conf_t *mcf,
    ngx_http_approval_side_t *side)
{
    ngx_uint_t                  i;
    ngx_http_approval_place_t  *place;

    ngx_memzero(side, sizeof(ngx_http_approval_side_t));

    place = mcf->lint->places.elts;

    for (i = 0; i < mcf->lint->places.nelts; i++) {

        ngx_http_approval_lint_return(cf, &place[i]);

        if (place[i].conf->policy && place[i].conf->unsigned_decisions) {
            side->unsigned_decisions = 1;
        }

        if (ngx_http_approval_lint_serves(cf, mcf, &place[i])) {
            side->locations++;
            side->signed_in |= (place[i].conf->approver != NULL);
        }
    }
}


/*
 * The desk looks at the URI behind the name of its location, so the location
 * needs a plain prefix, and no other location may take what is below it.
 */

static ngx_uint_t
ngx_http_approval_lint_serves(ngx_conf_t *cf, ngx_http_approval_conf_t *mcf,
    ngx_http_approval_place_t *place)
{
    ngx_uint_t                 serves;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = place->location;

    if (!place->conf->api || clcf->noname) {
        return 0;
    }

    serves = !clcf->named && !clcf->internal;

#if (NGX_PCRE)
    serves &= (clcf->regex == NULL);
#endif

    if (!serves) {
        ngx_http_approval_lint(cf, NGX_HTTP_APPROVAL_LINT_REGEX_API,
                               ngx_http_approval_at(place->conf->api_at),
                               "\"approval_api\" in location \"%V\" answers "
                               "every request with 404: use a location with a "
                               "plain prefix and without \"internal\", for "
                               "example \"location /_approval/\"",
                               &clcf->name);

    } else if (!clcf->exact_match) {
        ngx_http_approval_lint_taken(cf, mcf, place);
    }

    return serves;
}


/* Names of files that other locations often take, by a regex. */

static void
ngx_http_approval_lint_taken(ngx_conf_t *cf, ngx_http_approval_conf_t *mcf,
    ngx_http_approval_place_t *place)
{
    u_char                     *p;
    ngx_str_t                   name, uri;
    const char                **path;
    ngx_http_approval_place_t  *taker;

    static const char  *paths[] = {
        "/actions", "/manifest", "/passkey.js", "/.well-known/jwks.json", NULL
    };

    name = ngx_http_approval_lint_unslashed(place->location->name);

    for (path = paths; *path; path++) {

        uri.len = name.len + ngx_strlen(*path);
        p = ngx_pnalloc(cf->temp_pool, uri.len + 1);

        if (p == NULL) {
            return;
        }

        uri.data = p;
        *ngx_sprintf(p, "%V%s", &name, *path) = '\0';

        taker = ngx_http_approval_lint_location(mcf, place->server, &uri);

        if (taker == NULL || taker->conf->api) {
            continue;
        }

        ngx_http_approval_lint(cf, NGX_HTTP_APPROVAL_LINT_REGEX_API,
                               ngx_http_approval_at(place->conf->api_at),
                               "\"approval_api\" in location \"%V\" does not "
                               "answer requests for \"%V\", because location "
                               "\"%V\" takes them: write \"location ^~ %V/\"",
                               &place->location->name, &uri,
                               &taker->location->name, &name);
        return;
    }
}


/*
 * If nobody can sign in, a shared link does not identify the approver, so
 * nobody can decide by it.
 */

static void
ngx_http_approval_lint_deciders(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf, ngx_http_approval_policy_t *policy)
{
    ngx_uint_t                     i, j, found;
    ngx_http_approval_rule_t     **rules;
    ngx_http_approval_escalate_t  *escalate;

    rules = policy->rules.elts;

    for (i = 0; i < policy->rules.nelts; i++) {

        if (rules[i]->outcome != NGX_HTTP_APPROVAL_REQUIRE
            || rules[i]->mode == NGX_HTTP_APPROVAL_SHADOW)
        {
            continue;
        }

        found = ngx_http_approval_lint_personal(mcf, rules[i]->notify);

        if (rules[i]->escalate) {
            escalate = rules[i]->escalate->elts;

            for (j = 0; j < rules[i]->escalate->nelts; j++) {
                found |= ngx_http_approval_lint_personal(mcf,
                                                        escalate[j].channels);
            }
        }

        if (found) {
            continue;
        }

        ngx_http_approval_lint(cf, NGX_HTTP_APPROVAL_LINT_NOBODY_DECIDES,
                               rules[i]->conf_file, rules[i]->conf_line,
                               "nobody can decide the requests of rule "
                               "\"%V\": no \"approval_api\" has "
                               "\"approver=\", so nobody can sign in, and no "
                               "channel of the rule sends personal links. Add "
                               "\"approver=\", or \"per_approver on\" to a "
                               "channel",
                               &rules[i]->name);
    }
}


static ngx_uint_t
ngx_http_approval_lint_personal(ngx_http_approval_conf_t *mcf,
    ngx_array_t *list)
{
    ngx_uint_t                     i;
    ngx_http_approval_channel_t  **channels;

    if (list == NULL) {
        return 0;
    }

    channels = list->elts;

    for (i = 0; i < list->nelts; i++) {
        if ((channels[i]->per_approver && mcf->base_url)
            || channels[i]->signing_secrets)
        {
            return 1;
        }
    }

    return 0;
}


static void
ngx_http_approval_lint_base_url(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf)
{
    ngx_str_t                    path, name;
    ngx_uint_t                   i, known, elsewhere;
    ngx_http_approval_place_t   *place;
    ngx_http_approval_target_t   target;

    if (mcf->base_url == NULL || mcf->base_url->lengths) {
        return;
    }

    ngx_memzero(&target, sizeof(ngx_http_approval_target_t));

    if (ngx_http_approval_target_parse(&target, &mcf->base_url->value)
        != NULL)
    {
        return;
    }

    path = mcf->base_url->value;
    path.data = (u_char *) ngx_strstr(path.data, "://") + 3;
    path.data += strcspn((char *) path.data, "/");
    path.len = mcf->base_url->value.data + mcf->base_url->value.len
               - path.data;
    path = ngx_http_approval_lint_unslashed(path);

    place = mcf->lint->places.elts;
    known = 0;
    elsewhere = 0;

    for (i = 0; i < mcf->lint->places.nelts; i++) {
        known |= ngx_http_approval_lint_named(place[i].server, &target.host);
    }

    for (i = 0; i < mcf->lint->places.nelts; i++) {

        if (!place[i].conf->api || place[i].location->noname
            || place[i].location->exact_match || place[i].location->internal)
        {
            continue;
        }

        name = ngx_http_approval_lint_unslashed(place[i].location->name);

        if (name.len != path.len
            || ngx_strncmp(name.data, path.data, path.len) != 0)
        {
            continue;
        }

        if (!known
            || ngx_http_approval_lint_named(place[i].server, &target.host))
        {
            return;
        }

        elsewhere = 1;
    }

    ngx_http_approval_lint(cf, NGX_HTTP_APPROVAL_LINT_BASE_URL,
                           ngx_http_approval_at(mcf->base_url_at),
                           elsewhere
                           ? "links start with \"approval_base_url %V\", but "
                             "the server of that name has no location \"%V/\" "
                             "with \"approval_api\"; another server has it. "
                             "Move the location there, or use the name of the "
                             "other server in the URL"
                           : "links start with \"approval_base_url %V\", but "
                             "no location \"%V/\" has \"approval_api\": use "
                             "the path of the location that has it",
                           &mcf->base_url->value, &path);
}


static ngx_uint_t
ngx_http_approval_lint_named(ngx_http_core_srv_conf_t *server, ngx_str_t *host)
{
    ngx_uint_t               i;
    ngx_http_server_name_t  *name;

    name = server->server_names.elts;

    for (i = 0; i < server->server_names.nelts; i++) {
        if (name[i].name.len == host->len
            && ngx_strncasecmp(name[i].name.data, host->data, host->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_str_t
ngx_http_approval_lint_unslashed(ngx_str_t path)
{
    while (path.len && path.data[path.len - 1] == '/') {
        path.len--;
    }

    return path;
}
