/*
 * Fills a ring's lanes with hits, as so many workers would: what the helper's
 * rows of the benchmark drain.
 *
 *     fill [-l lanes] [-s lane_size] [-n hits] [-r hits/s] [-b file] [-w] [-d]
 *          DIR
 *
 * Makes a ring in DIR, claims every lane of it and commits the hits in turn.
 * It prints the epoch first, at the end the hits and their bytes.  -b:
 * begins once there is such a file.  -w: where there is no room, wait for the
 * helper (else stop there).  -d: then wait until all lanes are drained.
 *
 * 4,096 different hits, made from a fixed seed like those that COSTS of
 * rendering are measured with: ten arguments, twenty %XX in six runs, about
 * 550 bytes of strings.
 */

#include "beacon_hit.h"
#include "beacon_ring.h"
#include "beacon_schema.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FILL_HITS   4096
#define FILL_BYTES  1024

typedef struct {
    size_t   len;
    uint8_t  payload[FILL_BYTES];
} fill_hit_t;

static struct {
    unsigned     lanes;
    uint64_t     lane_size;
    uint64_t     hits;
    double       rate;          /* a second; 0: as fast as it goes */
    int          wait;
    int          drain;
    const char  *begin;
    const char  *dir;
} fill_option = { 8, 128 * 1024 * 1024, 1000000, 0, 0, 0, NULL, NULL };

static fill_hit_t  fill_hits[FILL_HITS];
static uint64_t    fill_seed = 0x9e3779b97f4a7c15ULL;

static void
fill_die(const char *what, const char *why)
{
    fprintf(stderr, "fill: %s: %s\n", what, why);
    exit(1);
}

static uint64_t
fill_now(clockid_t clock)
{
    struct timespec  ts;

    clock_gettime(clock, &ts);
    return (uint64_t) ts.tv_sec * 1000000000ULL + (uint64_t) ts.tv_nsec;
}

static void
fill_nap(void)
{
    nanosleep(&(struct timespec) { 0, 200000 }, NULL);
}

static unsigned
fill_random(unsigned below)
{
    fill_seed ^= fill_seed >> 12;
    fill_seed ^= fill_seed << 25;
    fill_seed ^= fill_seed >> 27;

    return (unsigned) ((fill_seed * 0x2545f4914f6cdd1dULL >> 33) % below);
}

static const char *
fill_word(void)
{
    static const char *const  words[] = {
        "phones", "mobile", "news", "sport", "tennis", "culture", "a-long-read",
        "camera", "summer", "offers", "garden", "music", "travel", "books",
        "kitchen", "bicycles"
    };

    return words[fill_random(sizeof(words) / sizeof(words[0]))];
}

static beacon_str_t
fill_str(const char *text)
{
    return (beacon_str_t) { strlen(text), (const uint8_t *) text };
}

static void
fill_make(fill_hit_t *made)
{
    char          query[512], referer[96], visitor[33];
    beacon_hit_t  hit;

    snprintf(visitor, sizeof(visitor), "%08x%08x%08x%08x", fill_random(~0u),
             fill_random(~0u), fill_random(~0u), fill_random(~0u));
    snprintf(referer, sizeof(referer), "https://shop.example/c/%u/%s-%s",
             fill_random(1000), fill_word(), fill_word());
    snprintf(query, sizeof(query),
             "e=pageview&url=https%%3A%%2F%%2Fshop.example%%2Fc%%2F%u%%2F%s-%s"
             "&title=%%CE%%9A%%CE%%B9%%CE%%BD%%CE%%B7%%CF%%84%%CE%%AC+%s+%s"
             "-and-%s+at+the+best+%s"
             "&ref=https://news.example.org/%s-about-%s-and-phones"
             "&r=1920x1080&lang=el-GR&vid=%s&t=%u%u&rnd=0.%u&site=shop",
             fill_random(1000), fill_word(), fill_word(), fill_word(),
             fill_word(), fill_word(), fill_word(), fill_word(), fill_word(),
             visitor,
             1795301 + fill_random(1000), fill_random(1000000),
             fill_random(100000));

    memset(&hit, 0, sizeof(beacon_hit_t));
    hit.method = BEACON_METHOD_GET;
    hit.max_args = 256;
    hit.strings[BEACON_HIT_SITE] = beacon_string("shop");
    hit.strings[BEACON_HIT_VISITOR] = fill_str(visitor);
    hit.strings[BEACON_HIT_IP] = beacon_string("203.0.113.7");
    hit.strings[BEACON_HIT_HOST] = beacon_string("px.example.com");
    hit.strings[BEACON_HIT_PATH] = beacon_string("/px.gif");
    hit.strings[BEACON_HIT_QUERY] = fill_str(query);
    hit.strings[BEACON_HIT_REFERER] = fill_str(referer);
    hit.strings[BEACON_HIT_USER_AGENT] = beacon_string(
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like "
        "Gecko) Chrome/124.0.0.0 Safari/537.36");

    made->len = beacon_hit_size(&hit);

    if (made->len > FILL_BYTES) {
        fill_die("a hit", "larger than FILL_BYTES");
    }

    beacon_hit_write(&hit, made->payload);
}

