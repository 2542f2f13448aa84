/*
 * A load generator that knows what it did: open- or closed-loop HTTP/1.1
 * clients on keep-alive connections, one thread, one journal.
 *
 * Each connection is a client with a number of its own; its hits are numbered
 * from 0.  A hit's target is
 *
 *     PATH?site=S&c=CLIENT&n=N&p=PADDING&h=HASH
 *
 * with HASH = crc32 of "S:CLIENT:N:PADDING" in 8 hex digits, so whoever reads
 * it later can tell a hit that was sent from one that was made up or damaged.
 *
 * Journal: records of 24 bytes in host order, appended by write(2).  A hit's
 * intent is written before its first byte is sent, its outcome after; a hit
 * without an outcome is unknown.
 *
 *     u8 'I' or 'O' · u8 outcome '+' '-' '?' or 0 · u16 status · u32 client
 *     u64 n · u32 hash · u32 ms since start
 *
 * '+' is a 2xx status line that was seen (the rest of the answer may be
 * lost), '-' any other status, '?' no status: reset, closed, timed out.
 * Nothing is ever sent twice under one number.  As browsers do, a request on a
 * connection that was already used and is closed without a byte of answer is
 * tried again on a new connection, but as a new hit: the first one stays '?'.
 * Such unknowns are "retried", all other '?' and '-' are "failed".
 */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define LOAD_RESPONSE    4096
#define LOAD_PADDING     65536
#define LOAD_RECORDS     4096           /* journal records in one write */
#define LOAD_RECONNECT   10000000ULL    /* ns after a connection that failed */
#define LOAD_LATENCIES   (64 * 40)

typedef enum {
    LOAD_CLOSED,                        /* connects again at "at" */
    LOAD_CONNECTING,
    LOAD_IDLE,
    LOAD_BUSY
} load_state_e;

typedef struct {
    uint8_t   type;
    uint8_t   outcome;
    uint16_t  status;
    uint32_t  client;
    uint64_t  n;
    uint32_t  hash;
    uint32_t  ms;
} __attribute__((packed)) load_record_t;

typedef struct {
    int           fd;
    load_state_e  state;
    uint32_t      client;
    int           queued;               /* stands in the idle queue */
    uint64_t      n;                    /* of the hit on its way, or next */
    uint64_t      used;                 /* answers on this connection */
    uint64_t      at;                   /* reconnect, or deadline of the hit */
    uint64_t      due;                  /* when the hit was to be sent */
    uint32_t      hash;
    unsigned      status;               /* 0: no status line yet */
    size_t        len;
    size_t        sent;
    size_t        got;
    char         *request;
    char          response[LOAD_RESPONSE];
} load_conn_t;

static struct {
    const char          *host;
    const char          *path;
    const char          *method;
    const char          *site;
    const char          *headers;
    struct sockaddr_in   addr;
    unsigned             conns;
    unsigned             sites;
    unsigned             first;         /* client number of connection 0 */
    uint64_t             count;
    double               seconds;
    double               rate;          /* a second, in all; 0: closed loop */
    unsigned             padding;       /* at most; each hit's is random */
    unsigned             keep;          /* hits a connection; 0: no limit */
    double               timeout;
    uint64_t             seed;
} load_option = {
    "127.0.0.1", "/px.gif", "GET", "load", "", { 0 }, 8, 1, 0, 0, 0, 0, 64, 0,
    10, 1
};

static load_conn_t     *load_conns;
static unsigned        *load_idle;      /* FIFO of connection indexes */
static unsigned         load_idle_head;
static unsigned         load_nidle;
static int              load_epoll;
static int              load_journal = -1;
static load_record_t    load_records[LOAD_RECORDS];
static unsigned         load_nrecords;
static uint64_t         load_start;
static uint32_t         load_crc_table[256];
static uint64_t         load_latency[LOAD_LATENCIES];
static uint64_t         load_latency_max;
static uint64_t         load_sent, load_ok, load_refused, load_unknown;
static uint64_t         load_retried, load_reconnects, load_busy;
static volatile sig_atomic_t  load_stop;


