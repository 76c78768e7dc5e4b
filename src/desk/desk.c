
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/desk.h"
#include "desk/audit.h"
#include "desk/decision.h"
#include "desk/freeze.h"
#include "desk/grants.h"
#include "desk/list.h"
#include "desk/jwks.h"
#include "desk/live.h"
#include "desk/slack.h"
#include "desk/manifest.h"
#include "desk/passkey.h"
#include "desk/several.h"
#include "desk/shadow.h"
#include "desk/status.h"
#include "desk/story.h"
#include "desk/view.h"
#include "desk/withdraw.h"


#define NGX_HTTP_APPROVAL_DESK_READ  (NGX_HTTP_GET|NGX_HTTP_HEAD)


typedef ngx_int_t (*ngx_http_approval_desk_room_pt)(
    ngx_http_approval_desk_t *d);

typedef struct {
    ngx_str_t                        path;
    ngx_str_t                        tail;     /* after an id          */
    ngx_uint_t                       id;       /* path/ID and the tail */
    ngx_uint_t                       methods;
    const char                      *allow;
    const char                      *root;
    ngx_http_approval_desk_room_pt   room;
} ngx_http_approval_desk_route_t;


static ngx_int_t ngx_http_approval_desk_prefix(ngx_http_approval_desk_t *d);
static void ngx_http_approval_desk_own(ngx_http_approval_desk_t *d,
    ngx_str_t *name, const char *path);
static ngx_http_approval_desk_route_t *ngx_http_approval_desk_route(
    ngx_http_approval_desk_t *d);
static ngx_uint_t ngx_http_approval_desk_id(ngx_http_approval_desk_t *d,
    ngx_http_approval_desk_route_t *route);
static ngx_int_t ngx_http_approval_desk_method(ngx_http_approval_desk_t *d,
    ngx_http_approval_desk_route_t *route);
static ngx_int_t ngx_http_approval_desk_slash(ngx_http_approval_desk_t *d);
static ngx_int_t ngx_http_approval_desk_action(ngx_http_approval_desk_t *d);
static ngx_int_t ngx_http_approval_desk_status(ngx_http_approval_desk_t *d);


static ngx_http_approval_desk_route_t  ngx_http_approval_desk_routes[] = {

    { ngx_string(""), ngx_null_string, 0,
      NGX_HTTP_APPROVAL_DESK_READ, "GET, HEAD", "",
      ngx_http_approval_desk_slash },

    { ngx_string("/"), ngx_null_string, 0,
      NGX_HTTP_APPROVAL_DESK_READ, "GET, HEAD", "",
      ngx_http_approval_list_inbox },

    { ngx_string("/actions"), ngx_null_string, 0,
      NGX_HTTP_APPROVAL_DESK_READ, "GET, HEAD", "",
      ngx_http_approval_list },

    { ngx_string("/actions/"), ngx_string(""), 1,
      NGX_HTTP_APPROVAL_DESK_READ|NGX_HTTP_DELETE, "GET, HEAD, DELETE", "../",
      ngx_http_approval_desk_action },

    { ngx_string("/actions/"), ngx_string("/decision"), 1,
      NGX_HTTP_POST, "POST", "../../",
      ngx_http_approval_decision_read_body },

    { ngx_string("/actions/"), ngx_string("/state"), 1,
      NGX_HTTP_APPROVAL_DESK_READ, "GET, HEAD", "../../",
      ngx_http_approval_view_frame },

    { ngx_string("/actions/"), ngx_string("/events"), 1,
      NGX_HTTP_GET, "GET", "../../",
      ngx_http_approval_live_action },

    { ngx_string("/events"), ngx_null_string, 0,
      NGX_HTTP_GET, "GET", "",
      ngx_http_approval_live_inbox },

    { ngx_string("/decisions"), ngx_null_string, 0,
      NGX_HTTP_POST, "POST", "",
      ngx_http_approval_several },

    { ngx_string("/audit"), ngx_null_string, 0,
      NGX_HTTP_APPROVAL_DESK_READ, "GET, HEAD", "",
      ngx_http_approval_export },

    { ngx_string("/slack"), ngx_null_string, 0,
      NGX_HTTP_POST, "POST", "",
      ngx_http_approval_slack },

    { ngx_string("/status/"), ngx_string(""), 1,
      NGX_HTTP_APPROVAL_DESK_READ|NGX_HTTP_DELETE, "GET, HEAD, DELETE", "../",
      ngx_http_approval_desk_status },

    { ngx_string("/freeze"), ngx_null_string, 0,
      NGX_HTTP_APPROVAL_DESK_READ|NGX_HTTP_POST|NGX_HTTP_DELETE,
      "GET, HEAD, POST, DELETE", "",
      ngx_http_approval_freeze },

    { ngx_string("/grants"), ngx_null_string, 0,
      NGX_HTTP_APPROVAL_DESK_READ, "GET, HEAD", "",
      ngx_http_approval_grants },

    { ngx_string("/grants/"), ngx_string(""), 1,
      NGX_HTTP_POST|NGX_HTTP_DELETE, "POST, DELETE", "../",
      ngx_http_approval_grants_revoke },

    { ngx_string("/passkeys"), ngx_null_string, 0,
      NGX_HTTP_APPROVAL_DESK_READ|NGX_HTTP_POST, "GET, HEAD, POST", "",
      ngx_http_approval_passkeys },

    { ngx_string("/passkey.js"), ngx_null_string, 0,
      NGX_HTTP_APPROVAL_DESK_READ, "GET, HEAD", "",
      ngx_http_approval_passkey_script },

    { ngx_string("/shadow"), ngx_null_string, 0,
      NGX_HTTP_APPROVAL_DESK_READ, "GET, HEAD", "",
      ngx_http_approval_shadow_report },

    { ngx_string("/story"), ngx_null_string, 0,
      NGX_HTTP_APPROVAL_DESK_READ, "GET, HEAD", "",
      ngx_http_approval_story },

    { ngx_string("/.well-known/jwks.json"), ngx_null_string, 0,
      NGX_HTTP_APPROVAL_DESK_READ, "GET, HEAD", "../",
      ngx_http_approval_jwks },

    { ngx_string("/manifest"), ngx_null_string, 0,
      NGX_HTTP_APPROVAL_DESK_READ, "GET, HEAD", "",
      ngx_http_approval_manifest },

    { ngx_null_string, ngx_null_string, 0, 0, NULL, NULL, NULL }
};


