/* beacon.json, as the helper reads it: src/README.md, "beacon.json". */

#include "ngx_http_beacon_publish.h"


#define NGX_HTTP_BEACON_JSON_FIXED  512     /* keys and numbers of an object */


static size_t ngx_http_beacon_json_size(ngx_http_beacon_main_conf_t *bmcf);
static u_char *ngx_http_beacon_json_string(u_char *p, const char *key,
    ngx_str_t *value);
static u_char *ngx_http_beacon_json_ring(u_char *p, ngx_cycle_t *cycle,
    ngx_http_beacon_main_conf_t *bmcf);
static u_char *ngx_http_beacon_json_sink(u_char *p,
    ngx_http_beacon_main_conf_t *bmcf, ngx_http_beacon_sink_t *sink);
static size_t ngx_http_beacon_json_kafka_size(ngx_http_beacon_kafka_t *kafka);
static u_char *ngx_http_beacon_json_kafka(u_char *p,
    ngx_http_beacon_kafka_t *kafka);
static u_char *ngx_http_beacon_json_live(u_char *p,
    ngx_http_beacon_live_t *live);
static size_t ngx_http_beacon_json_spy_size(ngx_http_beacon_main_conf_t *bmcf,
    ngx_http_beacon_sink_t *sink);
static u_char *ngx_http_beacon_json_spy(u_char *p,
    ngx_http_beacon_main_conf_t *bmcf, ngx_http_beacon_sink_t *sink);
static u_char *ngx_http_beacon_json_endpoints(u_char *p,
    ngx_http_beacon_spy_t *spy, ngx_uint_t bind);
static const char *ngx_http_beacon_json_level(ngx_cycle_t *cycle);


ngx_int_t
ngx_http_beacon_json(ngx_cycle_t *cycle, ngx_http_beacon_main_conf_t *bmcf,
    ngx_str_t *tail)
{
    u_char                  *p;
    ngx_uint_t               i;
    ngx_http_beacon_sink_t  *sink;

    p = ngx_pnalloc(cycle->pool, ngx_http_beacon_json_size(bmcf));
    if (p == NULL) {
        return NGX_ERROR;
    }

    tail->data = p;

    p = ngx_sprintf(p, ",\n\"build\":\"%s\",\"layout\":%d",
                    BEACON_VERSION, (int) BEACON_LAYOUT);
    p = ngx_http_beacon_json_string(p, ",\"edge\":", &bmcf->edge);

    p = ngx_http_beacon_json_ring(p, cycle, bmcf);

    if (bmcf->spool.data) {
        p = ngx_http_beacon_json_string(p, ",\n\"spool\":{\"dir\":",
                                        &bmcf->spool);
        p = ngx_sprintf(p, ",\"size\":%O,\"min_free\":%ui", bmcf->spool_size,
                        bmcf->spool_min_free);
        p = ngx_http_beacon_json_string(p, ",\"at\":", &bmcf->spool_at);
        *p++ = '}';
    }

    p = ngx_sprintf(p, ",\n\"sinks\":[");
    sink = bmcf->sinks.elts;

    for (i = 0; i < bmcf->sinks.nelts; i++) {
        if (i) {
            *p++ = ',';
        }

        p = ngx_http_beacon_json_sink(p, bmcf, &sink[i]);
    }

    p = ngx_sprintf(p, "]}\n");

    tail->len = p - tail->data;

    return NGX_OK;
}


/* The ring, and the helper. */

static u_char *
ngx_http_beacon_json_ring(u_char *p, ngx_cycle_t *cycle,
    ngx_http_beacon_main_conf_t *bmcf)
{
    p = ngx_http_beacon_json_string(p, ",\n\"ring\":{\"dir\":", &bmcf->ring);

    if (bmcf->epoch) {
        p = ngx_sprintf(p, ",\"epoch\":\"%016xL\"", bmcf->epoch);
    }

    p = ngx_sprintf(p, ",\"lane_size\":%uL,\"lanes\":%ui", bmcf->lane_size,
                    ngx_http_beacon_lanes(cycle, bmcf));
    p = ngx_http_beacon_json_string(p, ",\"at\":", &bmcf->ring_at);

    p = ngx_sprintf(p, "},\n\"helper\":{\"threads\":%ui,\"external\":%s,"
                    "\"log\":\"%s\"", bmcf->threads,
                    bmcf->external ? "true" : "false",
                    ngx_http_beacon_json_level(cycle));
    p = ngx_http_beacon_json_string(p, ",\"at\":", &bmcf->helper_at);
    *p++ = '}';

    return p;
}


/* No less than the text takes: a byte becomes six (\u0001) at most. */

