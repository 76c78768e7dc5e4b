
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * approval-audit: verifies, shows and exports the audit trail, offline.
 */


#include "tools/audit_tools.h"
#include "core/escape.h"
#include "core/version.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>


static const char  usage[] =
"usage: approval-audit verify FILE... --key PUB.pem [--heads FILE] [-q]\n"
"       approval-audit show ID FILE... [--key PUB.pem] [--heads FILE]\n"
"       approval-audit export FILE... --key PUB.pem [--heads FILE]\n"
"                      [--since TIME] [--until TIME] [--action ID]\n"
"                      [--limit N] [--format jsonl|csv]\n"
"       approval-audit check EXCERPT... --key PUB.pem\n"
"       approval-audit --version | --help\n"
"\n"
"  verify   check the files; print file, line and reason of each finding\n"
"  show     print the story of one action: who sent the request, who decided,\n"
"           what happened. ID is the id of the action (in the access log, in\n"
"           messages, in Approval-Id) or of a grant, a digest\n"
"           (Approval-Digest), a link, or an Approval-Receipt\n"
"  export   write records to stdout, with proofs that they belong to the log\n"
"  check    check an excerpt that export wrote as jsonl\n"
"\n"
"  --key FILE     the gateway's public Ed25519 key, in PEM. If repeated, a\n"
"                 signature may be by any of the keys\n"
"  --heads FILE   heads of the log that were kept elsewhere: WRITER/SEQ/HASH,\n"
"                 also within other text, for example messages to approvers;\n"
"                 or checkpoints, each as a JSON string on a line, or as\n"
"                 redis-cli --raw prints the stream approval:audit. May be\n"
"                 repeated\n"
"  --since, --until TIME   only records from this time, or before it:\n"
"                 2026-01-02 (the start of the day) or 2026-01-02T03:04:05Z\n"
"  --action ID    only records of this action\n"
"  --limit N      at most N records\n"
"  -q             print only tampering and gaps, no notes\n"
"\n"
"Files may be given in any order, rotated ones and those of several hosts\n"
"together; \"-\" is standard input. The exit code is 0 if everything is valid,\n"
"1 if records were tampered with, 2 if records are missing or no signature\n"
"covers them, 3 if the usage is wrong or a file cannot be read.\n"
"\n"
"  approval-audit verify audit.jsonl* --key signing.pub\n"
"  approval-audit verify audit.jsonl <(zcat audit.jsonl.*.gz) --key signing.pub\n"
"  approval-audit show 7bf2de90a5c22743104a47b2cafefaa0 audit.jsonl*\n";


typedef enum {
    OPTION_KEY = 0,
    OPTION_HEADS,
    OPTION_QUIET,
    OPTION_SINCE,
    OPTION_UNTIL,
    OPTION_ACTION,
    OPTION_LIMIT,
    OPTION_FORMAT
} option_e;


#define option(of)  ((unsigned) 1 << (of))


static const struct {
    const char  *name;
    option_e     which;
    const char  *want;
} options[] = {
    { "--key", OPTION_KEY, NULL },
    { "--heads", OPTION_HEADS, NULL },
    { "-q", OPTION_QUIET, NULL },
    { "--since", OPTION_SINCE,
      "a time: use 2026-01-02 or 2026-01-02T03:04:05Z" },
    { "--until", OPTION_UNTIL,
      "a time: use 2026-01-02 or 2026-01-02T03:04:05Z" },
    { "--action", OPTION_ACTION, "the 32 hex digits of an action's id" },
    { "--limit", OPTION_LIMIT, "a number of records from 1" },
    { "--format", OPTION_FORMAT, "a format: use jsonl or csv" },
    { NULL, 0, NULL }
};


static const struct {
    const char  *name;
    int        (*run)(approval_options_t *o);
    unsigned     takes;
} commands[] = {
    { "verify", approval_command_verify,
      option(OPTION_KEY)|option(OPTION_HEADS)|option(OPTION_QUIET) },
    { "show", approval_command_show,
      option(OPTION_KEY)|option(OPTION_HEADS) },
    { "export", approval_command_export,
      option(OPTION_KEY)|option(OPTION_HEADS)|option(OPTION_SINCE)
      |option(OPTION_UNTIL)|option(OPTION_ACTION)|option(OPTION_LIMIT)
      |option(OPTION_FORMAT) },
    { "check", approval_command_check, option(OPTION_KEY) },
    { NULL, NULL, 0 }
};


static int parse(int argc, char **argv, unsigned takes,
    approval_options_t *o);
static int parse_option(approval_options_t *o, option_e which, char *value);
static int parse_limit(const char *value, uint64_t *limit);
static int add_key(approval_options_t *o, const char *file);
static int read_file(const char *file, approval_buf_t *text);


int
main(int argc, char **argv)
{
    int                 rc;
    size_t              i, command;
    approval_options_t  o;

    memset(&o, 0, sizeof(o));

    if (argc < 2) {
        fputs(usage, stderr);
        return APPROVAL_EXIT_USAGE;
    }

    for (i = 1; i < (size_t) argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(usage, stdout);
            return APPROVAL_EXIT_OK;
        }
    }

    if (strcmp(argv[1], "--version") == 0) {
        puts("approval-audit " APPROVAL_VERSION);
        return APPROVAL_EXIT_OK;
    }

    for (command = 0; commands[command].name; command++) {
        if (strcmp(argv[1], commands[command].name) == 0) {
            break;
        }
    }

    if (commands[command].name == NULL) {
        fprintf(stderr, "approval-audit: unknown command \"%s\"\n%s", argv[1],
                usage);
        return APPROVAL_EXIT_USAGE;
    }

    o.files = calloc((size_t) argc, sizeof(char *));
    o.heads = calloc((size_t) argc, sizeof(char *));

    if (o.files == NULL || o.heads == NULL) {
        fputs("approval-audit: no memory\n", stderr);
        rc = APPROVAL_EXIT_USAGE;

    } else if (parse(argc - 2, argv + 2, commands[command].takes, &o) != 0) {
        rc = APPROVAL_EXIT_USAGE;

    } else {
        rc = commands[command].run(&o);
    }

    approval_signer_destroy(o.keys);

    free(o.files);
    free(o.heads);

    if (fflush(stdout) != 0 || ferror(stdout)) {
        fputs("approval-audit: the output cannot be written\n", stderr);
        return APPROVAL_EXIT_USAGE;
    }

    return rc;
}