ngx_int_t
ngx_http_approval_desk_handler(ngx_http_request_t *r)
{
    ngx_int_t                        rc;
    ngx_http_approval_desk_t        *d;
    ngx_http_approval_desk_route_t  *route;

    if (r != r->main) {
        return NGX_HTTP_NOT_FOUND;
    }

    d = ngx_http_approval_desk_create(r);
    if (d == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_approval_desk_prefix(d) != NGX_OK) {
        return ngx_http_approval_desk_not_found(d);
    }

    route = ngx_http_approval_desk_route(d);

    if (route == NULL
        || (route->room == ngx_http_approval_slack
            && !ngx_http_approval_slack_expected(d->mcf)))
    {
        return ngx_http_approval_desk_not_found(d);
    }

    if (!(r->method & route->methods)) {
        return ngx_http_approval_desk_method(d, route);
    }

    if (d->mcf->worker->store == NULL || d->mcf->keyring == NULL
        || d->mcf->signer == NULL || d->mcf->people == NULL)
    {
        return ngx_http_approval_desk_unavailable(d);
    }

    rc = route->room(d);

    if (rc == NGX_AGAIN) {
        r->main->count++;
        return NGX_DONE;
    }

    return rc;
}


/* Sets d->route to the path below the location with approval_api. */

static ngx_int_t
ngx_http_approval_desk_prefix(ngx_http_approval_desk_t *d)
{
    ngx_str_t                  name, *uri;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(d->request, ngx_http_core_module);

    uri = &d->request->uri;
    name = clcf->name;

    if (name.len && name.data[name.len - 1] == '/') {
        name.len--;
    }

    if (uri->len < name.len
        || ngx_filename_cmp(uri->data, name.data, name.len) != 0
        || (uri->len > name.len && uri->data[name.len] != '/'))
    {
        return NGX_DECLINED;
    }

    d->route.data = uri->data + name.len;
    d->route.len = uri->len - name.len;

    /*
     * These may have a location without the approvers' login: Slack's posts
     * are signed, requesters and agents are not approvers, and keys are
     * public.
     */

    if (d->route.len == 0 && d->request->method == NGX_HTTP_POST) {
        ngx_http_approval_desk_own(d, &name, "/slack");

    } else if (d->route.len == 0) {
        ngx_http_approval_desk_own(d, &name, "/manifest");
        ngx_http_approval_desk_own(d, &name, "/.well-known/jwks.json");

    } else if (d->route.len == 1 + APPROVAL_ID_LEN) {
        ngx_http_approval_desk_own(d, &name, "/status");
    }

    return NGX_OK;
}


