"""The live API: instructions a request inside nginx, by callgrind; what an open
page reads; captures beside open streams."""

import os
import select
import signal
import socket
import threading
import time

from bench_util import (MODULE, NGINX, QUICK, REQUEST, TOOLS, Client,
                        callgrind_argv, callgrind_total, free_port, listening,
                        median, need, run, spread, until)
from bench_request import a_request
from bench_system import System

FILL = os.path.join(TOOLS, "live_fill")

CONF = """load_module %(module)s;
daemon off;
master_process off;
user root;
pid %(dir)s/nginx.pid;
error_log %(dir)s/error.log error;
events { worker_connections 64; }
http {
    access_log off;
    keepalive_requests 1000000;
    keepalive_timeout 600s;
    beacon_ring %(ring)s lane_size=16m lanes=2;
    beacon_helper external;
    beacon_live size=%(size)s;
    server {
        listen 127.0.0.1:%(port)d;
        location /live/ { beacon_live_view; beacon_live_sites *; }
    }
}
"""

# name, hits of the site, sites, size of the store
STORES = (("10 hits, 1 site", 10, 1, 128),
          ("1,000,000 hits, 1 site", 1000000, 1, 1024),
          ("10 hits, 10,000 sites", 10, 10000, 512),
          ("1,000,000 hits, 10,000 sites", 1000000, 10000, 1536))


class Served:
    """A store that nobody writes to, below an nginx."""

    def __init__(self, place, hits, sites, size):
        self.place = place
        self.ring = os.path.join(place.shm, "ring-%d-%d" % (hits, sites))
        os.makedirs(self.ring, 0o700)
        said = run([FILL, str(hits), str(sites), str(size << 20), self.ring])
        self.cursor, stored = said.split()
        self.stored = int(stored.split("=")[1])
        self.size = size

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        for name in os.listdir(self.ring):
            if name.startswith("live."):
                os.unlink(os.path.join(self.ring, name))

    def instructions(self, target, count):
        """Of the whole life of an nginx that answers count requests."""
        port = free_port()
        conf = os.path.join(self.place.disk, "live.conf")
        with open(conf, "w") as f:
            f.write(CONF % {"module": MODULE, "dir": self.place.disk,
                            "ring": self.ring, "port": port,
                            "size": "%dm" % self.size})
        out = os.path.join(self.place.disk, "callgrind.live")
        proc = self.place.start(callgrind_argv(
            out, [NGINX, "-p", self.place.disk, "-c", conf]))
        until("nginx under callgrind", lambda: listening(port), 60, proc=proc)
        client = Client(port, ("GET %s HTTP/1.1\r\nHost: a\r\n\r\n"
                               % target).encode())
        for _ in range(count):
            status = client.ask()
            if status != 200:
                raise RuntimeError("%s answered %d" % (target, status))
        client.close()
        self.place.stop(proc, signal.SIGTERM, 60, again=True)
        return callgrind_total(out)

    def a_request(self, target, low=200, high=700):
        return (self.instructions(target, high)
                - self.instructions(target, low)) / (high - low)


def read_rows(place):
    plain = a_request(place, "empty_gif")
    first = None
    for name, hits, sites, size in STORES:
        with Served(place, hits, sites, size) as served:
            n = served.a_request("/live/v1/shop/hits?since=" + served.cursor)
            if first is None:
                first = n
                yield ("hits?since=, 10 new hits of 670 bytes",
                       "%.0f instr" % n, "<= 3 x empty_gif",
                       "%.2f x empty_gif's %.0f" % (n / plain, plain))
            yield ("  with %s" % name, "%.0f instr" % n, "+-10 %",
                   "%+.1f %%; stored: %d" % (100 * (n / first - 1),
                                             served.stored))
            if hits == 1000000 and sites == 1:
                n = served.a_request("/live/v1/shop/hits?fields=short&since="
                                     + served.cursor)
                yield ("  fields=short", "%.0f instr" % n, "", "")
                n = served.a_request("/live/v1/shop/now")
                yield ("now, of 1,000,000 hits", "%.0f instr" % n,
                       "<= 200 us", "%.1f us at 3 instructions a ns"
                       % (n / 3000))