static size_t
ngx_http_beacon_json_size(ngx_http_beacon_main_conf_t *bmcf)
{
    size_t                   size, fixed;
    ngx_uint_t               i;
    ngx_http_beacon_sink_t  *sink;

    fixed = 4 * NGX_HTTP_BEACON_JSON_FIXED;

    size = bmcf->edge.len + bmcf->ring.len + bmcf->ring_at.len
           + bmcf->helper_at.len + bmcf->spool.len + bmcf->spool_at.len;

    sink = bmcf->sinks.elts;

    for (i = 0; i < bmcf->sinks.nelts; i++) {
        size += sink[i].type.len + sink[i].name.len + sink[i].path.len
                + sink[i].timezone.len + sink[i].sync.len + sink[i].at.len;
        fixed += NGX_HTTP_BEACON_JSON_FIXED;

        if (sink[i].kafka) {
            fixed += ngx_http_beacon_json_kafka_size(sink[i].kafka);
        }

        if (sink[i].live) {
            size += bmcf->live->key.len;
        }

        if (sink[i].spy) {
            fixed += ngx_http_beacon_json_spy_size(bmcf, &sink[i]);
        }
    }

    return 6 * size + fixed;
}


/* key: everything up to the value, comma and all. */

static u_char *
ngx_http_beacon_json_string(u_char *p, const char *key, ngx_str_t *value)
{
    p = ngx_sprintf(p, "%s\"", key);
    p = (u_char *) ngx_escape_json(p, value->data, value->len);
    *p++ = '"';

    return p;
}


static u_char *
ngx_http_beacon_json_sink(u_char *p, ngx_http_beacon_main_conf_t *bmcf,
    ngx_http_beacon_sink_t *sink)
{
    p = ngx_http_beacon_json_string(p, "\n{\"type\":", &sink->type);
    p = ngx_http_beacon_json_string(p, ",\"name\":", &sink->name);

    if (sink->path.len) {
        p = ngx_http_beacon_json_string(p, ",\"path\":", &sink->path);
    }

    if (sink->kafka) {
        p = ngx_http_beacon_json_kafka(p, sink->kafka);
    }

    if (sink->live) {
        p = ngx_http_beacon_json_live(p, sink->live);
    }

    if (sink->spy) {
        p = ngx_http_beacon_json_spy(p, bmcf, sink);
    }

    if (sink->timezone.len) {
        p = ngx_http_beacon_json_string(p, ",\"timezone\":", &sink->timezone);
    }

    if (sink->sync.len) {
        p = ngx_http_beacon_json_string(p, ",\"sync\":", &sink->sync);
    }

    if (sink->max_files) {
        p = ngx_sprintf(p, ",\"max_files\":%ui", sink->max_files);
    }

    p = ngx_http_beacon_json_string(p, ",\"at\":", &sink->at);
    *p++ = '}';

    return p;
}


static size_t
ngx_http_beacon_json_kafka_size(ngx_http_beacon_kafka_t *kafka)
{
    size_t                       size;
    ngx_uint_t                   i;
    ngx_http_beacon_property_t  *property;

    size = kafka->brokers.len + kafka->topic.len + kafka->key.len
           + kafka->file.len + kafka->file_at.len + kafka->stamp.len;

    property = kafka->properties.elts;

    for (i = 0; i < kafka->properties.nelts; i++) {
        size += property[i].name.len + property[i].value.len
                + property[i].at.len;
    }

    return 6 * size + (i + 1) * NGX_HTTP_BEACON_JSON_FIXED;
}


static u_char *
ngx_http_beacon_json_kafka(u_char *p, ngx_http_beacon_kafka_t *kafka)
{
    ngx_uint_t                   i;
    ngx_http_beacon_property_t  *property;

    p = ngx_http_beacon_json_string(p, ",\"brokers\":", &kafka->brokers);
    p = ngx_http_beacon_json_string(p, ",\"topic\":", &kafka->topic);

    if (kafka->key.len) {
        p = ngx_http_beacon_json_string(p, ",\"key\":", &kafka->key);
    }

    p = ngx_sprintf(p, ",\"window\":%ui,\"max_topics\":%ui,\"properties\":[",
                    kafka->window, kafka->max_topics);
    property = kafka->properties.elts;

    for (i = 0; i < kafka->properties.nelts; i++) {
        p = ngx_http_beacon_json_string(p, i ? ",{\"name\":" : "{\"name\":",
                                        &property[i].name);
        p = ngx_http_beacon_json_string(p, ",\"value\":", &property[i].value);
        p = ngx_http_beacon_json_string(p, ",\"at\":", &property[i].at);
        *p++ = '}';
    }

    *p++ = ']';

    if (kafka->file.len) {
        p = ngx_http_beacon_json_string(p, ",\"property_file\":",
                                        &kafka->file);
        p = ngx_http_beacon_json_string(p, ",\"property_file_at\":",
                                        &kafka->file_at);
        p = ngx_http_beacon_json_string(p, ",\"property_stamp\":",
                                        &kafka->stamp);
    }

    return p;
}


