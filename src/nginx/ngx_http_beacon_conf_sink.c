/*
 * Directives that name sinks: beacon_log, beacon_ids.
 */

#include "ngx_http_beacon.h"

#include "beacon_template.h"
#include "beacon_tz.h"


static char *ngx_http_beacon_conf_log_arg(ngx_conf_t *cf,
    ngx_http_beacon_sink_t *sink, ngx_str_t *value);
static char *ngx_http_beacon_conf_log_path(ngx_conf_t *cf,
    ngx_http_beacon_main_conf_t *bmcf, ngx_http_beacon_sink_t *sink);
static char *ngx_http_beacon_conf_timezone(ngx_conf_t *cf,
    ngx_http_beacon_sink_t *sink);
static char *ngx_http_beacon_conf_sync(ngx_conf_t *cf,
    ngx_http_beacon_sink_t *sink, ngx_str_t *text);
static ngx_int_t ngx_http_beacon_conf_fields(ngx_conf_t *cf,
    ngx_http_beacon_main_conf_t *bmcf, ngx_http_beacon_sink_t *sink,
    ngx_str_t *text);
static ngx_uint_t ngx_http_beacon_conf_field_known(
    ngx_http_beacon_main_conf_t *bmcf, beacon_str_t name);


#define NGX_HTTP_BEACON_MAX_FILES  1000000


/* beacon_log TEMPLATE [name=] [timezone=] [sync=] [max_files=] */

char *
ngx_http_beacon_conf_log(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_beacon_main_conf_t  *bmcf = conf;

    char                    *rv;
    ngx_str_t               *value;
    ngx_uint_t               i;
    ngx_http_beacon_sink_t  *sink;

    static ngx_str_t  type = ngx_string("log");

    sink = ngx_http_beacon_conf_sink(cf, bmcf, &type);
    if (sink == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    sink->path = value[1];
    ngx_str_set(&sink->timezone, "UTC");
    ngx_str_set(&sink->sync, "1000ms");
    sink->max_files = 512;

    for (i = 2; i < cf->args->nelts; i++) {
        rv = ngx_http_beacon_conf_log_arg(cf, sink, &value[i]);
        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    rv = ngx_http_beacon_conf_log_path(cf, bmcf, sink);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    rv = ngx_http_beacon_conf_timezone(cf, sink);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    return ngx_http_beacon_conf_sink_name(cf, bmcf, sink);
}


/* beacon_ids FILE [name=] */

char *
ngx_http_beacon_conf_ids(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_beacon_main_conf_t  *bmcf = conf;

    u_char                  *p;
    ngx_str_t               *value, dir;
    ngx_uint_t               i;
    ngx_path_t              *path;
    ngx_http_beacon_sink_t  *sink;

    static ngx_str_t  type = ngx_string("ids");

    sink = ngx_http_beacon_conf_sink(cf, bmcf, &type);
    if (sink == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;
    sink->path = value[1];

    for (i = 2; i < cf->args->nelts; i++) {
        if (ngx_strncmp(value[i].data, "name=", 5) != 0) {
            return ngx_http_beacon_conf_invalid(cf, &value[i]);
        }

        sink->name.data = value[i].data + 5;
        sink->name.len = value[i].len - 5;
    }

    p = sink->path.data + sink->path.len;

    while (p > sink->path.data && *(p - 1) != '/') {
        p--;
    }

    if (sink->path.len < 4 || sink->path.data[0] != '/'
        || p - sink->path.data < 3 || *p == '\0')
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" must be an absolute path of a file in a "
                           "directory", &sink->path);
        return NGX_CONF_ERROR;
    }

    dir.len = p - 1 - sink->path.data;
    dir.data = ngx_pnalloc(cf->pool, dir.len + 1);
    if (dir.data == NULL) {
        return NGX_CONF_ERROR;
    }

    (void) ngx_cpystrn(dir.data, sink->path.data, dir.len + 1);

    if (ngx_http_beacon_conf_dir(cf, bmcf, &dir, &path) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return ngx_http_beacon_conf_sink_name(cf, bmcf, sink);
}


/* The next sink, with its type and its place. */

ngx_http_beacon_sink_t *
ngx_http_beacon_conf_sink(ngx_conf_t *cf, ngx_http_beacon_main_conf_t *bmcf,
    ngx_str_t *type)
{
    ngx_http_beacon_sink_t  *sink;

    if (bmcf->sinks.nelts == BEACON_BOOKS_SINKS) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "more than %d sinks",
                           BEACON_BOOKS_SINKS);
        return NULL;
    }

    sink = ngx_array_push(&bmcf->sinks);
    if (sink == NULL) {
        return NULL;
    }

    ngx_memzero(sink, sizeof(ngx_http_beacon_sink_t));

    sink->type = *type;

    if (ngx_http_beacon_conf_at(cf, &sink->at) != NGX_OK) {
        return NULL;
    }

    return sink;
}


