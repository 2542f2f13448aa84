#include "beacon_line.h"
#include "beacon_render.h"
#include "tap.h"

#include <string.h>

static beacon_render_t  *test_render;
static beacon_schema_t   test_schema;
static uint8_t           test_dst[1 << 20];
static beacon_line_t     test_line;

static void
test_hit(beacon_hit_t *hit)
{
    int  i;

    memset(hit, 0, sizeof(*hit));

    for (i = 0; i < BEACON_HIT_STRINGS; i++) {
        hit->strings[i] = beacon_string("");
    }

    hit->strings[BEACON_HIT_SITE] = beacon_string("shop");
    hit->strings[BEACON_HIT_PATH] = beacon_string("/px.gif");
    hit->method = BEACON_METHOD_GET;
    hit->max_args = 256;
}

/* Renders a copy that a worker wrote; the line as text. */
static const char *
test_text(const beacon_hit_t *hit, const beacon_schema_t *schema,
    uint64_t time_ns)
{
    size_t            size;
    uint8_t          *payload;
    beacon_hit_t      parsed;
    beacon_record_t   record;

    size = beacon_hit_size(hit);
    payload = calloc(1, size + 64);
    beacon_hit_write(hit, payload);
    memset(&record, 0, sizeof(record));
    record.offset = 0x1a2b40;
    record.time_ns = time_ns;
    test_dst[0] = 0;

    if (beacon_hit_parse((beacon_str_t) { size, payload }, &parsed)
        == BEACON_OK
        && beacon_render_bound(&parsed, schema) + 64 < sizeof(test_dst)
        && beacon_render(test_render, &record, &parsed, schema, 0xa1, 3,
                         test_dst, &test_line) == 1)
    {
        test_dst[test_line.len] = 0;
    }

    free(payload);

    return (const char *) test_dst;
}

/* What the renderer says of a line is where its parts stand. */
static int
test_known(const char *text)
{
    beacon_str_t         line;
    beacon_line_parts_t  found, known;

    line = (beacon_str_t) { test_line.len - 1, (const uint8_t *) text };
    memset(&known, 0xff, sizeof(known));
    beacon_line_known(line.data, &test_line, &known);

    return beacon_line_parts(line, &found) == BEACON_OK
           && memcmp(&found, &known, sizeof(found)) == 0;
}

#define TEST_HEAD                                                             \
    "{\"v\":1,\"id\":\"00000000000000a1-3-1a2b40\","                          \
    "\"time\":\"2026-11-21T22:56:01.204Z\","
#define TEST_TIME  1795301761204000000ULL

