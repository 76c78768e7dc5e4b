
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * The meaning of content types, and multipart bodies.
 */


#include "core/media.h"

#include <string.h>


#define BOUNDARY_MAX  70               /* RFC 2046 */
#define TYPE_MAX      64


static int media_is(approval_str_t type, const char *tail);
static approval_part_t parts_read(approval_str_t text);
static approval_str_t parts_header(approval_str_t head, const char *name);
static size_t parts_find(approval_str_t s, size_t i, approval_str_t text);
static int parts_ends_word(unsigned char c);


approval_media_e
approval_media(approval_str_t content_type)
{
    size_t          i;
    approval_str_t  type, charset;

    static const struct {
        const char       *tail;
        approval_media_e  type;
    } types[] = {
        { "application/x-www-form-urlencoded", APPROVAL_MEDIA_FORM },
        { "multipart/form-data", APPROVAL_MEDIA_PARTS },
        { "multipart/mixed", APPROVAL_MEDIA_PARTS },
        { "multipart/related", APPROVAL_MEDIA_PARTS },
        { "/csv", APPROVAL_MEDIA_CSV },
        { "/json", APPROVAL_MEDIA_JSON }, { "+json", APPROVAL_MEDIA_JSON },
        { "/json-rpc", APPROVAL_MEDIA_JSON }, { "/jsonrequest", APPROVAL_MEDIA_JSON },
        { "/xml", APPROVAL_MEDIA_TEXT }, { "+xml", APPROVAL_MEDIA_TEXT },
        { "/yaml", APPROVAL_MEDIA_TEXT }, { "/x-yaml", APPROVAL_MEDIA_TEXT },
        { "+yaml", APPROVAL_MEDIA_TEXT }, { "/toml", APPROVAL_MEDIA_TEXT },
        { "/sql", APPROVAL_MEDIA_TEXT }, { "/graphql", APPROVAL_MEDIA_TEXT },
        { "/x-ndjson", APPROVAL_MEDIA_TEXT }, { "/jsonl", APPROVAL_MEDIA_TEXT },
        { "/x-sh", APPROVAL_MEDIA_TEXT }, { "/javascript", APPROVAL_MEDIA_TEXT }
    };

    /* with another charset we would show other text than the upstream reads */

    charset = approval_parameter(content_type, "charset");

    if (charset.len && !approval_str_eq_nocase(charset, approval_str("utf-8"))
        && !approval_str_eq_nocase(charset, approval_str("utf8"))
        && !approval_str_eq_nocase(charset, approval_str("us-ascii")))
    {
        return APPROVAL_MEDIA_OTHER;
    }

    i = approval_str_find(content_type, 0, ";");

    while (i > 0 && (content_type.data[i - 1] == ' '
                     || content_type.data[i - 1] == '\t'))
    {
        i--;
    }

    type = approval_str_sub(content_type, 0, i);

    for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (media_is(type, types[i].tail)) {
            return types[i].type;
        }
    }

    return type.len > 5
           && approval_str_eq_nocase(approval_str_sub(type, 0, 5),
                                     approval_str("text/"))
           ? APPROVAL_MEDIA_TEXT : APPROVAL_MEDIA_OTHER;
}


static int
media_is(approval_str_t type, const char *tail)
{
    size_t  len;

    len = strlen(tail);

    return type.len >= len + (*tail == '/' || *tail == '+')
           && approval_str_eq_nocase(approval_str_sub(type, type.len - len,
                                                type.len),
                                     approval_str(tail));
}


approval_str_t
approval_media_type(approval_str_t content_type)
{
    size_t          i;
    unsigned char   c;
    approval_str_t  type;

    type = approval_str_sub(content_type, 0,
                            approval_str_find(content_type, 0, "; \t,"));

    for (i = 0; i < type.len && i < TYPE_MAX; i++) {
        c = type.data[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
              || (c >= '0' && c <= '9') || (c && strchr("/+-._", c))))
        {
            break;
        }
    }

    return i && i == type.len ? type : approval_str("unknown type");
}


