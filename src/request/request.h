
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The only room that reads values from a request.  A fact is a value that the
 * client can choose and that the gateway uses, with all its readings: the
 * values that different readers behind the gateway would take it for.
 */


#ifndef NGX_HTTP_APPROVAL_REQUEST_H
#define NGX_HTTP_APPROVAL_REQUEST_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "core/json.h"
#include "core/reading.h"


/* Converts a string of nginx to one of the core, without a copy. */

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
    approval_name_e                  named;      /* by ..._of: last header    */
} ngx_http_approval_headers_t;

ngx_table_elt_t *ngx_http_approval_header_next(ngx_http_request_t *r,
    ngx_http_approval_headers_t *it, ngx_table_elt_t *h);

/* The same, but only headers whose name some reader takes for this one. */
ngx_table_elt_t *ngx_http_approval_header_of(ngx_http_request_t *r,
    ngx_http_approval_headers_t *it, ngx_table_elt_t *h, ngx_str_t *name);

/*
 * Does the header have this name, which is in lower case, with dashes?
 * SPELLING: only for readers that do not distinguish "-", "_" and other
 * characters that are neither letters nor digits.
 */
approval_name_e ngx_http_approval_header_named(ngx_table_elt_t *h,
    ngx_str_t *name);

/* How many headers some reader may find under the name, and the first one. */
ngx_uint_t ngx_http_approval_header_find(ngx_http_request_t *r,
    const char *name, ngx_str_t *value);

/* Appends the values of all these headers as a list; returns their number. */
ngx_uint_t ngx_http_approval_header_join(ngx_http_request_t *r,
    ngx_str_t *name, const char *separator, approval_buf_t *out);

/* The first of these headers, or NULL. */
ngx_str_t *ngx_http_approval_header_first(ngx_http_request_t *r,
    const char *name);

/* The q value of this media type in Accept, in thousandths; 0: not listed. */
ngx_int_t ngx_http_approval_accepts(ngx_http_request_t *r, const char *type);

/* Removes the headers for which drop() returns 1 from the request. */
ngx_int_t ngx_http_approval_headers_drop(ngx_http_request_t *r,
    ngx_uint_t (*drop)(ngx_str_t *name));
ngx_int_t ngx_http_approval_header_push(ngx_http_request_t *r,
    const char *name, const char *lowcase, ngx_str_t *value);

/* Is it "Approval-...", or HTTP_APPROVAL_... for readers that use CGI names? */
ngx_uint_t ngx_http_approval_header_ours(ngx_str_t *name);

/* Takes the next item of a comma-separated list, trimmed; 0: none is left. */
ngx_uint_t ngx_http_approval_header_item(ngx_str_t *list,
    approval_str_t *item);


/*
 * body.c: the body as rules and approvers read it.  Parts of it are malloc'ed;
 * the caller of ngx_http_approval_body_load() owns and frees it.
 */

/* Why a body cannot be read with the requested grammar. */

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
    unsigned                         none:1;     /* the request has no body   */
    unsigned                         encoded:1;  /* by Content-Encoding       */
} ngx_http_approval_body_t;


/*
 * Loads the body that nginx has read.  NULL: no memory, or its temporary file
 * cannot be read.
 */
ngx_http_approval_body_t *ngx_http_approval_body_load(ngx_http_request_t *r,
    size_t limit);
void ngx_http_approval_body_free(ngx_http_approval_body_t *body);

/* Copies bytes of one buffer from "offset"; fewer than size only on errors. */
ssize_t ngx_http_approval_body_buf(ngx_http_request_t *r, ngx_buf_t *b,
    off_t offset, u_char *dst, size_t size);

/* Parses strict JSON and ignores the type: sets json, or json_error. */
void ngx_http_approval_body_parse(ngx_http_approval_body_t *body);

/* The same, if the type allows it: READ, or the reason in *why. */
ngx_http_approval_unread_e ngx_http_approval_body_json(ngx_http_request_t *r,
    ngx_http_approval_body_t *body, const char **why);

/*
 * Does its Content-Type name a grammar that the module knows, in a form that
 * all readers accept?  Otherwise some of them find no form in the body.
 */
ngx_uint_t ngx_http_approval_body_typed(ngx_http_request_t *r);

/* Would no reader take the body for JSON, even if it ignores the type? */
ngx_uint_t ngx_http_approval_body_foreign(ngx_http_request_t *r,
    ngx_http_approval_body_t *body);

ngx_http_approval_unread_e ngx_http_approval_body_form(ngx_http_request_t *r,
    ngx_http_approval_body_t *body, const char **why);


/* fact.c: the values of a request that a text of the configuration uses. */

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
    NGX_HTTP_APPROVAL_FACT_OPAQUE,   /* map, set, a script: computed from its
                                        inputs                                */
    NGX_HTTP_APPROVAL_FACT_TEXT,     /* a text with variables                 */
    NGX_HTTP_APPROVAL_FACT_MEMBER,   /* json:/pointer                         */
    NGX_HTTP_APPROVAL_FACT_FIELD     /* form:name                             */
} ngx_http_approval_fact_e;


typedef struct ngx_http_approval_fact_s  ngx_http_approval_fact_t;

