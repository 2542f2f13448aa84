/*
 * Templates are compiled to a list of parts.  Neighbouring literals ("%%"
 * too) are one part, so that the fixed directory of a path is a prefix of the
 * first part's bytes.
 */

#include "beacon_template_parts.h"

#include <limits.h>
#include <stdlib.h>

/* A conversion, its greatest width, and the time its text stays the same. */
typedef struct {
    char      letter;
    uint8_t   width;
    uint32_t  period;
} beacon_conversion_t;

static const beacon_conversion_t  beacon_conversions[] = {
    { 'Y', 4, 86400 }, { 'm', 2, 86400 }, { 'd', 2, 86400 },
    { 'H', 2, 3600 }, { 'M', 2, 60 }, { 'S', 2, 1 }, { 'j', 3, 86400 },
    { 'G', 4, 86400 }, { 'V', 2, 86400 }, { 'u', 1, 86400 },
    { 'y', 2, 86400 }, { 'F', 10, 86400 }, { 's', 20, 1 }, { 0, 0, 0 }
};

static const beacon_conversion_t *
beacon_conversion(uint8_t letter)
{
    const beacon_conversion_t  *c;

    for (c = beacon_conversions; c->letter; c++) {
        if (c->letter == (char) letter) {
            return c;
        }
    }

    return NULL;
}

static bool
beacon_template_starts(beacon_str_t s, const char *prefix)
{
    size_t  len = strlen(prefix);

    return s.len >= len && memcmp(s.data, prefix, len) == 0;
}

static bool
beacon_template_is(beacon_str_t s, const char *word)
{
    return s.len == strlen(word) && memcmp(s.data, word, s.len) == 0;
}

static bool
beacon_template_known(beacon_str_t name)
{
    size_t  skip;

    if (beacon_template_is(name, "beacon_visitor")
        || beacon_template_is(name, "beacon_id")
        || beacon_template_is(name, "beacon_edge"))
    {
        return true;
    }

    if (beacon_template_starts(name, "beacon_field_")) {
        skip = sizeof("beacon_field_") - 1;
        return name.len > skip && name.len <= skip + 64;
    }

    return beacon_template_starts(name, "beacon_arg_")
           && name.len > sizeof("beacon_arg_") - 1;
}

static void
beacon_template_literal(beacon_template_t *t, uint8_t c)
{
    beacon_part_t  *part = &t->parts[t->nparts];

    if (t->nparts && part[-1].kind == BEACON_PART_TEXT) {
        part--;

    } else {
        t->nparts++;
        part->kind = BEACON_PART_TEXT;
        part->text.data = t->bytes + t->used;
        part->text.len = 0;
    }

    t->bytes[t->used++] = c;
    part->text.len++;
}

static void
beacon_template_time(beacon_template_t *t, const beacon_conversion_t *c)
{
    beacon_part_t  *part = &t->parts[t->nparts++];

    part->kind = BEACON_PART_TIME;
    part->conversion = (uint8_t) c->letter;

    if (t->period == 0 || c->period < t->period) {
        t->period = c->period;
    }

    t->uses |= BEACON_TEMPLATE_TIME;
}

static void
beacon_template_variable(beacon_template_t *t, beacon_str_t name)
{
    uint32_t        i;
    beacon_part_t  *part = &t->parts[t->nparts++];

    if (beacon_template_is(name, "beacon_site")) {
        part->kind = BEACON_PART_SITE;
        t->uses |= BEACON_TEMPLATE_SITE;
        return;
    }

    part->kind = BEACON_PART_VAR;
    t->uses |= BEACON_TEMPLATE_OTHER;

    for (i = 0; i < t->nvars; i++) {
        if (t->vars[i].name.len == name.len
            && memcmp(t->vars[i].name.data, name.data, name.len) == 0)
        {
            part->var = i;
            return;
        }
    }

    memcpy(t->bytes + t->used, name.data, name.len);
    t->vars[i].name.data = t->bytes + t->used;
    t->vars[i].name.len = name.len;
    t->vars[i].index = i;
    t->used += name.len;
    t->nvars++;
    part->var = i;
}

