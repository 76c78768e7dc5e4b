
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * approval-audit verify: verifies the audit trail.
 */


#include "tools/audit_tools.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>


#define TOLD_MAX  1000


/* The state of reading a file of heads. */

typedef struct {
    approval_verify_t       *verify;
    const approval_place_t  *place;
    unsigned long            found;
    approval_buf_t           note;   /* the lines so far */
} heads_t;


static const char *verify_verdict(const approval_verify_stats_t *stats,
    int rc);
static void verify_found(void *data, approval_found_e what,
    const approval_place_t *place, const char *why);
static int verify_heads(approval_verify_t *v, const char *name);
static int verify_heads_line(heads_t *heads, approval_str_t line,
    approval_line_e kind);
static int verify_heads_one(heads_t *heads, approval_str_t text,
    const char **err);
static int verify_begins(approval_str_t line, const char *text);
static int verify_heads_tokens(heads_t *heads, approval_str_t line,
    const char **err);


static const char  *found_names[] = {
    "note", "incomplete", "unauthenticated", "tampered"
};


int
approval_command_verify(approval_options_t *o)
{
    int                             rc;
    approval_entry_t                entry;
    approval_input_t               *in;
    approval_verify_t              *v;
    approval_teller_t               teller;
    const approval_verify_stats_t  *stats;

    if (o->nfiles == 0 || o->keys == NULL) {
        fputs("usage: approval-audit verify FILE... --key PUB.pem "
              "[--heads FILE] [-q]\n", stderr);
        return APPROVAL_EXIT_USAGE;
    }

    teller.out = stdout;
    teller.quiet = o->quiet;
    teller.told = 0;

    v = approval_verify_start(o, &teller);
    if (v == NULL) {
        return APPROVAL_EXIT_USAGE;
    }

    in = approval_input_open(o->files, o->nfiles, v);
    rc = in ? 0 : -1;

    while (in && (rc = approval_input_next(in, &entry)) == 1) {
        if (approval_verify_record(v, &entry.place, entry.event, entry.hash)
            != APPROVAL_OK)
        {
            fputs("approval-audit: no memory\n", stderr);
            rc = -1;
            break;
        }
    }

    if (rc == 0 && approval_verify_end(v) == APPROVAL_OK) {
        stats = approval_verify_stats(v);
        rc = approval_verify_exit(v);

        printf("%s: %llu records of %llu writers, %llu checkpoints, %llu "
               "actions; %llu tampered, %llu unauthenticated, %llu "
               "incomplete, %llu notes\n",
               verify_verdict(stats, rc),
               (unsigned long long) stats->records,
               (unsigned long long) stats->writers,
               (unsigned long long) stats->checkpoints,
               (unsigned long long) stats->actions,
               (unsigned long long) stats->findings[APPROVAL_FOUND_TAMPERED],
               (unsigned long long)
                             stats->findings[APPROVAL_FOUND_UNAUTHENTICATED],
               (unsigned long long) stats->findings[APPROVAL_FOUND_INCOMPLETE],
               (unsigned long long) stats->findings[APPROVAL_FOUND_NOTE]);

    } else {
        rc = APPROVAL_EXIT_USAGE;
    }

    approval_input_close(in);
    approval_verify_destroy(v);

    return rc;
}


static const char *
verify_verdict(const approval_verify_stats_t *stats, int rc)
{
    return rc == APPROVAL_EXIT_OK ? "ok"
           : stats->findings[APPROVAL_FOUND_TAMPERED] ? "tampered"
           : stats->findings[APPROVAL_FOUND_UNAUTHENTICATED]
           ? "unauthenticated" : "incomplete";
}


approval_verify_t *
approval_verify_start(approval_options_t *o, approval_teller_t *teller)
{
    size_t              i;
    approval_verify_t  *v;

    v = approval_verify_create(o->keys, verify_found, teller);

    if (v == NULL) {
        fputs("approval-audit: no memory\n", stderr);
        return NULL;
    }

    for (i = 0; i < o->nheads; i++) {
        if (verify_heads(v, o->heads[i]) != 0) {
            approval_verify_destroy(v);
            return NULL;
        }
    }

    return v;
}


int
approval_verify_exit(approval_verify_t *v)
{
    const approval_verify_stats_t  *stats;

    stats = approval_verify_stats(v);

    if (stats->findings[APPROVAL_FOUND_TAMPERED]) {
        return APPROVAL_EXIT_TAMPERED;
    }

    if (stats->findings[APPROVAL_FOUND_UNAUTHENTICATED]
        || stats->findings[APPROVAL_FOUND_INCOMPLETE]
        || stats->records == 0)
    {
        return APPROVAL_EXIT_INCOMPLETE;
    }

    return APPROVAL_EXIT_OK;
}


