/*
 * spy pub ENDPOINT HITS RATE FILE: a bare libzmq loop, which the spy feed is
 * measured against: HITS times the three frames of FILE's first line, once
 * somebody has subscribed; RATE a second, 50 times a second, as they come from
 * a reader; none is dropped, which would cost less.
 *
 * spy sub ENDPOINT: a subscriber that reads all it gets, until TERM; then
 * prints how many messages that were.
 */

#include <zmq.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static volatile sig_atomic_t  spy_ended;

static void
spy_die(const char *what)
{
    fprintf(stderr, "spy: %s\n", what);
    exit(1);
}

static void
spy_end(int signum)
{
    (void) signum;
    spy_ended = 1;
}

static void *
spy_socket(void *context, int type)
{
    int    none = 0;
    void  *socket;

    socket = zmq_socket(context, type);

    if (socket == NULL
        || zmq_setsockopt(socket, ZMQ_SNDHWM, &none, sizeof(none)) != 0
        || zmq_setsockopt(socket, ZMQ_RCVHWM, &none, sizeof(none)) != 0
        || zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof(none)) != 0)
    {
        spy_die("cannot make a socket");
    }

    return socket;
}

/* callgrind counts in here */
__attribute__((noinline))
void
spy_loop(void *socket, unsigned long hits, const char *line, size_t len)
{
    static const char  topic[] = "hit/shop/";
    static const char  head[] = "web7 5f0c9d2e81b7a346 1000000 "
                                "8f1c8f1c8f1c8f1c8f1c8f1c8f1c8f1c";

    for ( ; hits > 0; hits--) {
        if (zmq_send(socket, topic, sizeof(topic) - 1, ZMQ_SNDMORE) < 0
            || zmq_send(socket, head, sizeof(head) - 1, ZMQ_SNDMORE) < 0
            || zmq_send(socket, line, len, 0) < 0)
        {
            spy_die("zmq_send() failed");
        }
    }
}

static void
spy_pub(void *context, char **argv)
{
    char       buf[64];
    void      *socket = spy_socket(context, ZMQ_XPUB);
    FILE      *file = fopen(argv[3], "r");
    char      *line = NULL;
    size_t     size = 0;
    ssize_t    len;

    unsigned long  left = strtoul(argv[1], NULL, 0);
    unsigned long  n = strtoul(argv[2], NULL, 0) / 50 + 1;

    len = file != NULL ? getline(&line, &size, file) : -1;

    if (len < 2) {
        spy_die("there is no line in the file");
    }

    if (zmq_bind(socket, argv[0]) != 0
        || zmq_recv(socket, buf, sizeof(buf), 0) < 0)
    {
        spy_die("nobody subscribes");
    }

    for ( ; left > 0; left -= n) {
        n = n < left ? n : left;
        spy_loop(socket, n, line, (size_t) len - 1);
        nanosleep(&(struct timespec) { 0, 20000000 }, NULL);
    }

    fclose(file);
    free(line);
    zmq_close(socket);
}

static void
spy_sub(void *context, char **argv)
{
    void           *socket = spy_socket(context, ZMQ_SUB);
    zmq_msg_t       message;
    unsigned long   messages = 0;

    signal(SIGTERM, spy_end);

    if (zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "hit/", 4) != 0
        || zmq_connect(socket, argv[0]) != 0)
    {
        spy_die("cannot subscribe");
    }

    zmq_msg_init(&message);

    while (!spy_ended) {
        if (zmq_msg_recv(&message, socket, 0) >= 0) {
            messages += !zmq_msg_more(&message);

        } else if (errno != EINTR) {
            spy_die("zmq_msg_recv() failed");
        }
    }

    printf("%lu\n", messages);
    zmq_msg_close(&message);
    zmq_close(socket);
}

int
main(int argc, char **argv)
{
    void  *context = zmq_ctx_new();

    if (argc == 6 && strcmp(argv[1], "pub") == 0) {
        spy_pub(context, argv + 2);

    } else if (argc == 3 && strcmp(argv[1], "sub") == 0) {
        spy_sub(context, argv + 2);

    } else {
        spy_die("pub ENDPOINT HITS RATE FILE, or sub ENDPOINT");
    }

    zmq_ctx_term(context);

    return 0;
}
