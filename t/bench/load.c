
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Opens a connection for each of N requests, sends one on each and keeps them
 * open:
 *
 *     load PORT N TARGET
 *
 * TARGET has the number of the request appended, from 0; so has the header
 * X-Id.  Says "sent" when all are on their way.  For a line
 *
 *     SOCKET RATE FILE
 *
 * on standard input it then gives the redis-server at SOCKET RATE commands a
 * second, one for each line "ID WORD..." of FILE, and waits until as many
 * responses have come.  What it prints is the time in us from each command to
 * the response that has "Approval-Id: ID".  Ends with its input.
 */


#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>


#define ID_MAX    40
#define LINE_MAX  16384
#define EVENTS    64


typedef struct {
    char       id[ID_MAX];
    char      *command;                    /* as Redis reads it */
    size_t     len;
    long long  begun;                      /* ns, 0: not yet */
} decision_t;


static int        load_epoll;
static long long  load_patience = 20000000000;


static int load_connect(unsigned short port);
static int load_redis(const char *path);
static int load_decide(const char *path, int rate, const char *file);
static int load_read(int s, decision_t *list, int n);
static decision_t *load_file(const char *file, int *n);
static int load_command(decision_t *d, char *line);
static int load_cmp(const void *one, const void *two);
static long long load_now(void);


int
main(int argc, char **argv)
{
    int                 i, n, s, len, rate;
    char                text[1024], path[100], file[200];
    struct epoll_event  ev;

    if (argc != 4) {
        fprintf(stderr, "usage: load PORT N TARGET\n");
        return 1;
    }

    n = atoi(argv[2]);
    load_epoll = epoll_create1(0);

    for (i = 0; i < n; i++) {
        s = load_connect((unsigned short) atoi(argv[1]));

        len = snprintf(text, sizeof(text),
                       "GET %s%d HTTP/1.1\r\nHost: gw.example.com\r\n"
                       "User-Agent: curl/7.88.1\r\nAccept: */*\r\n"
                       "X-Agent: agent-%d\r\nX-Id: %d\r\n\r\n",
                       argv[3], i, i % 50, i);

        if (s == -1 || write(s, text, (size_t) len) != len) {
            perror("load");
            return 1;
        }

        ev.events = EPOLLIN | EPOLLET;
        ev.data.fd = s;

        (void) epoll_ctl(load_epoll, EPOLL_CTL_ADD, s, &ev);
    }

    puts("sent");
    fflush(stdout);

    while (fgets(text, sizeof(text), stdin)) {
        if (sscanf(text, "%99s %d %199s", path, &rate, file) == 3
            && load_decide(path, rate, file) != 0)
        {
            return 1;
        }
    }

    return 0;
}


static int
load_connect(unsigned short port)
{
    int                 s, on;
    struct sockaddr_in  sin;

    s = socket(AF_INET, SOCK_STREAM, 0);
    if (s == -1) {
        return -1;
    }

    on = 1;
    (void) setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));

    memset(&sin, 0, sizeof(sin));

    sin.sin_family = AF_INET;
    sin.sin_port = htons(port);
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    return connect(s, (struct sockaddr *) &sin, sizeof(sin)) == -1 ? -1 : s;
}


static int
load_redis(const char *path)
{
    int                 s;
    struct sockaddr_un  sun;
    struct epoll_event  ev;

    memset(&sun, 0, sizeof(sun));

    sun.sun_family = AF_UNIX;
    snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);

    s = socket(AF_UNIX, SOCK_STREAM, 0);

    if (s == -1 || connect(s, (struct sockaddr *) &sun, sizeof(sun)) == -1) {
        perror("redis");
        return -1;
    }

    ev.events = EPOLLIN | EPOLLET;
    ev.data.fd = s;

    (void) epoll_ctl(load_epoll, EPOLL_CTL_ADD, s, &ev);

    return s;
}


