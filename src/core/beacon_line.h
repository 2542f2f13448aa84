/*
 * What a live view wants of a hit's line: found in its JSON once, in place.
 *
 * All strings are what stands between the quotes in the line, escapes and all,
 * and so can stand between quotes in other JSON as they are.
 */

#ifndef BEACON_LINE_H
#define BEACON_LINE_H

#include "beacon.h"
#include "beacon_render.h"

/* A name that stands under "args" or "fields", and its value. */
typedef struct {
    beacon_str_t  id;
    beacon_str_t  time;
    beacon_str_t  edge;
    beacon_str_t  site;
    beacon_str_t  visitor;              /* absent: data NULL, as all below */
    beacon_str_t  ip;
    beacon_str_t  host;
    beacon_str_t  referer;
    beacon_str_t  user_agent;
    beacon_str_t  flags;                /* with its brackets */
    beacon_str_t  args;                 /* with its braces */
    beacon_str_t  fields;               /* the same */
    beacon_str_t  ip_member;            /* "ip":"203.0.113.7", all of it */

    /* args.url, args.ref; fields.page, .referrer, .country */
    beacon_str_t  arg_url;
    beacon_str_t  arg_ref;
    beacon_str_t  field_page;
    beacon_str_t  field_referrer;
    beacon_str_t  field_country;
} beacon_line_parts_t;

/*
 * Finds the parts of a line that Beacon rendered, without its newline: keys in
 * the order of README's "The record", no space between tokens.  INVALID: it is
 * none (a stranger's, or broken): then no byte outside of it was looked at.
 * A line from a socket must have passed beacon_json_check() before it is
 * believed to be JSON; this function alone does not tell.
 */
beacon_rc_t beacon_line_parts(beacon_str_t line, beacon_line_parts_t *parts);

/*
 * The same of a line that beacon_render() made here, with what it said of it:
 * nothing need be looked for.  This function can't fail.
 */
void beacon_line_known(const uint8_t *line, const beacon_line_t *known,
    beacon_line_parts_t *parts);

/*
 * What is shown of it; each text stands in the line.  Page: field page, else
 * argument url, else the Referer; as the path on the request's own host, else
 * host and path, without query and fragment; a text that is no absolute URL as
 * it is, up to '?' or '#'.  Referrer: field referrer, else argument ref; host
 * and path in the same way.  Country: field country.  Campaign: utm_campaign of
 * the page's query, else utm_source, else utm_medium, undecoded.  Absent: data
 * NULL.
 */
typedef struct {
    beacon_str_t  page_host;            /* none on the request's own host; */
    beacon_str_t  page;                 /*   the page is host and path */
    beacon_str_t  referrer_host;
    beacon_str_t  referrer;
    beacon_str_t  country;
    beacon_str_t  campaign;
} beacon_line_view_t;

void beacon_line_view(const beacon_line_parts_t *parts,
    beacon_line_view_t *view);

/* What a live store wants of a line, by where it stands; len 0: there is none,
   and its place is of no use.  "ip": all of the member. */
enum {
    BEACON_SHORT_TIME,
    BEACON_SHORT_VISITOR,
    BEACON_SHORT_PAGE,
    BEACON_SHORT_REFERRER,
    BEACON_SHORT_COUNTRY,
    BEACON_SHORT_FLAGS,                 /* with its brackets */
    BEACON_SHORT_TEXTS
};

typedef struct {
    beacon_line_text_t  ip;
    beacon_line_text_t  texts[BEACON_SHORT_TEXTS];      /* of the short form,
                                           the visitor as the line has him */
    beacon_line_text_t  page_host;
    beacon_line_text_t  referrer_host;
    beacon_line_text_t  campaign;
} beacon_line_shown_t;

/* As beacon_line_view(), of a line that beacon_render() made here; and of one
   whose parts were looked for.  These functions can't fail. */
void beacon_line_shown(const uint8_t *line, const beacon_line_t *known,
    beacon_line_shown_t *shown);
void beacon_line_shown_of(const uint8_t *line,
    const beacon_line_parts_t *parts, beacon_line_shown_t *shown);

/* The variant that beacon_line_shown() takes, for who has many. */
typedef void (*beacon_line_shown_f)(const uint8_t *line,
    const beacon_line_t *known, beacon_line_shown_t *shown);

beacon_line_shown_f beacon_line_shown_fastest(void);

/* How many bytes of such a text to keep where at most "max" fit: neither an
   escape nor a character is split. */
size_t beacon_line_cut(beacon_str_t text, size_t max);

/*
 * The short form: {"time":"…","visitor":"…","page":"…","referrer":"…",
 * "country":"…","flags":[…]}, absent ones left out.  visitor: as it is to be
 * shown (the line's own, or the keyed hash).  Returns its length; never more
 * than BEACON_SHORT_ROOM(the line's length, visitor.len).
 */
#define BEACON_SHORT_ROOM(line, visitor)  ((line) + (visitor) + 128)

size_t beacon_line_short(const beacon_line_parts_t *parts,
    const beacon_line_view_t *view, beacon_str_t visitor, uint8_t *dst);

/* The same of its texts, absent ones empty; and its length alone. */
size_t beacon_line_short_of(const beacon_str_t texts[BEACON_SHORT_TEXTS],
    uint8_t *dst);
size_t beacon_line_short_len(const beacon_str_t texts[BEACON_SHORT_TEXTS]);

/*
 * The row form: the short form "brief" of this line, and behind its members
 * "event" (argument e), "campaign" and "browser" (the name that people have for
 * what the user agent says), absent ones left out.  A line that is none has no
 * more than its short form.  Returns its length; never more than the line's and
 * the short form's together, as both stand in a live store.
 */
size_t beacon_line_row(beacon_str_t line, beacon_str_t brief, uint8_t *dst);

/*
 * Is the argument "name" (decoded, as a person wrote it) in the line, with
 * this value?  Names and values are compared as what they mean, not as they
 * are escaped; a repeated one by any of its values.  1 or 0.
 */
int beacon_line_arg_is(const beacon_line_parts_t *parts, beacon_str_t line,
    beacon_str_t name, beacon_str_t value);

/*
 * Visitors that a site does not name: SipHash-2-4 of address and user agent as
 * they stand in the line, with a key of 16 bytes, as 16 hex digits.
 */
#define BEACON_VISITOR_HASH  16

void beacon_line_visitor(const beacon_line_parts_t *parts,
    const uint8_t key[16], uint8_t dst[BEACON_VISITOR_HASH]);

#endif /* BEACON_LINE_H */
