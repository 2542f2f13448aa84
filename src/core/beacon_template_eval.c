/* From a compiled template to text. */

#include "beacon_template_parts.h"

/* A number of at least "width" digits; tm's are never negative. */
static size_t
beacon_template_number(char *dst, int64_t value, int width)
{
    char    digits[24];
    size_t  n = 0, i;

    if (value < 0) {
        value = 0;
    }

    do {
        digits[n++] = (char) ('0' + value % 10);
        value /= 10;
    } while (value);

    while (n < (size_t) width) {
        digits[n++] = '0';
    }

    for (i = 0; i < n; i++) {
        dst[i] = digits[n - 1 - i];
    }

    return n;
}

static bool
beacon_template_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* The ISO 8601 week of a date and the year it belongs to. */
static int
beacon_template_week(const struct tm *tm, int64_t *year)
{
    int  weekday = (tm->tm_wday + 6) % 7;               /* Monday is 0 */
    int  week = (tm->tm_yday - weekday + 10) / 7;
    int  days, first;

    *year = (int64_t) tm->tm_year + 1900;

    if (week < 1) {
        (*year)--;
        days = tm->tm_yday + 365 + beacon_template_leap(*year);
        return (days - weekday + 10) / 7;
    }

    if (week == 53) {
        days = 365 + beacon_template_leap(*year);
        first = (weekday + days - tm->tm_yday) % 7;     /* of next January */

        if (first <= 3) {
            (*year)++;
            return 1;
        }
    }

    return week;
}

/* Writes a conversion: at most 32 bytes. */
static size_t
beacon_template_conversion(uint8_t letter, const struct tm *tm,
    int64_t unix_seconds, char *dst)
{
    int      week;
    size_t   n;
    int64_t  year = (int64_t) tm->tm_year + 1900;

    switch (letter) {
    case 'Y':
        return beacon_template_number(dst, year, 4);
    case 'm':
        return beacon_template_number(dst, tm->tm_mon + 1, 2);
    case 'd':
        return beacon_template_number(dst, tm->tm_mday, 2);
    case 'H':
        return beacon_template_number(dst, tm->tm_hour, 2);
    case 'M':
        return beacon_template_number(dst, tm->tm_min, 2);
    case 'S':
        return beacon_template_number(dst, tm->tm_sec, 2);
    case 'j':
        return beacon_template_number(dst, tm->tm_yday + 1, 3);
    case 'u':
        return beacon_template_number(dst, tm->tm_wday ? tm->tm_wday : 7, 1);
    case 'y':
        return beacon_template_number(dst, year % 100, 2);
    case 's':
        return beacon_template_number(dst, unix_seconds, 1);
    case 'G':
    case 'V':
        week = beacon_template_week(tm, &year);
        return letter == 'G' ? beacon_template_number(dst, year, 4)
                             : beacon_template_number(dst, week, 2);
    default:    /* F */
        n = beacon_template_number(dst, year, 4);
        dst[n++] = '-';
        n += beacon_template_number(dst + n, tm->tm_mon + 1, 2);
        dst[n++] = '-';
        return n + beacon_template_number(dst + n, tm->tm_mday, 2);
    }
}

/* See the header: afterwards no value can name another directory. */
static size_t
beacon_template_sanitize(beacon_str_t value, char *dst)
{
    size_t   i, len = value.len;
    uint8_t  c;

    if (len > BEACON_TEMPLATE_VALUE_MAX) {
        len = BEACON_TEMPLATE_VALUE_MAX;
    }

    for (i = 0; i < len; i++) {
        c = value.data[i];
        dst[i] = beacon_template_name_byte(c) || c == '-'
                 || (c == '.' && i > 0) ? (char) c : '_';
    }

    if (len == 0) {
        dst[len++] = '_';
    }

    return len;
}

size_t
beacon_template_eval(const beacon_template_t *tmpl, beacon_str_t site,
    const beacon_str_t *values, const struct tm *tm, int64_t unix_seconds,
    char *dst, size_t cap)
{
    size_t                len = 0, n;
    uint32_t              i;
    char                  text[BEACON_TEMPLATE_VALUE_MAX];
    const beacon_part_t  *part;
    const char           *from;

    for (i = 0; i < tmpl->nparts; i++) {
        part = &tmpl->parts[i];
        from = text;

        switch (part->kind) {
        case BEACON_PART_TEXT:
            from = (const char *) part->text.data;
            n = part->text.len;
            break;
        case BEACON_PART_SITE:
            n = beacon_template_sanitize(site, text);
            break;
        case BEACON_PART_TIME:
            n = beacon_template_conversion(part->conversion, tm, unix_seconds,
                                           text);
            break;
        default:
            n = beacon_template_sanitize(values[tmpl->vars[part->var].index],
                                         text);
            break;
        }

        if (n > cap - len) {
            return 0;
        }

        memcpy(dst + len, from, n);
        len += n;
    }

    return len;
}

size_t
beacon_template_text(const beacon_template_t *tmpl, beacon_str_t site,
    const beacon_str_t *values, char *dst, size_t cap)
{
    size_t                len = 0;
    uint32_t              i;
    beacon_str_t          from;
    const beacon_part_t  *part;

    for (i = 0; i < tmpl->nparts; i++) {
        part = &tmpl->parts[i];

        switch (part->kind) {
        case BEACON_PART_TEXT:
            from = part->text;
            break;
        case BEACON_PART_SITE:
            from = site;
            break;
        case BEACON_PART_VAR:
            from = values[tmpl->vars[part->var].index];
            break;
        default:
            return 0;
        }

        if (from.len > cap - len) {
            return 0;
        }

        if (from.len) {
            memcpy(dst + len, from.data, from.len);
        }

        len += from.len;
    }

    return len;
}
