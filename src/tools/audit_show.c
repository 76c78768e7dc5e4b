
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * approval-audit show: the story of one action.
 */


#include "tools/audit_tools.h"

#include "core/escape.h"

#include <stdlib.h>
#include <string.h>


typedef struct {
    const char          *id;
    json_t              *records;    /* array of the action's */
    size_t               size;
    approval_place_t    *places;
} story_t;


static int show_action(approval_options_t *o, const char *id);
static int show_collect(approval_options_t *o, story_t *story,
    approval_verify_t *v);
static int show_add(story_t *story, approval_entry_t *entry);
static void show_request(json_t *event);
static void show_record(json_t *event, const approval_place_t *place);
static void show_detail(const char *type, json_t *event);
static void show_text(const char *before, json_t *value, const char *after);
static void show_member(json_t *event, const char *name, const char *label);


int
approval_command_show(approval_options_t *o)
{
    int      rc, worst;
    size_t   i;
    json_t  *ids, *id;

    if (o->nfiles < 2) {
        fputs("usage: approval-audit show ID FILE... [--key PUB.pem]\n"
              "ID is that of an action or a grant, a digest (sha256:...), a "
              "link, or a receipt\n", stderr);
        return APPROVAL_EXIT_USAGE;
    }

    ids = approval_find(o, o->files[0]);

    if (ids == NULL) {
        return APPROVAL_EXIT_USAGE;
    }

    worst = APPROVAL_EXIT_OK;

    if (json_array_size(ids) == 0) {
        printf("%s: not in these files\n", o->files[0]);
        worst = APPROVAL_EXIT_INCOMPLETE;
    }

    json_array_foreach(ids, i, id) {
        rc = show_action(o, json_string_value(id));

        if (rc == APPROVAL_EXIT_USAGE || worst == APPROVAL_EXIT_OK
            || rc == APPROVAL_EXIT_TAMPERED)
        {
            worst = rc;
        }

        if (rc == APPROVAL_EXIT_USAGE) {
            break;
        }
    }

    json_decref(ids);

    return worst;
}


static int
show_action(approval_options_t *o, const char *id)
{
    int                 rc;
    size_t              i;
    json_t             *event;
    story_t             story;
    approval_verify_t  *v;
    approval_teller_t   teller;

    memset(&story, 0, sizeof(story));
    story.id = id;
    story.records = json_array();

    teller.out = o->nkeys ? stderr : NULL;
    teller.quiet = 1;
    teller.told = 0;

    v = approval_verify_start(o, &teller);

    if (v == NULL || story.records == NULL
        || show_collect(o, &story, v) != 0)
    {
        rc = APPROVAL_EXIT_USAGE;

    } else {
        printf("action %s\n", story.id);

        json_array_foreach(story.records, i, event) {
            show_request(event);
        }

        json_array_foreach(story.records, i, event) {
            show_record(event, &story.places[i]);
        }

        rc = APPROVAL_EXIT_OK;

        if (o->nkeys == 0) {
            puts("\nnot verified: give --key PUB.pem");

        } else {
            rc = approval_verify_exit(v);
            puts(rc == APPROVAL_EXIT_OK
                 ? "\nverified: the log holds, and so do the signatures"
                 : rc == APPROVAL_EXIT_TAMPERED
                 ? "\nNOT TRUSTWORTHY: the log was tampered with"
                 : "\nincomplete: parts of the log are missing, or not "
                   "covered by a checkpoint");
        }
    }

    approval_verify_destroy(v);
    json_decref(story.records);
    free(story.places);

    return rc;
}


static int
show_collect(approval_options_t *o, story_t *story, approval_verify_t *v)
{
    int                rc;
    const char        *id;
    approval_entry_t   entry;
    approval_input_t  *in;

    in = approval_input_open(o->files + 1, o->nfiles - 1, v);
    if (in == NULL) {
        return -1;
    }

    while ((rc = approval_input_next(in, &entry)) == 1) {

        if (o->nkeys
            && approval_verify_record(v, &entry.place, entry.event,
                                      entry.hash)
               != APPROVAL_OK)
        {
            rc = -1;
            break;
        }

        id = json_string_value(json_object_get(entry.event, "action_id"));

        if (id && strcmp(id, story->id) == 0
            && show_add(story, &entry) != 0)
        {
            rc = -1;
            break;
        }
    }

    approval_input_close(in);

    if (rc == 0 && o->nkeys && approval_verify_end(v) != APPROVAL_OK) {
        rc = -1;
    }

    if (rc < 0) {
        fputs("approval-audit: the files cannot be read to their end\n",
              stderr);
    }

    return rc;
}


