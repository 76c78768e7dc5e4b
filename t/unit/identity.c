
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Identities, people, groups, and the folding beneath them.
 */


#include "core/fold.h"
#include "core/identity.h"
#include "test.h"

#include <locale.h>
#include <stdlib.h>
#include <wctype.h>


#define MAX  APPROVAL_IDENTITY_MAX


static approval_buf_t  out;


static approval_str_t
canonical(const char *s)
{
    const char      *err;
    approval_str_t   text;

    static approval_canonical_t  c;

    err = approval_identity_fold(approval_str(s), &c);
    if (err) {
        return approval_str(err);
    }

    text.data = c.data;
    text.len = c.len;

    return text;
}


static void
test_canonical(void)
{
    is_str(canonical("alice"), "alice", "as it is");
    is_str(canonical(" \t\r\nAlice@Example.COM\xc2\xa0\xe3\x80\x80\n"),
           "alice@example.com", "outer white space, case");
    is_str(canonical("CN=Alice Smith,O=Example"), "cn=alice smith,o=example",
           "inner spaces stay");
    is_str(canonical("alice   smith"), "alice smith", "but not two");
    is_str(canonical("\xc3\x89ric"), "\xc3\xa9ric", "beyond ASCII");
    is_str(canonical("\xe2\x84\xaa" "elvin"), "kelvin", "U+212A is k");
    is_str(canonical("\xc5\xbf" "am"), "sam", "U+017F is s");
    is_str(canonical("\xc4\xb0stanbul"), "istanbul", "U+0130 is i");
    is_str(canonical("\xc4\xb1stanbul"), "istanbul", "U+0131 is i");
    is_str(canonical("\xe2\x84\xab"), "\xc3\xa5", "U+212B is U+00E5");
    is_str(canonical("\xce\xa3\xcf\x82\xcf\x83"), "\xcf\x83\xcf\x83\xcf\x83",
           "three sigmas are one letter");
    is_str(canonical("\xc2\xb5\xce\xbc\xce\x9c"), "\xce\xbc\xce\xbc\xce\xbc",
           "micro and mu");
    is_str(canonical("wei\xc3\x9f"), "weiss", "sharp s, as in capitals");
    is_str(canonical("WEI\xe1\xba\x9e"), "weiss", "the other sharp s");
    is_str(canonical("\xc7\xb4\xc7\xb5"), "\xc7\xb5\xc7\xb5",
           "Latin of later blocks");
    is_str(canonical("\xf0\x90\x90\x80"), "\xf0\x90\x90\xa8",
           "beyond the BMP");

    is_str(canonical(""), "the identity is empty", "empty");
    is_str(canonical(" \n \xe2\x80\x83"), "the identity is empty", "blank");
}


/* What a directory takes for another spelling of the same name. */

