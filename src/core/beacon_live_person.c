/*
 * A visitor's strings, one after the other in his slot: what is cut when there
 * is more than fits.
 */

#include "beacon_live_counts.h"

#include "beacon_siphash.h"

#define BEACON_LIVE_PERSON_COUNTRY_MAX  16
#define BEACON_LIVE_PERSON_FLAGS_MAX    48

/* "~" and the hash behind a long id's beginning. */
#define BEACON_LIVE_PERSON_MARK         17

beacon_str_t
beacon_live_id_long(const uint64_t seed[2], beacon_str_t id,
    uint8_t buf[BEACON_LIVE_ID_MAX])
{
    int       i;
    size_t    n;
    uint8_t   key[16];
    uint64_t  hash;

    memcpy(key, seed, sizeof(key));
    hash = beacon_siphash(key, &id, 1);

    n = beacon_line_cut(id, BEACON_LIVE_ID_MAX - BEACON_LIVE_PERSON_MARK);
    memcpy(buf, id.data, n);
    buf[n++] = '~';

    for (i = 60; i >= 0; i -= 4) {
        buf[n++] = (uint8_t) "0123456789abcdef"[hash >> i & 15];
    }

    return (beacon_str_t) { n, buf };
}

/* "[...]" with as many of its elements as fit. */
static beacon_str_t
beacon_live_person_flags(beacon_str_t flags, uint8_t *buf)
{
    size_t  n;

    if (flags.len <= BEACON_LIVE_PERSON_FLAGS_MAX) {
        return flags;
    }

    for (n = BEACON_LIVE_PERSON_FLAGS_MAX - 1;
         n && (flags.data[n] != ',' || flags.data[n - 1] != '"'
               || flags.data[n + 1] != '"' || flags.data[n - 2] == '\\');
         n--)
    {
        /* void */
    }

    if (n < 2) {
        return (beacon_str_t) { 0, NULL };
    }

    memcpy(buf, flags.data, n);
    buf[n] = ']';

    return (beacon_str_t) { n + 1, buf };
}

/* Most need not be cut. */
static inline void
beacon_live_person_cut(beacon_str_t *part, size_t max)
{
    if (__builtin_expect(part->len > max, 0)) {
        part->len = beacon_line_cut(*part, max);
    }
}

/* parts[]: in their order.  Returns where the page is, which is the last. */
static uint16_t
beacon_live_person_set(beacon_live_visitor_t *slot, beacon_str_t *parts)
{
    size_t        room, at;
    uint8_t       flags[BEACON_LIVE_PERSON_FLAGS_MAX];
    unsigned      i;
    beacon_str_t  *part;

    part = parts;
    beacon_live_person_cut(&part[BEACON_LIVE_PERSON_COUNTRY],
                           BEACON_LIVE_PERSON_COUNTRY_MAX);
    part[BEACON_LIVE_PERSON_FLAGS] =
                  beacon_live_person_flags(part[BEACON_LIVE_PERSON_FLAGS],
                                           flags);

    /* of what they leave, a quarter for the referrer; half of the rest each
       for the first page and for the last one, which may have more */

    room = BEACON_LIVE_VISITOR_TEXT - part[BEACON_LIVE_PERSON_ID].len
           - part[BEACON_LIVE_PERSON_COUNTRY].len
           - part[BEACON_LIVE_PERSON_FLAGS].len;
    beacon_live_person_cut(&part[BEACON_LIVE_PERSON_REFERRER], room / 4);
    room -= part[BEACON_LIVE_PERSON_REFERRER].len;
    beacon_live_person_cut(&part[BEACON_LIVE_PERSON_ENTRY], room / 2);
    room -= part[BEACON_LIVE_PERSON_ENTRY].len;
    beacon_live_person_cut(&part[BEACON_LIVE_PERSON_PAGE], room);

    for (at = 0, i = 0; i < BEACON_LIVE_PERSON_PARTS; i++) {
        if (part[i].len) {
            beacon_live_copy_text(slot->text + at, part[i].data, part[i].len);
        }

        BEACON_LIVE_SET(slot->lens[i], (uint16_t) part[i].len);
        at += part[i].len;
    }

    return (uint16_t) (at - part[BEACON_LIVE_PERSON_PAGE].len);
}

uint16_t
beacon_live_person_new(beacon_live_writer_t *w, beacon_live_visitor_t *slot,
    const beacon_live_count_t *count)
{
    beacon_str_t  parts[BEACON_LIVE_PERSON_PARTS];

    parts[BEACON_LIVE_PERSON_ID] =
                    beacon_live_id(w->live.is.seed, count->put->visitor,
                                   ((beacon_live_counts_t *) w->counts)->id);
    parts[BEACON_LIVE_PERSON_PAGE] = beacon_live_shown(count->put,
                                                       BEACON_SHORT_PAGE);
    parts[BEACON_LIVE_PERSON_ENTRY] = parts[BEACON_LIVE_PERSON_PAGE];
    parts[BEACON_LIVE_PERSON_REFERRER] =
                    beacon_live_shown(count->put, BEACON_SHORT_REFERRER);
    parts[BEACON_LIVE_PERSON_COUNTRY] =
                    beacon_live_shown(count->put, BEACON_SHORT_COUNTRY);
    parts[BEACON_LIVE_PERSON_FLAGS] = beacon_live_shown(count->put,
                                                        BEACON_SHORT_FLAGS);

    return beacon_live_person_set(slot, parts);
}

int
beacon_live_person_parts(const beacon_live_visitor_t *slot,
    beacon_str_t parts[BEACON_LIVE_PERSON_PARTS])
{
    size_t    at;
    unsigned  i;

    for (at = 0, i = 0; i < BEACON_LIVE_PERSON_PARTS; i++) {
        parts[i].data = slot->text + at;
        parts[i].len = slot->lens[i];
        at += slot->lens[i];

        if (at > BEACON_LIVE_VISITOR_TEXT) {
            return 0;
        }
    }

    return 1;
}

uint16_t
beacon_live_person_change(beacon_live_writer_t *w, beacon_live_visitor_t *slot,
    const beacon_live_count_t *count)
{
    beacon_str_t            page, country, parts[BEACON_LIVE_PERSON_PARTS];
    beacon_live_visitor_t   was;

    beacon_live_undo_save(w, slot->text, sizeof(slot->text));

    was = *slot;

    /* damaged: it would leave the others less room than none */

    if (!beacon_live_person_parts(&was, parts)
        || parts[BEACON_LIVE_PERSON_ID].len > BEACON_LIVE_ID_MAX)
    {
        return beacon_live_person_new(w, slot, count);
    }

    page = beacon_live_shown(count->put, BEACON_SHORT_PAGE);
    country = beacon_live_shown(count->put, BEACON_SHORT_COUNTRY);
    parts[BEACON_LIVE_PERSON_FLAGS] = beacon_live_shown(count->put,
                                                        BEACON_SHORT_FLAGS);

    if (parts[BEACON_LIVE_PERSON_ENTRY].len == 0) {
        parts[BEACON_LIVE_PERSON_ENTRY] = page;
        parts[BEACON_LIVE_PERSON_REFERRER] =
                    beacon_live_shown(count->put, BEACON_SHORT_REFERRER);
    }

    if (country.len) {
        parts[BEACON_LIVE_PERSON_COUNTRY] = country;
    }

    if (page.len) {
        parts[BEACON_LIVE_PERSON_PAGE] = page;
    }

    return beacon_live_person_set(slot, parts);
}
