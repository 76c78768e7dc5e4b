
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The scan of a text: shapes at their prefixes, and values at the names of
 * secrets.
 */


#include "core/redact_internal.h"
#include "core/form.h"

#include <string.h>


#define ENCODED_MIN  20                /* base64 characters                */
#define WORDS        3                 /* "mot de passe", "API key"        */
#define COLUMNS_MAX  256
#define WORD_TRY     32
#define CODE_MAX     256
#define NONE         ((size_t) -1)


enum {
    CHAR_NAME = 1,
    CHAR_RUN = 2,                      /* occurs in encodings              */
    CHAR_BASE64 = 4,
    CHAR_CLOSES = 8                    /* may follow a name                */
};


typedef struct {
    const approval_redact_t  *redact;
    approval_str_t            text;
    redact_writer_t          *w;               /* NULL: only count         */
    const unsigned char      *done;            /* written up to there      */
    size_t                    words[WORDS];    /* starts of the last ones  */
    size_t                    word;            /* end of the last one      */
    size_t                    run;             /* end of the current run   */
    size_t                    segment;         /* of the path's segment    */
    unsigned                  nesting;
    unsigned                  path;
    unsigned                  cell;            /* a part, without rows     */
    int                       typed;           /* -1: not known yet        */
    unsigned                  masks;
} scan_t;


/* Most of these return the end of the masked part, or 0 if there is none. */

static unsigned scan_text(scan_t *s, const approval_redact_t *r,
    redact_writer_t *w, approval_str_t text, redact_how_e how,
    unsigned nesting);
static void scan_all(scan_t *s);
static size_t scan_shape(scan_t *s, size_t i);
static size_t scan_columns(scan_t *s, approval_str_t names, size_t i,
    redact_shape_e cell);
static void scan_cell(scan_t *s, redact_says_e says, approval_str_t part);
static size_t scan_run(scan_t *s, size_t i);
static int scan_decoded(void *data, approval_str_t name,
    approval_str_t value);
static size_t scan_word(scan_t *s, size_t i);
static redact_shape_e scan_place(scan_t *s, size_t i, size_t end);
static redact_says_e scan_name(scan_t *s, redact_says_e word, size_t *i,
    size_t end);
static size_t scan_value(scan_t *s, redact_shape_e place, redact_says_e says,
    size_t i);
static size_t scan_block(scan_t *s, redact_says_e block, size_t name,
    size_t i);
static int scan_typed(scan_t *s, unsigned roles);
static size_t scan_mask(scan_t *s, redact_says_e says, approval_str_t value);
static size_t scan_column(scan_t *s, size_t i);
static size_t scan_blanks(scan_t *s, size_t i);
static int scan_quote(unsigned char c);


#define NAME  (CHAR_NAME|CHAR_RUN|CHAR_BASE64)

static const unsigned char  classes[256] = {
    ['a' ... 'z'] = NAME, ['A' ... 'Z'] = NAME, ['0' ... '9'] = NAME,
    ['_'] = NAME, ['-'] = NAME, ['.'] = CHAR_NAME|CHAR_RUN,
    ['+'] = CHAR_RUN|CHAR_BASE64, ['/'] = CHAR_RUN|CHAR_BASE64,
    ['='] = CHAR_RUN|CHAR_BASE64, ['%'] = CHAR_RUN, ['~'] = CHAR_RUN,
    ['"'] = CHAR_CLOSES, ['\''] = CHAR_CLOSES, ['`'] = CHAR_CLOSES,
    ['\\'] = CHAR_CLOSES, [']'] = CHAR_CLOSES, [')'] = CHAR_CLOSES,
    [0x80 ... 0xff] = CHAR_NAME
};


void
redact_text(redact_writer_t *w, approval_str_t text, redact_how_e how)
{
    size_t            start, masks;
    scan_t            s;
    redact_tables_t  *t;

    t = w->redact->tables;
    t->failed = 0;
    t->work = text.len * REDACT_WORK;

    start = w->out->len;
    masks = w->masks;

    (void) scan_text(&s, w->redact, w, text, how, w->nesting);

    if (t->failed) {
        w->out->len = start;
        w->masks = masks;
        redact_mask(w, text);

    } else {
        text.len -= (size_t) (s.done - text.data);
        text.data = s.done;
        w->escape(text, w->out);
    }
}


