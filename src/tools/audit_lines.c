
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Reads the lines of a file, and limits their memory to that of a record.
 */


#define _POSIX_C_SOURCE  200809L

#include "tools/audit_tools.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>


#define LINES_BLOCK  65536


struct approval_lines_s {
    const char      *name;
    int              fd;
    char            *block;
    size_t           pos;
    size_t           len;
    approval_buf_t   line;           /* the part in earlier blocks */
};


static int lines_read(approval_lines_t *lines);
static const char *lines_packed(const approval_lines_t *lines);


/* How compressed files begin. */

static const struct {
    const char  *magic;
    size_t       len;
    const char  *tool;
} packers[] = {
    { "\x1f\x8b", 2, "zcat" },
    { "\x28\xb5\x2f\xfd", 4, "zstdcat" },
    { "\xfd" "7zXZ", 5, "xzcat" },
    { "BZh", 3, "bzcat" }
};


approval_lines_t *
approval_lines_open(const char *name)
{
    const char        *tool;
    approval_lines_t  *lines;

    lines = calloc(1, sizeof(approval_lines_t));

    if (lines) {
        lines->fd = -1;
        lines->name = name;
        lines->block = malloc(LINES_BLOCK);
        approval_buf_init(&lines->line);
    }

    if (lines == NULL || lines->block == NULL) {
        fputs("approval-audit: no memory\n", stderr);
        approval_lines_close(lines);
        return NULL;
    }

    lines->fd = strcmp(name, "-") == 0 ? STDIN_FILENO : open(name, O_RDONLY);

    if (lines->fd == -1) {
        fprintf(stderr, "%s: %s\n", name, strerror(errno));

    } else if (lines_read(lines) >= 0) {
        tool = lines_packed(lines);

        if (tool == NULL) {
            return lines;
        }

        fprintf(stderr, "approval-audit: %s is compressed: write <(%s %s) "
                        "instead\n", name, tool, name);
    }

    approval_lines_close(lines);

    return NULL;
}


void
approval_lines_close(approval_lines_t *lines)
{
    if (lines == NULL) {
        return;
    }

    if (lines->fd > STDIN_FILENO) {
        close(lines->fd);
    }

    approval_buf_free(&lines->line);
    free(lines->block);
    free(lines);
}


int
approval_lines_fd(const approval_lines_t *lines)
{
    return lines->fd;
}


static int
lines_read(approval_lines_t *lines)
{
    ssize_t  n;

    do {
        n = read(lines->fd, lines->block, LINES_BLOCK);
    } while (n == -1 && errno == EINTR);

    if (n == -1) {
        fprintf(stderr, "%s: %s\n", lines->name, strerror(errno));
        return -1;
    }

    lines->pos = 0;
    lines->len = (size_t) n;

    return n != 0;
}


static const char *
lines_packed(const approval_lines_t *lines)
{
    size_t  i;

    for (i = 0; i < sizeof(packers) / sizeof(packers[0]); i++) {
        if (lines->len >= packers[i].len
            && memcmp(lines->block, packers[i].magic, packers[i].len) == 0)
        {
            return packers[i].tool;
        }
    }

    return NULL;
}


int
approval_lines_next(approval_lines_t *lines, approval_str_t *line,
    approval_line_e *kind)
{
    int          more;
    char        *lf;
    size_t       len;
    unsigned     some;

    approval_buf_reset(&lines->line);

    *kind = APPROVAL_LINE_WHOLE;
    some = 0;

    for ( ;; ) {

        if (lines->pos == lines->len) {
            more = lines_read(lines);

            if (more < 0) {
                return -1;
            }

            if (more == 0) {
                *line = approval_buf_str(&lines->line);

                if (*kind == APPROVAL_LINE_WHOLE) {
                    *kind = APPROVAL_LINE_CUT;
                }

                return some;
            }
        }

        some = 1;

        line->data = (unsigned char *) lines->block + lines->pos;
        len = lines->len - lines->pos;
        lf = memchr(line->data, '\n', len);
        line->len = lf ? (size_t) (lf - (char *) line->data) : len;
        lines->pos += line->len + (lf != NULL);

        if (lf && lines->line.len == 0 && *kind == APPROVAL_LINE_WHOLE) {
            return 1;
        }

        if (lines->line.len + line->len > APPROVAL_LINE_MAX) {
            *kind = APPROVAL_LINE_LONG;
            approval_buf_reset(&lines->line);
        }

        if (*kind == APPROVAL_LINE_WHOLE) {
            approval_buf_add(&lines->line, line->data, line->len);

            if (lines->line.failed) {
                fputs("approval-audit: no memory\n", stderr);
                return -1;
            }
        }

        if (lf) {
            *line = approval_buf_str(&lines->line);
            return 1;
        }
    }
}
