/*
 * Directives of http{} but for sinks and spool: beacon_ring, beacon_helper,
 * beacon_edge; and what only the whole configuration can tell.
 */

#include "ngx_http_beacon.h"


static char *ngx_http_beacon_conf_ring_arg(ngx_conf_t *cf,
    ngx_http_beacon_main_conf_t *bmcf, ngx_str_t *value);
static ngx_int_t ngx_http_beacon_conf_lane_size(ngx_conf_t *cf,
    ngx_http_beacon_main_conf_t *bmcf, ngx_str_t *value);


/* beacon_ring DIR [lane_size=16m] [lanes=N] [disk=on] */

char *
ngx_http_beacon_conf_ring(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_beacon_main_conf_t  *bmcf = conf;

    char        *rv;
    ngx_str_t   *value;
    ngx_uint_t   i;

    if (bmcf->ring.data) {
        return ngx_http_beacon_conf_duplicate(cf, &bmcf->ring_at) == NGX_OK
               ? NGX_CONF_OK : NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    bmcf->ring = value[1];
    bmcf->lane_size = 16 * 1024 * 1024;

    if (ngx_http_beacon_conf_absolute(cf, &bmcf->ring) != NGX_OK
        || ngx_http_beacon_conf_at(cf, &bmcf->ring_at) != NGX_OK
        || ngx_http_beacon_conf_dir(cf, bmcf, &bmcf->ring, &bmcf->path)
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_beacon_conf_in_use(&bmcf->ring, 1)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" holds files that are not a ring's",
                           &bmcf->ring);
        return NGX_CONF_ERROR;
    }

    for (i = 2; i < cf->args->nelts; i++) {
        rv = ngx_http_beacon_conf_ring_arg(cf, bmcf, &value[i]);
        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_beacon_conf_ring_arg(ngx_conf_t *cf,
    ngx_http_beacon_main_conf_t *bmcf, ngx_str_t *value)
{
    ngx_int_t  n;

    if (ngx_strncmp(value->data, "lane_size=", 10) == 0) {
        return (ngx_http_beacon_conf_lane_size(cf, bmcf, value) == NGX_OK)
               ? NGX_CONF_OK : NGX_CONF_ERROR;
    }

    if (ngx_strncmp(value->data, "lanes=", 6) == 0) {
        n = ngx_atoi(value->data + 6, value->len - 6);

        if (n < 1 || n > BEACON_LANES_MAX) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid number of lanes in \"%V\": "
                               "1 to %d are possible",
                               value, BEACON_LANES_MAX);
            return NGX_CONF_ERROR;
        }

        bmcf->lanes = n;
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value->data, "disk=on") == 0) {
        bmcf->disk = 1;
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value->data, "disk=off") == 0) {
        bmcf->disk = 0;
        return NGX_CONF_OK;
    }

    return ngx_http_beacon_conf_invalid(cf, value);
}


static ngx_int_t
ngx_http_beacon_conf_lane_size(ngx_conf_t *cf,
    ngx_http_beacon_main_conf_t *bmcf, ngx_str_t *value)
{
    off_t      size;
    ngx_str_t  s;

    s.data = value->data + 10;
    s.len = value->len - 10;

    size = ngx_parse_offset(&s);

    if (size == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid size in \"%V\"",
                           value);
        return NGX_ERROR;
    }

    if (size < BEACON_LANE_MIN || size > BEACON_LANE_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid size in \"%V\": "
                           "a lane takes %dk to %dm",
                           value, BEACON_LANE_MIN / 1024,
                           BEACON_LANE_MAX / 1024 / 1024);
        return NGX_ERROR;
    }

    if (size & (size - 1)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid size in \"%V\": it must be a power of two",
                           value);
        return NGX_ERROR;
    }

    bmcf->lane_size = size;

    return NGX_OK;
}


/* beacon_helper PATH|external [threads=N] */

char *
ngx_http_beacon_conf_helper(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_beacon_main_conf_t  *bmcf = conf;

    ngx_int_t    n;
    ngx_str_t   *value;
    ngx_uint_t   i;

    if (bmcf->helper_at.len) {
        return ngx_http_beacon_conf_duplicate(cf, &bmcf->helper_at) == NGX_OK
               ? NGX_CONF_OK : NGX_CONF_ERROR;
    }

    if (ngx_http_beacon_conf_at(cf, &bmcf->helper_at) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "external") == 0) {
        bmcf->external = 1;

    } else {
        bmcf->helper = value[1];

        if (bmcf->helper.len == 0
            || ngx_conf_full_name(cf->cycle, &bmcf->helper, 0) != NGX_OK)
        {
            return "needs the path of beacond, or \"external\"";
        }
    }

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "threads=", 8) == 0) {
            n = ngx_atoi(value[i].data + 8, value[i].len - 8);

            if (n < 1 || n > BEACON_LANES_MAX) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "invalid number of threads in \"%V\": "
                                   "1 to %d are possible",
                                   &value[i], BEACON_LANES_MAX);
                return NGX_CONF_ERROR;
            }

            bmcf->threads = n;
            continue;
        }

        return ngx_http_beacon_conf_invalid(cf, &value[i]);
    }

    return NGX_CONF_OK;
}