static void
load_die(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(2);
}


static uint64_t
load_now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t) ts.tv_sec * 1000000000ULL + (uint64_t) ts.tv_nsec;
}


static uint64_t
load_random(void)                       /* xorshift64* */
{
    load_option.seed ^= load_option.seed >> 12;
    load_option.seed ^= load_option.seed << 25;
    load_option.seed ^= load_option.seed >> 27;
    return load_option.seed * 0x2545f4914f6cdd1dULL;
}


static void
load_crc_init(void)
{
    uint32_t  i, j, crc;

    for (i = 0; i < 256; i++) {
        for (crc = i, j = 0; j < 8; j++) {
            crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320U : 0);
        }
        load_crc_table[i] = crc;
    }
}


static uint32_t
load_crc(uint32_t crc, const char *data, size_t len)
{
    crc = ~crc;
    while (len--) {
        crc = (crc >> 8) ^ load_crc_table[(crc ^ (uint8_t) *data++) & 0xff];
    }
    return ~crc;
}


/* ---- the journal */

static void
load_journal_flush(void)
{
    size_t    len, off;
    ssize_t   n;

    len = load_nrecords * sizeof(load_record_t);
    for (off = 0; load_journal >= 0 && off < len; off += (size_t) n) {
        n = write(load_journal, (char *) load_records + off, len - off);
        if (n < 0) {
            load_die("journal");
        }
    }
    load_nrecords = 0;
}


static void
load_note(load_conn_t *c, int type, int outcome)
{
    load_record_t  *record;

    if (load_nrecords == LOAD_RECORDS) {
        load_journal_flush();
    }
    record = &load_records[load_nrecords++];
    record->type = (uint8_t) type;
    record->outcome = (uint8_t) outcome;
    record->status = (uint16_t) c->status;
    record->client = c->client;
    record->n = c->n;
    record->hash = c->hash;
    record->ms = (uint32_t) ((load_now() - load_start) / 1000000);
}


/* ---- latencies: 64 steps for each power of two of nanoseconds */

static void
load_latency_add(uint64_t ns)
{
    unsigned  shift, i;

    if (ns > load_latency_max) {
        load_latency_max = ns;
    }
    shift = 63 - (unsigned) __builtin_clzll(ns | 64);
    i = (shift - 6) * 64 + (unsigned) (ns >> (shift - 6)) % 64;
    load_latency[i < LOAD_LATENCIES ? i : LOAD_LATENCIES - 1]++;
}


static double
load_percentile(double share)
{
    uint64_t  total, want, seen;
    unsigned  i;

    for (total = 0, i = 0; i < LOAD_LATENCIES; i++) {
        total += load_latency[i];
    }
    want = (uint64_t) ((double) total * share);
    for (seen = 0, i = 0; i < LOAD_LATENCIES; i++) {
        seen += load_latency[i];
        if (seen > want) {
            return (double) ((64ULL + i % 64) << (i / 64)) / 1000;
        }
    }
    return (double) load_latency_max / 1000;
}


/* ---- connections */

static void
load_close(load_conn_t *c, uint64_t at)
{
    close(c->fd);
    c->fd = -1;
    c->state = LOAD_CLOSED;
    c->used = 0;
    c->at = at;
}


static void
load_put_idle(load_conn_t *c)
{
    c->state = LOAD_IDLE;
    if (!c->queued) {
        c->queued = 1;
        load_idle[(load_idle_head + load_nidle++) % load_option.conns] =
            (unsigned) (c - load_conns);
    }
}


