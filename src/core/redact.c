
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Which names are secret: the default list and what rules add.
 */


#include "core/redact.h"
#include "core/redact_internal.h"

#include <stdlib.h>
#include <string.h>


#define NAME_MAX_LEN  256


/*
 * Names are compared in lower case and without anything but letters and
 * digits: "API-Key", "api_key" and "apiKey" are one.
 */

typedef enum {
    SECRET_PART,                       /* stands anywhere in a name       */
    SECRET_WORD,                       /* is a word of a name: "card_pin" */
    SECRET_WHOLE,                      /* is the name                     */
    SECRET_SUFFIX,                     /* ends a header's name            */
    SECRET_HARMLESS                    /* is the name of what is no secret */
} secret_e;


typedef struct {
    approval_str_t  name;
    secret_e        kind;
} secret_t;


static int redact_name(approval_str_t name, char *dst);
static int redact_default(const char *name, size_t len);
static int redact_part(approval_str_t name, approval_str_t part);
static int redact_words(approval_str_t name);
static int redact_word(const char *word, size_t len);
static int redact_header_name(approval_str_t name, const char *rule);
static int redact_list(char ***list, size_t *n, const char *text, size_t len,
    const char **err);
static int redact_add_pointer(approval_redact_t *r, approval_str_t pointer,
    const char **err);
static int redact_add_field(approval_redact_t *r, approval_str_t name,
    const char **err);
static int redact_add_header(approval_redact_t *r, approval_str_t name,
    const char **err);
static int redact_prefix(approval_str_t *s, const char *prefix);


static const secret_t  secrets[] = {

    { approval_string("password"),            SECRET_PART },
    { approval_string("passwd"),              SECRET_PART },
    { approval_string("passphrase"),          SECRET_PART },
    { approval_string("passcode"),            SECRET_PART },
    { approval_string("pwd"),                 SECRET_PART },
    { approval_string("secret"),              SECRET_PART },
    { approval_string("token"),               SECRET_PART },
    { approval_string("apikey"),              SECRET_PART },
    { approval_string("accesskey"),           SECRET_PART },
    { approval_string("accountkey"),          SECRET_PART },
    { approval_string("authkey"),             SECRET_PART },
    { approval_string("encryptionkey"),       SECRET_PART },
    { approval_string("hmackey"),             SECRET_PART },
    { approval_string("masterkey"),           SECRET_PART },
    { approval_string("privatekey"),          SECRET_PART },
    { approval_string("privkey"),             SECRET_PART },
    { approval_string("sessionkey"),          SECRET_PART },
    { approval_string("sharedkey"),           SECRET_PART },
    { approval_string("signingkey"),          SECRET_PART },
    { approval_string("sshkey"),              SECRET_PART },
    { approval_string("subscriptionkey"),     SECRET_PART },
    { approval_string("credential"),          SECRET_PART },
    { approval_string("authorization"),       SECRET_PART },
    { approval_string("cookie"),              SECRET_PART },
    { approval_string("sessionid"),           SECRET_PART },
    { approval_string("sessid"),              SECRET_PART },
    { approval_string("signature"),           SECRET_PART },
    { approval_string("connectionstring"),    SECRET_PART },
    { approval_string("dockerconfigjson"),    SECRET_PART },
    { approval_string("kubeconfig"),          SECRET_PART },
    { approval_string("mnemonic"),            SECRET_PART },
    { approval_string("seedphrase"),          SECRET_PART },
    { approval_string("recoverycode"),        SECRET_PART },
    { approval_string("backupcode"),          SECRET_PART },
    { approval_string("verificationcode"),    SECRET_PART },
    { approval_string("securitycode"),        SECRET_PART },
    { approval_string("socialsecurity"),      SECRET_PART },
    { approval_string("cardnumber"),          SECRET_PART },
    { approval_string("creditcard"),          SECRET_PART },

        { approval_string("pass"),                SECRET_WORD },
    { approval_string("pw"),                  SECRET_WORD },
    { approval_string("pin"),                 SECRET_WORD },
    { approval_string("otp"),                 SECRET_WORD },
    { approval_string("totp"),                SECRET_WORD },
    { approval_string("hotp"),                SECRET_WORD },
    { approval_string("cvv"),                 SECRET_WORD },
    { approval_string("cvc"),                 SECRET_WORD },
    { approval_string("ssn"),                 SECRET_WORD },
    { approval_string("psk"),                 SECRET_WORD },
    { approval_string("sig"),                 SECRET_WORD },
    { approval_string("jwt"),                 SECRET_WORD },
    { approval_string("bearer"),              SECRET_WORD },
    { approval_string("cred"),                SECRET_WORD },
    { approval_string("creds"),               SECRET_WORD },
    { approval_string("csrf"),                SECRET_WORD },
    { approval_string("xsrf"),                SECRET_WORD },
    { approval_string("pgpass"),              SECRET_WORD },

    { approval_string("auth"),                SECRET_WHOLE },
    { approval_string("dbpass"),              SECRET_WHOLE },
    { approval_string("userpass"),            SECRET_WHOLE },
    { approval_string("adminpass"),           SECRET_WHOLE },
    { approval_string("rootpass"),            SECRET_WHOLE },
    { approval_string("smtppass"),            SECRET_WHOLE },
    { approval_string("session"),             SECRET_WHOLE },
    { approval_string("sid"),                 SECRET_WHOLE },
    { approval_string("dpop"),                SECRET_WHOLE },

    { approval_string("-token"),              SECRET_SUFFIX },
    { approval_string("-secret"),             SECRET_SUFFIX },
    { approval_string("-key"),                SECRET_SUFFIX },
    { approval_string("-auth"),               SECRET_SUFFIX },
    { approval_string("-session"),            SECRET_SUFFIX },

    /* what language models are asked with, and OAuth's "token_type" */

    { approval_string("maxtokens"),           SECRET_HARMLESS },
    { approval_string("maxcompletiontokens"), SECRET_HARMLESS },
    { approval_string("maxoutputtokens"),     SECRET_HARMLESS },
    { approval_string("maxnewtokens"),        SECRET_HARMLESS },
    { approval_string("tokentype"),           SECRET_HARMLESS },
    { approval_string("tokencount"),          SECRET_HARMLESS }
};