static int
parse(int argc, char **argv, unsigned takes, approval_options_t *o)
{
    int       i;
    size_t    k;
    unsigned  seen;

    seen = 0;

    for (i = 0; i < argc; i++) {

        if (argv[i][0] != '-' || argv[i][1] == '\0') {
            o->files[o->nfiles++] = argv[i];
            continue;
        }

        for (k = 0; options[k].name; k++) {
            if (strcmp(argv[i], options[k].name) == 0) {
                break;
            }
        }

        if (options[k].name == NULL
            || (takes & option(options[k].which)) == 0)
        {
            fprintf(stderr, "approval-audit: unknown option \"%s\", see "
                            "--help\n", argv[i]);
            return -1;
        }

        if (options[k].want && (seen & option(options[k].which))) {
            fprintf(stderr, "approval-audit: %s is given twice\n", argv[i]);
            return -1;
        }

        seen |= option(options[k].which);

        if (options[k].which == OPTION_QUIET) {
            o->quiet = 1;
            continue;
        }

        if (++i == argc) {
            fprintf(stderr, "approval-audit: %s needs a value\n",
                    options[k].name);
            return -1;
        }

        if (parse_option(o, options[k].which, argv[i]) != 0) {

            if (options[k].want) {
                fprintf(stderr, "approval-audit: \"%s\" of %s is not %s\n",
                        argv[i], options[k].name, options[k].want);
            }

            return -1;
        }
    }

    if (approval_wanted_nothing(&o->wanted)) {
        fputs("approval-audit: --until is not after --since\n", stderr);
        return -1;
    }

    return 0;
}


static int
parse_option(approval_options_t *o, option_e which, char *value)
{
    int                 rc;
    approval_str_t      text;
    approval_wanted_t  *w;

    w = &o->wanted;
    text = approval_str(value);

    switch (which) {

    case OPTION_KEY:
        return add_key(o, value);

    case OPTION_HEADS:
        o->heads[o->nheads++] = value;
        return 0;

    case OPTION_SINCE:
        rc = approval_wanted_time(text, w->since);
        break;

    case OPTION_UNTIL:
        rc = approval_wanted_time(text, w->until);
        break;

    case OPTION_FORMAT:
        rc = approval_wanted_format(text, &w->format);
        break;

    case OPTION_ACTION:
        rc = approval_id_valid(text) ? APPROVAL_OK : APPROVAL_DECLINED;

        if (rc == APPROVAL_OK) {
            memcpy(w->action, value, APPROVAL_ID_LEN);
        }

        break;

    default:
        return parse_limit(value, &w->limit);
    }

    return rc == APPROVAL_OK ? 0 : -1;
}


static int
parse_limit(const char *value, uint64_t *limit)
{
    char  *end;

    errno = 0;
    *limit = strtoull(value, &end, 10);

    return value[0] >= '1' && value[0] <= '9' && *end == '\0' && errno == 0
           ? 0 : -1;
}


static int
add_key(approval_options_t *o, const char *file)
{
    const char         *err;
    approval_buf_t      text;
    approval_signer_t  *key;

    approval_buf_init(&text);
    key = NULL;

    if (read_file(file, &text) == 0) {
        key = approval_signer_public_pem(approval_buf_str(&text), &err);

        if (key == NULL) {
            fprintf(stderr, "approval-audit: %s: %s\n", file, err);
        }
    }

    approval_buf_free(&text);

    if (key == NULL) {
        return -1;
    }

    if (o->keys == NULL) {
        o->keys = key;

    } else {
        (void) approval_signer_add(o->keys, key);
    }

    return 0;
}


static int
read_file(const char *file, approval_buf_t *text)
{
    int     failed;
    char    part[4096];
    FILE   *f;
    size_t  n;

    f = fopen(file, "rb");

    if (f == NULL) {
        perror(file);
        return -1;
    }

    while ((n = fread(part, 1, sizeof(part), f)) != 0
           && text->len < 65536)
    {
        approval_buf_add(text, part, n);
    }

    failed = ferror(f) || text->failed;
    fclose(f);

    if (failed) {
        fprintf(stderr, "approval-audit: %s cannot be read\n", file);
        return -1;
    }

    return 0;
}


void
approval_print(FILE *out, const char *fmt, ...)
{
    va_list         args;
    approval_buf_t  text, line;

    approval_buf_init(&text);
    approval_buf_init(&line);

    va_start(args, fmt);
    approval_buf_vprintf(&text, fmt, args);
    va_end(args);

    approval_escape_visible(approval_buf_str(&text), APPROVAL_VISIBLE_LINE,
                            &line);
    approval_buf_addc(&line, '\n');

    if (text.failed || line.failed) {
        fputs("approval-audit: no memory\n", stderr);

    } else {
        (void) fwrite(line.data, 1, line.len, out);
    }

    approval_buf_free(&text);
    approval_buf_free(&line);
}