/* A name of its own: by default the type, from the second on with a number. */

char *
ngx_http_beacon_conf_sink_name(ngx_conf_t *cf,
    ngx_http_beacon_main_conf_t *bmcf, ngx_http_beacon_sink_t *sink)
{
    ngx_uint_t               i, n;
    ngx_http_beacon_sink_t  *other;

    other = bmcf->sinks.elts;

    if (sink->name.data == NULL) {
        for (i = 0, n = 0; i < bmcf->sinks.nelts; i++) {
            n += (other[i].type.data == sink->type.data);
        }

        sink->name = sink->type;

        if (n > 1) {
            sink->name.data = ngx_pnalloc(cf->pool,
                                          sink->type.len + 1 + NGX_INT_T_LEN);
            if (sink->name.data == NULL) {
                return NGX_CONF_ERROR;
            }

            sink->name.len = ngx_sprintf(sink->name.data, "%V-%ui",
                                         &sink->type, n)
                             - sink->name.data;
        }
    }

    if (sink->name.len >= sizeof(((beacon_books_sink_t *) 0)->name)
        || !beacon_site_valid(sink->name.data, sink->name.len))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid name \"%V\": 1 to 63 of "
                           "A-Z a-z 0-9 _ . -, not starting with a dot or "
                           "underscore", &sink->name);
        return NGX_CONF_ERROR;
    }

    for (i = 0; i < bmcf->sinks.nelts; i++) {
        if (&other[i] != sink
            && other[i].name.len == sink->name.len
            && ngx_memcmp(other[i].name.data, sink->name.data, sink->name.len)
               == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "the sink in %V is named \"%V\" too",
                               &other[i].at, &sink->name);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_beacon_conf_log_arg(ngx_conf_t *cf, ngx_http_beacon_sink_t *sink,
    ngx_str_t *value)
{
    ngx_int_t  n;
    ngx_str_t  text;

    if (ngx_strncmp(value->data, "name=", 5) == 0) {
        sink->name.data = value->data + 5;
        sink->name.len = value->len - 5;
        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value->data, "timezone=", 9) == 0) {
        sink->timezone.data = value->data + 9;
        sink->timezone.len = value->len - 9;
        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value->data, "sync=", 5) == 0) {
        text.data = value->data + 5;
        text.len = value->len - 5;
        return ngx_http_beacon_conf_sync(cf, sink, &text);
    }

    if (ngx_strncmp(value->data, "max_files=", 10) == 0) {
        n = ngx_atoi(value->data + 10, value->len - 10);

        if (n < 1 || n > NGX_HTTP_BEACON_MAX_FILES) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid number of files in \"%V\": "
                               "1 to %d are possible",
                               value, NGX_HTTP_BEACON_MAX_FILES);
            return NGX_CONF_ERROR;
        }

        sink->max_files = n;
        return NGX_CONF_OK;
    }

    return ngx_http_beacon_conf_invalid(cf, value);
}


static char *
ngx_http_beacon_conf_sync(ngx_conf_t *cf, ngx_http_beacon_sink_t *sink,
    ngx_str_t *text)
{
    ngx_int_t  msec;

    if (ngx_strcmp(text->data, "always") == 0
        || ngx_strcmp(text->data, "off") == 0)
    {
        sink->sync = *text;
        return NGX_CONF_OK;
    }

    msec = ngx_parse_time(text, 0);

    if (msec == NGX_ERROR || msec == 0 || msec > 24 * 60 * 60 * 1000) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid \"sync=%V\": a time of up to 1d, "
                           "\"always\" or \"off\"", text);
        return NGX_CONF_ERROR;
    }

    sink->sync.data = ngx_pnalloc(cf->pool, NGX_INT_T_LEN + 2);
    if (sink->sync.data == NULL) {
        return NGX_CONF_ERROR;
    }

    sink->sync.len = ngx_sprintf(sink->sync.data, "%ims", msec)
                     - sink->sync.data;

    return NGX_CONF_OK;
}


static char *
ngx_http_beacon_conf_log_path(ngx_conf_t *cf,
    ngx_http_beacon_main_conf_t *bmcf, ngx_http_beacon_sink_t *sink)
{
    ngx_int_t           rc;
    ngx_str_t           name;
    ngx_path_t         *path;
    beacon_rc_t         brc;
    beacon_str_t        text, dir;
    beacon_err_t        err;
    beacon_template_t  *tmpl;

    text.data = sink->path.data;
    text.len = sink->path.len;

    err.text[0] = '\0';

    brc = beacon_template_create(text, &tmpl, &err);

    if (brc != BEACON_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid template \"%V\": %s",
                           &sink->path, err.text);
        return NGX_CONF_ERROR;
    }

    brc = beacon_template_path(tmpl, &dir, &err);

    if (brc != BEACON_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid template \"%V\": %s",
                           &sink->path, err.text);
        beacon_template_destroy(tmpl);
        return NGX_CONF_ERROR;
    }

    rc = NGX_ERROR;

    name.len = dir.len;
    name.data = ngx_pnalloc(cf->pool, dir.len + 1);

    if (name.data) {
        (void) ngx_cpystrn(name.data, (u_char *) dir.data, dir.len + 1);
        rc = ngx_http_beacon_conf_dir(cf, bmcf, &name, &path);
    }

    beacon_template_destroy(tmpl);

    return (rc == NGX_OK) ? NGX_CONF_OK : NGX_CONF_ERROR;
}


