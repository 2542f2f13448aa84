/*
 * beacond: options, start, the main thread's loop, the ways to leave.
 *
 *     running    until somebody asks to stop
 *     draining   STOP or a signal: out when drained, or when time is up
 *     lingering  the supervisor is gone, or time was up with workers still
 *                there: out when every lane is unowned and drained, or when
 *                the ring's directory has been gone for 10 seconds: nobody can
 *                find this helper then
 *
 * An adoption leads back from both.  All the work is the engine's, in threads
 * of its own.
 */

#include "beacon_counters.h"
#include "beacond_clock.h"
#include "beacond_conf.h"
#include "beacond_control.h"
#include "beacond_engine.h"
#include "beacond_kafka_former.h"
#include "beacond_log.h"
#include "beacond_options.h"
#include "beacond_point.h"
#include "beacond_process.h"
#include "beacond_spool_last.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    BEACOND_EXIT_DONE = 0,
    BEACOND_EXIT_CONF = 1,      /* 2 would tell nginx not to respawn */
    BEACOND_EXIT_LOCK = 3,
    BEACOND_EXIT_SYSTEM = 4
};

#define BEACOND_IDLE_MS     1000        /* poll timeouts */
#define BEACOND_LINGER_MS   50
#define BEACOND_DRAIN_MS    5

#define BEACOND_QUIT_MS     4000        /* SIGQUIT */
#define BEACOND_TERM_MS     2000        /* SIGTERM, SIGINT */
#define BEACOND_GRACE_MS    1000        /* for a successor to adopt us; for
                                           sinks that do not end */
#define BEACOND_SPOOL_MS    10000       /* between attempts to leave one */
#define BEACOND_GONE_MS     10000       /* without a directory, see above */

/*
 * jemalloc's, which looks for this name; no use where it is not linked.  A
 * thread keeps pieces of up to 128 KB (32 are usual): a larger one that is to
 * be zeroed costs a system call, in which the kernel takes its pages away, and
 * a fault for each that is touched.  librdkafka wants 64 KB for each request
 * that it compresses, and a checkpoint as much.
 */
const char  *malloc_conf = "lg_tcache_max:17";

typedef enum {
    BEACOND_RUNNING,
    BEACOND_DRAINING,
    BEACOND_LINGERING
} beacond_state_e;

typedef struct {
    beacond_options_t   options;
    beacond_conf_t     *conf;           /* the engine's, once there is one */
    char               *dir;            /* the ring's; never changes */
    int                 lock;
    int                 signals;
    beacon_counters_t   counters;
    beacond_engine_t   *engine;
    beacond_control_t   control;
    beacond_state_e     state;
    int64_t             deadline_ms;    /* of this state */
    bool                last_spool;     /* conf has that instead of its own */
    int64_t             spool_ms;       /* not to be left before */
    int64_t             gone_ms;        /* the directory was found gone at;
                                           0: it is there */
    bool                firm;           /* no lingering: a signal, or STOP 0,
                                           to make room for another */
    bool                expecting;      /* a configuration is published whose
                                           manager has not come yet: not out
                                           before the deadline */
    int                 exit_code;
    bool                leave;
} beacond_t;

static int64_t
beacond_now_ms(void)
{
    return (int64_t) (beacond_clock_ns() / BEACOND_MS);
}

/* Configuration. */

static void
beacond_say_log(void *data, const char *at, const char *text)
{
    static const char  warning[] = "warning: ";

    bool          warn;
    beacon_err_t *first;

    first = data;
    warn = (strncmp(text, warning, sizeof(warning) - 1) == 0);

    if (warn) {
        text += sizeof(warning) - 1;

    } else if (first->text[0] == '\0') {
        beacon_err(first, "%s", text);
    }

    beacond_log(warn ? BEACOND_WARN : BEACOND_ERROR, "%s%s%s", text,
                at[0] != '\0' ? " in " : "", at);
}