char *
ngx_http_beacon_conf_edge(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_beacon_main_conf_t  *bmcf = conf;

    ngx_str_t  *value;

    if (bmcf->edge.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (!beacon_schema_edge_valid(value[1].data, value[1].len)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid name \"%V\": 1 to 255 bytes of UTF-8 "
                           "without spaces, quotes, backslashes and control "
                           "characters", &value[1]);
        return NGX_CONF_ERROR;
    }

    bmcf->edge = value[1];

    return NGX_CONF_OK;
}


char *
ngx_http_beacon_conf_invalid(ngx_conf_t *cf, ngx_str_t *value)
{
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid parameter \"%V\"", value);

    return NGX_CONF_ERROR;
}


ngx_int_t
ngx_http_beacon_conf_duplicate(ngx_conf_t *cf, ngx_str_t *at)
{
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "the directive is duplicate, the first stands in %V",
                       at);

    return NGX_ERROR;
}


/* "FILE:LINE" of the directive being read. */

ngx_int_t
ngx_http_beacon_conf_at(ngx_conf_t *cf, ngx_str_t *at)
{
    ngx_str_t  *file;

    file = &cf->conf_file->file.name;

    at->data = ngx_pnalloc(cf->pool, file->len + 1 + NGX_INT_T_LEN + 1);
    if (at->data == NULL) {
        return NGX_ERROR;
    }

    at->len = ngx_sprintf(at->data, "%V:%ui%Z", file, cf->conf_file->line)
              - at->data - 1;

    return NGX_OK;
}


/* Takes slashes from the end; what is left starts with one and is not it. */

ngx_int_t
ngx_http_beacon_conf_absolute(ngx_conf_t *cf, ngx_str_t *name)
{
    while (name->len > 1 && name->data[name->len - 1] == '/') {
        name->data[--name->len] = '\0';
    }

    if (name->len < 2 || name->data[0] != '/') {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" must be an absolute path", name);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_beacon_conf_durable(ngx_http_beacon_main_conf_t *bmcf)
{
    ngx_uint_t               i;
    ngx_http_beacon_sink_t  *sink;

    sink = bmcf->sinks.elts;

    for (i = 0; i < bmcf->sinks.nelts; i++) {
        if (sink[i].live == NULL && sink[i].spy == NULL) {
            return 1;
        }
    }

    return 0;
}


/* Who collects feeds puts them into the live store. */

static ngx_int_t
ngx_http_beacon_conf_stored(ngx_conf_t *cf, ngx_http_beacon_main_conf_t *bmcf)
{
    ngx_uint_t               i;
    ngx_http_beacon_spy_t   *spy;
    ngx_http_beacon_sink_t  *sink;

    sink = bmcf->sinks.elts;

    for (i = 0; i < bmcf->sinks.nelts && bmcf->live == NULL; i++) {
        spy = sink[i].spy;

        if (spy && spy->collect) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "\"beacon_spy_collect\" in %V needs a "
                          "\"beacon_live\"", &spy->at);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* The end of http{}, before locations are merged. */

char *
ngx_http_beacon_conf_init(ngx_conf_t *cf, ngx_http_beacon_main_conf_t *bmcf)
{
    if (bmcf->edge.data == NULL) {
        bmcf->edge = cf->cycle->hostname;

        if (bmcf->ring.data
            && !beacon_schema_edge_valid(bmcf->edge.data, bmcf->edge.len))
        {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "this host's name \"%V\" cannot name it in records: "
                          "use \"beacon_edge\"", &bmcf->edge);
            return NGX_CONF_ERROR;
        }
    }

    if (bmcf->helper.data == NULL) {
        ngx_str_set(&bmcf->helper, NGX_HTTP_BEACON_HELPER);
    }

    if (bmcf->threads == 0) {
        bmcf->threads = 1;
    }

    if (ngx_http_beacon_conf_stored(cf, bmcf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (bmcf->ring.data == NULL) {
        if (bmcf->sinks.nelts || bmcf->spool.data) {
            ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                          "no \"beacon_ring\" is defined: "
                          "Beacon's other directives do nothing");
        }

        return NGX_CONF_OK;
    }

    if (!ngx_http_beacon_conf_durable(bmcf)) {
        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "\"beacon_ring\" in %V has no durable sink, such as a "
                      "\"beacon_log\": no hit is kept", &bmcf->ring_at);
    }

    return NGX_CONF_OK;
}
