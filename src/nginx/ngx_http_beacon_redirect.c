/*
 * Clicks: beacon_redirect.  A target is judged by beacon_url_judge(), then by
 * its host; what is sent is what was judged.
 */

#include "ngx_http_beacon.h"

#include "beacon_url.h"


/*
 * Hosts as in server_name: names and wildcards in one hash, then regular
 * expressions in their order.  Without allow= the host is the one that the
 * configuration fixes.
 */

struct ngx_http_beacon_redirect_s {
    ngx_http_beacon_value_t     target;
    ngx_str_t                   constant;   /* judged; empty: it is none */
    ngx_hash_combined_t         hosts;
    ngx_array_t                 regexes;    /* of ngx_regex_t * */
};


static ngx_int_t ngx_http_beacon_redirect_arg(ngx_conf_t *cf,
    ngx_http_beacon_loc_conf_t *blcf, ngx_str_t *value,
    ngx_hash_keys_arrays_t *keys);
static ngx_int_t ngx_http_beacon_redirect_allow(ngx_conf_t *cf,
    ngx_http_beacon_redirect_t *redirect, ngx_str_t *value,
    ngx_hash_keys_arrays_t *keys);
static ngx_int_t ngx_http_beacon_redirect_regex(ngx_conf_t *cf,
    ngx_http_beacon_redirect_t *redirect, ngx_str_t *value);
static ngx_int_t ngx_http_beacon_redirect_target(ngx_conf_t *cf,
    ngx_http_beacon_redirect_t *redirect, ngx_str_t *text, ngx_uint_t allows,
    ngx_str_t *host);
static ngx_int_t ngx_http_beacon_redirect_nocase(ngx_conf_t *cf,
    ngx_http_beacon_value_t *target);
static ngx_uint_t ngx_http_beacon_redirect_host_ends(beacon_str_t *text);
static ngx_int_t ngx_http_beacon_redirect_hash(ngx_conf_t *cf,
    ngx_http_beacon_redirect_t *redirect, ngx_hash_keys_arrays_t *keys);
static int ngx_libc_cdecl ngx_http_beacon_redirect_cmp(const void *one,
    const void *two);
static ngx_int_t ngx_http_beacon_redirect_judge(ngx_http_request_t *r,
    ngx_http_beacon_loc_conf_t *blcf, ngx_str_t *location);
static ngx_uint_t ngx_http_beacon_redirect_allowed(
    ngx_http_beacon_redirect_t *redirect, beacon_str_t host);


#define NGX_HTTP_BEACON_HOSTS_BUCKET  1024


/* beacon_redirect VALUE [allow=HOST]... [if=VALUE] */

