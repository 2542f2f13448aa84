#include "beacon_endpoint.h"
#include "tap.h"

#include <string.h>

static beacon_endpoint_t  endpoint;
static beacon_err_t       err;

static beacon_rc_t
parse(const char *text, int bind)
{
    beacon_str_t  s = { strlen(text), (const uint8_t *) text };

    return beacon_endpoint_parse(s, bind, &endpoint, &err);
}

static int
local(const char *text)
{
    return parse(text, 0) == BEACON_OK && endpoint.local;
}

static int
remote(const char *text)
{
    return parse(text, 0) == BEACON_OK && !endpoint.local;
}

static int
refused(const char *text, const char *want)
{
    beacon_rc_t  bind = parse(text, 1), connect = parse(text, 0);

    if (bind == BEACON_INVALID && connect == BEACON_INVALID
        && strstr(err.text, want) != NULL)
    {
        return 1;
    }

    printf("# %s\n", err.text);
    return 0;
}

int
main(void)
{
    char  path[160];

    ok(local("ipc:///run/beacon/spy.sock") && endpoint.ipc,
       "a socket in a directory is local");
    ok(endpoint.address.len == strlen("/run/beacon/spy.sock"),
       "its address is the path");
    ok(local("tcp://127.0.0.1:5556") && !endpoint.ipc
       && local("tcp://127.3.2.1:1") && local("tcp://[::1]:65535")
       && local("tcp://localhost:5556"), "loopback is local");
    ok(remote("tcp://10.0.0.1:5556") && remote("tcp://[2001:db8::1]:5556")
       && remote("tcp://master.example.com:5556") && remote("tcp://eth0:1")
       && remote("tcp://0.0.0.0:1") && remote("tcp://[::]:1")
       && remote("tcp://[::ffff:127.0.0.1]:1")
       && remote("tcp://localhost.example.com:1")
       && remote("tcp://127.example.com:1"),
       "other addresses, names and interfaces are not");
    ok(parse("tcp://*:5556", 1) == BEACON_OK && !endpoint.local,
       "all addresses can be bound");
    ok(parse("tcp://*:5556", 0) == BEACON_INVALID
       && strstr(err.text, "to connect to"), "but not connected to");
    ok(refused("", "must begin") && refused("udp://127.0.0.1:1", "must begin")
       && refused("inproc://x", "must begin") && refused("ipc", "must begin")
       && refused("TCP://127.0.0.1:1", "must begin"),
       "other transports are refused");
    ok(refused("ipc://run/x", "absolute") && refused("ipc://@x", "absolute")
       && refused("ipc://", "absolute") && refused("ipc:///", "absolute")
       && refused("ipc:///x/", "absolute") && refused("ipc://*", "absolute"),
       "a path is absolute, and a file's");

    memset(path, 'x', sizeof(path));
    memcpy(path, "ipc:///", 7);
    path[6 + 107] = '\0';
    ok(local(path), "a path of 107 bytes is taken");
    path[6 + 107] = 'x';
    path[6 + 108] = '\0';
    ok(refused(path, "108 bytes, more than a socket's 107"),
       "one of 108 is not");

    ok(refused("tcp://127.0.0.1", "port") && refused("tcp://h:", "port")
       && refused("tcp://h:0", "port") && refused("tcp://h:*", "port")
       && refused("tcp://h:65536", "port") && refused("tcp://h:1x", "port")
       && refused("tcp://h:-1", "port") && refused("tcp://h:01", "port")
       && refused("tcp://[::1]", "port") && refused("tcp://", "port"),
       "a port is wanted, and a number");
    ok(refused("tcp://:5", "no host") && refused("tcp://a;b:5", "no host")
       && refused("tcp://::1:5", "no host")
       && refused("tcp://[::1:5", "no host")
       && refused("tcp://[x]:5", "no host")
       && refused("tcp://127.0.0:5", "no host")
       && refused("tcp://1.2.3.4.5:5", "no host")
       && refused("tcp://300.0.0.1:5", "no host"), "a host is one");
    ok(refused("tcp://a b:5", "space") && refused("tcp://a:5\n", "space")
       && refused("ipc:///a\x7f", "space"), "no space or control character");

    return done_testing();
}
