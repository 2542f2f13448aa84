"""The helper by itself, draining rings that build/bench/fill filled."""

import json
import os
import shutil
import signal
import subprocess
import time

from bench_util import (BEACOND, QUICK, TOOLS, callgrind_argv,
                        callgrind_total, cpu_ns, median, need, rss_bytes, run,
                        size_of, spread, until)

FILL = os.path.join(TOOLS, "fill")
WRITE = os.path.join(TOOLS, "write")
MIB = 1024 * 1024


class Drain:
    """A ring directory, a log directory, and the helper between them."""

    def __init__(self, place, lanes, lane_size, logs=None, sync="1s"):
        self.place = place
        self.lanes, self.lane_size = lanes, lane_size
        self.ring = os.path.join(place.shm, "ring")
        self.logs = os.path.join(logs or place.disk, "log")
        self.log = os.path.join(self.logs, "shop.jsonl")
        self.sync = sync
        self.clear()

    def clear(self):
        for path in (self.ring, self.logs):
            shutil.rmtree(path, ignore_errors=True)
            os.mkdir(path, 0o700)

    def fill(self, hits, *options, wait=True):
        """Runs fill; with wait to its end.  The configuration that goes with
        its ring is written as soon as the epoch is known."""
        argv = [FILL, "-l", str(self.lanes), "-s", str(self.lane_size),
                "-n", str(hits), *options, self.ring]
        fill = self.place.start(argv, stdout=subprocess.PIPE)
        self.configure(fill.stdout.readline().decode().strip())
        if wait:
            self.filled(fill, hits)
        return fill

    def filled(self, fill, hits):
        done = fill.stdout.read().split()
        fill.stdout.close()
        if self.place.stop(fill, 0) != 0 or int(done[0]) != hits:
            raise RuntimeError("fill committed %s of %d hits" % (done, hits))

    def configure(self, epoch):
        conf = {
            "v": 2, "generation": 1, "build": "bench", "layout": 2,
            "edge": "web7",
            "ring": {"dir": self.ring, "epoch": epoch,
                     "lane_size": self.lane_size, "lanes": self.lanes,
                     "at": "bench:1"},
            "helper": {"threads": 1, "external": True, "log": "notice",
                       "at": "bench:2"},
            "sinks": [{"type": "log", "name": "log", "timezone": "UTC",
                       "path": self.logs + "/$beacon_site.jsonl",
                       "sync": self.sync, "max_files": 512,
                       "at": "bench:3"}]}
        name = os.path.join(self.ring, "beacon.json")
        with open(name + ".new", "w") as f:
            json.dump(conf, f)
        os.rename(name + ".new", name)

    def argv(self):
        return [BEACOND, "-c", os.path.join(self.ring, "beacon.json")]

    def growth(self, proc, quiet=0.5, every=0.001):
        """(time, log size) until the log has not grown for a while."""
        until("the log", lambda: size_of(self.log), 60, 0.0005, proc)
        seen = [(time.monotonic(), size_of(self.log))]
        while time.monotonic() - seen[-1][0] < quiet:
            time.sleep(every)
            size = size_of(self.log)
            if size != seen[-1][1]:
                seen.append((time.monotonic(), size))
        return seen

    def lines(self):
        return int(run(["wc", "-l", self.log]).split()[0])

    def check(self, hits):
        lines = self.lines()
        if lines != hits:
            raise RuntimeError("%d hits, %d lines" % (hits, lines))


def instructions(place, hits):
    drain = Drain(place, 2, 256 * MIB, sync="off")
    drain.fill(hits)
    out = os.path.join(place.disk, "callgrind.out")
    proc = place.start(callgrind_argv(out, drain.argv()))
    drain.growth(proc, quiet=3, every=0.02)
    place.stop(proc, signal.SIGTERM, 60)
    drain.check(hits)
    return callgrind_total(out)


def helper_rows(place):
    need(BEACOND, FILL)
    low, high = 20000, 120000 if QUICK else 320000
    each = ((instructions(place, high) - instructions(place, low))
            / (high - low))
    yield ("helper, ring -> log file, a hit", "%.0f instr" % each, "<= 3,200",
           "callgrind on beacond, all threads, %d less %d hits of two lanes"
           % (high, low))


def drained(place, hits, logs):
    """Nanoseconds a hit, and bytes: the helper between 5 % and 95 % of the
    log and its CPU time, all threads; a bare write and its CPU time."""
    drain = Drain(place, 8, 128 * MIB, logs)
    drain.fill(hits)
    proc = place.start(drain.argv())
    seen = drain.growth(proc)
    cpu = cpu_ns(proc.pid) / hits
    place.stop(proc)
    drain.check(hits)
    line = seen[-1][1] / hits
    low = next(s for s in seen if s[1] >= 0.05 * seen[-1][1])
    high = next(s for s in seen if s[1] >= 0.95 * seen[-1][1])
    wall = 1e9 * (high[0] - low[0]) / (high[1] - low[1]) * line
    bare = [int(ns) / hits for ns in
            run([WRITE, drain.log, os.path.join(drain.logs, "copy")]).split()]
    drain.clear()
    return (wall, cpu, *bare)


def drain_rows(place):
    need(BEACOND, FILL, WRITE)
    pairs, hits = (3, 300000) if QUICK else (7, 1000000)
    for name, logs in (("disk", place.disk), ("tmpfs", place.shm)):
        drained(place, hits, logs)              # pages that the host owes us
        runs = [drained(place, hits, logs) for _ in range(pairs)]
        wall, cpu, bare, bare_cpu = (median(one) for one in zip(*runs))
        ratios = [run[2] / run[0] for run in runs]
        yield ("drain, one reader, log on %s" % name,
               "%.2f M hits/s" % (1000 / wall), "about 2 M",
               "8 lanes filled with %d hits; 5 to 95 %% of the log's bytes; "
               "sync=1s; median of %d" % (hits, pairs))
        yield ("  of a bare write(2) of these bytes",
               "%.2f x" % median(ratios), ">= 0.4",
               "64 KiB writes, %.0f ns a hit, same run; quartiles %s"
               % (bare, spread(ratios)))
        yield ("  CPU a hit, all threads", "%.0f ns" % cpu, "",
               "the bare write: %.0f ns" % bare_cpu)


def rss_rows(place):
    need(BEACOND, FILL)
    hits = 1000000 if QUICK else 10000000
    drain = Drain(place, 2, 4 * MIB)
    fill = drain.fill(hits, "-w", "-d", wait=False)
    proc = place.start(drain.argv())
    seen = []
    while fill.poll() is None:
        if proc.poll() is not None:
            raise RuntimeError("beacond ended (%s)" % proc.returncode)
        seen.append(rss_bytes(proc.pid))
        time.sleep(0.1)
    drain.filled(fill, hits)
    end = rss_bytes(proc.pid)
    place.stop(proc)
    tenth = max(1, len(seen) // 10)
    yield ("helper RSS after a tenth of the hits",
           "%.1f MiB" % (seen[tenth] / MIB), "<= 24 MiB + ring",
           "VmRSS; the ring is 2 lanes of 4 MiB, mapped and counted")
    yield ("helper RSS after %.0g hits" % hits, "%.1f MiB" % (end / MIB),
           "flat", "highest seen %.1f MiB" % (max(seen) / MIB))
