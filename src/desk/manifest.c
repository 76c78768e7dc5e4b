
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The manifest lists a rule's methods, paths and tools.  Of other parts of a
 * request it only says that the rule looks at them, because requests would
 * stay just below a limit that is known.  It does not name approvers.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "desk/manifest.h"

#include "core/version.h"
#include "model/problem.h"


typedef struct {
    const char  *title;
    const char  *text;
} ngx_http_approval_chapter_t;


typedef struct {
    json_t      *methods;
    json_t      *paths;
    json_t      *tools;
    json_t      *others;
    ngx_uint_t   mcp;
} ngx_http_approval_manifest_t;


static json_t *ngx_http_approval_manifest_json(ngx_http_approval_desk_t *d);
static json_t *ngx_http_approval_manifest_rules(
    ngx_http_approval_main_conf_t *mcf);
static json_t *ngx_http_approval_manifest_rule(ngx_http_approval_rule_t *rule);
static int ngx_http_approval_manifest_visit(void *data, approval_str_t name,
    approval_str_t pattern);
static ngx_int_t ngx_http_approval_manifest_limits(
    ngx_http_approval_rule_t *rule, json_t *object);
static ngx_int_t ngx_http_approval_manifest_page(ngx_http_approval_desk_t *d,
    json_t *manifest);
static void ngx_http_approval_manifest_section(approval_buf_t *out,
    json_t *rule);
static void ngx_http_approval_manifest_list(approval_buf_t *out,
    const char *name, json_t *values);
static void ngx_http_approval_manifest_code(approval_buf_t *out,
    const char *text);
static const char *ngx_http_approval_manifest_text(json_t *object,
    const char *name);


static const ngx_http_approval_chapter_t  ngx_http_approval_chapters[] = {

    { "Waiting",
      "A request that a rule holds is answered when people have decided: by "
      "the upstream if they approve, with 403 if they deny. Let your client "
      "wait as long as the rule's \"hold\" says, or ask for an early "
      "answer." },

    { "Early answers",
      "Send \"Prefer: respond-async\" to get an answer at once, or \"Prefer: "
      "wait=N\" to wait at most N seconds. The answer is then 202: nothing "
      "was done yet, and 202 does not mean success. Its \"Location\" is the "
      "status URL, its \"Approval-Id\" the action. Without \"Prefer\", the "
      "answer is 503 \"pending\" if the hold ends before the decision: send "
      "the same request again to continue to wait." },

    { "Getting the status",
      "GET the status URL with your own credentials until \"state\" is no "
      "longer \"pending\". With \"?wait=20\" the gateway delays its answer "
      "until then, for at most 20 seconds; otherwise wait \"retry_after\" "
      "seconds between two requests. DELETE it if you do not need the request "
      "any more." },

    { "Using an approval",
      "When the state is \"approved\", send exactly the same request again, "
      "with the header \"Approval-Id\". It passes once, within the rule's "
      "\"execute_within\" seconds. If anything differs, it is a new action." },

    { "Trying again",
      "If you send an identical request while one is pending, it joins that "
      "action, and approvers are not asked twice. After a timeout, a broken "
      "connection or a 503, send the same request again. The state \"failed\" "
      "means that the request may have been forwarded and its outcome is "
      "unknown: look at the upstream first." },

    { "Being denied",
      "\"comment\" has the approver's reason, if there is one. Do not send "
      "the request again unchanged: change it, or talk to the approvers." },

    { "Saying why",
      "Approvers see the reason that you send, by default in the header "
      "\"X-Approval-Reason\", as your claim. If a rule requires a reason, "
      "requests without one are refused." },

    { "MCP",
      "A refused \"tools/call\" is answered as a tool result with \"isError\": "
      "true, whose text says who refused and why; \"_meta\".\"approval\" has "
      "the id, the state and the type. A batch is refused as a whole if one "
      "of its elements needs an approval or is denied: send its elements one "
      "by one." },

    { NULL, NULL }
};