/* A variable at p, behind its '$'; returns where the text goes on, or NULL. */
static const uint8_t *
beacon_template_parse_variable(beacon_template_t *t, const uint8_t *p,
    const uint8_t *end, beacon_err_t *err)
{
    bool          brace = false;
    beacon_str_t  name;

    if (p < end && *p == '{') {
        brace = true;
        p++;
    }

    name.data = p;

    while (p < end && beacon_template_name_byte(*p)) {
        p++;
    }

    name.len = (size_t) (p - name.data);

    if (name.len == 0) {
        beacon_err(err, "a \"$\" without a variable name");
        return NULL;
    }

    if (brace && (p == end || *p++ != '}')) {
        beacon_err(err, "the closing brace of \"${%.*s\" is missing",
                   (int) (name.len < 80 ? name.len : 80), name.data);
        return NULL;
    }

    if (!beacon_template_is(name, "beacon_site")
        && !beacon_template_known(name))
    {
        beacon_err(err, "unknown variable \"$%.*s\"",
                   (int) (name.len < 80 ? name.len : 80), name.data);
        return NULL;
    }

    beacon_template_variable(t, name);

    return p;
}

static beacon_rc_t
beacon_template_parse(beacon_template_t *t, beacon_str_t text,
    beacon_err_t *err)
{
    const uint8_t              *p = text.data, *end = text.data + text.len;
    const beacon_conversion_t  *c;

    while (p < end) {
        if (*p == '$') {
            p = beacon_template_parse_variable(t, p + 1, end, err);

            if (p == NULL) {
                return BEACON_INVALID;
            }

            continue;
        }

        if (*p != '%') {
            beacon_template_literal(t, *p++);
            continue;
        }

        if (++p == end) {
            beacon_err(err, "a \"%%\" at the end");
            return BEACON_INVALID;
        }

        if (*p == '%') {
            beacon_template_literal(t, *p++);
            continue;
        }

        c = beacon_conversion(*p);

        if (c == NULL) {
            beacon_err(err, "unknown conversion \"%%%c\"",
                       *p > 0x20 && *p < 0x7f ? *p : '?');
            return BEACON_INVALID;
        }

        beacon_template_time(t, c);
        p++;
    }

    return BEACON_OK;
}

beacon_rc_t
beacon_template_create(beacon_str_t text, beacon_template_t **tmpl,
    beacon_err_t *err)
{
    beacon_rc_t         rc;
    beacon_template_t  *t;

    *tmpl = NULL;

    if (text.len == 0) {
        beacon_err(err, "an empty template");
        return BEACON_INVALID;
    }

    t = calloc(1, sizeof(beacon_template_t));

    if (t == NULL) {
        goto failed;
    }

    /* each part takes at least one byte of the text */

    t->parts = calloc(text.len, sizeof(beacon_part_t));
    t->vars = calloc(text.len, sizeof(beacon_var_t));
    t->bytes = malloc(text.len);

    if (t->parts == NULL || t->vars == NULL || t->bytes == NULL) {
        goto failed;
    }

    rc = beacon_template_parse(t, text, err);

    if (rc != BEACON_OK) {
        beacon_template_destroy(t);
        return rc;
    }

    *tmpl = t;
    return BEACON_OK;

failed:

    beacon_template_destroy(t);
    beacon_err(err, "no memory for a template");

    return BEACON_SYS;
}

void
beacon_template_destroy(beacon_template_t *tmpl)
{
    if (tmpl == NULL) {
        return;
    }

    free(tmpl->parts);
    free(tmpl->vars);
    free(tmpl->bytes);
    free(tmpl);
}

size_t
beacon_part_width(const beacon_part_t *part)
{
    switch (part->kind) {
    case BEACON_PART_TEXT:
        return part->text.len;
    case BEACON_PART_TIME:
        return beacon_conversion(part->conversion)->width;
    default:
        return BEACON_TEMPLATE_VALUE_MAX;
    }
}

