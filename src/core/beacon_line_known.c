/* The parts of a line whose renderer says where they stand. */

#include "beacon_line_int.h"

static inline beacon_str_t
beacon_line_str(const uint8_t *line, beacon_line_text_t text)
{
    return (beacon_str_t) { text.len, text.offset ? line + text.offset : NULL };
}

static inline beacon_str_t
beacon_line_quoted(const uint8_t *line, uint32_t from, uint32_t to, size_t skip)
{
    return beacon_line_str(line, beacon_line_between(from, to, skip));
}

void
beacon_line_known(const uint8_t *line, const beacon_line_t *known,
    beacon_line_parts_t *parts)
{
    uint32_t                   at;
    const beacon_line_text_t  *texts;

    at = beacon_line_time(known);
    parts->id.data = line + BEACON_LINE_ID;
    parts->id.len = known->id_len;
    parts->time.data = line + at;
    parts->time.len = BEACON_LINE_TIME;
    at += (uint32_t) (BEACON_LINE_TIME + 2 + beacon_line_skip("edge"));
    parts->edge.data = line + at;
    parts->edge.len = known->site_offset - beacon_line_skip("site") - 2 - at;
    parts->site.data = line + known->site_offset;
    parts->site.len = known->site_len;
    parts->visitor = beacon_line_str(line, beacon_line_known_visitor(known));
    parts->ip_member = beacon_line_str(line, beacon_line_known_ip(known));
    parts->ip = beacon_line_quoted(line, known->ip_offset,
                                   known->ip_offset + known->ip_len,
                                   beacon_line_skip("ip"));
    parts->host = beacon_line_str(line, beacon_line_known_host(known));
    parts->args.data = line + known->args_offset;
    parts->args.len = known->args_end - known->args_offset;
    parts->referer = beacon_line_str(line, beacon_line_known_referer(known));
    parts->user_agent = beacon_line_quoted(line, known->referer_end,
                                           known->agent_end,
                                           beacon_line_skip("user_agent"));
    parts->fields = beacon_line_str(line,
                            beacon_line_member(known->agent_end - 1,
                                               known->fields_end,
                                               sizeof(",\"fields\":") - 1));
    parts->flags = beacon_line_str(line, beacon_line_known_flags(known));

    texts = known->texts;
    parts->arg_url = beacon_line_str(line, texts[BEACON_LINE_ARG_URL]);
    parts->arg_ref = beacon_line_str(line, texts[BEACON_LINE_ARG_REF]);
    parts->field_page = beacon_line_str(line, texts[BEACON_LINE_FIELD_PAGE]);
    parts->field_referrer = beacon_line_str(line,
                                            texts[BEACON_LINE_FIELD_REFERRER]);
    parts->field_country = beacon_line_str(line,
                                           texts[BEACON_LINE_FIELD_COUNTRY]);
}
