
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * People and groups.
 */


#include "core/identity.h"

#include <stdlib.h>
#include <string.h>


#define APPROVAL_PEOPLE_NONE   ((size_t) -1)
#define APPROVAL_PEOPLE_SLOTS  64      /* a power of two, to begin with */


/*
 * Identities are nodes of a union-find forest, joined by size.  The root of a
 * set stores the identity that was declared first, and the set's groups.
 */

typedef struct {
    unsigned char        *data;
    size_t                len;
    size_t                parent;
    size_t                size;        /* of the set; at its root          */
    size_t                first;       /* the person's name; at its root   */
    size_t                declared;    /* order in which an alias named it */
    int                  *groups;      /* distinct; at the root            */
    size_t                ngroups;
} approval_identity_t;


typedef struct {
    unsigned char        *name;
    size_t                len;
    size_t                persons;
    size_t               *members;     /* nodes, in order of declaration */
    size_t                nmembers;
    size_t                size;
} approval_group_t;


struct approval_people_s {
    approval_identity_t  *nodes;
    size_t                n;
    size_t                size;
    size_t               *slots;       /* open addressing, half full */
    size_t                nslots;
    size_t                declared;
    approval_group_t     *groups;
    int                   ngroups;
};


static size_t *approval_people_slot(const approval_people_t *p,
    const unsigned char *data, size_t len);
static size_t approval_people_find(const approval_people_t *p,
    approval_str_t identity, approval_canonical_t *c);
static size_t approval_people_add(approval_people_t *p,
    approval_str_t identity, const char **err, int *rc);
static int approval_people_grow(approval_people_t *p);
static size_t approval_people_root(const approval_people_t *p, size_t i);
static int approval_people_join(approval_people_t *p, size_t a, size_t b);
static int approval_people_has_group(const approval_identity_t *node,
    int group);
static void *approval_people_resize(void *data, size_t n, size_t item);


approval_people_t *
approval_people_create(void)
{
    size_t              i;
    approval_people_t  *p;

    p = calloc(1, sizeof(approval_people_t));
    if (p == NULL) {
        return NULL;
    }

    p->slots = malloc(APPROVAL_PEOPLE_SLOTS * sizeof(size_t));
    if (p->slots == NULL) {
        free(p);
        return NULL;
    }

    p->nslots = APPROVAL_PEOPLE_SLOTS;

    for (i = 0; i < p->nslots; i++) {
        p->slots[i] = APPROVAL_PEOPLE_NONE;
    }

    return p;
}


void
approval_people_destroy(approval_people_t *p)
{
    int     g;
    size_t  i;

    if (p == NULL) {
        return;
    }

    for (i = 0; i < p->n; i++) {
        free(p->nodes[i].data);
        free(p->nodes[i].groups);
    }

    for (g = 0; g < p->ngroups; g++) {
        free(p->groups[g].name);
        free(p->groups[g].members);
    }

    free(p->nodes);
    free(p->slots);
    free(p->groups);
    free(p);
}


int
approval_people_alias(approval_people_t *p, approval_str_t a, approval_str_t b,
    const char **err)
{
    int                   rc;
    size_t                i, nodes[2];
    approval_identity_t  *node, *root;

    nodes[0] = approval_people_add(p, a, err, &rc);
    if (rc != APPROVAL_OK) {
        return rc;
    }

    nodes[1] = approval_people_add(p, b, err, &rc);
    if (rc != APPROVAL_OK) {
        return rc;
    }

    for (i = 0; i < 2; i++) {
        node = &p->nodes[nodes[i]];

        if (node->declared == 0) {
            node->declared = ++p->declared;

            root = &p->nodes[approval_people_root(p, nodes[i])];

            if (p->nodes[root->first].declared == 0) {
                root->first = nodes[i];
            }
        }
    }

    rc = approval_people_join(p, nodes[0], nodes[1]);

    if (rc != APPROVAL_OK) {
        *err = "no memory for people";
    }

    return rc;
}


