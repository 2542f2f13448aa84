#include "beacon_json.h"
#include "beacon_line_int.h"
#include "beacon_siphash.h"
#include "tap.h"

#include <string.h>

#define LINE_HEAD                                                             \
    "{\"v\":1,\"id\":\"9f3c0a1b2c3d4e5f-3-1a2b40\","                          \
    "\"time\":\"2026-11-21T22:56:01.204Z\",\"edge\":\"web7\","                \
    "\"site\":\"shop\","
#define LINE_REQUEST                                                          \
    "\"method\":\"GET\",\"host\":\"shop.example\",\"path\":\"/px.gif\","

typedef struct {
    uint8_t              *copy;     /* of the line's own size */
    beacon_str_t          line;
    beacon_line_parts_t   parts;
    beacon_line_view_t    view;
    beacon_rc_t           rc;
} line_t;

static beacon_json_t  line_json;
static int            line_any;         /* the variant for any machine */

static beacon_str_t
line_str(const char *text)
{
    return (beacon_str_t) { strlen(text), (const uint8_t *) text };
}

/* Sanitizers see what is read beyond it. */
static void
line_take(line_t *l, beacon_str_t text)
{
    l->copy = malloc(text.len ? text.len : 1);
    memcpy(l->copy, text.data, text.len);
    l->line.data = l->copy;
    l->line.len = text.len;
    l->rc = line_any ? beacon_line_parts_any(l->line, &l->parts)
                     : beacon_line_parts(l->line, &l->parts);
    memset(&l->view, 0, sizeof(l->view));

    if (l->rc == BEACON_OK && line_any) {
        beacon_line_view_any(&l->parts, &l->view);

    } else if (l->rc == BEACON_OK) {
        beacon_line_view(&l->parts, &l->view);
    }
}

static void
line_drop(line_t *l)
{
    free(l->copy);
}

static int
line_equal(beacon_str_t str, const char *text)
{
    if (text == NULL) {
        return str.data == NULL && str.len == 0;
    }

    return str.data && str.len == strlen(text)
           && memcmp(str.data, text, str.len) == 0;
}

static int
line_is(const char *what, beacon_str_t str, const char *text)
{
    if (line_equal(str, text)) {
        return 1;
    }

    printf("# %s: \"%.*s\", not \"%s\"\n", what, (int) str.len,
           str.data ? (const char *) str.data : "", text ? text : "(absent)");

    return 0;
}

/* All parts lie in the line. */
static int
line_within(const line_t *l)
{
    size_t               i;
    const beacon_str_t  *str;

    str = &l->parts.id;

    if (l->rc != BEACON_OK) {
        return 1;
    }

    for (i = 0; i < sizeof(l->parts) / sizeof(*str); i++) {
        if (str[i].data
            && (str[i].data < l->copy
                || str[i].data + str[i].len > l->copy + l->line.len))
        {
            return 0;
        }
    }

    return 1;
}

/* A line's short form; a static buffer that ends where its room does. */
static beacon_str_t
line_short(const line_t *l, const char *visitor)
{
    size_t           room, len;
    uint8_t         *dst;
    static uint8_t   brief[8192];

    room = BEACON_SHORT_ROOM(l->line.len, strlen(visitor));
    dst = malloc(room);
    len = beacon_line_short(&l->parts, &l->view, line_str(visitor), dst);
    memcpy(brief, dst, len);
    free(dst);

    return (beacon_str_t) { len, brief };
}

static const char  line_full[] =
    LINE_HEAD
    "\"visitor\":\"8f1c0000111122223333444455556666\","
    "\"ip\":\"203.0.113.7\"," LINE_REQUEST
    "\"args\":{\"e\":\"pageview\",\"url\":\"https://shop.example/c/165?"
    "utm_source=n&utm_campaign=may%20sale#top\",\"x\":\"}\","
    "\"ref\":\"https://News.example/a?b\",\"y\":\"1\"},"
    "\"referer\":\"https://shop.example/\",\"user_agent\":\"Mozilla/5.0 (X)\","
    "\"fields\":{\"country\":\"GR\",\"other\":\"\\\"}\"},"
    "\"flags\":[\"bot\",\"macro\"],\"repeated\":{\"x\":[\"}\",\"2\"]},"
    "\"data\":{\"url\":\"no\"}}";

