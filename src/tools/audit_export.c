
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * approval-audit export: writes records, each with the proof that it is in a
 * log that the gateway has signed.
 */


#include "tools/audit_tools.h"

#include <string.h>


static int export_records(approval_options_t *o, approval_verify_t *v,
    approval_export_t *e);
static int export_write(approval_buf_t *out);


int
approval_command_export(approval_options_t *o)
{
    int                 rc;
    approval_export_t  *e;
    approval_verify_t  *v;
    approval_teller_t   teller;

    if (o->nfiles == 0 || o->keys == NULL) {
        fputs("usage: approval-audit export FILE... --key PUB.pem "
              "[--since TIME] [--until TIME]\n"
              "       [--action ID] [--limit N] [--format jsonl|csv]\n",
              stderr);
        return APPROVAL_EXIT_USAGE;
    }

    teller.out = stderr;
    teller.quiet = 1;
    teller.told = 0;

    rc = APPROVAL_EXIT_USAGE;

    e = approval_export_create(&o->wanted, o->keys);
    v = approval_verify_start(o, &teller);

    if (e && v && export_records(o, v, e) == 0
        && approval_verify_end(v) == APPROVAL_OK)
    {
        rc = approval_verify_exit(v);
    }

    approval_export_destroy(e);
    approval_verify_destroy(v);

    return rc;
}


/* Reads all records, also unwanted ones, to verify the log as a whole. */

static int
export_records(approval_options_t *o, approval_verify_t *v,
    approval_export_t *e)
{
    int                rc;
    approval_buf_t     out;
    approval_entry_t   entry;
    approval_input_t  *in;

    in = approval_input_open(o->files, o->nfiles, v);
    if (in == NULL) {
        return -1;
    }

    approval_buf_init(&out);
    approval_export_begin(e, &out);

    while ((rc = approval_input_next(in, &entry)) == 1) {
        if (approval_verify_record(v, &entry.place, entry.event, entry.hash)
            != APPROVAL_OK
            || approval_export_record(e, entry.line, entry.event, entry.hash,
                                      &out)
               != APPROVAL_OK)
        {
            fputs("approval-audit: no memory\n", stderr);
            rc = -1;
            break;
        }

        if (export_write(&out) != 0) {
            rc = -1;
            break;
        }
    }

    approval_input_close(in);

    if (rc == 0 && (approval_export_end(e, &out) != APPROVAL_OK
                    || export_write(&out) != 0))
    {
        rc = -1;
    }

    approval_buf_free(&out);

    return rc;
}


static int
export_write(approval_buf_t *out)
{
    if (out->len && fwrite(out->data, 1, out->len, stdout) != out->len) {
        return -1;
    }

    approval_buf_reset(out);

    return 0;
}