#define NSECRETS  (sizeof(secrets) / sizeof(secrets[0]))


approval_redact_t *
approval_redact_create(void)
{
    return calloc(1, sizeof(approval_redact_t));
}


void
approval_redact_destroy(approval_redact_t *r)
{
    size_t  i;

    if (r == NULL) {
        return;
    }

    for (i = 0; i < r->npointers; i++) {
        approval_json_pointer_free(r->pointers[i]);
    }

    for (i = 0; i < r->nfields; i++) {
        free(r->fields[i]);
    }

    for (i = 0; i < r->nheaders; i++) {
        free(r->headers[i]);
    }

    free(r->pointers);
    free(r->fields);
    free(r->headers);
    free(r);
}


int
approval_redact_add(approval_redact_t *r, approval_str_t what,
    const char **err)
{
    if (redact_prefix(&what, "json:")) {
        return redact_add_pointer(r, what, err);
    }

    if (redact_prefix(&what, "form:") || redact_prefix(&what, "$arg_")
        || redact_prefix(&what, "$cookie_"))
    {
        return redact_add_field(r, what, err);
    }

    if (redact_prefix(&what, "$http_")) {
        return redact_add_header(r, what, err);
    }

    *err = "must be json:/pointer, form:NAME, $http_NAME, $arg_NAME or "
           "$cookie_NAME";

    return APPROVAL_ERROR;
}


static int
redact_prefix(approval_str_t *s, const char *prefix)
{
    size_t  len;

    len = strlen(prefix);

    if (s->len < len || memcmp(s->data, prefix, len) != 0) {
        return 0;
    }

    s->data += len;
    s->len -= len;

    return 1;
}