static void
test_spelling(void)
{
    size_t  i;

    static const char  *one[] = {
        "\xe1\xbb\x8dl\xe1\xbb\x8d\xcc\x81run",  /* Yoruba: no such letter */
        "\xc9\x9b\xcc\x81",                       /* Ewe                   */
        "\xed\x95\x9c\xea\xb8\x80",               /* Hangul syllables      */
        "\xe0\xb8\x99\xe0\xb9\x89\xe0\xb8\xb3",   /* Thai, with SARA AM    */
        "\xe0\xa6\x95\xe0\xa6\xbe",               /* Bengali               */
        "\xe3\x82\xac",                           /* Katakana, voiced      */
        "\xd9\x85\xd8\xad\xd9\x85\xd9\x91\xd8\xaf", /* Arabic, shadda     */
        "\xe0\xb8\x81\xe0\xb8\xb9\xe0\xb9\x89",   /* Thai, two marks       */
        "\xd7\xa9\xd6\xbc\xd7\x81",               /* Hebrew, pointed       */
        "\xd9\x85\xd9\x8e\xd9\x91"                /* Arabic, vowelled      */
    };

    static const char  *other[] = {
        "jose\xcc\x81",                    /* a letter and its accent */
        "JOSE\xcc\x81",
        "\xef\xbd\x81lice",                /* full width              */
        "\xef\xbc\xa1LICE",
        "\xf0\x9d\x90\x9a",                /* mathematical bold       */
        "\xef\xac\x81ona",                 /* a ligature              */
        "alice\xc2\xb2",                   /* superscript             */
        "\xe2\x93\x90",                    /* circled                 */
        "i\xcc\x87van",                    /* U+0130 in full folding  */
        "\xc3\xa2\xcc\xa3",                /* marks in another order  */
        "o\xcc\x81\xcc\xa3",
        "\xe1\x84\x92\xe1\x85\xa1",       /* Hangul, taken apart     */
        "\xe3\x82\xab\xe3\x82\x99",       /* Katakana, taken apart   */
        "\xe0\xa7\x87\xe0\xa6\xbe",       /* Bengali, taken apart    */
        "\xe0\xb8\x99\xe0\xb9\x8d\xe0\xb8\xb2",  /* Thai, Lao, too   */
        "\xe0\xba\x99\xe0\xbb\x8d\xe0\xba\xb2",
        "\xe0\xb8\x81\xe0\xb9\x89\xe0\xb8\xb9",  /* the same, swapped */
        "\xd7\xa9\xd7\x81\xd6\xbc",
        "\xd9\x85\xd9\x91\xd9\x8e",
        "u\xe3\x80\xaa\xcc\x80",           /* across another mark     */
        "\xe1\xbe\xb3",                    /* Greek, iota below       */
        "\xe1\xbe\xbc",
        "\xef\xb9\xa6",
        "\xe2\x84\xa1"
    };

    for (i = 0; i < sizeof(one) / sizeof(one[0]); i++) {
        is_str(canonical(one[i]), one[i], "the only spelling");
    }

    for (i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
        ok(strncmp((const char *) canonical(other[i]).data,
                   "the identity is not in NFKC", 27)
           == 0, "another spelling");
    }
}


static void
test_refused(void)
{
    size_t                i;
    char                  name[16];
    char                  big[MAX + 2];
    approval_canonical_t  c;
    approval_str_t        s = approval_string("a\0b");
    const char           *unseen[] = {
        "\x01", "\x1b", "\n", "\x7f", "\xc2\x80", "\xc2\xa0", "\xc2\xad",
        "\xcd\x8f", "\xd8\x9c", "\xe1\x85\x9f", "\xe1\xa0\x8e",
        "\xe2\x80\x83", "\xe2\x80\x8b", "\xe2\x80\x8d", "\xe2\x80\x8e",
        "\xe2\x80\xae", "\xe2\x80\xa8", "\xe2\x81\xa0", "\xe2\x81\xa6",
        "\xe2\xa0\x80", "\xe3\x80\x80", "\xe3\x85\xa4", "\xef\xb8\x8f",
        "\xef\xbb\xbf", "\xef\xbe\xa0", "\xef\xbf\xbd", "\xee\x80\x80",
        "\xf0\x9f\xbf\xbf", "\xf3\xa0\x81\x81", "\xf3\xa0\x84\x80",
        "\xf0\x9d\x85\xb3"
    };
    const char           *broken[] = {
        "\xff", "\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80"
    };

    for (i = 0; i < sizeof(unseen) / sizeof(unseen[0]); i++) {
        snprintf(name, sizeof(name), "a%sb", unseen[i]);
        ok(strstr((char *) canonical(name).data, "invisible"),
           "invisible character %d", (int) i);
    }

    for (i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        snprintf(name, sizeof(name), "a%s", broken[i]);
        is_str(canonical(name), "the identity is not UTF-8", "not UTF-8");
    }

    ok(approval_identity_fold(s, &c) != NULL, "NUL inside");

    memset(big, 'A', sizeof(big));
    big[MAX] = '\0';
    is_int(canonical(big).len, MAX, "256 bytes");
    big[MAX] = 'A';
    big[MAX + 1] = '\0';
    is_str(canonical(big), "the identity is longer than 256 bytes",
           "257 bytes");

    /* U+023A takes two bytes, and its folded form three. */

    for (i = 0; i < MAX; i += 2) {
        memcpy(big + i, "\xc8\xba", 2);
    }

    big[MAX] = '\0';
    is_str(canonical(big), "the identity is longer than 256 bytes",
           "256 bytes that would fold to 384");
}