/* The connection that has been idle longest, or NULL. */
static load_conn_t *
load_get_idle(void)
{
    load_conn_t  *c;

    while (load_nidle) {
        c = &load_conns[load_idle[load_idle_head]];
        load_idle_head = (load_idle_head + 1) % load_option.conns;
        load_nidle--;
        c->queued = 0;
        if (c->state == LOAD_IDLE) {
            return c;
        }
    }
    return NULL;
}


static void
load_connect(load_conn_t *c)
{
    struct epoll_event  event;
    int                 one = 1;

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        load_die("socket");
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));

    if (connect(c->fd, (struct sockaddr *) &load_option.addr,
                sizeof(load_option.addr)) != 0 && errno != EINPROGRESS)
    {
        load_close(c, load_now() + LOAD_RECONNECT);
        return;
    }

    event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    event.data.ptr = c;
    if (epoll_ctl(load_epoll, EPOLL_CTL_ADD, c->fd, &event) != 0) {
        load_die("epoll_ctl");
    }
    c->state = LOAD_CONNECTING;
    c->at = load_now() + (uint64_t) (load_option.timeout * 1e9);
}


/* The hit on its way has its outcome; the connection may live on or not. */
static void
load_outcome(load_conn_t *c, int lives)
{
    uint64_t  now = load_now();
    int       again = c->status != 0;   /* connect again at once */

    if (c->status >= 200 && c->status < 300) {
        load_ok++;
        load_note(c, 'O', '+');
        load_latency_add(now > c->due ? now - c->due : 0);
    } else if (c->status) {
        load_refused++;
        load_note(c, 'O', '-');
    } else {
        load_unknown++;
        load_note(c, 'O', '?');
        if (c->used && !c->got) {
            load_retried++;
            again = 1;
        }
    }

    c->n++;
    load_busy--;
    if (lives) {
        c->used++;
        if (load_option.keep && c->used >= load_option.keep) {
            load_close(c, now);
        } else {
            load_put_idle(c);
        }
    } else {
        load_close(c, again ? now : now + LOAD_RECONNECT);
    }
}


static void
load_lost(load_conn_t *c)
{
    if (c->state == LOAD_BUSY) {
        load_outcome(c, 0);
    } else {
        load_reconnects += c->state == LOAD_IDLE;
        load_close(c, load_now()
                      + (c->state == LOAD_IDLE ? 0 : LOAD_RECONNECT));
    }
}


/* ---- requests */

static void
load_compose(load_conn_t *c)
{
    static const char  alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    static char        padding[LOAD_PADDING + 1], plain[LOAD_PADDING + 256];
    char               site[80];
    unsigned           i, len;
    int                n, post;

    len = load_option.padding
          ? (unsigned) (load_random() % (load_option.padding + 1)) : 0;
    for (i = 0; i < len; i++) {
        padding[i] = alphabet[load_random() >> 58];
    }
    padding[len] = '\0';

    if (load_option.sites > 1) {
        snprintf(site, sizeof(site), "%s%u", load_option.site,
                 (unsigned) ((c->client + c->n) % load_option.sites));
    } else {
        snprintf(site, sizeof(site), "%s", load_option.site);
    }

    n = snprintf(plain, sizeof(plain), "%s:%u:%llu:%s", site, c->client,
                 (unsigned long long) c->n, padding);
    c->hash = load_crc(0, plain, (size_t) n);

    post = strcmp(load_option.method, "POST") == 0;
    n = snprintf(plain, sizeof(plain), "site=%s&c=%u&n=%llu&p=%s&h=%08x", site,
                 c->client, (unsigned long long) c->n, padding, c->hash);
    c->len = (size_t) snprintf(c->request, LOAD_PADDING + 8192,
        "%s %s?%s%s HTTP/1.1\r\nHost: %s\r\n%s", load_option.method,
        load_option.path, post ? "site=" : plain, post ? site : "",
        load_option.host, load_option.headers);
    if (post) {
        c->len += (size_t) snprintf(c->request + c->len, 256,
            "Content-Type: application/x-www-form-urlencoded\r\n"
            "Content-Length: %d\r\n", n);
    }
    memcpy(c->request + c->len, "\r\n", 2);
    c->len += 2;
    if (post) {
        memcpy(c->request + c->len, plain, (size_t) n);
        c->len += (size_t) n;
    }
}


