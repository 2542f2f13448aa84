/*
 * books_cli DIR: the helper's books as one JSON object, as of its last
 * snapshot.
 */

#include "beacon_counters.h"

#include <stdio.h>
#include <stdlib.h>

int
main(int argc, char **argv)
{
    uint32_t                    i;
    uint64_t                    accepted;
    beacon_err_t                err;
    beacon_books_t             *books = malloc(sizeof(beacon_books_t));
    beacon_counters_t           counters;
    const beacon_books_sink_t  *sink;

    if (argc != 2 || books == NULL
        || beacon_counters_attach(argv[1], (uid_t) -1, (gid_t) -1, &counters,
                                  &err) != BEACON_OK
        || beacon_books_read(&counters, books) != BEACON_OK)
    {
        free(books);
        return 1;
    }

    accepted = books->accepted_base;

    for (i = 0; i < books->nlanes; i++) {
        accepted += books->lanes[i].ordinal;
    }

    printf("{\"accepted\":%llu,\"pid\":%u,\"rss\":%llu,\"spool\":%llu,"
           "\"sinks\":{", (unsigned long long) accepted, books->helper_pid,
           (unsigned long long) books->helper_rss,
           (unsigned long long) books->spool_used);

    for (i = 0; i < books->nsinks; i++) {
        sink = &books->sinks[i];
        printf("%s\"%s\":{\"done\":%llu,\"lost\":%llu,\"pending\":%llu,"
               "\"errors\":%llu,\"last_success_ns\":%llu%s}", i ? "," : "",
               sink->name,
               (unsigned long long) sink->done,
               (unsigned long long) sink->lost,
               (unsigned long long) sink->pending,
               (unsigned long long) sink->errors,
               (unsigned long long) sink->last_success_ns, sink->more);
    }

    printf("}}\n");
    beacon_counters_detach(&counters);
    free(books);

    return 0;
}
