/*
 * Prepares the ring, and publishes beacon.json.
 *
 * Preparing is the business of a small zone's init callback: it runs when all
 * of the configuration is known, as root, and its failure refuses a reload and
 * leaves the old configuration working.  It also runs under nginx -t and
 * before bind() errors, so it is idempotent: what it leaves when the reload
 * fails later is found again, or is an unused file that takes no memory.
 * Publishing is init_module's, which cannot fail any more.
 */

#include "ngx_http_beacon_publish.h"


static ngx_int_t ngx_http_beacon_publish_init_zone(ngx_shm_zone_t *zone,
    void *data);
static ngx_http_beacon_publish_t *ngx_http_beacon_publish_create(
    ngx_cycle_t *cycle, ngx_http_beacon_main_conf_t *bmcf);
static void ngx_http_beacon_publish_cleanup(void *data);
static ngx_int_t ngx_http_beacon_publish_geometry(
    ngx_http_beacon_main_conf_t *bmcf, beacon_ring_geometry_t *geometry);
static ngx_int_t ngx_http_beacon_publish_ring(
    ngx_http_beacon_main_conf_t *bmcf, ngx_log_t *log);
static ngx_uint_t ngx_http_beacon_publish_current(
    ngx_http_beacon_main_conf_t *bmcf, uint64_t epoch);
static ngx_int_t ngx_http_beacon_publish_prepare(
    ngx_http_beacon_main_conf_t *bmcf, ngx_log_t *log);
static ngx_int_t ngx_http_beacon_publish_lock(
    ngx_http_beacon_main_conf_t *bmcf, ngx_log_t *log);
static ngx_int_t ngx_http_beacon_publish_schemas(
    ngx_http_beacon_main_conf_t *bmcf, ngx_log_t *log);
static ngx_int_t ngx_http_beacon_publish_write(
    ngx_http_beacon_publish_t *publish, uint64_t generation, ngx_log_t *log);
static ngx_int_t ngx_http_beacon_publish_rename(
    ngx_http_beacon_publish_t *publish, ngx_uint_t level, ngx_log_t *log);


#define NGX_HTTP_BEACON_ZONE_PAGES  8           /* the least nginx takes */
#define NGX_HTTP_BEACON_DIR_MAX     90          /* a socket's name is short */


ngx_int_t
ngx_http_beacon_publish_zone(ngx_conf_t *cf, ngx_http_beacon_main_conf_t *bmcf)
{
    ngx_str_t        name;
    ngx_shm_zone_t  *zone;

    if (bmcf->ring.len > NGX_HTTP_BEACON_DIR_MAX) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"beacon_ring\": \"%V\" is longer than %d bytes in %V",
                      &bmcf->ring, NGX_HTTP_BEACON_DIR_MAX, &bmcf->ring_at);
        return NGX_ERROR;
    }

    ngx_str_set(&name, "beacon");

    zone = ngx_shared_memory_add(cf, &name, NGX_HTTP_BEACON_ZONE_PAGES
                                            * ngx_pagesize,
                                 &ngx_http_beacon_module);
    if (zone == NULL) {
        return NGX_ERROR;
    }

    bmcf->publish = ngx_http_beacon_publish_create(cf->cycle, bmcf);
    if (bmcf->publish == NULL) {
        return NGX_ERROR;
    }

    zone->init = ngx_http_beacon_publish_init_zone;
    zone->data = bmcf;

    return NGX_OK;
}


