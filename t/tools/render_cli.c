/*
 * Renders hits for tests in other languages.
 *
 *     render_cli EDGE [field=NAME]... [flag=NAME]...  <cases  >lines
 *
 * A case is a line "EPOCH LANE OFFSET TIME_NS PAYLOAD", all in hex but
 * TIME_NS; its answer is the line that all variants agree on, or one that
 * begins with '!'.  Strings end 64 bytes before an unmapped page, and dst just
 * where the contract says: who oversteps it dies here.
 */

#include "beacon_render.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BEACON_CLI_SLACK  64

/* n bytes that end at a page without access. */
static uint8_t *
beacon_cli_map(size_t n, size_t *size)
{
    size_t    page;
    uint8_t  *map;

    page = (size_t) sysconf(_SC_PAGESIZE);
    *size = (n + page - 1) / page * page + page;
    map = mmap(NULL, *size, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (map == MAP_FAILED
        || mprotect(map + *size - page, page, PROT_NONE) != 0)
    {
        perror("mmap");
        exit(2);
    }

    return map + *size - page - n;
}

static void
beacon_cli_unmap(uint8_t *p, size_t n, size_t size)
{
    size_t  page;

    page = (size_t) sysconf(_SC_PAGESIZE);
    munmap(p + n + page - size, size);
}

static size_t
beacon_cli_unhex(const char *hex, uint8_t *dst)
{
    size_t  n;
    char    byte[3] = { 0, 0, 0 };

    for (n = 0; hex[2 * n] > ' '; n++) {
        memcpy(byte, hex + 2 * n, 2);
        dst[n] = (uint8_t) strtoul(byte, NULL, 16);
    }

    return n;
}

static void
beacon_cli_case(beacon_render_t *render, beacon_record_t *record,
    const beacon_schema_t *schema, uint64_t epoch, uint32_t lane,
    beacon_str_t payload)
{
    size_t              bound, size, first_size, len;
    uint8_t            *dst, *first;
    beacon_hit_t        hit;
    beacon_line_t       line;
    const char *const  *name;

    if (beacon_hit_parse(payload, &hit) != BEACON_OK) {
        puts("!corrupt");
        return;
    }

    bound = beacon_render_bound(&hit, schema) + BEACON_CLI_SLACK;
    first = beacon_cli_map(bound, &first_size);
    len = 0;

    for (name = beacon_render_variants(); *name; name++) {
        dst = beacon_cli_map(bound, &size);
        memset(dst, 0xee, bound);

        if (beacon_render_select(render, *name) != BEACON_OK
            || beacon_render(render, record, &hit, schema, epoch, lane, dst,
                             &line) != 1
            || line.len > bound - BEACON_CLI_SLACK)
        {
            printf("!%s: failed\n", *name);

        } else if (len == 0) {
            len = line.len;
            memcpy(first, dst, len);

        } else if (line.len != len || memcmp(dst, first, len) != 0) {
            printf("!%s: %.*s", *name, (int) line.len, dst);
        }

        beacon_cli_unmap(dst, bound, size);
    }

    fwrite(first, 1, len, stdout);
    beacon_cli_unmap(first, bound, first_size);
}

static void
beacon_cli_schema(beacon_schema_t *schema, int argc, char **argv)
{
    int            i;
    const char    *value;
    beacon_str_t   name;

    memset(schema, 0, sizeof(*schema));
    schema->edge.data = (const uint8_t *) argv[1];
    schema->edge.len = strlen(argv[1]);

    for (i = 2; i < argc; i++) {
        value = strchr(argv[i], '=') + 1;
        name.data = (const uint8_t *) value;
        name.len = strlen(value);

        if (argv[i][1] == 'i') {
            schema->fields[schema->nfields++] = name;

        } else {
            schema->flags[schema->nflags++] = name;
        }
    }
}

int
main(int argc, char **argv)
{
    int                 at;
    char               *text;
    size_t              cap, size;
    uint8_t            *bytes, *copy;
    unsigned            lane;
    beacon_str_t        payload;
    beacon_record_t     record;
    beacon_schema_t     schema;
    beacon_render_t    *render;
    unsigned long       epoch, offset, time_ns;

    if (argc < 2) {
        fprintf(stderr, "usage: render_cli EDGE [field=NAME] [flag=NAME]\n");
        return 2;
    }

    text = NULL;
    cap = 0;
    beacon_cli_schema(&schema, argc, argv);
    render = beacon_render_create();

    while (getline(&text, &cap, stdin) > 0) {
        memset(&record, 0, sizeof(record));
        sscanf(text, "%lx %x %lx %lu %n", &epoch, &lane, &offset, &time_ns,
               &at);
        record.offset = offset;
        record.time_ns = time_ns;

        bytes = malloc(strlen(text));
        payload.len = beacon_cli_unhex(text + at, bytes);
        copy = beacon_cli_map(payload.len + BEACON_CLI_SLACK, &size);
        memcpy(copy, bytes, payload.len);
        memset(copy + payload.len, '"', BEACON_CLI_SLACK);
        free(bytes);

        payload.data = copy;
        beacon_cli_case(render, &record, &schema, epoch, lane, payload);
        beacon_cli_unmap(copy, payload.len + BEACON_CLI_SLACK, size);
    }

    free(text);
    beacon_render_destroy(render);

    return 0;
}
