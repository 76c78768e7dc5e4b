
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * One approval, one execution.  An approved request is sent to an upstream
 * once, whatever it passes after the gate and whoever would send it again:
 * proxy_next_upstream, a kept connection that was closed meanwhile, error_page,
 * an update of the cache in the background.
 *
 * The content handler of each location runs through here, and while that of an
 * approved request runs, so does the choice of a server in each upstream.  The
 * one knows where the request has got to, and guards upstreams without a list
 * of servers; the other comes before the first byte, which may be sent inside
 * the content handler.
 *
 * What counts as sent is what nginx wrote to a connection.  Where no server
 * got a byte, the next one is tried as ever.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "gate/gate.h"
#include "notify/notify.h"


typedef struct {
    ngx_http_core_loc_conf_t         *clcf;
    ngx_http_approval_loc_conf_t     *lcf;
    ngx_http_approval_loc_conf_t     *prev;
} ngx_http_approval_once_location_t;


struct ngx_http_approval_once_conf_s {
    ngx_array_t                     locations;    /* of ..._location_t, while
                                                     all is configured */
    ngx_http_upstream_init_peer_pt *inits;        /* of all upstreams; ours,
                                                     while depth is 0 */
    ngx_uint_t                      depth;
};


/*
 * The approval's one use by a request: the main one, or a subrequest of it.
 * From the request's pool; the hold has the list.
 */

struct ngx_http_approval_once_s {
    ngx_http_request_t             *request;
    ngx_http_approval_once_t       *next;
    ngx_http_upstream_t            *upstream;     /* the one before, or NULL */
    ngx_uint_t                      first;        /* of upstream_states, which
                                                     counts for this approval */
    ngx_uint_t                      from;         /* ... for where it is now */
    ngx_uint_t                      status;       /* of the first answer */
};


/* Stands before what writes to the upstream. */

typedef struct {
    ngx_http_approval_hold_t       *hold;
    ngx_http_approval_once_t       *once;
    ngx_http_upstream_t            *upstream;
    ngx_output_chain_filter_pt      filter;       /* NULL: nginx's own */
    void                           *ctx;
} ngx_http_approval_once_guard_t;


static ngx_int_t ngx_http_approval_once_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_approval_once_run(ngx_http_request_t *r,
    ngx_http_handler_pt handler) __attribute__((noinline));
static ngx_int_t ngx_http_approval_once_next(ngx_http_request_t *r);
static ngx_int_t ngx_http_approval_once_moved(ngx_http_approval_hold_t *hold,
    ngx_http_request_t *r);
static void ngx_http_approval_once_swap(ngx_http_request_t *r);
static ngx_int_t ngx_http_approval_once_init_peer(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us);
static ngx_int_t ngx_http_approval_once_peered(ngx_http_request_t *r);
static ngx_inline ngx_uint_t ngx_http_approval_once_plain(
    ngx_http_request_t *r);
static ngx_http_approval_hold_t *ngx_http_approval_once_hold(
    ngx_http_request_t *r);
static ngx_http_approval_once_t *ngx_http_approval_once_find(
    ngx_http_approval_hold_t *hold, ngx_http_request_t *r);
static ngx_int_t ngx_http_approval_once_enter(ngx_http_approval_hold_t *hold,
    ngx_http_request_t *r);
static ngx_int_t ngx_http_approval_once_guard(ngx_http_approval_hold_t *hold,
    ngx_http_request_t *r);
static ngx_int_t ngx_http_approval_once_filter(void *data, ngx_chain_t *in);
static ngx_int_t ngx_http_approval_once_unsent(ngx_http_approval_hold_t *hold,
    ngx_http_approval_once_t *once, ngx_uint_t last);
static ngx_uint_t ngx_http_approval_once_answer(ngx_http_request_t *r,
    ngx_http_upstream_t *u);


/* Handlers are set until all locations are merged: they are kept until then. */