char *
ngx_http_beacon_conf_redirect(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_beacon_loc_conf_t  *blcf = conf;

    ngx_str_t                   *value, host;
    ngx_uint_t                   i, allows;
    beacon_str_t                 fixed;
    ngx_hash_keys_arrays_t       keys;
    ngx_http_beacon_redirect_t  *redirect;

    if (blcf->mode != NGX_CONF_UNSET_UINT) {
        return blcf->redirect ? "is duplicate"
                              : "cannot stand together with \"beacon\"";
    }

    redirect = ngx_pcalloc(cf->pool, sizeof(ngx_http_beacon_redirect_t));
    if (redirect == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&keys, sizeof(ngx_hash_keys_arrays_t));
    keys.pool = cf->pool;
    keys.temp_pool = cf->temp_pool;

    if (ngx_hash_keys_array_init(&keys, NGX_HASH_SMALL) != NGX_OK
        || ngx_array_init(&redirect->regexes, cf->pool, 1,
                          sizeof(ngx_regex_t *))
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    blcf->mode = NGX_HTTP_BEACON_REDIRECT;
    blcf->redirect = redirect;
    blcf->file = cf->conf_file->file.name.data;
    blcf->line = cf->conf_file->line;

    value = cf->args->elts;
    allows = 0;

    for (i = 2; i < cf->args->nelts; i++) {
        if (ngx_http_beacon_redirect_arg(cf, blcf, &value[i], &keys) != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }

        allows += (value[i].data[0] == 'a');
    }

    if (ngx_http_beacon_redirect_target(cf, redirect, &value[1], allows, &host)
        != NGX_OK
        || (allows == 0
            && ngx_hash_add_key(&keys, &host, (void *) redirect, 0) != NGX_OK)
        || ngx_http_beacon_redirect_hash(cf, redirect, &keys) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    fixed.data = host.data;
    fixed.len = host.len;

    if (host.len && !ngx_http_beacon_redirect_allowed(redirect, fixed)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no \"allow=\" allows the host of \"%V\"",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    return ngx_http_beacon_conf_content(cf);
}


static ngx_int_t
ngx_http_beacon_redirect_arg(ngx_conf_t *cf, ngx_http_beacon_loc_conf_t *blcf,
    ngx_str_t *value, ngx_hash_keys_arrays_t *keys)
{
    if (ngx_strncmp(value->data, "allow=", 6) == 0) {
        return ngx_http_beacon_redirect_allow(cf, blcf->redirect, value, keys);
    }

    if (ngx_strncmp(value->data, "if=", 3) == 0 && blcf->condition == NULL) {
        return ngx_http_beacon_conf_condition(cf, blcf, value);
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid parameter \"%V\"", value);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_beacon_redirect_allow(ngx_conf_t *cf,
    ngx_http_beacon_redirect_t *redirect, ngx_str_t *value,
    ngx_hash_keys_arrays_t *keys)
{
    size_t     skip;
    ngx_int_t  rc;
    ngx_str_t  host;

    if (value->data[6] == '~') {
        return ngx_http_beacon_redirect_regex(cf, redirect, value);
    }

    /* with its NUL */
    host.len = value->len - 6;
    host.data = ngx_pnalloc(cf->pool, host.len + 1);
    if (host.data == NULL) {
        return NGX_ERROR;
    }

    ngx_strlow(host.data, value->data + 6, host.len + 1);

    skip = (ngx_strncmp(host.data, "*.", 2) == 0) ? 2
           : (host.len && host.data[0] == '.') ? 1 : 0;

    if (!beacon_host_valid(host.data + skip, host.len - skip)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" is no host: a name (another alphabet's "
                           "as xn--), *.name, .name or ~regex, without "
                           "scheme, port and path", value);
        return NGX_ERROR;
    }

    rc = ngx_hash_add_key(keys, &host, (void *) redirect,
                          NGX_HASH_WILDCARD_KEY);

    if (rc == NGX_BUSY) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "duplicate \"%V\"", value);
        return NGX_ERROR;
    }

    return rc;
}


static ngx_int_t
ngx_http_beacon_redirect_regex(ngx_conf_t *cf,
    ngx_http_beacon_redirect_t *redirect, ngx_str_t *value)
{
#if (NGX_PCRE)
    u_char                errstr[NGX_MAX_CONF_ERRSTR];
    ngx_regex_t         **regex;
    ngx_regex_compile_t   rc;

    ngx_memzero(&rc, sizeof(ngx_regex_compile_t));

    rc.pattern.data = value->data + sizeof("allow=~") - 1;
    rc.pattern.len = value->len - (sizeof("allow=~") - 1);
    rc.pool = cf->pool;
    rc.err.data = errstr;
    rc.err.len = NGX_MAX_CONF_ERRSTR;

    if (rc.pattern.len == 0 || ngx_regex_compile(&rc) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid regex in \"%V\"%s%V",
                           value, rc.pattern.len ? ": " : "",
                           rc.pattern.len ? &rc.err : &rc.pattern);
        return NGX_ERROR;
    }

    /* "~shop\.example" would let shop.example.evil.test through */

    if ((rc.pattern.len != 1 || rc.pattern.data[0] != '.')
        && (rc.pattern.data[0] != '^'
            || rc.pattern.data[rc.pattern.len - 1] != '$'))
    {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "\"%V\" does not begin with ^ and end with $: it "
                           "allows every host that it matches a part of",
                           value);
    }

    regex = ngx_array_push(&redirect->regexes);
    if (regex == NULL) {
        return NGX_ERROR;
    }

    *regex = rc.regex;

    return NGX_OK;
#else
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "\"%V\" requires PCRE library", value);
    return NGX_ERROR;
#endif
}


/*
 * A client must not choose the host, unless it is asked for: without allow= it
 * has to stand in the configuration, up to the byte that ends it.  host: what
 * the configuration fixes; empty: nothing.
 */

