
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The warnings of nginx -t.  A new warning needs a row in lint.def and one call
 * of ngx_http_approval_lint() where the mistake can be seen: in the handler of
 * a directive, or in a check after the configuration was read and merged.
 */


#ifndef NGX_HTTP_APPROVAL_LINT_H
#define NGX_HTTP_APPROVAL_LINT_H


#include <ngx_config.h>
#include <ngx_core.h>

#include "model/action.h"


#define LINT(id, name)  NGX_HTTP_APPROVAL_LINT_##id,

typedef enum {
#include "conf/lint.def"
    NGX_HTTP_APPROVAL_LINTS
} ngx_http_approval_lint_e;

#undef LINT


/* The file and the line of the current directive, and of one kept earlier. */

#define ngx_http_approval_here(cf)                                            \
    (cf)->conf_file->file.name.data, (cf)->conf_file->line

#define ngx_http_approval_at(at)  (at).file, (at).line


/* A location, or a server for requests that none of its locations takes. */

typedef struct {
    ngx_http_core_srv_conf_t      *server;
    ngx_http_core_loc_conf_t      *location;
    ngx_http_approval_loc_conf_t  *conf;
    ngx_http_approval_loc_conf_t  *parent;      /* of what is around it       */
    void                         **loc_conf;    /* of all modules             */
} ngx_http_approval_place_t;


/* A text with variables that is not a fact. */

typedef struct {
    ngx_str_t                      text;
    ngx_http_approval_at_t         at;
} ngx_http_approval_text_t;


/* Exists in cf->temp_pool while the configuration is read. */

typedef struct ngx_http_approval_lint_s {
    uint64_t                       off;         /* bits of ..._lint_e         */
    ngx_array_t                    warnings;
    ngx_array_t                    places;      /* of ..._place_t             */
    ngx_array_t                    texts;       /* of ..._text_t              */
} ngx_http_approval_lint_t;


/* conf_lint.c */

ngx_int_t ngx_http_approval_lint_init(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf);

/*
 * "[lint: NAME] in FILE:LINE" is added to the text.  Warnings are written when
 * the whole configuration has been read, since "approval_lint" may come last.
 */
void ngx_http_approval_lint(ngx_conf_t *cf, ngx_http_approval_lint_e lint,
    u_char *file, ngx_uint_t line, const char *fmt, ...);
/* Has this line had the warning? */
ngx_uint_t ngx_http_approval_linted(ngx_conf_t *cf,
    ngx_http_approval_lint_e lint, u_char *file, ngx_uint_t line);
void ngx_http_approval_lint_report(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf);

void ngx_http_approval_conf_keep_at(ngx_conf_t *cf,
    ngx_http_approval_at_t *at);

/* conf_lint_pattern.c */

/* Check a pattern when it is read, and the rules when all were read. */
void ngx_http_approval_lint_pattern(ngx_conf_t *cf,
    ngx_http_approval_rule_t *rule, ngx_str_t *pattern);
void ngx_http_approval_lint_rules(ngx_conf_t *cf,
    ngx_http_approval_policy_t *policy);

/* conf_lint_places.c */

/* Called when each location is merged. */
ngx_int_t ngx_http_approval_lint_place(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf, ngx_http_approval_loc_conf_t *parent,
    ngx_http_approval_loc_conf_t *conf);
ngx_int_t ngx_http_approval_lint_places(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf);

/* conf_lint_pass.c */

ngx_int_t ngx_http_approval_lint_pass(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf);

/* Finds the location as nginx does, as far as the configuration shows it. */
ngx_http_approval_place_t *ngx_http_approval_lint_location(
    ngx_http_approval_conf_t *mcf, ngx_http_core_srv_conf_t *server,
    ngx_str_t *uri);

/* conf_lint_identity.c */

ngx_int_t ngx_http_approval_lint_identities(ngx_conf_t *cf,
    ngx_http_approval_conf_t *mcf);

/* The member that another module's directive sets, NULL without that module. */
void *ngx_http_approval_lint_value(ngx_conf_t *cf,
    ngx_http_approval_place_t *place, const char *module,
    const char *directive);

/* conf_variables.c */

/* Remembers a text that is not a fact, to check its variables later. */
ngx_int_t ngx_http_approval_conf_variables(ngx_conf_t *cf, ngx_str_t *text);
ngx_int_t ngx_http_approval_check_variables(ngx_conf_t *cf);


#endif /* NGX_HTTP_APPROVAL_LINT_H */
