/*
 * The directives of what is not stored: values of beacon_ip and beacon_gpc,
 * names of beacon_drop_args and beacon_keep_args, and the filters made of them.
 */

#include "ngx_http_beacon.h"


static ngx_int_t ngx_http_beacon_names_add(ngx_conf_t *cf,
    ngx_http_beacon_names_t *names, ngx_str_t *name, ngx_uint_t lower);
static ngx_int_t ngx_http_beacon_filter_make(ngx_conf_t *cf,
    ngx_http_beacon_names_t *drop, ngx_http_beacon_names_t *keep,
    beacon_filter_t **filter);
static ngx_int_t ngx_http_beacon_filter_visitor(ngx_conf_t *cf,
    ngx_http_beacon_loc_conf_t *conf);
static ngx_int_t ngx_http_beacon_filter_named(ngx_conf_t *cf,
    ngx_http_beacon_names_t *names, ngx_str_t *source);
static char *ngx_http_beacon_names_conflict(ngx_conf_t *cf,
    ngx_http_beacon_names_t *drop, ngx_http_beacon_names_t *keep);


ngx_conf_enum_t  ngx_http_beacon_ip_modes[] = {
    { ngx_string("full"), NGX_HTTP_BEACON_IP_FULL },
    { ngx_string("truncate"), NGX_HTTP_BEACON_IP_TRUNCATE },
    { ngx_string("off"), NGX_HTTP_BEACON_IP_OFF },
    { ngx_null_string, 0 }
};

ngx_conf_enum_t  ngx_http_beacon_gpc_modes[] = {
    { ngx_string("log"), NGX_HTTP_BEACON_GPC_LOG },
    { ngx_string("anonymous"), NGX_HTTP_BEACON_GPC_ANONYMOUS },
    { ngx_string("drop"), NGX_HTTP_BEACON_GPC_DROP },
    { ngx_null_string, 0 }
};


/* beacon_drop_args, beacon_keep_args NAME...; may repeat */