static unsigned
scan_text(scan_t *s, const approval_redact_t *r, redact_writer_t *w,
    approval_str_t text, redact_how_e how, unsigned nesting)
{
    size_t  head;

    memset(s, 0, sizeof(scan_t));

    s->redact = r;
    s->w = w;
    s->text = text;
    s->done = text.data;
    s->nesting = nesting;
    s->path = how == REDACT_PATH;
    s->typed = -1;

    if (how == REDACT_CSV) {
        head = approval_str_find(text, 0, "\n");
        (void) scan_columns(s, approval_str_sub(text, 0, head), head + 1,
                            SHAPE_FIELD);
    } else {
        scan_all(s);
    }

    return s->masks;
}


static void
scan_all(scan_t *s)
{
    size_t                  i, end;
    unsigned                class, before;
    const unsigned char    *p;
    const redact_index_t   *t;
    const redact_tables_t  *tables;

    tables = s->redact->tables;
    t = &tables->prefixes;
    p = s->text.data;
    before = 0;

    for (i = 0; i < s->text.len && !tables->failed; i++) {
        class = classes[p[i]];
        end = 0;

        if (i + 3 < s->text.len && redact_first(t, p + i)) {
            end = scan_shape(s, i);
        }

        if (end == 0 && (class & CHAR_RUN) && i >= s->run) {
            end = scan_run(s, i);
        }

        if (end == 0 && (class & CHAR_NAME) && !(before & CHAR_NAME)) {
            end = scan_word(s, i);
        }

        before = class;

        if (end > i) {
            i = end - 1;
            before = 0;
            s->run = end > s->run ? end : s->run;
        }
    }
}


static size_t
scan_shape(scan_t *s, size_t i)
{
    size_t                 e, end;
    unsigned               kind, tried;
    redact_found_t         found;
    const unsigned char   *p;
    const redact_index_t  *t;

    t = &s->redact->tables->prefixes;
    p = s->text.data + i;
    tried = 0;
    end = 0;

    for (e = redact_first(t, p); e && end == 0; e = t->entries[e].next) {
        kind = t->entries[e].kind;

        if ((tried & 1u << kind) || !redact_at(t, e, p, s->text.len - i)) {
            continue;
        }

        tried |= 1u << kind;

        if (!redact_match(s->redact, kind, s->text, i, &found)) {
            continue;
        }

        switch (kind) {

        case SHAPE_COOKIE:
            for (end = found.end;
                 redact_match(s->redact, SHAPE_CRUMB, s->text, end, &found);
                 end = found.end)
            {
                (void) scan_mask(s, REDACT_SECRET, found.value);
            }

            break;

        case SHAPE_COLUMNS:
            end = s->cell ? 0 : scan_columns(s, found.name, found.end,
                                             SHAPE_CELL);
            break;

        case SHAPE_PAIR:
            end = scan_mask(s, redact_name(s->redact, found.name, 0, NULL),
                            found.value);
            break;

        default:
            end = scan_mask(s, REDACT_SECRET, found.value);
        }
    }

    return end;
}


/*
 * Scans rows of values from i on, as in INSERT and CSV: masks those in columns
 * of secrets, and scans the others.
 */

static size_t
scan_columns(scan_t *s, approval_str_t names, size_t i, redact_shape_e cell)
{
    size_t          k, n, end;
    redact_found_t  found;
    redact_says_e   says[COLUMNS_MAX];

    for (n = 0, k = 0; k < names.len && n < COLUMNS_MAX; k = end + 1) {
        end = approval_str_find(names, k, ",");
        says[n++] = redact_name(s->redact, approval_str_sub(names, k, end), 0,
                                NULL);
    }

    for (k = 0; i < s->text.len; i = found.end) {

        if (cell == SHAPE_CELL && k == 0) {
            while (i < s->text.len && strchr(", \t\r\n", s->text.data[i])) {
                i++;
            }

            if (i == s->text.len || s->text.data[i] != '(') {
                break;
            }

            i++;
        }

        if (!redact_match(s->redact, cell, s->text, i, &found)) {

            /* its end is missing: do not search for it again */

            s->cell = 1;

            if (k >= n || says[k] < REDACT_SECRET) {
                break;
            }

            found.value = approval_str_sub(s->text, i, s->text.len);
            found.end = s->text.len;
        }

        scan_cell(s, k < n ? says[k] : REDACT_OPEN, found.value);

        k = s->text.data[found.end - 1] == ',' ? k + 1 : 0;
    }

    return i;
}


