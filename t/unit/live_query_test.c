/* What a request of the live API asks for. */

#include "beacon_live_query.h"
#include "tap.h"

#include <string.h>

static uint8_t  buf[4096];

static const char *
parse(const char *text, unsigned may, beacon_live_query_t *query)
{
    beacon_str_t  str;

    memset(query, 0, sizeof(*query));
    query->limit = 100;
    query->window = 300;

    str.data = (const uint8_t *) text;
    str.len = strlen(text);

    return beacon_live_query(str, may, buf, query);
}

static int
same(beacon_str_t str, const char *text)
{
    return str.len == strlen(text) && memcmp(str.data, text, str.len) == 0;
}

static void
parameters_are_read(void)
{
    beacon_live_query_t  q;

    ok(parse("", 0, &q) == NULL && q.given == 0 && q.limit == 100
       && q.window == 300, "nothing changes nothing");
    ok(parse("&&limit=7&", BEACON_LIVE_LIMIT, &q) == NULL && q.limit == 7
       && q.given == BEACON_LIVE_LIMIT, "empty parts are no parameters");
    ok(parse("%6cimit=%37", BEACON_LIVE_LIMIT, &q) == NULL && q.limit == 7,
       "names and values are decoded");
    ok(parse("limit=99999999999999999999999", BEACON_LIVE_LIMIT, &q) == NULL
       && q.limit == INT32_MAX, "what is too much is very much");
    ok(parse("window=10", BEACON_LIVE_WINDOW, &q) == NULL && q.window == 10
       && parse("window=3600", BEACON_LIVE_WINDOW, &q) == NULL,
       "a window has bounds");
    ok(parse("args.a+b=c%26&args.=x", BEACON_LIVE_FILTER, &q) != NULL
       && q.nfilters == 1 && same(q.filters[0].name, "a b")
       && same(q.filters[0].value, "c&"), "a filter has a name and a value");
    ok(parse("args.a", BEACON_LIVE_FILTER, &q) == NULL
       && same(q.filters[0].value, ""), "an argument without one has none");
    ok(parse("fields=short", BEACON_LIVE_FIELDS, &q) == NULL && q.brief
       && !q.row
       && parse("fields=row", BEACON_LIVE_FIELDS, &q) == NULL && q.row,
       "fields can be short, or a row's");
    ok(parse("id=a%2Fb+c", BEACON_LIVE_ID, &q) == NULL
       && q.given == BEACON_LIVE_ID && same(q.id, "a/b c")
       && parse("id=", BEACON_LIVE_ID, &q) == NULL && same(q.id, "")
       && parse("id=a&id=a", BEACON_LIVE_ID, &q) != NULL
       && parse("id=a", BEACON_LIVE_LIMIT, &q) != NULL, "an id is any text");
}

static void
what_is_wrong_is_told(void)
{
    size_t               i;
    beacon_live_query_t  q;

    static const char *const  wrong[] = {
        "x=1", "limit", "limit=", "limit=-1", "limit=1x", "limit=+1",
        "limit=1&limit=1", "wait=1.5", "window=9", "window=3601", "window=",
        "fields=", "fields=long", "since=a&since=b", "Limit=1", "args=1",
        "%", "=", "limit%00=1"
    };

    for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        ok(parse(wrong[i], 0x3f, &q) != NULL, "\"%s\" is wrong", wrong[i]);
    }

    ok(parse("limit=1", BEACON_LIVE_SINCE, &q) != NULL
       && parse("args.e=1", BEACON_LIVE_SINCE, &q) != NULL,
       "so is what the resource does not know");
}

static void
cursors_are_read_or_not_valid(void)
{
    size_t               i;
    beacon_live_query_t  q;

    static const char *const  none[] = {
        "since=", "since=x", "since=0123456789abcdef",
        "since=0123456789abcdef.", "since=0123456789abcdeg.1",
        "since=0123456789abcdef.1x", "since=0123456789abcdef-1",
        "since=0123456789abcdef.11111111111111111", "since=0.1"
    };

    ok(parse("since=0123456789abcDEF.9007199254740991", BEACON_LIVE_SINCE, &q)
       == NULL && q.valid && q.epoch == 0x0123456789abcdef
       && q.since == 9007199254740991, "a cursor is read");

    for (i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        ok(parse(none[i], BEACON_LIVE_SINCE, &q) == NULL && !q.valid
           && q.given == BEACON_LIVE_SINCE, "\"%s\" is none", none[i]);
    }
}

static void
sites_are_allowed_by_name(void)
{
    size_t        at;
    beacon_str_t  sites, name;

    sites = beacon_string("  shop * blog ");
    at = 0;

    ok(beacon_live_sites_allow(sites, beacon_string("shop")) == 2
       && beacon_live_sites_allow(sites, beacon_string("blog")) == 2,
       "by name");
    ok(beacon_live_sites_allow(sites, beacon_string("sho")) == 1
       && beacon_live_sites_allow(sites, beacon_string("shop2")) == 1,
       "not by a part of one; by an asterisk");
    ok(beacon_live_sites_allow(beacon_string("shop"), beacon_string("sho"))
       == 0
       && beacon_live_sites_allow(beacon_string(""), beacon_string("shop"))
          == 0, "or not");
    ok(beacon_live_sites_next(sites, &at, &name) && same(name, "shop")
       && beacon_live_sites_next(sites, &at, &name) && same(name, "*")
       && beacon_live_sites_next(sites, &at, &name) && same(name, "blog")
       && !beacon_live_sites_next(sites, &at, &name), "each has its turn");
    ok(beacon_live_site_valid(beacon_string("_overflow"))
       && beacon_live_site_valid(beacon_string("a.b"))
       && !beacon_live_site_valid(beacon_string("_x"))
       && !beacon_live_site_valid(beacon_string("")),
       "names are sites, or _overflow");
}

int
main(void)
{
    parameters_are_read();
    what_is_wrong_is_told();
    cursors_are_read_or_not_valid();
    sites_are_allowed_by_name();

    return done_testing();
}
