
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Why a rule holds: its conditions once more, as they are written.
 */


#include "core/match_internal.h"


static int approval_match_explain(approval_match_t *m, int rule,
    const approval_match_input_t *in, approval_match_visit_pt visit,
    void *data, unsigned captures);
static int approval_match_explain_captures(approval_match_t *m,
    approval_match_visit_pt visit, void *data);


int
approval_match_captures(approval_match_t *m, int rule,
    const approval_match_input_t *in, approval_match_visit_pt visit,
    void *data)
{
    return approval_match_explain(m, rule, in, visit, data, 1);
}


int
approval_match_evidence(approval_match_t *m, int rule,
    const approval_match_input_t *in, approval_match_visit_pt visit,
    void *data)
{
    return approval_match_explain(m, rule, in, visit, data, 0);
}


static int
approval_match_explain(approval_match_t *m, int rule,
    const approval_match_input_t *in, approval_match_visit_pt visit,
    void *data, unsigned captures)
{
    int                                rc;
    size_t                             i;
    const char                        *err;
    approval_str_t                     name;
    const approval_match_rule_t       *r;
    const approval_match_condition_t  *c;

    if (approval_match_start(m, rule) != APPROVAL_OK) {
        return APPROVAL_ERROR;
    }

    r = &m->rules[rule];

    for (i = 0; i < r->n; i++) {
        c = &m->conditions[r->first + i];

        switch (approval_match_condition_holds(m, c, in, &err)) {

        case APPROVAL_MATCH_RULE:
            break;

        case APPROVAL_MATCH_NONE:
            return APPROVAL_DECLINED;

        default:
            return APPROVAL_ERROR;
        }

        if (captures) {
            rc = approval_match_explain_captures(m, visit, data);

        } else {
            name.data = m->subjects[c->subject].name;
            name.len = m->subjects[c->subject].len;

            rc = visit(data, name, m->hit_value);
        }

        if (rc != APPROVAL_OK) {
            return rc;
        }
    }

    return APPROVAL_OK;
}


int
approval_match_written(const approval_match_t *m, int rule,
    approval_match_visit_pt visit, void *data)
{
    int                                rc;
    size_t                             i, j;
    approval_str_t                     name;
    const approval_match_rule_t       *r;
    const approval_match_condition_t  *c;

    if (rule < 0 || (size_t) rule >= m->nrules) {
        return APPROVAL_ERROR;
    }

    r = &m->rules[rule];

    for (i = 0; i < r->n; i++) {
        c = &m->conditions[r->first + i];

        name.data = m->subjects[c->subject].name;
        name.len = m->subjects[c->subject].len;

        for (j = 0; j < c->npatterns; j++) {
            rc = visit(data, name,
                       approval_str((char *) c->patterns[j].written));

            if (rc != APPROVAL_OK) {
                return rc;
            }
        }
    }

    return APPROVAL_OK;
}


/* The match data are still those of the pattern that was hit. */

static int
approval_match_explain_captures(approval_match_t *m,
    approval_match_visit_pt visit, void *data)
{
    int                              rc;
    uint32_t                         i, group;
    PCRE2_SIZE                      *ovector;
    approval_str_t                   value;
    const approval_match_pattern_t  *p;

    p = m->hit;

    if (p->negated || p->nnames == 0) {
        return APPROVAL_OK;
    }

    ovector = pcre2_get_ovector_pointer(m->match_data);

    for (i = 0; i < p->nnames; i++) {
        group = p->names[i].group;

        /* groups that took no part have no value; \K can turn one around */

        if (ovector[2 * group] == PCRE2_UNSET
            || ovector[2 * group] > ovector[2 * group + 1])
        {
            continue;
        }

        value.data = m->hit_value.data + ovector[2 * group];
        value.len = ovector[2 * group + 1] - ovector[2 * group];

        rc = visit(data, p->names[i].name, value);

        if (rc != APPROVAL_OK) {
            return rc;
        }
    }

    return APPROVAL_OK;
}