static void
load_begin(load_conn_t *c, uint64_t due)
{
    c->due = due;
    c->at = load_now() + (uint64_t) (load_option.timeout * 1e9);
    c->sent = 0;
    c->got = 0;
    c->status = 0;
    c->state = LOAD_BUSY;
    load_compose(c);
    load_note(c, 'I', 0);
    load_sent++;
    load_busy++;
}


static void
load_write(load_conn_t *c)
{
    ssize_t  n;

    while (c->sent < c->len) {
        n = send(c->fd, c->request + c->sent, c->len - c->sent, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno != EAGAIN) {
                load_lost(c);
            }
            return;
        }
        c->sent += (size_t) n;
    }
}


/* 1: a whole answer stands in response; -1: not HTTP that we understand. */
static int
load_parse(load_conn_t *c)
{
    char    *end, *line;
    size_t   body;

    c->response[c->got] = '\0';
    if (c->status == 0 && c->got >= 13) {
        c->status = (unsigned) strtoul(c->response + 9, NULL, 10);
    }
    end = strstr(c->response, "\r\n\r\n");
    if (end == NULL) {
        return c->got < LOAD_RESPONSE - 1 ? 0 : -1;
    }
    line = strcasestr(c->response, "\r\nContent-Length:");
    body = line != NULL && line < end ? strtoul(line + 17, NULL, 10) : 0;
    if (strcmp(load_option.method, "HEAD") == 0) {
        body = 0;
    }
    if (body >= LOAD_RESPONSE) {
        return -1;
    }
    return c->got >= (size_t) (end + 4 - c->response) + body;
}


static void
load_read(load_conn_t *c)
{
    ssize_t  n;
    int      rc;
    char    *line;

    for ( ;; ) {
        n = recv(c->fd, c->response + c->got, LOAD_RESPONSE - 1 - c->got, 0);
        if (n < 0 && errno == EAGAIN) {
            return;
        }
        if (n <= 0 || c->state != LOAD_BUSY) {
            load_lost(c);
            return;
        }
        c->got += (size_t) n;
        rc = load_parse(c);
        if (rc != 0) {
            line = strcasestr(c->response, "\r\nConnection: close");
            load_outcome(c, rc == 1 && line == NULL);
            if (c->state == LOAD_CLOSED) {
                return;
            }
            c->got = 0;
        }
    }
}


static void
load_event(load_conn_t *c, uint32_t events)
{
    int        error = 0;
    socklen_t  len = sizeof(error);

    if (c->state == LOAD_CLOSED) {
        return;
    }
    if (c->state == LOAD_CONNECTING) {
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
        if (error != 0) {
            load_lost(c);
        } else if (events & EPOLLOUT) {
            c->got = 0;
            load_put_idle(c);
        }
        return;
    }
    if ((events & EPOLLOUT) && c->state == LOAD_BUSY) {
        load_write(c);
    }
    if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        && c->state != LOAD_CLOSED)
    {
        load_read(c);
    }
}


/* ---- the loop */

/* When the k-th hit is due. */
static uint64_t
load_due(uint64_t k)
{
    return load_start + (uint64_t) ((double) k * 1e9 / load_option.rate);
}


static int
load_may_send(uint64_t now)
{
    return !load_stop
           && (!load_option.count || load_sent < load_option.count)
           && (load_option.seconds <= 0
               || now < load_start + (uint64_t) (load_option.seconds * 1e9));
}


