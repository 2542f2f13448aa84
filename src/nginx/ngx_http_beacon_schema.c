/*
 * Schemas: each different set of names that locations record by, once.
 */

#include "ngx_http_beacon.h"


static uint32_t ngx_http_beacon_schema_names(ngx_array_t *named,
    beacon_str_t *names);
static uint32_t ngx_http_beacon_schema_flag(beacon_schema_t *schema,
    const char *name);
static ngx_uint_t ngx_http_beacon_schema_same(beacon_str_t *a, beacon_str_t *b,
    uint32_t n);


ngx_int_t
ngx_http_beacon_schema(ngx_conf_t *cf, ngx_http_beacon_loc_conf_t *blcf)
{
    ngx_uint_t                     i;
    beacon_schema_t               *schema, **known;
    ngx_http_beacon_main_conf_t   *bmcf;

    bmcf = blcf->main;

    schema = ngx_pcalloc(cf->pool, sizeof(beacon_schema_t));
    if (schema == NULL) {
        return NGX_ERROR;
    }

    schema->edge.data = bmcf->edge.data;
    schema->edge.len = bmcf->edge.len;
    schema->nfields = ngx_http_beacon_schema_names(blcf->fields,
                                                   schema->fields);
    schema->nflags = ngx_http_beacon_schema_names(blcf->flags, schema->flags);

    blcf->prefetch = ngx_http_beacon_schema_flag(schema, "prefetch");
    blcf->prerender = ngx_http_beacon_schema_flag(schema, "prerender");

    if (blcf->anonymous) {
        blcf->body_dropped = ngx_http_beacon_schema_flag(schema,
                                                         "body_dropped");
        blcf->query_dropped = ngx_http_beacon_schema_flag(schema,
                                                          "query_dropped");
    }

    known = bmcf->schemas.elts;

    for (i = 0; i < bmcf->schemas.nelts; i++) {
        if (known[i]->nfields == schema->nfields
            && known[i]->nflags == schema->nflags
            && ngx_http_beacon_schema_same(known[i]->fields, schema->fields,
                                           schema->nfields)
            && ngx_http_beacon_schema_same(known[i]->flags, schema->flags,
                                           schema->nflags))
        {
            blcf->schema = known[i];
            (void) ngx_pfree(cf->pool, schema);
            return NGX_OK;
        }
    }

    known = ngx_array_push(&bmcf->schemas);
    if (known == NULL) {
        return NGX_ERROR;
    }

    *known = schema;
    blcf->schema = schema;

    return NGX_OK;
}


static uint32_t
ngx_http_beacon_schema_names(ngx_array_t *named, beacon_str_t *names)
{
    ngx_uint_t                i;
    ngx_http_beacon_named_t  *n;

    if (named == NULL) {
        return 0;
    }

    n = named->elts;

    for (i = 0; i < named->nelts; i++) {
        names[i].data = n[i].name.data;
        names[i].len = n[i].name.len;
    }

    return (uint32_t) named->nelts;
}


/*
 * The bit of a flag that the worker sets by itself: that of a "beacon_flag" of
 * the same name, or one more.  The payload so needs no place for them, and a
 * helper of any version renders and counts them.
 */

static uint32_t
ngx_http_beacon_schema_flag(beacon_schema_t *schema, const char *name)
{
    size_t    len;
    uint32_t  i;

    len = ngx_strlen(name);

    for (i = 0; i < schema->nflags; i++) {
        if (schema->flags[i].len == len
            && ngx_memcmp(schema->flags[i].data, name, len) == 0)
        {
            return (uint32_t) 1 << i;
        }
    }

    schema->flags[i].data = (const uint8_t *) name;
    schema->flags[i].len = len;
    schema->nflags++;

    return (uint32_t) 1 << i;
}


static ngx_uint_t
ngx_http_beacon_schema_same(beacon_str_t *a, beacon_str_t *b, uint32_t n)
{
    uint32_t  i;

    for (i = 0; i < n; i++) {
        if (a[i].len != b[i].len
            || ngx_memcmp(a[i].data, b[i].data, a[i].len) != 0)
        {
            return 0;
        }
    }

    return 1;
}