/* NULL: err says the first thing that is wrong. */
static beacond_conf_t *
beacond_read(const beacond_t *b, beacon_err_t *err)
{
    int              level;
    beacond_conf_t  *conf;

    err->text[0] = '\0';
    conf = beacond_conf_read(b->options.file, beacond_say_log, err);

    if (conf == NULL) {
        return NULL;
    }

    if (conf->epoch == 0) {
        beacon_err(err, "%s names no ring that exists", b->options.file);
        beacond_conf_destroy(conf);
        return NULL;
    }

    if (b->dir != NULL && strcmp(conf->dir, b->dir) != 0) {
        beacon_err(err, "%s names another directory, %s", b->options.file,
                   conf->dir);
        beacond_conf_destroy(conf);
        return NULL;
    }

    level = (b->options.supervised && conf->log_level != NULL)
            ? beacond_log_level_parse(conf->log_level) : 0;

    if (level != 0) {
        beacond_log_level((beacond_level_e) level);
    }

    return conf;
}

static beacon_rc_t
beacond_reconfigure(beacond_t *b, beacon_err_t *err)
{
    beacon_rc_t      rc;
    beacond_conf_t  *conf, *with;

    conf = beacond_read(b, err);

    if (conf == NULL) {
        beacond_log(BEACOND_ERROR, "the old configuration stays: %s",
                    err->text);
        return BEACON_INVALID;
    }

    with = beacond_engine_spool_empty(b->engine)
           ? NULL : beacond_spool_last_with(conf, b->conf);

    if (with != NULL) {
        beacond_conf_destroy(conf);
        conf = with;
    }

    rc = beacond_engine_configure(b->engine, conf, err);

    if (rc != BEACON_OK) {
        beacond_log(BEACOND_ERROR, "the old configuration stays: %s",
                    err->text);
        beacond_conf_destroy(conf);
        return rc;
    }

    b->conf = conf;
    b->last_spool = with != NULL;
    beacond_log(BEACOND_NOTICE, "configuration %" PRIu64 " is in use",
                conf->generation);
    beacond_former_tell(conf);

    return BEACON_OK;
}

/* What the control socket asks for. */

static void
beacond_run(beacond_t *b)
{
    if (b->state != BEACOND_RUNNING) {
        beacond_engine_stop(b->engine, -1);
        b->state = BEACOND_RUNNING;
    }
}

static beacon_rc_t
beacond_adopt(void *data, uint64_t generation, beacon_err_t *err)
{
    beacon_rc_t  rc;
    beacond_t   *b = data;

    /* whoever told us to stop waits for our end */
    if (b->state == BEACOND_DRAINING && b->firm) {
        beacon_err(err, "the helper was told to stop");
        return BEACON_INVALID;
    }

    beacond_run(b);

    /* a respawned manager brings nothing new */
    if (generation == b->conf->generation) {
        return BEACON_OK;
    }

    rc = beacond_reconfigure(b, err);

    if (rc == BEACON_OK && b->conf->external && b->options.supervised) {
        beacond_log(BEACOND_NOTICE, "beacon_helper is external now: leaving");
        b->leave = true;
    }

    return rc;
}

static void
beacond_reopen(void *data)
{
    beacond_t  *b = data;

    beacond_log(BEACOND_NOTICE, "reopening");
    beacond_engine_reopen(b->engine);
}

static void
beacond_drain(beacond_t *b, int ms, bool firm)
{
    beacond_log(BEACOND_NOTICE, "stopping, for up to %d ms", ms);
    b->state = BEACOND_DRAINING;
    b->firm = firm;
    b->expecting = !firm && beacond_conf_generation(b->options.file)
                            > b->control.generation;
    b->deadline_ms = beacond_now_ms() + ms;
    beacond_engine_stop(b->engine, ms);
}

static void
beacond_stop(void *data, int ms)
{
    beacond_drain(data, ms, ms == 0);
}

static void
beacond_orphaned(void *data)
{
    beacond_t  *b = data;

    if (b->state == BEACOND_RUNNING && b->options.supervised) {
        beacond_log(BEACOND_NOTICE, "the supervisor is gone: going on until "
                    "every worker is");
        b->state = BEACOND_LINGERING;
        b->deadline_ms = beacond_now_ms() + BEACOND_GRACE_MS;
    }
}

static const beacond_control_ops_t  beacond_control_ops = {
    beacond_adopt, beacond_reopen, beacond_stop, beacond_orphaned
};

/* Start. */

/* The spool of before, where it holds hits, comes first; where it cannot be
   used, the one that is configured has to do. */
