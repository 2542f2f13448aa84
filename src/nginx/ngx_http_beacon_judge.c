/*
 * Directories, judged as the worker user: nginx -t runs as root and would find
 * everything writable.  ngx_create_paths() has made them by then.
 */

#include "ngx_http_beacon_publish.h"

#include <grp.h>
#include <sys/vfs.h>


#define NGX_HTTP_BEACON_TMPFS   0x01021994
#define NGX_HTTP_BEACON_RAMFS   0x858458f6
#define NGX_HTTP_BEACON_GROUPS  256


typedef struct {
    uid_t                       uid;
    int                         ngroups;
    gid_t                       groups[NGX_HTTP_BEACON_GROUPS];
} ngx_http_beacon_user_t;


static void ngx_http_beacon_judge_user(ngx_cycle_t *cycle,
    ngx_http_beacon_user_t *user);
static ngx_int_t ngx_http_beacon_judge_path(ngx_http_beacon_user_t *user,
    ngx_str_t *path, const char *directive, ngx_str_t *at, ngx_uint_t file,
    ngx_log_t *log);
static ngx_int_t ngx_http_beacon_judge_files(ngx_cycle_t *cycle,
    ngx_http_beacon_user_t *user, ngx_http_beacon_main_conf_t *bmcf,
    ngx_log_t *log);
static ngx_int_t ngx_http_beacon_judge_file(ngx_cycle_t *cycle,
    ngx_http_beacon_user_t *user, ngx_str_t *file, const char *directive,
    ngx_str_t *at, ngx_str_t *stamp, ngx_log_t *log);
static ngx_uint_t ngx_http_beacon_judge_mode(ngx_http_beacon_user_t *user,
    struct stat *st, mode_t want);
static ngx_int_t ngx_http_beacon_judge_ring(ngx_cycle_t *cycle,
    ngx_http_beacon_main_conf_t *bmcf, ngx_log_t *log);
static ngx_int_t ngx_http_beacon_judge_room(ngx_cycle_t *cycle,
    ngx_http_beacon_main_conf_t *bmcf, struct statfs *fs, ngx_log_t *log);
static off_t ngx_http_beacon_judge_own(ngx_str_t *path);