static ngx_http_beacon_publish_t *
ngx_http_beacon_publish_create(ngx_cycle_t *cycle,
    ngx_http_beacon_main_conf_t *bmcf)
{
    ngx_pool_cleanup_t         *cln;
    ngx_http_beacon_publish_t  *publish;

    publish = ngx_pcalloc(cycle->pool, sizeof(ngx_http_beacon_publish_t));
    if (publish == NULL) {
        return NULL;
    }

    cln = ngx_pool_cleanup_add(cycle->pool, 0);
    if (cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_beacon_publish_cleanup;
    cln->data = publish;

    publish->cycle = cycle;
    publish->file = ngx_pnalloc(cycle->pool, bmcf->ring.len
                                             + sizeof("/beacon.json"));
    publish->temp = ngx_pnalloc(cycle->pool, bmcf->ring.len + NGX_INT64_LEN
                                             + sizeof("/beacon.json.new."));
    if (publish->file == NULL || publish->temp == NULL) {
        return NULL;
    }

    (void) ngx_sprintf(publish->file, "%V/beacon.json%Z", &bmcf->ring);

    return publish;
}


/* A reload that failed after the preparation: nothing is published. */

static void
ngx_http_beacon_publish_cleanup(void *data)
{
    ngx_http_beacon_publish_t  *publish = data;

    if (publish->written) {
        (void) unlink((char *) publish->temp);
    }
}


static ngx_int_t
ngx_http_beacon_publish_init_zone(ngx_shm_zone_t *zone, void *data)
{
    uint64_t                      epoch;
    ngx_log_t                    *log;
    ngx_core_conf_t              *ccf;
    beacon_err_t                  err;
    beacon_ring_geometry_t        geometry;
    ngx_http_beacon_publish_t    *publish;
    ngx_http_beacon_main_conf_t  *bmcf;

    bmcf = zone->data;
    publish = bmcf->publish;
    log = zone->shm.log;

    /* unset where nginx is not root: files are then made as its user */
    ccf = (ngx_core_conf_t *) ngx_get_conf(publish->cycle->conf_ctx,
                                           ngx_core_module);
    publish->uid = (uid_t) ccf->user;
    publish->gid = (gid_t) ccf->group;

    if (ngx_http_beacon_judge(publish->cycle, bmcf, log) != NGX_OK) {
        return NGX_ERROR;
    }

    if (!ngx_test_config) {
        return ngx_http_beacon_publish_prepare(bmcf, log);
    }

    if (ngx_http_beacon_publish_geometry(bmcf, &geometry) != NGX_OK) {
        return NGX_ERROR;
    }

    if (beacon_ring_find((char *) bmcf->ring.data, &geometry, &epoch, &err)
        == BEACON_FULL)
    {
        ngx_log_error(NGX_LOG_EMERG, log, 0, "\"beacon_ring\": %s in %V",
                      err.text, &bmcf->ring_at);
        return NGX_ERROR;
    }

    if (ngx_http_beacon_json(publish->cycle, bmcf, &publish->tail) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_beacon_check(bmcf, log);
}


static ngx_int_t
ngx_http_beacon_publish_geometry(ngx_http_beacon_main_conf_t *bmcf,
    beacon_ring_geometry_t *geometry)
{
    u_char                     *prefix, *conf;
    ngx_cycle_t                *cycle;
    ngx_http_beacon_publish_t  *publish;

    publish = bmcf->publish;
    cycle = publish->cycle;

    prefix = ngx_pnalloc(cycle->pool, cycle->prefix.len + 1);
    conf = ngx_pnalloc(cycle->pool, cycle->conf_file.len + 1);
    if (prefix == NULL || conf == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_sprintf(prefix, "%V%Z", &cycle->prefix);
    (void) ngx_sprintf(conf, "%V%Z", &cycle->conf_file);

    ngx_memzero(geometry, sizeof(beacon_ring_geometry_t));
    geometry->lane_size = bmcf->lane_size;
    geometry->lanes = ngx_http_beacon_lanes(cycle, bmcf);
    geometry->prefix = (char *) prefix;
    geometry->conf = (char *) conf;
    geometry->uid = publish->uid;
    geometry->gid = publish->gid;

    return NGX_OK;
}


static ngx_int_t
ngx_http_beacon_publish_prepare(ngx_http_beacon_main_conf_t *bmcf,
    ngx_log_t *log)
{
    beacon_rc_t                 rc;
    beacon_err_t                err;
    beacon_counters_t           counters;
    ngx_http_beacon_publish_t  *publish;

    publish = bmcf->publish;

    /* the directory is the user's by now; what another user left is not */

    if (publish->uid != (uid_t) -1
        && beacon_ring_give((char *) bmcf->ring.data, publish->uid,
                            publish->gid, &err)
           != BEACON_OK)
    {
        ngx_log_error(NGX_LOG_EMERG, log, 0, "\"beacon_ring\": %s in %V",
                      err.text, &bmcf->ring_at);
        return NGX_ERROR;
    }

    rc = beacon_counters_attach((char *) bmcf->ring.data, publish->uid,
                                publish->gid, &counters, &err);
    if (rc != BEACON_OK) {
        ngx_log_error(NGX_LOG_EMERG, log, 0, "\"beacon_ring\": %s in %V",
                      err.text, &bmcf->ring_at);
        return NGX_ERROR;
    }

    bmcf->generation = beacon_counters_generation(&counters);
    beacon_counters_detach(&counters);

    if (ngx_http_beacon_publish_lock(bmcf, log) != NGX_OK
        || ngx_http_beacon_publish_schemas(bmcf, log) != NGX_OK
        || ngx_http_beacon_publish_ring(bmcf, log) != NGX_OK
        || ngx_http_beacon_json(publish->cycle, bmcf, &publish->tail)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_beacon_publish_write(publish, bmcf->generation, log);
}


/*
 * beacond.lock, made here so that it is the worker user's whoever opens it
 * first: with master_process off that may be root.
 */

static ngx_int_t
ngx_http_beacon_publish_lock(ngx_http_beacon_main_conf_t *bmcf, ngx_log_t *log)
{
    u_char                      name[NGX_MAX_PATH];
    ngx_fd_t                    fd;
    struct stat                 st;
    ngx_http_beacon_publish_t  *publish;

    publish = bmcf->publish;

    (void) ngx_snprintf(name, NGX_MAX_PATH, "%V/beacond.lock%Z", &bmcf->ring);

    fd = open((char *) name, O_RDWR|O_CREAT|O_NOFOLLOW|O_NONBLOCK|O_CLOEXEC,
              0600);

    if (fd == NGX_INVALID_FILE) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno,
                      ngx_open_file_n " \"%s\" failed", name);
        return NGX_ERROR;
    }

    /* a link to somebody else's file must not become the worker user's */
    if (fstat(fd, &st) == -1
        || !S_ISREG(st.st_mode) || st.st_nlink != 1
        || (publish->uid != (uid_t) -1 && st.st_uid != publish->uid
            && fchown(fd, publish->uid, publish->gid) == -1))
    {
        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "\"%s\" is not a file of the worker user", name);
        (void) close(fd);
        return NGX_ERROR;
    }

    (void) close(fd);

    return NGX_OK;
}


static ngx_int_t
ngx_http_beacon_publish_schemas(ngx_http_beacon_main_conf_t *bmcf,
    ngx_log_t *log)
{
    ngx_uint_t                  i;
    beacon_err_t                err;
    beacon_schema_t           **schema;
    ngx_http_beacon_publish_t  *publish;

    publish = bmcf->publish;
    schema = bmcf->schemas.elts;

    for (i = 0; i < bmcf->schemas.nelts; i++) {
        if (beacon_schema_publish((char *) bmcf->ring.data, schema[i],
                                  publish->uid, publish->gid, &err)
            != BEACON_OK)
        {
            ngx_log_error(NGX_LOG_EMERG, log, 0, "\"beacon_ring\": %s in %V",
                          err.text, &bmcf->ring_at);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* The ring in use if it has the right geometry, else a new one. */

static ngx_int_t
ngx_http_beacon_publish_ring(ngx_http_beacon_main_conf_t *bmcf, ngx_log_t *log)
{
    beacon_rc_t             rc;
    beacon_err_t            err;
    beacon_ring_geometry_t  geometry;

    if (ngx_http_beacon_publish_geometry(bmcf, &geometry) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = beacon_ring_find((char *) bmcf->ring.data, &geometry, &bmcf->epoch,
                          &err);

    if (rc == BEACON_AGAIN
        || (rc == BEACON_OK
            && !ngx_http_beacon_publish_current(bmcf, bmcf->epoch)))
    {
        rc = beacon_ring_create((char *) bmcf->ring.data, &geometry,
                                &bmcf->epoch, &err);
    }

    if (rc != BEACON_OK) {
        ngx_log_error(NGX_LOG_EMERG, log, 0, "\"beacon_ring\": %s in %V",
                      err.text, &bmcf->ring_at);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * Is this the epoch that beacon.json names?  Any other the helper may be about
 * to unlink, drained and unowned as it is.
 */

static ngx_uint_t
ngx_http_beacon_publish_current(ngx_http_beacon_main_conf_t *bmcf,
    uint64_t epoch)
{
    u_char                      want[sizeof("\"epoch\":\"\"")
                                     + BEACON_EPOCH_LEN];
    u_char                      text[4096];
    ssize_t                     n;
    ngx_fd_t                    fd;
    ngx_http_beacon_publish_t  *publish;

    publish = bmcf->publish;

    /* a FIFO must not hold the master, which is here on a reload */

    fd = open((char *) publish->file,
              O_RDONLY|O_NOFOLLOW|O_NONBLOCK|O_CLOEXEC);
    if (fd == NGX_INVALID_FILE) {
        return 0;
    }

    /* the ring comes before anything long */
    n = read(fd, text, sizeof(text) - 1);
    (void) close(fd);

    if (n <= 0) {
        return 0;
    }

    text[n] = '\0';
    (void) ngx_sprintf(want, "\"epoch\":\"%016xL\"%Z", epoch);

    return ngx_strstr(text, want) != NULL;
}


/* To the temporary file; init_module, or publish_again, renames it. */

static ngx_int_t
ngx_http_beacon_publish_write(ngx_http_beacon_publish_t *publish,
    uint64_t generation, ngx_log_t *log)
{
    u_char        *p, head[64];
    ssize_t        n;
    ngx_fd_t       fd;
    struct iovec   iov[2];

    (void) ngx_sprintf(publish->temp, "%s.new.%P%Z", publish->file, ngx_pid);
    p = ngx_sprintf(head, NGX_HTTP_BEACON_JSON_HEAD, generation);

    iov[0].iov_base = head;
    iov[0].iov_len = p - head;
    iov[1].iov_base = publish->tail.data;
    iov[1].iov_len = publish->tail.len;

    /* the directory is the worker user's: whatever has this name, not through
       it */
    (void) unlink((char *) publish->temp);

    fd = open((char *) publish->temp,
              O_WRONLY|O_CREAT|O_EXCL|O_NOFOLLOW|O_CLOEXEC, 0600);

    if (fd == NGX_INVALID_FILE) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno,
                      ngx_open_file_n " \"%s\" failed", publish->temp);
        return NGX_ERROR;
    }

    n = writev(fd, iov, 2);

    if (n != (ssize_t) (iov[0].iov_len + iov[1].iov_len)
        || (publish->uid != (uid_t) -1
            && fchown(fd, publish->uid, publish->gid) == -1)
        || fsync(fd) == -1)
    {
        ngx_log_error(NGX_LOG_EMERG, log,
                      n == -1 ? ngx_errno : n < (ssize_t) iov[1].iov_len
                                            ? ENOSPC : ngx_errno,
                      "writing \"%s\" failed", publish->temp);
        (void) close(fd);
        (void) unlink((char *) publish->temp);
        return NGX_ERROR;
    }

    (void) close(fd);
    publish->written = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_http_beacon_publish_rename(ngx_http_beacon_publish_t *publish,
    ngx_uint_t level, ngx_log_t *log)
{
    publish->written = 0;

    if (rename((char *) publish->temp, (char *) publish->file) == -1) {
        ngx_log_error(level, log, ngx_errno,
                      "beacon: the helper does not learn of this "
                      "configuration: rename(\"%s\", \"%s\") failed",
                      publish->temp, publish->file);
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_http_beacon_publish(ngx_cycle_t *cycle, ngx_http_beacon_main_conf_t *bmcf)
{
    (void) ngx_http_beacon_publish_rename(bmcf->publish, NGX_LOG_EMERG,
                                          cycle->log);

    ngx_http_beacon_helper_renew(cycle, bmcf);
}


ngx_int_t
ngx_http_beacon_publish_again(ngx_http_beacon_main_conf_t *bmcf,
    ngx_log_t *log)
{
    beacon_err_t                err;
    beacon_counters_t           counters;
    ngx_http_beacon_publish_t  *publish;

    publish = bmcf->publish;

    /* the cache manager is the worker user; with master_process off we may
       still be root */
    if (geteuid() != 0) {
        publish->uid = (uid_t) -1;
        publish->gid = (gid_t) -1;
    }

    if (beacon_counters_attach((char *) bmcf->ring.data, publish->uid,
                               publish->gid, &counters, &err)
        != BEACON_OK)
    {
        ngx_log_error(NGX_LOG_ERR, log, 0, "beacon: %s", err.text);
        return NGX_ERROR;
    }

    bmcf->generation = beacon_counters_generation(&counters);
    beacon_counters_detach(&counters);

    if (ngx_http_beacon_publish_write(publish, bmcf->generation, log)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_beacon_publish_rename(publish, NGX_LOG_ERR, log);
}
