
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * A table in shared memory: entries in an array, chained by a hash of their id.
 * Each new entry moves a clock hand, which frees entries that are over.  If no
 * entry is free, all of these are freed at once.  Memory pages are not touched
 * before they are used.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "model/ends.h"

#include "core/jws.h"
#include "core/passkey.h"


#define NGX_HTTP_APPROVAL_ENDS        131072
#define NGX_HTTP_APPROVAL_ENDS_MAGIC  0x656e6473
#define NGX_HTTP_APPROVAL_ENDS_HEADS  65536
#define NGX_HTTP_APPROVAL_ENDS_STEP   2          /* of the hand              */
#define NGX_HTTP_APPROVAL_ENDS_ZONE   (9 * 1024 * 1024)
#define NGX_HTTP_APPROVAL_ENDS_SLACK  60000      /* ms, between clocks       */
#define NGX_HTTP_APPROVAL_ENDS_DAY    (24 * 3600 * 1000)
#define NGX_HTTP_APPROVAL_ENDS_WIDTH  52         /* bits of "uses": so many
                                                    has a number of JSON     */


/* next: the number of the next entry, from 1; 0: none. */

typedef struct {
    u_char                id[APPROVAL_ID_LEN / 2];
    int64_t               until;
    int64_t               since;
    uint64_t              uses;
    uint32_t              use;
    uint32_t              next;
    uint8_t               kind;                  /* 0: it is free            */
    uint8_t               state;
    uint8_t               over;
} ngx_http_approval_entry_t;


typedef struct {
    uint64_t                   magic;
    uint64_t                   size;
    int64_t                    lost;             /* until when an end that
                                                    had no room mattered     */
    time_t                     swept;
    uint32_t                   made;             /* entries used so far      */
    uint32_t                   free;
    uint32_t                   hand;
    uint32_t                   heads[NGX_HTTP_APPROVAL_ENDS_HEADS];
    ngx_http_approval_entry_t  entries[NGX_HTTP_APPROVAL_ENDS];
} ngx_http_approval_ends_t;


static ngx_int_t ngx_http_approval_ends_init_zone(ngx_shm_zone_t *zone,
    void *data);
static ngx_http_approval_ends_t *ngx_http_approval_ends_lock(
    ngx_http_approval_main_conf_t *mcf, const ngx_http_approval_end_t *end,
    int64_t now, ngx_http_approval_entry_t **entry);
static ngx_int_t ngx_http_approval_ends_id(const ngx_http_approval_end_t *end,
    u_char id[APPROVAL_ID_LEN / 2]);
static void ngx_http_approval_ends_unlock(ngx_http_approval_main_conf_t *mcf);
static uint32_t *ngx_http_approval_ends_head(ngx_http_approval_ends_t *ends,
    const u_char *id);
static ngx_http_approval_entry_t *ngx_http_approval_ends_lookup(
    ngx_http_approval_ends_t *ends, ngx_uint_t kind, const u_char *id,
    int64_t now);
static ngx_uint_t ngx_http_approval_ends_room(ngx_http_approval_ends_t *ends,
    int64_t now);
static ngx_http_approval_entry_t *ngx_http_approval_ends_insert(
    ngx_http_approval_ends_t *ends, const ngx_http_approval_end_t *end,
    int64_t now);
static void ngx_http_approval_ends_remove(ngx_http_approval_ends_t *ends,
    ngx_http_approval_entry_t *entry);
static void ngx_http_approval_ends_turn(ngx_http_approval_ends_t *ends,
    ngx_uint_t n, int64_t now);
static void ngx_http_approval_ends_full(ngx_http_approval_ends_t *ends,
    int64_t now);
static ngx_int_t ngx_http_approval_ends_merge(
    ngx_http_approval_entry_t *entry, const ngx_http_approval_end_t *end);
static ngx_uint_t ngx_http_approval_ends_taken(
    const ngx_http_approval_entry_t *entry, const ngx_http_approval_end_t *end);
