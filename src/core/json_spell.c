
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Members whose names differ in case only: to RFC 8259 they are others, to
 * some readers (Go's encoding/json among them) they are the same.
 */


#include "core/json_internal.h"

#include "core/fold.h"

#include <string.h>


static int json_respelled(const approval_json_pointer_t *p, json_t *value,
    size_t i);
static int json_same_folded(const char *one, const char *two);


int
approval_json_pointer_respelled(const approval_json_pointer_t *p, json_t *root)
{
    return json_respelled(p, root, 0);
}


static int
json_respelled(const approval_json_pointer_t *p, json_t *value, size_t i)
{
    size_t                 k;
    json_t                *kid;
    const char            *name;
    const json_segment_t  *s;

    if (i == p->n) {
        return 0;
    }

    s = &p->segments[i];

    if (json_is_array(value)) {

        json_array_foreach(value, k, kid) {
            if ((s->any || (s->number && s->index == k))
                && json_respelled(p, kid, i + 1))
            {
                return 1;
            }
        }

        return 0;
    }

    json_object_foreach(value, name, kid) {

        if (s->any || strcmp(name, s->key) == 0) {
            if (json_respelled(p, kid, i + 1)) {
                return 1;
            }

        } else if (json_same_folded(name, s->key)) {
            return 1;
        }
    }

    return 0;
}


/* Both are valid UTF-8. */

static int
json_same_folded(const char *one, const char *two)
{
    const unsigned char  *p, *q, *plast, *qlast;

    p = (const unsigned char *) one;
    q = (const unsigned char *) two;
    plast = p + strlen(one);
    qlast = q + strlen(two);

    while (p < plast && q < qlast) {
        if (approval_fold(approval_utf8_next(&p, plast))
            != approval_fold(approval_utf8_next(&q, qlast)))
        {
            return 0;
        }
    }

    return p == plast && q == qlast;
}
