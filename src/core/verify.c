
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The verifier's interface: its input, and what it reports.
 */


#include "core/verify_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>


static int approval_verify_token(approval_str_t text, approval_head_t *head);
static void approval_verify_limit(approval_verify_t *v,
    const approval_place_t *place, json_t *event, const char *why);
static const char *approval_verify_type(json_t *event, int64_t *ms);


approval_verify_t *
approval_verify_create(approval_signer_t *keys, approval_found_pt found,
    void *data)
{
    approval_verify_t  *v;

    v = calloc(1, sizeof(approval_verify_t));
    if (v == NULL) {
        return NULL;
    }

    if (approval_random((unsigned char *) v->seeds, sizeof(v->seeds))
        != APPROVAL_OK)
    {
        free(v);
        return NULL;
    }

    v->seeds[0] |= 1;
    v->seeds[1] |= 1;

    v->keys = keys;
    v->found = found;
    v->data = data;

    return v;
}


void
approval_verify_destroy(approval_verify_t *v)
{
    size_t              i;
    approval_writer_t  *w, *next;

    if (v == NULL) {
        return;
    }

    /* from here on, findings are discarded */

    v->found = NULL;
    approval_verify_actions_end(v);

    for (i = 0; i < APPROVAL_VERIFY_BUCKETS; i++) {
        for (w = v->writers[i]; w; w = next) {
            next = w->next;
            free(w->expects);
            free(w->live);
            free(w->rest);
            free(w);
        }
    }

    approval_verify_passkeys_free(v);

    free(v->freezes);
    free(v);
}


void
approval_verify_found(approval_verify_t *v, approval_found_e what,
    const approval_place_t *place, const char *fmt, ...)
{
    char     why[1024];
    va_list  args;

    if (v->found == NULL) {
        return;
    }

    v->stats.findings[what]++;

    va_start(args, fmt);
    (void) vsnprintf(why, sizeof(why), fmt, args);
    va_end(args);

    v->found(v->data, what, place, why);
}


int
approval_verify_head(approval_verify_t *v, const approval_place_t *place,
    approval_str_t text, const char **err)
{
    int               rc;
    size_t            i;
    approval_head_t   head;

    if (text.len > 15 && memcmp(text.data, "approval-audit/", 15) == 0) {

        *err = "no public key was given";

        rc = v->keys ? approval_checkpoint_read(v->keys, text, &v->checkpoint,
                                                err)
                     : APPROVAL_DECLINED;

        if (rc != APPROVAL_OK) {
            return rc;
        }

        rc = approval_verify_expect(v, &v->checkpoint.head,
                                    APPROVAL_EXPECT_SIGNED, place);

        for (i = 0; rc == APPROVAL_OK && i < v->checkpoint.npeers; i++) {
            rc = approval_verify_expect(v, &v->checkpoint.peers[i],
                                        APPROVAL_EXPECT_PEER, place);
        }

        return rc;
    }

    if (approval_verify_token(text, &head) != APPROVAL_OK) {
        *err = "it is neither WRITER/SEQ/HASH nor a signed checkpoint";
        return APPROVAL_DECLINED;
    }

    return approval_verify_expect(v, &head, APPROVAL_EXPECT_TOLD, place);
}


static int
approval_verify_token(approval_str_t text, approval_head_t *head)
{
    size_t          i;
    approval_str_t  part;

    if (text.len < APPROVAL_WRITER_LEN + 1 + 1 + 1 + APPROVAL_HEAD_HASH
        || text.data[APPROVAL_WRITER_LEN] != '/')
    {
        return APPROVAL_DECLINED;
    }

    part.data = text.data;
    part.len = APPROVAL_WRITER_LEN;

    if (!approval_id_valid(part)) {
        return APPROVAL_DECLINED;
    }

    memcpy(head->writer, text.data, APPROVAL_WRITER_LEN);
    head->seq = 0;

    for (i = APPROVAL_WRITER_LEN + 1;
         i < text.len && text.data[i] >= '0' && text.data[i] <= '9';
         i++)
    {
        if (head->seq > UINT32_MAX * (uint64_t) 1000000) {
            return APPROVAL_DECLINED;
        }

        head->seq = head->seq * 10 + (text.data[i] - '0');
    }

    if (head->seq == 0 || i == text.len || text.data[i] != '/') {
        return APPROVAL_DECLINED;
    }

    part.data = text.data + i + 1;
    part.len = text.len - i - 1;

    if (part.len != APPROVAL_HEAD_HASH
        || approval_hex_decode(head->hash, part) != APPROVAL_HEAD_HASH / 2)
    {
        return APPROVAL_DECLINED;
    }

    return APPROVAL_OK;
}


int
approval_verify_expects(approval_verify_t *v, json_t *event)
{
    json_int_t          seq;
    approval_writer_t  *w;

    w = approval_verify_writer(v,
                       json_string_value(json_object_get(event, "writer")));
    seq = json_integer_value(json_object_get(event, "seq"));

    return (uint64_t) seq == (w ? w->seq : 0) + 1;
}