ngx_int_t
ngx_http_beacon_judge(ngx_cycle_t *cycle, ngx_http_beacon_main_conf_t *bmcf,
    ngx_log_t *log)
{
    ngx_int_t                rc;
    ngx_uint_t               i;
    ngx_http_beacon_dir_t   *dir;
    ngx_http_beacon_user_t   user;

    ngx_http_beacon_judge_user(cycle, &user);

    rc = ngx_http_beacon_judge_path(&user, &bmcf->ring, "beacon_ring",
                                    &bmcf->ring_at, 0, log);
    dir = bmcf->dirs.elts;

    for (i = 0; i < bmcf->dirs.nelts; i++) {
        if (ngx_http_beacon_judge_path(&user, &dir[i].path->name,
                                       (char *) dir[i].directive.data,
                                       &dir[i].at, 0, log)
            != NGX_OK)
        {
            rc = NGX_ERROR;
        }
    }

    if (ngx_http_beacon_judge_files(cycle, &user, bmcf, log) != NGX_OK) {
        rc = NGX_ERROR;
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_beacon_judge_ring(cycle, bmcf, log);
}


static void
ngx_http_beacon_judge_user(ngx_cycle_t *cycle, ngx_http_beacon_user_t *user)
{
    ngx_core_conf_t  *ccf;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    if (geteuid() != 0 || ccf->user == (ngx_uid_t) NGX_CONF_UNSET_UINT) {
        user->uid = geteuid();
        user->ngroups = getgroups(NGX_HTTP_BEACON_GROUPS - 1, user->groups);
        user->ngroups = ngx_max(user->ngroups, 0);
        user->groups[user->ngroups++] = getegid();
        return;
    }

    user->uid = ccf->user;
    user->ngroups = NGX_HTTP_BEACON_GROUPS;

    if (ccf->username == NULL
        || getgrouplist(ccf->username, ccf->group, user->groups,
                        &user->ngroups)
           == -1)
    {
        user->groups[0] = ccf->group;
        user->ngroups = 1;
    }
}


/*
 * Every directory on the way must let the user through, the last one write;
 * if it is a file, it must be readable.
 */

static ngx_int_t
ngx_http_beacon_judge_path(ngx_http_beacon_user_t *user, ngx_str_t *path,
    const char *directive, ngx_str_t *at, ngx_uint_t file, ngx_log_t *log)
{
    const char  *may;
    size_t       len;
    u_char       name[NGX_MAX_PATH + 1];
    mode_t       want;
    struct stat  st;

    if (path->len > NGX_MAX_PATH) {
        ngx_log_error(NGX_LOG_EMERG, log, 0, "\"%s\": \"%V\" is too long in "
                      "%V", directive, path, at);
        return NGX_ERROR;
    }

    for (len = 1; len <= path->len; len++) {

        if (len < path->len && len > 1 && path->data[len] != '/') {
            continue;
        }

        ngx_memcpy(name, path->data, len);
        name[len] = '\0';
        want = S_IXOTH;
        may = "enter";

        if (len == path->len) {
            want = file ? S_IROTH : S_IWOTH|S_IXOTH;
            may = file ? "read" : "write to";
        }

        if (stat((char *) name, &st) == -1) {
            ngx_log_error(NGX_LOG_EMERG, log, ngx_errno,
                          "\"%s\": stat(\"%s\") failed in %V", directive,
                          name, at);
            return NGX_ERROR;
        }

        if (!(file && len == path->len ? S_ISREG(st.st_mode)
                                       : S_ISDIR(st.st_mode)))
        {
            ngx_log_error(NGX_LOG_EMERG, log, 0,
                          "\"%s\": \"%s\" is no %s in %V", directive, name,
                          file && len == path->len ? "file" : "directory",
                          at);
            return NGX_ERROR;
        }

        if (!ngx_http_beacon_judge_mode(user, &st, want)) {
            ngx_log_error(NGX_LOG_EMERG, log, 0,
                          "\"%s\": the worker user may not %s \"%s\" in %V",
                          directive, may, name, at);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* Files that the helper reads. */

static ngx_int_t
ngx_http_beacon_judge_files(ngx_cycle_t *cycle, ngx_http_beacon_user_t *user,
    ngx_http_beacon_main_conf_t *bmcf, ngx_log_t *log)
{
    ngx_int_t                 rc;
    ngx_str_t                 stamp;
    ngx_uint_t                i;
    ngx_http_beacon_spy_t    *spy;
    ngx_http_beacon_sink_t   *sink;
    ngx_http_beacon_kafka_t  *kafka;

    rc = NGX_OK;

    if (bmcf->live) {
        rc = ngx_http_beacon_judge_file(cycle, user, &bmcf->live->key,
                                        "beacon_live", &bmcf->live->at,
                                        &stamp, log);
    }

    sink = bmcf->sinks.elts;

    for (i = 0; i < bmcf->sinks.nelts; i++) {
        kafka = sink[i].kafka;
        spy = sink[i].spy;

        if (kafka
            && ngx_http_beacon_judge_file(cycle, user, &kafka->file,
                                          "beacon_kafka_property_file",
                                          &kafka->file_at, &kafka->stamp, log)
               != NGX_OK)
        {
            rc = NGX_ERROR;
        }

        if (spy
            && ngx_http_beacon_judge_file(cycle, user, &spy->curve,
                                          spy->collect ? "beacon_spy_collect"
                                                       : "beacon_spy",
                                          &spy->at, &spy->stamp, log)
               != NGX_OK)
        {
            rc = NGX_ERROR;
        }
    }

    return rc;
}


/*
 * Readable, if there is one; and a stamp, by which the helper sees at a reload
 * that it is another than before.
 */

static ngx_int_t
ngx_http_beacon_judge_file(ngx_cycle_t *cycle, ngx_http_beacon_user_t *user,
    ngx_str_t *file, const char *directive, ngx_str_t *at, ngx_str_t *stamp,
    ngx_log_t *log)
{
    struct stat  st;

    if (file->data == NULL) {
        return NGX_OK;
    }

    if (ngx_http_beacon_judge_path(user, file, directive, at, 1, log)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (stat((char *) file->data, &st) == -1) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno,
                      "\"%s\": stat(\"%V\") failed in %V", directive, file,
                      at);
        return NGX_ERROR;
    }

    stamp->data = ngx_pnalloc(cycle->pool, 4 * (NGX_INT64_LEN + 1));
    if (stamp->data == NULL) {
        return NGX_ERROR;
    }

    stamp->len = ngx_sprintf(stamp->data, "%uL-%O-%T.%09M",
                             (uint64_t) st.st_ino, st.st_size,
                             st.st_ctim.tv_sec,
                             (ngx_msec_t) st.st_ctim.tv_nsec)
                 - stamp->data;

    return NGX_OK;
}


/* want: in the bits for others. */

static ngx_uint_t
ngx_http_beacon_judge_mode(ngx_http_beacon_user_t *user, struct stat *st,
    mode_t want)
{
    int  i;

    if (user->uid == 0) {
        return 1;
    }

    if (user->uid == st->st_uid) {
        want <<= 6;
        return (st->st_mode & want) == want;
    }

    for (i = 0; i < user->ngroups; i++) {
        if (user->groups[i] == st->st_gid) {
            want <<= 3;
            break;
        }
    }

    return (st->st_mode & want) == want;
}


static ngx_int_t
ngx_http_beacon_judge_ring(ngx_cycle_t *cycle,
    ngx_http_beacon_main_conf_t *bmcf, ngx_log_t *log)
{
    struct statfs  fs;

    if (statfs((char *) bmcf->ring.data, &fs) == -1) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno,
                      "\"beacon_ring\": statfs(\"%V\") failed in %V",
                      &bmcf->ring, &bmcf->ring_at);
        return NGX_ERROR;
    }

    if (!bmcf->disk
        && (uint32_t) fs.f_type != NGX_HTTP_BEACON_TMPFS
        && (uint32_t) fs.f_type != NGX_HTTP_BEACON_RAMFS)
    {
        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "\"beacon_ring\": \"%V\" is not on a tmpfs: a disk can "
                      "stall a worker (\"disk=on\" if it must be) in %V",
                      &bmcf->ring, &bmcf->ring_at);
        return NGX_ERROR;
    }

    return ngx_test_config ? ngx_http_beacon_judge_room(cycle, bmcf, &fs, log)
                           : NGX_OK;
}


