
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Mails (RFC 5322): plain text and HTML, in ASCII.  Whatever the message holds,
 * lines end with CRLF and have at most 78 characters, addresses aside.
 */


#ifndef APPROVAL_MAIL_H
#define APPROVAL_MAIL_H


#include "core/identity.h"
#include "core/message.h"


#define APPROVAL_MAIL_ADDRESS_MAX  254


/*
 * from, to:  addresses that approval_mail_address() takes
 * id:        of this message, letters, digits and "_": Message-ID
 * thread:    of the action's first message to the same person: what others
 *            refer to
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
 * Appends the address of a person: the identity itself, or the first of its
 * aliases that is one.  APPROVAL_DECLINED: there is none.
 */
int approval_mail_person(const approval_people_t *people,
    approval_str_t identity, approval_buf_t *out);

int approval_mail_message(const approval_message_t *m,
    const approval_mail_t *mail, approval_buf_t *out);


#endif /* APPROVAL_MAIL_H */