static void
test_full(void)
{
    line_t  l;

    line_take(&l, line_str(line_full));

    ok(l.rc == BEACON_OK, "a_line_with_all_keys_is_read");
    ok(line_is("id", l.parts.id, "9f3c0a1b2c3d4e5f-3-1a2b40")
       && line_is("time", l.parts.time, "2026-11-21T22:56:01.204Z")
       && line_is("edge", l.parts.edge, "web7")
       && line_is("site", l.parts.site, "shop")
       && line_is("visitor", l.parts.visitor,
                  "8f1c0000111122223333444455556666")
       && line_is("ip", l.parts.ip, "203.0.113.7")
       && line_is("ip_member", l.parts.ip_member, "\"ip\":\"203.0.113.7\"")
       && line_is("host", l.parts.host, "shop.example")
       && line_is("referer", l.parts.referer, "https://shop.example/")
       && line_is("user_agent", l.parts.user_agent, "Mozilla/5.0 (X)"),
       "its_strings_are_found");
    ok(line_is("fields", l.parts.fields,
               "{\"country\":\"GR\",\"other\":\"\\\"}\"}")
       && line_is("flags", l.parts.flags, "[\"bot\",\"macro\"]")
       && l.parts.args.data[l.parts.args.len - 1] == '}'
       && l.parts.args.data[l.parts.args.len] == ','
       && memcmp(l.parts.args.data, "{\"e\":", 5) == 0,
       "objects_are_found_with_their_braces");
    ok(line_is("url", l.parts.arg_url, "https://shop.example/c/165?"
               "utm_source=n&utm_campaign=may%20sale#top")
       && line_is("ref", l.parts.arg_ref, "https://News.example/a?b")
       && line_is("country", l.parts.field_country, "GR")
       && line_is("page", l.parts.field_page, NULL)
       && line_is("referrer", l.parts.field_referrer, NULL),
       "arguments_and_fields_that_a_view_wants_are_found");
    ok(line_is("page", l.view.page, "/c/165")
       && line_is("page_host", l.view.page_host, NULL)
       && line_is("referrer", l.view.referrer, "News.example/a")
       && line_is("referrer_host", l.view.referrer_host, "News.example")
       && line_is("country", l.view.country, "GR")
       && line_is("campaign", l.view.campaign, "may%20sale"),
       "the_view_cuts_them");
    ok(line_is("short", line_short(&l, "8f1c"),
               "{\"time\":\"2026-11-21T22:56:01.204Z\",\"visitor\":\"8f1c\","
               "\"page\":\"/c/165\",\"referrer\":\"News.example/a\","
               "\"country\":\"GR\",\"flags\":[\"bot\",\"macro\"]}"),
       "the_short_form_has_them_in_order");

    line_drop(&l);
}

static void
test_least(void)
{
    line_t  l;

    line_take(&l, line_str(LINE_HEAD "\"method\":\"GET\",\"path\":\"/\","
                           "\"args\":{}}"));

    ok(l.rc == BEACON_OK && line_is("args", l.parts.args, "{}")
       && line_is("visitor", l.parts.visitor, NULL)
       && line_is("ip", l.parts.ip, NULL)
       && line_is("ip_member", l.parts.ip_member, NULL)
       && line_is("host", l.parts.host, NULL)
       && line_is("referer", l.parts.referer, NULL)
       && line_is("flags", l.parts.flags, NULL)
       && line_is("page", l.view.page, NULL)
       && line_is("campaign", l.view.campaign, NULL)
       && line_is("short", line_short(&l, ""),
                  "{\"time\":\"2026-11-21T22:56:01.204Z\"}"),
       "a_line_with_no_key_too_many_is_read");

    line_drop(&l);
}