char *
ngx_http_beacon_conf_names(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *p = conf;

    ngx_str_t                 *value;
    ngx_uint_t                 i, lower;
    ngx_http_beacon_names_t  **slot, *names;

    slot = (ngx_http_beacon_names_t **) (p + cmd->offset);
    lower = (cmd->offset == offsetof(ngx_http_beacon_loc_conf_t, drop_args));
    value = cf->args->elts;

    if (*slot == NGX_CONF_UNSET_PTR) {
        names = ngx_pcalloc(cf->pool, sizeof(ngx_http_beacon_names_t));
        if (names == NULL
            || ngx_array_init(&names->names, cf->pool, 4, sizeof(beacon_str_t))
               != NGX_OK
            || ngx_http_beacon_conf_at(cf, &names->at) != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }

        *slot = names;
    }

    for (i = 1; i < cf->args->nelts; i++) {
        if (ngx_http_beacon_names_add(cf, *slot, &value[i], lower) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_beacon_names_add(ngx_conf_t *cf, ngx_http_beacon_names_t *names,
    ngx_str_t *name, ngx_uint_t lower)
{
    u_char        *p;
    beacon_str_t  *str;

    if (name->len == 0 || name->len > BEACON_FILTER_NAME_MAX
        || ngx_strlchr(name->data, name->data + name->len, '$'))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid name \"%V\": 1 to 255 bytes, without "
                           "variables", name);
        return NGX_ERROR;
    }

    p = ngx_pnalloc(cf->pool, name->len);
    str = ngx_array_push(&names->names);

    if (p == NULL || str == NULL) {
        return NGX_ERROR;
    }

    if (lower) {
        ngx_strlow(p, name->data, name->len);

    } else {
        ngx_memcpy(p, name->data, name->len);
    }

    str->data = p;
    str->len = name->len;

    return NGX_OK;
}


/* Before the schema of conf is made, and once its visitor is known. */

char *
ngx_http_beacon_merge_privacy(ngx_conf_t *cf, ngx_http_beacon_loc_conf_t *prev,
    ngx_http_beacon_loc_conf_t *conf)
{
    ngx_http_beacon_names_t  *drop, *keep;

    ngx_conf_merge_uint_value(conf->ip, prev->ip, NGX_HTTP_BEACON_IP_FULL);
    ngx_conf_merge_uint_value(conf->gpc, prev->gpc, NGX_HTTP_BEACON_GPC_LOG);
    ngx_conf_merge_ptr_value(conf->drop_args, prev->drop_args, NULL);
    ngx_conf_merge_ptr_value(conf->keep_args, prev->keep_args, NULL);
    ngx_conf_merge_ptr_value(conf->cookie, prev->cookie, NULL);

    drop = conf->drop_args;
    keep = conf->keep_args;

    if (drop && keep
        && ngx_http_beacon_names_conflict(cf, drop, keep) != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    if ((drop || keep)
        && ngx_http_beacon_filter_make(cf, drop, keep, &conf->filter)
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    conf->anonymous = conf->filter;

    if (conf->gpc == NGX_HTTP_BEACON_GPC_ANONYMOUS && conf->visitor
        && ngx_http_beacon_filter_visitor(cf, conf) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_beacon_filter_make(ngx_conf_t *cf, ngx_http_beacon_names_t *drop,
    ngx_http_beacon_names_t *keep, beacon_filter_t **filter)
{
    *filter = ngx_palloc(cf->pool, sizeof(beacon_filter_t));
    if (*filter == NULL) {
        return NGX_ERROR;
    }

    beacon_filter_init(*filter,
                       drop ? drop->names.elts : NULL,
                       drop ? (uint32_t) drop->names.nelts : 0,
                       keep ? keep->names.elts : NULL,
                       keep ? (uint32_t) keep->names.nelts : 0);

    return NGX_OK;
}


/* "No visitor" means the arguments, too, that beacon_visitor takes it from. */

static ngx_int_t
ngx_http_beacon_filter_visitor(ngx_conf_t *cf, ngx_http_beacon_loc_conf_t *conf)
{
    ngx_uint_t                i, n;
    beacon_str_t             *known;
    ngx_http_beacon_names_t   names;
    ngx_http_beacon_value_t  *value;

    n = conf->drop_args ? conf->drop_args->names.nelts : 0;

    if (ngx_array_init(&names.names, cf->pool, n + conf->visitor->nelts,
                       sizeof(beacon_str_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    known = conf->drop_args ? conf->drop_args->names.elts : NULL;

    for (i = 0; i < n; i++) {
        *(beacon_str_t *) ngx_array_push(&names.names) = known[i];
    }

    value = conf->visitor->elts;

    for (i = 0; i < conf->visitor->nelts; i++) {
        if (ngx_http_beacon_filter_named(cf, &names, &value[i].source)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (names.names.nelts == n) {
        return NGX_OK;
    }

    return ngx_http_beacon_filter_make(cf, &names, conf->keep_args,
                                       &conf->anonymous);
}


/* Those that a VALUE names: "$arg_a", "u-${beacon_arg_b}". */

static ngx_int_t
ngx_http_beacon_filter_named(ngx_conf_t *cf, ngx_http_beacon_names_t *names,
    ngx_str_t *source)
{
    u_char     *p, *last;
    ngx_str_t   name;

    last = source->data + source->len;

    for (p = source->data; p < last; /* void */ ) {
        if (*p++ != '$') {
            continue;
        }

        p += (p < last && *p == '{');
        name.data = p;

        while (p < last
               && ((*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z')
                   || (*p >= '0' && *p <= '9') || *p == '_'))
        {
            p++;
        }

        name.len = p - name.data;

        if (name.len > 7
            && ngx_strncasecmp(name.data, (u_char *) "beacon_", 7) == 0)
        {
            name.data += 7;
            name.len -= 7;
        }

        if (name.len <= 4
            || ngx_strncasecmp(name.data, (u_char *) "arg_", 4) != 0)
        {
            continue;
        }

        name.data += 4;
        name.len -= 4;

        if (ngx_http_beacon_names_add(cf, names, &name, 1) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static char *
ngx_http_beacon_names_conflict(ngx_conf_t *cf, ngx_http_beacon_names_t *drop,
    ngx_http_beacon_names_t *keep)
{
    ngx_str_t      name;
    ngx_uint_t     i, n;
    beacon_str_t  *d, *k;

    d = drop->names.elts;
    k = keep->names.elts;

    for (i = 0; i < drop->names.nelts; i++) {
        for (n = 0; n < keep->names.nelts; n++) {
            if (d[i].len != k[n].len
                || ngx_strncasecmp((u_char *) d[i].data, (u_char *) k[n].data,
                                   d[i].len) != 0)
            {
                continue;
            }

            name.data = (u_char *) k[n].data;
            name.len = k[n].len;

            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "argument \"%V\" is kept by \"beacon_keep_args\" in "
                          "%V and dropped by \"beacon_drop_args\" in %V",
                          &name, &keep->at, &drop->at);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}
