/*
 * The live API's query.  Input: a byte of what the resource knows, a query up
 * to the first NUL, a list of sites.
 */

#include "beacon_live_query.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
fuzz_check(int good)
{
    if (!good) {
        abort();
    }
}

static void
fuzz_sites(beacon_str_t sites)
{
    int           all;
    size_t        at, before;
    beacon_str_t  name;

    at = 0;
    all = 0;

    for (before = 0; beacon_live_sites_next(sites, &at, &name); before = at) {
        fuzz_check(at > before && at <= sites.len);
        fuzz_check(memchr(name.data, ' ', name.len) == NULL);
        fuzz_check(beacon_live_sites_allow(sites, name) == 2);
        (void) beacon_live_site_valid(name);
        all |= (name.len == 1 && name.data[0] == '*');
    }

    fuzz_check(beacon_live_sites_allow(sites, beacon_string("not here"))
               == all);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t              *text, *buf;
    unsigned              i, may;
    const char           *wrong;
    beacon_str_t          query, sites;
    const uint8_t        *nul;
    beacon_live_query_t   q;

    if (size == 0) {
        return 0;
    }

    may = *data++;
    size--;
    nul = size ? memchr(data, '\0', size) : NULL;

    /* copies, so that a byte too far is seen */

    query.len = nul ? (size_t) (nul - data) : size;
    text = malloc(query.len + 1);
    buf = malloc(query.len + 1);
    memcpy(text, data, query.len);
    query.data = text;

    memset(&q, 0, sizeof(q));
    q.limit = 100;
    q.window = 300;

    wrong = beacon_live_query(query, may, buf, &q);

    fuzz_check(wrong == NULL || strpbrk(wrong, "\"\\") == NULL);
    fuzz_check((q.given & ~may & 0x1f) == 0);
    fuzz_check(q.nfilters <= BEACON_LIVE_FILTERS);
    fuzz_check(q.limit <= INT32_MAX && q.wait <= INT32_MAX);
    fuzz_check(wrong != NULL || (q.window >= 10 && q.window <= 3600));

    for (i = 0; i < q.nfilters; i++) {
        fuzz_check(q.filters[i].name.len != 0
                   && q.filters[i].name.data >= buf
                   && q.filters[i].value.data + q.filters[i].value.len
                      <= buf + query.len);
    }

    free(buf);
    free(text);

    sites.data = nul ? nul + 1 : data;
    sites.len = nul ? size - query.len - 1 : 0;
    fuzz_sites(sites);

    return 0;
}
