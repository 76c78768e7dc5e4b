
/*
 * Copyright (C) ngx_http_approval_module contributors
 */


#include "core/csv.h"

#include <string.h>


/*
 * Each column is a member of the record.  If the record does not have it, the
 * member "other" is used.
 */

static const struct {
    const char  *name;
    const char  *other;
} csv_columns[] = {
    { "time", NULL },
    { "store_time", NULL },
    { "type", NULL },
    { "action_id", NULL },
    { "action", NULL },
    { "risk", NULL },
    { "summary", NULL },
    { "requester", NULL },
    { "on_behalf_of", NULL },
    { "reason", NULL },
    { "identity", NULL },
    { "person", NULL },
    { "how", NULL },
    { "passkey", NULL },
    { "break_glass", NULL },
    { "groups", NULL },
    { "remote_addr", NULL },
    { "method", NULL },
    { "host", NULL },
    { "target", NULL },
    { "matched", NULL },
    { "show", NULL },
    { "digest", NULL },
    { "policy", NULL },
    { "rule", NULL },
    { "require", NULL },
    { "decision", NULL },
    { "approvers", "by" },
    { "comment", NULL },
    { "refusal", NULL },
    { "why", NULL },
    { "limit", NULL },
    { "mode", NULL },
    { "grant", NULL },
    { "channel", NULL },
    { "event", NULL },
    { "outcome", NULL },
    { "what", NULL },
    { "writer", NULL },
    { "seq", NULL },
    { "hash", NULL },
    { NULL, NULL }
};

static const char  csv_proof[] = "proof,tree_size,audit_path,checkpoint\n";


/* ASCII and full-width characters that begin a formula in a spreadsheet. */

static const char  *csv_formulas[] = {
    "=", "+", "-", "@", "\t", "\r", "\n", "\xef\xbc\x9d", "\xef\xbc\x8b",
    "\xef\xbc\x8d", "\xef\xbc\xa0", NULL
};


static void csv_cell(approval_str_t text, approval_buf_t *out);
static int csv_formula(approval_str_t text);


void
approval_csv_head(approval_buf_t *out)
{
    size_t  i;

    for (i = 0; csv_columns[i].name; i++) {
        approval_buf_adds(out, csv_columns[i].name);
        approval_buf_addc(out, ',');
    }

    approval_buf_adds(out, csv_proof);
}


int
approval_csv_is_head(approval_str_t line)
{
    static const char  begin[] = "time,";

    return line.len >= sizeof(begin) - 1
           && memcmp(line.data, begin, sizeof(begin) - 1) == 0;
}


void
approval_csv_record(json_t *event, approval_buf_t *out)
{
    size_t           i;
    json_t          *value;
    approval_buf_t   cell;

    for (i = 0; csv_columns[i].name; i++) {
        value = json_object_get(event, csv_columns[i].name);

        if (value == NULL && csv_columns[i].other) {
            value = json_object_get(event, csv_columns[i].other);
        }

        approval_buf_init(&cell);

        if (value && !json_is_null(value)
            && approval_json_text(value, &cell) != APPROVAL_OK)
        {
            out->failed = 1;
        }

        csv_cell(approval_buf_str(&cell), out);
        approval_buf_addc(out, ',');

        out->failed |= cell.failed;

        approval_buf_free(&cell);
    }
}


/* Line feeds in the note are written as "\n", so that a row is one line. */

void
approval_csv_proof(uint64_t size, const approval_buf_t *path, json_t *note,
    approval_buf_t *out)
{
    const char  *p;

    if (note == NULL) {
        approval_buf_adds(out, "unauthenticated,,,\n");
        return;
    }

    approval_buf_adds(out, "signed,");

    if (path) {
        approval_buf_printf(out, "%llu,", (unsigned long long) size);
        approval_buf_add(out, path->data, path->len);

    } else {
        approval_buf_addc(out, ',');
    }

    approval_buf_adds(out, ",\"");

    for (p = json_string_value(note); p && *p; p++) {

        if (*p == '\n') {
            approval_buf_adds(out, "\\n");

        } else {
            approval_buf_addc(out, (unsigned char) *p);
        }
    }

    approval_buf_adds(out, "\"\n");
}


/*
 * Puts an apostrophe before each formula, so that it stays text.  A spreadsheet
 * may be set to other separators, so this is done wherever a cell could begin.
 */

static void
csv_cell(approval_str_t text, approval_buf_t *out)
{
    int             begin;
    unsigned char   c;

    approval_buf_addc(out, '"');

    for (begin = 1; text.len; text.data++, text.len--) {
        c = text.data[0];

        if (begin && csv_formula(text)) {
            approval_buf_addc(out, '\'');
        }

        if (c == '"') {
            approval_buf_addc(out, '"');
        }

        approval_buf_addc(out, c);

        begin = c == ',' || c == ';' || c == '|' || c == '\t' || c == '\r'
                || c == '\n' || (begin && (c == '"' || c == ' '));
    }

    approval_buf_addc(out, '"');
}


static int
csv_formula(approval_str_t text)
{
    size_t  i, len;

    for (i = 0; csv_formulas[i]; i++) {
        len = strlen(csv_formulas[i]);

        if (text.len >= len && memcmp(text.data, csv_formulas[i], len) == 0) {
            return 1;
        }
    }

    return 0;
}