static ngx_int_t
ngx_http_beacon_redirect_target(ngx_conf_t *cf,
    ngx_http_beacon_redirect_t *redirect, ngx_str_t *text, ngx_uint_t allows,
    ngx_str_t *host)
{
    u_char        *p;
    beacon_str_t   fixed;
    beacon_url_t   url;

    host->len = 0;

    if (ngx_http_beacon_value_compile(cf, text, &redirect->target) != NGX_OK
        || ngx_http_beacon_redirect_nocase(cf, &redirect->target) != NGX_OK)
    {
        return NGX_ERROR;
    }

    p = ngx_strlchr(text->data, text->data + text->len, '$');

    if (p && allows) {
        return NGX_OK;
    }

    fixed.data = text->data;
    fixed.len = p ? (size_t) (p - text->data) : text->len;

    host->data = ngx_pnalloc(cf->pool, BEACON_URL_ROOM(fixed.len));
    if (host->data == NULL) {
        return NGX_ERROR;
    }

    if (beacon_url_judge(fixed, host->data, &url) == BEACON_OK
        && (p == NULL || ngx_http_beacon_redirect_host_ends(&fixed)))
    {
        host->data = (u_char *) url.host.data;
        host->len = url.host.len;

        if (p == NULL) {
            redirect->constant.data = (u_char *) url.url.data;
            redirect->constant.len = url.url.len;
        }

        return NGX_OK;
    }

    if (p) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "a client can choose the host of \"%V\": say which "
                           "are allowed (\"allow=HOST\"; \"allow=~.\" for any "
                           "that secure_link has signed)", text);
        return NGX_ERROR;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "\"%V\" is no absolute http or https URL", text);

    return NGX_ERROR;
}


/*
 * $beacon_arg_landingUrl: nginx makes the variable that secure_link signs lower
 * case, so a click may hold "landingurl", signed, and "landingUrl", which is
 * not.  The target is then that variable, whichever of them it finds.
 */