static void ngx_http_approval_ends_used(ngx_http_approval_entry_t *entry,
    uint32_t use, uint64_t uses);
static void ngx_http_approval_ends_tell(ngx_http_approval_entry_t *entry,
    ngx_http_approval_end_t *end);
static const char *ngx_http_approval_end_kind(
    const ngx_http_approval_end_t *end);
static ngx_int_t ngx_http_approval_end_open(
    ngx_http_approval_main_conf_t *mcf, ngx_str_t *statement,
    ngx_http_approval_end_t *end, int64_t now);
static ngx_int_t ngx_http_approval_end_revoked(
    ngx_http_approval_main_conf_t *mcf, ngx_str_t *statement,
    ngx_http_approval_end_t *end);


ngx_int_t
ngx_http_approval_ends_zone(ngx_conf_t *cf, ngx_http_approval_conf_t *mcf)
{
    ngx_str_t  name = ngx_string("ngx_http_approval_ends");

    mcf->ends = ngx_shared_memory_add(cf, &name, NGX_HTTP_APPROVAL_ENDS_ZONE,
                                      &ngx_http_approval_module);
    if (mcf->ends == NULL) {
        return NGX_ERROR;
    }

    mcf->ends->init = ngx_http_approval_ends_init_zone;

    return NGX_OK;
}


static ngx_int_t
ngx_http_approval_ends_init_zone(ngx_shm_zone_t *zone, void *data)
{
    ngx_slab_pool_t           *pool;
    ngx_http_approval_ends_t  *ends;

    pool = (ngx_slab_pool_t *) zone->shm.addr;
    ends = data;

    if (ends == NULL && zone->shm.exists) {
        ends = pool->data;
    }

    /* another version of this module has another layout of the table */

    if (ends && (ends->magic != NGX_HTTP_APPROVAL_ENDS_MAGIC
                 || ends->size != sizeof(ngx_http_approval_ends_t)))
    {
        ngx_slab_free(pool, ends);
        ends = NULL;

        ngx_log_error(NGX_LOG_WARN, zone->shm.log, 0,
                      "the ends of actions that another version of the module "
                      "remembered cannot be read: this gateway now knows only "
                      "those that are in Redis");
    }

    if (ends == NULL) {
        ends = ngx_slab_alloc(pool, sizeof(ngx_http_approval_ends_t));
        if (ends == NULL) {
            return NGX_ERROR;
        }

        ngx_memzero(ends, offsetof(ngx_http_approval_ends_t, entries));

        ends->magic = NGX_HTTP_APPROVAL_ENDS_MAGIC;
        ends->size = sizeof(ngx_http_approval_ends_t);
    }

    pool->data = ends;
    zone->data = ends;

    return NGX_OK;
}


ngx_int_t
ngx_http_approval_end_add(ngx_http_approval_main_conf_t *mcf,
    const ngx_http_approval_end_t *end, int64_t now)
{
    ngx_int_t                   rc;
    ngx_http_approval_ends_t   *ends;
    ngx_http_approval_entry_t  *entry;

    ends = ngx_http_approval_ends_lock(mcf, end, now, &entry);

    if (ends == NULL) {
        return NGX_ERROR;
    }

    rc = entry ? ngx_http_approval_ends_merge(entry, end)
               : ngx_http_approval_ends_insert(ends, end, now) ? NGX_OK
                                                               : NGX_ERROR;
    ngx_http_approval_ends_unlock(mcf);

    return rc;
}


