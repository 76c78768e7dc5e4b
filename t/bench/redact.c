
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * How long a body of 1 MB is redacted, in each format that is read: thousands
 * of records with six values, of which one is a password.  Prints a line for
 * each format: its name, CPU milliseconds, and the ratio to the time in which
 * jansson reads and writes the JSON one.
 */


#include "core/redact.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>


#define RUNS  5
#define SIZE  1000000


static double bench_ms(void);
static double bench_jansson(approval_str_t text);


static const struct {
    const char  *name;
    const char  *type;
    const char  *head;
    const char  *record;
    const char  *tail;
} formats[] = {
    { "JSON", "application/json", "[0",
      ",{\"id\":%1$d,\"name\":\"Customer number %1$d\",\"email\":"
      "\"user%1$d@example.com\",\"note\":\"Ships to 12 Main Street, second "
      "floor; ring twice\",\"password\":\"hunter%1$d\",\"total\":%1$d.50}",
      "]" },
    { "text", "text/plain", "",
      "Order %1$d of customer %1$d: ships to 12 Main Street, second floor; "
      "ring twice.\nPlease use the password hunter%1$d and mail "
      "user%1$d@example.com about it.\n", "" },
    { "YAML", "application/yaml", "",
      "- id: %1$d\n  name: Customer number %1$d\n  email: "
      "user%1$d@example.com\n  note: Ships to 12 Main Street, second floor; "
      "ring twice\n  password: hunter%1$d\n  total: %1$d.50\n", "" },
    { "SQL", "application/sql",
      "INSERT INTO users (id, name, email, note, password, total) VALUES "
      "(0, '', '', '', '', 0)",
      ",\n(%1$d, 'Customer number %1$d', 'user%1$d@example.com', 'Ships to "
      "12 Main Street, second floor; ring twice', 'hunter%1$d', %1$d.50)",
      ";\n" },
    { "form", "application/x-www-form-urlencoded", "n=1",
      "&id=%1$d&name=Customer+number+%1$d&email=user%1$d%%40example.com&note="
      "Ships+to+12+Main+Street%%2C+second+floor%%3B+ring+twice&password="
      "hunter%1$d&total=%1$d.50", "" },
    { "XML", "application/xml", "<items>",
      "<item><id>%1$d</id><name>Customer number %1$d</name><email>"
      "user%1$d@example.com</email><note>Ships to 12 Main Street, second "
      "floor; ring twice</note><password>hunter%1$d</password><total>%1$d.50"
      "</total></item>\n", "</items>" }
};


int
main(void)
{
    int                 n;
    double              from, spent, best, jansson;
    size_t              i, k;
    approval_buf_t      body, out;
    approval_redact_t  *r;

    r = approval_redact_create(NULL);
    if (r == NULL) {
        return 1;
    }

    approval_redact_key(r, approval_str("the key of an action"));

    jansson = 0;

    for (i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        approval_buf_init(&body);
        approval_buf_adds(&body, formats[i].head);

        for (n = 1; body.len < SIZE; n++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            approval_buf_printf(&body, formats[i].record, n);
#pragma GCC diagnostic pop
        }

        approval_buf_adds(&body, formats[i].tail);

        for (k = 0, best = 0; k < RUNS; k++) {
            approval_buf_init(&out);
            from = bench_ms();

            if (approval_redact_body(r, approval_str(formats[i].type),
                                     approval_buf_str(&body), &out)
                != APPROVAL_OK || out.len < SIZE / 2)
            {
                return 1;
            }

            spent = bench_ms() - from;
            approval_buf_free(&out);

            best = k == 0 || spent < best ? spent : best;
        }

        jansson = i == 0 ? bench_jansson(approval_buf_str(&body)) : jansson;

        printf("%s %.1f %.2f\n", formats[i].name, best, best / jansson);

        approval_buf_free(&body);
    }

    approval_redact_destroy(r);

    return 0;
}


static double
bench_jansson(approval_str_t text)
{
    int      k;
    char    *dump;
    double   from, spent, best;
    json_t  *json;

    for (k = 0, best = 0; k < RUNS; k++) {
        from = bench_ms();

        json = json_loadb((const char *) text.data, text.len,
                          JSON_REJECT_DUPLICATES, NULL);
        dump = json_dumps(json, JSON_COMPACT);

        spent = bench_ms() - from;

        free(dump);
        json_decref(json);

        best = k == 0 || spent < best ? spent : best;
    }

    return best;
}


static double
bench_ms(void)
{
    struct timespec  t;

    (void) clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);

    return (double) t.tv_sec * 1e3 + (double) t.tv_nsec / 1e6;
}