static beacon_rc_t
beacond_make(beacond_t *b, beacon_err_t *err)
{
    beacond_conf_t  *conf = beacond_spool_last_conf(b->conf);

    if (conf != NULL) {
        b->engine = beacond_engine_create(conf, &b->counters, err);

        if (b->engine != NULL) {
            beacond_conf_destroy(b->conf);
            b->conf = conf;
            b->last_spool = true;
            return BEACON_OK;
        }

        beacond_log(BEACOND_ERROR, "it cannot be used: %s", err->text);
        beacond_conf_destroy(conf);
    }

    b->engine = beacond_engine_create(b->conf, &b->counters, err);

    return b->engine != NULL ? BEACON_OK : BEACON_SYS;
}

static beacon_rc_t
beacond_open(beacond_t *b, beacon_err_t *err)
{
    beacon_rc_t  rc;

    b->conf = beacond_read(b, err);

    if (b->conf == NULL) {
        return BEACON_INVALID;
    }

    rc = beacond_process_user(b->conf->dir, err);

    if (rc != BEACON_OK) {
        return rc;
    }

    b->dir = strdup(b->conf->dir);

    if (b->dir == NULL) {
        beacon_err(err, "out of memory");
        return BEACON_SYS;
    }

    rc = beacond_process_lock(b->dir, &b->lock, err);

    if (rc != BEACON_OK) {
        return rc;
    }

    BEACOND_POINT("start");
    rc = beacon_counters_attach(b->dir, (uid_t) -1, (gid_t) -1, &b->counters,
                                err);
    if (rc != BEACON_OK || beacond_make(b, err) != BEACON_OK) {
        return BEACON_SYS;
    }

    return beacond_control_listen(&b->control, b->dir, b->conf->generation,
                                  err);
}

static int
beacond_start(beacond_t *b)
{
    beacon_rc_t   rc;
    beacon_err_t  err;

    rc = beacond_control_init(&b->control, &beacond_control_ops, b,
                              b->options.supervised, &err);
    if (rc == BEACON_OK) {
        rc = beacond_process_init(b->options.supervised, &b->signals, &err);
    }

    if (rc == BEACON_OK && !b->options.supervised) {
        beacond_process_ready();
    }

    if (rc == BEACON_OK) {
        beacond_log_start();
        rc = beacond_open(b, &err);
    }

    if (rc == BEACON_OK) {
        beacond_log(BEACOND_NOTICE, "version %s started, configuration %"
                    PRIu64, BEACON_VERSION, b->conf->generation);
        beacond_former_tell(b->conf);
        return -1;
    }

    beacond_log(rc == BEACON_FULL ? BEACOND_NOTICE : BEACOND_ERROR,
                "cannot start: %s", err.text);
    beacond_control_tell(&b->control, "FAILED %s", err.text);

    return (rc == BEACON_FULL) ? BEACOND_EXIT_LOCK
           : (rc == BEACON_INVALID) ? BEACOND_EXIT_CONF : BEACOND_EXIT_SYSTEM;
}

/* The loop. */

static void
beacond_signal(beacond_t *b)
{
    beacon_err_t             err;
    struct signalfd_siginfo  si;

    while (read(b->signals, &si, sizeof(si)) == (ssize_t) sizeof(si)) {
        switch (si.ssi_signo) {

        case SIGQUIT:
            beacond_drain(b, BEACOND_QUIT_MS, true);
            break;

        case SIGTERM:
        case SIGINT:
            beacond_drain(b, BEACOND_TERM_MS, true);
            break;

        case SIGUSR1:
            beacond_reopen(b);
            break;

        case SIGHUP:
            (void) beacond_reconfigure(b, &err);
            break;
        }
    }
}

/* Has the ring's directory, with the lock in it, been gone for too long? */
static bool
beacond_gone(beacond_t *b, int64_t now_ms)
{
    struct stat  st;

    if (fstat(b->lock, &st) != 0 || st.st_nlink != 0) {
        b->gone_ms = 0;
        return false;
    }

    if (b->gone_ms == 0) {
        b->gone_ms = now_ms;
    }

    return now_ms - b->gone_ms >= BEACOND_GONE_MS;
}

