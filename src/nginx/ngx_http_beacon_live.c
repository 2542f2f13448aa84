/*
 * The live API: what a location with beacon_live_view answers.
 */

#include "ngx_http_beacon_live.h"


ngx_int_t
ngx_http_beacon_live_handler(ngx_http_request_t *r)
{
    return ngx_http_beacon_live_problem(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                        "the live store is not there yet");
}
