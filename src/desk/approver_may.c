
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Which groups is the person in, and what does that let them do?
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/approver.h"


ngx_int_t
ngx_http_approval_approver_member(ngx_http_approval_desk_t *d,
    ngx_array_t *groups, ngx_int_t *rc)
{
    *rc = NGX_HTTP_INTERNAL_SERVER_ERROR;

    if (ngx_http_approval_approver_claims(d) == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (ngx_http_approval_approver_idp(d, rc) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (ngx_http_approval_approver_in(d, groups)) {
        return NGX_OK;
    }

    *rc = groups
          ? ngx_http_approval_desk_refuse(d, NGX_HTTP_FORBIDDEN,
                "not-an-auditor", "Not an auditor",
                "You are not in any of the groups of approval_auditors.", NULL)
          : ngx_http_approval_approver_refuse(d);

    return NGX_DECLINED;
}


ngx_uint_t
ngx_http_approval_approver_in(ngx_http_approval_desk_t *d,
    ngx_array_t *groups)
{
    int              g;
    ngx_int_t       *named;
    ngx_uint_t       i;
    approval_str_t   who;

    who = ngx_http_approval_core_str(&d->who);
    named = groups ? groups->elts : NULL;

    for (g = 0; approval_people_group_name(d->mcf->people, g).len; g++) {

        for (i = 0; groups && i < groups->nelts && named[i] != g; i++) {
            /* void */
        }

        if ((groups == NULL || i < groups->nelts)
            && approval_people_in_group(d->mcf->people, g, who))
        {
            return 1;
        }
    }

    return 0;
}


/*
 * Only actions of low or medium risk that need no passkey may be decided from
 * a list.  All others are decided on their own page.
 */

ngx_uint_t
ngx_http_approval_approver_several(json_t *doc)
{
    ngx_str_t  risk;

    risk = ngx_http_approval_json_get(doc, "risk");

    return json_object_get(doc, "vote") == NULL
           && ((risk.len == 3 && ngx_strncmp(risk.data, "low", 3) == 0)
               || (risk.len == 6 && ngx_strncmp(risk.data, "medium", 6) == 0));
}


ngx_uint_t
ngx_http_approval_approver_self(ngx_http_approval_main_conf_t *mcf,
    json_t *doc, approval_str_t who)
{
    ngx_str_t            name;
    ngx_uint_t           i;
    static const char   *names[] = {
        "requester", "person", "on_behalf_of", "on_behalf_person"
    };

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        name = ngx_http_approval_json_get(doc, names[i]);

        if (name.len
            && approval_people_same(mcf->people, who,
                                    ngx_http_approval_core_str(&name)))
        {
            return 1;
        }
    }

    return 0;
}


uint32_t
ngx_http_approval_approver_lines(ngx_http_approval_main_conf_t *mcf,
    json_t *doc, approval_str_t who)
{
    int         group;
    size_t      i, j;
    json_t     *lines, *groups, *name;
    uint32_t    mask;

    mask = 0;
    lines = json_object_get(doc, "require");

    for (i = 0; i < json_array_size(lines) && i < APPROVAL_QUORUM_LINES; i++) {
        groups = json_object_get(json_array_get(lines, i), "groups");

        for (j = 0; j < json_array_size(groups); j++) {
            name = json_array_get(groups, j);

            if (!json_is_string(name)) {
                continue;
            }

            group = approval_people_group_find(mcf->people,
                                     approval_str(json_string_value(name)));

            if (group >= 0
                && approval_people_in_group(mcf->people, group, who))
            {
                mask |= (uint32_t) 1 << i;
            }
        }
    }

    return mask;
}


ngx_uint_t
ngx_http_approval_approver_glass(ngx_http_approval_main_conf_t *mcf,
    json_t *doc, approval_str_t who)
{
    int         group;
    ngx_str_t   name;

    name = ngx_http_approval_json_get(doc, "break_glass");

    if (name.len == 0) {
        return 0;
    }

    group = approval_people_group_find(mcf->people,
                                       ngx_http_approval_core_str(&name));

    return group >= 0 && approval_people_in_group(mcf->people, group, who);
}


ngx_uint_t
ngx_http_approval_approver_operator(ngx_http_approval_desk_t *d)
{
    return d->mcf->operators
           && ngx_http_approval_approver_in(d, d->mcf->operators);
}


ngx_uint_t
ngx_http_approval_approver_auditor(ngx_http_approval_desk_t *d)
{
    return d->mcf->auditors
           && d->how == NGX_HTTP_APPROVAL_DESK_IDP
           && ngx_http_approval_approver_in(d, d->mcf->auditors);
}


ngx_int_t
ngx_http_approval_approver_refuse(ngx_http_approval_desk_t *d)
{
    const char  *detail;

    detail = ngx_http_approval_approver_stranger(d);

    if (detail == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_approval_desk_refuse(d, NGX_HTTP_FORBIDDEN,
               "not-an-approver", "Not an approver", detail, NULL);
}


/*
 * Most of these people are approvers whose name at the identity provider
 * differs from the name in the group.  The text shows the name, so that they
 * see what to change.
 */

const char *
ngx_http_approval_approver_stranger(ngx_http_approval_desk_t *d)
{
    size_t       size;
    u_char      *text;
    const char  *why;

    why = ngx_http_approval_approver_in(d, NULL)
          ? "but you are not in any group that may decide on this action. "
            "Leave it to its approvers, or ask an operator to add you to one. "
            "If the request is yours, its state is under /status/."
          : "but you are not in any group of approvers. If you are one under "
            "another name, ask an operator to add an approval_alias; "
            "otherwise ask to be added to an approval_group.";

    size = sizeof("You are \"\", ") + d->who.len + ngx_strlen(why);

    text = ngx_pnalloc(d->request->pool, size);

    if (text) {
        (void) ngx_snprintf(text, size, "You are \"%V\", %s%Z", &d->who, why);
    }

    return (const char *) text;
}