int
approval_verify_last(approval_verify_t *v, json_t *event,
    const unsigned char hash[APPROVAL_SHA256_LEN])
{
    approval_writer_t  *w;

    w = approval_verify_writer(v,
                       json_string_value(json_object_get(event, "writer")));

    return w && memcmp(w->hash, hash, APPROVAL_SHA256_LEN) == 0;
}


int
approval_verify_covered(approval_verify_t *v, json_t *event)
{
    approval_writer_t  *w;

    w = approval_verify_writer(v,
                       json_string_value(json_object_get(event, "writer")));

    return w && (uint64_t) json_integer_value(json_object_get(event, "seq"))
                <= w->covered;
}


int
approval_verify_record(approval_verify_t *v, const approval_place_t *place,
    json_t *event, const unsigned char hash[APPROVAL_SHA256_LEN])
{
    int          rc;
    int64_t      ms;
    const char  *type, *why;

    v->stats.records++;

    type = approval_verify_type(event, &ms);

    if (type == NULL) {
        approval_verify_found(v, APPROVAL_FOUND_TAMPERED, place,
                              "the record has no valid \"type\", \"time\" or "
                              "\"action_id\"");
        type = "";
    }

    rc = approval_verify_chain(v, place, event, hash, type);

    if (rc != APPROVAL_OK) {
        return rc == APPROVAL_DECLINED ? APPROVAL_OK : rc;
    }

    if (*type) {
        approval_verify_clock(v, place, event, ms);
    }

    if (strcmp(type, "fault") == 0) {
        why = json_string_value(json_object_get(event, "why"));
        ms = json_integer_value(json_object_get(event, "torn"));

        if (why && strcmp(why, "the audit trail could not be written") == 0
            && ms > 0)
        {
            v->torn_told += (uint64_t) ms;
        }

        approval_verify_limit(v, place, event, why);
    }

    return approval_verify_action(v, place, event, type);
}


/* A request that a gateway refused because Redis contradicted a limit. */

static void
approval_verify_limit(approval_verify_t *v, const approval_place_t *place,
    json_t *event, const char *why)
{
    const char      *id, *limit;
    approval_act_t  *a;

    limit = json_string_value(json_object_get(event, "limit"));
    id = json_string_value(json_object_get(event, "action_id"));

    if (limit) {
        approval_verify_found(v, APPROVAL_FOUND_NOTE, place,
                              strcmp(limit, "memory") == 0
                              ? "a gateway could not remember a limit (%s)%s%s:"
                                " %s"
                              : "Redis contradicted a limit (%s)%s%s: %s",
                              limit, id ? " of action " : "", id ? id : "",
                              why ? why : "");

        a = (id && strcmp(limit, "execution") == 0)
            ? approval_verify_act(v, id) : NULL;

        if (a) {
            a->lost = 1;
        }
    }
}


/* NULL: not the type of a record. */

static const char *
approval_verify_type(json_t *event, int64_t *ms)
{
    json_t          *id, *value;
    approval_str_t   time;

    id = json_object_get(event, "action_id");

    if (!json_is_null(id)
        && !(json_is_string(id)
             && approval_id_valid(approval_str(json_string_value(id)))))
    {
        return NULL;
    }

    value = json_object_get(event, "time");
    time.data = (const unsigned char *) json_string_value(value);
    time.len = json_string_length(value);

    if (time.len != APPROVAL_TIME_LEN
        || approval_time_parse(time, ms) != APPROVAL_OK)
    {
        return NULL;
    }

    return json_string_value(json_object_get(event, "type"));
}


void
approval_verify_torn(approval_verify_t *v, const approval_place_t *place)
{
    v->torn++;
    v->torn_at = *place;

    approval_verify_found(v, APPROVAL_FOUND_NOTE, place,
                          "an incomplete line: its write was interrupted");
}


void
approval_verify_broken(approval_verify_t *v, const approval_place_t *place,
    approval_found_e what, const char *why)
{
    approval_verify_found(v, what, place, "%s", why);
}


/*
 * Lines that are not whole are explained by a crash, or by the writer's own
 * record.
 */

int
approval_verify_end(approval_verify_t *v)
{
    approval_verify_chains_end(v);
    approval_verify_actions_end(v);

    if (v->torn > v->torn_told + v->unclosed) {
        approval_verify_found(v, APPROVAL_FOUND_INCOMPLETE, &v->torn_at,
                              "%llu lines are incomplete, but neither a crash "
                              "nor a \"fault\" record explains that",
                              (unsigned long long) v->torn);
    }

    return v->failed ? APPROVAL_ERROR : APPROVAL_OK;
}


const approval_verify_stats_t *
approval_verify_stats(approval_verify_t *v)
{
    return &v->stats;
}