/* Draining or lingering: is it time to leave? */
static void
beacond_leaving(beacond_t *b, int64_t now_ms)
{
    uint64_t  left;

    if (beacond_engine_drained(b->engine, &left)) {
        if ((b->state == BEACOND_LINGERING || b->expecting)
            && now_ms < b->deadline_ms)
        {
            return;
        }

        if (!beacond_engine_close(b->engine, true)
            && (b->state == BEACOND_LINGERING || now_ms < b->deadline_ms))
        {
            return;
        }

        BEACOND_POINT("drained");
        beacond_log(BEACOND_NOTICE, "drained");
        beacond_control_tell(&b->control, "DRAINED");
        b->leave = true;
        return;
    }

    (void) beacond_engine_close(b->engine, false);

    if (b->state == BEACOND_LINGERING && beacond_gone(b, now_ms)) {
        beacond_log(BEACOND_ERROR, "the ring's directory is gone, and with it "
                    "%" PRIu64 " hits", left);
        b->leave = true;
        return;
    }

    if (b->state != BEACOND_DRAINING || now_ms < b->deadline_ms) {
        return;
    }

    beacond_log(left != 0 ? BEACOND_WARN : BEACOND_NOTICE, "time is up, %"
                PRIu64 " hits stay in the ring", left);
    beacond_control_tell(&b->control, "LEFT %" PRIu64, left);

    if (left != 0 || b->firm) {
        b->leave = true;
        return;
    }

    /* nothing waits but workers that have connections to finish */
    b->state = BEACOND_LINGERING;
}

/* From the spool of before, once it is empty, to the one that is configured. */
static void
beacond_leave_spool(beacond_t *b, int64_t now_ms)
{
    beacon_err_t  err;

    if (now_ms >= b->spool_ms && beacond_engine_spool_empty(b->engine)) {
        b->spool_ms = now_ms + BEACOND_SPOOL_MS;
        (void) beacond_reconfigure(b, &err);
    }
}

static void
beacond_loop(beacond_t *b)
{
    int            timeout;
    nfds_t         n;
    int64_t        now_ms;
    struct pollfd  polls[BEACOND_CONTROL_POLLS + 1];

    static const int  timeouts[] = {
        BEACOND_IDLE_MS, BEACOND_DRAIN_MS, BEACOND_LINGER_MS
    };

    while (!b->leave) {
        now_ms = beacond_now_ms();
        n = beacond_control_polls(&b->control, polls + 1, now_ms);
        polls[0].fd = b->signals;
        polls[0].events = POLLIN;
        polls[0].revents = 0;
        timeout = timeouts[b->state];

        if (poll(polls, n + 1, timeout) < 0 && errno != EINTR) {
            beacond_log(BEACOND_ERROR, "poll() failed: %s", strerror(errno));
            b->exit_code = BEACOND_EXIT_SYSTEM;
            return;
        }

        now_ms = beacond_now_ms();

        if (polls[0].revents != 0) {
            beacond_signal(b);
        }

        beacond_control_handle(&b->control, polls + 1, n, now_ms);

        if (b->state != BEACOND_RUNNING) {
            beacond_leaving(b, now_ms);

        } else if (b->last_spool) {
            beacond_leave_spool(b, now_ms);
        }
    }
}

/* The end. */

static void *
beacond_watchdog(void *data)
{
    struct timespec  ts = { BEACOND_GRACE_MS / 1000, 0 };

    (void) data;
    nanosleep(&ts, NULL);
    beacond_log(BEACOND_WARN, "a sink does not end: leaving without it");
    beacond_process_exit(BEACOND_EXIT_DONE);
}

/*
 * A sink may be stuck in a write.  What it has not acknowledged stays in ring
 * or spool, so that leaving without it costs nothing but its last buffers.
 */
static void
beacond_finish(beacond_t *b)
{
    pthread_t  thread;

    if (pthread_create(&thread, NULL, beacond_watchdog, NULL) != 0) {
        beacond_process_exit(b->exit_code);
    }

    pthread_detach(thread);
    beacond_engine_destroy(b->engine);
    beacon_counters_detach(&b->counters);
    beacond_control_dispose(&b->control);
    beacond_log(BEACOND_NOTICE, "gone");
}

int
main(int argc, char *argv[])
{
    int               rc;
    static beacond_t  b;

    rc = beacond_options(&b.options, argc, argv);

    if (rc >= 0) {
        return rc;
    }

    if (b.options.check) {
        return beacond_check(b.options.file);
    }

    beacond_process_block();
    beacond_point_init();
    rc = beacond_start(&b);

    if (rc < 0) {
        beacond_loop(&b);
        beacond_finish(&b);
        rc = b.exit_code;
    }

    beacond_process_exit(rc);
}
