
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Strings and growable buffers of the core, which does not depend on nginx.
 */


#ifndef APPROVAL_STR_H
#define APPROVAL_STR_H


#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>


/* Results of core functions that have more to report than a plain value. */

#define APPROVAL_OK        0
#define APPROVAL_ERROR    -1
#define APPROVAL_DECLINED -5


/* A length-counted string; it never owns its data. */

typedef struct {
    size_t                len;
    const unsigned char  *data;
} approval_str_t;


#define approval_string(lit)                                                  \
    { sizeof(lit) - 1, (const unsigned char *) (lit) }


/*
 * A growable buffer.  It owns data, which comes from malloc().  A failed
 * allocation sets "failed" and turns all later appends into no-ops, so that a
 * long sequence of appends is checked once, at its end.
 */

typedef struct {
    unsigned char  *data;
    size_t          len;
    size_t          size;
    unsigned        failed;
} approval_buf_t;


approval_str_t approval_str(const char *s);
int approval_str_eq(approval_str_t a, approval_str_t b);
int approval_str_eq_nocase(approval_str_t a, approval_str_t b);

/* Without what some readers remove at both ends: blanks, controls and NUL. */
approval_str_t approval_str_trim(approval_str_t s);

/* The bytes from "from" to before "to". */
approval_str_t approval_str_sub(approval_str_t s, size_t from, size_t to);

/* The position of the first byte in set, from i on, or the end. */
size_t approval_str_find(approval_str_t s, size_t i, const char *set);

/* Compares in a time that depends on the lengths only. */
int approval_str_eq_secret(approval_str_t a, approval_str_t b);

void approval_buf_init(approval_buf_t *b);
void approval_buf_free(approval_buf_t *b);
void approval_buf_reset(approval_buf_t *b);
void approval_buf_add(approval_buf_t *b, const void *data, size_t len);
void approval_buf_adds(approval_buf_t *b, const char *s);
void approval_buf_addc(approval_buf_t *b, unsigned char c);
void approval_buf_addi(approval_buf_t *b, long long n);
void approval_buf_printf(approval_buf_t *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void approval_buf_vprintf(approval_buf_t *b, const char *fmt, va_list args)
    __attribute__((format(printf, 2, 0)));
approval_str_t approval_buf_str(const approval_buf_t *b);

/* The same, but zeroes the data before freeing it: for keys and plaintext. */
void approval_buf_wipe(approval_buf_t *b);


/*
 * Encodings.  Decoders accept the canonical form only: no padding and no stray
 * bits in base64url, padding required in base64, hex in lower case.  "dst"
 * must have room for approval_base64_size(len) or 2 * len (hex) bytes.  They
 * return the number of bytes written, or (size_t) -1 if the input is not
 * canonical.
 */

#define approval_base64_size(len)  (((len) + 2) / 3 * 4)

size_t approval_base64_encode(unsigned char *dst, const unsigned char *src,
    size_t len);
size_t approval_base64_decode(unsigned char *dst, approval_str_t src);
size_t approval_base64url_encode(unsigned char *dst, const unsigned char *src,
    size_t len);
size_t approval_base64url_decode(unsigned char *dst, approval_str_t src);
size_t approval_hex_encode(unsigned char *dst, const unsigned char *src,
    size_t len);
size_t approval_hex_decode(unsigned char *dst, approval_str_t src);

/* Valid UTF-8 by RFC 3629: no surrogates, no overlong forms, <= U+10FFFF. */
int approval_utf8_valid(approval_str_t s);

/* The same, without control characters: can be logged. */
int approval_plain(approval_str_t s);

/*
 * The next code point of a valid or invalid UTF-8 string: advances *p and
 * returns it, or 0xffffffff for one invalid byte.
 */
uint32_t approval_utf8_next(const unsigned char **p, const unsigned char *last);

/*
 * RFC 3339, UTC, milliseconds: "2026-01-02T03:04:05.678Z".  Parsing also
 * accepts a shorter fraction, or none.
 */
#define APPROVAL_TIME_LEN  24
void approval_time_format(char dst[APPROVAL_TIME_LEN + 1], int64_t ms);
int approval_time_parse(approval_str_t s, int64_t *ms);


#endif /* APPROVAL_STR_H */
