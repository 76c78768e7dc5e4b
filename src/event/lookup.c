
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "event/lookup.h"

#include <pthread.h>


/*
 * Shared by the thread and the event loop; the last of them to release it frees
 * it.  The thread stores the result before it writes a byte to the pipe; the
 * loop reads the byte before it reads the result.
 */

struct ngx_http_approval_lookup_s {
    ngx_atomic_t                  users;
    int                           pipe;       /* the thread's end */
    char                         *host;
    struct addrinfo              *found;
    int                           rc;

    ngx_connection_t             *connection; /* the loop's end   */
    ngx_http_approval_lookup_pt   handler;
    void                         *data;
};


static ngx_int_t ngx_http_approval_lookup_pipe(
    ngx_http_approval_lookup_t *lookup, ngx_log_t *log);
static ngx_int_t ngx_http_approval_lookup_start(
    ngx_http_approval_lookup_t *lookup, ngx_log_t *log);
static void *ngx_http_approval_lookup_thread(void *data);
static void ngx_http_approval_lookup_handler(ngx_event_t *ev);
static void ngx_http_approval_lookup_release(
    ngx_http_approval_lookup_t *lookup);


ngx_http_approval_lookup_t *
ngx_http_approval_lookup(ngx_str_t *host, ngx_log_t *log,
    ngx_http_approval_lookup_pt handler, void *data)
{
    ngx_http_approval_lookup_t  *lookup;

    lookup = ngx_calloc(sizeof(ngx_http_approval_lookup_t) + host->len + 1,
                        log);
    if (lookup == NULL) {
        return NULL;
    }

    lookup->host = (char *) (lookup + 1);
    ngx_memcpy(lookup->host, host->data, host->len);

    lookup->handler = handler;
    lookup->data = data;

    if (ngx_http_approval_lookup_pipe(lookup, log) != NGX_OK) {
        ngx_free(lookup);
        return NULL;
    }

    lookup->users = 2;

    if (ngx_http_approval_lookup_start(lookup, log) != NGX_OK) {
        (void) close(lookup->pipe);
        ngx_close_connection(lookup->connection);
        ngx_free(lookup);
        return NULL;
    }

    return lookup;
}


void
ngx_http_approval_lookup_forget(ngx_http_approval_lookup_t *lookup)
{
    ngx_close_connection(lookup->connection);
    ngx_http_approval_lookup_release(lookup);
}


/* FD_CLOEXEC, because other modules may execute programs. */

static ngx_int_t
ngx_http_approval_lookup_pipe(ngx_http_approval_lookup_t *lookup,
    ngx_log_t *log)
{
    int                fd[2];
    ngx_connection_t  *c;

    if (pipe(fd) == -1) {
        ngx_log_error(NGX_LOG_ERR, log, ngx_errno, "pipe() failed");
        return NGX_ERROR;
    }

    if (fcntl(fd[0], F_SETFD, FD_CLOEXEC) == -1
        || fcntl(fd[1], F_SETFD, FD_CLOEXEC) == -1
        || ngx_nonblocking(fd[0]) == -1)
    {
        ngx_log_error(NGX_LOG_ERR, log, ngx_errno, "fcntl() failed");
        goto failed;
    }

    c = ngx_get_connection(fd[0], log);
    if (c == NULL) {
        goto failed;
    }

    c->data = lookup;
    c->read->handler = ngx_http_approval_lookup_handler;
    c->read->log = log;
    c->write->log = log;

    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        (void) close(fd[1]);
        ngx_close_connection(c);
        return NGX_ERROR;
    }

    lookup->connection = c;
    lookup->pipe = fd[1];

    return NGX_OK;

failed:

    (void) close(fd[0]);
    (void) close(fd[1]);

    return NGX_ERROR;
}


/*
 * The thread blocks all signals, because they must interrupt the event loop's
 * wait in the main thread.
 */

static ngx_int_t
ngx_http_approval_lookup_start(ngx_http_approval_lookup_t *lookup,
    ngx_log_t *log)
{
    int             err;
    sigset_t        all, before;
    pthread_t       tid;
    pthread_attr_t  attr;

    err = pthread_attr_init(&attr);

    if (err == 0) {
        (void) pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);

        sigfillset(&all);
        (void) pthread_sigmask(SIG_SETMASK, &all, &before);

        err = pthread_create(&tid, &attr, ngx_http_approval_lookup_thread,
                             lookup);

        (void) pthread_sigmask(SIG_SETMASK, &before, NULL);
        (void) pthread_attr_destroy(&attr);
    }

    if (err) {
        ngx_log_error(NGX_LOG_ERR, log, err, "pthread_create() failed");
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void *
ngx_http_approval_lookup_thread(void *data)
{
    ngx_http_approval_lookup_t *lookup = data;

    ssize_t          n;
    struct addrinfo  hints;

    ngx_memzero(&hints, sizeof(struct addrinfo));

    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
#ifdef AI_ADDRCONFIG
    hints.ai_flags = AI_ADDRCONFIG;
#endif

    lookup->rc = getaddrinfo(lookup->host, NULL, &hints, &lookup->found);

    if (lookup->rc != 0) {
        lookup->found = NULL;
    }

    /* fails only if the loop has closed its end */

    do {
        n = write(lookup->pipe, "", 1);
    } while (n == -1 && ngx_errno == NGX_EINTR);

    (void) close(lookup->pipe);

    ngx_http_approval_lookup_release(lookup);

    return NULL;
}


static void
ngx_http_approval_lookup_handler(ngx_event_t *ev)
{
    u_char                       byte;
    const char                  *error;
    ngx_connection_t            *c;
    ngx_http_approval_lookup_t  *lookup;

    c = ev->data;
    lookup = c->data;

    /* worker_shutdown_timeout calls this handler, too: nothing to read */

    if (read(c->fd, &byte, 1) != 1) {
        return;
    }

    ngx_close_connection(c);

    error = NULL;

    if (lookup->found == NULL) {
        error = lookup->rc ? gai_strerror(lookup->rc) : "no address";
    }

    lookup->handler(lookup->data, lookup->found, error);

    ngx_http_approval_lookup_release(lookup);
}


static void
ngx_http_approval_lookup_release(ngx_http_approval_lookup_t *lookup)
{
    if (ngx_atomic_fetch_add(&lookup->users, -1) != 1) {
        return;
    }

    if (lookup->found) {
        freeaddrinfo(lookup->found);
    }

    ngx_free(lookup);
}
