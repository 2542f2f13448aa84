#include "beacon_endpoint.h"

#include <arpa/inet.h>
#include <string.h>

#define BEACON_ENDPOINT_HOST  253       /* of a name in the DNS */

static int
beacon_endpoint_starts(beacon_str_t text, const char *with)
{
    size_t  n = strlen(with);

    return text.len >= n && memcmp(text.data, with, n) == 0;
}

static beacon_str_t
beacon_endpoint_behind(beacon_str_t text, size_t n)
{
    return (beacon_str_t) { text.len - n, text.data + n };
}

static beacon_rc_t
beacon_endpoint_ipc(beacon_endpoint_t *endpoint, beacon_err_t *err)
{
    beacon_str_t  path = endpoint->address;

    endpoint->ipc = endpoint->local = 1;

    if (path.len < 2 || path.data[0] != '/'
        || path.data[path.len - 1] == '/')
    {
        beacon_err(err, "the path behind \"ipc://\" must be absolute, and a "
                   "file's");
        return BEACON_INVALID;
    }

    if (path.len > BEACON_ENDPOINT_PATH) {
        beacon_err(err, "the path has %zu bytes, more than a socket's %d",
                   path.len, BEACON_ENDPOINT_PATH);
        return BEACON_INVALID;
    }

    return BEACON_OK;
}

static int
beacon_endpoint_port(const uint8_t *p, const uint8_t *end)
{
    unsigned  port = 0;

    if (end - p < 1 || end - p > 5 || *p == '0') {
        return 0;
    }

    for ( ; p < end; p++) {
        if (*p < '0' || *p > '9') {
            return 0;
        }

        port = port * 10 + (*p - '0');
    }

    return port <= 65535;
}

/* An address in digits is one, or nothing; other names are the system's. */
static int
beacon_endpoint_name(const char *host, size_t len, int *local)
{
    struct in_addr  v4;

    if (len == 0 || len > BEACON_ENDPOINT_HOST
        || strspn(host, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                  "abcdefghijklmnopqrstuvwxyz0123456789.-_") != len)
    {
        return 0;
    }

    if (strspn(host, "0123456789.") == len) {
        if (inet_pton(AF_INET, host, &v4) != 1) {
            return 0;
        }

        *local = ntohl(v4.s_addr) >> 24 == 127;
        return 1;
    }

    *local = strcmp(host, "localhost") == 0;

    return 1;
}

static int
beacon_endpoint_host(beacon_str_t text, int bind, int *local)
{
    char             host[BEACON_ENDPOINT_HOST + 1];
    struct in6_addr  v6;

    if (text.len >= sizeof(host)) {
        return 0;
    }

    memcpy(host, text.data, text.len);
    host[text.len] = '\0';
    *local = 0;

    if (strcmp(host, "*") == 0) {
        return bind;
    }

    if (host[0] != '[') {
        return beacon_endpoint_name(host, text.len, local);
    }

    if (host[text.len - 1] != ']') {
        return 0;
    }

    host[text.len - 1] = '\0';

    if (inet_pton(AF_INET6, host + 1, &v6) != 1) {
        return 0;
    }

    *local = IN6_IS_ADDR_LOOPBACK(&v6);

    return 1;
}

static beacon_rc_t
beacon_endpoint_tcp(beacon_endpoint_t *endpoint, int bind, beacon_err_t *err)
{
    beacon_str_t    host = endpoint->address;
    const uint8_t  *colon, *end;

    end = host.data + host.len;
    colon = memrchr(host.data, ':', host.len);

    if (colon == NULL || !beacon_endpoint_port(colon + 1, end)) {
        beacon_err(err, "a port from 1 to 65535 must stand at its end");
        return BEACON_INVALID;
    }

    host.len = (size_t) (colon - host.data);

    if (!beacon_endpoint_host(host, bind, &endpoint->local)) {
        beacon_err(err, "\"%.*s\" is no host%s",
                   host.len < 100 ? (int) host.len : 100,
                   (const char *) host.data,
                   host.len == 1 && *host.data == '*' ? " to connect to" : "");
        return BEACON_INVALID;
    }

    return BEACON_OK;
}

beacon_rc_t
beacon_endpoint_parse(beacon_str_t text, int bind,
    beacon_endpoint_t *endpoint, beacon_err_t *err)
{
    size_t  i;

    memset(endpoint, 0, sizeof(beacon_endpoint_t));

    for (i = 0; i < text.len; i++) {
        if (text.data[i] <= ' ' || text.data[i] == 0x7f) {
            beacon_err(err, "there is a space or control character in it");
            return BEACON_INVALID;
        }
    }

    if (beacon_endpoint_starts(text, "ipc://")) {
        endpoint->address = beacon_endpoint_behind(text, 6);
        return beacon_endpoint_ipc(endpoint, err);
    }

    if (beacon_endpoint_starts(text, "tcp://")) {
        endpoint->address = beacon_endpoint_behind(text, 6);
        return beacon_endpoint_tcp(endpoint, bind, err);
    }

    beacon_err(err, "it must begin with \"ipc:///\" or \"tcp://\"");

    return BEACON_INVALID;
}