/* What a row has beside the short form. */
static const struct {
    const char  *rest;
    const char  *more;
} line_rows[] = {
    { "{}", "" },
    { "{\"ee\":\"x\",\"e\":\"\",\"f\":\"e\"}", "" },
    { "{\"x\":\"e\",\"e\":\"a\\\"b\",\"z\":\"\"}",
      ",\"event\":\"a\\\"b\"" },
    { "{\"e\":\"buy\"},\"referer\":\"http://a/?utm_source=n\"",
      ",\"event\":\"buy\",\"campaign\":\"n\"" },
    { "{},\"user_agent\":\"Mozilla/5.0 (X) Gecko/2 Firefox/140.0\"",
      ",\"browser\":\"Firefox\"" },
    { "{},\"user_agent\":\"Mozilla/5.0 Chrome/142.0 Safari/537 Edg/142\"",
      ",\"browser\":\"Edge\"" },
    { "{},\"user_agent\":\"a HeadlessChrome/142.0 Safari/537.36\"",
      ",\"browser\":\"Chrome\"" },
    { "{},\"user_agent\":\"Version/18.1 Mobile/15E148 Safari/604.1\"",
      ",\"browser\":\"Safari\"" },
    { "{},\"user_agent\":\"curl/8 Firefoxes/1 / Chrome\"", "" }
};

static void
test_rows(void)
{
    int           good, all;
    char          text[1024], wanted[1024];
    size_t        i, len;
    line_t        l;
    uint8_t      *dst;
    beacon_str_t  brief;

    for (all = 1, i = 0; i < sizeof(line_rows) / sizeof(line_rows[0]); i++) {
        snprintf(text, sizeof(text), LINE_HEAD LINE_REQUEST "\"args\":%s}",
                 line_rows[i].rest);
        line_take(&l, line_str(text));
        brief = line_short(&l, "8f1c");
        dst = malloc(l.line.len + brief.len);
        len = beacon_line_row(l.line, brief, dst);

        snprintf(wanted, sizeof(wanted), "%.*s%s}", (int) brief.len - 1,
                 (const char *) brief.data, line_rows[i].more);
        good = line_is("row", (beacon_str_t) { len, dst }, wanted);
        all = all && good;

        free(dst);
        line_drop(&l);
    }

    ok(all, "a_row_has_event_campaign_and_browser_where_they_are");

    line_take(&l, line_str("{\"v\":2}"));
    dst = malloc(sizeof("{}") - 1);
    len = beacon_line_row(l.line, line_str("{}"), dst);
    ok(line_is("row", (beacon_str_t) { len, dst }, "{}"),
       "of_a_line_that_is_none_it_is_the_short_form");
    free(dst);
    line_drop(&l);
}

