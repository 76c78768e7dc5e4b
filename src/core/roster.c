
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The members of a group, as one digest for the audit trail.
 */


#include "core/digest.h"
#include "core/identity.h"
#include "core/keys.h"

#include <stdlib.h>
#include <string.h>


typedef struct {
    approval_str_t  *persons;
    size_t           n;
} roster_t;


static int roster_add(void *data, approval_str_t person);
static int roster_cmp(const void *one, const void *two);


int
approval_people_digest(const approval_people_t *p, int group,
    char dst[APPROVAL_DIGEST_LEN])
{
    int             rc;
    size_t          i;
    roster_t        r;
    approval_buf_t  text;
    unsigned char   md[APPROVAL_SHA256_LEN];

    r.n = 0;
    r.persons = calloc(approval_people_group_size(p, group) + 1,
                       sizeof(approval_str_t));

    if (r.persons == NULL) {
        return APPROVAL_ERROR;
    }

    approval_buf_init(&text);

    rc = approval_people_each(p, group, roster_add, &r);

    qsort(r.persons, r.n, sizeof(approval_str_t), roster_cmp);

    for (i = 0; i < r.n; i++) {
        approval_buf_add(&text, r.persons[i].data, r.persons[i].len);
        approval_buf_addc(&text, '\n');
    }

    if (rc == APPROVAL_OK) {
        rc = text.failed ? APPROVAL_ERROR
                         : approval_sha256(approval_buf_str(&text), md);
    }

    if (rc == APPROVAL_OK) {
        approval_digest_text(dst, md);
    }

    approval_buf_free(&text);
    free(r.persons);

    return rc;
}


static int
roster_add(void *data, approval_str_t person)
{
    roster_t *r = data;

    r->persons[r->n++] = person;

    return APPROVAL_OK;
}


/*
 * Compares bytes; a prefix sorts first.  Identities have no control
 * characters.
 */

static int
roster_cmp(const void *one, const void *two)
{
    int                    rc;
    size_t                 len;
    const approval_str_t  *a = one, *b = two;

    len = a->len < b->len ? a->len : b->len;
    rc = memcmp(a->data, b->data, len);

    return rc ? rc : (a->len > b->len) - (a->len < b->len);
}
