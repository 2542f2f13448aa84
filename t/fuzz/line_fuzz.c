/*
 * The parts of a line: of any bytes, they lie within it; of a line that is
 * JSON, what is shown of it is JSON, too.
 */

#include "beacon_json.h"
#include "beacon_line.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
fuzz_within(const beacon_line_parts_t *parts, beacon_str_t line)
{
    size_t               i;
    const beacon_str_t  *str;

    str = &parts->id;

    for (i = 0; i < sizeof(*parts) / sizeof(*str); i++) {
        if (str[i].data
            && (str[i].data < line.data
                || str[i].data + str[i].len > line.data + line.len))
        {
            abort();
        }
    }
}

static void
fuzz_shown(const beacon_line_parts_t *parts, const beacon_line_view_t *view,
    beacon_str_t line, int json)
{
    size_t                 room;
    uint8_t               *dst, *row;
    beacon_str_t           brief, shown;
    static beacon_json_t   check;

    room = BEACON_SHORT_ROOM(line.len, parts->visitor.len);
    dst = malloc(room);
    brief.data = dst;
    brief.len = beacon_line_short(parts, view, parts->visitor, dst);

    if (brief.len > room
        || (json && beacon_json_check(&check, brief) != BEACON_OK))
    {
        abort();
    }

    row = malloc(line.len + brief.len);
    shown.data = row;
    shown.len = beacon_line_row(line, brief, row);

    if (json && beacon_json_check(&check, shown) != BEACON_OK) {
        abort();
    }

    free(row);
    free(dst);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int                    json;
    uint8_t               *copy, hash[BEACON_VISITOR_HASH];
    static const uint8_t   key[16];
    beacon_str_t           line;
    beacon_line_view_t     view;
    beacon_line_parts_t    parts;
    static beacon_json_t   check;

    copy = malloc(size ? size : 1);
    memcpy(copy, data, size);
    line.len = size;
    line.data = copy;

    if (beacon_line_parts(line, &parts) == BEACON_OK) {
        json = beacon_json_check(&check, line) == BEACON_OK;
        fuzz_within(&parts, line);
        beacon_line_view(&parts, &view);
        fuzz_shown(&parts, &view, line, json);
        beacon_line_visitor(&parts, key, hash);
        (void) beacon_line_arg_is(&parts, line, parts.edge, parts.site);
    }

    free(copy);

    return 0;
}
