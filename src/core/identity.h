
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Identities and persons.  An identity is a string that comes from some
 * authentication.  A person is a set of identities that approval_alias declares
 * to be the same.
 */


#ifndef APPROVAL_IDENTITY_H
#define APPROVAL_IDENTITY_H


#include "core/digest.h"


#define APPROVAL_IDENTITY_MAX  256     /* bytes */


typedef struct approval_people_s  approval_people_t;


approval_people_t *approval_people_create(void);
void approval_people_destroy(approval_people_t *p);

/*
 * Makes the canonical form of an identity: outer white space is removed, case
 * is folded (Unicode simple folding).  Returns NULL, or why the identity is
 * unusable: it is empty, longer than APPROVAL_IDENTITY_MAX, not UTF-8, not in
 * NFKC, or contains control, bidirectional formatting, zero-width or other
 * invisible characters.
 */

typedef struct {
    size_t                len;
    unsigned char         data[APPROVAL_IDENTITY_MAX];
} approval_canonical_t;

const char *approval_identity_fold(approval_str_t identity,
    approval_canonical_t *c);

/* Declares that a and b are the same person.  Aliases are transitive. */
int approval_people_alias(approval_people_t *p, approval_str_t a,
    approval_str_t b, const char **err);

/*
 * Returns the number of a group, which is created on first use; -1 on error.
 */
int approval_people_group(approval_people_t *p, approval_str_t name);
int approval_people_group_find(const approval_people_t *p,
    approval_str_t name);
approval_str_t approval_people_group_name(const approval_people_t *p,
    int group);

int approval_people_groups(const approval_people_t *p);

/* Adds a member.  A person may be a member of several groups. */
int approval_people_member(approval_people_t *p, int group,
    approval_str_t identity, const char **err);

/*
 * Appends the name of the person behind an identity: the canonical form of the
 * first identity declared for this person, or, if no alias names the identity,
 * its own canonical form.  APPROVAL_DECLINED: the identity is unusable, and *err
 * says why.
 */
int approval_people_person(const approval_people_t *p, approval_str_t identity,
    approval_buf_t *out, const char **err);

/* Returns 1 if both are the same person; 0 if an identity is unusable. */
int approval_people_same(const approval_people_t *p, approval_str_t a,
    approval_str_t b);

int approval_people_in_group(const approval_people_t *p, int group,
    approval_str_t identity);

/* The number of distinct persons in a group; each in order of declaration. */
size_t approval_people_group_size(const approval_people_t *p, int group);
int approval_people_each(const approval_people_t *p, int group,
    int (*visit)(void *data, approval_str_t person), void *data);

/* Calls visit() for the identity's canonical form, then for its aliases. */
int approval_people_names(const approval_people_t *p, approval_str_t identity,
    int (*visit)(void *data, approval_str_t name), void *data);

/* "sha256:..." of the sorted names of the persons, each with an LF. */
int approval_people_digest(const approval_people_t *p, int group,
    char dst[APPROVAL_DIGEST_LEN]);


#endif /* APPROVAL_IDENTITY_H */
