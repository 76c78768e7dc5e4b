
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * approval-audit show: prints the story of one action, or of several.
 */


#define _POSIX_C_SOURCE  200809L

#include "tools/audit_tools.h"

#include "core/find.h"
#include "core/story.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>


typedef struct {
    approval_place_t     place;
    unsigned             chained:1;  /* in its writer's chain       */
    unsigned             covered:1;  /* ... and signed by it        */
} record_t;


typedef struct {
    const char          *id;
    json_t              *events;     /* array of the action's */
    size_t               size;
    record_t            *records;
} story_t;


static int show_twice(approval_options_t *o);
static int show_find(approval_options_t *o, approval_find_t *find);
static int show_stories(approval_options_t *o, json_t *ids);
static int show_collect(approval_options_t *o, story_t *stories, size_t n,
    approval_verify_t *v);
static int show_add(story_t *story, approval_entry_t *entry,
    approval_verify_t *v);
static void show_story(approval_options_t *o, story_t *story,
    approval_verify_t *v);
static int show_verdict(approval_options_t *o, approval_verify_t *v);
static void show_request(json_t *event, const record_t *r);
static void show_fact(void *data, const char *name, approval_str_t text);
static void show_record(json_t *event, const record_t *r);
static const char *show_mark(const record_t *r);


int
approval_command_show(approval_options_t *o)
{
    int               rc;
    approval_find_t  *find;

    if (o->nfiles < 2) {
        fputs("usage: approval-audit show ID FILE... [--key PUB.pem] "
              "[--heads FILE]\n"
              "ID is that of an action or a grant, a digest (sha256:...), a "
              "link, or a receipt\n", stderr);
        return APPROVAL_EXIT_USAGE;
    }

    if (!show_twice(o)) {
        return APPROVAL_EXIT_USAGE;
    }

    find = approval_find_create(approval_str(o->files[0]));

    if (find == NULL || show_find(o, find) != 0) {
        rc = APPROVAL_EXIT_USAGE;

    } else if (json_array_size(approval_find_ids(find)) == 0) {
        printf("%s: not found in these files\n", o->files[0]);
        rc = APPROVAL_EXIT_INCOMPLETE;

    } else {
        rc = show_stories(o, approval_find_ids(find));
    }

    approval_find_destroy(find);

    return rc;
}


/* The first pass finds the actions that are meant, the second their records. */

static int
show_twice(approval_options_t *o)
{
    size_t       i;
    struct stat  st;

    for (i = 1; i < o->nfiles; i++) {
        if (strcmp(o->files[i], "-") == 0
            || (stat(o->files[i], &st) == 0 && S_ISFIFO(st.st_mode)))
        {
            fprintf(stderr, "approval-audit: show must read its files twice, "
                            "but %s can be read only once: unpack "
                            "it\n", o->files[i]);
            return 0;
        }
    }

    return 1;
}


static int
show_find(approval_options_t *o, approval_find_t *find)
{
    int                 rc;
    approval_entry_t    entry;
    approval_input_t   *in;
    approval_verify_t  *v;

    v = approval_verify_create(NULL, NULL, NULL);
    in = v ? approval_input_open(o->files + 1, o->nfiles - 1, v) : NULL;
    rc = in ? 0 : -1;

    while (in && (rc = approval_input_next(in, &entry)) == 1) {
        if (approval_find_record(find, entry.event) < 0) {
            rc = -1;
            break;
        }
    }

    approval_input_close(in);
    approval_verify_destroy(v);

    return rc;
}


static int
show_stories(approval_options_t *o, json_t *ids)
{
    int                 rc;
    size_t              i, n;
    story_t            *stories;
    approval_verify_t  *v;
    approval_teller_t   teller;

    teller.out = o->keys ? stderr : NULL;
    teller.quiet = 1;
    teller.told = 0;

    n = json_array_size(ids);

    v = approval_verify_start(o, &teller);
    stories = calloc(n, sizeof(story_t));

    rc = APPROVAL_EXIT_USAGE;

    for (i = 0; stories && i < n; i++) {
        stories[i].id = json_string_value(json_array_get(ids, i));
        stories[i].events = json_array();
    }

    if (v && stories && show_collect(o, stories, n, v) == 0) {

        for (i = 0; i < n; i++) {
            show_story(o, &stories[i], v);
        }

        if (n == APPROVAL_FIND_MAX) {
            printf("\nmore than these %lu match\n", (unsigned long) n);
        }

        rc = show_verdict(o, v);
    }

    for (i = 0; stories && i < n; i++) {
        json_decref(stories[i].events);
        free(stories[i].records);
    }

    free(stories);
    approval_verify_destroy(v);

    return rc;
}