class Hits(threading.Thread):
    """Ten a second of site "page", as browsers send them."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.client = Client(port, REQUEST.replace(b"site=shop",
                                                   b"site=page"))
        self.over = threading.Event()
        self.start()

    def run(self):
        while not self.over.wait(0.1):
            self.client.ask()

    def stop(self):
        self.over.set()
        self.join()
        self.client.close()


class Readers:
    """Streams of site "page", read by a process of their own."""

    TARGET = (b"GET /live/v1/page/stream?fields=row HTTP/1.1\r\n"
              b"Host: a\r\n\r\n")

    def __init__(self, port, count):
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self.read(port, count)
            finally:
                os._exit(1)

    @staticmethod
    def read(port, count):
        poll = select.epoll()
        socks = {}
        for _ in range(count):
            sock = socket.create_connection(("127.0.0.1", port))
            sock.sendall(Readers.TARGET)
            socks[sock.fileno()] = sock
            poll.register(sock.fileno(), select.EPOLLIN)
        while True:
            for fd, _ in poll.poll():
                if not os.read(fd, 65536):
                    os._exit(1)

    def stop(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def open_sockets(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


def traffic(system, seconds):
    """Bytes a second of one open page."""
    with socket.create_connection(("127.0.0.1", system.port)) as sock:
        sock.sendall(Readers.TARGET)
        time.sleep(1)
        sock.recv(65536)
        sock.settimeout(0.2)
        got, end = 0, time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                got += len(sock.recv(65536))
            except TimeoutError:
                pass
    return got / seconds


def stream_rows(place):
    streams = 500 if QUICK else 5000
    pairs, rate = (3, 2000) if QUICK else (9, 2000)
    system = System(
        place, lane="64m", connections=2 * streams + 1024,
        http="beacon_live size=64m; beacon_visitor $beacon_arg_vid;",
        server="location /live/ { beacon_live_view; beacon_live_sites *; }")
    hits = Hits(system.port)
    until("a hit in the store", lambda: Client(
        system.port, b"GET /live/v1/page/now HTTP/1.1\r\nHost: a\r\n\r\n")
        .ask() == 200, 20)
    worker = system.worker()
    yield ("an open page at 10 hits/s, fields of rows",
           "%.2f KB/s" % (traffic(system, 4 if QUICK else 10) / 1000),
           "<= 3 KB/s", "headers of chunks included")
    alone, beside = [], []
    for i in range(2 * pairs + 2):
        readers = Readers(system.port, streams) if i % 2 else None
        if readers:
            until("streams", lambda: open_sockets(worker) > streams, 60)
        done = system.answer(system.load("/px.gif", r=rate, t=2, c=32))
        if readers:
            readers.stop()
            until("streams go", lambda: open_sockets(worker) < 200, 60)
        if done["ok"] != done["sent"]:
            raise RuntimeError("beside streams: %s" % done)
        if i > 1:
            (beside if i % 2 else alone).append(done["p99_us"])
    hits.stop()
    readers = Readers(system.port, streams)
    until("streams", lambda: open_sockets(worker) > streams, 60)
    start = time.monotonic()
    system.nginx.send_signal(signal.SIGHUP)
    until("the old worker goes",
          lambda: not os.path.exists("/proc/%d" % worker), 60)
    took = time.monotonic() - start
    readers.stop()
    system.stop()
    yield ("a reload with %d streams open" % streams, "%.2f s" % took,
           "<= 2 s", "until the old worker has gone")
    yield ("p99 at %d/s, %d streams that get 10 hits/s each, one worker"
           % (rate, streams), "%.0f us" % median(beside),
           "%.0f us" % median(alone), "goal: without them; %d pairs" % pairs)
    ratios = [b / a for a, b in zip(alone, beside)]
    yield ("  of that without them", "%.2f x" % median(ratios), "<= 1.5 x",
           "quartiles %s; the readers are on the same machine"
           % spread(ratios))


def rows(place):
    need(MODULE, FILL)
    yield from read_rows(place)
    yield from stream_rows(place)
