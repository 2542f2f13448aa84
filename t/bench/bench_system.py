"""nginx, module, helper and load together."""

import json
import os
import re
import signal
import socket
import subprocess
import time

from bench_util import (BEACOND, LOAD, LOG_FORMAT, MODULE, NGINX, QUICK,
                        REQUEST, Client, cpu_ns, free_port, listening, median,
                        need, run, size_of, spread, until)

HERE = os.path.dirname(os.path.abspath(__file__))

CONF = """load_module %(module)s;
daemon off;
worker_processes 1;
user root;
pid %(dir)s/nginx.pid;
error_log %(dir)s/error.log notice;
events { worker_connections %(connections)d; }
http {
    access_log off;
    keepalive_requests 100000000;
    keepalive_timeout 600s;
    %(log_format)s
    beacon_ring %(dir)s/ring lane_size=%(lane)s lanes=4;
    beacon_helper %(helper)s;
    beacon_edge web7;
    beacon_log %(disk)s/log/$beacon_site.jsonl;
    %(http)s
    server {
        listen 127.0.0.1:%(port)d;
        location = /empty.gif { empty_gif; }
        location = /log.gif {
            empty_gif;
            access_log %(disk)s/access.log facts buffer=64k flush=1s;
        }
        location = /px.gif { beacon gif; beacon_site $beacon_arg_site; }
        location = /status { beacon_status; }
        %(server)s
    }
}
"""