/* Every code point: once folded, folded for ever; and no worse than libc. */

static void
test_fold(void)
{
    int        idempotent, agree;
    uint32_t   c, up, low, worst;
    locale_t   locale;

    idempotent = 1;

    for (c = 0; c <= 0x10ffff; c++) {
        idempotent &= approval_fold(approval_fold(c)) == approval_fold(c);
    }

    ok(idempotent, "folding is idempotent for every code point");

    locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t) 0);

    if (locale == (locale_t) 0) {
        ok(1, "towlower() # SKIP no C.UTF-8 here");
        return;
    }

    agree = 1;
    worst = 0;

    for (c = 0; c <= 0x10ffff; c++) {
        up = towupper_l((wint_t) c, locale);
        low = towlower_l((wint_t) c, locale);

        if (approval_fold(up) != approval_fold(c)
            || approval_fold(low) != approval_fold(c))
        {
            agree = 0;
            worst = c;
        }
    }

    freelocale(locale);

    ok(agree, "the cases that libc knows of a letter are one letter");

    if (!agree) {
        printf("#   U+%04X\n", (unsigned) worst);
    }
}


static approval_str_t
person(approval_people_t *p, const char *identity)
{
    const char  *err;

    approval_buf_reset(&out);

    if (approval_people_person(p, approval_str(identity), &out, &err)
        != APPROVAL_OK)
    {
        return approval_str(err);
    }

    return approval_buf_str(&out);
}


static int
same(approval_people_t *p, const char *a, const char *b)
{
    return approval_people_same(p, approval_str(a), approval_str(b));
}


static int
alias(approval_people_t *p, const char *a, const char *b)
{
    const char  *err;

    return approval_people_alias(p, approval_str(a), approval_str(b), &err);
}


static void
test_people(void)
{
    approval_people_t  *p;

    p = approval_people_create();
    if (!ok(p != NULL, "people")) {
        return;
    }

    is_str(person(p, " Bob "), "bob", "a person without an alias");
    ok(same(p, "Bob", "bOB "), "in any case");
    ok(!same(p, "bob", "rob"), "not another");
    ok(!same(p, "", ""), "nobody is not nobody");
    ok(!same(p, "a\xe2\x80\x8b", "a\xe2\x80\x8b"), "nor the unusable itself");
    ok(same(p, "\xe2\x84\xaa" "im", "KIM"), "Kelvin's sign is no second Kim");

    is_int(alias(p, "Robert@Example.com", "T1:U1"), APPROVAL_OK, "an alias");
    is_int(alias(p, "bob", "rob"), APPROVAL_OK, "another's");
    ok(!same(p, "bob", "robert@example.com"), "two persons");
    ok(same(p, "BOB", "Rob"), "one person");
    is_str(person(p, "ROB"), "bob", "by the first name declared");

    is_int(alias(p, "rob", "t1:u1"), APPROVAL_OK, "they are one");
    ok(same(p, "bob", "robert@example.com"), "transitively");
    is_str(person(p, "bob"), "robert@example.com",
           "by the first name declared of all");
    is_str(person(p, "T1:u1"), "robert@example.com", "each of them");

    is_int(alias(p, "bob", "BOB"), APPROVAL_OK, "an alias of itself");
    is_int(alias(p, "zed", "robert@example.com"), APPROVAL_OK, "one more");
    is_str(person(p, "zed"), "robert@example.com",
           "who comes later does not rename");

    is_int(alias(p, "", "x"), APPROVAL_DECLINED, "nobody has no alias");
    is_int(alias(p, "x", "a\nb"), APPROVAL_DECLINED,
           "nor is the unusable one");
    is_str(person(p, "a\nb"), "the identity contains a control, formatting "
           "or other invisible character", "nor a person");

    approval_people_destroy(p);
    approval_people_destroy(NULL);
}


