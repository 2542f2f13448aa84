/*
 * beacon.json, the helper's configuration (src/README.md, "beacon.json"):
 * written by the module when a configuration is applied, checked by
 * beacond -t, read at start and at each adoption.  Immutable once read.
 */

#ifndef BEACOND_CONF_H
#define BEACOND_CONF_H

#include "beacon.h"

#include <jansson.h>
#include <stdbool.h>

#define BEACOND_CONF_VERSION  2         /* and 1 */
#define BEACOND_CONF_MAX      (16 * 1024 * 1024)        /* bytes of a file */
#define BEACOND_THREADS_MAX   64

/* A sink to be: one directive. */
typedef struct {
    const char    *type;        /* "log" */
    const char    *name;
    const char    *at;          /* "/etc/nginx/nginx.conf:12" */
    const json_t  *json;        /* the whole object */
} beacond_conf_sink_t;

typedef struct {
    json_t               *json;         /* owns all strings below */
    uint64_t              generation;
    const char           *build;        /* of the module */
    const char           *dir;          /* the ring's */
    uint64_t              epoch;        /* the current ring; 0: a check only */
    int                   threads;      /* readers */
    bool                  external;     /* nginx does not start the helper */
    const char           *log_level;    /* of nginx's error log; NULL: none */
    const char           *edge;
    const char           *spool;        /* NULL: none */
    uint64_t              spool_size;
    unsigned              spool_min_free;       /* per cent */
    beacond_conf_sink_t  *sinks;
    size_t                nsinks;
    bool                  flawed;       /* a sink's own part is wrong */
} beacond_conf_t;

/* One complaint: at may be "".  A text that starts with "warning: " is one
   that the configuration can live with. */
typedef void (*beacond_conf_say_pt)(void *data, const char *at,
    const char *text);

/*
 * Reads and checks a file ("-": standard input), sinks' own parts too.  Each
 * complaint goes to say(), all of them, not only the first.
 * NULL: unusable.  conf->flawed: readable, but should not be published.
 */
beacond_conf_t *beacond_conf_read(const char *file, beacond_conf_say_pt say,
    void *data);

/* The same from memory. */
beacond_conf_t *beacond_conf_parse(const char *text, size_t len,
    beacond_conf_say_pt say, void *data);

/* The generation of a file, 0 if it is unusable; without a word. */
uint64_t beacond_conf_generation(const char *file);

void beacond_conf_destroy(beacond_conf_t *conf);

/* A copy without "at", in objects within too: what a sink is, wherever it
   stands.  NULL: no memory. */
json_t *beacond_conf_placeless(const json_t *json);

/*
 * A sink's "sync": "always" is 0, "off" is BEACOND_SYNC_OFF, "250ms", "1s" the
 * milliseconds, 1 to a day's.  INVALID: none of these.
 */
#define BEACOND_SYNC_OFF  (-1)

beacon_rc_t beacond_conf_sync(const char *text, int *ms);

#endif /* BEACOND_CONF_H */
