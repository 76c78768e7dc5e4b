
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The only room that takes values out of a request.  A fact is a value that
 * the client can choose and that the gateway uses, with all its readings: what
 * the different readers behind us would take it for.
 */


#ifndef NGX_HTTP_APPROVAL_REQUEST_H
#define NGX_HTTP_APPROVAL_REQUEST_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "core/json.h"
#include "core/reading.h"


/* nginx's and the core's strings. */

static ngx_inline approval_str_t
ngx_http_approval_core_str(const ngx_str_t *s)
{
    approval_str_t  str;

    str.len = s->len;
    str.data = s->data;

    return str;
}


/*
 * header.c: the headers that the client sent.
 *
 *   for (h = NULL; (h = ngx_http_approval_header_next(r, &it, h)); )
 */

typedef struct {
    ngx_list_part_t                 *part;
    ngx_uint_t                       i;
    approval_name_e                  named;      /* the last header, by ..._of */
} ngx_http_approval_headers_t;

ngx_table_elt_t *ngx_http_approval_header_next(ngx_http_request_t *r,
    ngx_http_approval_headers_t *it, ngx_table_elt_t *h);

/* The same, only of those whose name some reader takes for this one. */
ngx_table_elt_t *ngx_http_approval_header_of(ngx_http_request_t *r,
    ngx_http_approval_headers_t *it, ngx_table_elt_t *h, ngx_str_t *name);

/*
 * Of that name: in lower case, with dashes.  SPELLING: only to those who take
 * "-", "_" and all else that is neither letter nor digit for the same.
 */
approval_name_e ngx_http_approval_header_named(ngx_table_elt_t *h,
    ngx_str_t *name);

/* How many readers may find one under the name, and the first of them. */
ngx_uint_t ngx_http_approval_header_find(ngx_http_request_t *r,
    const char *name, ngx_str_t *value);

/* The first of them, or NULL. */
ngx_str_t *ngx_http_approval_header_first(ngx_http_request_t *r,
    const char *name);

/* How much of this media type is accepted, in thousandths; 0: not named. */
ngx_int_t ngx_http_approval_accepts(ngx_http_request_t *r, const char *type);

/* Headers that are to go are left out of what is forwarded. */
ngx_int_t ngx_http_approval_headers_drop(ngx_http_request_t *r,
    ngx_uint_t (*drop)(ngx_str_t *name));
ngx_int_t ngx_http_approval_header_push(ngx_http_request_t *r,
    const char *name, const char *lowcase, ngx_str_t *value);

/* "Approval-...", also as a reader sees it who reads HTTP_APPROVAL_... */
ngx_uint_t ngx_http_approval_header_ours(ngx_str_t *name);

/* Its value without the white space that some readers drop around it. */
approval_str_t ngx_http_approval_header_trimmed(ngx_str_t *value);

/* Takes the first of what commas separate, trimmed; 0: nothing is left. */
ngx_uint_t ngx_http_approval_header_item(ngx_str_t *list,
    approval_str_t *item);


/*
 * body.c: the body as rules and approvers read it; malloc'ed parts, owned by
 * whoever loaded it.
 */

/* Why a body cannot be read as the grammar that is asked for. */

typedef enum {
    NGX_HTTP_APPROVAL_BODY_READ = 0,
    NGX_HTTP_APPROVAL_BODY_LARGE,
    NGX_HTTP_APPROVAL_BODY_ENCODED,
    NGX_HTTP_APPROVAL_BODY_INVALID
} ngx_http_approval_unread_e;


typedef struct {
    off_t                            size;
    u_char                          *data;       /* NULL: larger than the
                                                    limit, or empty           */
    json_t                          *json;
    const char                      *json_error;
    unsigned                         allocated:1;
    unsigned                         parsed:1;
    unsigned                         none:1;     /* not even an empty one     */
    unsigned                         encoded:1;  /* by Content-Encoding       */
} ngx_http_approval_body_t;


/* The body that nginx has read; NULL: no memory, or it cannot be read back. */
ngx_http_approval_body_t *ngx_http_approval_body_load(ngx_http_request_t *r,
    size_t limit);