int
approval_people_group(approval_people_t *p, approval_str_t name)
{
    int                group;
    unsigned char     *copy;
    approval_group_t  *groups, *g;

    group = approval_people_group_find(p, name);

    if (group != APPROVAL_ERROR) {
        return group;
    }

    if (name.len == 0) {
        return APPROVAL_ERROR;
    }

    copy = malloc(name.len);
    if (copy == NULL) {
        return APPROVAL_ERROR;
    }

    groups = approval_people_resize(p->groups, (size_t) p->ngroups + 1,
                                    sizeof(approval_group_t));
    if (groups == NULL) {
        free(copy);
        return APPROVAL_ERROR;
    }

    p->groups = groups;
    g = &groups[p->ngroups];

    memset(g, 0, sizeof(approval_group_t));
    memcpy(copy, name.data, name.len);

    g->name = copy;
    g->len = name.len;

    return p->ngroups++;
}


int
approval_people_group_find(const approval_people_t *p, approval_str_t name)
{
    int  g;

    for (g = 0; g < p->ngroups; g++) {
        if (approval_str_eq(approval_people_group_name(p, g), name)) {
            return g;
        }
    }

    return APPROVAL_ERROR;
}


approval_str_t
approval_people_group_name(const approval_people_t *p, int group)
{
    approval_str_t  name = approval_string("");

    if (group >= 0 && group < p->ngroups) {
        name.data = p->groups[group].name;
        name.len = p->groups[group].len;
    }

    return name;
}


int
approval_people_groups(const approval_people_t *p)
{
    return p->ngroups;
}


int
approval_people_member(approval_people_t *p, int group,
    approval_str_t identity, const char **err)
{
    int                   rc, *groups;
    size_t                i, size, *members;
    approval_group_t     *g;
    approval_identity_t  *root;

    if (group < 0 || group >= p->ngroups) {
        *err = "there is no such group";
        return APPROVAL_ERROR;
    }

    i = approval_people_add(p, identity, err, &rc);
    if (rc != APPROVAL_OK) {
        return rc;
    }

    g = &p->groups[group];
    root = &p->nodes[approval_people_root(p, i)];

    if (approval_people_has_group(root, group)) {
        return APPROVAL_OK;
    }

    *err = "no memory for people";

    if (g->nmembers == g->size) {
        size = g->size ? 2 * g->size : 8;

        members = approval_people_resize(g->members, size, sizeof(size_t));
        if (members == NULL) {
            return APPROVAL_ERROR;
        }

        g->members = members;
        g->size = size;
    }

    groups = approval_people_resize(root->groups, root->ngroups + 1,
                                    sizeof(int));
    if (groups == NULL) {
        return APPROVAL_ERROR;
    }

    root->groups = groups;
    root->groups[root->ngroups++] = group;

    g->members[g->nmembers++] = i;
    g->persons++;
    *err = NULL;

    return APPROVAL_OK;
}


int
approval_people_person(const approval_people_t *p, approval_str_t identity,
    approval_buf_t *out, const char **err)
{
    size_t                i;
    approval_canonical_t  c;
    approval_identity_t  *node;

    *err = approval_identity_fold(identity, &c);
    if (*err != NULL) {
        return APPROVAL_DECLINED;
    }

    i = *approval_people_slot(p, c.data, c.len);

    if (i == APPROVAL_PEOPLE_NONE) {
        approval_buf_add(out, c.data, c.len);

    } else {
        i = approval_people_root(p, i);
        node = &p->nodes[p->nodes[i].first];
        approval_buf_add(out, node->data, node->len);
    }

    if (out->failed) {
        *err = "no memory for an identity";
        return APPROVAL_ERROR;
    }

    return APPROVAL_OK;
}


int
approval_people_names(const approval_people_t *p, approval_str_t identity,
    int (*visit)(void *data, approval_str_t name), void *data)
{
    int                   rc;
    size_t                i, root;
    approval_str_t        name;
    approval_canonical_t  c;

    root = approval_people_find(p, identity, &c);

    name.data = c.data;
    name.len = c.len;

    rc = c.len ? visit(data, name) : APPROVAL_DECLINED;

    for (i = 0; root != APPROVAL_PEOPLE_NONE && rc == APPROVAL_OK && i < p->n;
         i++)
    {
        name.data = p->nodes[i].data;
        name.len = p->nodes[i].len;

        if (approval_people_root(p, i) == root
            && (name.len != c.len || memcmp(name.data, c.data, c.len) != 0))
        {
            rc = visit(data, name);
        }
    }

    return rc;
}


