
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * What is said about an action in a chat: the parts that all chats share.
 * Foreign text becomes visible, then escaped as the chat wants it, and is cut
 * at a character's border to what the chat takes.
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
 * facts:  of an outcome: [approvers] or [by], [comment], [why],
 *         [outcome {status, bytes, ms}]; or NULL
 * code:   six digits where the risk is critical, or len 0
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
    int                   buttons;     /* the chat's own are answered         */
} approval_message_t;


/* Whoever reads the message has seen something of the body, or there is none. */
int approval_message_shown(json_t *doc);

/*
 * The votes that a chat's own buttons may cast on a document as it was told
 * there: a button cannot show what the message does not, nor ask for the code,
 * a comment or a passkey.  Asked when the buttons are made, and when one was
 * pressed.
 */
#define APPROVAL_VOTE_APPROVE  0x01
#define APPROVAL_VOTE_DENY     0x02

unsigned approval_message_votes(json_t *doc);

/* "requested", "reminder", ...; and is it still to be decided? */
const char *approval_event_name(approval_event_e event);
int approval_event_open(approval_event_e event);

/*
 * Appends s, of which "hidden" bytes were left out before.  What is appended
 * takes at most max bytes (>= 64) as a JSON string; where it does not fit, it
 * ends with how many bytes of s are hidden.
 */
void approval_message_fit(approval_str_t s, approval_visible_e mode,
    approval_escape_pt escape, size_t max, size_t hidden,
    approval_buf_t *out);

/* Bytes that s takes as a JSON string, without quotes. */
size_t approval_message_cost(approval_str_t s);

/*
 * The pieces, not escaped.  title: one line.  facts: calls visit() for each
 * fact, most important first.  outcome: how it ended, and by whom; nothing
 * for an open event.
 */
typedef void (*approval_message_fact_pt)(void *data, const char *name,
    approval_str_t value);

void approval_message_title(const approval_message_t *m, approval_buf_t *out);
int approval_message_facts(const approval_message_t *m,
    approval_message_fact_pt visit, void *data);
/*
 * "matched" or "show" of the document, name by name; APPROVAL_DECLINED where
 * visit() says so: what follows does not fit, and is not visited.
 */
typedef int (*approval_message_pair_pt)(void *data, approval_str_t name,
    approval_str_t value);

int approval_message_pairs(const approval_message_t *m, const char *member,
    approval_message_pair_pt visit, void *data);

void approval_message_outcome(const approval_message_t *m,
    approval_buf_t *out);

/*
 * All of it as the values of a template (core/template.h), a new reference, or
 * NULL.  docs/channels.md lists them.
 */
json_t *approval_message_data(const approval_message_t *m);

/*
 * To try a template: a message of the event with values that want escaping.
 * m->doc and m->facts are the caller's; APPROVAL_ERROR: no memory.
 */
int approval_message_sample(approval_message_t *m, approval_event_e event,
    const char *risk);

/* A string member of the document; "" where it is absent. */
approval_str_t approval_message_get(json_t *object, const char *name);


#endif /* APPROVAL_MESSAGE_H */
