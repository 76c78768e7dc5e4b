
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * approval-audit export: records, each with the proof that it is in a log that
 * the gateway has signed.  The files are read twice: for the tree, and for the
 * records.
 */


#include "tools/audit_tools.h"

#include <stdlib.h>
#include <string.h>


typedef struct log_s  log_t;

struct log_s {
    log_t               *next;
    char                 writer[APPROVAL_WRITER_LEN];
    uint64_t             seq;
    approval_leaves_t    leaves;
    uint64_t             covered;    /* by the last checkpoint */
    char                *note;
};


static int export_trees(approval_options_t *o, approval_verify_t *v,
    log_t **logs);
static int export_add(log_t **logs, approval_entry_t *entry);
static log_t *export_log(log_t *logs, json_t *event);
static int export_records(approval_options_t *o, approval_verify_t *v,
    log_t *logs);
static int export_wanted(approval_options_t *o, json_t *event);
static int export_jsonl(log_t *log, approval_entry_t *entry);
static int export_csv(log_t *log, approval_entry_t *entry);
static void export_cell(json_t *event, const char *name);
static int export_path(log_t *log, uint64_t seq, approval_buf_t *hex);


static const char  *columns[] = {
    "time", "type", "action_id", "requester", "identity", "method", "host",
    "target", "digest", "policy", "rule", "decision", "approvers", "comment",
    "why", "outcome", "writer", "seq", "hash", NULL
};


int
approval_command_export(approval_options_t *o)
{
    int                 rc;
    log_t              *logs, *next;
    approval_verify_t  *v;
    approval_teller_t   teller;

    if (o->nfiles == 0 || o->nkeys == 0
        || (o->format && strcmp(o->format, "jsonl") != 0
            && strcmp(o->format, "csv") != 0))
    {
        fputs("usage: approval-audit export FILE... --key PUB.pem "
              "[--since TIME] [--until TIME]\n"
              "       [--action ID] [--format jsonl|csv]\n", stderr);
        return APPROVAL_EXIT_USAGE;
    }

    teller.out = stderr;
    teller.quiet = 1;
    teller.told = 0;

    logs = NULL;
    rc = APPROVAL_EXIT_USAGE;

    v = approval_verify_start(o, &teller);

    if (v && export_trees(o, v, &logs) == 0) {
        rc = approval_verify_exit(v);

        teller.out = NULL;

        if (export_records(o, v, logs) != 0) {
            rc = APPROVAL_EXIT_USAGE;
        }
    }

    approval_verify_destroy(v);

    for ( /* void */ ; logs; logs = next) {
        next = logs->next;
        approval_leaves_free(&logs->leaves);
        free(logs->note);
        free(logs);
    }

    return rc;
}


static int
export_trees(approval_options_t *o, approval_verify_t *v, log_t **logs)
{
    int                rc;
    approval_entry_t   entry;
    approval_input_t  *in;

    in = approval_input_open(o->files, o->nfiles, v);
    if (in == NULL) {
        return -1;
    }

    while ((rc = approval_input_next(in, &entry)) == 1) {
        if (approval_verify_record(v, &entry.place, entry.event, entry.hash)
            != APPROVAL_OK
            || export_add(logs, &entry) != 0)
        {
            fputs("approval-audit: no memory\n", stderr);
            rc = -1;
            break;
        }
    }

    approval_input_close(in);

    if (rc == 0 && approval_verify_end(v) != APPROVAL_OK) {
        rc = -1;
    }

    return rc;
}


static int
export_add(log_t **logs, approval_entry_t *entry)
{
    log_t       *log;
    json_t      *note;
    uint64_t     seq;
    const char  *type;

    log = export_log(*logs, entry->event);

    if (log == NULL) {
        log = calloc(1, sizeof(log_t));
        if (log == NULL) {
            return -1;
        }

        memcpy(log->writer,
               json_string_value(json_object_get(entry->event, "writer")),
               APPROVAL_WRITER_LEN);
        approval_leaves_init(&log->leaves);

        log->next = *logs;
        *logs = log;
    }

    seq = (uint64_t) json_integer_value(json_object_get(entry->event, "seq"));

    /* only a whole tree proves anything; what is wrong was said */

    if (seq != log->seq + 1) {
        return 0;
    }

    type = json_string_value(json_object_get(entry->event, "type"));
    note = json_object_get(entry->event, "checkpoint");

    if (type && strcmp(type, "checkpoint") == 0 && json_is_string(note)) {
        free(log->note);
        log->note = malloc(json_string_length(note) + 1);

        if (log->note == NULL) {
            return -1;
        }

        memcpy(log->note, json_string_value(note),
               json_string_length(note) + 1);
        log->covered = seq - 1;
    }

    log->seq = seq;

    return approval_leaves_add(&log->leaves, entry->hash) == APPROVAL_OK
           ? 0 : -1;
}


static log_t *
export_log(log_t *logs, json_t *event)
{
    log_t       *log;
    const char  *writer;

    writer = json_string_value(json_object_get(event, "writer"));

    for (log = logs; log; log = log->next) {
        if (memcmp(log->writer, writer, APPROVAL_WRITER_LEN) == 0) {
            return log;
        }
    }

    return NULL;
}


