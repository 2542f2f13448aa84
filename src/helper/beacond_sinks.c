/* The types of sinks.  A file of its own, so that a test may have others. */

#include "beacond_sink.h"

const beacond_sink_ops_t *const  beacond_sinks[] = {
    &beacond_sink_log,
    &beacond_sink_ids,
    &beacond_sink_kafka,
    &beacond_sink_spy,
    &beacond_sink_live,
    &beacond_sink_collect,
    NULL
};
