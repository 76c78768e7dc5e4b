
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * approval-audit: verifies, tells and exports the trail, offline.
 */


#include "tools/audit_tools.h"

#include <stdlib.h>
#include <string.h>


static const char  usage[] =
"usage: approval-audit verify FILE... --key PUB.pem [--heads FILE] [-q]\n"
"       approval-audit show ID FILE... [--key PUB.pem] [--heads FILE]\n"
"       approval-audit export FILE... --key PUB.pem [--since TIME]\n"
"                      [--until TIME] [--action ID] [--limit N]\n"
"                      [--format jsonl|csv]\n"
"       approval-audit check EXCERPT... --key PUB.pem\n"
"\n"
"  verify   do the files hold? names file, line and reason of each finding\n"
"  show     the story of one action: who asked, who signed off, what happened;\n"
"           by the id of the action (access log, messages, Approval-Id) or of\n"
"           a grant, a digest (Approval-Digest), a link or an Approval-Receipt\n"
"  export   records with the proof that they belong to the log, on stdout\n"
"  check    does such an excerpt (jsonl) hold?\n"
"\n"
"  --key FILE     public Ed25519 key, PEM; repeated: any of them\n"
"  --heads FILE   heads known from elsewhere: WRITER/SEQ/HASH, also among other\n"
"                 text, as in messages to approvers; or checkpoints, as a\n"
"                 JSON string a line, or as redis-cli --raw prints the stream\n"
"                 approval:audit; repeated\n"
"  --since, --until TIME   from, and before: 2026-01-02 (its beginning) or\n"
"                 2026-01-02T03:04:05Z\n"
"  --limit N      no more records than that\n"
"  -q             tamperings and gaps only, no notes\n"
"\n"
"Files in any order, rotated ones and those of several hosts together. The\n"
"exit code is 0: all holds; 1: tampered with; 2: incomplete, or not covered\n"
"by a signature; 3: wrong usage, or a file cannot be read.\n"
"\n"
"  approval-audit verify audit.jsonl* --key signing.pub\n"
"  approval-audit show 7bf2de90a5c22743104a47b2cafefaa0 audit.jsonl*\n";


static int parse(int argc, char **argv, approval_options_t *o);
static int add_key(approval_options_t *o, const char *file);
static int parse_wanted(approval_options_t *o, const char *name,
    const char *value);
static int read_file(const char *file, approval_buf_t *text);


int
main(int argc, char **argv)
{
    int                 rc;
    size_t              i;
    const char         *command;
    approval_options_t  o;

    memset(&o, 0, sizeof(o));

    if (argc < 2) {
        fputs(usage, stderr);
        return APPROVAL_EXIT_USAGE;
    }

    command = argv[1];

    for (i = 1; i < (size_t) argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(usage, stdout);
            return APPROVAL_EXIT_OK;
        }
    }

    o.files = calloc((size_t) argc, sizeof(char *));
    o.heads = calloc((size_t) argc, sizeof(char *));

    if (o.files == NULL || o.heads == NULL) {
        fputs("approval-audit: no memory\n", stderr);
        rc = APPROVAL_EXIT_USAGE;

    } else if (parse(argc - 2, argv + 2, &o) != 0) {
        rc = APPROVAL_EXIT_USAGE;

    } else if (strcmp(command, "verify") == 0) {
        rc = approval_command_verify(&o);

    } else if (strcmp(command, "show") == 0) {
        rc = approval_command_show(&o);

    } else if (strcmp(command, "export") == 0) {
        rc = approval_command_export(&o);

    } else if (strcmp(command, "check") == 0) {
        rc = approval_command_check(&o);

    } else {
        fprintf(stderr, "approval-audit: unknown command \"%s\"\n%s", command,
                usage);
        rc = APPROVAL_EXIT_USAGE;
    }

    for (i = 0; i < o.nkeys; i++) {
        approval_signer_destroy(o.keys[i]);
    }

    free(o.files);
    free(o.heads);

    if (fflush(stdout) != 0 || ferror(stdout)) {
        fputs("approval-audit: the output cannot be written\n", stderr);
        return APPROVAL_EXIT_USAGE;
    }

    return rc;
}


static int
parse(int argc, char **argv, approval_options_t *o)
{
    int          i;
    const char  *name, *value;

    for (i = 0; i < argc; i++) {
        name = argv[i];

        if (strcmp(name, "-q") == 0) {
            o->quiet = 1;
            continue;
        }

        if (name[0] != '-' || name[1] == '\0') {
            o->files[o->nfiles++] = argv[i];
            continue;
        }

        if (i + 1 == argc) {
            fprintf(stderr, "approval-audit: \"%s\" is unknown, or lacks its "
                    "value\n", name);
            return -1;
        }

        value = argv[++i];

        if (strcmp(name, "--key") == 0) {
            if (add_key(o, value) != 0) {
                return -1;
            }

        } else if (strcmp(name, "--heads") == 0) {
            o->heads[o->nheads++] = argv[i];

        } else if (strcmp(name, "--format") == 0
                   || strcmp(name, "--action") == 0
                   || strcmp(name, "--limit") == 0
                   || strcmp(name, "--since") == 0
                   || strcmp(name, "--until") == 0)
        {
            if (parse_wanted(o, name, value) != 0) {
                return -1;
            }

        } else {
            fprintf(stderr, "approval-audit: unknown option \"%s\"\n", name);
            return -1;
        }
    }

    return 0;
}


static int
add_key(approval_options_t *o, const char *file)
{
    const char         *err;
    approval_buf_t      text;
    approval_signer_t  *key;

    if (o->nkeys == APPROVAL_VERIFY_KEYS) {
        fputs("approval-audit: too many keys\n", stderr);
        return -1;
    }

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

    o->keys[o->nkeys++] = key;

    return 0;
}


static int
parse_wanted(approval_options_t *o, const char *name, const char *value)
{
    char                *end;
    const char          *want;
    approval_str_t       text;
    approval_wanted_t   *w;

    w = &o->wanted;
    text = approval_str(value);

    switch (name[2]) {

    case 's':
    case 'u':
        want = "a time: use 2026-01-02 or 2026-01-02T03:04:05Z";

        if (approval_wanted_time(text, name[2] == 's' ? w->since : w->until)
            == APPROVAL_OK)
        {
            return 0;
        }

        break;

    case 'f':
        want = "a format: use jsonl or csv";

        if (approval_wanted_format(text, &w->format) == APPROVAL_OK) {
            return 0;
        }

        break;

    case 'a':
        want = "the 32 hex digits of an action's id";

        if (approval_id_valid(text)) {
            memcpy(w->action, value, APPROVAL_ID_LEN);
            return 0;
        }

        break;

    default:
        want = "a number of records from 1";
        w->limit = strtoull(value, &end, 10);

        if (value[0] >= '1' && value[0] <= '9' && *end == '\0') {
            return 0;
        }
    }

    fprintf(stderr, "approval-audit: \"%s\" of %s is not %s\n", value, name,
            want);

    return -1;
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