static void
scan_cell(scan_t *s, redact_says_e says, approval_str_t part)
{
    scan_t  cell;

    if (scan_mask(s, says, part)) {
        return;
    }

    cell = *s;

    cell.text = part;
    cell.cell = 1;
    cell.word = 0;
    cell.run = 0;
    cell.segment = 0;
    cell.typed = 0;

    scan_all(&cell);

    s->masks = cell.masks;
    s->done = cell.done;
}


/* Decodes percent or base64 encoding, and scans the result. */

static size_t
scan_run(scan_t *s, size_t i)
{
    scan_t           plain;
    unsigned         base64, percent;
    const char      *err;
    approval_buf_t   out;
    approval_str_t   run;

    run = approval_str_sub(s->text, i, i);
    base64 = CHAR_BASE64;
    percent = 0;

    while (i + run.len < s->text.len
           && (classes[run.data[run.len]] & CHAR_RUN))
    {
        base64 &= classes[run.data[run.len]];
        percent |= run.data[run.len++] == '%';
    }

    s->run = i + run.len;

    if (!percent && (!base64 || run.len < ENCODED_MIN)) {
        return 0;
    }

    plain = *s;
    plain.masks = 0;

    /* a run that does not decode is scanned as plain text */

    if (percent) {
        (void) approval_form_each(run, scan_decoded, &plain, &err);

    } else {
        approval_buf_init(&out);

        if (redact_base64(run, &out)) {
            (void) scan_decoded(&plain, approval_str(""),
                                approval_buf_str(&out));
        }

        approval_buf_wipe(&out);
    }

    return plain.masks ? scan_mask(s, REDACT_RULE, run) : 0;
}


static int
scan_decoded(void *data, approval_str_t name, approval_str_t value)
{
    scan_t *s = data;

    unsigned        k;
    scan_t          plain;
    approval_str_t  both[2] = { name, value };

    for (k = 0; k < 2 && s->masks == 0; k++) {

        /* a secret, or nested too deeply to tell */

        s->masks = s->nesting >= REDACT_NESTING
                   || scan_text(&plain, s->redact, NULL, both[k],
                                s->path ? REDACT_PATH : REDACT_TEXT,
                                s->nesting + 1);
    }

    return APPROVAL_OK;
}


static size_t
scan_word(scan_t *s, size_t i)
{
    size_t          k, end, next;
    unsigned        roles;
    redact_says_e   says;
    redact_shape_e  place;
    approval_str_t  text;

    text = s->text;

    for (end = i; end < text.len && (classes[text.data[end]] & CHAR_NAME);
         end++)
    {
        /* void */
    }

    /* the words of one name are separated by single blanks */

    for (k = WORDS - 1; k; k--) {
        s->words[k] = i && i == s->word + 1 && text.data[i - 1] == ' '
                      ? s->words[k - 1] : i;
    }

    s->words[0] = i;
    s->word = end;

    if (end + 1 < text.len && text.data[end] == ':'
        && text.data[end + 1] > ' ' && text.data[end + 1] != '/')
    {
        next = scan_value(s, SHAPE_USER, REDACT_SECRET, i);

        if (next) {
            return next;
        }
    }

    place = scan_place(s, i, end);

    if (place == SHAPE_KINDS) {
        return 0;
    }

    says = redact_name(s->redact, approval_str_sub(text, i, end), 0, &roles);

    if (place != SHAPE_ASSIGNED) {
        return says == REDACT_OPEN ? 0
               : says != REDACT_LIKELY ? scan_value(s, place, says, i)
               : place == SHAPE_SEGMENT ? 0
               : scan_value(s, SHAPE_LIKELY, says, i);
    }

    if (says == REDACT_OPEN && scan_typed(s, roles)) {
        return scan_column(s, i) == NONE ? 0
               : scan_block(s, REDACT_RULE, i,
                            approval_str_find(text, end, "\n") + 1);
    }

    k = i;
    says = says < REDACT_SECRET ? scan_name(s, says, &k, end) : says;

    if (says <= REDACT_LIKELY) {
        return says ? scan_value(s, SHAPE_LIKELY, says, i) : 0;
    }

    next = scan_column(s, k) == NONE ? 0 : scan_value(s, SHAPE_LINE, says, i);

    return next ? next : scan_value(s, place, says, i);
}


