#include "beacond_tail.h"
#include "beacon_endpoint.h"
#include "beacon_json.h"
#include "beacon_random.h"
#include "beacon_spy.h"
#include "beacond_clock.h"
#include "beacond_gaps.h"
#include "beacond_tail_print.h"
#include "beacond_zmq.h"

#include <zmq.h>

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define BEACOND_TAIL_MARK     20000     /* messages that may wait */
#define BEACOND_TAIL_SITES    65536     /* whose gaps are counted */
#define BEACOND_TAIL_FILTERS  16
#define BEACOND_TAIL_TURN     1000      /* ms */
#define BEACOND_TAIL_FRAMES   3

typedef enum {
    BEACOND_TAIL_PEOPLE,
    BEACOND_TAIL_JSON,
    BEACOND_TAIL_SHORT
} beacond_tail_form_e;

typedef struct {
    beacond_tail_form_e   form;
    const char           *endpoint;
    const char           *curve;
    char                **sites;        /* of argv, room for all of them */
    unsigned              nsites;
    beacon_str_t          names[BEACOND_TAIL_FILTERS];
    beacon_str_t          values[BEACOND_TAIL_FILTERS];
    unsigned              nfilters;

    beacond_zmq_t        *zmq;
    void                 *socket;
    beacond_zmq_watch_t   watch;
    bool                  told;         /* that nobody is there */
    uint64_t              bad;          /* messages, not told yet */
    uint64_t              bad_ns;
    beacon_json_t         json;
    beacond_gaps_t        gaps;
    uint8_t              *text;         /* of a short form */
} beacond_tail_t;

static volatile sig_atomic_t  beacond_tail_ended;

static void
beacond_tail_end(int signum)
{
    (void) signum;
    beacond_tail_ended = 1;
}

/* Options. */

static int
beacond_tail_usage(const char *why)
{
    fprintf(stderr, "%sUsage: beacond tail [--site SITE]... [--filter "
            "NAME=VALUE]... [--json|--short]\n"
            "                    [--curve FILE] ENDPOINT\n", why);
    return 2;
}

static bool
beacond_tail_filter(beacond_tail_t *tail, const char *text)
{
    const char    *equals = strchr(text, '=');
    unsigned       n = tail->nfilters;

    if (equals == NULL || equals == text || n == BEACOND_TAIL_FILTERS) {
        return false;
    }

    tail->names[n].data = (const uint8_t *) text;
    tail->names[n].len = (size_t) (equals - text);
    tail->values[n].data = (const uint8_t *) equals + 1;
    tail->values[n].len = strlen(equals + 1);
    tail->nfilters++;

    return true;
}

static bool
beacond_tail_option(beacond_tail_t *tail, int c)
{
    switch (c) {

    case 's':
        tail->sites[tail->nsites++] = optarg;
        return beacon_site_valid((const uint8_t *) optarg, strlen(optarg));

    case 'f':
        return beacond_tail_filter(tail, optarg);

    case 'j':
        tail->form = BEACOND_TAIL_JSON;
        return true;

    case 'b':
        tail->form = BEACOND_TAIL_SHORT;
        return true;

    case 'c':
        tail->curve = optarg;
        return true;

    default:
        return false;
    }
}

static int
beacond_tail_options(beacond_tail_t *tail, int argc, char *argv[])
{
    int                c;
    beacon_str_t       text;
    beacon_err_t       err;
    beacon_endpoint_t  endpoint;

    static const struct option  options[] = {
        { "site", required_argument, NULL, 's' },
        { "filter", required_argument, NULL, 'f' },
        { "json", no_argument, NULL, 'j' },
        { "short", no_argument, NULL, 'b' },
        { "curve", required_argument, NULL, 'c' },
        { NULL, 0, NULL, 0 }
    };

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (!beacond_tail_option(tail, c)) {
            return beacond_tail_usage(
                c == 's' ? "tail: --site wants a site's name\n" : c == 'f'
                ? "tail: --filter wants NAME=VALUE, 16 at most\n" : "");
        }
    }

    if (optind + 1 != argc) {
        return beacond_tail_usage("tail: one ENDPOINT must be given\n");
    }

    tail->endpoint = argv[optind];
    text.data = (const uint8_t *) tail->endpoint;
    text.len = strlen(tail->endpoint);

    if (beacon_endpoint_parse(text, 0, &endpoint, &err) != BEACON_OK) {
        fprintf(stderr, "beacond: endpoint \"%s\": %s\n", tail->endpoint,
                err.text);
        return 2;
    }

    return 0;
}

/* Start. */

static void
beacond_tail_say(void *data, const char *at, const char *text)
{
    (void) data;
    fprintf(stderr, "beacond: %s%s%s\n", text, at[0] != '\0' ? " in " : "",
            at);
}

