
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The Merkle tree, by RFC 6962's definition; checkpoints.
 */


#include "core/checkpoint.h"
#include "test.h"

#include <stdlib.h>


#define LEAVES  130


static unsigned char  records[LEAVES][32];


/* 2.1, word for word. */

static void
definition(size_t from, size_t n, unsigned char out[32])
{
    size_t          k;
    unsigned char   text[65];
    approval_str_t  s;

    s.data = text;

    if (n == 0) {
        s.len = 0;

    } else if (n == 1) {
        text[0] = 0;
        memcpy(text + 1, records[from], 32);
        s.len = 33;

    } else {
        for (k = 1; 2 * k < n; k *= 2) { /* void */ }

        text[0] = 1;
        definition(from, k, text + 1);
        definition(from + k, n - k, text + 33);
        s.len = 65;
    }

    (void) approval_sha256(s, out);
}


static void
test_roots(void)
{
    int                good;
    size_t             i;
    unsigned char      want[32], root[32];
    approval_merkle_t  m;

    approval_merkle_init(&m);

    for (good = 1, i = 0; i <= LEAVES; i++) {
        definition(0, i, want);
        good &= approval_merkle_root(&m, root) == APPROVAL_OK
                && memcmp(root, want, 32) == 0 && m.size == i;

        if (i < LEAVES) {
            good &= approval_merkle_add(&m, records[i]) == APPROVAL_OK;
        }
    }

    ok(good, "roots of 0 to %d leaves", LEAVES);
}


static void
test_paths(void)
{
    int                 good, refused;
    size_t              i, n;
    unsigned char       root[32];
    approval_buf_t      path;
    approval_str_t      s;
    approval_proof_t    proofs[LEAVES];
    approval_merkle_t   m;

    approval_merkle_init(&m);
    approval_buf_init(&path);

    good = refused = 1;

    for (n = 1; n <= LEAVES; n++) {
        proofs[n - 1].index = n - 1;
        approval_buf_init(&proofs[n - 1].path);

        good &= approval_merkle_follow(&m, records[n - 1], proofs, n)
                == APPROVAL_OK;

        definition(0, n, root);

        for (i = 0; i < n; i++) {
            approval_buf_reset(&path);

            good &= approval_merkle_path(&m, &proofs[i], &path)
                    == APPROVAL_OK;
            s = approval_buf_str(&path);
            good &= approval_merkle_verify(records[i], i, n, s, root)
                    == APPROVAL_OK;

            refused &= approval_merkle_verify(records[(i + 1) % LEAVES], i, n,
                                              s, root)
                       != APPROVAL_OK;
            refused &= n == 1
                       || approval_merkle_verify(records[i], (i + 1) % n, n, s,
                                                 root)
                          != APPROVAL_OK;

            if (s.len) {
                path.data[i % s.len] ^= 1;
                refused &= approval_merkle_verify(records[i], i, n, s, root)
                           != APPROVAL_OK;
                path.data[i % s.len] ^= 1;

                s.len -= 32;
                refused &= approval_merkle_verify(records[i], i, n, s, root)
                           != APPROVAL_OK;
            }
        }
    }

    ok(good, "a path for each leaf of each tree");
    ok(refused, "which proves nothing else");

    proofs[0].index = LEAVES;

    ok(approval_merkle_path(&m, &proofs[0], &path) == APPROVAL_ERROR,
       "no path to what is not there");

    for (i = 0; i < LEAVES; i++) {
        approval_buf_free(&proofs[i].path);
    }

    approval_buf_free(&path);
}


/* A tree that is written down and read goes on as itself. */

static void
test_text(void)
{
    int                 good, refused;
    size_t              i, n;
    unsigned char       one[32], two[32];
    approval_buf_t      text;
    approval_str_t      s;
    approval_merkle_t   m, again;

    approval_merkle_init(&m);
    approval_buf_init(&text);

    good = refused = 1;

    for (n = 1; n <= LEAVES; n++) {
        (void) approval_merkle_add(&m, records[n - 1]);

        approval_buf_reset(&text);
        approval_merkle_text(&m, &text);
        s = approval_buf_str(&text);

        good &= approval_merkle_read(&again, n, s) == APPROVAL_OK;

        for (i = 0; i < 5; i++) {
            (void) approval_merkle_add(&again, records[i]);
        }

        (void) approval_merkle_root(&again, one);

        again = m;

        for (i = 0; i < 5; i++) {
            (void) approval_merkle_add(&again, records[i]);
        }

        (void) approval_merkle_root(&again, two);

        good &= memcmp(one, two, 32) == 0;

        refused &= approval_merkle_read(&again, 2 * n + 1, s)
                   == APPROVAL_DECLINED;
        s.len--;
        refused &= approval_merkle_read(&again, n, s) == APPROVAL_DECLINED;
        text.data[s.len / 2] = 'x';
        s.len++;
        refused &= approval_merkle_read(&again, n, s) == APPROVAL_DECLINED;
    }

    ok(good, "a tree written down goes on");
    ok(refused && approval_merkle_read(&m, 0, approval_str(""))
                  == APPROVAL_DECLINED, "and nothing else is a tree");

    approval_buf_free(&text);
}