/* What stands in "args" and behind it; what becomes of it. */
static const struct {
    const char  *rest;
    const char  *page;
    const char  *host;
    const char  *referrer;
    const char  *campaign;
} line_views[] = {
    { "{\"url\":\"https://shop.example\"}", "/", NULL, NULL, NULL },
    { "{\"url\":\"https://shop.example?a\"}", "/", NULL, NULL, NULL },
    { "{\"url\":\"HTTPS://Shop.EXAMPLE:443/x\"}", "/x", NULL, NULL, NULL },
    { "{\"url\":\"http://shop.example:80/x\"}", "/x", NULL, NULL, NULL },
    { "{\"url\":\"http://shop.example:443/x\"}", "shop.example:443/x",
      "shop.example:443", NULL, NULL },
    { "{\"url\":\"https://shop.example.evil/x\"}", "shop.example.evil/x",
      "shop.example.evil", NULL, NULL },
    { "{\"url\":\"https://shop_example/x\"}", "shop_example/x",
      "shop_example", NULL, NULL },
    { "{\"url\":\"https://me:pw@shop.example/x\"}", "/x", NULL, NULL, NULL },
    { "{\"url\":\"https://a@b@c.example/x@y?q@z\"}", "c.example/x@y",
      "c.example", NULL, NULL },
    { "{\"url\":\"https://c.example?a/b\"}", "c.example", "c.example", NULL,
      NULL },
    { "{\"url\":\"android-app://com.app/x#y\"}", "com.app/x", "com.app", NULL,
      NULL },
    { "{\"url\":\"file:///home/x\"}", "/home/x", NULL, NULL, NULL },
    { "{\"url\":\"1a://x/y\"}", "1a://x/y", NULL, NULL, NULL },
    { "{\"url\":\"://x\"}", "://x", NULL, NULL, NULL },
    { "{\"url\":\"/go?to=https://x.example/\"}", "/go", NULL, NULL, NULL },
    { "{\"url\":\"a?b://c\"}", "a", NULL, NULL, NULL },
    { "{\"url\":\"news.example/?q=1\"}", "news.example/", NULL, NULL, NULL },
    { "{\"url\":\"?q\"}", NULL, NULL, NULL, NULL },
    { "{\"url\":\"https://x.example/\\\"a\\\\\\\"?\"}",
      "x.example/\\\"a\\\\\\\"", "x.example", NULL, NULL },
    { "{\"url\":\"\"},\"referer\":\"https://r.example/p\"", "r.example/p",
      "r.example", NULL, NULL },
    { "{\"url\":\"/u\"},\"referer\":\"https://r.example/p\"", "/u", NULL,
      NULL, NULL },
    { "{\"url\":\"/u\"},\"fields\":{\"page\":\"/f\"}", "/f", NULL, NULL,
      NULL },
    { "{\"ref\":\"a.example/x?y\"}", NULL, NULL, "a.example/x", NULL },
    { "{\"ref\":\"a\"},\"fields\":{\"referrer\":\"http://b.example/c\"}",
      NULL, NULL, "b.example/c", NULL },
    { "{\"ref\":\"https://shop.example/c#d\"}", NULL, NULL, "/c", NULL },
    { "{\"url\":\"/?utm_medium=m&utm_source=s\"}", "/", NULL, NULL, "s" },
    { "{\"url\":\"/?utm_medium=m&a&&\"}", "/", NULL, NULL, "m" },
    { "{\"url\":\"/?utm_campaign=c&utm_source=s\"}", "/", NULL, NULL, "c" },
    { "{\"url\":\"/?utm_campaign=&utm_source=s\"}", "/", NULL, NULL, "s" },
    { "{\"url\":\"/?xutm_campaign=c&utm_campaignx=d\"}", "/", NULL, NULL,
      NULL },
    { "{\"url\":\"/?a=b#utm_source=s\"}", "/", NULL, NULL, NULL },
    { "{\"url\":\"/#?utm_source=s\"}", "/", NULL, NULL, NULL },
    { "{\"url\":\"/?utm_source=\\\"\\u0001#x\"}", "/", NULL, NULL,
      "\\\"\\u0001" },
    /* not the argument */
    { "{\"e\":\"\\\"url\\\":\\\"/no\"}", NULL, NULL, NULL, NULL },
    { "{\"e\":\",\\\"url\\\":\\\"/no\",\"curl\":\"/no\",\"url2\":\"/no\"}",
      NULL, NULL, NULL, NULL },
    { "{\"x\\\"url\":\"/no\",\"u\":\"url\",\"url\":\"/yes\"}", "/yes", NULL,
      NULL, NULL },
    { "{\"e\":\"url\",\"ref\":\"ref\",\"ur\":\"l\"}", NULL, NULL, "ref",
      NULL },
    /* ends of "args" that are none */
    { "{\"a\":\"}\",\"url\":\"/y\"}", "/y", NULL, NULL, NULL },
    { "{\"a\":\"},\",\"url\":\"/y\"}", "/y", NULL, NULL, NULL },
    { "{\"a\":\"}}\",\"url\":\"/y\"}", "/y", NULL, NULL, NULL },
    { "{\"a\":\"\\\"},\\\"referer\\\":\",\"url\":\"/y\"}", "/y", NULL, NULL,
      NULL },
    { "{\"}\":\"},\",\"},\":\"\\\\\",\"url\":\"/y\"}", "/y", NULL, NULL,
      NULL },
    { "{\"a\":\"b\\\\\"},\"referer\":\"/y\"", "/y", NULL, NULL, NULL },
    { "{\"url\":\"/y\",\"ref\":\"},\",\"b\":\"},\",\"c\":\"\"},"
      "\"user_agent\":\"a\"", "/y", NULL, "},", NULL },
    /* what follows is none of ours */
    { "{},\"flags\":[\"]\",\"\\\"]\"],\"data\":{\"referer\":\"/no\"}", NULL,
      NULL, NULL, NULL },
    { "{},\"repeated\":{\"url\":[\"/no\"]},\"query\":\"url=/no\"", NULL, NULL,
      NULL, NULL },
    { "{},\"body\":\"},\\\"referer\\\":\\\"/no\"", NULL, NULL, NULL, NULL },
    { "{},\"later\":1,\"referer\":\"/no\"", NULL, NULL, NULL, NULL }
};

