"""Instructions a request inside nginx, by callgrind."""

import os
import signal

from bench_util import (LOG_FORMAT, MODULE, NGINX, Client, callgrind_argv,
                        callgrind_total, free_port, listening, need, until)

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

VARIANTS = {
    "empty_gif": ("", "", "empty_gif;"),
    "access_log": (
        "", LOG_FORMAT,
        "empty_gif; access_log %(disk)s/access.log facts buffer=64k flush=1s;"),
    "beacon": (
        "load_module %(module)s;", BEACON_HTTP,
        "beacon gif; beacon_site $beacon_arg_site;"),
}


def instructions(place, variant, count, function=None):
    """Of the whole life of an nginx that answers count requests; function:
    of what is done inside it alone."""
    port = free_port()
    values = {"dir": place.disk, "disk": place.disk, "shm": place.shm,
              "port": port, "module": MODULE}
    load, http, location = (text % values for text in VARIANTS[variant])
    conf = os.path.join(place.disk, "%s.conf" % variant)
    with open(conf, "w") as f:
        f.write(CONF % dict(values, load=load, http=http, location=location))
    out = os.path.join(place.disk, "callgrind.out")
    argv = callgrind_argv(out, [NGINX, "-p", place.disk, "-c", conf])
    if function:
        argv.insert(2, "--toggle-collect=" + function)
    proc = place.start(argv)
    until("nginx under callgrind", lambda: listening(port), 60, proc=proc)
    client = Client(port)
    for _ in range(count):
        status = client.ask()
        if status != 200:
            raise RuntimeError("%s answered %d" % (variant, status))
    client.close()
    place.stop(proc, signal.SIGTERM, 60, again=True)
    return callgrind_total(out)


def a_request(place, variant, low=200, high=1200):
    return (instructions(place, variant, high)
            - instructions(place, variant, low)) / (high - low)


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
