"""The live store's writers in the helper: a hit of this host's, by callgrind;
a hit of edges' feeds, by the CPU time of a master with eight of them."""

import json
import os
import random
import signal
import time

from bench_helper import MIB, Drain
from bench_util import (BEACOND, QUICK, TOOLS, callgrind_argv,
                        callgrind_total, cpu_ns, free_port, median, need,
                        run, until)

EDGES = 8
FILL = os.path.join(TOOLS, "fill")
BOOKS = os.path.join(TOOLS, "..", "books_cli")
LINE = ('{"v":1,"id":"%s-0-%x","time":"2026-11-22T09:%02d:%02d.%03dZ",'
        '"edge":"web%d","site":"s%d","visitor":"%016x","method":"GET",'
        '"host":"px.example.com","path":"/px.gif","args":{"e":"pageview",'
        '"url":"https://shop.example/c/%d?utm_campaign=autumn","ref":'
        '"https://www.example.net/search","sw":"1920","sh":"1080","lang":'
        '"el-GR","t":"Shoes and boots for the winter of this year"},'
        '"referer":"https://shop.example/c/%d","user_agent":"Mozilla/5.0 '
        '(X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0",'
        '"fields":{"country":"GR"}}')


class Live(Drain):
    """A helper with a log, and with a live store if wanted."""

    def __init__(self, place, live):
        self.live = live
        super().__init__(place, 2, 4 * MIB, sync="off")

    def configure(self, epoch):
        super().configure(epoch)
        if not self.live:
            return
        name = os.path.join(self.ring, "beacon.json")
        with open(name) as f:
            conf = json.load(f)
        conf["sinks"].append({"type": "live", "name": "live", "size": 64 * MIB,
                              "visitors": 300, "at": "bench:4"})
        with open(name, "w") as f:
            json.dump(conf, f)

    def sinks(self):
        """By name; {} before there are any books."""
        try:
            return json.loads(run([BOOKS, self.ring]))["sinks"]
        except RuntimeError:
            return {}

    def told(self, name, key):
        return self.sinks().get(name, {}).get(key, -1)


def instructions(place, hits, live, inside=None):
    """All of a helper's that has so many hits as they come, or those inside a
    function of it."""
    drain = Live(place, live)
    fill = drain.fill(hits, "-r", "2000", "-w", "-d", wait=False)
    out = os.path.join(place.disk, "callgrind.out")
    argv = callgrind_argv(out, drain.argv())
    if inside:
        argv.insert(2, "--toggle-collect=" + inside)
    proc = place.start(argv)
    drain.filled(fill, hits)
    names = ("log", "live") if live else ("log",)
    until("the books", lambda: all(
        drain.told(name, "done") >= hits for name in names), 300, proc=proc)
    stored = drain.told("live", "hits") if live else hits
    place.stop(proc, signal.SIGTERM, 60)
    return callgrind_total(out), stored


def live_rows(place):
    need(BEACOND, FILL, BOOKS)
    # by then each of its 4,096 hits has come twice
    low, high = (8192, 16384) if QUICK else (8192, 40960)
    cost, taken = [], 0
    for live in (False, True):
        (first, few), (last, many) = (instructions(place, hits, live)
                                      for hits in (low, high))
        cost.append(last - first)
        taken = many - few          # what came before there was a store is not
    yield ("live store, write in the helper, a hit",
           "%.0f instr" % ((cost[1] - cost[0]) / taken), "<= 1,200",
           "callgrind on beacond with and without the sink, %d less %d hits "
           "at 2,000 a second, in batches as they come; without: %.0f"
           % (high, low, cost[0] / (high - low)))
    cost, taken = instructions(place, high, True, "beacond_slive_batch")
    yield ("  in the sink's batches alone", "%.0f instr" % (cost / taken),
           "<= 1,200", "the first %d hits, nothing else of the helper: not "
           "what a busy machine makes it render again" % taken)


def own_bytes(pid):
    """A process's memory that is in no file."""
    with open("/proc/%d/status" % pid) as f:
        return 1024 * int(next(line.split()[1] for line in f
                               if line.startswith("RssAnon:")))


