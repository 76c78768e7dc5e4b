
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Mails (RFC 5322): plain text and HTML, in ASCII.  Lines end with CRLF and
 * have at most 78 characters, except those with long addresses.
 */


#ifndef APPROVAL_MAIL_H
#define APPROVAL_MAIL_H


#include "core/identity.h"
#include "core/message.h"


#define APPROVAL_MAIL_ADDRESS_MAX  254


/*
 * from, to:  addresses that approval_mail_address() accepts
 * id:        for Message-ID: letters, digits and "_"
 * thread:    the id of the action's first message to the same person, to
 *            which later messages refer
 */

typedef struct {
    approval_str_t  from;
    approval_str_t  to;
    approval_str_t  id;
    approval_str_t  thread;
} approval_mail_t;


/* LOCAL@DOMAIN of RFC 5321 in ASCII, neither quoted nor a literal. */
int approval_mail_address(approval_str_t s);

/*
 * Appends the person's mail address: the identity, or its first alias that is
 * an address.  APPROVAL_DECLINED: the person has no address.
 */
int approval_mail_person(const approval_people_t *people,
    approval_str_t identity, approval_buf_t *out);

int approval_mail_message(const approval_message_t *m,
    const approval_mail_t *mail, approval_buf_t *out);


#endif /* APPROVAL_MAIL_H */