int
approval_people_same(const approval_people_t *p, approval_str_t a,
    approval_str_t b)
{
    size_t                i, j;
    approval_canonical_t  x, y;

    i = approval_people_find(p, a, &x);
    j = approval_people_find(p, b, &y);

    if (x.len == 0 || y.len == 0) {
        return 0;
    }

    if (i != APPROVAL_PEOPLE_NONE && j != APPROVAL_PEOPLE_NONE) {
        return i == j;
    }

    return x.len == y.len && memcmp(x.data, y.data, x.len) == 0;
}


int
approval_people_in_group(const approval_people_t *p, int group,
    approval_str_t identity)
{
    size_t                i;
    approval_canonical_t  c;

    i = approval_people_find(p, identity, &c);

    return i != APPROVAL_PEOPLE_NONE
           && approval_people_has_group(&p->nodes[i], group);
}


size_t
approval_people_group_size(const approval_people_t *p, int group)
{
    return (group >= 0 && group < p->ngroups) ? p->groups[group].persons : 0;
}


int
approval_people_each(const approval_people_t *p, int group,
    int (*visit)(void *data, approval_str_t person), void *data)
{
    int                rc;
    size_t             i, root;
    unsigned char     *seen;
    approval_str_t     person;
    approval_group_t  *g;

    if (group < 0 || group >= p->ngroups || p->groups[group].nmembers == 0) {
        return APPROVAL_OK;
    }

    /* An alias that was declared later may have joined two members. */

    seen = calloc(p->n, 1);
    if (seen == NULL) {
        return APPROVAL_ERROR;
    }

    rc = APPROVAL_OK;
    g = &p->groups[group];

    for (i = 0; i < g->nmembers && rc == APPROVAL_OK; i++) {
        root = approval_people_root(p, g->members[i]);

        if (seen[root]) {
            continue;
        }

        seen[root] = 1;

        person.data = p->nodes[p->nodes[root].first].data;
        person.len = p->nodes[p->nodes[root].first].len;

        rc = visit(data, person);
    }

    free(seen);

    return rc;
}


/* The root of an identity's set, or NONE; c->len is 0 if it is unusable. */

static size_t
approval_people_find(const approval_people_t *p, approval_str_t identity,
    approval_canonical_t *c)
{
    size_t  i;

    if (approval_identity_fold(identity, c) != NULL) {
        c->len = 0;
        return APPROVAL_PEOPLE_NONE;
    }

    i = *approval_people_slot(p, c->data, c->len);

    return (i == APPROVAL_PEOPLE_NONE) ? i : approval_people_root(p, i);
}


/* FNV-1a: all keys come from the configuration. */

static size_t *
approval_people_slot(const approval_people_t *p, const unsigned char *data,
    size_t len)
{
    size_t                i, n;
    uint64_t              hash;
    approval_identity_t  *node;

    hash = 0xcbf29ce484222325ULL;

    for (i = 0; i < len; i++) {
        hash = (hash ^ data[i]) * 0x100000001b3ULL;
    }

    for (i = (size_t) (hash ^ (hash >> 32)); /* void */ ; i++) {
        i &= p->nslots - 1;
        n = p->slots[i];

        if (n == APPROVAL_PEOPLE_NONE) {
            return &p->slots[i];
        }

        node = &p->nodes[n];

        if (node->len == len && memcmp(node->data, data, len) == 0) {
            return &p->slots[i];
        }
    }
}


