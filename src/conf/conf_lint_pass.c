
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Where the "pass" of a channel leads.  A message is a subrequest in the server
 * of the request that it is about, and goes to internal locations only.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "conf/conf.h"


typedef struct {
    ngx_http_core_srv_conf_t      *server;
    const void                    *told;        /* policy, or channel         */
} ngx_http_approval_told_in_t;


static ngx_int_t ngx_http_approval_lint_pass_policy(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf, ngx_array_t *told,
    ngx_http_approval_place_t *place);
static ngx_int_t ngx_http_approval_lint_pass_list(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf, ngx_array_t *told,
    ngx_http_core_srv_conf_t *server, ngx_array_t *list);
static ngx_int_t ngx_http_approval_lint_pass_once(ngx_array_t *told,
    ngx_http_core_srv_conf_t *server, const void *what);
static void ngx_http_approval_lint_pass_channel(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf, ngx_http_core_srv_conf_t *server,
    ngx_http_approval_channel_t *channel);
static ngx_http_approval_place_t *ngx_http_approval_lint_location_regex(
    ngx_http_approval_conf_t *mcf, ngx_http_approval_loc_conf_t **level,
    ngx_str_t *uri);
static ngx_http_core_srv_conf_t *ngx_http_approval_lint_elsewhere(
    ngx_http_approval_conf_t *mcf, ngx_str_t *uri);