static int
redact_add_pointer(approval_redact_t *r, approval_str_t text,
    const char **err)
{
    approval_json_pointer_t  *pointer, **list;

    if (text.len == 0) {
        *err = "\"json:\" would hide the whole body: name a member, as in "
               "json:/member";
        return APPROVAL_ERROR;
    }

    list = realloc(r->pointers,
                   (r->npointers + 1) * sizeof(approval_json_pointer_t *));
    if (list == NULL) {
        *err = "out of memory";
        return APPROVAL_ERROR;
    }

    r->pointers = list;

    pointer = approval_json_pointer_compile(text, err);
    if (pointer == NULL) {
        return APPROVAL_ERROR;
    }

    list[r->npointers++] = pointer;

    return APPROVAL_OK;
}


static int
redact_add_field(approval_redact_t *r, approval_str_t name, const char **err)
{
    int   len;
    char  text[NAME_MAX_LEN];

    len = redact_name(name, text);

    if (len < 0) {
        *err = "name is longer than 256 characters";
        return APPROVAL_ERROR;
    }

    if (len == 0) {
        *err = "name has no letter and no digit";
        return APPROVAL_ERROR;
    }

    return redact_list(&r->fields, &r->nfields, text, (size_t) len, err);
}


static int
redact_add_header(approval_redact_t *r, approval_str_t name, const char **err)
{
    size_t         i;
    char           text[NAME_MAX_LEN];
    unsigned char  c;

    if (name.len == 0 || name.len > NAME_MAX_LEN) {
        *err = "name is empty or longer than 256 characters";
        return APPROVAL_ERROR;
    }

    for (i = 0; i < name.len; i++) {
        c = name.data[i];

        if (c >= 'A' && c <= 'Z') {
            c |= 0x20;
        }

        text[i] = c == '_' ? '-' : (char) c;
    }

    return redact_list(&r->headers, &r->nheaders, text, name.len, err);
}


static int
redact_list(char ***list, size_t *n, const char *text, size_t len,
    const char **err)
{
    char  *copy, **grown;

    grown = realloc(*list, (*n + 1) * sizeof(char *));

    if (grown) {
        *list = grown;
    }

    copy = malloc(len + 1);

    if (grown == NULL || copy == NULL) {
        free(copy);
        *err = "out of memory";
        return APPROVAL_ERROR;
    }

    memcpy(copy, text, len);
    copy[len] = '\0';

    grown[(*n)++] = copy;

    return APPROVAL_OK;
}


int
approval_redact_header(const approval_redact_t *r, approval_str_t name)
{
    size_t           i;
    approval_str_t   end;
    const secret_t  *s;

    for (i = 0; i < r->nheaders; i++) {
        if (redact_header_name(name, r->headers[i])) {
            return 1;
        }
    }

    for (s = secrets; s < secrets + NSECRETS; s++) {
        if (s->kind != SECRET_SUFFIX || name.len < s->name.len) {
            continue;
        }

        end.data = name.data + (name.len - s->name.len);
        end.len = s->name.len;

        if (approval_str_eq_nocase(end, s->name)) {
            return 1;
        }
    }

    return approval_redact_field(r, name);
}


static int
redact_header_name(approval_str_t name, const char *rule)
{
    size_t         i;
    unsigned char  c;

    if (strlen(rule) != name.len) {
        return 0;
    }

    for (i = 0; i < name.len; i++) {
        c = name.data[i];

        if (c >= 'A' && c <= 'Z') {
            c |= 0x20;

        } else if (c == '_') {
            c = '-';
        }

        if (c != (unsigned char) rule[i]) {
            return 0;
        }
    }

    return 1;
}