static void
test_views(void)
{
    int     good, all;
    char    text[1024], pad[80];
    size_t  i, n;
    line_t  l;

    /* with all that is before it, where blocks of vectors begin differs */

    for (all = 1, i = 0; i < sizeof(line_views) / sizeof(line_views[0]); i++) {
        for (good = 1, n = 0; n < 70 && good; n++) {
            memset(pad, 'p', n);
            pad[n] = '\0';
            snprintf(text, sizeof(text), LINE_HEAD "\"visitor\":\"%s\","
                     LINE_REQUEST "\"args\":%s}", pad, line_views[i].rest);
            line_take(&l, line_str(text));

            good = l.rc == BEACON_OK
                   && line_is("page", l.view.page, line_views[i].page)
                   && line_is("host", l.view.page_host, line_views[i].host)
                   && line_is("referrer", l.view.referrer,
                              line_views[i].referrer)
                   && line_is("campaign", l.view.campaign,
                              line_views[i].campaign)
                   && beacon_json_check(&line_json, line_short(&l, pad))
                      == BEACON_OK;
            line_drop(&l);
        }

        if (!good) {
            all = 0;
            printf("# %s\n", line_views[i].rest);
        }
    }

    ok(all, "views_of_%zu_lines_are_as_written_in_the_contract", i);
}

/* Each of these strings, in all places. */
static void
test_escapes(void)
{
    int          good, places;
    char         text[2048];
    size_t       i, k;
    line_t       l;
    const char  *v;

    static const char *const  values[] = {
        "\\\"", "\\\\", "\\\\\\\"", "\\\\\\\\", "\\u0022", "\\u0000", "},",
        "}", "]", ",", ":", "\\\",\\\"ip\\\":\\\"1\\\"", "\\n", "a\\\\",
        "\\\"}", "\\\\}", "\xf0\x9f\x91\x8d", "\xe6\x97\xa5",
        "0123456789abcdef0123456789abcdef\\\"0123456789abcdef0123456789abcd"
    };

    for (good = 1, i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        v = values[i];
        snprintf(text, sizeof(text), "{\"v\":1,\"id\":\"%s\",\"time\":\"%s\","
                 "\"edge\":\"%s\",\"site\":\"%s\",\"visitor\":\"%s\","
                 "\"ip\":\"%s\",\"method\":\"%s\",\"host\":\"%s\","
                 "\"path\":\"%s\",\"args\":{\"%s-\":\"%s\",\"url\":\"%s\","
                 "\"ref\":\"%s\",\"%s\":\"%s\"},\"referer\":\"%s\","
                 "\"user_agent\":\"%s\",\"fields\":{\"%s\":\"%s\","
                 "\"page\":\"%s\",\"referrer\":\"%s\",\"country\":\"%s\"},"
                 "\"flags\":[\"%s\",\"%s\"]}", v, v, v, v, v, v, v, v, v, v,
                 v, v, v, v, v, v, v, v, v, v, v, v, v, v);
        line_take(&l, line_str(text));

        places = l.rc == BEACON_OK;

        for (k = 0; k < 9 && places; k++) {
            places = line_is("string", (&l.parts.id)[k], v);
        }

        if (!places || beacon_json_check(&line_json, l.line) != BEACON_OK
            || !line_is("url", l.parts.arg_url, v)
            || !line_is("ref", l.parts.arg_ref, v)
            || !line_is("page", l.parts.field_page, v)
            || !line_is("referrer", l.parts.field_referrer, v)
            || !line_is("country", l.parts.field_country, v)
            || beacon_json_check(&line_json, line_short(&l, v)) != BEACON_OK)
        {
            printf("# %s\n", text);
            good = 0;
        }

        line_drop(&l);
    }

    ok(good, "escapes_and_brackets_in_every_string_end_nothing");
}