/* One component of a path, as far as it has been seen. */
typedef struct {
    size_t  len;                /* at most */
    size_t  dots;               /* literal dots, if it is nothing else */
    bool    other;
} beacon_component_t;

static bool
beacon_component_valid(const beacon_component_t *c, beacon_err_t *err)
{
    if (c->len == 0) {
        beacon_err(err, "an empty component in the path");
        return false;
    }

    if (!c->other && c->dots <= 2) {
        beacon_err(err, "a \".\" or \"..\" component in the path");
        return false;
    }

    if (c->len > NAME_MAX) {
        beacon_err(err, "a component of the path can grow to %zu bytes, "
                   "more than %d", c->len, NAME_MAX);
        return false;
    }

    return true;
}

static bool
beacon_template_components(const beacon_template_t *t, beacon_err_t *err)
{
    size_t                i, total = 0;
    uint32_t              n;
    beacon_component_t    c;
    const beacon_part_t  *part;

    memset(&c, 0, sizeof(c));

    for (n = 0; n < t->nparts; n++) {
        part = &t->parts[n];
        total += beacon_part_width(part);

        if (part->kind != BEACON_PART_TEXT) {
            c.len += beacon_part_width(part);
            c.other = true;
            continue;
        }

        for (i = (n == 0); i < part->text.len; i++) {
            if (part->text.data[i] == '/') {
                if (!beacon_component_valid(&c, err)) {
                    return false;
                }

                memset(&c, 0, sizeof(c));
                continue;
            }

            c.len++;

            if (part->text.data[i] == '.') {
                c.dots++;
            } else {
                c.other = true;
            }
        }
    }

    if (total >= PATH_MAX) {
        beacon_err(err, "the path can grow to %zu bytes", total);
        return false;
    }

    return beacon_component_valid(&c, err);
}

beacon_rc_t
beacon_template_path(const beacon_template_t *tmpl, beacon_str_t *dir,
    beacon_err_t *err)
{
    size_t                i;
    uint32_t              n;
    const beacon_part_t  *first = &tmpl->parts[0];

    if (first->kind != BEACON_PART_TEXT || first->text.data[0] != '/') {
        beacon_err(err, "the path is not absolute");
        return BEACON_INVALID;
    }

    for (n = 0; n < tmpl->nparts; n++) {
        for (i = 0; i < tmpl->parts[n].text.len; i++) {
            if (tmpl->parts[n].text.data[i] < 0x20
                || tmpl->parts[n].text.data[i] == 0x7f)
            {
                beacon_err(err, "a control character in the path");
                return BEACON_INVALID;
            }
        }
    }

    if (!beacon_template_components(tmpl, err)) {
        return BEACON_INVALID;
    }

    for (i = first->text.len - 1; first->text.data[i] != '/'; i--) {
        /* the last slash: there is one, the first byte */
    }

    if (i == 0) {
        beacon_err(err, "the path has no fixed directory before its first "
                   "variable or conversion");
        return BEACON_INVALID;
    }

    dir->data = first->text.data;
    dir->len = i;

    return BEACON_OK;
}

unsigned
beacon_template_uses(const beacon_template_t *tmpl)
{
    return tmpl->uses;
}

uint32_t
beacon_template_period(const beacon_template_t *tmpl)
{
    return tmpl->period;
}

uint32_t
beacon_template_nvars(const beacon_template_t *tmpl)
{
    return tmpl->nvars;
}

beacon_str_t
beacon_template_var(const beacon_template_t *tmpl, uint32_t i)
{
    return tmpl->vars[i].name;
}

void
beacon_template_bind(beacon_template_t *tmpl, uint32_t i, uint32_t index)
{
    tmpl->vars[i].index = index;
}

uint32_t
beacon_template_index(const beacon_template_t *tmpl, uint32_t i)
{
    return tmpl->vars[i].index;
}