class Feeds:
    """Eight edges' feeds, recorded; replayed as fast as they are taken."""

    def __init__(self, hits, sites):
        import zmq
        self.zmq = zmq
        self.context = zmq.Context(2)
        self.sockets, self.ports, self.frames = [], [], []
        for edge in range(EDGES):
            port = free_port()
            socket = self.context.socket(zmq.XPUB)
            socket.setsockopt(zmq.SNDHWM, 0)
            socket.setsockopt(zmq.LINGER, 0)
            socket.bind("tcp://127.0.0.1:%d" % port)
            self.sockets.append(socket)
            self.ports.append(port)
            self.frames.append(self.record(edge, hits // EDGES, sites))

    @staticmethod
    def record(edge, hits, sites):
        feed, seq, frames = "%016x" % random.getrandbits(64), {}, []
        for n in range(hits):
            site = n % sites
            seq[site] = seq.get(site, 0) + 1
            line = LINE % (feed, 64 * n, n // 60000 % 60, n // 1000 % 60,
                           n % 1000, edge, site, random.getrandbits(14),
                           n % 97, n % 89)
            frames.append((b"hit/s%d/" % site,
                           b"web%d %s %d %016x" % (
                               edge, feed.encode(), seq[site], n),
                           line.encode()))
        return frames

    def subscribed(self):
        for socket in self.sockets:
            for _ in range(2):
                if not socket.poll(20000):
                    raise RuntimeError("the master does not subscribe")
                socket.recv()

    def replay(self, taken):
        """In pieces, so that no queue overflows; taken(): hits so far."""
        sent = 0
        for at in range(0, len(self.frames[0]), 500):
            for socket, frames in zip(self.sockets, self.frames):
                for frame in frames[at:at + 500]:
                    socket.send_multipart(frame, copy=False)
                    sent += 1
            until("the master", lambda: taken() >= sent - 10000, 60, 0.01)
        until("the master", lambda: taken() >= sent, 60, 0.02)

    def close(self):
        for socket in self.sockets:
            socket.close(0)
        self.context.term()


def collected(place, hits, sites):
    """(ns of CPU a hit, bytes of a hit, memory before and after)"""
    feeds = Feeds(hits, sites)
    drain = Live(place, True)
    drain.fill(0)
    name = os.path.join(drain.ring, "beacon.json")
    with open(name) as f:
        conf = json.load(f)
    conf["sinks"] = [sink for sink in conf["sinks"] if sink["type"] == "live"]
    conf["sinks"][0]["size"] = 512 * MIB
    conf["sinks"].append({"type": "collect", "name": "collect",
                          "connect": ["tcp://127.0.0.1:%d" % port
                                      for port in feeds.ports],
                          "at": "bench:5"})
    with open(name, "w") as f:
        json.dump(conf, f)
    proc = place.start(drain.argv())
    try:
        feeds.subscribed()
        until("the store", lambda: drain.told("live", "hits") == 0, 30,
              proc=proc)
        time.sleep(1)                   # its first second is not a hit's
        rss, cpu = own_bytes(proc.pid), cpu_ns(proc.pid)

        def taken():
            return drain.told("collect", "hits")
        feeds.replay(taken)
        cpu = (cpu_ns(proc.pid) - cpu) / hits
        sink = drain.sinks()["collect"]
        if sink["gap"] or sink["ignored"] or sink["repeated"]:
            raise RuntimeError("gap %(gap)d, ignored %(ignored)d, repeated "
                               "%(repeated)d" % sink)
        size = len(feeds.frames[0][0][2])
        return cpu, size, rss, own_bytes(proc.pid)
    finally:
        place.stop(proc, signal.SIGTERM, 60)
        feeds.close()


def master_rows(place):
    need(BEACOND, FILL, BOOKS)
    hits = 80000 if QUICK else 400000
    runs = [collected(place, hits, 20) for _ in range(1 if QUICK else 3)]
    yield ("spy master, a hit of %d feeds" % EDGES,
           "%.1f us CPU" % (median([run[0] for run in runs]) / 1000),
           "<= 6.6 us", "all threads, libzmq's too; %d hits of %d bytes, "
           "20 sites, recorded and replayed" % (hits, runs[0][1]))
    cpu, _, before, after = collected(place, hits, 10000)
    yield ("  the same of 10,000 sites", "%.1f us CPU" % (cpu / 1000), "",
           "memory in no file: %.1f MiB before, %.1f after" % (
               before / MIB, after / MIB))


def rows(place):
    yield from live_rows(place)
    yield from master_rows(place)
