
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The digest of a request: what was shown is what is forwarded.
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
 * bytes.  The body is added in slices; the sum of their lengths must be what
 * approval_digest_body() announced, or final fails.  A body that was made
 * canonical without the members that are not bound has the tag 'c' for 'b':
 * such a digest is never that of a request that is bound as a whole.  The
 * parts are the caller's.
 */

typedef struct approval_digest_s  approval_digest_t;

/* One digest context is reused: init() resets it. */
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