static void
test_members(void)
{
    const char     *text;
    beacon_hit_t    hit;

    test_hit(&hit);
    text = test_text(&hit, &test_schema, TEST_TIME);
    ok(strcmp(text, TEST_HEAD "\"edge\":\"web7\",\"site\":\"shop\","
              "\"method\":\"GET\",\"path\":\"/px.gif\",\"args\":{}}\n") == 0,
       "a hit with nothing has what always stands");
    ok(test_line.ip_len == 0 && test_line.own_flags == 0,
       "it has no address and no flag");
    ok(test_known(text), "it knows where its parts are, and which it has not");

    hit.strings[BEACON_HIT_VISITOR] = beacon_string("8f1c");
    hit.strings[BEACON_HIT_IP] = beacon_string("203.0.113.7");
    hit.strings[BEACON_HIT_HOST] = beacon_string("px.example.com");
    hit.strings[BEACON_HIT_QUERY] = beacon_string("e=1&a=%&e=2");
    hit.strings[BEACON_HIT_REFERER] = beacon_string("https://r/");
    hit.strings[BEACON_HIT_USER_AGENT] = beacon_string("M\"");
    hit.strings[BEACON_HIT_BODY] = beacon_string("[1,\n2]");
    hit.body_kind = BEACON_BODY_DATA;
    hit.method = BEACON_METHOD_POST;
    hit.nfields = 2;
    hit.fields[0] = beacon_string("GR");
    hit.fields[1] = beacon_string("");
    hit.flags = 2;
    text = test_text(&hit, &test_schema, TEST_TIME);
    ok(strcmp(text, TEST_HEAD "\"edge\":\"web7\",\"site\":\"shop\","
              "\"visitor\":\"8f1c\",\"ip\":\"203.0.113.7\","
              "\"method\":\"POST\",\"host\":\"px.example.com\","
              "\"path\":\"/px.gif\",\"args\":{\"e\":\"1\",\"a\":\"%\"},"
              "\"referer\":\"https://r/\",\"user_agent\":\"M\\\"\","
              "\"fields\":{\"country\":\"GR\"},"
              "\"flags\":[\"internal\",\"malformed\"],"
              "\"repeated\":{\"e\":[\"1\",\"2\"]},"
              "\"query\":\"e=1&a=%&e=2\",\"data\":[1, 2]}\n") == 0,
       "a hit with everything has its keys in order");
    ok(test_line.own_flags == BEACON_FLAG_MALFORMED, "it is flagged");
    ok(test_line.id_len == 25
       && memcmp(text + BEACON_LINE_ID, "00000000000000a1-3-1a2b40", 25) == 0,
       "the line knows where its id is");
    ok(test_line.site_len == 4
       && memcmp(text + test_line.site_offset, "shop", 4) == 0,
       "the line knows where its site is");
    ok(test_line.ip_len == 19
       && memcmp(text + test_line.ip_offset, "\"ip\":\"203.0.113.7\",", 19)
          == 0, "the line without its address is a line");
    ok(test_known(text), "the line knows where its parts are");

    hit.strings[BEACON_HIT_QUERY] = beacon_string("ref=%22,%22url&v=%7B&"
        "x=,%22url%22:&u=%7D&ur=%7D%22,%22url%22:&url=/a%22&z=ref&"
        "long=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa&ref=2");
    hit.fields[1] = beacon_string("\"url\":\"x\"");
    text = test_text(&hit, &test_schema, TEST_TIME);
    ok(test_known(text) && strstr(text, "\"url\":\"/a\\\"\""),
       "arguments that look like others do not mislead it");
    hit.fields[1] = beacon_string("");
    hit.strings[BEACON_HIT_QUERY] = beacon_string("e=1&a=%&e=2");

    text = test_text(&hit, NULL, TEST_TIME);
    ok(strstr(text, "\"edge\":\"\"") && strstr(text, "{\"field0\":\"GR\"}")
       && strstr(text, "[\"flag1\",\"malformed\"]"),
       "names that are lost are numbers");

    hit.flags = 1U << 31;
    hit.fields[1] = beacon_string("x");
    text = test_text(&hit, &test_schema, TEST_TIME);
    ok(strstr(text, "\"field1\":\"x\"") && strstr(text, "\"flag31\""),
       "so are those that the schema does not have");
}

/* Where a line says that texts of it stand. */
static void
test_places(void)
{
    char             query[4096];
    size_t           n, args;
    const char      *text;
    beacon_hit_t     hit;
    beacon_schema_t  schema;

    memset(&schema, 0, sizeof(schema));
    schema.edge = beacon_string("web7");
    schema.fields[0] = beacon_string("page");
    schema.fields[1] = beacon_string("refer");
    schema.fields[2] = beacon_string("referrer");
    schema.fields[3] = beacon_string("country");
    schema.nfields = 4;

    test_hit(&hit);
    hit.nfields = 4;
    hit.fields[0] = beacon_string("/a");
    hit.fields[1] = beacon_string("b");
    hit.fields[2] = beacon_string("\"c");
    hit.fields[3] = beacon_string("GR");
    hit.body_kind = BEACON_BODY_FORM;
    hit.strings[BEACON_HIT_QUERY] = beacon_string("url=&url=1&re=f");
    hit.strings[BEACON_HIT_BODY] = beacon_string("%72ef=x&url=2&ref=y");
    text = test_text(&hit, &schema, TEST_TIME);
    ok(test_known(text) && strstr(text, "\"ref\":\"x\"")
       && test_line.texts[BEACON_LINE_ARG_URL].offset != 0
       && test_line.texts[BEACON_LINE_ARG_URL].len == 0
       && test_line.texts[BEACON_LINE_FIELD_REFERRER].len == 3,
       "of arguments it tells the first, of query or form, and of fields");

    for (args = 200; args <= 500; args += 100) {
        for (n = 0, query[0] = 0; n < args; n++) {
            sprintf(query + strlen(query), "%zx=&", n);
        }

        strcat(query, "ref=1&%75%72%6c=2");
        hit.max_args = (uint32_t) args + 2;
        hit.strings[BEACON_HIT_QUERY].data = (const uint8_t *) query;
        hit.strings[BEACON_HIT_QUERY].len = strlen(query);
        text = test_text(&hit, &schema, TEST_TIME);
        ok(test_known(text) && strstr(text, "\"url\":\"2\""),
           "behind %zu others too", args);
    }
}