static void
verify_found(void *data, approval_found_e what, const approval_place_t *place,
    const char *why)
{
    approval_teller_t *teller = data;

    if (teller->out == NULL
        || (teller->quiet && what == APPROVAL_FOUND_NOTE))
    {
        return;
    }

    if (teller->told++ >= TOLD_MAX) {
        if (teller->told == TOLD_MAX + 1) {
            fputs("... and more\n", teller->out);
        }

        return;
    }

    approval_print(teller->out, "%s %s:%lu: %s", found_names[what],
                   place->file, place->line, why);
}


/*
 * Finds tokens anywhere in a line, for instance in a copied message, and notes:
 * as a JSON string, or as lines from the origin to the signature, among other
 * lines, as redis-cli prints a stream.
 */

static int
verify_heads(approval_verify_t *v, const char *name)
{
    int                rc;
    heads_t            heads;
    approval_str_t     line;
    approval_line_e    kind;
    approval_place_t   place;
    approval_lines_t  *lines;

    lines = approval_lines_open(name);
    if (lines == NULL) {
        return -1;
    }

    heads.verify = v;
    heads.place = &place;
    heads.found = 0;
    approval_buf_init(&heads.note);

    place.file = name;
    place.line = 0;

    while ((rc = approval_lines_next(lines, &line, &kind)) == 1) {
        place.line++;

        if (verify_heads_line(&heads, line, kind) != 0) {
            rc = -1;
            break;
        }
    }

    if (rc == 0 && heads.note.len) {
        fprintf(stderr, "approval-audit: %s: a checkpoint is incomplete\n",
                name);
        rc = -1;

    } else if (rc == 0 && heads.found == 0) {
        fprintf(stderr, "approval-audit: %s contains no head\n", name);
        rc = -1;
    }

    approval_buf_free(&heads.note);
    approval_lines_close(lines);

    return rc;
}


static int
verify_heads_line(heads_t *heads, approval_str_t line, approval_line_e kind)
{
    int              rc;
    json_t          *value;
    const char      *err;
    approval_str_t   text;

    value = NULL;
    rc = APPROVAL_OK;

    if (heads->note.len || verify_begins(line, "approval-audit/")) {
        approval_buf_add(&heads->note, line.data, line.len);

        if (kind != APPROVAL_LINE_CUT) {
            approval_buf_addc(&heads->note, '\n');
        }

        if (verify_begins(line, "\xe2\x80\x94 ")) {
            rc = verify_heads_one(heads, approval_buf_str(&heads->note), &err);
            approval_buf_reset(&heads->note);
        }

    } else {
        value = verify_begins(line, "\"") ? approval_json_parse(line, &err)
                                          : NULL;

        if (json_is_string(value)) {
            text.data = (const unsigned char *) json_string_value(value);
            text.len = json_string_length(value);
            rc = verify_heads_one(heads, text, &err);

        } else {
            rc = verify_heads_tokens(heads, line, &err);
        }
    }

    json_decref(value);

    if (rc != APPROVAL_OK) {
        fprintf(stderr, "approval-audit: %s:%lu: not a head: %s\n",
                heads->place->file, heads->place->line,
                rc == APPROVAL_DECLINED ? err : "no memory");
        return -1;
    }

    return 0;
}


static int
verify_heads_one(heads_t *heads, approval_str_t text, const char **err)
{
    heads->found++;

    return approval_verify_head(heads->verify, heads->place, text, err);
}


static int
verify_begins(approval_str_t line, const char *text)
{
    return line.len >= strlen(text)
           && memcmp(line.data, text, strlen(text)) == 0;
}


/* A word that begins like a token (WRITER/ and a digit) must be one. */

static int
verify_heads_tokens(heads_t *heads, approval_str_t line, const char **err)
{
    int             rc;
    size_t          i, end;
    approval_str_t  word;

    rc = APPROVAL_OK;

    for (i = 0; rc == APPROVAL_OK && i < line.len; i = end + 1) {

        for (end = i; end < line.len
                      && (isalnum(line.data[end]) || line.data[end] == '/');
             end++)
        {
            /* void */
        }

        word.data = line.data + i;
        word.len = end - i;

        /* skip the character after a backslash: an escape in JSON */

        if (end < line.len && line.data[end] == '\\') {
            end++;
        }

        if (word.len > APPROVAL_WRITER_LEN + 2
            && word.data[APPROVAL_WRITER_LEN] == '/'
            && isdigit(word.data[APPROVAL_WRITER_LEN + 1]))
        {
            rc = verify_heads_one(heads, word, err);
        }
    }

    return rc;
}
