
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "model/class.h"
#include "model/hash.h"


static ngx_int_t ngx_http_approval_class_name(
    ngx_http_approval_main_conf_t *mcf, json_t *doc, u_char *buf,
    ngx_str_t *name);


ngx_int_t
ngx_http_approval_class(ngx_pool_t *pool, ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_rule_conf_t *rule)
{
    u_char          *buf;
    json_t          *doc;
    ngx_int_t        rc;
    approval_buf_t   sealed;
    approval_str_t   glass;

    buf = ngx_pnalloc(pool, NGX_HTTP_APPROVAL_HASHES);
    if (buf == NULL) {
        return NGX_ERROR;
    }

    approval_buf_init(&sealed);

    rc = NGX_ERROR;

    doc = json_pack("{s:i, s:s, s:o, s:o, s:o}", "v", 1, "kind", "class",
                    "policy", ngx_http_approval_json_str(&rule->policy->name),
                    "rule", ngx_http_approval_json_str(&rule->name),
                    "require", ngx_http_approval_class_require(mcf, rule));

    if (doc && rule->break_glass >= 0) {
        glass = approval_people_group_name(mcf->people, rule->break_glass);

        json_object_set_new(doc, "break_glass",
                            json_stringn((char *) glass.data, glass.len));
    }

    if (doc == NULL
        || ngx_http_approval_class_name(mcf, doc, buf, &rule->class) != NGX_OK
        || json_object_set_new(doc, "id",
                               ngx_http_approval_json_str(&rule->class))
           != 0
        || ngx_http_approval_action_seal(mcf, doc, &sealed) != NGX_OK)
    {
        goto done;
    }

    rule->class_doc.len = sealed.len;
    rule->class_doc.data = ngx_pnalloc(pool, sealed.len);

    if (rule->class_doc.data) {
        ngx_memcpy(rule->class_doc.data, sealed.data, sealed.len);
        rc = NGX_OK;
    }

done:

    approval_buf_free(&sealed);
    json_decref(doc);

    return rc;
}


static ngx_int_t
ngx_http_approval_class_name(ngx_http_approval_main_conf_t *mcf, json_t *doc,
    u_char *buf, ngx_str_t *name)
{
    ngx_int_t        rc;
    ngx_str_t        part;
    approval_buf_t   text;

    approval_buf_init(&text);

    rc = NGX_ERROR;

    if (approval_json_canonical(doc, &text) == APPROVAL_OK && !text.failed) {
        part.data = text.data;
        part.len = text.len;

        rc = ngx_http_approval_hashes(mcf, "class", &part, 1, buf, name);

        name->len = NGX_HTTP_APPROVAL_HASH_LEN;
    }

    approval_buf_free(&text);

    return rc;
}


json_t *
ngx_http_approval_class_require(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_rule_t *rule)
{
    json_t                       *lines, *names, *line;
    ngx_int_t                    *groups;
    ngx_uint_t                    i, j;
    approval_str_t                name;
    ngx_http_approval_require_t  *requires;

    lines = json_array();
    requires = rule->requires->elts;

    for (i = 0; i < rule->requires->nelts; i++) {

        names = json_array();
        groups = requires[i].groups.elts;

        for (j = 0; j < requires[i].groups.nelts; j++) {
            name = approval_people_group_name(mcf->people, groups[j]);
            json_array_append_new(names, json_stringn((char *) name.data,
                                                      name.len));
        }

        line = json_pack("{s:i, s:o}", "count", (int) requires[i].count,
                         "groups", names);

        if (line == NULL
            || json_array_size(names) != requires[i].groups.nelts
            || json_array_append_new(lines, line) != 0)
        {
            json_decref(lines);
            return NULL;
        }
    }

    return lines;
}