static size_t
approval_people_add(approval_people_t *p, approval_str_t identity,
    const char **err, int *rc)
{
    size_t               *slot;
    approval_canonical_t  c;
    approval_identity_t  *node;

    *rc = APPROVAL_DECLINED;

    *err = approval_identity_fold(identity, &c);
    if (*err != NULL) {
        return APPROVAL_PEOPLE_NONE;
    }

    *rc = APPROVAL_ERROR;
    *err = "no memory for people";

    if (approval_people_grow(p) != APPROVAL_OK) {
        return APPROVAL_PEOPLE_NONE;
    }

    slot = approval_people_slot(p, c.data, c.len);

    if (*slot == APPROVAL_PEOPLE_NONE) {
        node = &p->nodes[p->n];
        memset(node, 0, sizeof(approval_identity_t));

        node->data = malloc(c.len);
        if (node->data == NULL) {
            return APPROVAL_PEOPLE_NONE;
        }

        memcpy(node->data, c.data, c.len);

        node->len = c.len;
        node->parent = p->n;
        node->first = p->n;
        node->size = 1;

        *slot = p->n++;
    }

    *rc = APPROVAL_OK;
    *err = NULL;

    return *slot;
}


/* Makes room for one more node and its slot. */

static int
approval_people_grow(approval_people_t *p)
{
    size_t                i, size, *slots;
    approval_identity_t  *nodes;

    if (p->n == p->size) {
        size = p->size ? 2 * p->size : APPROVAL_PEOPLE_SLOTS / 2;

        nodes = approval_people_resize(p->nodes, size,
                                       sizeof(approval_identity_t));
        if (nodes == NULL) {
            return APPROVAL_ERROR;
        }

        p->nodes = nodes;
        p->size = size;
    }

    if (p->n < p->nslots / 2) {
        return APPROVAL_OK;
    }

    slots = approval_people_resize(NULL, 2 * p->nslots, sizeof(size_t));
    if (slots == NULL) {
        return APPROVAL_ERROR;
    }

    free(p->slots);

    p->slots = slots;
    p->nslots *= 2;

    for (i = 0; i < p->nslots; i++) {
        slots[i] = APPROVAL_PEOPLE_NONE;
    }

    for (i = 0; i < p->n; i++) {
        *approval_people_slot(p, p->nodes[i].data, p->nodes[i].len) = i;
    }

    return APPROVAL_OK;
}


static void *
approval_people_resize(void *data, size_t n, size_t item)
{
    return (n > SIZE_MAX / item) ? NULL : realloc(data, n * item);
}


static size_t
approval_people_root(const approval_people_t *p, size_t i)
{
    while (p->nodes[i].parent != i) {
        i = p->nodes[i].parent;
    }

    return i;
}


static int
approval_people_join(approval_people_t *p, size_t a, size_t b)
{
    int                  *groups, group;
    size_t                i, n, large, small;
    approval_identity_t  *to, *from;

    a = approval_people_root(p, a);
    b = approval_people_root(p, b);

    if (a == b) {
        return APPROVAL_OK;
    }

    large = (p->nodes[a].size >= p->nodes[b].size) ? a : b;
    small = (large == a) ? b : a;

    to = &p->nodes[large];
    from = &p->nodes[small];

    n = to->ngroups + from->ngroups;

    if (from->ngroups) {
        groups = approval_people_resize(to->groups, n, sizeof(int));
        if (groups == NULL) {
            return APPROVAL_ERROR;
        }

        to->groups = groups;
    }

    for (i = 0; i < from->ngroups; i++) {
        group = from->groups[i];

        if (approval_people_has_group(to, group)) {
            p->groups[group].persons--;

        } else {
            to->groups[to->ngroups++] = group;
        }
    }

    free(from->groups);
    from->groups = NULL;
    from->ngroups = 0;

    from->parent = large;
    to->size += from->size;

    /* Both are declared, since only aliases join sets. */

    if (p->nodes[from->first].declared < p->nodes[to->first].declared) {
        to->first = from->first;
    }

    return APPROVAL_OK;
}


static int
approval_people_has_group(const approval_identity_t *node, int group)
{
    size_t  i;

    for (i = 0; i < node->ngroups; i++) {
        if (node->groups[i] == group) {
            return 1;
        }
    }

    return 0;
}
