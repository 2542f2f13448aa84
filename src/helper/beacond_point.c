#include "beacond_point.h"
#include "beacond_log.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    const char  *name;
    const char  *where;
} beacond_point_t;

/* In the order in which a hit meets them; then start and stop. */
static const beacond_point_t  beacond_points[] = {
    { "log.recover", "unfinished lines are known, not yet finished" },
    { "log.after_open", "a log file is open, not yet in a checkpoint" },
    { "log.before_write", "about to write lines" },
    { "log.mid_write", "half of the bytes of a write are written" },
    { "log.after_write", "lines are written, nothing is acknowledged" },
    { "log.before_checkpoint", "about to write a log's checkpoint" },
    { "log.after_checkpoint", "it is in place, nothing is acknowledged" },
    { "log.before_reopen", "about to go over to a new log file" },
    { "kafka.before_send", "a message is about to go to librdkafka" },
    { "kafka.after_send", "librdkafka has it" },
    { "kafka.report", "what became of it is known, and not yet noted" },
    { "kafka.before_checkpoint", "about to write a Kafka sink's checkpoint" },
    { "kafka.after_checkpoint", "it is in place, nothing is acknowledged" },
    { "kafka.before_park", "a parked topic's hit is about to be written" },
    { "kafka.after_park", "it is written, and in no checkpoint" },
    { "kafka.before_mark", "a parked hit is delivered, and not yet marked" },
    { "kafka.before_unlink", "all of a topic's parked hits are delivered" },
    { "kafka.before_dead", "a dead letter is about to be written" },
    { "kafka.after_dead", "it is written, and in no checkpoint" },
    { "live.noted", "the live sink's places are noted, nothing is put" },
    { "live.put", "its batch is put, and not acknowledged" },
    { "live.passed", "what the store lacks is noted, and about to be given "
      "back" },
    { "live.collected", "a feed's place is noted, its hit is not put" },
    { "live.made", "the live store is whole, and has no name yet" },
    { "live.named", "it has; the old one is not retired" },
    { "live.retired", "the old one is, and is still there" },
    { "live.site_take", "a site's slot is changing hands" },
    { "live.site_made", "it has its new site, which has no chunk" },
    { "live.evict", "a site is about to go, its sequences are noted" },
    { "live.evicted", "it is gone, its slot is free" },
    { "live.chunk_odd", "a chunk has left its site, and has no new one" },
    { "live.chunk_moved", "it has, and is in no chain" },
    { "live.chunk_linked", "it is in the chain" },
    { "live.counting", "what a hit changes is being changed" },
    { "live.counted", "it is; the hit is not written" },
    { "live.fragment", "a fragment is there, others are to follow" },
    { "live.before_commit", "the hit is written, and not committed" },
    { "live.after_commit", "it is, its site's newest is not" },
    { "live.before_clear", "it is, the undo area is not empty" },
    { "live.before_gap", "hits are missing, and the site does not say so" },
    { "live.after_gap", "it does, the undo area is not empty" },
    { "live.undone", "at open: what a hit changed is as it was" },
    { "live.rebuilt", "at open: chains are whole, the tables are not" },
    { "start", "the lock is held, nothing is open yet" },
    { "engine.behind", "a sink's queue is dropped: it catches up by itself" },
    { "engine.live", "a sink has caught up with the readers" },
    { "engine.before_reclaim", "about to give a lane's bytes back" },
    { "engine.after_reclaim", "a lane's bytes are given back" },
    { "engine.before_retire", "a ring is drained, the books do not say so" },
    { "engine.after_retire", "the books say so, its file is still there" },
    { "engine.before_aside", "a ring with a corrupt lane is drained" },
    { "engine.after_aside", "it is set aside, the books do not say so" },
    { "spool.before_write", "frames are about to go into the journal" },
    { "spool.after_write", "frames are in the journal, not yet accounted" },
    { "spool.before_cursor", "cursors.json is about to be replaced" },
    { "spool.after_cursor", "cursors.json is replaced" },
    { "spool.before_unlink", "a segment is about to be unlinked" },
    { "adopt", "asked to adopt a configuration, not yet read" },
    { "adopted", "the new configuration is in use, not yet confirmed" },
    { "reopen", "asked to reopen" },
    { "stop", "asked to drain and leave" },
    { "drained", "drained, about to say so" },
    { NULL, NULL }
};

int  beacond_point_armed;

static char              beacond_point_name[64];
static _Atomic uint64_t  beacond_point_left;

void
beacond_point_init(void)
{
    char                   *colon;
    const char             *env;
    unsigned long           n;
    const beacond_point_t  *p;

    env = getenv("BEACON_KILL_AT");

    if (env == NULL || env[0] == '\0'
        || strlen(env) >= sizeof(beacond_point_name))
    {
        return;
    }

    strcpy(beacond_point_name, env);
    colon = strchr(beacond_point_name, ':');
    n = 1;

    if (colon != NULL) {
        *colon = '\0';
        n = strtoul(colon + 1, NULL, 10);
    }

    for (p = beacond_points; p->name != NULL; p++) {
        if (strcmp(p->name, beacond_point_name) == 0 && n > 0) {
            atomic_init(&beacond_point_left, n);
            beacond_point_armed = 1;
            return;
        }
    }

    beacond_log(BEACOND_WARN, "BEACON_KILL_AT=%s names no point", env);
}

void
beacond_point_pass(const char *name)
{
    if (strcmp(name, beacond_point_name) == 0
        && atomic_fetch_sub(&beacond_point_left, 1) == 1)
    {
        kill(getpid(), SIGKILL);
    }
}

void
beacond_point_print(FILE *out)
{
    const beacond_point_t  *p;

    for (p = beacond_points; p->name != NULL; p++) {
        fprintf(out, "%s\t%s\n", p->name, p->where);
    }
}