class System:
    """One worker; everything in the place's directories."""

    def __init__(self, place, lane="16m", http="", server="",
                 connections=512):
        need(BEACOND, MODULE, LOAD)
        self.place = place
        self.port = free_port()
        self.dir = os.path.join(place.shm, "nginx-%d" % self.port)
        os.mkdir(self.dir)
        self.ring = os.path.join(self.dir, "ring")
        self.log = os.path.join(place.disk, "log", "shop.jsonl")
        conf = os.path.join(self.dir, "nginx.conf")
        with open(conf, "w") as f:
            f.write(CONF % {
                "module": MODULE, "dir": self.dir, "disk": place.disk,
                "log_format": LOG_FORMAT, "lane": lane, "helper": BEACOND,
                "port": self.port, "http": http, "server": server,
                "connections": connections})
        self.nginx = place.start([NGINX, "-p", self.dir, "-c", conf,
                                  "-e", self.dir + "/error.log"])
        until("nginx", lambda: listening(self.port), 20, proc=self.nginx)
        until("the helper", self.helper, 20, proc=self.nginx)
        until("the worker", self.worker, 20, proc=self.nginx)

    def helper(self):
        """The helper's pid, as it says it itself; 0: there is none."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
                s.settimeout(1)
                s.connect(os.path.join(self.ring, "beacond.sock"))
                words = s.recv(4096).decode().split()
        except OSError:
            return 0
        return int(words[3]) if words[:1] == ["HELLO"] else 0

    def worker(self):
        """Its pid; 0: it has not its title yet."""
        children = "/proc/%d/task/%d/children" % (self.nginx.pid,
                                                  self.nginx.pid)
        with open(children) as f:
            for pid in map(int, f.read().split()):
                with open("/proc/%d/cmdline" % pid, "rb") as line:
                    if line.read().startswith(b"nginx: worker"):
                        return pid
        return 0

    def load(self, path, **options):
        """Starts the load generator; answer() waits for its figures."""
        argv = [LOAD, "-p", str(self.port), "-B", "-s", "shop",
                "-b", "500", "-H", "px.example.com", "-u", path]
        for name, value in options.items():
            argv += ["-" + name, str(value)]
        return self.place.start(argv, stdout=subprocess.PIPE)

    def answer(self, proc):
        text, _ = proc.communicate()
        self.place.stop(proc, 0)
        return json.loads(text)

    def status(self):
        with socket.create_connection(("127.0.0.1", self.port), 5) as s:
            s.sendall(b"GET /status HTTP/1.0\r\n\r\n")
            text = b""
            while True:
                more = s.recv(65536)
                if not more:
                    return json.loads(text.partition(b"\r\n\r\n")[2])
                text += more

    def stop(self):
        self.place.stop(self.nginx, signal.SIGQUIT, 20)


def cpu_during(system, send):
    """Nanoseconds of CPU a hit: (worker, helper).  send() returns how many
    hits were answered."""
    pids = [system.worker(), system.helper()]
    before = [cpu_ns(pid) for pid in pids]
    hits = send()
    time.sleep(0.3)                     # what is buffered is written by then
    return [(cpu_ns(pid) - ns) / hits for pid, ns in zip(pids, before)]


def paced(system, path, rate):
    done = system.answer(system.load(path, n=rate, r=rate, c=16))
    if done["ok"] != rate:
        raise RuntimeError("%s: %s" % (path, done))
    return rate


def flooded(system, path):
    """As fast as the worker goes, 16 requests at once on four connections:
    what the network costs is shared, so that little else is left."""
    name = os.path.join(system.dir, "request")
    with open(name, "wb") as f:
        f.write(REQUEST.replace(b"/px.gif", path.encode(), 1))
    text = run(["taskset", "-c", str(os.cpu_count() - 1), "wrk", "-t1", "-c4",
                "-d2s", "-s", os.path.join(HERE, "pipeline.lua"),
                "http://127.0.0.1:%d/" % system.port, "--", name, "16"])
    done = dict(re.findall(r"(requests|errors)=(\d+)", text))
    if int(done["errors"]) or not int(done["requests"]):
        raise RuntimeError("%s: %s" % (path, text.strip()))
    return int(done["requests"])


def cpu_rows(place):
    """Short rounds, many of them: what disturbs one is not in the median."""
    rounds = 5 if QUICK else 11
    system = System(place, lane="64m")
    run(["taskset", "-p", "-c", "0", str(system.worker())])
    for name, send in (
            ("flooded", lambda path: flooded(system, path)),
            ("at 15,000/s", lambda path: paced(system, path, 15000))):
        logs, workers, helpers, ratios = [], [], [], []
        for i in range(rounds + 1):
            plain, log, beacon = (
                cpu_during(system, lambda path=path: send(path))
                for path in ("/empty.gif", "/log.gif", "/px.gif"))
            if i == 0:
                continue                # warms up
            logs.append(log[0] - plain[0])
            workers.append(beacon[0] - plain[0])
            helpers.append(beacon[1])
            ratios.append((workers[-1] + helpers[-1]) / median(logs))
        total = (median(workers) + median(helpers)) / median(logs)
        yield ("CPU a hit, %s: the access_log adds" % name,
               "%.0f ns" % median(logs), "",
               "schedstat; medians of %d rounds of empty_gif, access_log, "
               "beacon; quartiles %s" % (rounds, spread(logs)))
        yield ("  beacon adds in the worker", "%.0f ns" % median(workers),
               "", "quartiles %s" % spread(workers))
        yield ("  the helper takes", "%.0f ns" % median(helpers), "",
               "polling included; quartiles %s" % spread(helpers))
        yield ("  worker + helper, of the access_log", "%.2f x" % total,
               "<= 1.0 x", "quartiles %s" % spread(ratios))
    system.stop()


def kill_rows(place):
    times = []
    system = System(place)
    kills = 3 if QUICK else 9
    rate = 20000
    load = system.load("/px.gif", r=rate, t=3 + 2 * kills, c=32)
    until("hits in the log", lambda: size_of(system.log) > 0, 10)
    for _ in range(kills):
        time.sleep(1.5)
        pid = system.helper()
        os.kill(pid, signal.SIGKILL)
        start = time.monotonic()
        until("the helper's end",
              lambda: not os.path.exists("/proc/%d/exe" % pid)
              or not os.access("/proc/%d/maps" % pid, os.R_OK)
              or open("/proc/%d/maps" % pid).read() == "", 5, 0.0005)
        size = size_of(system.log)
        until("draining again", lambda: size_of(system.log) > size, 10, 0.001)
        times.append(1000 * (time.monotonic() - start))
    done = system.answer(load)
    system.stop()
    yield ("helper killed under load: draining again",
           "%.0f ms" % median(times), "<= 200 ms",
           "SIGKILL until the log grows, %d hits/s asked, %.0f answered; "
           "median of %d, worst %.0f ms"
           % (rate, done["rate"], kills, max(times)))
    yield ("  hits refused meanwhile", "%d" % done["refused"], "0",
           "of %d, lane_size=16m" % done["sent"])


def asked(system, status, count=2000):
    """(p50, p99) in microseconds of count answers, one by one; None: one of
    them was not of that status."""
    client = Client(system.port)
    took = []
    for _ in range(count):
        start = time.perf_counter()
        if client.ask() != status:
            return None
        took.append(1e6 * (time.perf_counter() - start))
    client.close()
    took.sort()
    return took[count // 2], took[count * 99 // 100]


def stopped_rows(place):
    """Latencies with the helper stopped, interleaved with running; then with
    the ring full."""
    rate = 5000
    pairs = 3 if QUICK else 9
    system = System(place, lane="64m")
    base, held = [], []
    system.answer(system.load("/px.gif", r=rate, t=1, c=16))
    for _ in range(pairs):
        base.append(system.answer(system.load("/px.gif", r=rate, t=2, c=16)))
        pid = system.helper()
        os.kill(pid, signal.SIGSTOP)
        held.append(system.answer(system.load("/px.gif", r=rate, t=2, c=16)))
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.5)
    pid = system.helper()
    os.kill(pid, signal.SIGSTOP)
    filled = system.answer(system.load("/px.gif", n=200000, c=16))
    full = asked(system, 503)
    os.kill(pid, signal.SIGCONT)
    until("room in the ring", lambda: asked(system, 200, 1), 20)
    room = asked(system, 200)
    system.stop()
    if not filled["refused"] or not full or not room:
        raise RuntimeError("the ring did not fill: %s" % filled)
    for key, name in (("p50_us", "p50"), ("p99_us", "p99")):
        yield ("capture with the helper stopped, %s" % name,
               "%.0f us" % median([r[key] for r in held]),
               "%.0f us" % median([r[key] for r in base]),
               "goal: as with it running; %d/s, median of %d pairs, refused "
               "%d; ratio %.2f" % (
                   rate, pairs, sum(r["refused"] for r in held),
                   median([h[key] / b[key] for h, b in zip(held, base)])))
    yield ("  ring full: 503 after, p50 / p99", "%.0f / %.0f us" % full,
           "at once", "2,000 one by one; with room, 200 after %.0f / %.0f us"
           % room)


def latency_rows(place):
    """An open-loop load of 20,000/s, on empty_gif and on beacon in turn."""
    rate = 20000
    pairs = 3 if QUICK else 11
    system = System(place, lane="64m")
    sides = (("empty_gif", "/empty.gif"), ("beacon gif", "/px.gif"))
    took = {name: [] for name, _ in sides}
    for i in range(pairs + 1):
        for name, path in (sides if i % 2 else sides[::-1]):
            done = system.answer(system.load(path, r=rate, t=2, c=32))
            if i == 0:
                continue                # warms up
            if done["ok"] != done["sent"]:
                raise RuntimeError("%s: %s" % (path, done))
            took[name].append(done)
    system.stop()
    base, ours = (took[name] for name, _ in sides)
    for key, name in (("p50_us", "p50"), ("p99_us", "p99")):
        ratios = [b[key] / a[key] for a, b in zip(base, ours)]
        yield ("%s at %d/s: beacon gif" % (name, rate),
               "%.0f us" % median([r[key] for r in ours]),
               "%.0f us" % median([r[key] for r in base]),
               "goal: empty_gif's; open loop, %d pairs of 2 s in turn"
               % pairs)
        yield ("  of empty_gif's", "%.2f x" % median(ratios),
               "<= 1.1 x" if name == "p99" else "",
               "median of the pairs; quartiles %s" % spread(ratios))