ngx_int_t
ngx_http_approval_end_take(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_end_t *end, int64_t now)
{
    ngx_int_t                   rc;
    ngx_http_approval_ends_t   *ends;
    ngx_http_approval_entry_t  *entry;

    ends = ngx_http_approval_ends_lock(mcf, end, now, &entry);

    if (ends == NULL) {
        return NGX_ERROR;
    }

    if (entry) {
        rc = ngx_http_approval_ends_taken(entry, end)
             ? NGX_DECLINED : ngx_http_approval_ends_merge(entry, end);

        ngx_http_approval_ends_tell(entry, end);

    } else {
        rc = (ends->lost <= now
              && ngx_http_approval_ends_insert(ends, end, now))
             ? NGX_OK : NGX_ERROR;
    }

    ngx_http_approval_ends_unlock(mcf);

    return rc;
}


ngx_int_t
ngx_http_approval_end_find(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_end_t *end, int64_t now)
{
    ngx_int_t                   rc;
    ngx_http_approval_ends_t   *ends;
    ngx_http_approval_entry_t  *entry;

    ends = ngx_http_approval_ends_lock(mcf, end, now, &entry);

    if (ends == NULL) {
        return NGX_DECLINED;
    }

    rc = entry ? NGX_OK : (ends->lost > now) ? NGX_ERROR : NGX_DECLINED;

    if (entry) {
        ngx_http_approval_ends_tell(entry, end);
    }

    ngx_http_approval_ends_unlock(mcf);

    return rc;
}


ngx_int_t
ngx_http_approval_end_room(ngx_http_approval_main_conf_t *mcf,
    const ngx_http_approval_end_t *end, int64_t now)
{
    ngx_int_t                   rc;
    ngx_http_approval_ends_t   *ends;
    ngx_http_approval_entry_t  *entry;

    ends = ngx_http_approval_ends_lock(mcf, end, now, &entry);

    if (ends == NULL) {
        return NGX_ERROR;
    }

    rc = entry || (ends->lost <= now && ngx_http_approval_ends_room(ends, now))
         ? NGX_OK : NGX_ERROR;

    ngx_http_approval_ends_unlock(mcf);

    return rc;
}