void ngx_http_approval_body_free(ngx_http_approval_body_t *body);

/* Bytes of one buffer, from "offset" on; fewer than size only on errors. */
ssize_t ngx_http_approval_body_buf(ngx_http_request_t *r, ngx_buf_t *b,
    off_t offset, u_char *dst, size_t size);

/* Strict JSON, whatever its type says: body->json, or json_error. */
void ngx_http_approval_body_parse(ngx_http_approval_body_t *body);

/* As the type says, too: READ, or why not in *why. */
ngx_http_approval_unread_e ngx_http_approval_body_json(ngx_http_request_t *r,
    ngx_http_approval_body_t *body, const char **why);
/* Does its type name a grammar that we know? */
ngx_uint_t ngx_http_approval_body_typed(ngx_http_request_t *r);

/* Is it JSON to nobody, whatever they are told? */
ngx_uint_t ngx_http_approval_body_foreign(ngx_http_request_t *r,
    ngx_http_approval_body_t *body);

ngx_http_approval_unread_e ngx_http_approval_body_form(ngx_http_request_t *r,
    ngx_http_approval_body_t *body, const char **why);


/* fact.c: what a text of the configuration takes from a request. */

typedef enum {
    NGX_HTTP_APPROVAL_FACT_ONE = 0,  /* nginx's value, which all read alike   */
    NGX_HTTP_APPROVAL_FACT_METHOD,
    NGX_HTTP_APPROVAL_FACT_PATH,
    NGX_HTTP_APPROVAL_FACT_TARGET,
    NGX_HTTP_APPROVAL_FACT_QUERY,
    NGX_HTTP_APPROVAL_FACT_HOST,
    NGX_HTTP_APPROVAL_FACT_ARGUMENT,
    NGX_HTTP_APPROVAL_FACT_HEADER,
    NGX_HTTP_APPROVAL_FACT_COOKIE,
    NGX_HTTP_APPROVAL_FACT_CAPTURE,
    NGX_HTTP_APPROVAL_FACT_OPAQUE,   /* map, set, a script: what it makes of
                                        its inputs                            */
    NGX_HTTP_APPROVAL_FACT_TEXT,     /* several in one text                   */
    NGX_HTTP_APPROVAL_FACT_MEMBER,   /* json:/pointer                         */
    NGX_HTTP_APPROVAL_FACT_FIELD     /* form:name                             */
} ngx_http_approval_fact_e;


typedef struct ngx_http_approval_fact_s  ngx_http_approval_fact_t;

struct ngx_http_approval_fact_s {
    ngx_http_approval_fact_e         kind;
    ngx_str_t                        name;       /* as it is written          */
    ngx_str_t                        key;        /* of an argument, header ...*/
    ngx_int_t                        index;      /* variable, or NGX_ERROR    */
    ngx_str_t                        variable;   /* one without an index: its
                                                    name; or empty            */
    ngx_uint_t                       hash;
    ngx_http_complex_value_t        *value;      /* of a text, or NULL        */
    approval_json_pointer_t         *pointer;
    ngx_array_t                     *inputs;     /* of ..._fact_t *, or NULL  */
    u_char                          *conf_file;  /* of its first use          */
    ngx_uint_t                       conf_line;

    /* scratch of the worker: the readings of one look */
    approval_readings_t              readings;
    ngx_uint_t                       look;
    unsigned                         literal:1;  /* path: nginx's own reading */
};


/* A set of facts, each name once; it owns what they have malloc'ed. */

typedef struct {
    ngx_array_t                      list;       /* of ..._fact_t *           */
} ngx_http_approval_facts_t;

ngx_int_t ngx_http_approval_facts_init(ngx_http_approval_facts_t *facts,
    ngx_pool_t *pool);
void ngx_http_approval_facts_free(ngx_http_approval_facts_t *facts);

/*
 * The fact of a text: "json:/pointer", "form:name", or a complex value; NULL:
 * an error was logged.  A text without a variable is a fact, too.
 */
ngx_http_approval_fact_t *ngx_http_approval_fact(ngx_conf_t *cf,
    ngx_http_approval_facts_t *facts, ngx_str_t *text);

