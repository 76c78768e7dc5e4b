
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Reads the files side by side.  Each step returns a record with which the
 * chain of some writer continues; if there are several, the oldest one.
 */


#define _POSIX_C_SOURCE  200809L

#include "tools/audit_tools.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>


typedef struct {
    const char          *name;
    approval_lines_t    *lines;
    unsigned long        line;
    json_t              *event;      /* NULL: at the end */
    approval_str_t       text;
    unsigned char        hash[APPROVAL_SHA256_LEN];
} source_t;

struct approval_input_s {
    approval_verify_t   *verify;
    source_t            *sources;
    size_t               n;
    source_t            *used;       /* source of the last record  */
};


static int source_next(approval_input_t *in, source_t *s);
static int source_line(approval_input_t *in, source_t *s);
static int source_twice(approval_input_t *in, size_t n);
static const char *source_time(source_t *s);


approval_input_t *
approval_input_open(char **files, size_t n, approval_verify_t *v)
{
    size_t             i;
    approval_input_t  *in;

    in = calloc(1, sizeof(approval_input_t));

    if (in) {
        in->sources = calloc(n ? n : 1, sizeof(source_t));
    }

    if (in == NULL || in->sources == NULL) {
        fputs("approval-audit: no memory\n", stderr);
        free(in);
        return NULL;
    }

    in->verify = v;
    in->n = n;

    for (i = 0; i < n; i++) {
        in->sources[i].name = files[i];
        in->sources[i].lines = approval_lines_open(files[i]);

        if (in->sources[i].lines == NULL || source_twice(in, i)) {
            approval_input_close(in);
            return NULL;
        }
    }

    for (i = 0; i < n; i++) {
        if (source_next(in, &in->sources[i]) < 0) {
            approval_input_close(in);
            return NULL;
        }
    }

    return in;
}


void
approval_input_close(approval_input_t *in)
{
    size_t  i;

    if (in == NULL) {
        return;
    }

    for (i = 0; i < in->n; i++) {
        approval_lines_close(in->sources[i].lines);
        json_decref(in->sources[i].event);
    }

    free(in->sources);
    free(in);
}


int
approval_input_next(approval_input_t *in, approval_entry_t *entry)
{
    int        good, expected;
    size_t     i;
    source_t  *s, *best;

    if (in->used) {
        s = in->used;
        in->used = NULL;

        if (source_next(in, s) < 0) {
            return -1;
        }
    }

    best = NULL;
    good = 0;

    for (i = 0; i < in->n; i++) {
        s = &in->sources[i];

        if (s->event == NULL) {
            continue;
        }

        expected = in->n == 1 || approval_verify_expects(in->verify, s->event);

        if (best == NULL || expected > good
            || (expected == good
                && strcmp(source_time(s), source_time(best)) < 0))
        {
            best = s;
            good = expected;
        }
    }

    if (best == NULL) {
        return 0;
    }

    in->used = best;

    entry->place.file = best->name;
    entry->place.line = best->line;
    entry->event = best->event;
    entry->line = best->text;
    memcpy(entry->hash, best->hash, APPROVAL_SHA256_LEN);

    return 1;
}


static const char *
source_time(source_t *s)
{
    const char  *time;

    time = json_string_value(json_object_get(s->event, "time"));

    return time ? time : "";
}


static int
source_next(approval_input_t *in, source_t *s)
{
    int               rc;
    approval_line_e   kind;
    approval_place_t  place;

    json_decref(s->event);
    s->event = NULL;

    while ((rc = approval_lines_next(s->lines, &s->text, &kind)) == 1) {

        s->line++;

        place.file = s->name;
        place.line = s->line;

        if (kind == APPROVAL_LINE_LONG) {
            approval_verify_broken(in->verify, &place, APPROVAL_FOUND_TAMPERED,
                                   "the line is too long for a record");

        } else if (kind == APPROVAL_LINE_CUT) {
            approval_verify_broken(in->verify, &place,
                                   APPROVAL_FOUND_INCOMPLETE,
                                   "the file ends in the middle of a line");

        } else if (source_line(in, s)) {
            break;
        }
    }

    return rc;
}


/* Returns 1 if the line contains a record. */

static int
source_line(approval_input_t *in, source_t *s)
{
    int               rc;
    unsigned          torn;
    const char       *err;
    approval_place_t  place;

    place.file = s->name;
    place.line = s->line;

    rc = approval_record_line(&s->text, &s->event, s->hash, &torn, &err);

    if (torn) {
        approval_verify_torn(in->verify, &place);

    } else if (err) {
        approval_verify_broken(in->verify, &place, APPROVAL_FOUND_TAMPERED,
                               err);
    }

    return rc == APPROVAL_OK;
}


/* A file that is given twice would be reported twice. */

static int
source_twice(approval_input_t *in, size_t n)
{
    size_t       i;
    struct stat  one, two;

    if (fstat(approval_lines_fd(in->sources[n].lines), &one) != 0) {
        return 0;
    }

    for (i = 0; i < n; i++) {
        if (fstat(approval_lines_fd(in->sources[i].lines), &two) == 0
            && one.st_dev == two.st_dev && one.st_ino == two.st_ino
            && !S_ISCHR(one.st_mode))
        {
            fprintf(stderr, "approval-audit: %s and %s are the same file\n",
                    in->sources[i].name, in->sources[n].name);
            return 1;
        }
    }

    return 0;
}
