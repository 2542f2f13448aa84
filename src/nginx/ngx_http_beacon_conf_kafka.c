/*
 * beacon_kafka, and the properties below it.  What librdkafka thinks of them,
 * and the property file's text, is for beacond -t to say; values are never
 * told: any may be a secret.
 */

#include "ngx_http_beacon.h"

#include "beacon_kafka.h"


static char *ngx_http_beacon_conf_kafka_arg(ngx_conf_t *cf,
    ngx_http_beacon_sink_t *sink, ngx_str_t *value);
static char *ngx_http_beacon_conf_kafka_text(ngx_conf_t *cf, ngx_str_t *value,
    size_t skip, ngx_str_t *text);
static char *ngx_http_beacon_conf_kafka_number(ngx_conf_t *cf,
    ngx_str_t *value, size_t skip, ngx_uint_t max, ngx_uint_t *number);
static char *ngx_http_beacon_conf_kafka_check(ngx_conf_t *cf,
    ngx_http_beacon_kafka_t *kafka);
static char *ngx_http_beacon_conf_kafka_template(ngx_conf_t *cf,
    ngx_str_t *text, ngx_uint_t topic);
static ngx_http_beacon_kafka_t *ngx_http_beacon_conf_kafka_above(
    ngx_conf_t *cf, ngx_http_beacon_main_conf_t *bmcf);
static void ngx_http_beacon_conf_kafka_exposed(ngx_conf_t *cf,
    ngx_str_t *name);


/* beacon_kafka brokers= topic= [key=] [name=] [window=] [max_topics=] */

char *
ngx_http_beacon_conf_kafka(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_beacon_main_conf_t  *bmcf = conf;

    char                     *rv;
    ngx_str_t                *value;
    ngx_uint_t                i;
    ngx_http_beacon_sink_t   *sink;
    ngx_http_beacon_kafka_t  *kafka;

    static ngx_str_t  type = ngx_string("kafka");

    sink = ngx_http_beacon_conf_sink(cf, bmcf, &type);
    if (sink == NULL) {
        return NGX_CONF_ERROR;
    }

    kafka = ngx_pcalloc(cf->pool, sizeof(ngx_http_beacon_kafka_t));
    if (kafka == NULL
        || ngx_array_init(&kafka->properties, cf->pool, 4,
                          sizeof(ngx_http_beacon_property_t))
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    sink->kafka = kafka;
    kafka->window = BEACON_KAFKA_WINDOW;
    kafka->max_topics = BEACON_KAFKA_TOPICS;

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {
        rv = ngx_http_beacon_conf_kafka_arg(cf, sink, &value[i]);
        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    rv = ngx_http_beacon_conf_kafka_check(cf, kafka);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    return ngx_http_beacon_conf_sink_name(cf, bmcf, sink);
}


static char *
ngx_http_beacon_conf_kafka_arg(ngx_conf_t *cf, ngx_http_beacon_sink_t *sink,
    ngx_str_t *value)
{
    u_char                   *p;
    ngx_http_beacon_kafka_t  *kafka;

    kafka = sink->kafka;

    if (ngx_strncmp(value->data, "brokers=", 8) == 0) {
        return ngx_http_beacon_conf_kafka_text(cf, value, 8, &kafka->brokers);
    }

    if (ngx_strncmp(value->data, "topic=", 6) == 0) {
        return ngx_http_beacon_conf_kafka_text(cf, value, 6, &kafka->topic);
    }

    if (ngx_strncmp(value->data, "key=", 4) == 0) {
        return ngx_http_beacon_conf_kafka_text(cf, value, 4, &kafka->key);
    }

    if (ngx_strncmp(value->data, "name=", 5) == 0) {
        return ngx_http_beacon_conf_kafka_text(cf, value, 5, &sink->name);
    }

    if (ngx_strncmp(value->data, "window=", 7) == 0) {
        return ngx_http_beacon_conf_kafka_number(cf, value, 7,
                                                 BEACON_KAFKA_WINDOW_MAX,
                                                 &kafka->window);
    }

    if (ngx_strncmp(value->data, "max_topics=", 11) == 0) {
        return ngx_http_beacon_conf_kafka_number(cf, value, 11,
                                                 BEACON_KAFKA_TOPICS_MAX,
                                                 &kafka->max_topics);
    }

    /* not what follows: it may be a property, and a secret */

    p = ngx_strlchr(value->data, value->data + value->len, '=');

    if (p) {
        value->len = p + 1 - value->data;
    }

    return ngx_http_beacon_conf_invalid(cf, value);
}


static char *
ngx_http_beacon_conf_kafka_text(ngx_conf_t *cf, ngx_str_t *value, size_t skip,
    ngx_str_t *text)
{
    if (text->data) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "duplicate parameter \"%V\"",
                           value);
        return NGX_CONF_ERROR;
    }

    text->data = value->data + skip;
    text->len = value->len - skip;

    if (text->len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "empty parameter \"%V\"",
                           value);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_beacon_conf_kafka_number(ngx_conf_t *cf, ngx_str_t *value,
    size_t skip, ngx_uint_t max, ngx_uint_t *number)
{
    ngx_int_t  n;

    n = ngx_atoi(value->data + skip, value->len - skip);

    if (n < 1 || n > (ngx_int_t) max) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid number in \"%V\": 1 to %ui are possible",
                           value, max);
        return NGX_CONF_ERROR;
    }

    *number = n;

    return NGX_CONF_OK;
}


