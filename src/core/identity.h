
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * People: an identity is a string that some authentication gave; a person is
 * the set of identities that approval_alias declares to be one.
 */


#ifndef APPROVAL_IDENTITY_H
#define APPROVAL_IDENTITY_H


#include "core/digest.h"


#define APPROVAL_IDENTITY_MAX  256     /* bytes */


typedef struct approval_people_s  approval_people_t;


approval_people_t *approval_people_create(void);
void approval_people_destroy(approval_people_t *p);

/*
 * The canonical form of one identity: outer white space removed, case folded
 * (Unicode simple folding).  APPROVAL_DECLINED with *err: empty, longer than
 * APPROVAL_IDENTITY_MAX, not UTF-8, control, bidirectional-formatting,
 * zero-width or other invisible characters inside.
 */
int approval_identity_canonical(approval_str_t identity, approval_buf_t *out,
    const char **err);

/* The same without allocation: NULL, or why the identity is unusable. */

typedef struct {
    size_t                len;
    unsigned char         data[APPROVAL_IDENTITY_MAX];
} approval_canonical_t;

const char *approval_identity_fold(approval_str_t identity,
    approval_canonical_t *c);

/* Declares a and b to be the same person, transitively. */
int approval_people_alias(approval_people_t *p, approval_str_t a,
    approval_str_t b, const char **err);

/* The number of a group, created on first use; -1 on error. */
int approval_people_group(approval_people_t *p, approval_str_t name);
int approval_people_group_find(const approval_people_t *p,
    approval_str_t name);
approval_str_t approval_people_group_name(const approval_people_t *p,
    int group);

int approval_people_groups(const approval_people_t *p);

/* Adds a member; a member may stand in several groups. */
int approval_people_member(approval_people_t *p, int group,
    approval_str_t identity, const char **err);

/*
 * The person behind an identity: the canonical form of the first identity
 * declared for them, or the canonical identity itself where no alias names
 * it.  Appended to out.  Return values as approval_identity_canonical().
 */
int approval_people_person(const approval_people_t *p, approval_str_t identity,
    approval_buf_t *out, const char **err);

/* Are these two the same person?  Unusable identities are nobody: 0. */
int approval_people_same(const approval_people_t *p, approval_str_t a,
    approval_str_t b);

int approval_people_in_group(const approval_people_t *p, int group,
    approval_str_t identity);

/* How many distinct persons a group has, and each, in order of declaration. */
size_t approval_people_group_size(const approval_people_t *p, int group);
int approval_people_each(const approval_people_t *p, int group,
    int (*visit)(void *data, approval_str_t person), void *data);

/* All names of the person behind an identity, its canonical form at least. */
int approval_people_names(const approval_people_t *p, approval_str_t identity,
    int (*visit)(void *data, approval_str_t name), void *data);

/* "sha256:..." of their names, in order, each with an LF. */
int approval_people_digest(const approval_people_t *p, int group,
    char dst[APPROVAL_DIGEST_LEN]);


#endif /* APPROVAL_IDENTITY_H */
