/*
 * The VALUEs of directives: compiled once, so that a constant, an argument or
 * a single variable is read without the script machinery.
 */

#include "ngx_http_beacon.h"


static ngx_int_t ngx_http_beacon_value_name(ngx_str_t *text, ngx_str_t *name);
static ngx_int_t ngx_http_beacon_value_argument(ngx_http_request_t *r,
    ngx_http_beacon_worker_t *worker, ngx_str_t *name, beacon_str_t *str);


/* beacon_site */

char *
ngx_http_beacon_conf_value(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *p = conf;

    ngx_str_t                 *value;
    ngx_http_beacon_value_t  **slot;

    slot = (ngx_http_beacon_value_t **) (p + cmd->offset);

    if (*slot != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    *slot = ngx_palloc(cf->pool, sizeof(ngx_http_beacon_value_t));
    if (*slot == NULL) {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_beacon_value_compile(cf, &value[1], *slot) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if ((*slot)->kind == NGX_HTTP_BEACON_CONSTANT
        && !beacon_site_valid((*slot)->text.data, (*slot)->text.len))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" is no site: 1 to 64 of A-Z a-z 0-9 _ . -, "
                           "not starting with a dot or underscore",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_beacon_conf_visitor(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_beacon_loc_conf_t  *blcf = conf;

    ngx_str_t                *value;
    ngx_uint_t                i;
    ngx_http_beacon_value_t  *v;

    if (blcf->visitor != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    blcf->visitor = ngx_array_create(cf->pool, cf->args->nelts - 1,
                                     sizeof(ngx_http_beacon_value_t));
    if (blcf->visitor == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 1; i < cf->args->nelts; i++) {
        v = ngx_array_push(blcf->visitor);
        if (v == NULL) {
            return NGX_CONF_ERROR;
        }

        if (ngx_http_beacon_value_compile(cf, &value[i], v) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


/* beacon_field, beacon_flag; cmd->post is the greatest number of them */

char *
ngx_http_beacon_conf_named(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                        *p = conf;
    ngx_http_beacon_loc_conf_t  *blcf = conf;

    ngx_str_t                *value;
    ngx_uint_t                i;
    ngx_array_t             **slot;
    ngx_http_beacon_named_t  *named;

    slot = (ngx_array_t **) (p + cmd->offset);
    value = cf->args->elts;

    if (!beacon_schema_name_valid(value[1].data, value[1].len)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid name \"%V\": 1 to 64 of A-Z a-z 0-9 _",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    if (slot == &blcf->flags
        && (ngx_strcmp(value[1].data, "malformed") == 0
            || ngx_strcmp(value[1].data, "macro") == 0))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" is a flag that beacond sets", &value[1]);
        return NGX_CONF_ERROR;
    }

    if (*slot == NGX_CONF_UNSET_PTR) {
        *slot = ngx_array_create(cf->pool, 4, sizeof(ngx_http_beacon_named_t));
        if (*slot == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    named = (*slot)->elts;

    for (i = 0; i < (*slot)->nelts; i++) {
        if (named[i].name.len == value[1].len
            && ngx_memcmp(named[i].name.data, value[1].data, value[1].len) == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate name \"%V\"", &value[1]);
            return NGX_CONF_ERROR;
        }
    }

    if ((*slot)->nelts == *(ngx_uint_t *) cmd->post) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "more than %ui of \"%V\"",
                           (*slot)->nelts, &cmd->name);
        return NGX_CONF_ERROR;
    }

    named = ngx_array_push(*slot);
    if (named == NULL) {
        return NGX_CONF_ERROR;
    }

    named->name = value[1];

    if (ngx_http_beacon_value_compile(cf, &value[2], &named->value) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_beacon_value_compile(ngx_conf_t *cf, ngx_str_t *text,
    ngx_http_beacon_value_t *value)
{
    ngx_int_t                          index;
    ngx_str_t                          name;
    ngx_http_compile_complex_value_t   ccv;

    ngx_memzero(value, sizeof(ngx_http_beacon_value_t));
    value->source = *text;

    if (ngx_strlchr(text->data, text->data + text->len, '$') == NULL) {
        value->kind = NGX_HTTP_BEACON_CONSTANT;
        value->text = *text;
        return NGX_OK;
    }

    if (ngx_http_beacon_value_name(text, &name) == NGX_OK) {

        if (name.len > sizeof("beacon_arg_") - 1
            && ngx_strncmp(name.data, "beacon_arg_", sizeof("beacon_arg_") - 1)
               == 0)
        {
            value->kind = NGX_HTTP_BEACON_ARGUMENT;
            value->text.data = name.data + sizeof("beacon_arg_") - 1;
            value->text.len = name.len - (sizeof("beacon_arg_") - 1);
            return NGX_OK;
        }

        if (name.len == sizeof("beacon_cookie") - 1
            && ngx_strncmp(name.data, "beacon_cookie", name.len) == 0)
        {
            value->kind = NGX_HTTP_BEACON_COOKIE;
            return NGX_OK;
        }

        index = ngx_http_get_variable_index(cf, &name);
        if (index == NGX_ERROR) {
            return NGX_ERROR;
        }

        value->kind = NGX_HTTP_BEACON_VARIABLE;
        value->index = index;
        value->text = name;
        return NGX_OK;
    }

    value->kind = NGX_HTTP_BEACON_COMPLEX;
    value->complex = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (value->complex == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = text;
    ccv.complex_value = value->complex;

    return ngx_http_compile_complex_value(&ccv);
}


/* "$name" or "${name}" and nothing else; not a capture ("$1"). */

static ngx_int_t
ngx_http_beacon_value_name(ngx_str_t *text, ngx_str_t *name)
{
    u_char  *p, *last;

    p = text->data;
    last = p + text->len;

    if (text->len < 2 || *p++ != '$') {
        return NGX_DECLINED;
    }

    if (*p == '{') {
        p++;

        if (*(last - 1) != '}') {
            return NGX_DECLINED;
        }

        last--;
    }

    if (p >= last || (*p >= '0' && *p <= '9')) {
        return NGX_DECLINED;
    }

    name->data = p;
    name->len = last - p;

    for ( /* void */ ; p < last; p++) {
        if ((*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z')
            || (*p >= '0' && *p <= '9') || *p == '_')
        {
            continue;
        }

        return NGX_DECLINED;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_beacon_value(ngx_http_request_t *r, ngx_http_beacon_worker_t *worker,
    ngx_http_beacon_value_t *value, beacon_str_t *str)
{
    ngx_str_t                   s;
    ngx_http_variable_value_t  *vv;

    switch (value->kind) {

    case NGX_HTTP_BEACON_ARGUMENT:
        return ngx_http_beacon_value_argument(r, worker, &value->text, str);

    case NGX_HTTP_BEACON_CONSTANT:
        str->data = value->text.data;
        str->len = value->text.len;
        return NGX_OK;

    case NGX_HTTP_BEACON_COOKIE:
        return ngx_http_beacon_cookie(r, worker, str);

    case NGX_HTTP_BEACON_VARIABLE:
        vv = ngx_http_get_flushed_variable(r, value->index);

        if (vv == NULL) {
            return NGX_ERROR;
        }

        str->data = vv->data;
        str->len = vv->not_found ? 0 : vv->len;
        return NGX_OK;

    default: /* NGX_HTTP_BEACON_COMPLEX */
        if (ngx_http_complex_value(r, value->complex, &s) != NGX_OK) {
            return NGX_ERROR;
        }

        str->data = s.data;
        str->len = s.len;
        return NGX_OK;
    }
}


static ngx_int_t
ngx_http_beacon_value_argument(ngx_http_request_t *r,
    ngx_http_beacon_worker_t *worker, ngx_str_t *name, beacon_str_t *str)
{
    u_char        *buf;
    beacon_str_t   query, arg;

    query = ngx_http_beacon_query(r);
    arg.data = name->data;
    arg.len = name->len;

    if (worker && query.len <= NGX_HTTP_BEACON_SCRATCH - worker->scratch_used) {
        buf = worker->scratch + worker->scratch_used;

    } else {
        worker = NULL;
        buf = ngx_pnalloc(r->pool, query.len + 1);
        if (buf == NULL) {
            return NGX_ERROR;
        }
    }

    if (beacon_query_arg(query, arg, buf, str) != BEACON_OK) {
        str->data = NULL;
        str->len = 0;
        return NGX_OK;
    }

    if (worker && str->data == buf) {
        worker->scratch_used += str->len;
    }

    return NGX_OK;
}


/* The first that is not empty. */

ngx_int_t
ngx_http_beacon_value_visitor(ngx_http_request_t *r,
    ngx_http_beacon_worker_t *worker, ngx_array_t *values, beacon_str_t *str)
{
    ngx_uint_t                i;
    ngx_http_beacon_value_t  *value;

    value = values->elts;

    for (i = 0; i < values->nelts; i++) {
        if (ngx_http_beacon_value(r, worker, &value[i], str) != NGX_OK) {
            return NGX_ERROR;
        }

        if (str->len) {
            break;
        }
    }

    return NGX_OK;
}