static char *
ngx_http_beacon_conf_kafka_check(ngx_conf_t *cf,
    ngx_http_beacon_kafka_t *kafka)
{
    char          *rv;
    beacon_str_t   brokers;
    beacon_err_t   err;

    if (kafka->brokers.data == NULL || kafka->topic.data == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"brokers=\" and \"topic=\" must be given");
        return NGX_CONF_ERROR;
    }

    brokers.data = kafka->brokers.data;
    brokers.len = kafka->brokers.len;

    if (beacon_kafka_brokers(brokers, &err) != BEACON_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid brokers \"%V\": %s", &kafka->brokers,
                           err.text);
        return NGX_CONF_ERROR;
    }

    rv = ngx_http_beacon_conf_kafka_template(cf, &kafka->topic, 1);

    if (rv == NGX_CONF_OK && kafka->key.data) {
        rv = ngx_http_beacon_conf_kafka_template(cf, &kafka->key, 0);
    }

    return rv;
}


static char *
ngx_http_beacon_conf_kafka_template(ngx_conf_t *cf, ngx_str_t *text,
    ngx_uint_t topic)
{
    beacon_rc_t         rc;
    beacon_str_t        s;
    beacon_err_t        err;
    beacon_template_t  *tmpl;

    s.data = text->data;
    s.len = text->len;

    rc = beacon_template_create(s, &tmpl, &err);

    if (rc == BEACON_OK) {
        if (topic) {
            rc = beacon_kafka_topic(tmpl, &err);
        }

        beacon_template_destroy(tmpl);
    }

    if (rc != BEACON_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid %s \"%V\": %s",
                           topic ? "topic" : "key", text, err.text);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* beacon_kafka_property NAME VALUE */

char *
ngx_http_beacon_conf_kafka_property(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_str_t                   *value;
    ngx_uint_t                   i;
    beacon_str_t                 name, other;
    ngx_http_beacon_kafka_t     *kafka;
    ngx_http_beacon_property_t  *property;

    kafka = ngx_http_beacon_conf_kafka_above(cf, conf);
    if (kafka == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;
    name.data = value[1].data;
    name.len = value[1].len;

    if (beacon_kafka_owned(name)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "property \"%V\" is Beacon's own", &value[1]);
        return NGX_CONF_ERROR;
    }

    property = kafka->properties.elts;

    for (i = 0; i < kafka->properties.nelts; i++) {
        other.data = property[i].name.data;
        other.len = property[i].name.len;

        if (beacon_kafka_same(name, other)) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "property \"%V\" stands in %V, too", &value[1],
                               &property[i].at);
            return NGX_CONF_ERROR;
        }
    }

    property = ngx_array_push(&kafka->properties);
    if (property == NULL
        || ngx_http_beacon_conf_at(cf, &property->at) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    property->name = value[1];
    property->value = value[2];

    if (beacon_kafka_secret(name)) {
        ngx_http_beacon_conf_kafka_exposed(cf, &value[1]);
    }

    return NGX_CONF_OK;
}


/* beacon_kafka_property_file FILE */

char *
ngx_http_beacon_conf_kafka_file(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                *value;
    ngx_http_beacon_kafka_t  *kafka;

    kafka = ngx_http_beacon_conf_kafka_above(cf, conf);
    if (kafka == NULL) {
        return NGX_CONF_ERROR;
    }

    if (kafka->file.data) {
        (void) ngx_http_beacon_conf_duplicate(cf, &kafka->file_at);
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;
    kafka->file = value[1];

    if (kafka->file.len == 0) {
        return ngx_http_beacon_conf_invalid(cf, &value[1]);
    }

    if (ngx_conf_full_name(cf->cycle, &kafka->file, 1) != NGX_OK
        || ngx_http_beacon_conf_at(cf, &kafka->file_at) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_http_beacon_kafka_t *
ngx_http_beacon_conf_kafka_above(ngx_conf_t *cf,
    ngx_http_beacon_main_conf_t *bmcf)
{
    ngx_uint_t               i;
    ngx_http_beacon_sink_t  *sink;

    sink = bmcf->sinks.elts;

    for (i = bmcf->sinks.nelts; i > 0; i--) {
        if (sink[i - 1].kafka) {
            return sink[i - 1].kafka;
        }
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "there is no \"beacon_kafka\" above");

    return NULL;
}


/* A secret in a configuration that everybody may read. */

static void
ngx_http_beacon_conf_kafka_exposed(ngx_conf_t *cf, ngx_str_t *name)
{
    if (cf->conf_file->file.fd == NGX_INVALID_FILE
        || (cf->conf_file->file.info.st_mode & S_IROTH) == 0)
    {
        return;
    }

    ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                       "property \"%V\" in a file that everybody may read: "
                       "use \"beacon_kafka_property_file\" with mode 0640",
                       name);
}