static bool
beacond_tail_subscribe(beacond_tail_t *tail, const char *kind,
    const char *site)
{
    char  topic[BEACON_SPY_TOPIC + 1];

    snprintf(topic, sizeof(topic), "%s/%s%s", kind, site,
             site[0] != '\0' ? "/" : "");

    return zmq_setsockopt(tail->socket, ZMQ_SUBSCRIBE, topic, strlen(topic))
           == 0;
}

static beacon_rc_t
beacond_tail_connect(beacond_tail_t *tail, beacond_curve_t *curve,
    beacon_err_t *err)
{
    bool      good = true;
    unsigned  i = 0;

    tail->zmq = beacond_zmq_create(curve, err);

    if (tail->zmq == NULL) {
        beacond_curve_destroy(curve);
        return BEACON_SYS;
    }

    tail->socket = beacond_zmq_socket(tail->zmq, ZMQ_SUB, BEACOND_TAIL_MARK,
                                      BEACON_SPY_MAX, err);
    if (tail->socket == NULL) {
        return BEACON_SYS;
    }

    do {
        good &= beacond_tail_subscribe(tail, "hit",
                                       tail->nsites ? tail->sites[i] : "")
                && beacond_tail_subscribe(tail, "stat",
                                          tail->nsites ? tail->sites[i] : "");
    } while (++i < tail->nsites);

    if (!good || beacond_zmq_watch(tail->zmq, tail->socket, &tail->watch)
                 != BEACON_OK)
    {
        beacon_err(err, "cannot subscribe: %s", zmq_strerror(errno));
        return BEACON_SYS;
    }

    return beacond_zmq_connect(tail->zmq, tail->socket, tail->endpoint, err);
}

static beacon_rc_t
beacond_tail_start(beacond_tail_t *tail, beacon_err_t *err)
{
    uint8_t                key[16];
    beacond_curve_t       *curve = NULL;
    beacon_random_t        random;
    beacond_conf_check_t   check = { beacond_tail_say, NULL, "", false };

    beacon_err(err, "out of memory, or of random bytes");

    if (beacon_random_seed(&random) != BEACON_OK) {
        return BEACON_SYS;
    }

    beacon_random_bytes(&random, key, sizeof(key));
    beacon_json_init(&tail->json, key[0]);
    tail->text = malloc(BEACON_SHORT_ROOM(BEACON_SPY_MAX, BEACON_SPY_MAX));

    if (tail->text == NULL
        || beacond_gaps_init(&tail->gaps, BEACOND_TAIL_SITES, key)
           != BEACON_OK)
    {
        return BEACON_SYS;
    }

    if (tail->curve != NULL) {
        curve = beacond_curve_create(&check, tail->curve, false, true);

        if (curve == NULL) {
            beacon_err(err, "\"%.100s\" cannot be used", tail->curve);
            return BEACON_INVALID;
        }
    }

    return beacond_tail_connect(tail, curve, err);
}

/* Messages. */

/* Where what is no hit is told: people read it, programs do not. */
static FILE *
beacond_tail_aside(const beacond_tail_t *tail)
{
    return tail->form == BEACOND_TAIL_PEOPLE ? stdout : stderr;
}

static void
beacond_tail_gap(const beacond_tail_t *tail, const beacon_spy_head_t *head,
    uint64_t missing)
{
    FILE  *file = beacond_tail_aside(tail);

    fprintf(file, "-- missed %" PRIu64 " hit%s of %.*s from ", missing,
            missing == 1 ? "" : "s", (int) head->site.len,
            (const char *) head->site.data);
    beacond_print(file, head->edge.data, head->edge.len);
    fputs(" --\n", file);
}

static void
beacond_tail_print(beacond_tail_t *tail, beacon_str_t line,
    const beacon_line_parts_t *parts, beacon_str_t visitor)
{
    size_t              n;
    beacon_line_view_t  view;

    switch (tail->form) {

    case BEACOND_TAIL_PEOPLE:
        beacond_print_hit(stdout, parts, visitor);
        return;

    case BEACOND_TAIL_JSON:
        beacond_print_json(stdout, line.data, line.len);
        break;

    case BEACOND_TAIL_SHORT:
        beacon_line_view(parts, &view);
        n = beacon_line_short(parts, &view, visitor, tail->text);
        beacond_print_json(stdout, tail->text, n);
        break;
    }

    putchar('\n');
}

static bool
beacond_tail_same(beacon_str_t a, beacon_str_t b)
{
    return a.len == b.len && (a.len == 0
                              || memcmp(a.data, b.data, a.len) == 0);
}

