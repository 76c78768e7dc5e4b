
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Where a secret's value begins and ends in free text.
 */


#include "core/redact_text.h"

#include <string.h>


/* Further than that a clause does not belong to its word. */

#define TEXT_CLAUSE      256
#define TEXT_STRING      4096

#define TEXT_IDENTIFIED  4             /* words: "IDENTIFIED WITH plugin BY" */


static int text_line(approval_text_t *t, approval_text_part_t word,
    const unsigned char *p, approval_text_part_t *value);
static int text_line_start(approval_text_t *t, const unsigned char *p);
static const unsigned char *text_eol(approval_text_t *t,
    const unsigned char *p);
static int text_rest(approval_text_t *t, const unsigned char *p,
    approval_text_part_t *value);
static int text_sql(approval_text_t *t, approval_text_part_t word,
    const unsigned char *q, approval_text_part_t *value);
static int text_sql_by(approval_text_t *t, const unsigned char *p,
    approval_text_part_t *value);
static int text_sql_for(approval_text_t *t, const unsigned char *p,
    approval_text_part_t *value);
static int text_sql_dollar(approval_text_t *t, const unsigned char *p,
    approval_text_part_t *value);
static const unsigned char *text_sql_string(approval_text_t *t,
    const unsigned char *p);
static int text_user(approval_text_t *t, const unsigned char *p,
    approval_text_part_t *value);
static int text_quoted(approval_text_t *t, const unsigned char *p,
    approval_text_part_t *value);
static int text_bracket(approval_text_t *t, const unsigned char *p,
    approval_text_part_t *value);
static int text_bare(approval_text_t *t, const unsigned char *p,
    approval_text_part_t *value);
static const unsigned char *text_bare_end(approval_text_t *t,
    const unsigned char *p);
static const unsigned char *text_call(approval_text_t *t,
    const unsigned char *p);


int
approval_text_assigned(approval_text_t *t, approval_text_part_t word,
    const unsigned char *p, approval_text_part_t *value)
{
    unsigned              line, rest;
    const unsigned char  *q;

    q = p;
    line = text_line_start(t, word.start);
    rest = line && *p == '=' && p > word.end;
    line = line && *p == ':' && p == word.end;

    while (p < t->last && (*p == ':' || *p == '=' || *p == '>')) {
        p++;
    }

    rest = rest && p == q + 1 && p < t->last && *p == ' ';

    p = approval_text_blanks(t, p);

    if (p < t->last && (approval_text_quote(*p) || *p == '\\')) {
        return text_quoted(t, p, value);
    }

    if (line) {
        return text_line(t, word, p, value);
    }

    if (p < t->last && (*p == '\r' || *p == '\n')) {

        for (q = p; q < t->last && *q <= ' '; q++) { /* void */ }

        return q < t->last && approval_text_quote(*q)
               && text_quoted(t, q, value);
    }

    if (p < t->last && (*p == '[' || *p == '{')) {
        return text_bracket(t, p, value);
    }

    q = text_sql_string(t, p);

    if (q) {
        return text_quoted(t, q, value);
    }

    return rest ? text_rest(t, p, value) : text_bare(t, p, value);
}


/* PASSWORD 'value', IDENTIFIED BY 'value', --password value, Bearer value */

int
approval_text_follows(approval_text_t *t, approval_text_part_t word,
    const unsigned char *p, approval_text_part_t *value)
{
    const unsigned char  *q;

    q = approval_text_blanks(t, p);

    if (q < t->last && *q == '(') {
        q = approval_text_blanks(t, q + 1);
    }

    if (q == p || q == t->last) {
        return 0;
    }

    if (text_sql(t, word, q, value)
        || ((approval_text_is(word, "-u") || approval_text_is(word, "--user"))
            && text_user(t, q, value)))
    {
        return 1;
    }

    if (approval_text_quote(*q)) {
        return approval_text_secret(t, word) && text_quoted(t, q, value);
    }

    if (*word.start == '-' && *q != '-' && approval_text_secret(t, word)) {
        return text_bare(t, q, value);
    }

    return approval_text_is(word, "bearer") && text_bare(t, q, value)
           && value->end - value->start >= 8;
}


