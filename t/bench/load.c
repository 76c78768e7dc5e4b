
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Opens a connection for each of N requests, sends one on each and keeps them
 * open:
 *
 *     load PORT N TARGET
 *
 * TARGET has the number of the request appended.  Says "sent" when all are on
 * their way, and ends when its standard input does.
 */


#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>


static int load_connect(unsigned short port);


int
main(int argc, char **argv)
{
    int   i, n, s, len;
    char  request[1024];

    if (argc != 4) {
        fprintf(stderr, "usage: load PORT N TARGET\n");
        return 1;
    }

    n = atoi(argv[2]);

    for (i = 0; i < n; i++) {
        s = load_connect((unsigned short) atoi(argv[1]));

        len = snprintf(request, sizeof(request),
                       "DELETE %s%d HTTP/1.1\r\nHost: gw.example.com\r\n"
                       "User-Agent: curl/7.88.1\r\nAccept: */*\r\n"
                       "X-Agent: agent-%d\r\n\r\n", argv[3], i, i % 50);

        if (s == -1 || write(s, request, (size_t) len) != len) {
            perror("load");
            return 1;
        }
    }

    puts("sent");
    fflush(stdout);

    /* until standard input ends */

    while (read(0, request, sizeof(request)) > 0) { /* void */ }

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
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));

    memset(&sin, 0, sizeof(sin));

    sin.sin_family = AF_INET;
    sin.sin_port = htons(port);
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    if (connect(s, (struct sockaddr *) &sin, sizeof(sin)) == -1) {
        return -1;
    }

    return s;
}