/* If the location itself is named like "path", the route includes it. */

static void
ngx_http_approval_desk_own(ngx_http_approval_desk_t *d, ngx_str_t *name,
    const char *path)
{
    size_t  len;

    len = ngx_strlen(path);

    if (name->len >= len
        && ngx_strncmp(name->data + name->len - len, path, len) == 0)
    {
        d->route.data -= len;
        d->route.len += len;
    }
}


static ngx_http_approval_desk_route_t *
ngx_http_approval_desk_route(ngx_http_approval_desk_t *d)
{
    ngx_http_approval_desk_route_t  *route;

    for (route = ngx_http_approval_desk_routes; route->room; route++) {

        if (route->id) {
            if (!ngx_http_approval_desk_id(d, route)) {
                continue;
            }

        } else if (d->route.len != route->path.len
                   || ngx_strncmp(d->route.data, route->path.data,
                                  d->route.len)
                      != 0)
        {
            continue;
        }

        d->root = route->root;

        return route;
    }

    return NULL;
}


/*
 * Any segment is taken as an id.  An invalid one gets the same refusal as an
 * id that does not exist.
 */

static ngx_uint_t
ngx_http_approval_desk_id(ngx_http_approval_desk_t *d,
    ngx_http_approval_desk_route_t *route)
{
    u_char          *p, *last, *end;
    approval_str_t   id;

    last = d->route.data + d->route.len;

    if (d->route.len <= route->path.len
        || ngx_strncmp(d->route.data, route->path.data, route->path.len) != 0)
    {
        return 0;
    }

    p = d->route.data + route->path.len;

    end = ngx_strlchr(p, last, '/');
    if (end == NULL) {
        end = last;
    }

    if ((size_t) (last - end) != route->tail.len
        || ngx_strncmp(end, route->tail.data, route->tail.len) != 0)
    {
        return 0;
    }

    id.data = p;
    id.len = end - p;

    if (approval_id_valid(id)) {
        ngx_memcpy(d->id, id.data, APPROVAL_ID_LEN);
        d->id_valid = 1;
    }

    return 1;
}


static ngx_int_t
ngx_http_approval_desk_method(ngx_http_approval_desk_t *d,
    ngx_http_approval_desk_route_t *route)
{
    if (ngx_http_approval_header(d->request, "Allow",
                                 approval_str(route->allow))
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_approval_desk_refuse(d, NGX_HTTP_NOT_ALLOWED,
               "method-not-allowed", "Method not allowed",
               "See the Allow header for the methods of this path.", NULL);
}


/* The links of the inbox are relative to a path that ends with "/". */

static ngx_int_t
ngx_http_approval_desk_slash(ngx_http_approval_desk_t *d)
{
    u_char          *p;
    ngx_int_t        rc;
    approval_buf_t   location;
    approval_str_t   name;

    p = d->route.data;

    while (p > d->request->uri.data && p[-1] != '/') {
        p--;
    }

    name.data = p;
    name.len = d->route.data - p;

    approval_buf_init(&location);
    approval_buf_adds(&location, "./");
    approval_buf_add(&location, name.data, name.len);
    approval_buf_addc(&location, '/');

    rc = location.failed
         ? NGX_ERROR
         : ngx_http_approval_header(d->request, "Location",
                                    approval_buf_str(&location));

    approval_buf_free(&location);

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_approval_send(d->request, NGX_HTTP_MOVED_PERMANENTLY,
                                  "text/plain",
                                  approval_str("See the inbox.\n"));
}


static ngx_int_t
ngx_http_approval_desk_action(ngx_http_approval_desk_t *d)
{
    return d->request->method == NGX_HTTP_DELETE
           ? ngx_http_approval_withdraw(d) : ngx_http_approval_view_action(d);
}


static ngx_int_t
ngx_http_approval_desk_status(ngx_http_approval_desk_t *d)
{
    return d->request->method == NGX_HTTP_DELETE
           ? ngx_http_approval_withdraw(d) : ngx_http_approval_status(d);
}