static int
list(void *data, approval_str_t person)
{
    approval_buf_t  *b = data;

    approval_buf_add(b, person.data, person.len);
    approval_buf_addc(b, ' ');

    return APPROVAL_OK;
}


static int
stop(void *data, approval_str_t person)
{
    (*(int *) data)++;

    return person.len ? APPROVAL_DECLINED : APPROVAL_ERROR;
}


static int
member(approval_people_t *p, int group, const char *identity)
{
    const char  *err;

    return approval_people_member(p, group, approval_str(identity), &err);
}


static int
in(approval_people_t *p, int group, const char *identity)
{
    return approval_people_in_group(p, group, approval_str(identity));
}


static approval_str_t
members(approval_people_t *p, int group)
{
    approval_buf_reset(&out);
    (void) approval_people_each(p, group, list, &out);

    return approval_buf_str(&out);
}


static void
test_groups(void)
{
    int                 ops, dba, n;
    approval_people_t  *p;

    p = approval_people_create();
    if (!ok(p != NULL, "people")) {
        return;
    }

    ops = approval_people_group(p, approval_str("ops"));
    dba = approval_people_group(p, approval_str("dba"));

    ok(ops >= 0 && dba >= 0 && ops != dba, "two groups");
    is_int(approval_people_group(p, approval_str("ops")), ops, "the same");
    is_int(approval_people_group_find(p, approval_str("dba")), dba, "found");
    is_int(approval_people_group_find(p, approval_str("DBA")), -1,
           "a group's name has its case");
    is_int(approval_people_group(p, approval_str("")), -1, "and is not empty");
    is_str(approval_people_group_name(p, dba), "dba", "its name");
    is_str(approval_people_group_name(p, 7), "", "no name");
    is_str(approval_people_group_name(p, -1), "", "no name, either");

    is_int(member(p, ops, "Alice"), APPROVAL_OK, "a member");
    is_int(member(p, ops, "alice "), APPROVAL_OK, "again");
    is_int(member(p, ops, "bob"), APPROVAL_OK, "another");
    is_int(member(p, dba, "bob"), APPROVAL_OK, "in two groups");
    is_int(member(p, ops, "u1"), APPROVAL_OK, "a third");
    is_int(member(p, ops, "a\nb"), APPROVAL_DECLINED, "not the unusable");
    is_int(member(p, 7, "bob"), APPROVAL_ERROR, "no such group");

    is_int(approval_people_group_size(p, ops), 3, "three persons");
    is_int(approval_people_group_size(p, dba), 1, "one person");
    is_int(approval_people_group_size(p, 7), 0, "no such group");
    is_str(members(p, ops), "alice bob u1 ", "in order");

    ok(in(p, ops, "ALICE") && !in(p, dba, "alice"), "alice is in ops");
    ok(in(p, ops, "bob") && in(p, dba, "bob"), "bob is in both");
    ok(!in(p, ops, "eve") && !in(p, ops, ""), "others are not");
    ok(!in(p, 7, "bob") && !in(p, -1, "bob"), "nor in what is no group");

    /* Aliases declared after the members. */

    is_int(alias(p, "alice@example.com", "u1"), APPROVAL_OK, "an alias");
    is_int(approval_people_group_size(p, ops), 3, "still three");
    is_str(members(p, ops), "alice bob alice@example.com ", "renamed");
    ok(in(p, ops, "alice@example.com"), "in by the alias");

    is_int(alias(p, "alice", "u1"), APPROVAL_OK, "she was in twice");
    is_int(approval_people_group_size(p, ops), 2, "two");
    is_str(members(p, ops), "alice@example.com bob ", "each once");

    is_int(alias(p, "bob", "u2"), APPROVAL_OK, "bob's");
    is_int(alias(p, "u2", "u1"), APPROVAL_OK, "all are one");
    is_int(approval_people_group_size(p, ops), 1, "one");
    ok(in(p, dba, "alice"), "with all groups");
    is_int(member(p, ops, "u2"), APPROVAL_OK, "a member, as she was");
    is_int(approval_people_group_size(p, ops), 1, "still one");

    n = 0;
    is_int(approval_people_each(p, ops, stop, &n), APPROVAL_DECLINED,
           "a visitor's no is handed on");
    is_int(n, 1, "and is the last word");

    approval_people_destroy(p);
}


