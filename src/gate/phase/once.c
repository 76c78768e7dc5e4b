
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * One approval, one execution.  An approved request is sent to an upstream only
 * once, even if proxy_next_upstream, a closed keepalive connection, error_page
 * or a background update of the cache would send it again.
 *
 * The content handlers of all locations are wrapped.  While the one of an
 * approved request runs, each upstream's init_peer() is wrapped, too.  The
 * wrapped content handler checks the request after redirects, and guards
 * upstreams without a list of servers.  The wrapped init_peer() runs before the
 * first byte, which may be sent inside the content handler.
 *
 * A request counts as sent when nginx has written a byte of it to a connection.
 * If no server got a byte, nginx tries the next one as usual.
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
    ngx_array_t                     locations;    /* of ..._location_t, only
                                                     at configuration */
    ngx_http_upstream_init_peer_pt *inits;        /* by upstream: ours while
                                                     depth is 0, else the
                                                     original ones */
    ngx_uint_t                      depth;
};


/*
 * The one attempt of a main request or a subrequest.  Allocated from the
 * request's pool; listed in hold->once.
 */

struct ngx_http_approval_once_s {
    ngx_http_request_t             *request;
    ngx_http_approval_once_t       *next;
    ngx_http_upstream_t            *upstream;     /* before it, or NULL */
    ngx_uint_t                      first;        /* index of the first of
                                                     upstream_states to count */
    ngx_uint_t                      from;         /* the same, but reset by
                                                     X-Accel-Redirect */
    ngx_uint_t                      status;       /* of the first answer */
};


/* The filter in front of the upstream's output filter. */

typedef struct {
    ngx_http_approval_hold_t       *hold;
    ngx_http_approval_once_t       *once;
    ngx_http_upstream_t            *upstream;
    ngx_output_chain_filter_pt      filter;       /* NULL: nginx's own */
    void                           *ctx;
} ngx_http_approval_once_guard_t;


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


/*
 * Collects the locations: handlers may be set until all locations are merged,
 * so they are wrapped afterwards.
 */

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

    /* outer locations come first; an "if" may inherit the outer handler */

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


ngx_int_t
ngx_http_approval_once_handler(ngx_http_request_t *r)
{
    ngx_http_approval_loc_conf_t  *lcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_approval_module);

    /* of two "if" that hold, the first may have the handler, not the second */

    if (lcf->content == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

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
    ngx_http_approval_hold_t       *hold, *earlier;
    ngx_http_approval_main_conf_t  *mcf;

    hold = ngx_http_approval_once_hold(r);

    if (hold == NULL) {
        return handler(r);
    }

    if (ngx_http_approval_target_own(r)
        && !(ngx_http_approval_once_find(hold, r)
             ? ngx_http_approval_bind_same_body(r, hold)
             : ngx_http_approval_bind_same(r, hold)))
    {
        return ngx_http_approval_once_moved(hold, r);
    }

    rc = ngx_http_approval_once_enter(hold, r);

    /* an earlier approval that still covers the request is used, too */

    for (earlier = hold->next; rc == NGX_OK && earlier;
         earlier = earlier->next)
    {
        if (earlier->once == NULL
            && ngx_http_approval_hold_executes(earlier)
            && (!ngx_http_approval_target_own(r)
                || ngx_http_approval_bind_same(r, earlier)))
        {
            rc = ngx_http_approval_once_enter(earlier, r);
        }
    }

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


/* For locations without a content handler, such as those of static files. */

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


/* The request has changed, and no rule has asked about the changed one. */

static ngx_int_t
ngx_http_approval_once_moved(ngx_http_approval_hold_t *hold,
    ngx_http_request_t *r)
{
    ngx_log_error(NGX_LOG_ERR, ngx_http_approval_log(r), 0,
                  "action %*s is not executed, because its request was "
                  "redirected to \"%V\" after the approval, or a bound value "
                  "has changed: set \"approval\" in the location where the "
                  "request ends",
                  (size_t) APPROVAL_ID_LEN, hold->action.id, &r->uri);

    ngx_http_approval_forward_fail(hold, "not executed: the request changed "
                                         "after its approval");

    return ngx_http_approval_refuse(r, hold, NGX_HTTP_APPROVAL_REFUSE_INTERNAL,
                                    NULL);
}


/*
 * Swaps in our init_peer() for the time in which an approved request's content
 * handler runs.  No other request is handled meanwhile, so none is slowed down.
 * Content handlers may nest, by an internal redirect inside one.
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


/* Refuses before a connection is made, so that no server counts as failed. */

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


/* True for most requests: main, not redirected and without a hold. */

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


/* The hold that is executing; NULL for the module's own subrequests. */

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
 * Runs before the content handler, the first time after the approval or after a
 * redirect.  Only after X-Accel-Redirect may the request be sent again, since
 * the upstream has executed it and only says where its answer is.
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
 * Once a byte is sent, no tries are left: after an error nginx answers as if
 * there were no other server, or from its cache.
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

    /* nginx would grant another try after an error if "cached" was set */

    u->peer.tries = 0;
    u->peer.cached = 0;

    return rc;
}


/* NGX_DECLINED if anything was sent in a try before number "last". */

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
                          "action %*s is not sent to an upstream again, "
                          "because \"%V\" may have executed it: let "
                          "\"error_page\" redirect to a file or to \"return\"",
                          (size_t) APPROVAL_ID_LEN, hold->action.id,
                          state[i].peer);

            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


/*
 * The status of the first answer to the approved request; 0: no answer, or it
 * has not reached a content handler; NGX_DECLINED: no upstream was used.
 */

ngx_int_t
ngx_http_approval_once_status(ngx_http_approval_hold_t *hold)
{
    ngx_http_request_t        *r;
    ngx_http_approval_once_t  *once;

    r = hold->request;
    once = ngx_http_approval_once_find(hold, r);

    if (once == NULL) {
        return 0;
    }

    if (once->status || r->upstream == once->upstream) {
        return once->status ? (ngx_int_t) once->status : NGX_DECLINED;
    }

    return ngx_http_approval_once_answer(r, r->upstream);
}


/* Ignores an answer from the cache, which is not the server's. */

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
