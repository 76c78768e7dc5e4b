
/*
 * Copyright (C) ngx_http_approval_module contributors
 *
 * Runs a fuzz target where there is no libFuzzer: the corpus as it is, then
 * mutations of it.
 *
 *     target [-runs=N] [-seed=N] [-artifact_prefix=PREFIX] [directory...]
 */


#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>


#define INPUTS_MAX  1024
#define INPUT_SIZE  4096


typedef struct {
    unsigned char  *data;
    size_t          len;
} input_t;


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static void run(const unsigned char *data, size_t len);
static void read_directory(const char *name);
static void read_input(const char *name);
static void mutate(unsigned char *data, size_t *len);
static uint32_t next(void);


static input_t      inputs[INPUTS_MAX];
static size_t       ninputs;
static uint64_t     state = 88172645463325252ULL;
static const char  *prefix = "./";


static const char  interesting[] =
    "{}[]\",:\\/%;&=?#+.~*<>'@|-_ \t\r\n\0\x7f\x80\xc3\xe2\xef\xf0\xff"
    "0123456789abcdefu";


int
main(int argc, char **argv)
{
    int             i;
    long            n, runs, seconds;
    size_t          len;
    time_t          start;
    const input_t  *in;
    unsigned char   data[INPUT_SIZE];

    runs = -1;
    seconds = 0;

    for (i = 1; i < argc; i++) {
        if (strncmp(argv[i], "-runs=", 6) == 0) {
            runs = atol(argv[i] + 6);

        } else if (strncmp(argv[i], "-max_total_time=", 16) == 0) {
            seconds = atol(argv[i] + 16);

        } else if (strncmp(argv[i], "-seed=", 6) == 0) {
            state ^= strtoull(argv[i] + 6, NULL, 10) << 17;

        } else if (strncmp(argv[i], "-artifact_prefix=", 17) == 0) {
            prefix = argv[i] + 17;

        } else if (argv[i][0] != '-') {
            read_directory(argv[i]);
        }
    }

    if (runs < 0 && seconds == 0) {
        runs = 5000;
    }

    run((const unsigned char *) "", 0);

    for (n = 0; n < (long) ninputs; n++) {
        run(inputs[n].data, inputs[n].len);
    }

    start = time(NULL);

    for (n = 0; runs < 0 || n < runs; n++) {

        if (seconds && time(NULL) - start >= seconds) {
            break;
        }

        len = 0;

        if (ninputs) {
            in = &inputs[next() % ninputs];
            len = in->len < INPUT_SIZE / 2 ? in->len : INPUT_SIZE / 2;
            memcpy(data, in->data, len);
        }

        mutate(data, &len);
        run(data, len);
    }

    for (n = 0; n < (long) ninputs; n++) {
        free(inputs[n].data);
    }

    printf("%ld inputs of the corpus\n", (long) ninputs);

    return 0;
}


/* The input is on disk while it runs: whatever happens, it is at hand. */

static void
run(const unsigned char *data, size_t len)
{
    char            name[4096];
    FILE           *f;
    unsigned char  *copy;

    (void) snprintf(name, sizeof(name), "%sinput", prefix);

    f = fopen(name, "wb");
    if (f) {
        (void) fwrite(data, 1, len, f);
        (void) fclose(f);
    }

    /* a copy of its own size, so that reading past it is seen */

    copy = malloc(len ? len : 1);
    if (copy == NULL) {
        exit(1);
    }

    memcpy(copy, data, len);
    (void) LLVMFuzzerTestOneInput(copy, len);
    free(copy);
}


static void
read_directory(const char *name)
{
    DIR            *dir;
    char            path[4096];
    struct dirent  *entry;

    dir = opendir(name);
    if (dir == NULL) {
        perror(name);
        exit(2);
    }

    while ((entry = readdir(dir)) != NULL && ninputs < INPUTS_MAX) {
        if (entry->d_name[0] != '.') {
            (void) snprintf(path, sizeof(path), "%s/%s", name, entry->d_name);
            read_input(path);
        }
    }

    (void) closedir(dir);
}


static void
read_input(const char *name)
{
    FILE     *f;
    input_t  *in;

    f = fopen(name, "rb");
    if (f == NULL) {
        perror(name);
        exit(2);
    }

    in = &inputs[ninputs++];

    in->data = malloc(INPUT_SIZE);
    if (in->data == NULL) {
        exit(2);
    }

    in->len = fread(in->data, 1, INPUT_SIZE, f);

    (void) fclose(f);
}


static void
mutate(unsigned char *data, size_t *len)
{
    size_t          at, n;
    uint32_t        steps;
    unsigned char   c;
    const input_t  *in;

    for (steps = 1 + next() % 6; steps; steps--) {
        at = *len ? next() % *len : 0;
        c = next() % 3 ? (unsigned char)
                         interesting[next() % (sizeof(interesting) - 1)]
                       : (unsigned char) next();

        switch (next() % 5) {

        case 0:
            if (*len) {
                data[at] = c;
            }

            break;

        case 1:
            if (*len < INPUT_SIZE) {
                memmove(data + at + 1, data + at, *len - at);
                data[at] = c;
                (*len)++;
            }

            break;

        case 2:
            n = *len - at < 8 ? *len - at : next() % 8;
            memmove(data + at, data + at + n, *len - at - n);
            *len -= n;
            break;

        case 3:
            n = *len - at < 16 ? *len - at : next() % 16;

            if (*len + n <= INPUT_SIZE) {
                memmove(data + at + n, data + at, *len - at);
                *len += n;
            }

            break;

        case 4:
            if (ninputs) {
                in = &inputs[next() % ninputs];
                n = in->len ? next() % in->len : 0;

                if (at + n <= INPUT_SIZE) {
                    memcpy(data + at, in->data, n);
                    *len = *len > at + n ? *len : at + n;
                }
            }

            break;
        }
    }
}


static uint32_t
next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;

    return (uint32_t) (state >> 16);
}