static void
test_memory(void)
{
    int             i;
    char           *first;
    beacon_hit_t    hit;

    test_hit(&hit);
    hit.strings[BEACON_HIT_QUERY] = beacon_string("a=1&a=2&b=3");
    first = strdup(test_text(&hit, &test_schema, TEST_TIME));

    for (i = 0; i < 2; i++) {
        ok(strncmp(test_text(&hit, &test_schema, 951827696000000000ULL) + 48,
                   "2000-02-29T12:34:56.000Z", 24) == 0,
           "a second of another day is that day's");
        ok(strcmp(test_text(&hit, &test_schema, TEST_TIME), first) == 0,
           "a line does not depend on what was rendered before");
    }

    free(first);
}

static void
test_select(void)
{
    int                 n;
    char               *first;
    beacon_hit_t        hit;
    const char *const  *name;

    test_hit(&hit);
    hit.strings[BEACON_HIT_QUERY] =
        beacon_string("title=%CE%A4%C3%&x=\"\\\x01+%0a&\xff&title=2&%74itle");
    ok(beacon_render_select(test_render, "none") == BEACON_INVALID,
       "an unknown variant is refused");
    ok(beacon_render_select(test_render, "auto") == BEACON_OK,
       "auto is always there");
    first = strdup(test_text(&hit, &test_schema, TEST_TIME));

    for (n = 0, name = beacon_render_variants(); *name; name++, n++) {
        ok(beacon_render_select(test_render, *name) == BEACON_OK
           && strcmp(test_text(&hit, &test_schema, TEST_TIME), first) == 0,
           "%s gives the same bytes", *name);
    }

    ok(n > 0 && strcmp(name[-1], "portable") == 0, "the last is portable");
    free(first);
}

/* Whatever a payload's bytes are: all names as long as they may be. */
static void
test_bound(void)
{
    size_t           n;
    uint32_t         i;
    beacon_hit_t     hit;
    beacon_schema_t  schema;

    static const uint8_t  long_name[255] = "";

    memset(&schema, 0, sizeof(schema));
    schema.edge = (beacon_str_t) { 255, long_name };
    schema.nfields = BEACON_FIELDS_MAX;
    schema.nflags = BEACON_FLAGS_MAX;

    for (i = 0; i < BEACON_FIELDS_MAX; i++) {
        schema.fields[i] = (beacon_str_t) { 64, long_name };
        schema.flags[i % BEACON_FLAGS_MAX] = schema.fields[i];
    }

    test_hit(&hit);
    hit.nfields = BEACON_FIELDS_MAX;
    memset(hit.fields, 0, sizeof(hit.fields));
    hit.body_kind = BEACON_BODY_FORM;
    ok(beacon_render_bound(&hit, &schema)
       <= beacon_render_bound_fast(beacon_hit_size(&hit)),
       "the bound by length covers the longest names");

    for (n = 1; n < 5; n++) {
        hit.strings[BEACON_HIT_QUERY].len = n;
        hit.strings[BEACON_HIT_BODY].len = n;
        ok(beacon_render_bound(&hit, &schema)
           <= beacon_render_bound_fast(beacon_hit_size(&hit))
           && beacon_render_bound(&hit, NULL)
              <= beacon_render_bound_fast(beacon_hit_size(&hit)),
           "and query and form of %zu bytes", n);
    }
}

int
main(void)
{
    test_schema.edge = beacon_string("web7");
    test_schema.fields[0] = beacon_string("country");
    test_schema.nfields = 1;
    test_schema.flags[0] = beacon_string("bot");
    test_schema.flags[1] = beacon_string("internal");
    test_schema.nflags = 2;
    test_render = beacon_render_create();

    test_members();
    test_places();
    test_memory();
    test_select();
    test_bound();
    beacon_render_destroy(test_render);

    return done_testing();
}
