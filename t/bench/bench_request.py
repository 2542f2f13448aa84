"""Instructions a request inside nginx, by callgrind."""

import os
import signal

from bench_util import (LOG_FORMAT, MODULE, NGINX, REQUEST, Client,
                        callgrind_argv, callgrind_total, free_port, listening,
                        need, until)

CONF = """%(load)s
daemon off;
master_process off;
worker_processes 1;
user root;
pid %(dir)s/nginx.pid;
error_log %(dir)s/error.log error;
events { worker_connections 64; }
http {
    access_log off;
    keepalive_requests 1000000;
    keepalive_timeout 600s;
    %(http)s
    server {
        listen 127.0.0.1:%(port)d;
        location = /px.gif { %(location)s }
    }
}
"""

BEACON_HTTP = """beacon_ring %(shm)s/ring-%(port)d lane_size=16m lanes=2;
    beacon_helper external;
    beacon_edge web7;
    beacon_log %(disk)s/$beacon_site.jsonl;"""

TARGET_URL = "https://shop.example/landing?campaign=spring"
LOAD = "load_module %(module)s;"
SITE = "beacon_site $beacon_arg_site;"

# main, http, location; and the status that is answered, if it is not 200
VARIANTS = {
    "empty_gif": ("", "", "empty_gif;"),
    "access_log": (
        "", LOG_FORMAT,
        "empty_gif; access_log %(disk)s/access.log facts buffer=64k flush=1s;"),
    "beacon": (LOAD, BEACON_HTTP, "beacon gif;" + SITE),
    "cors": (
        LOAD, BEACON_HTTP,
        "beacon gif; beacon_cors https://shop.example;" + SITE),
    "private": (
        LOAD, BEACON_HTTP,
        "beacon gif; beacon_cors https://shop.example; beacon_gpc anonymous;"
        "beacon_cookie __Host-id expires=365d partitioned;"
        "beacon_visitor $beacon_cookie; beacon_drop_args vid title;" + SITE),
    "return": ("", "", "return 302 %s;" % TARGET_URL, 302),
    "redirect": (
        LOAD, BEACON_HTTP, "beacon_redirect %s;" % TARGET_URL + SITE, 302),
    "redirect_arg": (
        LOAD, BEACON_HTTP,
        "beacon_redirect $beacon_arg_url allow=shop.example;" + SITE, 302),
    "file": ("", "", "root %(disk)s;"),
    "file_on": (LOAD, BEACON_HTTP, "root %(disk)s; beacon on;" + SITE),
}


ORIGIN = REQUEST.replace(b"\r\nAccept:",
                         b"\r\nOrigin: https://shop.example\r\nAccept:")
GPC = ORIGIN.replace(b"\r\nAccept:", b"\r\nSec-GPC: 1\r\nAccept:")
COOKIE = ORIGIN.replace(b"\r\nAccept:", b"\r\nCookie: a=b; __Host-id="
                        b"0123456789abcdef0123456789abcdef\r\nAccept:")


def instructions(place, variant, count, function=None, request=REQUEST):
    """Of the whole life of an nginx that answers count requests; function:
    of what is done inside it alone."""
    port = free_port()
    values = {"dir": place.disk, "disk": place.disk, "shm": place.shm,
              "port": port, "module": MODULE}
    load, http, location = (text % values for text in VARIANTS[variant][:3])
    want = (VARIANTS[variant] + (200,))[3]
    with open(os.path.join(place.disk, "px.gif"), "wb") as f:
        f.write(b"x" * 43)
    conf = os.path.join(place.disk, "%s.conf" % variant)
    with open(conf, "w") as f:
        f.write(CONF % dict(values, load=load, http=http, location=location))
    out = os.path.join(place.disk, "callgrind.out")
    argv = callgrind_argv(out, [NGINX, "-p", place.disk, "-c", conf])
    if function:
        argv.insert(2, "--toggle-collect=" + function)
    proc = place.start(argv)
    until("nginx under callgrind", lambda: listening(port), 60, proc=proc)
    client = Client(port, request)
    for _ in range(count):
        status = client.ask()
        if status != want:
            raise RuntimeError("%s answered %d" % (variant, status))
    client.close()
    place.stop(proc, signal.SIGTERM, 60, again=True)
    return callgrind_total(out)


def a_request(place, variant, request=REQUEST, low=200, high=1200):
    return (instructions(place, variant, high, request=request)
            - instructions(place, variant, low, request=request)) \
        / (high - low)


def rows(place):
    how = ("callgrind, one process, one keep-alive connection, "
           "1,200 less 200 requests")
    plain = a_request(place, "empty_gif")
    log = a_request(place, "access_log")
    yield ("empty_gif, a request", "%.0f instr" % plain, "", how)
    yield ("empty_gif + buffered JSON access_log", "%.0f instr" % log, "",
           "the same; escape=json, buffer=64k")
    yield ("  the log adds", "%.0f instr" % (log - plain), "5,800-7,200", "")
    need(MODULE)
    beacon = a_request(place, "beacon")
    added = beacon - plain
    yield ("beacon gif, site from the last of ten arguments",
           "%.0f instr" % beacon, "", "the same; beacon_helper external")
    yield ("  beacon adds", "%.0f instr" % added,
           "<= 1,200 (900)", "of the log: %.0f %%"
           % (100 * added / (log - plain)))
    # An answer of empty_gif has a Last-Modified to format; ours has none.
    capture = instructions(place, "beacon", 1000,
                           "ngx_http_beacon_capture") / 1000
    yield ("  capture alone", "%.0f instr" % capture, "",
           "site found and judged, record written and committed; what an "
           "answer saves against empty_gif's is not deducted")


def pixel_rows(place):
    """What redirects and pages cost, and CORS."""
    need(MODULE)
    plain = a_request(place, "beacon")
    yield ("beacon_cors of a listed origin adds", "%.0f instr"
           % (a_request(place, "cors", ORIGIN) - plain), "",
           "callgrind as for requests; the Origin header's parsing included")
    for request, what in ((ORIGIN, "a new cookie"), (COOKIE, "one sent"),
                          (GPC, "Sec-GPC: 1, so none")):
        yield ("beacon gif with CORS, beacon_gpc, two dropped arguments, "
               "beacon_cookie (%s) adds" % what, "%.0f instr"
               % (a_request(place, "private", request)
                  - a_request(place, "empty_gif", request)), "<= 2,500",
               "to empty_gif's answer to the same request")
    plain = a_request(place, "return")
    yield ("return 302, a request", "%.0f instr" % plain, "", "")
    for name, what in (("redirect", "to a constant"),
                       ("redirect_arg", "to an argument, allow=HOST")):
        yield ("  beacon_redirect %s adds" % what, "%.0f instr"
               % (a_request(place, name) - plain), "<= 2,500", "")
    plain = a_request(place, "file")
    yield ("a static file of 43 bytes, a request", "%.0f instr" % plain, "",
           "without open_file_cache")
    yield ("  beacon on adds", "%.0f instr"
           % (a_request(place, "file_on") - plain), "<= 1,700", "")