/* A hit's line, as its head says: strangers may have made both. */
static bool
beacond_tail_hit(beacond_tail_t *tail, const beacon_spy_head_t *head,
    beacon_str_t line)
{
    unsigned             i;
    beacon_line_parts_t  parts;

    if (beacon_json_check(&tail->json, line) != BEACON_OK
        || beacon_line_parts(line, &parts) != BEACON_OK
        || !beacond_tail_same(parts.site, head->site)
        || !beacond_tail_same(parts.edge, head->edge))
    {
        return false;
    }

    for (i = 0; i < tail->nfilters; i++) {
        if (!beacon_line_arg_is(&parts, line, tail->names[i],
                                tail->values[i]))
        {
            return true;
        }
    }

    beacond_tail_print(tail, line, &parts, head->visitor);

    return true;
}

static void
beacond_tail_message(beacond_tail_t *tail, const beacon_str_t *frames, int n)
{
    bool               good;
    uint64_t           missing;
    beacon_spy_head_t  head;

    good = n >= 2 && beacon_spy_parse(frames[0], frames[1], &head)
                     == BEACON_OK && n == (head.stat ? 2 : 3);

    if (good) {
        missing = beacond_gaps_see(&tail->gaps, &head);

        if (missing > 0) {
            beacond_tail_gap(tail, &head, missing);
        }

        good = head.stat || beacond_tail_hit(tail, &head, frames[2]);
    }

    tail->bad += !good;
}

/* One message, if there is one.  Frames too many are none of ours. */
static bool
beacond_tail_receive(beacond_tail_t *tail)
{
    int           i, n, more = 1;
    zmq_msg_t     messages[BEACOND_TAIL_FRAMES + 1];
    beacon_str_t  frames[BEACOND_TAIL_FRAMES + 1];

    for (n = 0; more; n++) {
        i = n < BEACOND_TAIL_FRAMES ? n : BEACOND_TAIL_FRAMES;

        if (n > BEACOND_TAIL_FRAMES) {
            zmq_msg_close(&messages[i]);
        }

        zmq_msg_init(&messages[i]);

        if (zmq_msg_recv(&messages[i], tail->socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&messages[i]);
            break;
        }

        frames[i].data = zmq_msg_data(&messages[i]);
        frames[i].len = zmq_msg_size(&messages[i]);
        more = zmq_msg_more(&messages[i]);
    }

    if (n > 0) {
        beacond_tail_message(tail, frames, n);
    }

    for (i = 0; i < n && i <= BEACOND_TAIL_FRAMES; i++) {
        zmq_msg_close(&messages[i]);
    }

    return n > 0;
}

/* At most once a second. */
static void
beacond_tail_tell(beacond_tail_t *tail, bool idle)
{
    uint64_t  now = beacond_clock_ns();

    if (tail->bad > 0
        && now - tail->bad_ns >= BEACOND_TAIL_TURN * BEACOND_MS)
    {
        fprintf(beacond_tail_aside(tail), "-- %" PRIu64 " messages are no "
                "hits --\n", tail->bad);
        tail->bad = 0;
        tail->bad_ns = now;
    }

    if (beacond_zmq_count(&tail->watch) > 0) {
        tail->told = false;

    } else if (idle && !tail->told) {
        beacond_print_nobody(stderr, tail->endpoint);
        tail->told = true;
    }
}

static void
beacond_tail_run(beacond_tail_t *tail)
{
    int             n;
    zmq_pollitem_t  item = { tail->socket, 0, ZMQ_POLLIN, 0 };

    while (!beacond_tail_ended && !ferror(stdout)) {
        n = zmq_poll(&item, 1, BEACOND_TAIL_TURN);

        while (n > 0 && !beacond_tail_ended && !ferror(stdout)
               && beacond_tail_receive(tail))
        {
            /* what there is goes out at once */
        }

        beacond_tail_tell(tail, n == 0);
        fflush(stdout);
    }
}

static void
beacond_tail_finish(beacond_tail_t *tail)
{
    beacond_zmq_unwatch(tail->socket, &tail->watch);
    beacond_zmq_close(tail->socket);
    beacond_zmq_destroy(tail->zmq);
    beacond_gaps_dispose(&tail->gaps);
    beacon_json_dispose(&tail->json);
    free(tail->text);
    free(tail->sites);
}

int
beacond_tail(int argc, char *argv[])
{
    int               rc;
    beacon_err_t      err;
    beacond_tail_t    tail;
    struct sigaction  action;

    memset(&tail, 0, sizeof(tail));
    tail.sites = calloc((size_t) argc, sizeof(char *));

    if (tail.sites == NULL) {
        return 2;
    }

    rc = beacond_tail_options(&tail, argc, argv);

    if (rc != 0) {
        free(tail.sites);
        return rc;
    }

    memset(&action, 0, sizeof(action));
    action.sa_handler = beacond_tail_end;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN);

    if (beacond_tail_start(&tail, &err) == BEACON_OK) {
        beacond_tail_run(&tail);

    } else {
        fprintf(stderr, "beacond: %s\n", err.text);
        rc = 2;
    }

    beacond_tail_finish(&tail);

    return rc;
}
