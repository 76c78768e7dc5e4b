
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Secrets in free text: scripts, SQL, YAML, XML, headers, URLs.
 *
 * Every form is looked for in one pass, and where a search for an end fails
 * all that was searched is masked, so that the time stays linear.
 */


#include "core/redact_text.h"

#include <string.h>


#define TEXT_PAIR_MAX  256             /* between a name and its value */


static const unsigned char *text_mask(approval_text_t *t,
    approval_text_part_t part);
static const unsigned char *text_userinfo(approval_text_t *t,
    const unsigned char *p);
static const unsigned char *text_private_key(approval_text_t *t,
    const unsigned char *p);
static const unsigned char *text_tag(approval_text_t *t,
    const unsigned char *p);
static const unsigned char *text_word(approval_text_t *t,
    const unsigned char *p);
static int text_value(approval_text_t *t, approval_text_part_t word,
    approval_text_part_t *value);
static int text_pair(approval_text_t *t, approval_text_part_t word,
    const unsigned char *p);
static int text_element(approval_text_t *t, approval_text_part_t word,
    approval_text_part_t *value);
static int text_jwt(approval_text_part_t word);
static int text_begins(approval_text_t *t, const unsigned char *p);
static approval_str_t text_str(approval_text_part_t part);


size_t
approval_redact_text(const approval_redact_t *r, approval_str_t text,
    approval_buf_t *out)
{
    approval_text_t       t;
    const unsigned char  *p;

    if (text.len == 0) {
        return 0;
    }

    memset(&t, 0, sizeof(approval_text_t));

    t.redact = r;
    t.out = out;
    t.first = text.data;
    t.last = text.data + text.len;
    t.done = t.first;

    p = t.first;

    while (p < t.last) {

        if (*p == ':' && t.last - p > 3 && p[1] == '/' && p[2] == '/') {
            p = text_userinfo(&t, p + 3);

        } else if (text_begins(&t, p)) {
            p = text_private_key(&t, p);

        } else if (approval_text_name_char(*p)) {
            p = text_word(&t, p);

        } else if (*p == '<' || *p == '>') {
            p = text_tag(&t, p);

        } else {
            p++;
        }
    }

    approval_buf_add(out, t.done, (size_t) (t.last - t.done));

    return t.masks;
}


static const unsigned char *
text_mask(approval_text_t *t, approval_text_part_t part)
{
    approval_buf_add(t->out, t->done, (size_t) (part.start - t->done));
    approval_buf_adds(t->out, APPROVAL_REDACTED);

    t->done = part.end;
    t->masks++;

    return part.end;
}


/* user:password@ */

static const unsigned char *
text_userinfo(approval_text_t *t, const unsigned char *p)
{
    const unsigned char   *q;
    approval_text_part_t   part;

    part.start = p;
    part.end = p;

    for (q = p; q < t->last && *q > ' ' && !strchr("/?#\\\"'`<>", *q); q++) {
        if (*q == '@') {
            part.end = q;
        }
    }

    return part.end > part.start ? text_mask(t, part) : p;
}


static const unsigned char *
text_private_key(approval_text_t *t, const unsigned char *p)
{
    const unsigned char   *q;
    approval_text_part_t   part;

    part.start = p;
    p += 11;

    for (q = p; q < t->last && *q != '-' && *q != '\n'; q++) { /* void */ }

    if (q - p < 11 || memcmp(q - 11, "PRIVATE KEY", 11) != 0) {
        return q;
    }

    q = approval_text_find(t, q, "-----END ");
    if (q < t->last) {
        q = approval_text_find(t, q + 9, "-----");
        q = t->last - q > 5 ? q + 5 : t->last;
    }

    part.end = q;

    return text_mask(t, part);
}


/* <property name="password">value</property> */

static const unsigned char *
text_tag(approval_text_t *t, const unsigned char *p)
{
    unsigned              named;
    approval_text_part_t  value;

    if (*p == '<') {
        t->tag = p;
        return p + 1;
    }

    named = t->tag && t->pair > t->tag && p[-1] != '/';

    t->tag = NULL;

    if (!named) {
        return p + 1;
    }

    t->pair = NULL;

    value.start = p + 1;
    value.end = approval_text_find(t, p + 1, "</");

    return value.end > value.start ? text_mask(t, value) : p + 1;
}