static approval_signer_t *
signer(const char *secret)
{
    unsigned             line;
    const char          *err;
    approval_signer_t   *s;
    approval_keyring_t  *k;

    k = approval_keyring_parse(approval_str(secret), &err, &line);
    s = approval_signer_derive(k);
    approval_keyring_destroy(k);

    return s;
}


static void
test_checkpoints(void)
{
    int                     good;
    size_t                  i;
    char                    token[APPROVAL_HEAD_LEN + 1];
    const char             *err;
    unsigned char          *copy;
    approval_buf_t          note;
    approval_str_t          s;
    approval_signer_t      *key, *other;
    static approval_checkpoint_t  cp, got;

    key = signer("000102030405060708090a0b0c0d0e0f"
                 "101112131415161718191a1b1c1d1e1f\n");
    other = signer("ff0102030405060708090a0b0c0d0e0f"
                   "101112131415161718191a1b1c1d1e1f\n");

    memcpy(cp.head.writer, "0123456789abcdef0123456789abcdef", 32);
    cp.head.seq = 1234;
    memcpy(cp.head.hash, records[1], 32);
    memcpy(cp.root, records[2], 32);
    approval_time_format(cp.time, 1700000000123);
    cp.npeers = 2;
    cp.peers[0] = cp.head;
    cp.peers[1] = cp.head;
    cp.peers[1].seq = 1;

    approval_buf_init(&note);

    is_int(approval_checkpoint_make(key, &cp, &note), APPROVAL_OK, "made");
    s = approval_buf_str(&note);

    is_int(approval_checkpoint_read(key, s, &got, &err), APPROVAL_OK, "read");
    ok(memcmp(&got.head, &cp.head, sizeof(cp.head)) == 0
       && memcmp(got.root, cp.root, 32) == 0 && got.npeers == 2
       && strcmp(got.time, cp.time) == 0
       && memcmp(got.peers, cp.peers, 2 * sizeof(approval_head_t)) == 0,
       "it says the same");

    is_int(approval_checkpoint_read(other, s, &got, &err), APPROVAL_DECLINED,
           "not by another key");
    ok(strcmp(err, "the checkpoint is not signed by the key") == 0, "and why");
    is_int(approval_checkpoint_read(NULL, s, &got, &err), APPROVAL_OK,
           "its form, without a key");

    copy = malloc(s.len);
    memcpy(copy, s.data, s.len);
    s.data = copy;

    for (good = 1, i = 0; i < s.len; i++) {
        copy[i] ^= (unsigned char) (1 << (i % 8));
        good &= approval_checkpoint_read(key, s, &got, &err)
                == APPROVAL_DECLINED;
        copy[i] ^= (unsigned char) (1 << (i % 8));
    }

    ok(good, "no bit can be another");

    for (good = 1, i = 0; i < note.len; i++) {
        s.len = i;
        good &= approval_checkpoint_read(key, s, &got, &err)
                == APPROVAL_DECLINED;
    }

    ok(good, "not cut anywhere");
    free(copy);

    i = approval_head_text(&cp.head, token);
    is_int(i, strlen(token), "a head");
    ok(strncmp(token, "0123456789abcdef0123456789abcdef/1234/", 38) == 0
       && strlen(token) == 38 + 32, "its text");

    approval_buf_free(&note);
    approval_signer_destroy(key);
    approval_signer_destroy(other);
}


int
main(void)
{
    size_t          i;
    approval_str_t  s;

    for (i = 0; i < LEAVES; i++) {
        s.data = (unsigned char *) &i;
        s.len = sizeof(i);
        (void) approval_sha256(s, records[i]);
    }

    test_roots();
    test_paths();
    test_text();
    test_checkpoints();

    return test_done();
}
