/*
 * The spy feed's frames, for both ends.  A message has three, or for a
 * heartbeat two:
 *
 *     hit/shop/   web7 5f0c9d2e81b7a346 17 8f1c…   {"v":1,"id":…}
 *     stat/shop/  web7 5f0c9d2e81b7a346 17
 *
 * The first is what subscriptions match: "hit/shop/" does not match shopify's.
 * In the second stand edge, feed and number, one space between them; a hit's
 * goes on with a space and the visitor: all that is left of the frame, as it
 * stands between the quotes in JSON, escapes and all, so it may hold spaces,
 * but no control bytes.  A hit without a visitor of its own has the keyed hash
 * of beacon_line.h there.  The third is the hit's line without newline, and
 * without its "ip" unless the feed is configured to have it; it is never longer
 * than BEACON_SPY_MAX: a hit that is, is not sent, and shows as a gap.  Edge is
 * the line's: empty if nobody knows it any more.
 *
 * A feed is 16 hex digits.  For an edge, a site and a feed, numbers begin with
 * 1 and rise by one for each hit, those that were never sent included; so a
 * receiver counts gaps:
 *
 *     another feed than the last one of this edge and site: no gap, whatever
 *         the number; later gaps count from it
 *     a hit's number n behind the last one m: n - m - 1 are missing
 *     a heartbeat's n behind m: n - m are missing
 *     n <= m (a heartbeat: n < m): nothing; one that comes late, or twice
 *
 * A feed is the helper's, and new at each of its starts.  The numbers of so
 * many sites are kept; one that comes back after its number was forgotten has
 * a feed of its own: so keep the feed by edge AND site, never by edge alone.
 * Numbers begin when the first subscriber comes.  A heartbeat is sent once a
 * second for each site that had a hit within the last minute; and for all that
 * have a number, while somebody is not sent all, and for 10 s after that or
 * after a subscription.
 */

#ifndef BEACON_SPY_H
#define BEACON_SPY_H

#include "beacon.h"

#define BEACON_SPY_MAX    (512 * 1024)
#define BEACON_SPY_FEED   16
#define BEACON_SPY_TOPIC  (sizeof("stat//") - 1 + BEACON_SITE_MAX)
#define BEACON_SPY_EDGE   255

/* The second frame of a heartbeat, and of a hit but for its visitor, has room
   in so many bytes. */
#define BEACON_SPY_HEAD   (BEACON_SPY_EDGE + 1 + BEACON_SPY_FEED + 1 + 20 + 1)

typedef struct {
    int           stat;         /* a heartbeat */
    beacon_str_t  site;
    beacon_str_t  edge;
    uint64_t      feed;
    uint64_t      seq;
    beacon_str_t  visitor;      /* a hit's */
} beacon_spy_head_t;

/* Returns the frame's length. */
size_t beacon_spy_topic(int stat, beacon_str_t site,
    uint8_t dst[BEACON_SPY_TOPIC]);

/* The same; a hit's ends with the space before its visitor. */
size_t beacon_spy_head(const beacon_spy_head_t *head,
    uint8_t dst[BEACON_SPY_HEAD]);

/* What of it is alike in many: edge and feed, with a space behind each. */
size_t beacon_spy_prefix(const beacon_spy_head_t *head,
    uint8_t dst[BEACON_SPY_HEAD]);

/* And the rest, but for the visitor. */
size_t beacon_spy_rest(const beacon_spy_head_t *head, uint8_t *dst);

/*
 * From the first two frames.  INVALID: they are none.  Site and edge are then
 * valid ones; whether they are the line's is for the caller to look at, and
 * so is whether the visitor could stand in JSON: it holds neither quotes nor
 * control bytes.
 */
beacon_rc_t beacon_spy_parse(beacon_str_t topic, beacon_str_t text,
    beacon_spy_head_t *head);

#endif /* BEACON_SPY_H */
