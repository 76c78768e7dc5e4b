
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * A set of readings.
 */


#include "core/reading.h"

#include <stdlib.h>
#include <string.h>


/* Memory used for a large value is kept up to this size. */
#define APPROVAL_READING_KEEP  (64 * 1024)


static approval_reading_t *approval_readings_push(approval_readings_t *rs,
    unsigned member);
static int approval_readings_known(approval_readings_t *rs,
    approval_reading_e kind, approval_str_t text);


void
approval_readings_init(approval_readings_t *rs)
{
    memset(rs, 0, sizeof(approval_readings_t));
    approval_buf_init(&rs->buf);
}


void
approval_readings_reset(approval_readings_t *rs)
{
    if (rs->buf.size > APPROVAL_READING_KEEP || rs->failed
        || rs->alloc > APPROVAL_READING_KEEP / sizeof(approval_reading_t))
    {
        approval_readings_free(rs);
        return;
    }

    approval_buf_reset(&rs->buf);

    rs->n = 0;
    rs->last = 0;
    rs->code = 0;
}


void
approval_readings_free(approval_readings_t *rs)
{
    approval_buf_wipe(&rs->buf);
    free(rs->elts);

    approval_readings_init(rs);
}


void
approval_readings_add(approval_readings_t *rs, approval_reading_e kind,
    approval_str_t text)
{
    approval_reading_t  *e;

    if (approval_readings_known(rs, kind, text)) {
        return;
    }

    e = approval_readings_push(rs, 0);

    if (e) {
        e->kind = kind;
        e->len = text.len;
        e->data = text.data;
    }
}


void
approval_readings_copy(approval_readings_t *rs, approval_str_t text,
    approval_spelled_e spelled)
{
    size_t    start;
    unsigned  spelling;

    spelling = rs->spelling;
    start = rs->buf.len;

    rs->spelling = spelled;
    approval_buf_add(&rs->buf, text.data, text.len);
    approval_readings_take(rs, APPROVAL_READING_TEXT, start);

    rs->spelling = spelling;
}


void
approval_readings_take(approval_readings_t *rs, approval_reading_e kind,
    size_t start)
{
    approval_str_t       text;
    approval_reading_t  *e;

    if (rs->buf.failed) {
        rs->failed = 1;
        return;
    }

    text.len = rs->buf.len - start;
    text.data = text.len ? rs->buf.data + start : NULL;

    if (approval_readings_known(rs, kind, text)) {
        rs->buf.len = start;
        return;
    }

    e = approval_readings_push(rs, 0);

    if (e) {
        e->kind = kind;
        e->copied = 1;
        e->len = text.len;
        e->offset = start;
    }
}


approval_reading_t *
approval_readings_member(approval_readings_t *rs)
{
    approval_reading_t  *e;

    e = approval_readings_push(rs, 1);

    if (e) {
        e->copied = 1;
    }

    return e;
}


void
approval_readings_unknown(approval_readings_t *rs, unsigned code,
    const char *why)
{
    rs->n = 0;
    rs->last = 0;
    rs->code = code;

    approval_readings_add(rs, APPROVAL_READING_UNKNOWN, approval_str(why));

    if (rs->n) {
        rs->elts[0].spelled = 0;        /* regardless of rs->spelling */
    }
}


int
approval_readings_doubtful(approval_readings_t *rs,
    const approval_readings_t *from)
{
    const approval_reading_t  *doubt;

    doubt = approval_readings_doubt(from);

    if (doubt == NULL) {
        return 0;
    }

    /* the text of an UNKNOWN is always a string of the program */

    approval_readings_unknown(rs, from->code, (const char *) doubt->data);

    return 1;
}


approval_str_t
approval_reading_text(const approval_readings_t *rs, size_t i)
{
    approval_str_t             text;
    const approval_reading_t  *e;

    e = &rs->elts[i];

    text.len = e->len;
    text.data = e->copied && e->len ? rs->buf.data + e->offset : e->data;

    if (text.data == NULL) {
        text = approval_str("");
    }

    return text;
}


size_t
approval_readings_count(const approval_readings_t *rs)
{
    size_t  i, n;

    for (n = 0, i = rs->last; i; i = rs->elts[i - 1].before) {
        n += !rs->elts[i - 1].spelled;
    }

    return n;
}


int
approval_readings_same(const approval_readings_t *rs)
{
    size_t  i, n;

    for (n = 0, i = rs->last; i; i = rs->elts[i - 1].before) {
        n += (rs->elts[i - 1].spelled != APPROVAL_SPELLED);
    }

    return n == 1 && approval_readings_doubt(rs) == NULL;
}


const approval_reading_t *
approval_readings_doubt(const approval_readings_t *rs)
{
    size_t  i;

    for (i = 0; i < rs->n; i++) {
        if (rs->elts[i].kind == APPROVAL_READING_UNKNOWN) {
            return &rs->elts[i];
        }
    }

    return NULL;
}


/*
 * One reader may have many values ("member"); the number of readers is
 * limited.
 */

static approval_reading_t *
approval_readings_push(approval_readings_t *rs, unsigned member)
{
    size_t               want;
    approval_reading_t  *e;

    if (rs->n == rs->alloc) {
        want = rs->alloc ? rs->alloc * 2 : 4;

        e = realloc(rs->elts, want * sizeof(approval_reading_t));
        if (e == NULL) {
            rs->failed = 1;
            return NULL;
        }

        rs->elts = e;
        rs->alloc = want;
    }

    e = &rs->elts[rs->n++];

    memset(e, 0, sizeof(approval_reading_t));

    e->spelled = rs->spelling;
    e->member = member;
    e->before = rs->last;

    if (!member) {
        rs->last = rs->n;
    }

    return e;
}


/* Returns 1 also if there is no room; the value becomes UNKNOWN then. */

static int
approval_readings_known(approval_readings_t *rs, approval_reading_e kind,
    approval_str_t text)
{
    size_t               i, n, spellings;
    approval_reading_t  *e;

    if (rs->n && rs->elts[0].kind == APPROVAL_READING_UNKNOWN) {
        return 1;
    }

    n = 0;
    spellings = 0;

    for (i = rs->last; i; i = e->before) {
        e = &rs->elts[i - 1];

        if (e->kind == kind && e->len == text.len
            && approval_str_eq(approval_reading_text(rs, i - 1), text))
        {
            if (rs->spelling < e->spelled) {
                e->spelled = rs->spelling;
            }

            return 1;
        }

        n += !e->spelled;
        spellings += (e->spelled != APPROVAL_ANOTHER);
    }

    if (n < APPROVAL_READINGS_MAX && spellings < APPROVAL_SPELLINGS_MAX) {
        return 0;
    }

    approval_readings_unknown(rs, 0, "it has more than 64 readings");

    return 1;
}
