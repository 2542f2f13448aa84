/*
 * beacon_spool, and whether its disk can be one: nginx -t says what would come
 * out only when a sink lags.  A live nginx is not kept from reloading by it.
 */

#include "ngx_http_beacon.h"

#include <sys/statvfs.h>


static char *ngx_http_beacon_conf_spool_arg(ngx_conf_t *cf,
    ngx_http_beacon_main_conf_t *bmcf, ngx_str_t *value);
static ngx_int_t ngx_http_beacon_conf_spool_disk(ngx_conf_t *cf,
    ngx_http_beacon_main_conf_t *bmcf);
static ngx_int_t ngx_http_beacon_conf_spool_stat(ngx_conf_t *cf,
    ngx_str_t *name, struct statvfs *vfs);
static ngx_uint_t ngx_http_beacon_conf_spool_holds(ngx_str_t *name);


/* One segment of the journal, as a rule. */
#define NGX_HTTP_BEACON_SPOOL_ROOM  (64 * 1024 * 1024)
/* Much less has room for no segment, and so for no hit. */
#define NGX_HTTP_BEACON_SPOOL_MIN   (1024 * 1024)


/* beacon_spool DIR [size=10g] [min_free=5%] */

char *
ngx_http_beacon_conf_spool(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_beacon_main_conf_t  *bmcf = conf;

    char        *rv;
    ngx_str_t   *value;
    ngx_uint_t   i;
    ngx_path_t  *path;

    if (bmcf->spool.data) {
        return ngx_http_beacon_conf_duplicate(cf, &bmcf->spool_at) == NGX_OK
               ? NGX_CONF_OK : NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    bmcf->spool = value[1];
    bmcf->spool_size = (off_t) 10 * 1024 * 1024 * 1024;
    bmcf->spool_min_free = 5;

    if (ngx_http_beacon_conf_absolute(cf, &bmcf->spool) != NGX_OK
        || ngx_http_beacon_conf_at(cf, &bmcf->spool_at) != NGX_OK
        || ngx_http_beacon_conf_dir(cf, bmcf, &bmcf->spool, &path) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    for (i = 2; i < cf->args->nelts; i++) {
        rv = ngx_http_beacon_conf_spool_arg(cf, bmcf, &value[i]);
        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    if (ngx_test_config
        && ngx_http_beacon_conf_spool_disk(cf, bmcf) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_beacon_conf_spool_arg(ngx_conf_t *cf,
    ngx_http_beacon_main_conf_t *bmcf, ngx_str_t *value)
{
    ngx_int_t  n;
    ngx_str_t  s;

    if (ngx_strncmp(value->data, "size=", 5) == 0) {
        s.data = value->data + 5;
        s.len = value->len - 5;

        bmcf->spool_size = ngx_parse_offset(&s);

        if (bmcf->spool_size < NGX_HTTP_BEACON_SPOOL_MIN) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid size in \"%V\": "
                               "at least 1m is needed", value);
            return NGX_CONF_ERROR;
        }

        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value->data, "min_free=", 9) == 0
        && value->data[value->len - 1] == '%')
    {
        n = ngx_atoi(value->data + 9, value->len - 10);

        if (n == NGX_ERROR || n > 99) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid share in \"%V\": "
                               "0%% to 99%% are possible", value);
            return NGX_CONF_ERROR;
        }

        bmcf->spool_min_free = n;
        return NGX_CONF_OK;
    }

    return ngx_http_beacon_conf_invalid(cf, value);
}


static ngx_int_t
ngx_http_beacon_conf_spool_disk(ngx_conf_t *cf,
    ngx_http_beacon_main_conf_t *bmcf)
{
    off_t           room, keep, want;
    struct statvfs  vfs;

    if (ngx_http_beacon_conf_spool_stat(cf, &bmcf->spool, &vfs) != NGX_OK) {
        return NGX_ERROR;
    }

    if (vfs.f_flag & ST_RDONLY) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" is on a file system that is read-only",
                           &bmcf->spool);
        return NGX_ERROR;
    }

    keep = (off_t) vfs.f_blocks / 100 * bmcf->spool_min_free * vfs.f_frsize;
    room = (off_t) vfs.f_bavail * vfs.f_frsize - keep;
    want = ngx_min(bmcf->spool_size, NGX_HTTP_BEACON_SPOOL_ROOM);

    /* a tmpfs without a limit has no blocks; what is spooled already makes a
       disk full, and is no mistake of this configuration */

    if (vfs.f_blocks == 0 || room >= want
        || ngx_http_beacon_conf_spool_holds(&bmcf->spool))
    {
        return NGX_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "the file system of \"%V\" is full: %OM are available, "
                       "of which \"min_free\" leaves %OM to the spool",
                       &bmcf->spool,
                       (off_t) vfs.f_bavail * vfs.f_frsize / (1024 * 1024),
                       ngx_max(room, 0) / (1024 * 1024));

    return NGX_ERROR;
}


/* Of the directory, or of the nearest one above it that is there. */

static ngx_int_t
ngx_http_beacon_conf_spool_stat(ngx_conf_t *cf, ngx_str_t *name,
    struct statvfs *vfs)
{
    u_char  *path, *p;

    path = ngx_pnalloc(cf->temp_pool, name->len + 1);
    if (path == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(path, name->data, name->len);

    for ( ;; ) {
        *p = '\0';

        if (statvfs((char *) path, vfs) == 0) {
            return NGX_OK;
        }

        if (ngx_errno != NGX_ENOENT || p <= path + 1) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                               "statvfs(\"%s\") failed", path);
            return NGX_ERROR;
        }

        while (p > path + 1 && *--p != '/') {
            /* void */
        }
    }
}


/* Does a spool lie there already?  Kafka's parked hits are part of it. */

static ngx_uint_t
ngx_http_beacon_conf_spool_holds(ngx_str_t *name)
{
    u_char      *entry;
    ngx_dir_t    dir;
    ngx_uint_t   found;

    if (ngx_open_dir(name, &dir) == NGX_ERROR) {
        return 0;
    }

    found = 0;

    while (!found && ngx_read_dir(&dir) == NGX_OK) {
        entry = ngx_de_name(&dir);
        found = ngx_strncmp(entry, "journal.", 8) == 0
                || ngx_strstr(entry, ".parked") != NULL
                || ngx_strstr(entry, ".dead") != NULL;
    }

    (void) ngx_close_dir(&dir);

    return found;
}
