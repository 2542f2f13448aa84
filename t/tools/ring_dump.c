/*
 * ring_dump DIR: renders every record of every ring in DIR to standard output,
 * lane by lane, and takes nothing out.  What lies between reclaim and tail, so
 * with no helper: all.
 */

#include "beacon_render.h"
#include "beacon_ring.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>


static const char  *dir;


/* The schema's file is searched for names, in its order; enough for a test. */
static void
schema_load(uint32_t hash, beacon_schema_t *schema, char *text, size_t size)
{
    char     name[4096], *p, *end;
    FILE    *f;
    size_t   n;
    int      which;

    memset(schema, 0, sizeof(*schema));
    snprintf(name, sizeof(name), "%s/schemas/%08x.json", dir, hash);

    f = fopen(name, "r");
    if (f == NULL) {
        fprintf(stderr, "ring_dump: %s is missing\n", name);
        exit(1);
    }

    n = fread(text, 1, size - 1, f);
    fclose(f);
    text[n] = '\0';

    p = strstr(text, "\"edge\":\"") + 8;
    schema->edge.data = (uint8_t *) p;
    schema->edge.len = strchr(p, '"') - p;

    for (which = 0; which < 2; which++) {
        p = strstr(text, which ? "\"flags\":[" : "\"fields\":[");
        end = strchr(p, ']');

        for (p = strchr(p, '[') + 1; p < end; p += 2) {
            char  *q = strchr(p + 1, '"');
            beacon_str_t  s = { q - p - 1, (uint8_t *) p + 1 };

            if (which) {
                schema->flags[schema->nflags++] = s;
            } else {
                schema->fields[schema->nfields++] = s;
            }

            p = q;
        }
    }

    schema->hash = hash;
}


static void
record_print(beacon_render_t *render, const beacon_ring_t *ring, uint32_t lane,
    const beacon_record_t *record)
{
    static char      text[65536];
    beacon_hit_t     hit;
    beacon_line_t    line;
    beacon_schema_t  schema;
    uint8_t         *payload, *dst;

    if (record->type == BEACON_RECORD_GAP) {
        printf("{\"gap\":%llu}\n", (unsigned long long) record->gap);
        return;
    }

    /* with bytes behind it that may be loaded */
    payload = calloc(1, record->payload.len + 64);
    memcpy(payload, record->payload.data, record->payload.len);

    if (beacon_hit_parse((beacon_str_t) { record->payload.len, payload }, &hit)
        != BEACON_OK)
    {
        fprintf(stderr, "ring_dump: a hit cannot be parsed\n");
        exit(1);
    }

    schema_load(record->schema, &schema, text, sizeof(text));

    dst = malloc(beacon_render_bound(&hit, &schema) + 64);

    if (beacon_render(render, record, &hit, &schema, ring->epoch, lane, dst,
                      &line) != 1)
    {
        fprintf(stderr, "ring_dump: a hit cannot be rendered\n");
        exit(1);
    }

    fwrite(dst, 1, line.len, stdout);

    free(dst);
    free(payload);
}


static void
ring_print(void *data, uint64_t epoch)
{
    uint64_t         lost;
    uint32_t         lane;
    beacon_rc_t      rc;
    beacon_err_t     err;
    beacon_ring_t   *ring;
    beacon_cursor_t  cursor;
    beacon_record_t  record;

    if (beacon_ring_attach(dir, epoch, 0, &ring, &err) != BEACON_OK) {
        fprintf(stderr, "ring_dump: %s\n", err.text);
        exit(1);
    }

    for (lane = 0; lane < ring->lanes; lane++) {
        beacon_lane_reclaimed(ring, lane, &cursor);

        while ((rc = beacon_lane_read(ring, lane, &cursor, &record, &lost))
               == BEACON_OK)
        {
            record_print(data, ring, lane, &record);
        }

        if (rc != BEACON_AGAIN) {
            fprintf(stderr, "ring_dump: lane %u is not readable\n", lane);
            exit(1);
        }
    }

    beacon_ring_detach(ring);
}


int
main(int argc, char **argv)
{
    beacon_render_t  *render;

    if (argc != 2) {
        fprintf(stderr, "usage: ring_dump DIR\n");
        return 2;
    }

    dir = argv[1];
    render = beacon_render_create();

    if (beacon_ring_scan(dir, ring_print, render) != BEACON_OK) {
        perror(dir);
        return 1;
    }

    beacon_render_destroy(render);

    return 0;
}