/* Thousands: hash, forest and counts, against the plain definition. */

static void
test_many(void)
{
    int                 good, group;
    char                a[32], b[32];
    unsigned            i;
    const char         *err;
    approval_people_t  *p;

    p = approval_people_create();
    if (!ok(p != NULL, "people")) {
        return;
    }

    group = approval_people_group(p, approval_str("all"));
    good = 1;

    for (i = 0; i < 3000; i++) {
        snprintf(a, sizeof(a), "u%u@example.com", i);
        good &= approval_people_member(p, group, approval_str(a), &err)
                == APPROVAL_OK;
    }

    ok(good && approval_people_group_size(p, group) == 3000, "3,000 members");

    /* i and i + 10 are one: ten persons are left. */

    for (i = 2990; i-- > 0; /* void */ ) {
        snprintf(a, sizeof(a), "U%u@example.com", i);
        snprintf(b, sizeof(b), "u%u@Example.com", i + 10);
        good &= alias(p, a, b) == APPROVAL_OK;
    }

    ok(good && approval_people_group_size(p, group) == 10, "ten persons");
    ok(same(p, "u7@example.com", "u2997@example.com")
       && !same(p, "u7@example.com", "u2998@example.com"), "by their number");
    is_str(person(p, "u7@example.com"), "u2987@example.com",
           "the first declared");

    approval_people_destroy(p);
}


static const char *
digest(const char *one, const char *two, const char *three)
{
    int                 group;
    const char         *err;
    static char         text[APPROVAL_DIGEST_LEN + 1];
    approval_people_t  *p;

    p = approval_people_create();
    if (p == NULL) {
        return "";
    }

    group = approval_people_group(p, approval_str("g"));

    if (approval_people_member(p, group, approval_str(one), &err)
        != APPROVAL_OK
        || approval_people_member(p, group, approval_str(two), &err)
           != APPROVAL_OK
        || (three && alias(p, one, three) != APPROVAL_OK)
        || approval_people_digest(p, group, text) != APPROVAL_OK)
    {
        text[0] = '\0';
    }

    approval_people_destroy(p);

    return text;
}


/* printf 'alice\nbob\n' | sha256sum */

static void
test_digest(void)
{
    static const char  *want = "sha256:"
        "464165db627e0547246fff8acfc08662c1aea3b98d9884434e4e7bee3d681b0e";

    is_str(approval_str(digest("alice", "bob", NULL)), want,
           "who is in a group");
    is_str(approval_str(digest("BOB", "Alice", NULL)), want,
           "in any order and spelling");
    ok(strcmp(digest("alice", "carol", NULL), want) != 0, "and nobody else");
    is_str(approval_str(digest("bob", "alice", "robert")), want,
           "a person is one");
    ok(strcmp(digest("ali", "cebob", NULL), want) != 0, "as they are written");
}


int
main(void)
{
    approval_buf_init(&out);

    test_canonical();
    test_spelling();
    test_refused();
    test_fold();
    test_people();
    test_groups();
    test_many();
    test_digest();

    approval_buf_free(&out);

    return test_done();
}