static int
export_records(approval_options_t *o, approval_verify_t *v, log_t *logs)
{
    int                rc;
    size_t             i;
    log_t             *log;
    approval_entry_t   entry;
    approval_input_t  *in;

    in = approval_input_open(o->files, o->nfiles, v);
    if (in == NULL) {
        return -1;
    }

    if (o->format && o->format[0] == 'c') {
        for (i = 0; columns[i]; i++) {
            printf("%s,", columns[i]);
        }

        puts("tree_size,audit_path");
    }

    while ((rc = approval_input_next(in, &entry)) == 1) {

        if (!export_wanted(o, entry.event)) {
            continue;
        }

        log = export_log(logs, entry.event);

        if (log == NULL
            || (o->format && o->format[0] == 'c' ? export_csv(log, &entry)
                                                 : export_jsonl(log, &entry))
               != 0)
        {
            rc = -1;
            break;
        }
    }

    approval_input_close(in);

    return rc;
}


static int
export_wanted(approval_options_t *o, json_t *event)
{
    const char  *time, *id;

    time = json_string_value(json_object_get(event, "time"));
    id = json_string_value(json_object_get(event, "action_id"));

    if (o->action && (id == NULL || strcmp(id, o->action) != 0)) {
        return 0;
    }

    return (o->since == NULL || (time && strcmp(time, o->since) >= 0))
           && (o->until == NULL || (time && strcmp(time, o->until) < 0));
}


/* Hex, the hashes separated by blanks; none where no checkpoint covers it. */

static int
export_path(log_t *log, uint64_t seq, approval_buf_t *hex)
{
    int             rc;
    size_t          i;
    unsigned char   text[2 * APPROVAL_SHA256_LEN];
    approval_buf_t  path;

    approval_buf_init(&path);

    rc = approval_leaves_path(&log->leaves, seq - 1, log->covered, &path);

    for (i = 0; rc == APPROVAL_OK && i < path.len; i += APPROVAL_SHA256_LEN) {
        (void) approval_hex_encode(text, path.data + i, APPROVAL_SHA256_LEN);

        if (i) {
            approval_buf_addc(hex, ' ');
        }

        approval_buf_add(hex, text, sizeof(text));
    }

    approval_buf_free(&path);

    return rc == APPROVAL_OK && !hex->failed ? 0 : -1;
}


static int
export_jsonl(log_t *log, approval_entry_t *entry)
{
    json_t          *line, *proof;
    uint64_t         seq;
    approval_buf_t   path, out;

    approval_buf_init(&path);
    approval_buf_init(&out);

    seq = (uint64_t) json_integer_value(json_object_get(entry->event, "seq"));
    proof = NULL;

    if (seq <= log->covered && export_path(log, seq, &path) == 0) {
        proof = json_pack("{s:I, s:I, s:s%, s:s}",
                          "index", (json_int_t) (seq - 1),
                          "tree_size", (json_int_t) log->covered,
                          "audit_path", path.len ? (char *) path.data : "",
                          path.len, "checkpoint", log->note);
    }

    line = json_pack("{s:O, s:o}", "record", entry->event,
                     "proof", proof ? proof : json_null());

    if (line && approval_json_canonical(line, &out) == APPROVAL_OK
        && !out.failed)
    {
        printf("%.*s\n", (int) out.len, (char *) out.data);
        json_decref(line);
        line = NULL;
        proof = NULL;

    } else {
        json_decref(line);
        fputs("approval-audit: no memory\n", stderr);
        line = (json_t *) 1;
    }

    approval_buf_free(&path);
    approval_buf_free(&out);

    return line == NULL ? 0 : -1;
}


static int
export_csv(log_t *log, approval_entry_t *entry)
{
    size_t          i;
    uint64_t        seq;
    approval_buf_t  path;

    approval_buf_init(&path);

    seq = (uint64_t) json_integer_value(json_object_get(entry->event, "seq"));

    for (i = 0; columns[i]; i++) {
        export_cell(entry->event, columns[i]);
    }

    if (seq <= log->covered && export_path(log, seq, &path) == 0) {
        printf("%llu,%.*s\n", (unsigned long long) log->covered,
               (int) path.len, path.len ? (char *) path.data : "");

    } else {
        puts(",");
    }

    approval_buf_free(&path);

    return 0;
}


/* RFC 4180; a formula of a spreadsheet stays text. */

static void
export_cell(json_t *event, const char *name)
{
    size_t          i;
    json_t         *value;
    approval_buf_t  text;

    value = json_object_get(event, name);

    approval_buf_init(&text);

    if (value && !json_is_null(value)) {
        (void) approval_json_text(value, &text);
    }

    putchar('"');

    if (text.len && strchr("=+-@\t\r", text.data[0])) {
        putchar('\'');
    }

    for (i = 0; i < text.len; i++) {
        if (text.data[i] == '"') {
            putchar('"');
        }

        putchar(text.data[i]);
    }

    fputs("\",", stdout);

    approval_buf_free(&text);
}