ngx_int_t
ngx_http_approval_once_location(ngx_conf_t *cf,
    ngx_http_approval_loc_conf_t *prev, ngx_http_approval_loc_conf_t *conf)
{
    ngx_http_approval_conf_t           *mcf;
    ngx_http_approval_once_location_t  *location;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_approval_module);

    if (mcf->once == NULL) {

        mcf->once = ngx_pcalloc(cf->pool,
                                sizeof(struct ngx_http_approval_once_conf_s));

        if (mcf->once == NULL
            || ngx_array_init(&mcf->once->locations, cf->temp_pool, 16,
                              sizeof(ngx_http_approval_once_location_t))
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    location = ngx_array_push(&mcf->once->locations);
    if (location == NULL) {
        return NGX_ERROR;
    }

    location->clcf = ngx_http_conf_get_module_loc_conf(cf,
                                                       ngx_http_core_module);
    location->lcf = conf;
    location->prev = prev;

    return NGX_OK;
}


ngx_int_t
ngx_http_approval_once_init(ngx_conf_t *cf)
{
    ngx_uint_t                          i;
    ngx_http_upstream_main_conf_t      *umcf;
    ngx_http_approval_conf_t           *mcf;
    ngx_http_approval_once_location_t  *location;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_approval_module);

    if (mcf->once == NULL) {
        return NGX_OK;
    }

    /* outer ones come first; an "if" without a handler has the one around it */

    location = mcf->once->locations.elts;

    for (i = 0; i < mcf->once->locations.nelts; i++) {

        if (location[i].clcf->handler) {
            location[i].lcf->content = location[i].clcf->handler;
            location[i].clcf->handler = ngx_http_approval_once_handler;

        } else if (location[i].clcf->noname) {
            location[i].lcf->content = location[i].prev->content;
        }
    }

    umcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_upstream_module);

    mcf->once->inits = ngx_palloc(cf->pool, (umcf->upstreams.nelts + 1)
                                      * sizeof(ngx_http_upstream_init_peer_pt));
    if (mcf->once->inits == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < umcf->upstreams.nelts; i++) {
        mcf->once->inits[i] = ngx_http_approval_once_init_peer;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_once_handler(ngx_http_request_t *r)
{
    ngx_http_approval_loc_conf_t  *lcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_approval_module);

    if (ngx_http_approval_once_plain(r)) {
        return lcf->content(r);
    }

    return ngx_http_approval_once_run(r, lcf->content);
}


static ngx_int_t
ngx_http_approval_once_run(ngx_http_request_t *r, ngx_http_handler_pt handler)
{
    ngx_int_t                       rc;
    ngx_http_upstream_t            *u;
    ngx_http_approval_hold_t       *hold;
    ngx_http_approval_main_conf_t  *mcf;

    hold = ngx_http_approval_once_hold(r);

    if (hold == NULL) {
        return handler(r);
    }

    if (ngx_http_approval_once_find(hold, r) == NULL
        && ngx_http_approval_target_own(r)
        && !ngx_http_approval_bind_same(r, hold))
    {
        return ngx_http_approval_once_moved(hold, r);
    }

    rc = ngx_http_approval_once_enter(hold, r);

    if (rc != NGX_OK) {
        return rc;
    }

    u = r->upstream;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_approval_module);

    if (mcf->once->depth++ == 0) {
        ngx_http_approval_once_swap(r);
    }

    rc = handler(r);

    if (--mcf->once->depth == 0) {
        ngx_http_approval_once_swap(r);
    }

    if (r->upstream && r->upstream != u
        && ngx_http_approval_once_guard(hold, r) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return rc;
}


/* What has no handler of its own: files, and what changes them. */

ngx_int_t
ngx_http_approval_content_handler(ngx_http_request_t *r)
{
    return ngx_http_approval_once_plain(r)
           ? NGX_DECLINED
           : ngx_http_approval_once_run(r, ngx_http_approval_once_next);
}


static ngx_int_t
ngx_http_approval_once_next(ngx_http_request_t *r)
{
    return NGX_DECLINED;
}


/* No rule was met since, which would have asked about it as it is now. */

static ngx_int_t
ngx_http_approval_once_moved(ngx_http_approval_hold_t *hold,
    ngx_http_request_t *r)
{
    ngx_log_error(NGX_LOG_ERR, ngx_http_approval_log(r), 0,
                  "action %*s is not executed: since its approval the request "
                  "has become one for \"%V\", or a bound value has changed; "
                  "turn \"approval\" on in the location where it ends",
                  (size_t) APPROVAL_ID_LEN, hold->action.id, &r->uri);

    ngx_http_approval_forward_fail(hold, "changed after its approval: not "
                                         "executed");

    return ngx_http_approval_refuse(r, hold, NGX_HTTP_APPROVAL_REFUSE_INTERNAL,
                                    NULL);
}


