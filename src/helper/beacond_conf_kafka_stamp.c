/* What tells a Kafka sink's files, and its spool, from those of another day. */

#include "beacond_conf_kafka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Does librdkafka read a file of that name? */
static bool
beacond_conf_kafka_names_file(const char *property)
{
    size_t  i, len = strlen(property), n;

    static const char *const  ends[] = { ".location", ".keytab" };

    for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        n = strlen(ends[i]);

        if (len > n && strcmp(property + len - n, ends[i]) == 0) {
            return true;
        }
    }

    return false;
}

/* One content of the files that properties name from the next: certificates
   are renewed where they are. */
static char *
beacond_conf_kafka_stamps(const beacond_conf_kafka_t *kafka)
{
    char         *stamp = NULL;
    FILE         *out;
    size_t        i, len;
    struct stat   st;

    out = open_memstream(&stamp, &len);

    if (out == NULL) {
        return NULL;
    }

    for (i = 0; i < kafka->nproperties; i++) {
        if (beacond_conf_kafka_names_file(kafka->properties[i].name)
            && stat(kafka->properties[i].value, &st) == 0)
        {
            fprintf(out, "%llu-%lld-%lld.%09ld;",
                    (unsigned long long) st.st_ino, (long long) st.st_size,
                    (long long) st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
        }
    }

    if (fclose(out) != 0) {
        free(stamp);
        return NULL;
    }

    return stamp;
}

static void
beacond_conf_kafka_put(json_t *sink, const beacond_conf_t *conf,
    const char *stamp)
{
    if (stamp != NULL && stamp[0] != '\0') {
        (void) json_object_set_new(sink, "location_stamp",
                                   json_string(stamp));
    }

    if (conf->spool != NULL) {
        (void) json_object_set_new(sink, "spool",
                                   json_pack("{s:s,s:i}", "dir", conf->spool,
                                             "min_free",
                                             (int) conf->spool_min_free));
    }
}

void
beacond_conf_kafka_stamp(const beacond_conf_t *conf, const json_t *sink,
    const beacond_conf_kafka_t *kafka)
{
    char    *stamp = beacond_conf_kafka_stamps(kafka);
    size_t   i;
    json_t  *one;

    json_array_foreach(json_object_get(conf->json, "sinks"), i, one) {
        if (one == sink) {
            beacond_conf_kafka_put(one, conf, stamp);
        }
    }

    free(stamp);
}