ngx_int_t
ngx_http_approval_manifest(ngx_http_approval_desk_t *d)
{
    json_t     *manifest;
    ngx_int_t   rc, markdown;

    d->html = 0;

    manifest = ngx_http_approval_manifest_json(d);

    if (manifest == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    markdown = ngx_http_approval_accepts(d->request, "text/markdown");

    if (markdown == 0
        || markdown < ngx_http_approval_accepts(d->request,
                                                   "application/json"))
    {
        return ngx_http_approval_send_json(d->request, NGX_HTTP_OK,
                                           "application/json", manifest);
    }

    rc = ngx_http_approval_manifest_page(d, manifest);

    json_decref(manifest);

    return rc;
}


static json_t *
ngx_http_approval_manifest_json(ngx_http_approval_desk_t *d)
{
    json_t                             *manifest, *how, *problems;
    ngx_uint_t                          i;
    const ngx_http_approval_chapter_t  *chapter;
    const ngx_http_approval_refusal_t  *refusal;

    how = json_array();
    problems = json_array();

    for (chapter = ngx_http_approval_chapters; chapter->title; chapter++) {
        (void) json_array_append_new(how, json_pack("{s:s, s:s}",
                                                    "title", chapter->title,
                                                    "text", chapter->text));
    }

    for (i = 0; i < NGX_HTTP_APPROVAL_REFUSALS; i++) {
        refusal = &ngx_http_approval_refusals[i];

        (void) json_array_append_new(problems,
                   json_pack("{s:o, s:i, s:b, s:o}", "type",
                             json_sprintf("urn:approval:%s", refusal->type),
                             "status", (int) refusal->http,
                             "final",
                             refusal->retry == NGX_HTTP_APPROVAL_FINAL,
                             "meaning", json_sprintf("%s. %s", refusal->title,
                                                     refusal->next)));
    }

    manifest = json_pack("{s:s, s:o, s:o, s:o}",
                         "version", APPROVAL_VERSION,
                         "rules", ngx_http_approval_manifest_rules(d->mcf),
                         "how", how, "problems", problems);

    return manifest;
}


/*
 * The rules of policies that a location names, except shadow rules, which do
 * not hold requests.
 */

static json_t *
ngx_http_approval_manifest_rules(ngx_http_approval_main_conf_t *mcf)
{
    json_t                       *list;
    ngx_uint_t                    i, j;
    ngx_http_approval_rule_t    **rules;
    ngx_http_approval_policy_t  **policies;

    list = json_array();
    policies = mcf->policies.elts;

    for (i = 0; i < mcf->policies.nelts; i++) {

        if (!policies[i]->used) {
            continue;
        }

        rules = policies[i]->rules.elts;

        for (j = 0; j < policies[i]->rules.nelts; j++) {

            if (rules[j]->outcome == NGX_HTTP_APPROVAL_ALLOW
                || rules[j]->mode == NGX_HTTP_APPROVAL_SHADOW)
            {
                continue;
            }

            if (json_array_append_new(list,
                                    ngx_http_approval_manifest_rule(rules[j]))
                != 0)
            {
                json_decref(list);
                return NULL;
            }
        }
    }

    return list;
}


static json_t *
ngx_http_approval_manifest_rule(ngx_http_approval_rule_t *rule)
{
    int                            rc;
    json_t                        *object;
    ngx_str_t                      summary;
    ngx_http_approval_manifest_t   m;

    m.methods = json_array();
    m.paths = json_array();
    m.tools = json_array();
    m.others = json_array();
    m.mcp = rule->mcp;

    rc = approval_match_written(rule->policy->match, rule->number,
                                ngx_http_approval_manifest_visit, &m);

    ngx_str_null(&summary);

    if (rule->summary) {
        summary = rule->summary->name;
    }

    object = json_pack("{s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o}",
                 "policy", ngx_http_approval_json_str(&rule->policy->name),
                 "rule", ngx_http_approval_json_str(&rule->name),
                 "action", ngx_http_approval_json_str(&rule->action),
                 "risk",
                 ngx_http_approval_json_str(
                                     ngx_http_approval_risk_name(rule->risk)),
                 "outcome", rule->outcome == NGX_HTTP_APPROVAL_DENY
                            ? "denied" : "held",
                 "summary", ngx_http_approval_json_str(&summary),
                 "methods", m.methods, "paths", m.paths, "tools", m.tools,
                 "depends_on", m.others);

    if (object == NULL || rc != APPROVAL_OK) {
        json_decref(object);
        return NULL;
    }

    if (rule->outcome != NGX_HTTP_APPROVAL_DENY
        && ngx_http_approval_manifest_limits(rule, object) != NGX_OK)
    {
        json_decref(object);
        return NULL;
    }

    return object;
}


static int
ngx_http_approval_manifest_visit(void *data, approval_str_t name,
    approval_str_t pattern)
{
    ngx_http_approval_manifest_t *m = data;

    size_t   i;
    json_t  *list, *value, *known;

    list = NULL;

    if (approval_str_eq(name, approval_str("$request_method"))) {
        list = m->methods;

    } else if (approval_str_eq(name, approval_str("$uri"))) {
        list = m->paths;

    } else if (m->mcp
               && approval_str_eq(name, approval_str("json:/params/name")))
    {
        list = m->tools;

    } else if (m->mcp
               && (approval_str_eq(name, approval_str("json:/jsonrpc"))
                   || approval_str_eq(name, approval_str("json:/method"))))
    {
        return APPROVAL_OK;

    } else {
        list = m->others;
        pattern = name;
    }

    value = json_stringn((char *) pattern.data, pattern.len);

    if (value == NULL) {

        /* JSON cannot represent it: it is not UTF-8 */

        return APPROVAL_OK;
    }

    json_array_foreach(list, i, known) {
        if (json_equal(known, value)) {
            json_decref(value);
            return APPROVAL_OK;
        }
    }

    return json_array_append_new(list, value) == 0 ? APPROVAL_OK
                                                   : APPROVAL_ERROR;
}


static ngx_int_t
ngx_http_approval_manifest_limits(ngx_http_approval_rule_t *rule,
    json_t *object)
{
    ngx_uint_t                    i, approvals;
    ngx_http_approval_require_t  *requires;

    approvals = 0;
    requires = rule->requires ? rule->requires->elts : NULL;

    for (i = 0; requires && i < rule->requires->nelts; i++) {
        approvals += requires[i].count;
    }

    if (json_object_set_new(object, "approvals", json_integer(approvals)) != 0
        || json_object_set_new(object, "reason",
                               json_string(rule->reason ? "required"
                                                        : "optional"))
           != 0
        || json_object_set_new(object, "timeout",
                               json_integer(rule->timeout / 1000)) != 0
        || json_object_set_new(object, "hold",
                               json_integer(rule->hold / 1000)) != 0
        || json_object_set_new(object, "execute_within",
                               json_integer(rule->execute_within / 1000))
           != 0)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_manifest_page(ngx_http_approval_desk_t *d, json_t *manifest)
{
    size_t                              i;
    json_t                             *rule, *rules;
    ngx_int_t                           rc;
    approval_buf_t                      out;
    ngx_uint_t                          n;
    const ngx_http_approval_chapter_t  *chapter;
    const ngx_http_approval_refusal_t  *refusal;

    rules = json_object_get(manifest, "rules");

    approval_buf_init(&out);

    approval_buf_adds(&out, "# Requests that people approve\n\n"
                            "This gateway holds some requests until people "
                            "have approved them.\n\n## What is held\n\n");

    if (json_array_size(rules) == 0) {
        approval_buf_adds(&out, "Nothing at present.\n\n");
    }

    json_array_foreach(rules, i, rule) {
        ngx_http_approval_manifest_section(&out, rule);
    }

    approval_buf_adds(&out, "## How to behave\n\n");

    for (chapter = ngx_http_approval_chapters; chapter->title; chapter++) {
        approval_buf_printf(&out, "### %s\n\n%s\n\n", chapter->title,
                            chapter->text);
    }

    approval_buf_adds(&out, "## Refusals\n\nEach is `application/"
                            "problem+json`; `type` is one of these.\n\n");

    for (n = 0; n < NGX_HTTP_APPROVAL_REFUSALS; n++) {
        refusal = &ngx_http_approval_refusals[n];

        approval_buf_printf(&out, "- `urn:approval:%s` (%lu): %s. %s\n",
                            refusal->type, (unsigned long) refusal->http,
                            refusal->title, refusal->next);
    }

    rc = out.failed
         ? NGX_HTTP_INTERNAL_SERVER_ERROR
         : ngx_http_approval_send(d->request, NGX_HTTP_OK,
                                  "text/markdown; charset=utf-8",
                                  approval_buf_str(&out));

    approval_buf_free(&out);

    return rc;
}


static void
ngx_http_approval_manifest_section(approval_buf_t *out, json_t *rule)
{
    const char  *summary;

    approval_buf_adds(out, "### ");
    ngx_http_approval_manifest_code(out,
                              ngx_http_approval_manifest_text(rule, "action"));
    approval_buf_adds(out, "\n\n");

    summary = ngx_http_approval_manifest_text(rule, "summary");

    if (*summary) {
        ngx_http_approval_manifest_code(out, summary);
        approval_buf_adds(out, "\n\n");
    }

    ngx_http_approval_manifest_list(out, "methods",
                                    json_object_get(rule, "methods"));
    ngx_http_approval_manifest_list(out, "paths",
                                    json_object_get(rule, "paths"));
    ngx_http_approval_manifest_list(out, "MCP tools",
                                    json_object_get(rule, "tools"));
    ngx_http_approval_manifest_list(out, "depends on",
                                    json_object_get(rule, "depends_on"));

    approval_buf_printf(out, "- risk: %s\n",
                        ngx_http_approval_manifest_text(rule, "risk"));

    if (json_object_get(rule, "timeout") == NULL) {
        approval_buf_adds(out, "- always denied\n\n");
        return;
    }

    approval_buf_printf(out, "- approvals needed: %ld\n"
                        "- reason: %s\n"
                        "- approvers have %ld s to decide; the connection "
                        "waits %ld s; an approval is valid for %ld s\n\n",
         (long) json_integer_value(json_object_get(rule, "approvals")),
         ngx_http_approval_manifest_text(rule, "reason"),
         (long) json_integer_value(json_object_get(rule, "timeout")),
         (long) json_integer_value(json_object_get(rule, "hold")),
         (long) json_integer_value(json_object_get(rule, "execute_within")));
}


static void
ngx_http_approval_manifest_list(approval_buf_t *out, const char *name,
    json_t *values)
{
    size_t   i;
    json_t  *value;

    if (json_array_size(values) == 0) {
        return;
    }

    approval_buf_printf(out, "- %s: ", name);

    json_array_foreach(values, i, value) {
        if (i) {
            approval_buf_adds(out, ", ");
        }

        ngx_http_approval_manifest_code(out, json_string_value(value));
    }

    approval_buf_addc(out, '\n');
}


/* A code span, so that Markdown in the text has no effect. */

static void
ngx_http_approval_manifest_code(approval_buf_t *out, const char *text)
{
    approval_buf_addc(out, '`');

    for ( /* void */ ; *text; text++) {
        approval_buf_addc(out, (*text == '`' || *text == '\n' || *text == '\r')
                               ? ' ' : *text);
    }

    approval_buf_addc(out, '`');
}


static const char *
ngx_http_approval_manifest_text(json_t *object, const char *name)
{
    const char  *text;

    text = json_string_value(json_object_get(object, name));

    return text ? text : "";
}