struct ngx_http_approval_fact_s {
    ngx_http_approval_fact_e         kind;
    ngx_str_t                        name;       /* as written                */
    ngx_str_t                        key;        /* of an argument, header ...*/
    ngx_int_t                        index;      /* variable, or NGX_ERROR    */
    ngx_str_t                        variable;   /* its name, if it has no
                                                    index; otherwise empty    */
    ngx_uint_t                       hash;
    ngx_http_complex_value_t        *value;      /* if it is a text, or NULL  */
    approval_json_pointer_t         *pointer;
    ngx_array_t                     *inputs;     /* of ..._fact_t *, or NULL  */
    u_char                          *conf_file;  /* of its first use          */
    ngx_uint_t                       conf_line;

    /* changes at run time: the readings of the latest look */
    approval_readings_t              readings;
    ngx_uint_t                       look;
    unsigned                         literal:1;  /* path: nginx's own reading */
};


/* A set of facts with unique names; it owns the memory that they malloc(). */

typedef struct {
    ngx_array_t                      list;       /* of ..._fact_t *           */
} ngx_http_approval_facts_t;

ngx_int_t ngx_http_approval_facts_init(ngx_http_approval_facts_t *facts,
    ngx_pool_t *pool);
void ngx_http_approval_facts_free(ngx_http_approval_facts_t *facts);

/*
 * Finds or adds the fact for a text: "json:/pointer", "form:name", or a complex
 * value, which need not contain a variable.  NULL: an error was logged.
 */
ngx_http_approval_fact_t *ngx_http_approval_fact(ngx_conf_t *cf,
    ngx_http_approval_facts_t *facts, ngx_str_t *text);

/* Adds the inputs of a fact: "match $x PATTERN... from TEXT..." */
ngx_int_t ngx_http_approval_fact_from(ngx_conf_t *cf,
    ngx_http_approval_facts_t *facts, ngx_http_approval_fact_t *fact,
    ngx_str_t *text);

/* Finds the next "$name" or "${name}" and moves the text behind it. */
ngx_uint_t ngx_http_approval_next_name(ngx_str_t *text, ngx_str_t *name);

/* Is the fact, or one of its inputs, the variable with this name? */
ngx_uint_t ngx_http_approval_fact_named(ngx_http_approval_fact_t *fact,
    const char *name);

/* Does the fact change with each request, like $request_id? */
ngx_uint_t ngx_http_approval_fact_fleeting(ngx_http_approval_fact_t *fact);


/* read.c: reads facts from a request. */

typedef struct {
    ngx_str_t                        name;
    ngx_str_t                        value;
} ngx_http_approval_capture_t;


/*
 * A look at a request.  Within a look each fact is read only once.  To read
 * facts later, or with another body, begin another look.
 */

typedef struct {
    ngx_http_request_t              *request;
    ngx_http_approval_body_t        *body;       /* NULL: not read            */
    json_t                          *root;       /* of the body's JSON, or an
                                                    element of it             */
    ngx_array_t                     *captures;   /* of ..._capture_t, or NULL */
    ngx_uint_t                       number;
    ngx_uint_t                       body_number; /* if it depends on root    */
} ngx_http_approval_look_t;

void ngx_http_approval_look(ngx_http_approval_look_t *look,
    ngx_http_request_t *r, ngx_http_approval_body_t *body,
    ngx_array_t *captures);

/* Reads an element of a batch, or again all of it, instead of the body. */
void ngx_http_approval_look_root(ngx_http_approval_look_t *look,
    json_t *root);

/* NULL: no memory. */
approval_readings_t *ngx_http_approval_read(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact);

/*
 * Sets the only reading of a fact, or of its text if all inputs have only one,
 * in the request's pool.  NGX_DECLINED: there are several readings.
 */
ngx_int_t ngx_http_approval_read_one(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, ngx_str_t *value);

/* nginx's own reading, even if there are others. */
ngx_int_t ngx_http_approval_read_text(ngx_http_approval_look_t *look,
    ngx_http_approval_fact_t *fact, ngx_str_t *value);

/* The fact, or its first input, with different readings; or NULL. */
ngx_http_approval_fact_t *ngx_http_approval_read_differs(
    ngx_http_approval_look_t *look, ngx_http_approval_fact_t *fact);

/* Is the path that the client sent still the one that may be forwarded? */
ngx_uint_t ngx_http_approval_target_own(ngx_http_request_t *r);


/*
 * plain.c: do all readers read the request like nginx, and can it contain none
 * of these headers and arguments?  0: it has to be examined more closely.
 */

typedef struct {
    u_char                           headers[256];  /* by first letter        */
    u_char                           args[256];
    uint64_t                         lengths;    /* of headers that rules
                                                    read, & 63                */
    size_t                           shortest;   /* query that can contain one
                                                    of args with a value      */
} ngx_http_approval_plain_t;

void ngx_http_approval_plain_init(ngx_http_approval_plain_t *plain);
void ngx_http_approval_plain_add(ngx_http_approval_plain_t *plain,
    ngx_http_approval_fact_t *fact);
ngx_uint_t ngx_http_approval_plain(ngx_http_request_t *r,
    const ngx_http_approval_plain_t *plain);


/*
 * log.c: the log for lines about a request, which then contain no query; and
 * the target as the client sent it, up to the first "?" or "#".
 */
ngx_log_t *ngx_http_approval_log(ngx_http_request_t *r);
ngx_str_t ngx_http_approval_target_bare(ngx_http_request_t *r);


/* trace.c: 1 if the request names the trace that it is part of. */
ngx_uint_t ngx_http_approval_trace(ngx_http_request_t *r,
    ngx_http_approval_body_t *body, ngx_str_t *trace);


#endif /* NGX_HTTP_APPROVAL_REQUEST_H */