static uint32_t
fill_schema(void)
{
    beacon_err_t     err;
    beacon_schema_t  schema;

    memset(&schema, 0, sizeof(beacon_schema_t));
    schema.edge = beacon_string("web7");

    if (beacon_schema_publish(fill_option.dir, &schema, (uid_t) -1,
                              (gid_t) -1, &err) != BEACON_OK)
    {
        fill_die("schema", err.text);
    }

    return schema.hash;
}

/* Each lane through an open description of its own, as each worker has. */
static beacon_producer_t *
fill_claim(void)
{
    unsigned                i;
    uint64_t                epoch;
    beacon_err_t            err;
    beacon_ring_t          *ring;
    beacon_producer_t      *producers;
    beacon_ring_geometry_t  geometry = {
        .lane_size = fill_option.lane_size, .lanes = fill_option.lanes,
        .prefix = "fill", .conf = "fill", .uid = (uid_t) -1, .gid = (gid_t) -1
    };

    if (beacon_ring_create(fill_option.dir, &geometry, &epoch, &err)
        != BEACON_OK)
    {
        fill_die("ring", err.text);
    }

    producers = calloc(fill_option.lanes, sizeof(beacon_producer_t));

    for (i = 0; i < fill_option.lanes; i++) {
        if (producers == NULL
            || beacon_ring_attach(fill_option.dir, epoch, 1, &ring, &err)
               != BEACON_OK
            || beacon_lane_claim(ring, &producers[i]) != BEACON_OK)
        {
            fill_die("lane", strerror(errno));
        }
    }

    printf("%016" PRIx64 "\n", epoch);
    fflush(stdout);
    return producers;
}

static uint64_t
fill_push(beacon_producer_t *producers, uint32_t schema, uint64_t *bytes)
{
    uint8_t           *payload;
    uint64_t           n, start;
    const fill_hit_t  *hit;

    start = fill_now(CLOCK_MONOTONIC);

    for (n = 0; n < fill_option.hits; n++) {
        hit = &fill_hits[n % FILL_HITS];

        while (beacon_lane_reserve(&producers[n % fill_option.lanes],
                                   hit->len, &payload) != BEACON_OK)
        {
            if (!fill_option.wait) {
                return n;
            }

            fill_nap();
        }

        memcpy(payload, hit->payload, hit->len);
        beacon_lane_commit(&producers[n % fill_option.lanes],
                           fill_now(CLOCK_REALTIME), schema);
        *bytes += hit->len;

        while (fill_option.rate > 0
               && (double) (fill_now(CLOCK_MONOTONIC) - start) / 1e9
                  * fill_option.rate < (double) n)
        {
            fill_nap();
        }
    }

    return n;
}

static void
fill_drained(const beacon_producer_t *producers)
{
    unsigned         i;
    beacon_cursor_t  tail, reclaimed;

    for (i = 0; i < fill_option.lanes; i++) {
        do {
            fill_nap();
            beacon_lane_tail(producers[i].ring, producers[i].index, &tail);
            beacon_lane_reclaimed(producers[i].ring, producers[i].index,
                                  &reclaimed);
        } while (tail.offset != reclaimed.offset);
    }
}

static void
fill_options(int argc, char **argv)
{
    int  c;

    while ((c = getopt(argc, argv, "l:s:n:r:b:wd")) != -1) {
        switch (c) {
        case 'l':
            fill_option.lanes = (unsigned) strtoul(optarg, NULL, 10);
            break;
        case 's':
            fill_option.lane_size = strtoull(optarg, NULL, 10);
            break;
        case 'n':
            fill_option.hits = strtoull(optarg, NULL, 10);
            break;
        case 'r':
            fill_option.rate = strtod(optarg, NULL);
            break;
        case 'b':
            fill_option.begin = optarg;
            break;
        case 'w':
            fill_option.wait = 1;
            break;
        case 'd':
            fill_option.drain = 1;
            break;
        default:
            exit(1);
        }
    }

    if (optind + 1 != argc) {
        fill_die("usage", "fill [options] DIR");
    }

    fill_option.dir = argv[optind];
}

int
main(int argc, char **argv)
{
    unsigned            i;
    uint32_t            schema;
    uint64_t            n, bytes;
    beacon_producer_t  *producers;

    fill_options(argc, argv);

    for (i = 0; i < FILL_HITS; i++) {
        fill_make(&fill_hits[i]);
    }

    bytes = 0;
    schema = fill_schema();
    producers = fill_claim();

    while (fill_option.begin != NULL && access(fill_option.begin, F_OK) != 0) {
        fill_nap();
    }

    n = fill_push(producers, schema, &bytes);

    if (fill_option.drain) {
        fill_drained(producers);
    }

    printf("%" PRIu64 " %" PRIu64 "\n", n, bytes);
    return 0;
}
