/* Until the aggregates are there: whoever defines these takes their place. */

#include "beacon_live_int.h"

__attribute__((weak)) void
beacon_live_count(beacon_live_writer_t *w, beacon_live_count_t *count)
{
    (void) w;
    (void) count;
}

__attribute__((weak)) beacon_rc_t
beacon_live_counts_open(beacon_live_writer_t *w)
{
    (void) w;

    return BEACON_OK;
}

__attribute__((weak)) void
beacon_live_counts_close(beacon_live_writer_t *w)
{
    (void) w;
}

__attribute__((weak)) void
beacon_live_counts_forget(beacon_live_writer_t *w, uint32_t site)
{
    (void) w;
    (void) site;
}

__attribute__((weak)) void
beacon_live_counts_site(beacon_live_writer_t *w, uint32_t site)
{
    (void) w;
    (void) site;
}
