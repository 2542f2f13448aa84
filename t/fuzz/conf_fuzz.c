/* beacon.json, whatever it holds: every complaint has text, nothing crashes. */

#include "beacond_conf.h"

#include <stdlib.h>
#include <string.h>

static void
say(void *data, const char *at, const char *text)
{
    (void) data;

    if (strlen(at) > (1 << 24) || strlen(text) == 0) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    beacond_conf_t  *conf;

    conf = beacond_conf_parse((const char *) data, size, say, NULL);

    if (conf != NULL && (conf->dir == NULL || conf->edge == NULL
                         || conf->threads < 1))
    {
        abort();
    }

    beacond_conf_destroy(conf);

    return 0;
}