int
approval_parts_each(approval_str_t content_type, approval_str_t body,
    approval_parts_visit_pt visit, void *data)
{
    int              rc;
    size_t           i, end;
    unsigned char    text[BOUNDARY_MAX + 4];
    approval_str_t   boundary, mark;
    approval_part_t  part;

    boundary = approval_parameter(content_type, "boundary");

    if (boundary.len == 0 || boundary.len > BOUNDARY_MAX) {
        return APPROVAL_ERROR;
    }

    memcpy(text, "\r\n--", 4);
    memcpy(text + 4, boundary.data, boundary.len);

    /* the first boundary may be at the very start, without a line before it */

    mark.data = text + 2;
    mark.len = boundary.len + 2;

    i = parts_find(body, 0, mark) + mark.len;

    mark.data = text;
    mark.len = boundary.len + 4;

    while (i < body.len && body.data[i] != '-') {
        end = parts_find(body, i, mark);

        if (end == body.len) {
            return APPROVAL_ERROR;
        }

        part = parts_read(approval_str_sub(body, i, end));

        rc = visit(data, &part);
        if (rc != APPROVAL_OK) {
            return rc;
        }

        i = end + mark.len;
    }

    return i < body.len ? APPROVAL_OK : APPROVAL_ERROR;
}


static approval_part_t
parts_read(approval_str_t text)
{
    size_t           i;
    approval_str_t   head, blank = approval_string("\r\n\r\n");
    approval_part_t  part;

    i = parts_find(text, 0, blank);
    head = approval_str_sub(text, 0, i);

    part.body = approval_str_sub(text, i < text.len ? i + blank.len : i, text.len);
    part.type = parts_header(head, "content-type");

    head = parts_header(head, "content-disposition");

    part.name = approval_parameter(head, "name");
    part.file = approval_parameter(head, "filename");

    return part;
}


static approval_str_t
parts_header(approval_str_t head, const char *name)
{
    size_t          i, end, len;
    approval_str_t  line = approval_string("\r\n");

    len = strlen(name);

    for (i = 0; i < head.len; i = end + line.len) {
        end = parts_find(head, i, line);

        if (end - i > len && head.data[i + len] == ':'
            && approval_str_eq_nocase(approval_str_sub(head, i, i + len),
                                      approval_str(name)))
        {
            for (i += len + 1; i < end && head.data[i] == ' '; i++) {
                /* void */
            }

            return approval_str_sub(head, i, end);
        }
    }

    return approval_str_sub(head, 0, 0);
}


approval_str_t
approval_parameter(approval_str_t header, const char *name)
{
    size_t          i, end, len;
    unsigned char   quote;

    len = strlen(name);

    for (i = 1; i + len < header.len; i++) {
        if (header.data[i + len] != '='
            || !parts_ends_word(header.data[i - 1])
            || !approval_str_eq_nocase(approval_str_sub(header, i, i + len),
                                       approval_str(name)))
        {
            continue;
        }

        i += len + 1;
        quote = i < header.len && header.data[i] == '"';
        i += quote;

        for (end = i; end < header.len
             && (quote ? header.data[end] != '"'
                       : !parts_ends_word(header.data[end])); end++)
        {
            /* void */
        }

        return approval_str_sub(header, i, end);
    }

    return approval_str_sub(header, 0, 0);
}


static int
parts_ends_word(unsigned char c)
{
    return c == ' ' || c == '\t' || c == ';' || c == ',' || c == '"';
}


static size_t
parts_find(approval_str_t s, size_t i, approval_str_t text)
{
    const unsigned char  *p;

    while (i < s.len) {
        p = memchr(s.data + i, text.data[0], s.len - i);

        if (p == NULL || (size_t) (s.data + s.len - p) < text.len) {
            break;
        }

        i = (size_t) (p - s.data);

        if (memcmp(p, text.data, text.len) == 0) {
            return i;
        }

        i++;
    }

    return s.len;
}
