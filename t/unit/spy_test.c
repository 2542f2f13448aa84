#include "beacon_spy.h"
#include "tap.h"

#include <string.h>

static beacon_spy_head_t  head;

static beacon_str_t
str(const char *text)
{
    return (beacon_str_t) { strlen(text), (const uint8_t *) text };
}

static int
is(beacon_str_t s, const char *text)
{
    return s.len == strlen(text) && memcmp(s.data, text, s.len) == 0;
}

static int
taken(const char *topic, const char *text)
{
    return beacon_spy_parse(str(topic), str(text), &head) == BEACON_OK;
}

#define FEED  "5f0c9d2e81b7a346"
#define HEAD  "web7 " FEED " 17"

static void
test_make(void)
{
    uint8_t            topic[BEACON_SPY_TOPIC], text[BEACON_SPY_HEAD];
    uint8_t            edge[BEACON_SPY_EDGE];
    size_t             n;
    beacon_spy_head_t  made = { 0, str("shop"), str("web7"),
                                0x5f0c9d2e81b7a346, 17, str("") };

    n = beacon_spy_topic(0, made.site, topic);
    ok(is((beacon_str_t) { n, topic }, "hit/shop/"), "a hit's topic");
    n = beacon_spy_topic(1, made.site, topic);
    ok(is((beacon_str_t) { n, topic }, "stat/shop/"), "a heartbeat's");
    n = beacon_spy_head(&made, text);
    ok(is((beacon_str_t) { n, text }, HEAD " "), "a hit's second frame");
    made.stat = 1;
    n = beacon_spy_head(&made, text);
    ok(is((beacon_str_t) { n, text }, HEAD), "a heartbeat's");

    memset(edge, 'e', sizeof(edge));
    made.stat = 0;
    made.edge = (beacon_str_t) { sizeof(edge), edge };
    made.seq = UINT64_MAX;
    made.feed = 0;
    n = beacon_spy_head(&made, text);
    ok(n == sizeof(text) && memcmp(text + sizeof(edge),
       " 0000000000000000 18446744073709551615 ", 39) == 0,
       "the longest fills its room");
}

int
main(void)
{
    char  site[80] = "hit/";

    test_make();

    ok(taken("hit/shop/", HEAD " 8f1c") && !head.stat
       && is(head.site, "shop") && is(head.edge, "web7")
       && head.feed == 0x5f0c9d2e81b7a346 && head.seq == 17
       && is(head.visitor, "8f1c"), "a hit's frames are read");
    ok(taken("stat/shop/", HEAD) && head.stat && is(head.site, "shop")
       && is(head.edge, "web7") && head.seq == 17, "a heartbeat's, too");
    ok(taken("hit/shop/", HEAD " J\\\"o  \\\\ e") && is(head.visitor,
       "J\\\"o  \\\\ e"), "a visitor may hold spaces and escapes");
    ok(taken("hit/shop/", " " FEED " 1 v") && head.edge.len == 0,
       "an edge that nobody knows is empty");
    ok(taken("hit/shop/", "e " FEED " 999999999999999999 v")
       && head.seq == 999999999999999999, "a number has 18 digits at most");

    ok(!taken("", HEAD " v") && !taken("hit/", HEAD " v")
       && !taken("hit//", HEAD " v") && !taken("hit/shop", HEAD " v")
       && !taken("hit/.shop/", HEAD " v") && !taken("hit/a/b/", HEAD " v")
       && !taken("hit/sh op/", HEAD " v") && !taken("stat/", HEAD)
       && !taken("stat//", HEAD) && !taken("shop/", HEAD " v")
       && !taken("hot/shop/", HEAD " v"), "other topics are not taken");
    memset(site + 4, 's', 65);
    strcpy(site + 4 + 65, "/");
    ok(!taken(site, HEAD " v"), "nor is a site of 65 bytes");
    ok(!taken("hit/shop/", "") && !taken("hit/shop/", "web7")
       && !taken("hit/shop/", "web7 " FEED) && !taken("hit/shop/", HEAD)
       && !taken("hit/shop/", HEAD " "), "a hit wants all of its words");
    ok(!taken("stat/shop/", HEAD " ") && !taken("stat/shop/", HEAD " v"),
       "a heartbeat has no more");
    ok(!taken("hit/shop/", "web7 5F0C9D2E81B7A346 1 v")
       && !taken("hit/shop/", "web7 5f0c 1 v")
       && !taken("hit/shop/", "web7 " FEED "0 1 v"), "a feed has 16 digits");
    ok(!taken("hit/shop/", "web7 " FEED " 0 v")
       && !taken("hit/shop/", "web7 " FEED " 01 v")
       && !taken("hit/shop/", "web7 " FEED " -1 v")
       && !taken("hit/shop/", "web7 " FEED " 1e3 v")
       && !taken("hit/shop/", "web7 " FEED " 1000000000000000000 v")
       && !taken("hit/shop/", "web7 " FEED "  v"), "a number is one");
    ok(!taken("hit/shop/", "we\"b7 " FEED " 1 v")
       && !taken("hit/shop/", "we\nb7 " FEED " 1 v"), "an edge is one");
    ok(!taken("hit/shop/", HEAD " a\"b") && !taken("hit/shop/", HEAD " a\nb")
       && !taken("hit/shop/", HEAD " a\\"), "a visitor can stand in JSON");

    return done_testing();
}