static ngx_int_t
ngx_http_beacon_redirect_nocase(ngx_conf_t *cf, ngx_http_beacon_value_t *target)
{
    ngx_int_t   index;
    ngx_str_t   name;
    ngx_uint_t  i;

    if (target->kind != NGX_HTTP_BEACON_ARGUMENT) {
        return NGX_OK;
    }

    for (i = 0; i < target->text.len; i++) {
        if (target->text.data[i] >= 'A' && target->text.data[i] <= 'Z') {
            break;
        }
    }

    if (i == target->text.len) {
        return NGX_OK;
    }

    name.len = sizeof("beacon_arg_") - 1 + target->text.len;
    name.data = ngx_pnalloc(cf->pool, name.len);
    if (name.data == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_sprintf(name.data, "beacon_arg_%V", &target->text);

    index = ngx_http_get_variable_index(cf, &name);
    if (index == NGX_ERROR) {
        return NGX_ERROR;
    }

    target->kind = NGX_HTTP_BEACON_VARIABLE;
    target->index = index;
    target->text = name;

    return NGX_OK;
}


/* "https://shop.example" and a variable could become shop.example.evil.test. */

static ngx_uint_t
ngx_http_beacon_redirect_host_ends(beacon_str_t *text)
{
    u_char  *p, *last;

    last = (u_char *) text->data + text->len;

    for (p = (u_char *) text->data + sizeof("https://") - 1; p < last; p++) {
        if (*p == '/' || *p == '?' || *p == '#') {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_beacon_redirect_hash(ngx_conf_t *cf,
    ngx_http_beacon_redirect_t *redirect, ngx_hash_keys_arrays_t *keys)
{
    ngx_hash_init_t  hash;

    hash.key = ngx_hash_key;
    hash.max_size = 512 + 2 * (keys->keys.nelts + keys->dns_wc_head.nelts);
    hash.bucket_size = NGX_HTTP_BEACON_HOSTS_BUCKET;
    hash.name = "beacon_redirect";
    hash.pool = cf->pool;

    if (keys->keys.nelts) {
        hash.hash = &redirect->hosts.hash;
        hash.temp_pool = NULL;

        if (ngx_hash_init(&hash, keys->keys.elts, keys->keys.nelts) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (keys->dns_wc_head.nelts) {
        ngx_qsort(keys->dns_wc_head.elts, keys->dns_wc_head.nelts,
                  sizeof(ngx_hash_key_t), ngx_http_beacon_redirect_cmp);

        hash.hash = NULL;
        hash.temp_pool = cf->temp_pool;

        if (ngx_hash_wildcard_init(&hash, keys->dns_wc_head.elts,
                                   keys->dns_wc_head.nelts)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        redirect->hosts.wc_head = (ngx_hash_wildcard_t *) hash.hash;
    }

    return NGX_OK;
}


static int ngx_libc_cdecl
ngx_http_beacon_redirect_cmp(const void *one, const void *two)
{
    const ngx_hash_key_t  *first = one, *second = two;

    return (int) ngx_dns_strcmp(first->key.data, second->key.data);
}


/* The click's hit; then its target, even where there was no room for it. */

ngx_int_t
ngx_http_beacon_redirect(ngx_http_request_t *r, ngx_http_beacon_ctx_t *ctx,
    beacon_str_t *body, ngx_uint_t body_kind)
{
    ngx_int_t                    rc;
    ngx_str_t                    location;
    ngx_uint_t                   result;
    ngx_http_beacon_loc_conf_t  *blcf;

    blcf = ngx_http_get_module_loc_conf(r, ngx_http_beacon_module);

    rc = ngx_http_beacon_redirect_judge(r, blcf, &location);

    if (rc == NGX_DECLINED) {
        return ngx_http_beacon_reject(r, BEACON_REJECT_REDIRECT,
                                      NGX_HTTP_FORBIDDEN);
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    if (ctx->result != NGX_HTTP_BEACON_TAKEN) {
        result = ngx_http_beacon_take(r, blcf, ctx, body, body_kind);

        if (result != NGX_HTTP_BEACON_TAKEN
            && result != NGX_HTTP_BEACON_DROPPED
            && result != NGX_HTTP_BEACON_FULL)
        {
            return ngx_http_beacon_result(r, blcf, result);
        }
    }

    return ngx_http_beacon_answer_redirect(r, blcf, &location);
}


/* DECLINED: the target is not to be gone to. */

static ngx_int_t
ngx_http_beacon_redirect_judge(ngx_http_request_t *r,
    ngx_http_beacon_loc_conf_t *blcf, ngx_str_t *location)
{
    size_t                       room;
    u_char                      *buf;
    beacon_str_t                 target;
    beacon_url_t                 url;
    ngx_http_beacon_worker_t    *worker;
    ngx_http_beacon_redirect_t  *redirect;

    redirect = blcf->redirect;

    if (redirect->constant.len) {
        *location = redirect->constant;
        return NGX_OK;
    }

    /* the scratch is the hit's again behind this */

    worker = blcf->main->worker;
    worker->scratch_used = 0;

    if (ngx_http_beacon_value(r, worker, &redirect->target, &target) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (target.len == 0) {
        return NGX_DECLINED;
    }

    room = BEACON_URL_ROOM(target.len);

    if (room <= NGX_HTTP_BEACON_SCRATCH - worker->scratch_used) {
        buf = worker->scratch + worker->scratch_used;

    } else {
        buf = ngx_pnalloc(r->pool, room);
        if (buf == NULL) {
            return NGX_ERROR;
        }
    }

    if (beacon_url_judge(target, buf, &url) != BEACON_OK
        || !ngx_http_beacon_redirect_allowed(redirect, url.host))
    {
        return NGX_DECLINED;
    }

    location->len = url.url.len;
    location->data = ngx_pnalloc(r->pool, url.url.len);
    if (location->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(location->data, url.url.data, url.url.len);

    return NGX_OK;
}


static ngx_uint_t
ngx_http_beacon_redirect_allowed(ngx_http_beacon_redirect_t *redirect,
    beacon_str_t host)
{
    ngx_str_t      name;
    ngx_uint_t     i, key;
    ngx_regex_t  **regex;

    name.data = (u_char *) host.data;
    name.len = host.len;

    for (key = 0, i = 0; i < name.len; i++) {
        key = ngx_hash(key, name.data[i]);
    }

    if (ngx_hash_find_combined(&redirect->hosts, key, name.data, name.len)) {
        return 1;
    }

    regex = redirect->regexes.elts;

    for (i = 0; i < redirect->regexes.nelts; i++) {
        if (ngx_regex_exec(regex[i], &name, NULL, 0) >= 0) {
            return 1;
        }
    }

    return 0;
}
