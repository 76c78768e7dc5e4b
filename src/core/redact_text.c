
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Secrets in free text: scripts, SQL, YAML, XML, headers, URLs.
 *
 * Every form is looked for in one pass, and where a search for an end fails
 * all that was searched is masked, so that the time stays linear.
 */


#include "core/redact_internal.h"

#include <string.h>


typedef struct {
    const approval_redact_t  *redact;
    approval_buf_t           *out;
    const unsigned char      *first;
    const unsigned char      *last;
    const unsigned char      *done;    /* copied up to here             */
    approval_str_t            before;  /* the word before               */
    size_t                    masks;
} text_t;


typedef struct {
    const unsigned char      *start;
    const unsigned char      *end;
} part_t;


static const unsigned char *text_mask(text_t *t, part_t part);
static const unsigned char *text_userinfo(text_t *t, const unsigned char *p);
static const unsigned char *text_private_key(text_t *t,
    const unsigned char *p);
static const unsigned char *text_word(text_t *t, const unsigned char *p);
static int text_value(text_t *t, part_t word, part_t *value);
static int text_assigned(text_t *t, part_t word, const unsigned char *p,
    part_t *value);
static int text_follows(text_t *t, part_t word, const unsigned char *p,
    part_t *value);
static int text_line(text_t *t, part_t word, const unsigned char *p,
    part_t *value);
static int text_quoted(text_t *t, const unsigned char *p, part_t *value);
static int text_bracket(text_t *t, const unsigned char *p, part_t *value);
static int text_bare(text_t *t, const unsigned char *p, part_t *value);
static int text_element(text_t *t, part_t word, part_t *value);
static int text_is(part_t word, const char *name);
static int text_jwt(part_t word);
static int text_secret(text_t *t, part_t word);
static int text_line_start(text_t *t, const unsigned char *p);
static const unsigned char *text_blanks(text_t *t, const unsigned char *p);
static const unsigned char *text_eol(text_t *t, const unsigned char *p);
static const unsigned char *text_find(text_t *t, const unsigned char *p,
    const char *what);
static int text_begins(text_t *t, const unsigned char *p);
static int text_name_char(unsigned char c);
static int text_quote(unsigned char c);


size_t
approval_redact_text(const approval_redact_t *r, approval_str_t text,
    approval_buf_t *out)
{
    text_t                t;
    const unsigned char  *p;

    if (text.len == 0) {
        return 0;
    }

    memset(&t, 0, sizeof(text_t));

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

        } else if (text_name_char(*p)) {
            p = text_word(&t, p);

        } else {
            p++;
        }
    }

    approval_buf_add(out, t.done, (size_t) (t.last - t.done));

    return t.masks;
}


static const unsigned char *
text_mask(text_t *t, part_t part)
{
    approval_buf_add(t->out, t->done, (size_t) (part.start - t->done));
    approval_buf_adds(t->out, APPROVAL_REDACTED);

    t->done = part.end;
    t->masks++;

    return part.end;
}


/* user:password@ */

