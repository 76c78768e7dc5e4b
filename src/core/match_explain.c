
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Why a rule holds: tests its conditions again, in the order of writing.
 */


#include "core/match_internal.h"


/* The callbacks for each value that a pattern matches. */

typedef struct {
    approval_match_t            *m;
    approval_match_visit_pt      capture;
    approval_match_evidence_pt   evidence;
    void                        *data;
} approval_match_explain_t;


static int approval_match_explain(approval_match_explain_t *e, int rule,
    const approval_match_input_t *in);
static int approval_match_explain_captures(approval_match_explain_t *e,
    approval_str_t value);


int
approval_match_captures(approval_match_t *m, int rule,
    const approval_match_input_t *in, approval_match_visit_pt visit,
    void *data)
{
    approval_match_explain_t  e;

    e.m = m;
    e.capture = visit;
    e.evidence = NULL;
    e.data = data;

    return approval_match_explain(&e, rule, in);
}


int
approval_match_evidence(approval_match_t *m, int rule,
    const approval_match_input_t *in, approval_match_evidence_pt visit,
    void *data)
{
    approval_match_explain_t  e;

    e.m = m;
    e.capture = NULL;
    e.evidence = visit;
    e.data = data;

    return approval_match_explain(&e, rule, in);
}


static int
approval_match_explain(approval_match_explain_t *e, int rule,
    const approval_match_input_t *in)
{
    int                                rc;
    size_t                             i, k;
    unsigned                           found;
    approval_str_t                     text;
    approval_match_t                  *m;
    approval_readings_t               *rs;
    const approval_match_rule_t       *r;
    const approval_match_condition_t  *c;

    m = e->m;
    r = &m->rules[rule];

    for (i = 0; i < r->n; i++) {
        c = &m->conditions[r->first + i];

        rs = in->read(in->data, c->subject);

        if (rs == NULL || rs->failed) {
            return APPROVAL_ERROR;
        }

        found = 0;

        for (k = 0; k < rs->n; k++) {

            if ((rs->elts[k].spelled == APPROVAL_SPELLED
                 && (e->capture || found))
                || approval_match_value_holds(m, c, rs, k)
                   == APPROVAL_HOLDS_NOT)
            {
                continue;
            }

            found = 1;
            text = approval_reading_text(rs, k);

            rc = e->capture ? approval_match_explain_captures(e, text)
                            : e->evidence(e->data, c->subject, text);

            if (rc != APPROVAL_OK) {
                return rc;
            }
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


/* The match data are still those of the pattern that matched. */

static int
approval_match_explain_captures(approval_match_explain_t *e,
    approval_str_t value)
{
    int                              rc;
    uint32_t                         i, group;
    PCRE2_SIZE                      *ovector;
    approval_str_t                   captured;
    const approval_match_pattern_t  *p;

    p = e->m->hit;

    if (p == NULL || p->negated || p->nnames == 0) {
        return APPROVAL_OK;
    }

    ovector = pcre2_get_ovector_pointer(e->m->match_data);

    for (i = 0; i < p->nnames; i++) {
        group = p->names[i].group;

        /*
         * groups that did not take part have no value; \K can put the end
         * first
         */

        if (ovector[2 * group] == PCRE2_UNSET
            || ovector[2 * group] > ovector[2 * group + 1])
        {
            continue;
        }

        captured.data = value.data + ovector[2 * group];
        captured.len = ovector[2 * group + 1] - ovector[2 * group];

        rc = e->capture(e->data, p->names[i].name, captured);

        if (rc != APPROVAL_OK) {
            return rc;
        }
    }

    return APPROVAL_OK;
}
