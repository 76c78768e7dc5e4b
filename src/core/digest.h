
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The digest of a request, which ensures that the request that is forwarded is
 * the one that was shown.
 */


#ifndef APPROVAL_DIGEST_H
#define APPROVAL_DIGEST_H


#include "core/keys.h"
#include "core/str.h"


/* "sha256:" and 64 hex digits. */
#define APPROVAL_DIGEST_LEN  71


/*
 * SHA-256 over "approval-digest-v2", then each part as a tag byte, its length
 * (64 bits, big-endian) and its bytes, then 'b', the body's length and its
 * bytes.  The caller chooses the parts.
 *
 * The body is added in slices.  approval_digest_final() fails if their total
 * length differs from the one passed to approval_digest_body().
 *
 * If some members of the body are not bound, the body is added as canonical
 * JSON without them, and its tag is 'c' instead of 'b'.  Such a digest never
 * equals the digest of a request that is bound as a whole.
 */

typedef struct approval_digest_s  approval_digest_t;

/* A digest can be used again: approval_digest_init() resets it. */
approval_digest_t *approval_digest_create(void);
void approval_digest_destroy(approval_digest_t *d);
int approval_digest_init(approval_digest_t *d);
int approval_digest_part(approval_digest_t *d, unsigned char tag,
    approval_str_t s);
int approval_digest_body(approval_digest_t *d, uint64_t len);
int approval_digest_canonical(approval_digest_t *d, uint64_t len);
int approval_digest_update(approval_digest_t *d, const void *data, size_t len);
int approval_digest_final(approval_digest_t *d,
    unsigned char md[APPROVAL_SHA256_LEN]);

void approval_digest_text(char dst[APPROVAL_DIGEST_LEN],
    const unsigned char md[APPROVAL_SHA256_LEN]);


#endif /* APPROVAL_DIGEST_H */
