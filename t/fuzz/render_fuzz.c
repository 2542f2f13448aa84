/*
 * A hit of any bytes: every variant renders the same line, within its bound,
 * and the line is JSON that ends in its only line break.  Input: four bytes
 * (method, kind of body, limit, fields), then strings, each a length byte and
 * its bytes; the last length that is too long takes the rest.
 */

#include "beacon_json.h"
#include "beacon_line.h"
#include "beacon_render.h"

#include <stdlib.h>
#include <string.h>

#define FUZZ_SLACK  64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static beacon_schema_t   fuzz_schema;
static beacon_render_t  *fuzz_render;
static beacon_json_t     fuzz_json;

static beacon_str_t
fuzz_take(const uint8_t **data, size_t *size)
{
    size_t        len;
    beacon_str_t  str;

    str = beacon_string("");

    if (*size) {
        len = *(*data)++;
        (*size)--;
        str.len = len < *size ? len : *size;
        str.data = *data;
        *data += str.len;
        *size -= str.len;
    }

    return str;
}

static void
fuzz_hit(beacon_hit_t *hit, const uint8_t *data, size_t size)
{
    uint32_t  i;

    static const int  order[] = {
        BEACON_HIT_QUERY, BEACON_HIT_BODY, BEACON_HIT_PATH,
        BEACON_HIT_USER_AGENT, BEACON_HIT_VISITOR, BEACON_HIT_HOST,
        BEACON_HIT_REFERER, BEACON_HIT_IP
    };

    memset(hit, 0, sizeof(*hit));
    hit->method = 1 + data[0] % 3;
    hit->body_kind = data[1] & 3;
    hit->max_args = data[2];
    hit->nfields = data[3] & 3;
    hit->flags = data[3] >> 2;
    hit->strings[BEACON_HIT_SITE] = beacon_string("shop");
    data += 4;
    size -= 4;

    for (i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        hit->strings[order[i]] = fuzz_take(&data, &size);
    }

    for (i = 0; i < hit->nfields; i++) {
        hit->fields[i] = fuzz_take(&data, &size);
    }
}

static void
fuzz_check(const uint8_t *line, size_t len, size_t bound)
{
    if (len > bound || line[len - 1] != '\n'
        || memchr(line, '\n', len) != line + len - 1
        || beacon_json_check(&fuzz_json, (beacon_str_t) { len - 1, line })
           == BEACON_SYS)
    {
        abort();
    }
}

/* What the renderer says of a line is where its parts stand. */
static void
fuzz_known(const uint8_t *text, const beacon_line_t *line)
{
    size_t               i;
    const beacon_str_t  *one, *other;
    beacon_line_parts_t  found, known;

    beacon_line_known(text, line, &known);

    if (beacon_line_parts((beacon_str_t) { line->len - 1, text }, &found)
        != BEACON_OK)
    {
        abort();
    }

    one = (const beacon_str_t *) &found;
    other = (const beacon_str_t *) &known;

    for (i = 0; i < sizeof(found) / sizeof(beacon_str_t); i++) {
        if (one[i].len != other[i].len || one[i].data != other[i].data) {
            abort();
        }
    }
}

static void
fuzz_variants(const beacon_hit_t *hit, const beacon_schema_t *schema)
{
    size_t              bound;
    uint8_t            *first, *dst;
    uint32_t            len;
    beacon_line_t       line;
    beacon_record_t     record;
    const char *const  *name;

    memset(&record, 0, sizeof(record));
    record.offset = hit->strings[BEACON_HIT_QUERY].len;
    record.time_ns = 1795301761204000000ULL;
    bound = beacon_render_bound(hit, schema);

    if (bound > beacon_render_bound_fast(beacon_hit_size(hit))) {
        abort();
    }

    first = NULL;
    len = 0;

    for (name = beacon_render_variants(); *name; name++) {
        dst = malloc(bound + FUZZ_SLACK);

        if (beacon_render_select(fuzz_render, *name) != BEACON_OK
            || beacon_render(fuzz_render, &record, hit, schema, 1, 2, dst,
                             &line) != 1)
        {
            abort();
        }

        fuzz_check(dst, line.len, bound);

        if (first && (line.len != len || memcmp(dst, first, len) != 0)) {
            abort();
        }

        free(first);
        first = dst;
        len = line.len;
    }

    fuzz_known(first, &line);

    /* "data" may nest the line one deeper than a body may be */
    if (hit->body_kind != BEACON_BODY_DATA
        && beacon_json_check(&fuzz_json, (beacon_str_t) { len - 1, first })
           != BEACON_OK)
    {
        abort();
    }

    free(first);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t         len;
    uint8_t       *payload;
    beacon_hit_t   hit, parsed;

    if (fuzz_render == NULL) {
        fuzz_render = beacon_render_create();
        fuzz_schema.edge = beacon_string("web7");
        fuzz_schema.fields[0] = beacon_string("country");
        fuzz_schema.nfields = 1;
        fuzz_schema.flags[0] = beacon_string("bot");
        fuzz_schema.nflags = 1;
    }

    if (size < 4) {
        return 0;
    }

    fuzz_hit(&hit, data, size);
    len = beacon_hit_size(&hit);
    payload = calloc(1, len + FUZZ_SLACK);
    beacon_hit_write(&hit, payload);

    if (beacon_hit_parse((beacon_str_t) { len, payload }, &parsed)
        == BEACON_OK)
    {
        fuzz_variants(&parsed, (data[0] & 0x80) ? NULL : &fuzz_schema);
    }

    /* and as a payload that no worker wrote */
    free(payload);
    payload = calloc(1, size + FUZZ_SLACK);
    memcpy(payload, data, size);

    if (beacon_hit_parse((beacon_str_t) { size, payload }, &parsed)
        == BEACON_OK)
    {
        fuzz_variants(&parsed, &fuzz_schema);
    }

    free(payload);

    return 0;
}