static int
load_decide(const char *path, int rate, const char *file)
{
    int                  i, k, redis, sent, done, n = 0;
    char                 text[512];
    long long            start, now, next;
    decision_t          *list;
    struct timespec      wait;
    struct epoll_event   events[EVENTS];

    list = load_file(file, &n);
    redis = load_redis(path);

    if (list == NULL || redis == -1) {
        return -1;
    }

    sent = 0;
    done = 0;
    start = load_now();

    while (done < n) {
        now = load_now();
        next = start + (long long) sent * 1000000000 / rate;

        if (sent < n && now >= next) {
            list[sent].begun = load_now();

            if (write(redis, list[sent].command, list[sent].len)
                != (ssize_t) list[sent].len)
            {
                perror("redis");
                return -1;
            }

            sent++;
            continue;
        }

        if (sent == n && now > next + load_patience) {
            fprintf(stderr, "load: %d of %d responses\n", done, n);
            return -1;
        }

        wait.tv_sec = 0;
        wait.tv_nsec = (sent < n) ? next - now : 100000000;

        k = epoll_pwait2(load_epoll, events, EVENTS, &wait, NULL);

        for (i = 0; i < k; i++) {
            if (events[i].data.fd == redis) {
                while (recv(redis, text, sizeof(text), MSG_DONTWAIT) > 0) { }
                continue;
            }

            done += load_read(events[i].data.fd, list, n);
        }
    }

    puts("end");
    fflush(stdout);

    close(redis);
    free(list);

    return 0;
}


/* One read has the whole response: it is small. */

static int
load_read(int s, decision_t *list, int n)
{
    char         text[8192], *id, *end;
    ssize_t      len;
    long long    now;
    decision_t  *found;

    len = recv(s, text, sizeof(text) - 1, MSG_DONTWAIT);

    if (len <= 0) {
        return 0;
    }

    now = load_now();
    text[len] = '\0';

    id = strstr(text, "Approval-Id: ");
    end = id ? strchr(id, '\r') : NULL;

    if (end == NULL || strncmp(text, "HTTP/1.1 200", 12) != 0) {
        fprintf(stderr, "load: %.200s\n", text);
        exit(1);
    }

    *end = '\0';

    found = bsearch(id + 13, list, (size_t) n, sizeof(decision_t), load_cmp);

    if (found == NULL || found->begun == 0) {
        fprintf(stderr, "load: \"%s\" was not decided\n", id + 13);
        exit(1);
    }

    printf("%.1f\n", (double) (now - found->begun) / 1000);

    return 1;
}


static decision_t *
load_file(const char *file, int *n)
{
    FILE        *f;
    char         line[LINE_MAX];
    decision_t  *list;

    f = fopen(file, "r");
    list = calloc(100000, sizeof(decision_t));

    if (f == NULL || list == NULL) {
        perror(file);
        return NULL;
    }

    for (*n = 0; *n < 100000 && fgets(line, sizeof(line), f); (*n)++) {
        if (load_command(&list[*n], line) != 0) {
            fprintf(stderr, "load: a line of \"%s\" is no command\n", file);
            return NULL;
        }
    }

    fclose(f);

    qsort(list, (size_t) *n, sizeof(decision_t), load_cmp);

    return list;
}


static int
load_command(decision_t *d, char *line)
{
    int    words;
    char  *word, *at;
    FILE  *out;

    words = 0;

    for (at = line; *at; at++) {
        words += (*at == ' ');
    }

    word = strtok(line, " \n");

    if (word == NULL || words == 0
        || snprintf(d->id, ID_MAX, "%s", word) >= ID_MAX)
    {
        return -1;
    }

    out = open_memstream(&d->command, &d->len);
    if (out == NULL) {
        return -1;
    }

    fprintf(out, "*%d\r\n", words);

    while ((word = strtok(NULL, " \n")) != NULL) {
        fprintf(out, "$%zu\r\n%s\r\n", strlen(word), word);
    }

    return fclose(out);
}


static int
load_cmp(const void *one, const void *two)
{
    return strcmp(one, two);
}


static long long
load_now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (long long) ts.tv_sec * 1000000000 + ts.tv_nsec;
}