/*
 * IDENTIFIED BY 'x', IDENTIFIED WITH plugin BY 'x', PASSWORD N'x',
 * PASSWORD $$x$$, SET PASSWORD FOR user = 'x'
 */

static int
text_sql(approval_text_t *t, approval_text_part_t word,
    const unsigned char *q, approval_text_part_t *value)
{
    const unsigned char   *string;
    approval_text_part_t   before;

    if (t->identified && t->identified <= TEXT_IDENTIFIED
        && (approval_text_is(word, "by") || approval_text_is(word, "as")))
    {
        return text_sql_by(t, q, value);
    }

    before.start = t->before.data;
    before.end = t->before.len ? t->before.data + t->before.len
                               : t->before.data;

    if (approval_text_is(word, "for") && approval_text_is(before, "password"))
    {
        return text_sql_for(t, q, value);
    }

    string = text_sql_string(t, q);

    if (string) {
        return approval_text_secret(t, word) && text_quoted(t, string, value);
    }

    return *q == '$' && approval_text_secret(t, word)
           && text_sql_dollar(t, q, value);
}


static int
text_sql_by(approval_text_t *t, const unsigned char *p,
    approval_text_part_t *value)
{
    const unsigned char  *string;

    string = approval_text_quote(*p) ? p : text_sql_string(t, p);

    if (string) {
        return text_quoted(t, string, value);
    }

    /* Oracle's has no quotes; "identified by the team" goes on */

    if (!text_bare(t, p, value)) {
        return 0;
    }

    p = approval_text_blanks(t, value->end);

    return p == t->last || strchr(";,)\r\n", *p) != NULL
           || (p == value->end && approval_text_quote(*p));
}


static int
text_sql_for(approval_text_t *t, const unsigned char *p,
    approval_text_part_t *value)
{
    const unsigned char  *last;

    last = t->last - p > TEXT_CLAUSE ? p + TEXT_CLAUSE : t->last;

    while (p < last && *p != '=' && *p != ';' && *p != '\n') {
        p++;
    }

    if (p == last || *p != '=') {
        return 0;
    }

    p = approval_text_blanks(t, p + 1);

    if (p < t->last && approval_text_quote(*p)) {
        return text_quoted(t, p, value);
    }

    return text_bare(t, p, value);
}


/* $$x$$, $tag$x$tag$ */

static int
text_sql_dollar(approval_text_t *t, const unsigned char *p,
    approval_text_part_t *value)
{
    size_t                len;
    const unsigned char  *q, *last;

    last = t->last - p > TEXT_STRING ? p + TEXT_STRING : t->last;

    for (q = p + 1; q < last && approval_text_name_char(*q); q++) { /* void */ }

    if (q == last || *q != '$') {
        return 0;
    }

    len = (size_t) (q + 1 - p);

    value->start = p + len;

    for (q = value->start; (size_t) (last - q) >= len; q++) {
        if (*q == '$' && memcmp(q, p, len) == 0) {
            value->end = q;
            return q > value->start;
        }
    }

    return 0;
}


/* The quote of N'x', E'x', X'x' and the like, or NULL. */

static const unsigned char *
text_sql_string(approval_text_t *t, const unsigned char *p)
{
    if (t->last - p < 2 || !strchr("NnEeBbXxUuFfRr", *p) || *p == '\0') {
        return NULL;
    }

    p++;

    if (*p == '&' && t->last - p > 1) {
        p++;
    }

    return approval_text_quote(*p) ? p : NULL;
}


/* --user name:password; 1000:1000 are numbers of a user and a group. */

static int
text_user(approval_text_t *t, const unsigned char *p,
    approval_text_part_t *value)
{
    const unsigned char  *q;

    if (!(approval_text_quote(*p) ? text_quoted(t, p, value)
                                  : text_bare(t, p, value)))
    {
        return 0;
    }

    q = value->start;

    while (q < value->end && *q != ':') {
        q++;
    }

    value->start = q < value->end ? q + 1 : q;

    for (q = value->start; q < value->end; q++) {
        if (*q < '0' || *q > '9') {
            return 1;
        }
    }

    return 0;
}


