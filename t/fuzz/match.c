
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Rules and requests out of the input's bytes; exec() must agree with testing
 * each rule in turn, and captures and evidence must not fail on what holds.
 */


#include "match_gen.h"


static int fuzz_visit(void *data, approval_str_t name, approval_str_t value);
static int fuzz_evidence(void *data, unsigned subject, approval_str_t value);


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    int                      i, rule, rules;
    gen_t                    g;
    gen_request_t            request;
    approval_match_t        *m;
    approval_match_input_t   in;

    g.data = data;
    g.len = len;
    g.seed = 0;

    m = gen_rules(&g, 12, &rules);
    if (m == NULL) {
        return 0;
    }

    for (i = 0; i < 4; i++) {
        gen_request(&g, &request, &in);

        if (!gen_compare(m, rules, &in)) {
            abort();
        }

        for (rule = 0; rule < rules; rule++) {
            if (approval_match_captures(m, rule, &in, fuzz_visit, NULL)
                != APPROVAL_OK
                || approval_match_evidence(m, rule, &in, fuzz_evidence, NULL)
                   != APPROVAL_OK)
            {
                abort();
            }
        }

        gen_request_end(&request);
    }

    approval_match_destroy(m);

    return 0;
}


static int
fuzz_evidence(void *data, unsigned subject, approval_str_t value)
{
    return fuzz_visit(data, approval_str(""), value);
}


/* All bytes are there: the sanitizer sees them read. */

static int
fuzz_visit(void *data, approval_str_t name, approval_str_t value)
{
    size_t    i;
    unsigned  sum;

    sum = 0;

    for (i = 0; i < name.len; i++) {
        sum += name.data[i];
    }

    for (i = 0; i < value.len; i++) {
        sum += value.data[i];
    }

    /* no sum is so large; the compiler does not know */

    return sum == 0xffffffff ? APPROVAL_ERROR : APPROVAL_OK;
}