/* Where can the word's value be?  SHAPE_KINDS: nowhere. */

static redact_shape_e
scan_place(scan_t *s, size_t i, size_t end)
{
    size_t                k, n;
    unsigned char         before, c;
    const unsigned char  *p;

    p = s->text.data;
    before = i ? p[i - 1] : '\0';

    /* <name or <ns:name */

    k = i ? i - 1 : 0;

    for (n = 0; before == ':' && k && n < 16
         && (classes[p[k - 1]] & CHAR_NAME); n++)
    {
        k--;
    }

    if (before == '<' || (n && k && p[k - 1] == '<')) {
        return SHAPE_TAG;
    }

    for (k = end; k < s->text.len && k < end + 3
         && (classes[p[k]] & CHAR_CLOSES); k++)
    {
        /* void */
    }

    n = scan_blanks(s, k);
    c = n < s->text.len ? p[n] : '\0';

    if (c == ':' || c == '=') {
        return SHAPE_ASSIGNED;
    }

    if (p[i] == '-' && n > end && c != '-') {
        return SHAPE_OPTION;
    }

    if (before == '/' && c == '/' && n == end) {
        return SHAPE_SEGMENT;
    }

    if (k > end || (n == k && c != '(') || c <= ' ') {
        return SHAPE_KINDS;
    }

    /* a text has many words, but few are followed by something like a value */

    for (k = n; k < s->text.len && k < n + WORD_TRY && p[k] > ' '; k++) {
        if ((p[k] >= '0' && p[k] <= '9') || !(classes[p[k]] & CHAR_NAME)) {
            return SHAPE_FOLLOWS;
        }
    }

    return k - n <= 3 ? SHAPE_FOLLOWS : SHAPE_KINDS;
}


/* A name of several words that ends with this one; *i becomes its start. */

static redact_says_e
scan_name(scan_t *s, redact_says_e word, size_t *i, size_t end)
{
    size_t         k;
    redact_says_e  says;

    for (k = 1; k < WORDS && s->words[k] < *i; k++) {
        says = redact_name(s->redact,
                           approval_str_sub(s->text, s->words[k], end),
                           s->words[0] - s->words[k], NULL);

        if (says > word) {
            *i = s->words[k];
            return says;
        }
    }

    return word;
}


static size_t
scan_value(scan_t *s, redact_shape_e place, redact_says_e says, size_t i)
{
    approval_str_t  text;
    redact_found_t  found, code;

    text = s->text;

    if (s->path && place != SHAPE_USER && place != SHAPE_SEGMENT) {

        if (i >= s->segment) {
            s->segment = approval_str_find(text, i, "/;");
        }

        text.len = s->segment;
    }

    if (!redact_match(s->redact, place, text, i, &found)) {
        return 0;
    }

    if (place == SHAPE_LINE && found.groups == 1) {
        return scan_block(s, says, i, found.end);
    }

    if (place == SHAPE_SEGMENT && says != REDACT_RULE) {
        says = REDACT_LIKELY;
    }

    if (says != REDACT_RULE && found.value.len < CODE_MAX
        && found.value.data > text.data && !scan_quote(found.value.data[-1])
        && redact_match(s->redact, SHAPE_CODE, found.value, 0, &code))
    {
        return 0;
    }

    return scan_mask(s, says, found.value);
}


