/* The parts of a line whose renderer says where they stand. */

#include "beacon_line.h"

static inline beacon_str_t
beacon_line_text(const uint8_t *line, const beacon_line_text_t *text)
{
    return (beacon_str_t) { text->len,
                            text->offset ? line + text->offset : NULL };
}

/* A member between these places, if there is one: its value's first byte is
   "skip" bytes on, a quote and a comma are behind its last. */
static inline beacon_str_t
beacon_line_between(const uint8_t *line, uint32_t from, uint32_t to,
    size_t skip)
{
    return (from == to) ? (beacon_str_t) { 0, NULL }
                        : (beacon_str_t) { to - from - skip - 2,
                                           line + from + skip };
}

/* The same, with nothing behind its last. */
static inline beacon_str_t
beacon_line_member(const uint8_t *line, uint32_t from, uint32_t to,
    size_t skip)
{
    return (from == to) ? (beacon_str_t) { 0, NULL }
                        : (beacon_str_t) { to - from - skip,
                                           line + from + skip };
}

/* "name":" */
#define beacon_line_skip(name)  (sizeof("\"" name "\":\"") - 1)

/* Where "time" begins. */
static inline uint32_t
beacon_line_time(const beacon_line_t *known)
{
    return (uint32_t) (BEACON_LINE_ID + known->id_len + 2
                       + beacon_line_skip("time"));
}

#define BEACON_LINE_TIME  (sizeof("2026-11-21T22:56:01.204Z") - 1)

/* Always inline: beacon_line_known() does this, and more. */
static inline void
beacon_line_shown_of(const uint8_t *line, const beacon_line_t *known,
    beacon_line_parts_t *parts)
{
    const beacon_line_text_t  *texts;

    parts->time.data = line + beacon_line_time(known);
    parts->time.len = BEACON_LINE_TIME;
    parts->visitor = beacon_line_between(line, known->site_offset
                                               + known->site_len + 2U,
                                         known->ip_offset,
                                         beacon_line_skip("visitor"));
    parts->ip_member.data = known->ip_len ? line + known->ip_offset : NULL;
    parts->ip_member.len = known->ip_len ? known->ip_len - 1U : 0;
    parts->host = beacon_line_between(line, known->host_offset,
                                      known->path_offset,
                                      beacon_line_skip("host"));
    parts->referer = beacon_line_between(line, known->args_end + 1,
                                         known->referer_end,
                                         beacon_line_skip("referer"));
    parts->flags = beacon_line_member(line, known->fields_end,
                                      known->flags_end,
                                      sizeof(",\"flags\":") - 1);

    texts = known->texts;
    parts->arg_url = beacon_line_text(line, &texts[BEACON_LINE_ARG_URL]);
    parts->arg_ref = beacon_line_text(line, &texts[BEACON_LINE_ARG_REF]);
    parts->field_page = beacon_line_text(line,
                                         &texts[BEACON_LINE_FIELD_PAGE]);
    parts->field_referrer = beacon_line_text(line,
                                         &texts[BEACON_LINE_FIELD_REFERRER]);
    parts->field_country = beacon_line_text(line,
                                         &texts[BEACON_LINE_FIELD_COUNTRY]);
}

void
beacon_line_shown(const uint8_t *line, const beacon_line_t *known,
    beacon_line_parts_t *parts)
{
    beacon_line_shown_of(line, known, parts);
}

void
beacon_line_known(const uint8_t *line, const beacon_line_t *known,
    beacon_line_parts_t *parts)
{
    uint32_t  at;

    beacon_line_shown_of(line, known, parts);

    parts->id.data = line + BEACON_LINE_ID;
    parts->id.len = known->id_len;
    at = (uint32_t) (beacon_line_time(known) + BEACON_LINE_TIME + 2
                     + beacon_line_skip("edge"));
    parts->edge.data = line + at;
    parts->edge.len = known->site_offset - beacon_line_skip("site") - 2 - at;
    parts->site.data = line + known->site_offset;
    parts->site.len = known->site_len;
    parts->ip = beacon_line_between(line, known->ip_offset,
                                    known->ip_offset + known->ip_len,
                                    beacon_line_skip("ip"));
    parts->args.data = line + known->args_offset;
    parts->args.len = known->args_end - known->args_offset;
    parts->user_agent = beacon_line_between(line, known->referer_end,
                                            known->agent_end,
                                            beacon_line_skip("user_agent"));
    parts->fields = beacon_line_member(line, known->agent_end - 1,
                                       known->fields_end,
                                       sizeof(",\"fields\":") - 1);
}
