#include "beacond_conf_check.h"

#include <stdarg.h>
#include <string.h>

void
beacond_conf_fail(beacond_conf_check_t *check, const char *fmt, ...)
{
    char     text[1024];
    va_list  args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);

    check->failed = true;
    check->say(check->data, check->at, text);
}

void
beacond_conf_warn(beacond_conf_check_t *check, const char *fmt, ...)
{
    int      n;
    char     text[1024];
    va_list  args;

    n = snprintf(text, sizeof(text), "warning: ");

    va_start(args, fmt);
    vsnprintf(text + n, sizeof(text) - (size_t) n, fmt, args);
    va_end(args);

    check->say(check->data, check->at, text);
}

const char *
beacond_conf_string(beacond_conf_check_t *check, const json_t *object,
    const char *key, bool required)
{
    const json_t  *value;

    value = json_object_get(object, key);

    if (value == NULL && !required) {
        return NULL;
    }

    if (!json_is_string(value) || json_string_length(value) == 0) {
        beacond_conf_fail(check, "\"%s\" must be a string that is not empty",
                          key);
        return NULL;
    }

    return json_string_value(value);
}

int64_t
beacond_conf_integer(beacond_conf_check_t *check, const json_t *object,
    const char *key, int64_t absent, int64_t min, int64_t max)
{
    json_int_t     n;
    const json_t  *value;

    value = json_object_get(object, key);

    if (value == NULL) {
        return absent;
    }

    n = json_integer_value(value);

    if (!json_is_integer(value) || n < min || n > max) {
        beacond_conf_fail(check, "\"%s\" must be a number from %lld to %lld",
                          key, (long long) min, (long long) max);
        return absent;
    }

    return n;
}

bool
beacond_conf_bool(beacond_conf_check_t *check, const json_t *object,
    const char *key)
{
    const json_t  *value;

    value = json_object_get(object, key);

    if (value == NULL) {
        return false;
    }

    if (!json_is_boolean(value)) {
        beacond_conf_fail(check, "\"%s\" must be true or false", key);
    }

    return json_is_true(value);
}

bool
beacond_conf_inside(const char *path, size_t len, const char *dir)
{
    size_t  n;

    n = strlen(dir);

    while (n > 0 && dir[n - 1] == '/') {
        n--;
    }

    return len >= n && memcmp(path, dir, n) == 0
           && (len == n || path[n] == '/');
}

bool
beacond_conf_plain_path(const char *path)
{
    return path[0] == '/' && strstr(path, "//") == NULL
           && strstr(path, "/../") == NULL && strstr(path, "/./") == NULL
           && strlen(path) < 3072;
}