/* What the ring takes at worst is told, and compared with what there is. */

static ngx_int_t
ngx_http_beacon_judge_room(ngx_cycle_t *cycle,
    ngx_http_beacon_main_conf_t *bmcf, struct statfs *fs, ngx_log_t *log)
{
    off_t       room, worst, live;
    ngx_uint_t  lanes;

    lanes = ngx_http_beacon_lanes(cycle, bmcf);
    worst = (off_t) lanes * (bmcf->lane_size + BEACON_PAGE) + 2 * BEACON_PAGE;

    if (!ngx_quiet_mode) {
        ngx_log_stderr(0, "the ring in \"%V\" takes at most %OM: %ui lanes "
                       "of %uLK", &bmcf->ring, worst / (1024 * 1024) + 1,
                       lanes, bmcf->lane_size / 1024);
    }

    live = bmcf->live ? bmcf->live->size : 0;

    /* a tmpfs without a limit has no blocks */
    if (fs->f_blocks == 0) {
        return NGX_OK;
    }

    room = (off_t) fs->f_bavail * fs->f_bsize
           + ngx_http_beacon_judge_own(&bmcf->ring);

    if (room < (off_t) (bmcf->lane_size + 2 * BEACON_PAGE)) {
        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "\"beacon_ring\": \"%V\" has room for %OK, less than "
                      "one lane, in %V", &bmcf->ring, room / 1024,
                      &bmcf->ring_at);
        return NGX_ERROR;
    }

    /* the live store is allocated whole, and lanes as they are claimed */

    if (room - (off_t) (bmcf->lane_size + 2 * BEACON_PAGE) < live) {
        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "\"beacon_live\": \"%V\" has room for %OM, less than "
                      "the live store of %OM and one lane, in %V",
                      &bmcf->ring, room / (1024 * 1024), live / (1024 * 1024),
                      &bmcf->live->at);
        return NGX_ERROR;
    }

    if (room < worst + live) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "\"beacon_ring\": \"%V\" has room for %OM of the %OM "
                      "that the ring%s at most in %V", &bmcf->ring,
                      room / (1024 * 1024),
                      (worst + live) / (1024 * 1024) + 1,
                      live ? " and the live store take" : " takes",
                      &bmcf->ring_at);
    }

    return NGX_OK;
}


/* Bytes that rings and live stores already take there. */

static off_t
ngx_http_beacon_judge_own(ngx_str_t *path)
{
    off_t        bytes;
    ngx_dir_t    dir;
    struct stat  st;

    if (ngx_open_dir(path, &dir) == NGX_ERROR) {
        return 0;
    }

    bytes = 0;

    while (ngx_read_dir(&dir) == NGX_OK) {
        if ((ngx_strncmp(ngx_de_name(&dir), "ring.", 5) == 0
             || ngx_strncmp(ngx_de_name(&dir), "live.", 5) == 0)
            && fstatat(dirfd(dir.dir), (char *) ngx_de_name(&dir), &st,
                       AT_SYMLINK_NOFOLLOW)
               == 0)
        {
            bytes += (off_t) st.st_blocks * 512;
        }
    }

    (void) ngx_close_dir(&dir);

    return bytes;
}