static u_char *
ngx_http_beacon_json_live(u_char *p, ngx_http_beacon_live_t *live)
{
    p = ngx_sprintf(p, ",\"size\":%O,\"visitors\":%ui", live->size,
                    live->visitors);

    if (live->key.len) {
        p = ngx_http_beacon_json_string(p, ",\"key\":", &live->key);
    }

    return p;
}


static size_t
ngx_http_beacon_json_spy_size(ngx_http_beacon_main_conf_t *bmcf,
    ngx_http_beacon_sink_t *sink)
{
    size_t                       size;
    ngx_str_t                   *site;
    ngx_uint_t                   i;
    ngx_http_beacon_spy_t       *spy;
    ngx_http_beacon_endpoint_t  *endpoint;

    spy = sink->spy;
    size = bmcf->ring.len + sink->name.len + spy->curve.len + spy->stamp.len;

    if (bmcf->live) {
        size += bmcf->live->key.len;
    }

    endpoint = spy->endpoints.elts;

    for (i = 0; i < spy->endpoints.nelts; i++) {
        size += endpoint[i].text.len + sizeof("\"\",") - 1;
    }

    site = spy->sites.elts;

    for (i = 0; i < spy->sites.nelts; i++) {
        size += site[i].len + sizeof("\"\",") - 1;
    }

    return 6 * size + NGX_HTTP_BEACON_JSON_FIXED;
}


/* Without an endpoint: a socket in the ring's directory, by the sink's name. */

static u_char *
ngx_http_beacon_json_spy(u_char *p, ngx_http_beacon_main_conf_t *bmcf,
    ngx_http_beacon_sink_t *sink)
{
    ngx_str_t              *site;
    ngx_uint_t              i;
    ngx_http_beacon_spy_t  *spy;

    spy = sink->spy;

    if (spy->endpoints.nelts == 0) {
        p = ngx_sprintf(p, ",\"bind\":[\"ipc://");
        p = (u_char *) ngx_escape_json(p, bmcf->ring.data, bmcf->ring.len);
        p = ngx_sprintf(p, "/%V.sock\"]", &sink->name);
    }

    p = ngx_http_beacon_json_endpoints(p, spy, 1);
    p = ngx_http_beacon_json_endpoints(p, spy, 0);

    if (spy->curve.len) {
        p = ngx_http_beacon_json_string(p, ",\"curve\":", &spy->curve);
        p = ngx_http_beacon_json_string(p, ",\"curve_stamp\":", &spy->stamp);
    }

    p = ngx_sprintf(p, ",\"insecure\":%s", spy->insecure ? "true" : "false");

    if (!spy->collect) {
        if (bmcf->live && bmcf->live->key.len) {
            p = ngx_http_beacon_json_string(p, ",\"key\":", &bmcf->live->key);
        }

        return ngx_sprintf(p, ",\"ip\":%s", spy->ip ? "true" : "false");
    }

    site = spy->sites.elts;

    for (i = 0; i < spy->sites.nelts; i++) {
        p = ngx_http_beacon_json_string(p, i ? "," : ",\"sites\":[", &site[i]);
    }

    if (i) {
        *p++ = ']';
    }

    return p;
}


static u_char *
ngx_http_beacon_json_endpoints(u_char *p, ngx_http_beacon_spy_t *spy,
    ngx_uint_t bind)
{
    ngx_uint_t                   i, n;
    ngx_http_beacon_endpoint_t  *endpoint;

    endpoint = spy->endpoints.elts;

    for (i = 0, n = 0; i < spy->endpoints.nelts; i++) {
        if (endpoint[i].bind != bind) {
            continue;
        }

        p = ngx_http_beacon_json_string(p, n++ ? "," : bind ? ",\"bind\":["
                                                          : ",\"connect\":[",
                                        &endpoint[i].text);
    }

    if (n) {
        *p++ = ']';
    }

    return p;
}


/* Of the error log that the helper's standard error goes to. */

static const char *
ngx_http_beacon_json_level(ngx_cycle_t *cycle)
{
    ngx_log_t   *log;
    ngx_uint_t   level;

    static const char  *levels[] = {
        "emerg", "emerg", "alert", "crit", "error", "warn", "notice", "info",
        "debug"
    };

    log = ngx_log_get_file_log(cycle->log);
    level = log ? log->log_level : NGX_LOG_NOTICE;

    return levels[ngx_min(level, NGX_LOG_DEBUG)];
}