/* Cut anywhere, changed anywhere: no byte beyond is read, parts are within. */
static void
test_broken(void)
{
    int      within;
    char     text[sizeof(line_full)];
    size_t   n, i, taken;
    line_t   l;

    static const char  bytes[] = "\"\\}{],:x";

    for (within = 1, taken = 0, n = 0; n < sizeof(line_full) - 1; n++) {
        line_take(&l, (beacon_str_t) { n, (const uint8_t *) line_full });
        taken += l.rc == BEACON_OK && line_full[n - 1] != '}';
        within &= line_within(&l);
        line_drop(&l);
    }

    ok(within, "a_line_cut_at_any_byte_has_its_parts_within");
    ok(taken == 0, "and_is_refused_but_where_a_brace_ends_it");

    for (within = 1, n = 0; n < sizeof(line_full) - 1; n++) {
        for (i = 0; i < sizeof(bytes) - 1; i++) {
            memcpy(text, line_full, sizeof(text));
            text[n] = bytes[i];
            line_take(&l, line_str(text));
            within &= line_within(&l);

            if (l.rc == BEACON_OK) {
                (void) line_short(&l, "v");
                (void) beacon_line_arg_is(&l.parts, l.line,
                                          beacon_string("x"),
                                          beacon_string("none"));
            }

            line_drop(&l);
        }
    }

    ok(within, "a_line_changed_at_any_byte_has_its_parts_within");
}

static void
test_strangers(void)
{
    int     good;
    size_t  i;
    line_t  l;

    static const char *const  lines[] = {
        "", "{", "{}", "[]", "{\"v\":2}", "\"", "{\"v\":1,\"id\":\"",
        "{\"v\":1, \"id\":\"a\"}",
        LINE_HEAD LINE_REQUEST "\"args\":{\"a\":1}}",
        LINE_HEAD LINE_REQUEST "\"args\":[]}",
        LINE_HEAD LINE_REQUEST "\"args\":{},\"fields\":{}}",
        LINE_HEAD LINE_REQUEST "\"args\":{},\"fields\":{\"a\":1}}",
        LINE_HEAD LINE_REQUEST "\"args\":{},\"flags\":[]}",
        LINE_HEAD LINE_REQUEST "\"args\":{},\"flags\":[1]}",
        LINE_HEAD LINE_REQUEST "\"args\":{}",
        LINE_HEAD LINE_REQUEST "\"args\":{}}\n",
        LINE_HEAD LINE_REQUEST "\"args\":{} }",
        LINE_HEAD "\"visitor\":1," LINE_REQUEST "\"args\":{}}",
        LINE_REQUEST "\"args\":{}}"
    };

    for (good = 1, i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        line_take(&l, line_str(lines[i]));

        if (l.rc != BEACON_INVALID) {
            printf("# %s\n", lines[i]);
            good = 0;
        }

        line_drop(&l);
    }

    ok(good, "what_beacon_did_not_render_is_invalid");
}

static int
line_arg(const line_t *l, const char *name, const char *value)
{
    return beacon_line_arg_is(&l->parts, l->line, line_str(name),
                              line_str(value));
}

