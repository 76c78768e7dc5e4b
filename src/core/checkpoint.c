
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Makes and reads checkpoints.
 */


#include "core/checkpoint.h"

#include <stdio.h>
#include <string.h>


#define APPROVAL_NOTE_ORIGIN  "approval-audit/"
#define APPROVAL_NOTE_DASH    "\xe2\x80\x94 "
#define APPROVAL_NOTE_SIG     (4 + 64)
#define APPROVAL_NOTE_ED25519 0x01

/* action_id, checkpoint, hash, prev, seq, time, type and writer */

#define APPROVAL_CHECKPOINT_MEMBERS  8


static int approval_note_key(approval_signer_t *s, const char *writer,
    unsigned char id[4]);
static int approval_note_signature(approval_signer_t *s, approval_str_t text,
    approval_str_t line, approval_checkpoint_t *c, const char **err);
static int approval_checkpoint_line(approval_str_t *rest,
    approval_str_t *line);
static int approval_checkpoint_extra(approval_str_t line,
    approval_checkpoint_t *c, unsigned n);
static int approval_checkpoint_peer(approval_str_t line, approval_head_t *h);
static int approval_checkpoint_skip(approval_str_t *s, const char *text);
static int approval_checkpoint_number(approval_str_t *s, uint64_t *n);
static int approval_checkpoint_hash(approval_str_t s,
    unsigned char hash[APPROVAL_SHA256_LEN]);


int
approval_checkpoint_make(approval_signer_t *s, const approval_checkpoint_t *c,
    approval_buf_t *out)
{
    size_t                  i, start;
    unsigned char           sig[APPROVAL_NOTE_SIG];
    unsigned char           text[approval_base64_size(APPROVAL_NOTE_SIG)];
    unsigned char           hex[2 * APPROVAL_SHA256_LEN];
    approval_str_t          note;
    const approval_head_t  *peer;

    start = out->len;

    approval_buf_printf(out, APPROVAL_NOTE_ORIGIN "%.*s\n%llu\n",
                        APPROVAL_WRITER_LEN, c->head.writer,
                        (unsigned long long) c->head.seq);

    approval_buf_add(out, text, approval_base64_encode(text, c->root,
                                                       sizeof(c->root)));

    (void) approval_hex_encode(hex, c->head.hash, sizeof(c->head.hash));

    approval_buf_printf(out, "\ntime %s\nhead %.*s\n", c->time,
                        (int) sizeof(hex), hex);

    for (i = 0; i < c->npeers; i++) {
        peer = &c->peers[i];

        (void) approval_hex_encode(hex, peer->hash, sizeof(peer->hash));

        approval_buf_printf(out, "peer %.*s %llu %.*s\n",
                            APPROVAL_WRITER_LEN, peer->writer,
                            (unsigned long long) peer->seq,
                            (int) sizeof(hex), hex);
    }

    if (out->failed) {
        return APPROVAL_ERROR;
    }

    note.data = out->data + start;
    note.len = out->len - start;

    if (approval_note_key(s, c->head.writer, sig) != APPROVAL_OK
        || approval_sign(s, note, sig + 4) != APPROVAL_OK)
    {
        out->len = start;
        return APPROVAL_ERROR;
    }

    approval_buf_printf(out, "\n" APPROVAL_NOTE_DASH APPROVAL_NOTE_ORIGIN
                        "%.*s ", APPROVAL_WRITER_LEN, c->head.writer);
    approval_buf_add(out, text, approval_base64_encode(text, sig,
                                                       sizeof(sig)));
    approval_buf_addc(out, '\n');

    return out->failed ? APPROVAL_ERROR : APPROVAL_OK;
}


/* The key's id: the first 4 bytes of SHA-256(name LF 0x01 public key). */

static int
approval_note_key(approval_signer_t *s, const char *writer,
    unsigned char id[4])
{
    char            text[sizeof(APPROVAL_NOTE_ORIGIN) + APPROVAL_WRITER_LEN
                         + 2 + 32];
    size_t          n;
    approval_str_t  data;
    unsigned char   md[APPROVAL_SHA256_LEN];

    n = sizeof(APPROVAL_NOTE_ORIGIN) - 1;

    memcpy(text, APPROVAL_NOTE_ORIGIN, n);
    memcpy(text + n, writer, APPROVAL_WRITER_LEN);
    n += APPROVAL_WRITER_LEN;

    text[n++] = '\n';
    text[n++] = APPROVAL_NOTE_ED25519;

    (void) approval_signer_public(s, (unsigned char *) text + n);

    data.data = (unsigned char *) text;
    data.len = n + 32;

    if (approval_sha256(data, md) != APPROVAL_OK) {
        return APPROVAL_ERROR;
    }

    memcpy(id, md, 4);

    return APPROVAL_OK;
}