ngx_int_t
ngx_http_approval_end_frozen(ngx_http_approval_main_conf_t *mcf,
    const ngx_str_t *hashes, int64_t now)
{
    size_t                   i;
    ngx_http_approval_end_t  end;

    end.kind = NGX_HTTP_APPROVAL_END_FREEZE;

    for (i = 0; i + APPROVAL_ID_LEN <= hashes->len; i += APPROVAL_ID_LEN + 1) {
        ngx_memcpy(end.id, hashes->data + i, APPROVAL_ID_LEN);

        if (ngx_http_approval_end_find(mcf, &end, now) == NGX_OK
            && !end.over)
        {
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


ngx_uint_t
ngx_http_approval_end_executed(ngx_http_approval_main_conf_t *mcf, u_char *id,
    int64_t now)
{
    ngx_http_approval_end_t  end;

    end.kind = NGX_HTTP_APPROVAL_END_ACTION;
    ngx_memcpy(end.id, id, APPROVAL_ID_LEN);

    return ngx_http_approval_end_find(mcf, &end, now) == NGX_OK
           && end.state == NGX_HTTP_APPROVAL_EXECUTED;
}


const char *
ngx_http_approval_end_name(ngx_http_approval_state_e state, const char **why)
{
    switch (state) {

    case NGX_HTTP_APPROVAL_DENIED:
        *why = "it was denied before, but Redis has lost that";
        return "denial";

    case NGX_HTTP_APPROVAL_CANCELLED:
        *why = "it was cancelled before, but Redis has lost that";
        return "cancellation";

    case NGX_HTTP_APPROVAL_EXPIRED:
        *why = "it expired before, but Redis has lost that";
        return "deadline";

    case NGX_HTTP_APPROVAL_APPROVED:
        *why = "its approval was used before, or somebody copied it in "
               "Redis";
        return "execution";

    default:
        *why = "it was executed before, but Redis has lost that";
        return "execution";
    }
}


int64_t
ngx_http_approval_end_until(ngx_http_approval_rule_t *rule, int64_t now)
{
    return now + (rule ? (int64_t) rule->timeout
                         + (int64_t) rule->execute_within
                         + NGX_HTTP_APPROVAL_ENDS_SLACK
                       : NGX_HTTP_APPROVAL_ENDS_DAY);
}


void
ngx_http_approval_end_decided(ngx_http_approval_main_conf_t *mcf,
    ngx_http_approval_rule_t *rule, u_char *id,
    ngx_http_approval_state_e state, int64_t now)
{
    ngx_http_approval_end_t  end;

    if (state != NGX_HTTP_APPROVAL_DENIED
        && state != NGX_HTTP_APPROVAL_CANCELLED)
    {
        return;
    }

    ngx_memzero(&end, sizeof(ngx_http_approval_end_t));

    end.kind = NGX_HTTP_APPROVAL_END_ACTION;
    end.state = state;
    end.until = ngx_http_approval_end_until(rule, now);
    ngx_memcpy(end.id, id, APPROVAL_ID_LEN);

    (void) ngx_http_approval_end_add(mcf, &end, now);
}


/*
 * Locks the table and looks up the end.  NULL: there is no table, or the id is
 * invalid; nothing is locked then.
 */

static ngx_http_approval_ends_t *
ngx_http_approval_ends_lock(ngx_http_approval_main_conf_t *mcf,
    const ngx_http_approval_end_t *end, int64_t now,
    ngx_http_approval_entry_t **entry)
{
    u_char            id[APPROVAL_ID_LEN / 2];
    ngx_slab_pool_t  *pool;

    if (mcf->ends == NULL || ngx_http_approval_ends_id(end, id) != NGX_OK) {
        return NULL;
    }

    pool = (ngx_slab_pool_t *) mcf->ends->shm.addr;

    ngx_shmtx_lock(&pool->mutex);

    *entry = ngx_http_approval_ends_lookup(mcf->ends->data, end->kind, id, now);

    return mcf->ends->data;
}


static ngx_int_t
ngx_http_approval_ends_id(const ngx_http_approval_end_t *end,
    u_char id[APPROVAL_ID_LEN / 2])
{
    return approval_hex_decode(id, (approval_str_t) { APPROVAL_ID_LEN,
                                                      end->id })
           == APPROVAL_ID_LEN / 2 ? NGX_OK : NGX_ERROR;
}


static void
ngx_http_approval_ends_unlock(ngx_http_approval_main_conf_t *mcf)
{
    ngx_slab_pool_t  *pool;

    pool = (ngx_slab_pool_t *) mcf->ends->shm.addr;

    ngx_shmtx_unlock(&pool->mutex);
}


/* Ids are random except for the shard, and hashes are MACs. */

static uint32_t *
ngx_http_approval_ends_head(ngx_http_approval_ends_t *ends, const u_char *id)
{
    return &ends->heads[(id[1] << 8 | id[2]) % NGX_HTTP_APPROVAL_ENDS_HEADS];
}


static ngx_http_approval_entry_t *
ngx_http_approval_ends_lookup(ngx_http_approval_ends_t *ends, ngx_uint_t kind,
    const u_char *id, int64_t now)
{
    uint32_t                    i, n;
    ngx_http_approval_entry_t  *entry;

    n = *ngx_http_approval_ends_head(ends, id);

    for (i = 0; n && i < ends->made; i++, n = entry->next) {
        entry = &ends->entries[n - 1];

        if (entry->kind == kind
            && ngx_memcmp(entry->id, id, sizeof(entry->id)) == 0)
        {
            return (entry->until && entry->until <= now) ? NULL : entry;
        }
    }

    return NULL;
}


static ngx_uint_t
ngx_http_approval_ends_room(ngx_http_approval_ends_t *ends, int64_t now)
{
    ngx_http_approval_ends_turn(ends, NGX_HTTP_APPROVAL_ENDS_STEP, now);

    if (ends->free == 0 && ends->made == NGX_HTTP_APPROVAL_ENDS) {
        ngx_http_approval_ends_full(ends, now);
    }

    return ends->free || ends->made < NGX_HTTP_APPROVAL_ENDS;
}


static ngx_http_approval_entry_t *
ngx_http_approval_ends_insert(ngx_http_approval_ends_t *ends,
    const ngx_http_approval_end_t *end, int64_t now)
{
    uint32_t                    n, *head;
    ngx_http_approval_entry_t  *entry;

    if (!ngx_http_approval_ends_room(ends, now)) {
        ends->lost = ngx_max(ends->lost,
                             end->until ? end->until
                                        : now + NGX_HTTP_APPROVAL_ENDS_DAY);
        return NULL;
    }

    if (ends->free) {
        n = ends->free;
        ends->free = ends->entries[n - 1].next;

    } else {
        n = ++ends->made;
    }

    entry = &ends->entries[n - 1];
    ngx_memzero(entry, sizeof(ngx_http_approval_entry_t));
    (void) ngx_http_approval_ends_id(end, entry->id);
    head = ngx_http_approval_ends_head(ends, entry->id);

    entry->kind = (uint8_t) end->kind;
    entry->next = *head;

    ngx_memory_barrier();

    *head = n;

    (void) ngx_http_approval_ends_merge(entry, end);

    return entry;
}


/*
 * A worker that is killed in insert() or here may leave an entry that is in use
 * but not in its chain, or one that is in its chain but free.  The barriers
 * keep an entry from being both in a chain and in the list of free ones.
 */

static void
ngx_http_approval_ends_remove(ngx_http_approval_ends_t *ends,
    ngx_http_approval_entry_t *entry)
{
    uint32_t  i, n, *p;

    n = (uint32_t) (entry - ends->entries) + 1;

    entry->kind = 0;

    p = ngx_http_approval_ends_head(ends, entry->id);

    for (i = 0; *p && *p != n && i < ends->made; i++) {
        p = &ends->entries[*p - 1].next;
    }

    if (*p == n) {
        *p = entry->next;
    }

    ngx_memory_barrier();

    entry->next = ends->free;

    ngx_memory_barrier();

    ends->free = n;
}


/* Moves the hand by n entries. */

static void
ngx_http_approval_ends_turn(ngx_http_approval_ends_t *ends, ngx_uint_t n,
    int64_t now)
{
    ngx_http_approval_entry_t  *entry;

    while (n-- && ends->made) {
        ends->hand = (ends->hand + 1) % ends->made;
        entry = &ends->entries[ends->hand];

        if (entry->kind && entry->until && entry->until <= now) {
            ngx_http_approval_ends_remove(ends, entry);
        }
    }
}


/*
 * At most once a second: frees all entries that are over or, if there are none,
 * some cancellations.
 */

static void
ngx_http_approval_ends_full(ngx_http_approval_ends_t *ends, int64_t now)
{
    ngx_uint_t                  i, n;
    ngx_http_approval_entry_t  *entry;

    if (ends->swept == ngx_time()) {
        return;
    }

    ends->swept = ngx_time();

    ngx_http_approval_ends_turn(ends, ends->made, now);

    for (i = 0, n = 0; ends->free == 0 || (n && n < 1024); i++) {

        if (i == ends->made) {
            break;
        }

        ends->hand = (ends->hand + 1) % ends->made;
        entry = &ends->entries[ends->hand];

        if (entry->kind == NGX_HTTP_APPROVAL_END_ACTION
            && entry->state == NGX_HTTP_APPROVAL_CANCELLED)
        {
            ngx_http_approval_ends_remove(ends, entry);
            n++;
        }
    }

    if (ends->free == 0) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                      "the memory of ends is full with %d entries: approvals "
                      "are refused until the oldest entries expire; shorter "
                      "\"timeout\" and \"execute_within\" let them expire "
                      "sooner", NGX_HTTP_APPROVAL_ENDS);
    }
}


static ngx_int_t
ngx_http_approval_ends_merge(ngx_http_approval_entry_t *entry,
    const ngx_http_approval_end_t *end)
{
    if (end->since < entry->since) {
        return NGX_DECLINED;
    }

    if (end->since > entry->since) {
        entry->since = end->since;
        entry->until = end->until;
        entry->over = 0;
        entry->use = 0;
        entry->uses = 0;
    }

    /* 0 is for ever */

    if (end->until == 0 || (entry->until && end->until > entry->until)) {
        entry->until = end->until;
    }

    /* an action ends once, whatever the store lets it end as later */

    if (entry->state == 0) {
        entry->state = (uint8_t) end->state;
    }

    entry->over |= (end->over != 0);

    if (end->use) {
        ngx_http_approval_ends_used(entry, end->use, end->uses);
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_approval_ends_taken(const ngx_http_approval_entry_t *entry,
    const ngx_http_approval_end_t *end)
{
    uint32_t  ago;

    if (end->kind == NGX_HTTP_APPROVAL_END_ACTION
        || end->since < entry->since
        || (end->since == entry->since && entry->over))
    {
        return 1;
    }

    if (end->since > entry->since || end->use > entry->use) {
        return 0;
    }

    ago = entry->use - end->use;

    return ago >= NGX_HTTP_APPROVAL_ENDS_WIDTH
           || (entry->uses & ((uint64_t) 1 << ago)) != 0;
}


static void
ngx_http_approval_ends_used(ngx_http_approval_entry_t *entry, uint32_t use,
    uint64_t uses)
{
    uint32_t  by;

    if (use > entry->use) {
        by = use - entry->use;
        entry->uses = (by < NGX_HTTP_APPROVAL_ENDS_WIDTH) ? entry->uses << by
                                                          : 0;
        entry->uses |= uses;
        entry->use = use;

    } else if (entry->use - use < NGX_HTTP_APPROVAL_ENDS_WIDTH) {
        entry->uses |= uses << (entry->use - use);
    }

    entry->uses &= ((uint64_t) 1 << NGX_HTTP_APPROVAL_ENDS_WIDTH) - 1;
}


static void
ngx_http_approval_ends_tell(ngx_http_approval_entry_t *entry,
    ngx_http_approval_end_t *end)
{
    end->until = entry->until;
    end->since = entry->since;
    end->state = entry->state;
    end->over = entry->over;
    end->use = entry->use;
    end->uses = entry->uses;
}


ngx_int_t
ngx_http_approval_end_seal(ngx_http_approval_main_conf_t *mcf,
    const ngx_http_approval_end_t *end, json_t *doc, approval_buf_t *out)
{
    if (json_object_set_new(doc, "v", json_integer(1)) != 0
        || json_object_set_new(doc, "kind",
                               json_string(ngx_http_approval_end_kind(end)))
           != 0
        || json_object_set_new(doc, "id",
                               json_stringn((const char *) end->id,
                                            APPROVAL_ID_LEN))
           != 0
        || json_object_set_new(doc, "since", json_integer(end->since)) != 0
        || json_object_set_new(doc, "ends", json_integer(end->until)) != 0
        || (end->over && json_object_set_new(doc, "over", json_true()) != 0)
        || (end->kind == NGX_HTTP_APPROVAL_END_GRANT
            && (json_object_set_new(doc, "use", json_integer(end->use)) != 0
                || json_object_set_new(doc, "uses",
                                       json_integer((json_int_t) end->uses))
                   != 0)))
    {
        return NGX_ERROR;
    }

    return ngx_http_approval_action_seal(mcf, doc, out);
}


/* end->kind and end->id are those that the statement must be about. */

static ngx_int_t
ngx_http_approval_end_open(ngx_http_approval_main_conf_t *mcf,
    ngx_str_t *statement, ngx_http_approval_end_t *end, int64_t now)
{
    json_t      *doc;
    ngx_int_t    rc;
    ngx_str_t    kind;
    const char  *err;

    if (end->kind == NGX_HTTP_APPROVAL_END_ACTION) {

        /* an approval that was taken, or a refusal, of any age */

        end->until = now + NGX_HTTP_APPROVAL_ENDS_DAY;

        return ngx_http_approval_decision_read(mcf, end->id, NULL, statement,
                                               0, &end->state, NULL, &err);
    }

    if (end->kind == NGX_HTTP_APPROVAL_END_PASSKEY) {
        return ngx_http_approval_end_revoked(mcf, statement, end);
    }

    doc = ngx_http_approval_action_open(mcf, end->id, statement);
    kind = ngx_http_approval_json_get(doc, "kind");

    end->since = json_integer_value(json_object_get(doc, "since"));
    end->until = json_integer_value(json_object_get(doc, "ends"));
    end->over = json_is_true(json_object_get(doc, "over"));
    end->use = (uint32_t) json_integer_value(json_object_get(doc, "use"));
    end->uses = (uint64_t) json_integer_value(json_object_get(doc, "uses"));

    rc = approval_str_eq(ngx_http_approval_core_str(&kind),
                         approval_str(ngx_http_approval_end_kind(end)))
         ? NGX_OK : NGX_DECLINED;

    json_decref(doc);

    return rc;
}


/* The record of the passkey's revocation, which is valid for ever. */

static ngx_int_t
ngx_http_approval_end_revoked(ngx_http_approval_main_conf_t *mcf,
    ngx_str_t *statement, ngx_http_approval_end_t *end)
{
    json_t          *claims;
    ngx_int_t        rc;
    ngx_str_t        name, state;
    const char      *err;
    approval_str_t   id;

    claims = approval_jws_verify(mcf->signer, APPROVAL_PASSKEY_TYP,
                                 ngx_http_approval_core_str(statement), &err);

    id.data = end->id;
    id.len = APPROVAL_ID_LEN;
    name = ngx_http_approval_json_get(claims, "jti");
    state = ngx_http_approval_json_get(claims, "sta");

    end->since = json_integer_value(json_object_get(claims, "iatms"));
    end->until = 0;
    end->over = 1;

    rc = approval_str_eq(ngx_http_approval_core_str(&name), id)
         && approval_str_eq(ngx_http_approval_core_str(&state),
                            approval_str("revoked"))
         ? NGX_OK : NGX_DECLINED;

    json_decref(claims);

    return rc;
}


static const char *
ngx_http_approval_end_kind(const ngx_http_approval_end_t *end)
{
    if (end->kind == NGX_HTTP_APPROVAL_END_GRANT) {
        return "used";
    }

    return end->over ? "thawed" : "frozen";
}


void
ngx_http_approval_ends_learn(ngx_http_approval_main_conf_t *mcf,
    const ngx_str_t *said, ngx_uint_t n, int64_t now)
{
    ngx_uint_t               i;
    ngx_str_t                statement;
    ngx_http_approval_end_t  end;

    for (i = 0; i + 2 < n; i += 3) {

        if (said[i].len != 1 || said[i + 1].len != APPROVAL_ID_LEN) {
            continue;
        }

        ngx_memzero(&end, sizeof(ngx_http_approval_end_t));

        end.kind = said[i].data[0];
        ngx_memcpy(end.id, said[i + 1].data, APPROVAL_ID_LEN);

        statement = said[i + 2];

        if (ngx_http_approval_end_open(mcf, &statement, &end, now) == NGX_OK) {
            (void) ngx_http_approval_end_add(mcf, &end, now);
            continue;
        }

        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "the end of \"%*s\" in Redis is ignored, because it was "
                      "not sealed or signed with this gateway's keys",
                      (size_t) APPROVAL_ID_LEN, end.id);
    }
}