static const unsigned char *
text_word(approval_text_t *t, const unsigned char *p)
{
    int                   found;
    approval_text_part_t  word, value;

    word.start = p;

    while (p < t->last && approval_text_name_char(*p) && !text_begins(t, p)) {
        p++;
    }

    word.end = p;

    if (text_jwt(word)) {
        return text_mask(t, word);
    }

    found = text_value(t, word, &value);

    t->before = text_str(word);

    if (approval_text_is(word, "identified")) {
        t->identified = 1;

    } else if (t->identified) {
        t->identified++;
    }

    return found ? text_mask(t, value) : p;
}


/* Is there a value after this word, and is the word a secret's name? */

static int
text_value(approval_text_t *t, approval_text_part_t word,
    approval_text_part_t *value)
{
    unsigned              i;
    const unsigned char  *p, *q;

    if (text_element(t, word, value)) {
        return 1;
    }

    /* "name", 'name', \"name\", [name] */

    p = word.end;

    for (i = 0; i < 3 && p < t->last && (approval_text_quote(*p) || *p == '\\'
                                         || *p == ']'); i++)
    {
        p++;
    }

    q = approval_text_blanks(t, p);

    if (q < t->last && (*q == ':' || *q == '=')) {
        return (approval_text_secret(t, word) || text_pair(t, word, q))
               && approval_text_assigned(t, word, q, value);
    }

    return approval_text_follows(t, word, p, value);
}


/*
 * "name: DB_PASSWORD" and then "value: ...", as in lists of YAML, and
 * name="password" value="..." in XML.
 */

static int
text_pair(approval_text_t *t, approval_text_part_t word,
    const unsigned char *p)
{
    int                   paired;
    approval_text_part_t  name;

    if (t->pair && approval_redact_pair_value(text_str(word))) {
        paired = word.start - t->pair <= TEXT_PAIR_MAX;
        t->pair = NULL;

        return paired;
    }

    if (!approval_redact_pair_name(text_str(word))) {
        return 0;
    }

    p = approval_text_blanks(t, p + 1);

    while (p < t->last && (approval_text_quote(*p) || *p == '\\')) {
        p++;
    }

    name.start = p;

    while (p < t->last && approval_text_name_char(*p)) {
        p++;
    }

    name.end = p;

    t->pair = approval_text_secret(t, name)
              || approval_redact_header(t->redact, text_str(name)) ? p : NULL;

    return 0;
}


/* <name ...>value</name> */

static int
text_element(approval_text_t *t, approval_text_part_t word,
    approval_text_part_t *value)
{
    size_t                len;
    const unsigned char  *p, *name;

    name = word.start;

    if (name > t->first && name[-1] == ':') {
        for (name--;
             name > t->first && approval_text_name_char(name[-1]);
             name--)
        {
            /* void */
        }
    }

    if (name == t->first || name[-1] != '<'
        || !approval_text_secret(t, word))
    {
        return 0;
    }

    for (p = word.end; p < t->last && *p != '<' && *p != '>'; p++) {
        /* void */
    }

    if (p == t->last || *p == '<' || p[-1] == '/') {
        return 0;
    }

    value->start = ++p;
    len = (size_t) (word.end - name);

    for ( ;; ) {
        p = approval_text_find(t, p, "</");

        if (p == t->last || ((size_t) (t->last - p) > len + 2
                             && memcmp(p + 2, name, len) == 0
                             && !approval_text_name_char(p[2 + len])))
        {
            break;
        }

        p += 2;
    }

    value->end = p;

    return value->end > value->start;
}


/* base64url of {" and two dots */

static int
text_jwt(approval_text_part_t word)
{
    unsigned              dots;
    const unsigned char  *p;

    if (word.end - word.start < 32 || memcmp(word.start, "eyJ", 3) != 0) {
        return 0;
    }

    dots = 0;

    for (p = word.start; p < word.end; p++) {
        if (*p == '.') {
            dots++;
        }
    }

    return dots >= 2;
}


static int
text_begins(approval_text_t *t, const unsigned char *p)
{
    return *p == '-' && t->last - p > 11
           && memcmp(p, "-----BEGIN ", 11) == 0;
}


static approval_str_t
text_str(approval_text_part_t part)
{
    approval_str_t  s;

    s.data = part.start;
    s.len = (size_t) (part.end - part.start);

    return s;
}