static int
show_collect(approval_options_t *o, story_t *stories, size_t n,
    approval_verify_t *v)
{
    int                rc;
    size_t             i;
    const char        *id;
    approval_entry_t   entry;
    approval_input_t  *in;

    in = approval_input_open(o->files + 1, o->nfiles - 1, v);
    if (in == NULL) {
        return -1;
    }

    while ((rc = approval_input_next(in, &entry)) == 1) {

        if (o->keys
            && approval_verify_record(v, &entry.place, entry.event,
                                      entry.hash)
               != APPROVAL_OK)
        {
            rc = -1;
            break;
        }

        id = json_string_value(json_object_get(entry.event, "action_id"));

        for (i = 0; id && i < n; i++) {
            if (strcmp(id, stories[i].id) == 0) {
                break;
            }
        }

        if (id && i < n && show_add(&stories[i], &entry, v) != 0) {
            rc = -1;
            break;
        }
    }

    approval_input_close(in);

    if (rc == 0 && o->keys && approval_verify_end(v) != APPROVAL_OK) {
        rc = -1;
    }

    if (rc < 0) {
        fputs("approval-audit: the files cannot be read to the end\n",
              stderr);
    }

    return rc;
}


static int
show_add(story_t *story, approval_entry_t *entry, approval_verify_t *v)
{
    size_t     n;
    record_t  *records;

    n = json_array_size(story->events);

    if (n == story->size) {
        records = realloc(story->records, (2 * n + 16) * sizeof(record_t));
        if (records == NULL) {
            return -1;
        }

        story->records = records;
        story->size = 2 * n + 16;
    }

    story->records[n].place = entry->place;
    story->records[n].chained = approval_verify_last(v, entry->event,
                                                     entry->hash);

    return json_array_append(story->events, entry->event);
}


/* Without a key no record is marked: a line at the end says so instead. */

static void
show_story(approval_options_t *o, story_t *story, approval_verify_t *v)
{
    size_t     i;
    json_t    *event;
    record_t  *r;

    approval_print(stdout, "action %s", story->id);

    json_array_foreach(story->events, i, event) {
        r = &story->records[i];
        r->covered = o->keys == NULL
                     || (r->chained && approval_verify_covered(v, event));

        show_request(event, r);
    }

    json_array_foreach(story->events, i, event) {
        show_record(event, &story->records[i]);
    }
}


static int
show_verdict(approval_options_t *o, approval_verify_t *v)
{
    int  rc;

    if (o->keys == NULL) {
        puts("\nnot verified: add --key PUB.pem");
        return APPROVAL_EXIT_OK;
    }

    rc = approval_verify_exit(v);

    puts(rc == APPROVAL_EXIT_OK
         ? "\nverified: the log and its signatures are valid"
         : rc == APPROVAL_EXIT_TAMPERED
         ? "\nNOT TRUSTWORTHY: the log was tampered with"
         : approval_verify_stats(v)->findings[APPROVAL_FOUND_UNAUTHENTICATED]
         ? "\nunauthenticated: no signature covers parts of the log"
         : "\nincomplete: parts of the log are missing");

    return rc;
}


static void
show_request(json_t *event, const record_t *r)
{
    const char  *type;

    type = json_string_value(json_object_get(event, "type"));

    if (type == NULL || strcmp(type, "requested") != 0) {
        return;
    }

    if (!r->covered) {
        puts("  unauthenticated: no signature covers this request");
    }

    (void) approval_story_request(event, show_fact, NULL);

    puts("");
}


static void
show_fact(void *data, const char *name, approval_str_t text)
{
    (void) data;

    approval_print(stdout, "  %-14s %.*s", name, (int) text.len,
                   (char *) text.data);
}


static void
show_record(json_t *event, const record_t *r)
{
    const char      *time, *type;
    approval_buf_t   text;

    time = json_string_value(json_object_get(event, "time"));
    type = json_string_value(json_object_get(event, "type"));

    approval_buf_init(&text);
    approval_buf_adds(&text, time ? time : "?");
    approval_buf_adds(&text, "  ");
    approval_buf_adds(&text, type ? type : "?");

    /* pad to a column */

    while (text.len < APPROVAL_TIME_LEN + sizeof("  notify_failed") - 1) {
        approval_buf_addc(&text, ' ');
    }

    approval_buf_addc(&text, ' ');
    approval_story_record(event, &text);

    approval_print(stdout, "  %.*s  [%s:%lu]%s", (int) text.len,
                   (char *) text.data, r->place.file, r->place.line,
                   show_mark(r));

    approval_buf_free(&text);
}


static const char *
show_mark(const record_t *r)
{
    return r->covered ? "" : "  unauthenticated: no signature covers it";
}
