#include "beacon.h"

#include <stdarg.h>
#include <stdio.h>

void
beacon_err(beacon_err_t *err, const char *fmt, ...)
{
    va_list  args;

    if (err == NULL) {
        return;
    }

    err->text[0] = '\0';

    va_start(args, fmt);
    (void) vsnprintf(err->text, sizeof(err->text), fmt, args);
    va_end(args);
}

int
beacon_site_valid(const uint8_t *data, size_t len)
{
    size_t   i;
    uint8_t  c;

    if (len == 0 || len > BEACON_SITE_MAX || data[0] == '.'
        || data[0] == '_')
    {
        return 0;
    }

    for (i = 0; i < len; i++) {
        c = data[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
              || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-'))
        {
            return 0;
        }
    }

    return 1;
}
