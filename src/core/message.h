
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The description of an action for chats: the parts that all chats share.
 * Foreign text is made visible, then escaped for the chat, and cut at a
 * character boundary to the length that the chat accepts.
 */


#ifndef APPROVAL_MESSAGE_H
#define APPROVAL_MESSAGE_H


#include "core/escape.h"
#include "core/json.h"


typedef enum {
    APPROVAL_EVENT_REQUESTED = 0,
    APPROVAL_EVENT_REMINDER,
    APPROVAL_EVENT_ESCALATED,
    APPROVAL_EVENT_APPROVED,
    APPROVAL_EVENT_DENIED,
    APPROVAL_EVENT_EXPIRED,
    APPROVAL_EVENT_CANCELLED,
    APPROVAL_EVENT_EXECUTED,
    APPROVAL_EVENT_FAILED
} approval_event_e;

#define APPROVAL_EVENTS  (APPROVAL_EVENT_FAILED + 1)


/*
 * doc:    the action document
 * facts:  for an outcome: [approvers] or [by], [comment], [why],
 *         [outcome {status, bytes, ms}]; or NULL
 * code:   six digits if the risk is critical, otherwise len 0
 */

typedef struct {
    approval_event_e      event;
    json_t               *doc;
    json_t               *facts;
    approval_str_t        id;
    approval_str_t        approver;    /* len 0: everyone's message           */
    approval_str_t        url;         /* the approver's own, or the shared
                                          one; len 0: none                    */
    approval_str_t        code;
    approval_str_t        head;        /* of the audit trail; len 0: none     */
    int64_t               created;     /* ms */
    int64_t               expires;     /* ms */
    int64_t               told;        /* ms, of a later event */
    unsigned long         recent;
    int                   buttons;     /* the chat's buttons are handled      */
} approval_message_t;


/* 1 if the message shows something of the body, or there is none. */
int approval_message_shown(json_t *doc);

/*
 * The votes that a chat's own buttons may cast on a document as the message
 * described it: a button cannot show what the message omits, nor request the
 * code, a comment or a passkey.  Checked when the buttons are made, and again
 * when one is pressed.
 */
#define APPROVAL_VOTE_APPROVE  0x01
#define APPROVAL_VOTE_DENY     0x02

unsigned approval_message_votes(json_t *doc);

/* "requested", "reminder", ...; is there still something to decide? */
const char *approval_event_name(approval_event_e event);
int approval_event_open(approval_event_e event);

/*
 * Appends s, of which "hidden" bytes were left out before.  The result takes
 * at most max bytes (>= 64) as a JSON string.  If it does not fit, it ends
 * with the number of bytes of s that are hidden.
 */
void approval_message_fit(approval_str_t s, approval_visible_e mode,
    approval_escape_pt escape, size_t max, size_t hidden,
    approval_buf_t *out);

/* The number of bytes of s as a JSON string, without quotes. */
size_t approval_message_cost(approval_str_t s);

/*
 * The pieces, not escaped.  title: one line.  facts: calls visit() for each
 * fact, the most important first.  outcome: how the action ended, and by whom;
 * nothing for an open event.
 */
typedef void (*approval_message_fact_pt)(void *data, const char *name,
    approval_str_t value);

void approval_message_title(const approval_message_t *m, approval_buf_t *out);
int approval_message_facts(const approval_message_t *m,
    approval_message_fact_pt visit, void *data);
/*
 * Visits "matched" or "show" of the document, name by name.
 * APPROVAL_DECLINED: visit() returned it because the rest does not fit; the
 * rest is not visited.
 */
typedef int (*approval_message_pair_pt)(void *data, approval_str_t name,
    approval_str_t value);

int approval_message_pairs(const approval_message_t *m, const char *member,
    approval_message_pair_pt visit, void *data);

void approval_message_outcome(const approval_message_t *m,
    approval_buf_t *out);

/*
 * All of it as the values of a template (core/template.h): a new reference, or
 * NULL.  docs/channels.md lists them.
 */
json_t *approval_message_data(const approval_message_t *m);

/* The same for a template that cuts all values itself: they are not cut. */
json_t *approval_message_whole(const approval_message_t *m);

/*
 * For trying a template: a message of the event with values that need
 * escaping.  The caller owns m->doc and m->facts.  APPROVAL_ERROR: no memory.
 */
int approval_message_sample(approval_message_t *m, approval_event_e event,
    const char *risk);

/* A string member of the document, or "" if it is absent. */
approval_str_t approval_message_get(json_t *object, const char *name);


#endif /* APPROVAL_MESSAGE_H */