/* A zone, or a template of one. */

static char *
ngx_http_beacon_conf_timezone(ngx_conf_t *cf, ngx_http_beacon_sink_t *sink)
{
    beacon_rc_t         rc;
    beacon_tz_t        *tz;
    beacon_err_t        err;
    beacon_str_t        text;
    beacon_template_t  *tmpl;

    err.text[0] = '\0';

    if (ngx_strchr(sink->timezone.data, '$') == NULL) {
        rc = beacon_tz_create((char *) sink->timezone.data, &tz, &err);

        if (rc == BEACON_OK) {
            beacon_tz_destroy(tz);
            return NGX_CONF_OK;
        }

    } else {
        text.data = sink->timezone.data;
        text.len = sink->timezone.len;

        rc = beacon_template_create(text, &tmpl, &err);

        if (rc == BEACON_OK) {
            beacon_template_destroy(tmpl);
            return NGX_CONF_OK;
        }
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid time zone \"%V\": %s",
                       &sink->timezone, err.text);

    return NGX_CONF_ERROR;
}


/* When locations are merged: no template may name a field that nobody sets. */

ngx_int_t
ngx_http_beacon_conf_sinks(ngx_conf_t *cf, ngx_http_beacon_main_conf_t *bmcf)
{
    ngx_str_t                *text[2];
    ngx_uint_t                i, n;
    ngx_http_beacon_sink_t   *sink;
    ngx_http_beacon_kafka_t  *kafka;

    sink = bmcf->sinks.elts;

    for (i = 0; i < bmcf->sinks.nelts; i++) {
        kafka = sink[i].kafka;

        if (kafka) {
            text[0] = &kafka->topic;
            text[1] = &kafka->key;

        } else if (sink[i].timezone.data) {
            text[0] = &sink[i].path;
            text[1] = &sink[i].timezone;

        } else {
            /* no templates */
            continue;
        }

        for (n = 0; n < 2; n++) {
            if (text[n]->len
                && ngx_http_beacon_conf_fields(cf, bmcf, &sink[i], text[n])
                   != NGX_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_beacon_conf_fields(ngx_conf_t *cf, ngx_http_beacon_main_conf_t *bmcf,
    ngx_http_beacon_sink_t *sink, ngx_str_t *text)
{
    ngx_int_t           rc;
    ngx_str_t           var;
    ngx_uint_t          i;
    beacon_str_t        s, name;
    beacon_template_t  *tmpl;

    s.data = text->data;
    s.len = text->len;

    if (beacon_template_create(s, &tmpl, NULL) != BEACON_OK) {
        return NGX_ERROR;
    }

    rc = NGX_OK;

    for (i = 0; i < beacon_template_nvars(tmpl); i++) {
        name = beacon_template_var(tmpl, i);

        if (name.len <= sizeof("beacon_field_") - 1
            || ngx_memcmp(name.data, "beacon_field_",
                          sizeof("beacon_field_") - 1)
               != 0)
        {
            continue;
        }

        var.data = (u_char *) name.data;
        var.len = name.len;

        name.data += sizeof("beacon_field_") - 1;
        name.len -= sizeof("beacon_field_") - 1;

        if (!ngx_http_beacon_conf_field_known(bmcf, name)) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "unknown variable \"$%V\" in \"%V\" in %V: "
                          "no \"beacon_field\" of that name",
                          &var, text, &sink->at);
            rc = NGX_ERROR;
            break;
        }
    }

    beacon_template_destroy(tmpl);

    return rc;
}


static ngx_uint_t
ngx_http_beacon_conf_field_known(ngx_http_beacon_main_conf_t *bmcf,
    beacon_str_t name)
{
    uint32_t           n;
    ngx_uint_t         i;
    beacon_schema_t  **schema;

    schema = bmcf->schemas.elts;

    for (i = 0; i < bmcf->schemas.nelts; i++) {
        for (n = 0; n < schema[i]->nfields; n++) {
            if (schema[i]->fields[n].len == name.len
                && ngx_memcmp(schema[i]->fields[n].data, name.data, name.len)
                   == 0)
            {
                return 1;
            }
        }
    }

    return 0;
}