int
approval_redact_field(const approval_redact_t *r, approval_str_t name)
{
    int     len;
    char    text[NAME_MAX_LEN];
    size_t  i;

    len = redact_name(name, text);

    /* no honest name is that long */

    if (len < 0) {
        return 1;
    }

    if (len == 0) {
        return 0;
    }

    for (i = 0; i < r->nfields; i++) {
        if (strlen(r->fields[i]) == (size_t) len
            && memcmp(r->fields[i], text, (size_t) len) == 0)
        {
            return 1;
        }
    }

    switch (redact_default(text, (size_t) len)) {

    case APPROVAL_OK:
        return 1;

    case APPROVAL_DECLINED:
        return 0;
    }

    return redact_words(name);
}


/* The number of bytes in dst, or -1 if they are more than NAME_MAX_LEN. */

static int
redact_name(approval_str_t name, char *dst)
{
    size_t         i, n;
    unsigned char  c;

    n = 0;

    for (i = 0; i < name.len; i++) {
        c = name.data[i];

        if (c >= 'A' && c <= 'Z') {
            c |= 0x20;

        } else if (c < '0' || (c > '9' && c < 'a') || (c > 'z' && c < 0x80)) {
            continue;
        }

        if (n == NAME_MAX_LEN) {
            return -1;
        }

        dst[n++] = (char) c;
    }

    return (int) n;
}


/* APPROVAL_OK: a secret; APPROVAL_DECLINED: none, whatever its words. */

static int
redact_default(const char *name, size_t len)
{
    int              rc;
    size_t           i;
    uint32_t         letters;
    approval_str_t   text;
    const secret_t  *s;

    text.data = (const unsigned char *) name;
    text.len = len;

    letters = 0;

    for (i = 0; i < len; i++) {
        letters |= 1u << (name[i] & 0x1f);
    }

    rc = APPROVAL_ERROR;

    for (s = secrets; s < secrets + NSECRETS; s++) {

        if (s->name.len > len || !(letters & 1u << (s->name.data[0] & 0x1f))) {
            continue;
        }

        switch (s->kind) {

        case SECRET_PART:
            if (redact_part(text, s->name)) {
                rc = APPROVAL_OK;
            }

            break;

        case SECRET_WHOLE:
            if (approval_str_eq(text, s->name)) {
                rc = APPROVAL_OK;
            }

            break;

        case SECRET_HARMLESS:
            if (approval_str_eq(text, s->name)) {
                return APPROVAL_DECLINED;
            }

            break;

        default:
            break;
        }
    }

    return rc;
}


static int
redact_part(approval_str_t name, approval_str_t part)
{
    size_t  i;

    for (i = 0; i + part.len <= name.len; i++) {
        if (name.data[i] == part.data[0]
            && memcmp(name.data + i, part.data, part.len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* "userPin", "USER_PIN", "PINCode" and "pin2" have the word "pin". */

static int
redact_words(approval_str_t name)
{
    char           word[16];
    size_t         i, n;
    unsigned       upper, lower, was_lower, next_lower;
    unsigned char  c, next;

    n = 0;
    was_lower = 0;

    for (i = 0; i < name.len; i++) {
        c = name.data[i];
        next = i + 1 < name.len ? name.data[i + 1] : '\0';

        upper = c >= 'A' && c <= 'Z';
        lower = c >= 'a' && c <= 'z';
        next_lower = next >= 'a' && next <= 'z';

        if (!upper && !lower) {
            if (redact_word(word, n)) {
                return 1;
            }

            n = 0;
            was_lower = 0;
            continue;
        }

        if (upper && n && (was_lower || next_lower)) {
            if (redact_word(word, n)) {
                return 1;
            }

            n = 0;
        }

        if (n < sizeof(word)) {
            word[n++] = (char) (c | 0x20);
        }

        was_lower = lower;
    }

    return redact_word(word, n);
}


static int
redact_word(const char *word, size_t len)
{
    approval_str_t   text;
    const secret_t  *s;

    text.data = (const unsigned char *) word;
    text.len = len;

    if (len == 0) {
        return 0;
    }

    for (s = secrets; s < secrets + NSECRETS; s++) {
        if (s->kind == SECRET_WORD && approval_str_eq(text, s->name)) {
            return 1;
        }
    }

    return 0;
}