/*
 * While the content handler of an approved request runs, each upstream's choice
 * of a server leads here; no other request is handled meanwhile, and none pays
 * for it.  A handler that redirects at once runs another one inside itself.
 */

static void
ngx_http_approval_once_swap(ngx_http_request_t *r)
{
    ngx_uint_t                       i;
    ngx_http_upstream_srv_conf_t   **us;
    ngx_http_upstream_init_peer_pt   init;
    ngx_http_approval_main_conf_t   *mcf;
    ngx_http_upstream_main_conf_t   *umcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_approval_module);
    umcf = ngx_http_get_module_main_conf(r, ngx_http_upstream_module);

    us = umcf->upstreams.elts;

    for (i = 0; i < umcf->upstreams.nelts; i++) {
        init = us[i]->peer.init;
        us[i]->peer.init = mcf->once->inits[i];
        mcf->once->inits[i] = init;
    }
}


static ngx_int_t
ngx_http_approval_once_init_peer(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us)
{
    ngx_int_t                        rc;
    ngx_uint_t                       i;
    ngx_http_upstream_srv_conf_t   **upstreams;
    ngx_http_approval_main_conf_t   *mcf;
    ngx_http_upstream_main_conf_t   *umcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_approval_module);
    umcf = ngx_http_get_module_main_conf(r, ngx_http_upstream_module);

    upstreams = umcf->upstreams.elts;

    for (i = 0; upstreams[i] != us; i++) { /* void */ }

    rc = mcf->once->inits[i](r, us);

    return (rc == NGX_OK) ? ngx_http_approval_once_peered(r) : rc;
}


/* Nothing is connected yet: no server is blamed for what is not sent. */