int
approval_checkpoint_read(approval_signer_t *s, approval_str_t note,
    approval_checkpoint_t *c, const char **err)
{
    unsigned        n;
    approval_str_t  rest, line, text;
    unsigned char   root[64];

    *err = "the checkpoint is malformed";

    c->npeers = 0;
    rest = note;

    if (note.len > APPROVAL_CHECKPOINT_MAX
        || approval_checkpoint_line(&rest, &line) != APPROVAL_OK
        || approval_checkpoint_skip(&line, APPROVAL_NOTE_ORIGIN)
           != APPROVAL_OK
        || !approval_id_valid(line))
    {
        return APPROVAL_DECLINED;
    }

    memcpy(c->head.writer, line.data, APPROVAL_WRITER_LEN);

    if (approval_checkpoint_line(&rest, &line) != APPROVAL_OK
        || approval_checkpoint_number(&line, &c->head.seq) != APPROVAL_OK
        || line.len != 0
        || approval_checkpoint_line(&rest, &line) != APPROVAL_OK
        || line.len != approval_base64_size(APPROVAL_SHA256_LEN)
        || approval_base64_decode(root, line) != APPROVAL_SHA256_LEN)
    {
        return APPROVAL_DECLINED;
    }

    memcpy(c->root, root, APPROVAL_SHA256_LEN);

    for (n = 0; /* void */ ; n++) {

        if (approval_checkpoint_line(&rest, &line) != APPROVAL_OK) {
            return APPROVAL_DECLINED;
        }

        if (line.len == 0) {
            break;
        }

        if (approval_checkpoint_extra(line, c, n) != APPROVAL_OK) {
            return APPROVAL_DECLINED;
        }
    }

    text.data = note.data;
    text.len = line.data - note.data;

    if (n < 2
        || approval_checkpoint_line(&rest, &line) != APPROVAL_OK
        || rest.len != 0)
    {
        return APPROVAL_DECLINED;
    }

    return approval_note_signature(s, text, line, c, err);
}


/* Line 0 is the time, line 1 the head, every further line a peer. */

static int
approval_checkpoint_extra(approval_str_t line, approval_checkpoint_t *c,
    unsigned n)
{
    int64_t  ms;

    if (n == 0) {
        if (approval_checkpoint_skip(&line, "time ") != APPROVAL_OK
            || line.len != APPROVAL_TIME_LEN
            || approval_time_parse(line, &ms) != APPROVAL_OK)
        {
            return APPROVAL_DECLINED;
        }

        memcpy(c->time, line.data, APPROVAL_TIME_LEN);
        c->time[APPROVAL_TIME_LEN] = '\0';

        return APPROVAL_OK;
    }

    if (n == 1) {
        if (approval_checkpoint_skip(&line, "head ") != APPROVAL_OK) {
            return APPROVAL_DECLINED;
        }

        return approval_checkpoint_hash(line, c->head.hash);
    }

    if (c->npeers == APPROVAL_CHECKPOINT_PEERS) {
        return APPROVAL_DECLINED;
    }

    return approval_checkpoint_peer(line, &c->peers[c->npeers++]);
}


static int
approval_checkpoint_peer(approval_str_t line, approval_head_t *h)
{
    approval_str_t  writer;

    if (approval_checkpoint_skip(&line, "peer ") != APPROVAL_OK
        || line.len < APPROVAL_WRITER_LEN)
    {
        return APPROVAL_DECLINED;
    }

    writer.data = line.data;
    writer.len = APPROVAL_WRITER_LEN;

    if (!approval_id_valid(writer)) {
        return APPROVAL_DECLINED;
    }

    memcpy(h->writer, writer.data, APPROVAL_WRITER_LEN);

    line.data += APPROVAL_WRITER_LEN;
    line.len -= APPROVAL_WRITER_LEN;

    if (approval_checkpoint_skip(&line, " ") != APPROVAL_OK
        || approval_checkpoint_number(&line, &h->seq) != APPROVAL_OK
        || approval_checkpoint_skip(&line, " ") != APPROVAL_OK)
    {
        return APPROVAL_DECLINED;
    }

    return approval_checkpoint_hash(line, h->hash);
}


