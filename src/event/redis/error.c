
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * What an error reply of Redis means.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "event/redis/redis.h"


/* by the first word; the last rows are for all others, and for no errors */

const ngx_http_approval_redis_error_t
    ngx_http_approval_redis_errors[NGX_HTTP_APPROVAL_REDIS_ERRORS] =
{

    { "OOM", 0, "OOM: raise \"maxmemory\" in Redis, or store less in it" },

    { "READONLY", 1, "READONLY: approval_redis must be the primary, not a "
      "replica" },

    { "MISCONF", 0, "MISCONF: Redis cannot save its data: read its log, the "
      "disk may be full" },

    { "NOREPLICAS", 0, "NOREPLICAS: fewer replicas are connected than "
      "\"min-replicas-to-write\" requires" },

    { "BUSY", 0, "BUSY: another client's script runs too long: stop it with "
      "SCRIPT KILL" },

    { "LOADING", 1, "LOADING: Redis is loading its data: wait until it has "
      "finished" },

    { "MASTERDOWN", 1, "MASTERDOWN: the replica has lost its primary, and "
      "approval_redis must be the primary" },

    { "NOPERM", 0, "NOPERM: give its ACL user the commands, keys and channels "
      "that docs/operations.md lists" },

    { "NOAUTH", 1, "NOAUTH: add a password to approval_redis" },

    { "WRONGPASS", 0, "WRONGPASS: the user or the password is wrong" },

    { "DENIED", 0, "DENIED: it is in protected mode: set a password in Redis "
      "and in approval_redis" },

    { "WRONGTYPE", 0, "WRONGTYPE: another program uses keys under this prefix: "
      "use another \"prefix=\"" },

    { "MOVED", 0, "MOVED: Redis Cluster is not supported yet" },

    { "CROSSSLOT", 0, "CROSSSLOT: Redis Cluster is not supported yet" },

    { "NOSCRIPT", 0, "NOSCRIPT: another client deletes the scripts again and "
      "again with SCRIPT FLUSH" },

    { "ERR max number of clients", 0, "it takes no more clients, raise "
      "\"maxclients\" in Redis" },

    { NULL, 0, "it refused a command" },

    { NULL, 0, "an unexpected reply" }
};


/*
 * For errors inside a script, Redis before 7.0 puts the word after "ERR Error
 * running script", and later ones have a sentence instead of NOPERM: the first
 * one below is that of 7.0, the second that of 7.2 and later.
 */

const ngx_http_approval_redis_error_t *
ngx_http_approval_redis_error(redisReply *reply)
{
    ngx_uint_t                              err;
    const char                             *text;
    const ngx_http_approval_redis_error_t  *error;

    error = ngx_http_approval_redis_errors;

    if (reply->type != REDIS_REPLY_ERROR) {
        return &error[NGX_HTTP_APPROVAL_REDIS_ERRORS - 1];
    }

    text = reply->str;
    err = (ngx_strncmp(text, "ERR ", 4) == 0);

    if (err
        && (ngx_strstr(text, "The user executing the script can't")
            || ngx_strstr(text, "ACL failure in script")))
    {
        text = "NOPERM";
    }

    while (error->word
           && ngx_strncmp(text, error->word, ngx_strlen(error->word)) != 0
           && !(err && ngx_strstr(text, error->word)))
    {
        error++;
    }

    return error;
}
