/* The value of a template's variable for a hit. */

#include "beacon_template.h"

#include <stdlib.h>
#include <string.h>

/* What is left of name behind prefix, NULL data: it does not start so. */
static beacon_str_t
beacon_template_behind(beacon_str_t name, const char *prefix)
{
    size_t  len = strlen(prefix);

    if (name.len <= len || memcmp(name.data, prefix, len) != 0) {
        return (beacon_str_t) { 0, NULL };
    }

    return (beacon_str_t) { name.len - len, name.data + len };
}

static int
beacon_template_is(beacon_str_t s, const char *word)
{
    return s.len == strlen(word) && memcmp(s.data, word, s.len) == 0;
}

static size_t
beacon_template_cut(beacon_str_t value, uint8_t *buf)
{
    size_t  len = value.len;

    if (len > BEACON_TEMPLATE_VALUE_MAX) {
        len = BEACON_TEMPLATE_VALUE_MAX;
    }

    if (len) {
        memcpy(buf, value.data, len);
    }

    return len;
}

static size_t
beacon_template_field(beacon_str_t name, const beacon_hit_t *hit,
    const beacon_schema_t *schema, uint8_t *buf)
{
    uint32_t  i;

    if (schema == NULL) {
        return 0;
    }

    for (i = 0; i < schema->nfields && i < hit->nfields; i++) {
        if (schema->fields[i].len == name.len
            && memcmp(schema->fields[i].data, name.data, name.len) == 0)
        {
            return beacon_template_cut(hit->fields[i], buf);
        }
    }

    return 0;
}

static size_t
beacon_template_arg(beacon_str_t name, const beacon_hit_t *hit, uint8_t *buf)
{
    size_t        len = 0;
    uint8_t       stack[4096], *heap = NULL;
    beacon_str_t  value, query = hit->strings[BEACON_HIT_QUERY];

    if (query.len > sizeof(stack)) {
        heap = malloc(query.len);

        if (heap == NULL) {
            return 0;
        }
    }

    if (beacon_query_arg(query, name, heap ? heap : stack, &value)
        == BEACON_OK)
    {
        len = beacon_template_cut(value, buf);
    }

    free(heap);

    return len;
}

size_t
beacon_template_value(beacon_str_t name, const beacon_hit_t *hit,
    const beacon_schema_t *schema, beacon_str_t id, uint8_t *buf)
{
    beacon_str_t  rest;

    if (beacon_template_is(name, "beacon_visitor")) {
        return beacon_template_cut(hit->strings[BEACON_HIT_VISITOR], buf);
    }

    if (beacon_template_is(name, "beacon_id")) {
        return beacon_template_cut(id, buf);
    }

    if (beacon_template_is(name, "beacon_edge")) {
        return schema ? beacon_template_cut(schema->edge, buf) : 0;
    }

    rest = beacon_template_behind(name, "beacon_field_");

    if (rest.data) {
        return beacon_template_field(rest, hit, schema, buf);
    }

    rest = beacon_template_behind(name, "beacon_arg_");

    return rest.data ? beacon_template_arg(rest, hit, buf) : 0;
}