/*
 * The lines below a name in YAML that are indented more.  Members that only
 * describe the secret are not masked, unless all are secrets.
 */

static size_t
scan_block(scan_t *s, redact_says_e block, size_t name, size_t i)
{
    size_t          own, start, end, next;
    unsigned        roles;
    redact_found_t  line;

    own = scan_column(s, name);
    end = 0;

    for ( /* void */ ; i < s->text.len && own != NONE; i = next + 1) {
        next = approval_str_find(s->text, i, "\n");

        for (start = i; start < next && s->text.data[start] == ' '; start++) {
            /* void */
        }

        if (start == next || s->text.data[start] == '\r') {
            continue;
        }

        if (start - i < own
            || (start - i == own && s->text.data[start] != '-')
            || !redact_match(s->redact, SHAPE_BLOCK, s->text, start, &line))
        {
            break;
        }

        end = next;

        /* "name:", or "name: |" and the lines below */

        if (line.groups < 2) {
            continue;
        }

        roles = 0;

        if (line.named && block != REDACT_RULE) {
            (void) redact_name(s->redact, line.name, 0, &roles);
        }

        scan_cell(s, roles & redact_role(NAME_TAIL) ? REDACT_OPEN : block,
                  line.value);
    }

    return end;
}


/* Does the text contain a Kubernetes Secret, if this is its "data:"? */

static int
scan_typed(scan_t *s, unsigned roles)
{
    redact_found_t  found;

    if (s->typed == -1 && (roles & redact_role(NAME_DATA))) {
        s->typed = redact_match(s->redact, SHAPE_TYPED, s->text, 0, &found);
    }

    return s->typed == 1 && (roles & redact_role(NAME_DATA));
}


static size_t
scan_mask(scan_t *s, redact_says_e says, approval_str_t value)
{
    approval_str_t  shown;

    if (!redact_secret(s->redact, says, value)) {
        return 0;
    }

    s->masks++;

    if (s->w) {
        shown.data = s->done;
        shown.len = (size_t) (value.data - s->done);

        s->w->escape(shown, s->w->out);
        redact_mask(s->w, value);
        s->done = value.data + value.len;
    }

    return (size_t) (value.data + value.len - s->text.data);
}


/*
 * The column of the item at i, if only blanks, dashes and quotes precede it on
 * its line; otherwise NONE.
 */

static size_t
scan_column(scan_t *s, size_t i)
{
    size_t                k, first;
    const unsigned char  *p;

    p = s->text.data;

    for (first = i; first && (p[first - 1] == ' ' || p[first - 1] == '\t'
                              || p[first - 1] == '-'
                              || scan_quote(p[first - 1])); first--)
    {
        /* void */
    }

    if (first && p[first - 1] != '\n' && p[first - 1] != '\r') {
        return NONE;
    }

    for (k = first; k < i && (p[k] == ' ' || p[k] == '-'); k++) {
        /* void */
    }

    return k - first;
}


static size_t
scan_blanks(scan_t *s, size_t i)
{
    while (i < s->text.len
           && (s->text.data[i] == ' ' || s->text.data[i] == '\t'))
    {
        i++;
    }

    return i;
}


static int
scan_quote(unsigned char c)
{
    return c == '"' || c == '\'' || c == '`';
}


int
redact_base64(approval_str_t code, approval_buf_t *out)
{
    size_t         i, n;
    unsigned char  c;

    for (i = 0; i < code.len && code.data[i] != '='; i++) {
        c = code.data[i];
        approval_buf_addc(out, c == '+' ? '-' : c == '/' ? '_' : c);
    }

    n = out->failed ? (size_t) -1
        : approval_base64url_decode(out->data, approval_buf_str(out));

    out->len = n == (size_t) -1 ? 0 : n;

    for (i = 0; i < out->len; i++) {
        c = out->data[i];

        if (c < ' ' && c != '\t' && c != '\r' && c != '\n') {
            return 0;
        }
    }

    return out->failed
           || (out->len && approval_utf8_valid(approval_buf_str(out)));
}