static ngx_int_t
ngx_http_approval_once_peered(ngx_http_request_t *r)
{
    ngx_http_approval_hold_t  *hold;
    ngx_http_approval_once_t  *once;

    hold = ngx_http_approval_once_hold(r);
    once = hold ? ngx_http_approval_once_find(hold, r) : NULL;

    if (once == NULL) {
        return NGX_OK;
    }

    if (ngx_http_approval_once_unsent(hold, once, r->upstream_states->nelts)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_approval_once_guard(hold, r);
}


/* Most requests: nothing was asked for them, and nothing redirected them. */

static ngx_inline ngx_uint_t
ngx_http_approval_once_plain(ngx_http_request_t *r)
{
    ngx_http_approval_hold_t  *hold;

    if (r != r->main || r->internal) {
        return 0;
    }

    hold = ngx_http_get_module_ctx(r, ngx_http_approval_module);

    return hold == NULL || hold == &ngx_http_approval_passed;
}


/* Whose approval was used; our own messages are no part of the request. */

static ngx_http_approval_hold_t *
ngx_http_approval_once_hold(ngx_http_request_t *r)
{
    ngx_http_approval_hold_t  *hold;

    if (ngx_http_approval_notify_own(r)) {
        return NULL;
    }

    hold = ngx_http_approval_hold_of(r);

    while (hold && !ngx_http_approval_hold_executes(hold)) {
        hold = hold->next;
    }

    return hold;
}


static ngx_http_approval_once_t *
ngx_http_approval_once_find(ngx_http_approval_hold_t *hold,
    ngx_http_request_t *r)
{
    ngx_http_approval_once_t  *once;

    for (once = hold->once; once; once = once->next) {
        if (once->request == r) {
            break;
        }
    }

    return once;
}


/*
 * The request is about to be handled, for the first time since the approval or
 * after a redirect.  The only redirect that may send anything is the upstream's
 * own, X-Accel-Redirect: it has answered, and says where the answer is.
 */

static ngx_int_t
ngx_http_approval_once_enter(ngx_http_approval_hold_t *hold,
    ngx_http_request_t *r)
{
    ngx_uint_t                 tried;
    ngx_http_upstream_t       *u;
    ngx_http_approval_once_t  *once;

    u = r->upstream;
    tried = r->upstream_states ? r->upstream_states->nelts : 0;

    once = ngx_http_approval_once_find(hold, r);

    if (once == NULL) {
        once = ngx_pcalloc(r->pool, sizeof(ngx_http_approval_once_t));
        if (once == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        once->request = r;
        once->upstream = u;
        once->first = tried;
        once->next = hold->once;
        hold->once = once;
    }

    once->from = once->first;

    if (u && u != once->upstream) {

        if (once->status == 0) {
            once->status = ngx_http_approval_once_answer(r, u);
        }

        if (u->headers_in.x_accel_redirect
            && !(u->conf->ignore_headers & NGX_HTTP_UPSTREAM_IGN_XA_REDIRECT))
        {
            once->upstream = u;
            once->from = tried;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_once_guard(ngx_http_approval_hold_t *hold,
    ngx_http_request_t *r)
{
    ngx_http_upstream_t             *u;
    ngx_http_approval_once_guard_t  *guard;

    u = r->upstream;

    if (u->output.output_filter == ngx_http_approval_once_filter) {
        return NGX_OK;
    }

    guard = ngx_palloc(r->pool, sizeof(ngx_http_approval_once_guard_t));
    if (guard == NULL) {
        return NGX_ERROR;
    }

    guard->hold = hold;
    guard->once = ngx_http_approval_once_find(hold, r);
    guard->upstream = u;
    guard->filter = u->output.output_filter;
    guard->ctx = u->output.filter_ctx;

    u->output.output_filter = ngx_http_approval_once_filter;
    u->output.filter_ctx = guard;

    return NGX_OK;
}


/*
 * With the first byte the last try has begun: nginx then answers by itself as
 * it does where no server is left, or from its cache.
 */

static ngx_int_t
ngx_http_approval_once_filter(void *data, ngx_chain_t *in)
{
    ngx_http_approval_once_guard_t *guard = data;

    ngx_int_t             rc;
    ngx_http_request_t   *r;
    ngx_http_upstream_t  *u;

    u = guard->upstream;
    r = guard->once->request;

    if (ngx_http_approval_once_unsent(guard->hold, guard->once,
                                      r->upstream_states->nelts - 1)
        == NGX_OK)
    {
        rc = guard->filter ? guard->filter(guard->ctx, in)
                           : ngx_chain_writer(&u->writer, in);

        if (u->peer.connection->sent == 0) {
            return rc;
        }

    } else {
        rc = NGX_ERROR;
    }

    /* an error on a kept connection would not count as a try */

    u->peer.tries = 0;
    u->peer.cached = 0;

    return rc;
}


/* Was anything sent before the try with the number "last"? */

static ngx_int_t
ngx_http_approval_once_unsent(ngx_http_approval_hold_t *hold,
    ngx_http_approval_once_t *once, ngx_uint_t last)
{
    ngx_uint_t                  i;
    ngx_http_upstream_state_t  *state;

    state = once->request->upstream_states->elts;

    for (i = once->from; i < last; i++) {

        if (state[i].bytes_sent || state[i].bytes_received) {
            ngx_log_error(NGX_LOG_ERR, ngx_http_approval_log(once->request), 0,
                          "action %*s is not sent to an upstream again, \"%V\" "
                          "may have executed it: let \"error_page\" lead to a "
                          "file or to \"return\"",
                          (size_t) APPROVAL_ID_LEN, hold->action.id,
                          state[i].peer);

            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


/*
 * The status that the approved request was first answered with; 0: it was not,
 * NGX_DECLINED: there was no upstream.
 */

ngx_int_t
ngx_http_approval_once_status(ngx_http_approval_hold_t *hold)
{
    ngx_http_request_t        *r;
    ngx_http_approval_once_t  *once;

    r = hold->request;
    once = ngx_http_approval_once_find(hold, r);

    if (once == NULL) {
        return NGX_DECLINED;
    }

    if (once->status || r->upstream == once->upstream) {
        return once->status ? (ngx_int_t) once->status : NGX_DECLINED;
    }

    return ngx_http_approval_once_answer(r, r->upstream);
}


/* What is sent from the cache says nothing of what the server did. */

static ngx_uint_t
ngx_http_approval_once_answer(ngx_http_request_t *r, ngx_http_upstream_t *u)
{
#if (NGX_HTTP_CACHE)

    if (r->cached && u->state && u->state->bytes_sent) {
        return (u->state->header_time != (ngx_msec_t) -1) ? u->state->status
                                                          : 0;
    }

#else
    (void) r;
#endif

    return u->headers_in.status_n;
}