/*
 * "name: value" on a line of its own, as in YAML and in headers: the value is
 * the rest of the line, and the lines below that are indented deeper if the
 * value is a block or stands there.
 */

static int
text_line(approval_text_t *t, approval_text_part_t word,
    const unsigned char *p, approval_text_part_t *value)
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

        p = approval_text_blanks(t, q);
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


/* Nothing but blanks and list dashes before p? */

static int
text_line_start(approval_text_t *t, const unsigned char *p)
{
    while (p > t->first && (p[-1] == ' ' || p[-1] == '\t' || p[-1] == '-')) {
        p--;
    }

    return p == t->first || p[-1] == '\n';
}


static const unsigned char *
text_eol(approval_text_t *t, const unsigned char *p)
{
    while (p < t->last && *p != '\n' && *p != '\r') {
        p++;
    }

    return p;
}


/* "name = value of several words" on a line of its own. */

static int
text_rest(approval_text_t *t, const unsigned char *p,
    approval_text_part_t *value)
{
    value->start = p;
    value->end = p;

    while (p < t->last && *p != '\n' && *p != '\r' && *p != ';') {

        if (*p == '(') {
            p = text_call(t, p);

        } else {
            p++;
        }

        value->end = p;
    }

    return value->end > value->start;
}


static int
text_quoted(approval_text_t *t, const unsigned char *p,
    approval_text_part_t *value)
{
    unsigned        escaped;
    unsigned char   quote;

    escaped = *p == '\\';

    if (escaped && (++p == t->last || !approval_text_quote(*p))) {
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
text_bracket(approval_text_t *t, const unsigned char *p,
    approval_text_part_t *value)
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
text_bare(approval_text_t *t, const unsigned char *p,
    approval_text_part_t *value)
{
    const unsigned char   *q;
    approval_text_part_t   run;

    value->start = p;

    for ( ;; ) {
        run.start = p;
        p = text_bare_end(t, p);
        run.end = p;

        value->end = p;

        if (!approval_text_is(run, "bearer") && !approval_text_is(run, "basic")
            && !approval_text_is(run, "token")
            && !approval_text_is(run, "negotiate")
            && !approval_text_is(run, "apikey"))
        {
            break;
        }

        /* an authentication scheme: what follows is the secret */

        q = approval_text_blanks(t, p);

        if (q == p) {
            break;
        }

        p = q;
    }

    return value->end > value->start;
}


static const unsigned char *
text_bare_end(approval_text_t *t, const unsigned char *p)
{
    while (p < t->last && *p > ' ' && !strchr(",;&\"'`<>)}]|", *p)) {

        if (*p == '(') {
            p = text_call(t, p);

        } else {
            p++;
        }
    }

    return p;
}


/* "(...)": what is made of a secret's value is given it. */

static const unsigned char *
text_call(approval_text_t *t, const unsigned char *p)
{
    size_t                depth;
    approval_text_part_t  value;

    depth = 0;

    while (p < t->last) {

        if (approval_text_quote(*p)) {
            (void) text_quoted(t, p, &value);
            p = value.end < t->last ? value.end + 1 : t->last;
            continue;
        }

        if (*p == '(') {
            depth++;

        } else if (*p == ')' && --depth == 0) {
            return p + 1;
        }

        p++;
    }

    return p;
}


int
approval_text_is(approval_text_part_t word, const char *name)
{
    approval_str_t  s;

    s.data = word.start;
    s.len = word.start ? (size_t) (word.end - word.start) : 0;

    return approval_str_eq_nocase(s, approval_str(name));
}


int
approval_text_secret(approval_text_t *t, approval_text_part_t word)
{
    approval_str_t  name;

    name.data = word.start;
    name.len = (size_t) (word.end - word.start);

    return approval_redact_field(t->redact, name);
}


const unsigned char *
approval_text_blanks(approval_text_t *t, const unsigned char *p)
{
    while (p < t->last && (*p == ' ' || *p == '\t')) {
        p++;
    }

    return p;
}


const unsigned char *
approval_text_find(approval_text_t *t, const unsigned char *p,
    const char *what)
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


int
approval_text_name_char(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.'
           || c >= 0x80;
}


int
approval_text_quote(unsigned char c)
{
    return c == '"' || c == '\'' || c == '`';
}