static int
approval_note_signature(approval_signer_t *s, approval_str_t text,
    approval_str_t line, approval_checkpoint_t *c, const char **err)
{
    unsigned char   sig[APPROVAL_NOTE_SIG + 3], id[4];
    approval_str_t  raw;

    if (approval_checkpoint_skip(&line, APPROVAL_NOTE_DASH
                                 APPROVAL_NOTE_ORIGIN)
        != APPROVAL_OK
        || line.len != APPROVAL_WRITER_LEN + 1
                       + approval_base64_size(APPROVAL_NOTE_SIG)
        || memcmp(line.data, c->head.writer, APPROVAL_WRITER_LEN) != 0
        || line.data[APPROVAL_WRITER_LEN] != ' ')
    {
        return APPROVAL_DECLINED;
    }

    line.data += APPROVAL_WRITER_LEN + 1;
    line.len -= APPROVAL_WRITER_LEN + 1;

    if (approval_base64_decode(sig, line) != APPROVAL_NOTE_SIG) {
        return APPROVAL_DECLINED;
    }

    c->signer = NULL;

    if (s == NULL) {
        return APPROVAL_OK;
    }

    raw.data = sig + 4;
    raw.len = APPROVAL_NOTE_SIG - 4;

    for ( /* void */ ; s; s = approval_signer_next(s)) {

        if (approval_note_key(s, c->head.writer, id) != APPROVAL_OK) {
            *err = "no memory for the checkpoint";
            return APPROVAL_ERROR;
        }

        if (memcmp(sig, id, 4) == 0
            && approval_verify(s, text, raw) == APPROVAL_OK)
        {
            c->signer = s;
            *err = NULL;
            return APPROVAL_OK;
        }
    }

    *err = "the checkpoint is not signed by the key";

    return APPROVAL_DECLINED;
}


/* Gets the next line without its LF.  A line without an LF is an error. */

static int
approval_checkpoint_line(approval_str_t *rest, approval_str_t *line)
{
    const unsigned char  *lf;

    if (rest->len == 0) {
        return APPROVAL_DECLINED;
    }

    lf = memchr(rest->data, '\n', rest->len);

    if (lf == NULL) {
        return APPROVAL_DECLINED;
    }

    line->data = rest->data;
    line->len = lf - rest->data;

    rest->data = lf + 1;
    rest->len -= line->len + 1;

    return APPROVAL_OK;
}


static int
approval_checkpoint_skip(approval_str_t *s, const char *text)
{
    size_t  len;

    len = strlen(text);

    if (s->len < len || memcmp(s->data, text, len) != 0) {
        return APPROVAL_DECLINED;
    }

    s->data += len;
    s->len -= len;

    return APPROVAL_OK;
}


/* 1 to 2^53: no sign, no leading zero. */

static int
approval_checkpoint_number(approval_str_t *s, uint64_t *n)
{
    size_t  i;

    *n = 0;

    for (i = 0; i < s->len && s->data[i] >= '0' && s->data[i] <= '9'; i++) {
        *n = *n * 10 + (s->data[i] - '0');

        if (i == 16) {
            return APPROVAL_DECLINED;
        }
    }

    if (i == 0 || s->data[0] == '0') {
        return APPROVAL_DECLINED;
    }

    s->data += i;
    s->len -= i;

    return APPROVAL_OK;
}


static int
approval_checkpoint_hash(approval_str_t s,
    unsigned char hash[APPROVAL_SHA256_LEN])
{
    if (s.len != 2 * APPROVAL_SHA256_LEN
        || approval_hex_decode(hash, s) != APPROVAL_SHA256_LEN)
    {
        return APPROVAL_DECLINED;
    }

    return APPROVAL_OK;
}


int
approval_checkpoint_stands(const approval_checkpoint_t *c, json_t *event)
{
    const char     *type, *time;
    json_int_t      seq;
    unsigned char   prev[APPROVAL_SHA256_LEN];

    type = json_string_value(json_object_get(event, "type"));
    time = json_string_value(json_object_get(event, "time"));
    seq = json_integer_value(json_object_get(event, "seq"));

    (void) approval_hex_decode(prev, approval_str(
                       json_string_value(json_object_get(event, "prev"))));

    return json_object_size(event) == APPROVAL_CHECKPOINT_MEMBERS
           && json_is_null(json_object_get(event, "action_id"))
           && json_object_get(event, "checkpoint")
           && type && strcmp(type, "checkpoint") == 0
           && time && strcmp(time, c->time) == 0
           && memcmp(json_string_value(json_object_get(event, "writer")),
                     c->head.writer, APPROVAL_WRITER_LEN)
              == 0
           && (uint64_t) seq == c->head.seq + 1
           && memcmp(prev, c->head.hash, APPROVAL_SHA256_LEN) == 0;
}


size_t
approval_head_text(const approval_head_t *h, char dst[APPROVAL_HEAD_LEN + 1])
{
    unsigned char  hex[APPROVAL_HEAD_HASH];

    (void) approval_hex_encode(hex, h->hash, sizeof(hex) / 2);

    return (size_t) snprintf(dst, APPROVAL_HEAD_LEN + 1, "%.*s/%llu/%.*s",
                             APPROVAL_WRITER_LEN, h->writer,
                             (unsigned long long) h->seq,
                             APPROVAL_HEAD_HASH, hex);
}
