/*
 * live_cli DIR [SITE]: what the live store in DIR holds, of one site or all.
 *
 *     {"site":"shop","start":0,"last":19,"hits":17}
 *     {"seq":3,"hit":{"v":1,...}}
 *
 * A site, then those of its hits that are still there; last - start is hits
 * and missing ones together.  Exits with 1: there is no store.
 */

#include "beacon_live.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint8_t  live_buf[BEACON_LIVE_HIT_MAX];

static void
live_print(const beacon_live_t *live, const beacon_live_info_t *site)
{
    size_t                need;
    beacon_live_scan_t    scan;
    beacon_live_record_t  record;

    printf("{\"site\":\"%.*s\",\"start\":%llu,\"last\":%llu,\"hits\":%llu}\n",
           (int) site->name_len, site->name, (unsigned long long) site->start,
           (unsigned long long) site->last, (unsigned long long) site->hits);

    beacon_live_scan_begin(&scan, live, site, 0, live_buf, sizeof(live_buf));

    while (beacon_live_scan(&scan, &record, &need) == BEACON_OK) {
        printf("{\"seq\":%llu,\"hit\":%.*s}\n",
               (unsigned long long) record.seq, (int) record.line.len,
               record.line.data);
    }
}

int
main(int argc, char **argv)
{
    uint32_t            at = 0;
    beacon_err_t        err;
    beacon_str_t        name;
    beacon_live_t       live;
    beacon_live_info_t  site;

    memset(&live, 0, sizeof(live));

    if (argc < 2 || beacon_live_attach(&live, argv[1], &err) != BEACON_OK) {
        return 1;
    }

    if (argc > 2) {
        name.data = (const uint8_t *) argv[2];
        name.len = strlen(argv[2]);

        if (beacon_live_find(&live, name, &site) == BEACON_OK) {
            live_print(&live, &site);
        }

    } else {
        while (beacon_live_next_site(&live, &at, &site) == BEACON_OK) {
            live_print(&live, &site);
        }
    }

    beacon_live_detach(&live);

    return 0;
}
