/*
 * Directories that directives of http{} name: whose they are, and who makes
 * them.  Whether the worker user may write there is judged later, by
 * ngx_http_beacon_judge.c.
 */

#include "ngx_http_beacon.h"


static ngx_uint_t ngx_http_beacon_conf_ours(const char *name);
static ngx_int_t ngx_http_beacon_conf_parent(ngx_conf_t *cf, ngx_str_t *name);


/* A name that Beacon gives to what it keeps in the ring's directory, or tells
   people to make there. */

static ngx_uint_t
ngx_http_beacon_conf_ours(const char *name)
{
    ngx_uint_t  i;

    static const char  *starts[] = {
        ".", "ring.", "live.", "counters", "schemas", "beacon.json",
        "beacond.", "visitor.key"
    };

    /* behind a sink's name */
    static const char  *parts[] = {
        ".checkpoint", ".sock", ".gone", ".parked", ".dead"
    };

    for (i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        if (ngx_strncmp(name, starts[i], ngx_strlen(starts[i])) == 0) {
            return 1;
        }
    }

    for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (ngx_strstr(name, parts[i]) != NULL) {
            return 1;
        }
    }

    return 0;
}


/*
 * Are there files of others in this directory?  nginx gives a directory that
 * it is told of to the worker user: not one like /var/log or /run.
 */

ngx_uint_t
ngx_http_beacon_conf_in_use(ngx_str_t *name, ngx_uint_t ring)
{
    DIR            *dir;
    ngx_uint_t      found;
    struct dirent  *entry;

    dir = opendir((char *) name->data);
    if (dir == NULL) {
        return 0;
    }

    found = 0;

    while (!found && (entry = readdir(dir)) != NULL) {
        found = ngx_strcmp(entry->d_name, ".") != 0
                && ngx_strcmp(entry->d_name, "..") != 0
                && !(ring && ngx_http_beacon_conf_ours(entry->d_name));
    }

    (void) closedir(dir);

    return found;
}


/*
 * nginx makes the last directory of a path, and its complaint of one that it
 * cannot make names no line.  What an earlier directive has made will be there.
 */

static ngx_int_t
ngx_http_beacon_conf_parent(ngx_conf_t *cf, ngx_str_t *name)
{
    u_char           *last;
    ngx_str_t         parent;
    ngx_uint_t        i;
    ngx_path_t      **paths;
    ngx_file_info_t   fi;

    last = name->data + name->len;
    while (*--last != '/') { /* void */ }

    parent.len = ngx_max(last - name->data, 1);
    parent.data = ngx_pnalloc(cf->pool, parent.len + 1);
    if (parent.data == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_cpystrn(parent.data, name->data, parent.len + 1);

    if (ngx_file_info(parent.data, &fi) != NGX_FILE_ERROR
        || ngx_errno != NGX_ENOENT)
    {
        return NGX_OK;
    }

    paths = cf->cycle->paths.elts;

    for (i = 0; i < cf->cycle->paths.nelts; i++) {
        if (paths[i]->name.len == parent.len
            && ngx_strncmp(paths[i]->name.data, parent.data, parent.len) == 0)
        {
            return NGX_OK;
        }
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "\"%V\" cannot be made: there is no \"%V\"", name,
                       &parent);

    return NGX_ERROR;
}


/* Has a directory made, and judged when everything else is known. */

ngx_int_t
ngx_http_beacon_conf_dir(ngx_conf_t *cf, ngx_http_beacon_main_conf_t *bmcf,
    ngx_str_t *name, ngx_path_t **path)
{
    ngx_str_t              *value;
    ngx_path_t             *p;
    ngx_http_beacon_dir_t  *dir;

    p = ngx_pcalloc(cf->pool, sizeof(ngx_path_t));
    if (p == NULL) {
        return NGX_ERROR;
    }

    p->name = *name;
    p->conf_file = cf->conf_file->file.name.data;
    p->line = cf->conf_file->line;

    if (ngx_http_beacon_conf_parent(cf, name) != NGX_OK
        || ((path == &bmcf->path || !ngx_http_beacon_conf_in_use(name, 0))
            && ngx_add_path(cf, &p) != NGX_OK))
    {
        return NGX_ERROR;
    }

    dir = ngx_array_push(&bmcf->dirs);
    if (dir == NULL) {
        return NGX_ERROR;
    }

    value = cf->args->elts;

    dir->path = p;
    dir->directive = value[0];

    if (ngx_http_beacon_conf_at(cf, &dir->at) != NGX_OK) {
        return NGX_ERROR;
    }

    *path = p;

    return NGX_OK;
}
