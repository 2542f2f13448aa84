/*
 * The JSON validator: it ends, stays within the text, and says the same with
 * another seed and with scratch that has been used.
 */

#include "beacon_json.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t               *copy;
    beacon_rc_t            rc;
    beacon_str_t           text;
    beacon_json_t          fresh;
    static beacon_json_t   used;

    copy = malloc(size ? size : 1);
    memcpy(copy, data, size);
    text.len = size;
    text.data = copy;

    beacon_json_init(&fresh, 0x9e3779b97f4a7c15ULL);
    rc = beacon_json_check(&fresh, text);

    if (beacon_json_check(&used, text) != rc) {
        abort();
    }

    beacon_json_dispose(&fresh);
    free(copy);

    return 0;
}
