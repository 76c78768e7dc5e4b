
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * How the readers behind a gateway may understand a value.  If they can
 * differ, a value has several readings, and code that judges, shows or binds
 * it uses all of them.
 */


#ifndef APPROVAL_READING_H
#define APPROVAL_READING_H


#include "core/json.h"
#include "core/str.h"


/* With more readings than this, the value is unknown. */
#define APPROVAL_READINGS_MAX  64

/* The same for spellings. */
#define APPROVAL_SPELLINGS_MAX 256


typedef enum {
    APPROVAL_READING_ABSENT,     /* a reader finds nothing                    */
    APPROVAL_READING_TEXT,
    APPROVAL_READING_NUMBER,     /* of JSON; text is as JSON writes it        */
    APPROVAL_READING_NULL,       /* of JSON                                   */
    APPROVAL_READING_UNKNOWN     /* what a reader finds is unknown: the text
                                    says why                                  */
} approval_reading_e;


/*
 * spelled: the same value as another reading, which is not shown.  TRIMMED:
 *          without the blanks around it; SPELLED: spelled as in the request,
 *          it counts where a condition may hold, never where it must hold
 * member:  one more value of the first reading, whose reader finds several
 *          ("*" in a JSON pointer)
 */

typedef enum {
    APPROVAL_ANOTHER,            /* a value of its own */
    APPROVAL_TRIMMED,
    APPROVAL_SPELLED
} approval_spelled_e;


typedef struct {
    approval_reading_e    kind;
    unsigned              spelled:2;     /* approval_spelled_e */
    unsigned              member:1;
    unsigned              copied:1;      /* offset in buf, else data */
    size_t                len;
    size_t                offset;
    size_t                before;        /* 1 + index of the last one that is
                                            no member; 0: none */
    const unsigned char  *data;
} approval_reading_t;


/*
 * Memory is kept from one use to the next.  "failed" is set if an allocation
 * failed: then the readings are not complete.
 */

typedef struct {
    approval_reading_t   *elts;
    size_t                n;
    size_t                alloc;
    size_t                last;          /* 1 + index of the last one that is
                                            no member; 0: none */
    approval_buf_t        buf;
    unsigned              code;          /* of an UNKNOWN: the caller's */
    unsigned              spelling:2;    /* what additions are: "spelled" */
    unsigned              failed:1;
} approval_readings_t;


void approval_readings_init(approval_readings_t *rs);
void approval_readings_reset(approval_readings_t *rs);
void approval_readings_free(approval_readings_t *rs);

/* Adds a reading, unless it is already there; the text must outlive it. */
void approval_readings_add(approval_readings_t *rs, approval_reading_e kind,
    approval_str_t text);

/* The same with the text that was appended to rs->buf from "start" on. */
void approval_readings_take(approval_readings_t *rs, approval_reading_e kind,
    size_t start);

/* Adds a copy of the text, which must not be in rs->buf. */
void approval_readings_copy(approval_readings_t *rs, approval_str_t text,
    approval_spelled_e spelled);

/*
 * Adds a value of the first reading, for the caller to fill; NULL: no memory.
 */
approval_reading_t *approval_readings_member(approval_readings_t *rs);

/* Adds an UNKNOWN reading: the value cannot be determined, and why. */
void approval_readings_unknown(approval_readings_t *rs, unsigned code,
    const char *why);

/* If a reading of "from" is UNKNOWN, so is rs, for the same reason. */
int approval_readings_doubtful(approval_readings_t *rs,
    const approval_readings_t *from);

/* Valid until something is added. */
approval_str_t approval_reading_text(const approval_readings_t *rs, size_t i);

/* The number of readings that are neither spelled nor members. */
size_t approval_readings_count(const approval_readings_t *rs);

/* Do all readers find the same text, with the same blanks? */
int approval_readings_same(const approval_readings_t *rs);

/* The first UNKNOWN reading, or NULL. */
const approval_reading_t *approval_readings_doubt(
    const approval_readings_t *rs);

/*
 * Does a reader take the name for the wanted one?  Some readers ignore letter
 * case, treat "." "-" " " and "_" alike, or read a name that "[" follows as an
 * array's or an object's.
 */
typedef enum {
    APPROVAL_NAME_OTHER,
    APPROVAL_NAME_SPELLING,     /* some readers do */
    APPROVAL_NAME_SAME          /* all do          */
} approval_name_e;

approval_name_e approval_name_read(approval_str_t name, approval_str_t want);


/*
 * The readings of a path, without its query, as a client sends it or as nginx
 * rewrote it: escapes decoded never, once and twice (those of unreserved
 * characters always), path parameters with and without, "\" as "/" and as
 * itself, look-alikes of "/" and "." as these, escaped "?" and "#" as text and
 * as an end, dot segments and empty segments resolved and not.
 */
void approval_read_path(approval_readings_t *rs, approval_str_t path);

/*
 * The values of an argument of a query, or of a field of an
 * application/x-www-form-urlencoded body: each copy, also under the names that
 * some readers fold, and all copies joined; absent if no field has exactly
 * this name.  RAW: adds the undecoded values, as spelled.
 */
#define APPROVAL_READ_RAW  1

void approval_read_field(approval_readings_t *rs, approval_str_t query,
    approval_str_t name, unsigned flags);

/*
 * The same for a Cookie header, which need not outlive the readings; values
 * decoded and not, quoted and not.
 */
void approval_read_cookie(approval_readings_t *rs, approval_str_t header,
    approval_str_t name);

/*
 * All values that the pointer names, as one reading; and each value that a
 * reader finds that ignores the letter case of names.  Without a root there
 * are none.
 */
void approval_read_json(approval_readings_t *rs,
    const approval_json_pointer_t *pointer, json_t *root);

/*
 * Decodes a query's or a form's escapes, and "+" as a space; invalid escapes
 * stay.
 */
void approval_read_decode(approval_buf_t *out, approval_str_t s);


#endif /* APPROVAL_READING_H */
