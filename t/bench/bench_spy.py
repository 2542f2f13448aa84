"""The spy feed, against a bare libzmq loop with the same frames."""

import json
import os
import signal

from bench_helper import FILL, MIB, Drain
from bench_util import (BEACOND, BUILD, QUICK, TOOLS, callgrind_argv,
                        callgrind_total, need, run, until)

BARE = os.path.join(TOOLS, "spy")
BOOKS = os.path.join(BUILD, "books_cli")
OPS = ("batch", "flush")
RATE = 3000             # so that under callgrind, too, none is missed


class SpyDrain(Drain):
    """A Drain whose helper has a feed beside its log."""

    def __init__(self, place):
        super().__init__(place, 2, 128 * MIB, sync="off")
        self.socket = os.path.join(self.ring, "spy.sock")
        self.endpoint = "ipc://" + self.socket

    def configure(self, epoch):
        super().configure(epoch)
        name = os.path.join(self.ring, "beacon.json")
        with open(name) as f:
            conf = json.load(f)
        conf["sinks"].append({"type": "spy", "name": "spy", "at": "bench:4",
                              "bind": [self.endpoint]})
        with open(name, "w") as f:
            json.dump(conf, f)

    def spy(self, key):
        try:
            return json.loads(run([BOOKS, self.ring]))["sinks"]["spy"].get(
                key, 0)
        except (RuntimeError, ValueError, KeyError):
            return 0


def feed(place, hits, subscribed):
    """Instructions of the sink's thread, and the hits that it sent (or took,
    with nobody there)."""
    drain = SpyDrain(place)
    sub = (place.start([BARE, "sub", drain.endpoint]) if subscribed else None)
    begin = os.path.join(place.disk, "begin")
    fill = drain.fill(hits, "-w", "-r", str(RATE), "-b", begin, wait=False)
    out = os.path.join(place.disk, "callgrind.out")
    argv = callgrind_argv(out, drain.argv())
    argv[2:2] = ["--toggle-collect=beacond_sink_spy_" + op for op in OPS]
    proc = place.start(argv)
    until("the feed", lambda: drain.spy("subscriptions") == int(subscribed)
          and os.path.exists(drain.socket), 120, 0.05, proc)
    with open(begin, "w"):
        drain.filled(fill, hits)
    os.remove(begin)
    until("all hits", lambda: drain.spy("done") + drain.spy("lost") >= hits,
          120, 0.05, proc)
    place.stop(proc, signal.SIGTERM, 60)
    if sub:
        place.stop(sub)
    return (callgrind_total(out), drain.spy("sent" if sub else "done"),
            drain.log)


def bare(place, hits, log):
    """Instructions of the loop's thread."""
    endpoint = "ipc://" + os.path.join(place.shm, "bare.sock")
    out = os.path.join(place.disk, "callgrind.out")
    argv = callgrind_argv(out, [BARE, "pub", endpoint, str(hits), str(RATE),
                                log])
    argv[2:2] = ["--toggle-collect=spy_loop"]
    pub = place.start(argv)
    sub = place.start([BARE, "sub", endpoint])
    pub.wait(300)
    place.stop(pub, 0)
    place.stop(sub)
    return callgrind_total(out)


def rows(place):
    need(BEACOND, FILL, BARE, BOOKS)
    low, high = 3000, 30000 if QUICK else 90000
    few, many = feed(place, low, True), feed(place, high, True)
    each = (many[0] - few[0]) / (many[1] - few[1])
    yield ("spy feed, one subscriber, instructions a hit", "%.0f" % each,
           "<= 2,000", "callgrind, the sink's own thread in batch and flush, "
           "%d less %d hits sent at %d/s" % (many[1], few[1], RATE))
    loop = (bare(place, high, many[2]) - bare(place, low, many[2])) \
        / (high - low)
    yield ("  of a bare libzmq PUB loop", "%.2f x" % (loop / each), ">= 0.8",
           "its thread's %.0f instructions for the same frames" % loop)
    few, many = feed(place, low, False), feed(place, high, False)
    yield ("  without a subscriber",
           "%.0f" % ((many[0] - few[0]) / (many[1] - few[1])), "none",
           "the same; looking for subscribers, taking and giving back batches")
