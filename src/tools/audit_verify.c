
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * approval-audit verify
 */


#define _POSIX_C_SOURCE  200809L

#include "tools/audit_tools.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>


#define TOLD_MAX  1000


static void verify_found(void *data, approval_found_e what,
    const approval_place_t *place, const char *why);
static int verify_heads(approval_verify_t *v, const char *name);
static int verify_heads_line(approval_verify_t *v, approval_buf_t *note,
    const approval_place_t *place, char *line, size_t len);
static int verify_heads_tokens(approval_verify_t *v,
    const approval_place_t *place, approval_str_t line, const char **err);


static const char  *found_names[] = { "note", "incomplete", "tampered" };


int
approval_command_verify(approval_options_t *o)
{
    int                             rc;
    approval_entry_t                entry;
    approval_input_t               *in;
    approval_verify_t              *v;
    approval_teller_t               teller;
    const approval_verify_stats_t  *stats;

    if (o->nfiles == 0 || o->nkeys == 0) {
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
               "actions; %llu tampered, %llu incomplete, %llu notes\n",
               rc == 0 ? "ok" : found_names[3 - rc],
               (unsigned long long) stats->records,
               (unsigned long long) stats->writers,
               (unsigned long long) stats->checkpoints,
               (unsigned long long) stats->actions,
               (unsigned long long) stats->findings[APPROVAL_FOUND_TAMPERED],
               (unsigned long long) stats->findings[APPROVAL_FOUND_INCOMPLETE],
               (unsigned long long) stats->findings[APPROVAL_FOUND_NOTE]);

    } else {
        rc = APPROVAL_EXIT_USAGE;
    }

    approval_input_close(in);
    approval_verify_destroy(v);

    return rc;
}


approval_verify_t *
approval_verify_start(approval_options_t *o, approval_teller_t *teller)
{
    size_t              i;
    approval_verify_t  *v;

    v = approval_verify_create(o->keys, o->nkeys, verify_found, teller);

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

    if (stats->findings[APPROVAL_FOUND_INCOMPLETE] || stats->records == 0) {
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

    fprintf(teller->out, "%s %s:%lu: %s\n", found_names[what], place->file,
            place->line, why);
}


/*
 * Tokens, wherever they stand in a line, as in a message that was copied; a
 * note as a JSON string, or as it stands, from its origin to its signature,
 * among lines of no interest, as redis-cli prints a stream.
 */

static int
verify_heads(approval_verify_t *v, const char *name)
{
    int                rc;
    FILE              *file;
    char              *line;
    size_t             size;
    ssize_t            n;
    approval_buf_t     note;
    approval_place_t   place;

    file = fopen(name, "rb");

    if (file == NULL) {
        perror(name);
        return -1;
    }

    approval_buf_init(&note);

    place.file = name;
    place.line = 0;

    line = NULL;
    size = 0;
    rc = 0;

    while (rc == 0 && (n = getline(&line, &size, file)) > 0) {
        place.line++;
        rc = verify_heads_line(v, &note, &place, line, (size_t) n);
    }

    if (rc == 0 && note.len) {
        fprintf(stderr, "approval-audit: %s: a checkpoint does not end\n",
                name);
        rc = -1;
    }

    approval_buf_free(&note);
    free(line);
    fclose(file);

    return rc;
}


static int
verify_heads_line(approval_verify_t *v, approval_buf_t *note,
    const approval_place_t *place, char *line, size_t len)
{
    int              rc;
    json_t          *value;
    const char      *err;
    approval_str_t   text;

    text.data = (unsigned char *) line;
    text.len = len;

    value = NULL;
    rc = APPROVAL_OK;

    if (note->len || strncmp(line, "approval-audit/", 15) == 0) {
        approval_buf_add(note, line, len);

        if (strncmp(line, "\xe2\x80\x94 ", 4) == 0) {
            rc = approval_verify_head(v, place, approval_buf_str(note), &err);
            approval_buf_reset(note);
        }

    } else if (line[0] == '"') {
        value = approval_json_parse(text, &err);

        if (json_is_string(value)) {
            text.data = (const unsigned char *) json_string_value(value);
            text.len = json_string_length(value);
            rc = approval_verify_head(v, place, text, &err);

        } else {
            rc = verify_heads_tokens(v, place, text, &err);
        }

    } else {
        rc = verify_heads_tokens(v, place, text, &err);
    }

    json_decref(value);

    if (rc != APPROVAL_OK) {
        fprintf(stderr, "approval-audit: %s:%lu: not a head: %s\n",
                place->file, place->line,
                rc == APPROVAL_DECLINED ? err : "no memory");
        return -1;
    }

    return 0;
}


/* What has the form of a token up to its second slash is meant to be one. */

static int
verify_heads_tokens(approval_verify_t *v, const approval_place_t *place,
    approval_str_t line, const char **err)
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

        /* what follows a backslash in JSON is no part of a word */

        if (end < line.len && line.data[end] == '\\') {
            end++;
        }

        if (word.len > APPROVAL_WRITER_LEN + 2
            && word.data[APPROVAL_WRITER_LEN] == '/'
            && isdigit(word.data[APPROVAL_WRITER_LEN + 1]))
        {
            rc = approval_verify_head(v, place, word, err);
        }
    }

    return rc;
}