ngx_int_t
ngx_http_approval_lint_pass(ngx_conf_t *cf, ngx_http_approval_conf_t *mcf)
{
    ngx_uint_t                  i;
    ngx_array_t                 told;
    ngx_http_approval_place_t  *place;

    if (ngx_array_init(&told, cf->temp_pool, 16,
                       sizeof(ngx_http_approval_told_in_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    place = mcf->lint->places.elts;

    for (i = 0; i < mcf->lint->places.nelts; i++) {

        if (place[i].conf->policy && place[i].conf->policy->decides
            && ngx_http_approval_lint_pass_policy(cf, mcf, &told, &place[i])
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_lint_pass_policy(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf, ngx_array_t *told,
    ngx_http_approval_place_t *place)
{
    ngx_int_t                      rc;
    ngx_uint_t                     i, j;
    ngx_http_approval_rule_t     **rules;
    ngx_http_approval_policy_t    *policy;
    ngx_http_approval_escalate_t  *escalate;

    policy = place->conf->policy;

    rc = ngx_http_approval_lint_pass_once(told, place->server, policy);

    rules = policy->rules.elts;

    for (i = 0; rc == NGX_OK && i < policy->rules.nelts; i++) {

        if (rules[i]->mode == NGX_HTTP_APPROVAL_SHADOW) {
            continue;
        }

        rc = ngx_http_approval_lint_pass_list(cf, mcf, told, place->server,
                                              rules[i]->notify);

        escalate = rules[i]->escalate ? rules[i]->escalate->elts : NULL;

        for (j = 0; rc == NGX_OK && escalate && j < rules[i]->escalate->nelts;
             j++)
        {
            rc = ngx_http_approval_lint_pass_list(cf, mcf, told, place->server,
                                                  escalate[j].channels);
        }
    }

    return (rc == NGX_ERROR) ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
ngx_http_approval_lint_pass_list(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf, ngx_array_t *told,
    ngx_http_core_srv_conf_t *server, ngx_array_t *list)
{
    ngx_int_t                      rc;
    ngx_uint_t                     i;
    ngx_http_approval_channel_t  **channels;

    channels = list ? list->elts : NULL;

    for (i = 0; channels && i < list->nelts; i++) {

        if (channels[i]->pass.len == 0) {
            continue;
        }

        rc = ngx_http_approval_lint_pass_once(told, server, channels[i]);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_OK) {
            ngx_http_approval_lint_pass_channel(cf, mcf, server, channels[i]);
        }
    }

    return NGX_OK;
}


/* Returns NGX_DECLINED if this was checked before. */

static ngx_int_t
ngx_http_approval_lint_pass_once(ngx_array_t *told,
    ngx_http_core_srv_conf_t *server, const void *what)
{
    ngx_uint_t                    i;
    ngx_http_approval_told_in_t  *in;

    in = told->elts;

    for (i = 0; i < told->nelts; i++) {
        if (in[i].server == server && in[i].told == what) {
            return NGX_DECLINED;
        }
    }

    in = ngx_array_push(told);
    if (in == NULL) {
        return NGX_ERROR;
    }

    in->server = server;
    in->told = what;

    return NGX_OK;
}


static void
ngx_http_approval_lint_pass_channel(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf, ngx_http_core_srv_conf_t *server,
    ngx_http_approval_channel_t *channel)
{
    ngx_str_t                   uri, *name;
    ngx_http_core_srv_conf_t   *other;
    ngx_http_approval_place_t  *place;

    uri.data = channel->pass.data;
    uri.len = strcspn((char *) uri.data, "?");

    place = ngx_http_approval_lint_location(mcf, server, &uri);

    if (place && place->location->internal) {
        return;
    }

    name = place ? &place->location->name : NULL;

    if (name && name->len == uri.len
        && ngx_strncmp(name->data, uri.data, uri.len) == 0)
    {
        ngx_http_approval_lint(cf, NGX_HTTP_APPROVAL_LINT_PASS_NOT_INTERNAL,
                               ngx_http_approval_at(channel->pass_at),
                               "channel \"%V\" sends no messages, because "
                               "location \"%V\" of the server in %s:%ui is "
                               "not internal. Add \"internal;\" to it",
                               &channel->name, &uri, server->file_name,
                               server->line);
        return;
    }

    other = ngx_http_approval_lint_elsewhere(mcf, &uri);

    if (other) {
        ngx_http_approval_lint(cf, NGX_HTTP_APPROVAL_LINT_PASS_LOCATION,
                               ngx_http_approval_at(channel->pass_at),
                               "channel \"%V\" sends no messages about "
                               "requests to the server in %s:%ui: \"pass\" "
                               "stays in that server, but only the server in "
                               "%s:%ui has a location \"%V\". Add the "
                               "location to both servers, or use \"url\"",
                               &channel->name, server->file_name, server->line,
                               other->file_name, other->line, &uri);
        return;
    }

    ngx_http_approval_lint(cf, NGX_HTTP_APPROVAL_LINT_PASS_LOCATION,
                           ngx_http_approval_at(channel->pass_at),
                           "channel \"%V\" sends no messages, because the "
                           "server in %s:%ui has no internal location for "
                           "\"%V\". Add \"location = %V { internal; "
                           "proxy_pass ...; }\" to it",
                           &channel->name, server->file_name, server->line,
                           &uri, &uri);
}


ngx_http_approval_place_t *
ngx_http_approval_lint_location(ngx_http_approval_conf_t *mcf,
    ngx_http_core_srv_conf_t *server, ngx_str_t *uri)
{
    ngx_uint_t                     i;
    ngx_http_core_loc_conf_t      *clcf;
    ngx_http_approval_place_t     *place, *found, *regex;
    ngx_http_approval_loc_conf_t  *level;

    found = NULL;
    level = NULL;
    place = mcf->lint->places.elts;

    for (i = 0; i < mcf->lint->places.nelts; i++) {

        clcf = place[i].location;

        if (place[i].server != server || clcf->noname || clcf->named
            || clcf->name.len > uri->len
            || ngx_strncmp(clcf->name.data, uri->data, clcf->name.len) != 0)
        {
            continue;
        }

#if (NGX_PCRE)
        if (clcf->regex) {
            continue;
        }
#endif

        if (clcf->name.len == 0) {
            level = place[i].conf;
            continue;
        }

        if (clcf->exact_match) {

            if (clcf->name.len == uri->len) {
                return &place[i];
            }

            continue;
        }

        if (found == NULL || found->location->name.len < clcf->name.len) {
            found = &place[i];
        }
    }

    /* the regexes in the location, then those around it */

    if (found) {
        level = found->conf;
    }

    while (level) {
        regex = ngx_http_approval_lint_location_regex(mcf, &level, uri);

        if (regex) {
            return regex;
        }

        if (found && found->location->noregex) {
            break;
        }
    }

    return found;
}


/* Looks on one level, and then sets the level around it. */

static ngx_http_approval_place_t *
ngx_http_approval_lint_location_regex(ngx_http_approval_conf_t *mcf,
    ngx_http_approval_loc_conf_t **level, ngx_str_t *uri)
{
    ngx_uint_t                     i;
    ngx_http_approval_place_t     *place;
    ngx_http_approval_loc_conf_t  *parent;

    parent = NULL;
    place = mcf->lint->places.elts;

    for (i = 0; i < mcf->lint->places.nelts; i++) {

        if (place[i].conf == *level && place[i].location->name.len) {
            parent = place[i].parent;
        }

#if (NGX_PCRE)
        if (place[i].parent == *level && place[i].location->regex
            && ngx_regex_exec(place[i].location->regex->regex, uri, NULL, 0)
               >= 0)
        {
            return &place[i];
        }
#endif
    }

    *level = parent;

    return NULL;
}


static ngx_http_core_srv_conf_t *
ngx_http_approval_lint_elsewhere(ngx_http_approval_conf_t *mcf,
    ngx_str_t *uri)
{
    ngx_uint_t                  i;
    ngx_http_core_loc_conf_t   *clcf;
    ngx_http_approval_place_t  *place;

    place = mcf->lint->places.elts;

    for (i = 0; i < mcf->lint->places.nelts; i++) {

        clcf = place[i].location;

        if (clcf->internal && clcf->name.len == uri->len
            && ngx_strncmp(clcf->name.data, uri->data, uri->len) == 0)
        {
            return place[i].server;
        }
    }

    return NULL;
}