/* Gives due hits to idle connections: all intents first, in one write. */
static void
load_dispatch(void)
{
    static load_conn_t  *begun[LOAD_RECORDS];
    load_conn_t         *c;
    uint64_t             now, due;
    unsigned             i, n;

    now = load_now();
    for (n = 0; n < LOAD_RECORDS && load_may_send(now); n++) {
        due = load_option.rate > 0 ? load_due(load_sent) : now;
        if (due > now || (c = load_get_idle()) == NULL) {
            break;
        }
        load_begin(c, due);
        begun[n] = c;
    }
    load_journal_flush();
    for (i = 0; i < n; i++) {
        load_write(begun[i]);
    }
}


/* Reconnects and times out. */
static void
load_housekeeping(uint64_t now)
{
    load_conn_t  *c;

    for (c = load_conns; c < load_conns + load_option.conns; c++) {
        if (c->state == LOAD_CLOSED && c->at <= now && load_may_send(now)) {
            load_connect(c);
        } else if ((c->state == LOAD_BUSY || c->state == LOAD_CONNECTING)
                   && c->at <= now)
        {
            c->used = 0;                /* a time-out is never retried */
            load_lost(c);
        }
    }
}


/* Waits for events, or until the next hit is due; 2 ms at most. */
static int
load_wait(struct epoll_event *events, int nevents)
{
    struct timespec  ts = { 0, 2000000 };
    uint64_t         now, due;

    if (load_option.rate > 0 && load_nidle) {
        now = load_now();
        due = load_due(load_sent);
        due = due > now ? due - now : 0;
        ts.tv_nsec = (long) (due < 2000000 ? due : 2000000);
    }
    return epoll_pwait2(load_epoll, events, nevents, &ts, NULL);
}


static void
load_run(void)
{
    static struct epoll_event  events[1024];
    uint64_t                   now, kept;
    int                        i, n;

    load_start = kept = load_now();
    load_housekeeping(load_start);
    while (load_busy || load_may_send(load_now())) {
        n = load_wait(events, 1024);
        for (i = 0; i < n; i++) {
            load_event(events[i].data.ptr, events[i].events);
        }
        now = load_now();
        if (now - kept > 1000000) {
            load_housekeeping(now);
            kept = now;
        }
        load_dispatch();
    }
    load_journal_flush();
}


static void
load_report(void)
{
    double  seconds = (double) (load_now() - load_start) / 1e9;

    printf("{\"seconds\":%.3f,\"sent\":%llu,\"ok\":%llu,\"refused\":%llu,"
           "\"unknown\":%llu,\"retried\":%llu,\"failed\":%llu,"
           "\"idle_closed\":%llu,\"rate\":%.0f,\"p50_us\":%.1f,"
           "\"p90_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,"
           "\"max_us\":%.1f}\n", seconds,
           (unsigned long long) load_sent, (unsigned long long) load_ok,
           (unsigned long long) load_refused,
           (unsigned long long) load_unknown,
           (unsigned long long) load_retried,
           (unsigned long long) (load_refused + load_unknown - load_retried),
           (unsigned long long) load_reconnects,
           seconds > 0 ? (double) load_ok / seconds : 0,
           load_percentile(0.5), load_percentile(0.9), load_percentile(0.99),
           load_percentile(0.999), (double) load_latency_max / 1000);
}


static void
load_usage(void)
{
    fputs("load -p PORT [-c CONNECTIONS] [-n COUNT] [-t SECONDS] [-r RATE]\n"
          "     [-j JOURNAL] [-f FIRST_CLIENT] [-s SITE] [-S SITES]\n"
          "     [-b MAX_PADDING_BYTES] [-k HITS_A_CONNECTION] [-w TIMEOUT]\n"
          "     [-m GET|HEAD|POST] [-u PATH] [-H HOST] [-x HEADER_LINE]...\n"
          "     [-z SEED] [-B]\n"
          "-r: open loop, hits a second in all; -B: ten browser headers.\n"
          "Prints one JSON object; latencies count from when a hit was due.\n",
          stderr);
    exit(2);
}


