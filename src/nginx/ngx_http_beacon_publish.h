/*
 * Between the files that prepare, publish and supervise; the rest of the
 * module needs only what ngx_http_beacon.h says of them.
 */

#ifndef NGX_HTTP_BEACON_PUBLISH_H
#define NGX_HTTP_BEACON_PUBLISH_H


#include "ngx_http_beacon.h"


/* bmcf->publish: what it takes to publish, also once more (in a manager that
   takes over after a roll-back). */

typedef struct {
    ngx_cycle_t                *cycle;
    ngx_str_t                   tail;       /* beacon.json behind its
                                               generation */
    u_char                     *file;       /* <ring>/beacon.json */
    u_char                     *temp;       /* <ring>/beacon.json.new.<pid> */
    ngx_uint_t                  written;    /* temp is there */
    uid_t                       uid;        /* of the worker; -1: our own */
    gid_t                       gid;
} ngx_http_beacon_publish_t;


/* ngx_http_beacon_publish.c */

/* Once more, under a new generation.  For the worker user's processes. */
ngx_int_t ngx_http_beacon_publish_again(ngx_http_beacon_main_conf_t *bmcf,
    ngx_log_t *log);

/* ngx_http_beacon_json.c: beacon.json behind its generation, in the pool. */
ngx_int_t ngx_http_beacon_json(ngx_cycle_t *cycle,
    ngx_http_beacon_main_conf_t *bmcf, ngx_str_t *tail);

#define NGX_HTTP_BEACON_JSON_HEAD  "{\"v\":2,\"generation\":%uL"

/* ngx_http_beacon_judge.c: the directories, as the worker user sees them. */
ngx_int_t ngx_http_beacon_judge(ngx_cycle_t *cycle,
    ngx_http_beacon_main_conf_t *bmcf, ngx_log_t *log);

/* ngx_http_beacon_check.c: nginx -t asks beacond -t. */
ngx_int_t ngx_http_beacon_check(ngx_http_beacon_main_conf_t *bmcf,
    ngx_log_t *log);

/*
 * ngx_http_beacon_helper.c: a configuration is in use from now on.  Watches
 * for USR1; tells the helper, if this process supervises (master_process off).
 */
void ngx_http_beacon_helper_renew(ngx_cycle_t *cycle,
    ngx_http_beacon_main_conf_t *bmcf);


#endif /* NGX_HTTP_BEACON_PUBLISH_H */