static void
test_args(void)
{
    line_t  l;

    line_take(&l, line_str(
        LINE_HEAD LINE_REQUEST "\"args\":{\"e\":\"pageview\",\"\":\"\","
        "\"q\\\"\\\\\\/\\n\":\"\\u0001\\u00e9\\ud83d\\udc4d\\t\","
        "\"\xc3\xa9\":\"\xf0\x9f\x91\x8d\",\"k\":\"1\"},"
        "\"referer\":\"x\",\"repeated\":{\"j\":[\"2\"],"
        "\"k\":[\"1\",\"\\\"2\",\"3\"],\"z\":[\"9\"]},\"data\":{\"d\":\"1\"}}"
    ));

    ok(line_arg(&l, "e", "pageview") && !line_arg(&l, "e", "page")
       && !line_arg(&l, "e", "pageviews") && !line_arg(&l, "E", "pageview")
       && !line_arg(&l, "pageview", "e") && !line_arg(&l, "none", "")
       && line_arg(&l, "", "") && !line_arg(&l, "", "x"),
       "an_argument_is_what_it_is");
    ok(line_arg(&l, "q\"\\/\n", "\x01\xc3\xa9\xf0\x9f\x91\x8d\t")
       && line_arg(&l, "\xc3\xa9", "\xf0\x9f\x91\x8d")
       && !line_arg(&l, "q\\\"\\\\\\/\\n", "\\u0001"),
       "names_and_values_are_compared_as_what_they_mean");
    ok(line_arg(&l, "k", "1") && line_arg(&l, "k", "\"2")
       && line_arg(&l, "k", "3") && !line_arg(&l, "k", "2")
       && !line_arg(&l, "k", "9") && !line_arg(&l, "d", "1"),
       "a_repeated_one_has_all_of_its_values");

    line_drop(&l);
}

/* The reference implementation's first vectors; key: 00 01 02 ... 0f. */
static void
test_siphash(void)
{
    int           good;
    size_t        i, cut;
    uint8_t       key[16], text[16];
    beacon_str_t  strings[2];

    static const uint64_t  vectors[] = {
        0x726fdb47dd0e0e31ULL, 0x74f839c593dc67fdULL, 0x0d6c8009d9a94f5aULL,
        0x85676696d7fb7e2dULL, 0xcf2794e0277187b7ULL, 0x18765564cd99a68dULL,
        0xcbc9466e58fee3ceULL, 0xab0200f58b01d137ULL, 0x93f5f5799a932462ULL,
        0x9e0082df0ba9e4b0ULL, 0x7a5dbbc594ddb9f3ULL, 0xf4b32f46226bada7ULL,
        0x751e8fbc860ee5fbULL, 0x14ea5627c0843d90ULL, 0xf723ca908e7af2eeULL,
        0xa129ca6149be45e5ULL
    };

    for (i = 0; i < 16; i++) {
        key[i] = text[i] = (uint8_t) i;
    }

    for (good = 1, i = 0; i < 16; i++) {
        for (cut = 0; cut <= i; cut++) {
            strings[0].data = text;
            strings[0].len = cut;
            strings[1].data = text + cut;
            strings[1].len = i - cut;
            good &= beacon_siphash(key, strings, 2) == vectors[i];
        }
    }

    ok(good, "siphash_gives_the_reference_vectors_however_it_is_cut");
}

static void
test_visitor(void)
{
    line_t   a, b;
    uint8_t  key[16] = "0123456789abcdef", x[17], y[16], z[16];

    line_take(&a, line_str(LINE_HEAD "\"ip\":\"203.0.113.7\"," LINE_REQUEST
                           "\"args\":{},\"user_agent\":\"ab\"}"));
    line_take(&b, line_str(LINE_HEAD "\"ip\":\"203.0.113.7a\"," LINE_REQUEST
                           "\"args\":{},\"user_agent\":\"b\"}"));
    beacon_line_visitor(&a.parts, key, x);
    beacon_line_visitor(&b.parts, key, y);
    x[16] = '\0';
    ok(memcmp(x, y, 16) != 0
       && strspn((const char *) x, "0123456789abcdef") == 16,
       "address_and_agent_are_not_run_together");

    key[0]++;
    beacon_line_visitor(&a.parts, key, z);
    ok(memcmp(x, z, 16) != 0, "another_key_gives_another_visitor");

    line_drop(&a);
    line_drop(&b);
}

int
main(void)
{
    beacon_json_init(&line_json, 1);

    for (line_any = 0; line_any < 2; line_any++) {
        test_full();
        test_least();
        test_rows();
        test_views();
        test_escapes();
        test_broken();
        test_strangers();
    }

    test_args();
    test_siphash();
    test_visitor();

    beacon_json_dispose(&line_json);

    return done_testing();
}