static const unsigned char *
text_userinfo(text_t *t, const unsigned char *p)
{
    part_t                part;
    const unsigned char  *q;

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
text_private_key(text_t *t, const unsigned char *p)
{
    part_t                part;
    const unsigned char  *q;

    part.start = p;
    p += 11;

    for (q = p; q < t->last && *q != '-' && *q != '\n'; q++) { /* void */ }

    if (q - p < 11 || memcmp(q - 11, "PRIVATE KEY", 11) != 0) {
        return q;
    }

    q = text_find(t, q, "-----END ");
    if (q < t->last) {
        q = text_find(t, q + 9, "-----");
        q = t->last - q > 5 ? q + 5 : t->last;
    }

    part.end = q;

    return text_mask(t, part);
}


static const unsigned char *
text_word(text_t *t, const unsigned char *p)
{
    int             found;
    part_t          word, value;
    approval_str_t  before;

    word.start = p;

    while (p < t->last && text_name_char(*p) && !text_begins(t, p)) {
        p++;
    }

    word.end = p;

    if (text_jwt(word)) {
        return text_mask(t, word);
    }

    found = text_value(t, word, &value);

    before.data = word.start;
    before.len = (size_t) (word.end - word.start);
    t->before = before;

    return found ? text_mask(t, value) : p;
}


/* Is there a value after this word, and is the word a secret's name? */

static int
text_value(text_t *t, part_t word, part_t *value)
{
    unsigned              i;
    const unsigned char  *p, *q;

    if (text_element(t, word, value)) {
        return 1;
    }

    /* "name", 'name', \"name\", [name] */

    p = word.end;

    for (i = 0; i < 3 && p < t->last && (text_quote(*p) || *p == '\\'
                                         || *p == ']'); i++)
    {
        p++;
    }

    q = text_blanks(t, p);

    if (q < t->last && (*q == ':' || *q == '=')) {
        return text_secret(t, word) && text_assigned(t, word, q, value);
    }

    return text_follows(t, word, p, value);
}


static int
text_assigned(text_t *t, part_t word, const unsigned char *p, part_t *value)
{
    unsigned              line;
    const unsigned char  *q;

    line = *p == ':' && p == word.end && text_line_start(t, word.start);

    while (p < t->last && (*p == ':' || *p == '=' || *p == '>')) {
        p++;
    }

    p = text_blanks(t, p);

    if (p < t->last && (text_quote(*p) || *p == '\\')) {
        return text_quoted(t, p, value);
    }

    if (line) {
        return text_line(t, word, p, value);
    }

    if (p < t->last && (*p == '\r' || *p == '\n')) {

        for (q = p; q < t->last && *q <= ' '; q++) { /* void */ }

        return q < t->last && text_quote(*q) && text_quoted(t, q, value);
    }

    if (p < t->last && (*p == '[' || *p == '{')) {
        return text_bracket(t, p, value);
    }

    return text_bare(t, p, value);
}


/* PASSWORD 'value', IDENTIFIED BY 'value', --password value, Bearer value */

static int
text_follows(text_t *t, part_t word, const unsigned char *p, part_t *value)
{
    part_t                before;
    const unsigned char  *q;

    q = text_blanks(t, p);

    if (q < t->last && *q == '(') {
        q = text_blanks(t, q + 1);
    }

    if (q == p || q == t->last) {
        return 0;
    }

    before.start = t->before.data;
    before.end = t->before.len ? t->before.data + t->before.len
                               : t->before.data;

    if (text_quote(*q)) {
        if (!text_secret(t, word)
            && !(text_is(word, "by") && text_is(before, "identified")))
        {
            return 0;
        }

        return text_quoted(t, q, value);
    }

    if (*word.start == '-' && *q != '-' && text_secret(t, word)) {
        return text_bare(t, q, value);
    }

    return text_is(word, "bearer") && text_bare(t, q, value)
           && value->end - value->start >= 8;
}


/*
 * "name: value" on a line of its own, as in YAML and in headers: the value is
 * the rest of the line, and the lines below that are indented deeper if the
 * value is a block or stands there.
 */

static int
text_line(text_t *t, part_t word, const unsigned char *p, part_t *value)
{
    size_t                indent;
    const unsigned char  *eol, *q;

    eol = text_eol(t, p);

    value->start = p;
    value->end = eol;

    if (p < eol && *p != '|' && *p != '>' && *p != '&' && *p != '!') {
        return 1;
    }

    for (q = word.start; q > t->first && q[-1] != '\n'; q--) { /* void */ }

    indent = (size_t) (word.start - q);

    for ( ;; ) {
        q = eol;

        if (q < t->last && *q == '\r') {
            q++;
        }

        if (q < t->last && *q == '\n') {
            q++;
        }

        if (q == t->last || q == eol) {
            break;
        }

        p = text_blanks(t, q);
        eol = text_eol(t, p);

        /* a list may stand under its name without indentation */

        if (p < eol && (size_t) (p - q) <= indent
            && ((size_t) (p - q) < indent || *p != '-'))
        {
            break;
        }

        if (p < eol) {
            value->end = eol;
        }
    }

    return value->end > value->start;
}


static int
text_quoted(text_t *t, const unsigned char *p, part_t *value)
{
    unsigned        escaped;
    unsigned char   quote;

    escaped = *p == '\\';

    if (escaped && (++p == t->last || !text_quote(*p))) {
        return 0;
    }

    quote = *p++;
    value->start = p;

    for ( /* void */ ; p < t->last; p++) {

        if (*p == '\\' && t->last - p > 1) {
            if (escaped && p[1] == quote) {
                break;
            }

            p++;
            continue;
        }

        if (*p != quote) {
            continue;
        }

        /* SQL doubles a quote */

        if (!escaped && quote == '\'' && t->last - p > 1 && p[1] == quote) {
            p++;
            continue;
        }

        break;
    }

    value->end = p;

    return value->end > value->start;
}


static int
text_bracket(text_t *t, const unsigned char *p, part_t *value)
{
    size_t          depth;
    unsigned char   open, close;

    open = *p;
    close = open == '[' ? ']' : '}';

    value->start = p;
    depth = 0;

    for ( /* void */ ; p < t->last && *p != '\n'; p++) {
        if (*p == open) {
            depth++;

        } else if (*p == close && --depth == 0) {
            p++;
            break;
        }
    }

    value->end = p;

    return 1;
}


static int
text_bare(text_t *t, const unsigned char *p, part_t *value)
{
    part_t                run;
    const unsigned char  *q;

    value->start = p;

    for ( ;; ) {
        run.start = p;

        while (p < t->last && *p > ' ' && !strchr(",;&\"'`<>)}]|", *p)) {
            p++;
        }

        run.end = p;
        value->end = p;

        if (!text_is(run, "bearer") && !text_is(run, "basic")
            && !text_is(run, "token") && !text_is(run, "negotiate")
            && !text_is(run, "apikey"))
        {
            break;
        }

        /* an authentication scheme: what follows is the secret */

        q = text_blanks(t, p);

        if (q == p) {
            break;
        }

        p = q;
    }

    return value->end > value->start;
}


/* <name ...>value</name> */

static int
text_element(text_t *t, part_t word, part_t *value)
{
    size_t                len;
    const unsigned char  *p, *name;

    name = word.start;

    if (name > t->first && name[-1] == ':') {
        for (name--; name > t->first && text_name_char(name[-1]); name--) {
            /* void */
        }
    }

    if (name == t->first || name[-1] != '<' || !text_secret(t, word)) {
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
        p = text_find(t, p, "</");

        if (p == t->last || ((size_t) (t->last - p) > len + 2
                             && memcmp(p + 2, name, len) == 0
                             && !text_name_char(p[2 + len])))
        {
            break;
        }

        p += 2;
    }

    value->end = p;

    return value->end > value->start;
}


static int
text_is(part_t word, const char *name)
{
    approval_str_t  s;

    s.data = word.start;
    s.len = word.start ? (size_t) (word.end - word.start) : 0;

    return approval_str_eq_nocase(s, approval_str(name));
}


/* base64url of {" and two dots */

static int
text_jwt(part_t word)
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
text_secret(text_t *t, part_t word)
{
    approval_str_t  name;

    name.data = word.start;
    name.len = (size_t) (word.end - word.start);

    return approval_redact_field(t->redact, name);
}


/* Nothing but blanks and list dashes before p? */

static int
text_line_start(text_t *t, const unsigned char *p)
{
    while (p > t->first && (p[-1] == ' ' || p[-1] == '\t' || p[-1] == '-')) {
        p--;
    }

    return p == t->first || p[-1] == '\n';
}


static const unsigned char *
text_blanks(text_t *t, const unsigned char *p)
{
    while (p < t->last && (*p == ' ' || *p == '\t')) {
        p++;
    }

    return p;
}


static const unsigned char *
text_eol(text_t *t, const unsigned char *p)
{
    while (p < t->last && *p != '\n' && *p != '\r') {
        p++;
    }

    return p;
}


static const unsigned char *
text_find(text_t *t, const unsigned char *p, const char *what)
{
    size_t  len;

    len = strlen(what);

    while ((size_t) (t->last - p) >= len) {
        if (*p == (unsigned char) what[0] && memcmp(p, what, len) == 0) {
            return p;
        }

        p++;
    }

    return t->last;
}


static int
text_begins(text_t *t, const unsigned char *p)
{
    return *p == '-' && t->last - p > 11
           && memcmp(p, "-----BEGIN ", 11) == 0;
}


static int
text_name_char(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.'
           || c >= 0x80;
}


static int
text_quote(unsigned char c)
{
    return c == '"' || c == '\'' || c == '`';
}