static int
show_add(story_t *story, approval_entry_t *entry)
{
    size_t             n;
    approval_place_t  *places;

    n = json_array_size(story->records);

    if (n == story->size) {
        places = realloc(story->places,
                         (2 * n + 16) * sizeof(approval_place_t));
        if (places == NULL) {
            return -1;
        }

        story->places = places;
        story->size = 2 * n + 16;
    }

    story->places[n] = entry->place;

    return json_array_append(story->records, entry->event);
}


static void
show_request(json_t *event)
{
    size_t       i, j;
    json_t      *line, *name;
    const char  *type;

    type = json_string_value(json_object_get(event, "type"));

    if (type == NULL || strcmp(type, "requested") != 0) {
        return;
    }

    show_member(event, "summary", "summary");
    show_text("  request        ", json_object_get(event, "method"), " ");
    show_text("", json_object_get(event, "host"), "");
    show_text("", json_object_get(event, "target"), "\n");
    show_member(event, "digest", "digest");
    show_member(event, "action", "action");
    show_member(event, "risk", "risk");
    show_member(event, "requester", "requester");
    show_member(event, "on_behalf_of", "on behalf of");
    show_member(event, "remote_addr", "address");
    show_member(event, "reason", "claimed reason");
    show_member(event, "policy", "policy");
    show_member(event, "policy_digest", "policy digest");
    show_member(event, "rule", "rule");
    show_member(event, "matched", "matched");

    json_array_foreach(json_object_get(event, "require"), i, line) {
        printf("  requires       %d of",
               (int) json_integer_value(json_object_get(line, "count")));

        json_array_foreach(json_object_get(line, "groups"), j, name) {
            show_text(" ", name, "");
        }

        puts("");
    }

    puts("");
}


static void
show_record(json_t *event, const approval_place_t *place)
{
    const char  *type;

    type = json_string_value(json_object_get(event, "type"));

    show_text("  ", json_object_get(event, "time"), "  ");
    printf("%-13s ", type ? type : "?");

    if (type) {
        show_detail(type, event);
    }

    printf("  [%s:%lu]\n", place->file, place->line);
}


static void
show_detail(const char *type, json_t *event)
{
    json_t  *outcome;

    if (strcmp(type, "voted") == 0) {
        show_text("", json_object_get(event, "identity"), "");
        show_text(": ", json_object_get(event, "decision"), "");
        show_text(" (", json_object_get(event, "how"), ")");
        show_text(" \"", json_object_get(event, "comment"), "\"");

    } else if (strcmp(type, "approved") == 0 || strcmp(type, "denied") == 0) {
        show_text("by ", json_object_get(event, "approvers"), "");
        show_text("by ", json_object_get(event, "by"), "");

    } else if (strcmp(type, "requested") == 0 || strcmp(type, "joined") == 0) {
        show_text("by ", json_object_get(event, "requester"), "");

    } else if (strcmp(type, "viewed") == 0) {
        show_text("by ", json_object_get(event, "identity"), "");

    } else {
        show_text("", json_object_get(event, "channel"), "");
        show_text(" status ", json_object_get(event, "status"), "");
    }

    outcome = json_object_get(event, "outcome");

    if (outcome) {
        show_text("status ", json_object_get(outcome, "status"), "");
        show_text(", ", json_object_get(outcome, "bytes"), " bytes");
        show_text(", ", json_object_get(outcome, "ms"), " ms");
        show_text(", from ", json_object_get(outcome, "upstream"), "");
    }

    show_text(" ", json_object_get(event, "why"), "");
}


/* Attackers wrote some of it: nothing that a terminal acts on. */

static void
show_text(const char *before, json_t *value, const char *after)
{
    approval_buf_t  text, out;

    if (value == NULL || json_is_null(value)) {
        return;
    }

    approval_buf_init(&text);
    approval_buf_init(&out);

    if (approval_json_text(value, &text) == APPROVAL_OK && text.len) {
        approval_escape_visible(approval_buf_str(&text),
                                APPROVAL_VISIBLE_LINE, &out);

        printf("%s%.*s%s", before, (int) out.len,
               out.data ? (char *) out.data : "", after);
    }

    approval_buf_free(&text);
    approval_buf_free(&out);
}


static void
show_member(json_t *event, const char *name, const char *label)
{
    char  before[32];

    snprintf(before, sizeof(before), "  %-14s ", label);

    show_text(before, json_object_get(event, name), "\n");
}