/* The same for a fact's inputs: "match $x PATTERN... from TEXT..." */
ngx_int_t ngx_http_approval_fact_from(ngx_conf_t *cf,
    ngx_http_approval_facts_t *facts, ngx_http_approval_fact_t *fact,
    ngx_str_t *text);

/* The next "$name" or "${name}" of a text, which goes on behind it. */
ngx_uint_t ngx_http_approval_next_name(ngx_str_t *text, ngx_str_t *name);

/* Is it, or is an input of it, the variable of that name? */
ngx_uint_t ngx_http_approval_fact_named(ngx_http_approval_fact_t *fact,
    const char *name);

/* Does it change with each request, as $request_id does? */
ngx_uint_t ngx_http_approval_fact_fleeting(ngx_http_approval_fact_t *fact);


/* read.c: taking facts from a request. */

typedef struct {
    ngx_str_t                        name;
    ngx_str_t                        value;
} ngx_http_approval_capture_t;


/*
 * A look at a request: the facts taken during it are taken once.  Whoever
 * looks again later, or with another body, begins another look.
 */

typedef struct {
    ngx_http_request_t              *request;
    ngx_http_approval_body_t        *body;       /* NULL: not at hand         */
    json_t                          *root;       /* of the body's JSON, or an
                                                    element of it             */
    ngx_array_t                     *captures;   /* of ..._capture_t, or NULL */
    ngx_uint_t                       number;
    ngx_uint_t                       body_number; /* of what depends on root  */
} ngx_http_approval_look_t;

void ngx_http_approval_look(ngx_http_approval_look_t *look,
    ngx_http_request_t *r, ngx_http_approval_body_t *body,
    ngx_array_t *captures);

/* An element of a batch, or the whole of it, in place of the body. */
void ngx_http_approval_look_root(ngx_http_approval_look_t *look,
    json_t *root);

/* NULL: no memory. */
approval_readings_t *ngx_http_approval_read(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact);

/*
 * The one reading of a fact, or of all inputs of its text, in the request's
 * pool.  NGX_DECLINED: there are several.
 */
ngx_int_t ngx_http_approval_read_one(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, ngx_str_t *value);

/* nginx's own reading, whatever the others are. */
ngx_int_t ngx_http_approval_read_text(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, ngx_str_t *value);

/* The fact, or the first input of it, whose readings differ; or NULL. */
ngx_http_approval_fact_t *ngx_http_approval_read_differs(
    ngx_http_approval_look_t *look, ngx_http_approval_fact_t *fact);

/* Does the path that the client sent still say where the request goes? */
ngx_uint_t ngx_http_approval_target_own(ngx_http_request_t *r);


/*
 * plain.c: is there nothing in the request that could be read otherwise than
 * nginx does, or that one of these headers and arguments could be?  "No" means
 * "look closer".
 */

typedef struct {
    uint32_t                         letters;    /* that headers of interest
                                                    begin with, & 31          */
    uint64_t                         lengths;    /* of those that rules read,
                                                    & 63                      */
    uint32_t                         args;       /* that arguments begin with */
} ngx_http_approval_plain_t;

void ngx_http_approval_plain_init(ngx_http_approval_plain_t *plain);
void ngx_http_approval_plain_add(ngx_http_approval_plain_t *plain,
    ngx_http_approval_fact_t *fact);
ngx_uint_t ngx_http_approval_plain(ngx_http_request_t *r,
    const ngx_http_approval_plain_t *plain);


/*
 * log.c: where to log lines about a request, so that they carry no query; and
 * the target as the client sent it, without what follows "?" or "#".
 */
ngx_log_t *ngx_http_approval_log(ngx_http_request_t *r);
ngx_str_t ngx_http_approval_target_bare(ngx_http_request_t *r);


/* trace.c: 1 where the request says which trace it is part of. */
ngx_uint_t ngx_http_approval_trace(ngx_http_request_t *r,
    ngx_http_approval_body_t *body, ngx_str_t *trace);


#endif /* NGX_HTTP_APPROVAL_REQUEST_H */