static const char *
load_header(const char *before, const char *line, const char *end)
{
    char  *joined;

    if (asprintf(&joined, "%s%s%s", before, line, end) < 0) {
        load_die("memory");
    }
    return joined;
}


static const char  load_browser[] =
    "Connection: keep-alive\r\n"
    "sec-ch-ua: \"Chromium\";v=\"130\", \"Not?A_Brand\";v=\"99\"\r\n"
    "sec-ch-ua-mobile: ?0\r\n"
    "sec-ch-ua-platform: \"Linux\"\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 "
    "(KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36\r\n"
    "Accept: image/avif,image/webp,image/apng,image/svg+xml,image/*\r\n"
    "Sec-Fetch-Site: cross-site\r\n"
    "Referer: https://shop.example/c/165/phones.html\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Accept-Language: en-GB,en;q=0.9,el;q=0.8\r\n";


static void
load_options(int argc, char **argv)
{
    int       opt;
    unsigned  port = 0;

    while ((opt = getopt(argc, argv, "p:c:n:t:r:j:f:s:S:b:k:w:m:u:H:x:z:B"))
           != -1)
    {
        switch (opt) {
        case 'p': port = (unsigned) atoi(optarg); break;
        case 'c': load_option.conns = (unsigned) atoi(optarg); break;
        case 'n': load_option.count = strtoull(optarg, NULL, 10); break;
        case 't': load_option.seconds = atof(optarg); break;
        case 'r': load_option.rate = atof(optarg); break;
        case 'f': load_option.first = (unsigned) atoi(optarg); break;
        case 's': load_option.site = optarg; break;
        case 'S': load_option.sites = (unsigned) atoi(optarg); break;
        case 'b': load_option.padding = (unsigned) atoi(optarg); break;
        case 'k': load_option.keep = (unsigned) atoi(optarg); break;
        case 'w': load_option.timeout = atof(optarg); break;
        case 'm': load_option.method = optarg; break;
        case 'u': load_option.path = optarg; break;
        case 'H': load_option.host = optarg; break;
        case 'z': load_option.seed = strtoull(optarg, NULL, 10) * 2 + 1; break;
        case 'x':
            load_option.headers = load_header(load_option.headers, optarg,
                                              "\r\n");
            break;
        case 'B':
            load_option.headers = load_header(load_option.headers,
                                              load_browser, "");
            break;
        case 'j':
            load_journal = open(optarg, O_WRONLY | O_CREAT | O_APPEND, 0644);
            if (load_journal < 0) {
                load_die(optarg);
            }
            break;
        default:
            load_usage();
        }
    }

    if (!port || port > 65535 || !load_option.conns
        || load_option.padding > LOAD_PADDING
        || strlen(load_option.headers) > 4096)
    {
        load_usage();
    }
    load_option.addr.sin_family = AF_INET;
    load_option.addr.sin_port = htons((uint16_t) port);
    load_option.addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
}


static void
load_on_signal(int signum)
{
    (void) signum;
    load_stop = 1;
}


int
main(int argc, char **argv)
{
    unsigned  i;

    load_options(argc, argv);
    load_crc_init();
    signal(SIGTERM, load_on_signal);
    signal(SIGINT, load_on_signal);

    load_conns = calloc(load_option.conns, sizeof(load_conn_t));
    load_idle = calloc(load_option.conns, sizeof(unsigned));
    load_epoll = epoll_create1(EPOLL_CLOEXEC);
    if (load_conns == NULL || load_idle == NULL || load_epoll < 0) {
        load_die("memory");
    }
    for (i = 0; i < load_option.conns; i++) {
        load_conns[i].fd = -1;
        load_conns[i].client = load_option.first + i;
        load_conns[i].request = malloc(LOAD_PADDING + 8192 + 1024);
        if (load_conns[i].request == NULL) {
            load_die("memory");
        }
    }

    load_run();
    load_report();
    return 0;
}
