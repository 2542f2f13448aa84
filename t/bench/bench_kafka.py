"""Kafka: the sink against a bare librdkafka loop and against rsyslog, with a
real broker on the same machine.

BENCH_KAFKA=rate, instructions, outage, p99 or rsyslog: that part alone.
"""

import glob
import json
import os
import re
import signal
import shutil
import sys
import threading
import time

from bench_helper import FILL, MIB, Drain
from bench_system import System
from bench_util import (BEACOND, BUILD, LOAD, QUICK, TOOLS, TOP, Missing,
                        callgrind_argv, callgrind_total, cpu_ns, free_port,
                        median, need, run, spread, until)

sys.path.insert(0, os.path.join(TOP, "t", "lib"))
from kafka_node import HOME, Nodes              # noqa: E402

BARE = os.path.join(TOOLS, "kafka")
BOOKS = os.path.join(BUILD, "books_cli")
# As beacond_kafka_producer.c sets them; its window is the queue.
PROPERTIES = ("enable.idempotence=true", "acks=all", "message.timeout.ms=0",
              "partitioner=murmur2_random", "compression.codec=lz4",
              "linger.ms=100", "socket.nagle.disable=true",
              "queue.buffering.max.kbytes=65536",
              "queue.buffering.max.messages=10000")
OUTAGE = float(os.environ.get("BENCH_OUTAGE", "15" if QUICK else "60"))
RATE = 20000


class Broker(Nodes):
    """One node in a place's directory; stopped at its end."""

    def __init__(self, place):
        if not os.path.exists(os.path.join(HOME, "eye.done")):
            raise Missing("build/kafka: make deps-test")
        directory = os.path.join(place.disk, "kafka")
        os.mkdir(directory)
        os.chmod(place.disk, 0o755)
        super().__init__(directory, free_port)
        self.start()
        place.processes += self.children()

    def topic(self, name, partitions=4):
        if name in self.ask("topics"):
            self.delete(name)
        until("the topic", lambda: name not in self.ask("topics"))
        self.create(name, partitions)


class KafkaDrain(Drain):
    """A Drain whose helper writes to Kafka, and to a log if that is wanted."""

    def __init__(self, place, kafka, topic, lanes, lane_size, log=False,
                 spool=False, brokers=None):
        self.kafka, self.topic, self.with_log = kafka, topic, log
        self.spool = os.path.join(place.disk, "spool") if spool else None
        self.brokers = brokers or (kafka and kafka.plain)
        super().__init__(place, lanes, lane_size)

    def configure(self, epoch):
        super().configure(epoch)
        name = os.path.join(self.ring, "beacon.json")
        with open(name) as f:
            conf = json.load(f)
        if not self.with_log:
            conf["sinks"] = []
        if self.kafka:
            conf["sinks"].append({
                "type": "kafka", "name": "kafka", "brokers": self.brokers,
                "topic": self.topic, "at": "bench:4"})
        if self.spool:
            conf["spool"] = {"dir": self.spool, "size": 64 << 30,
                             "min_free": 5, "at": "bench:5"}
        with open(name + ".new", "w") as f:
            json.dump(conf, f)
        os.rename(name + ".new", name)

    def books(self, name="kafka"):
        try:
            return json.loads(run([BOOKS, self.ring]))["sinks"].get(name, {})
        except (RuntimeError, ValueError, KeyError):
            return {}

    def done(self):
        return self.books().get("done", 0)


# ---- hits a second, against the bare loop

def lines(place, hits, values):
    """The lines of such hits, in the order in which sinks get them.  (As a
    consumer reads them they stand by partition, thousands of one in turn:
    librdkafka then fills one batch after the other, in memory that is still
    in the cache, and takes a fifth less CPU than of any order that hits come
    in.)"""
    drain = Drain(place, 8, 128 * MIB)
    drain.fill(hits)
    proc = place.start(drain.argv())
    drain.growth(proc)
    place.stop(proc)
    drain.check(hits)
    os.rename(drain.log, values)
    drain.clear()


def delivered(place, kafka, hits):
    """Nanoseconds a hit of the helper, between a tenth and nine tenths of the
    acknowledgements, and its CPU nanoseconds a hit."""
    kafka.topic("bench")
    drain = KafkaDrain(place, kafka, "bench", 8, 128 * MIB)
    drain.fill(hits)
    proc = place.start(drain.argv())
    seen = []
    while not seen or seen[-1][1] < hits:
        done = drain.done()
        if not seen or done != seen[-1][1]:
            seen.append((time.monotonic(), done))
        if time.monotonic() - seen[-1][0] > 60:
            raise RuntimeError("stuck at %d of %d" % (done, hits))
        time.sleep(0.2)     # who looks takes some of the same two CPUs
    cpu = cpu_ns(proc.pid) / hits
    place.stop(proc)
    if kafka.count("bench") != hits:
        raise RuntimeError("%d of %d in Kafka" % (kafka.count("bench"), hits))
    # attaching the ring is not delivery, nor is waiting for the last batch
    low = next(one for one in seen if one[1] >= hits / 10)
    high = next(one for one in seen if one[1] >= hits / 10 * 9)
    drain.clear()
    return 1e9 * (high[0] - low[0]) / max(high[1] - low[1], 1), cpu


def delivered_bare(place, kafka, hits, values):
    """The same of the bare loop with these values."""
    kafka.topic("bare")
    wall, cpu = map(float, run(
        [BARE, kafka.plain, "bare", values, *PROPERTIES]).split())
    return wall, cpu / hits


def rate_rows(place, kafka):
    """Each goes first in every other pair: who comes second has a broker that
    still deletes the other's topic."""
    pairs, hits = (3, 200000) if QUICK else (21, 800000)
    values = os.path.join(place.disk, "values")
    lines(place, hits, values)
    ours, bare = [], []
    for i in range(pairs + 1):
        if i % 2:
            bare.append(delivered_bare(place, kafka, hits, values))
        ours.append(delivered(place, kafka, hits))
        if not i % 2:
            bare.append(delivered_bare(place, kafka, hits, values))
    ours, bare = ours[1:], bare[1:]             # warms up
    ratios = [theirs[0] / own[0] for own, theirs in zip(ours, bare)]
    wall, cpu = (median(one) for one in zip(*ours))
    bare_wall, bare_cpu = (median(one) for one in zip(*bare))
    yield ("Kafka, delivered (acks=all)", "%.0f k hits/s" % (1e6 / wall), "",
           "ring -> Kafka, 8 lanes filled with %d hits, 4 partitions, the "
           "broker on the same CPUs; 10 to 90 %% of the acknowledgements; "
           "median of %d" % (hits, pairs))
    yield ("  of a bare librdkafka loop", "%.2f x" % median(ratios),
           ">= 0.9", "the same values, order, keys, headers, properties from "
           "memory, %.0f k/s; quartiles %s"
           % (1e6 / bare_wall, spread(ratios)))
    yield ("  CPU a hit, all threads", "%.0f ns" % cpu, "",
           "the bare loop: %.0f ns" % bare_cpu)


# ---- instructions of the sink

def sink_instructions(place, kafka, hits):
    """Of the sink's thread while it takes batches and while it flushes:
    producing, and what acknowledges.  librdkafka's own threads are not in
    it, nor is rendering."""
    kafka.topic("bench")
    drain = KafkaDrain(place, kafka, "bench", 2, 256 * MIB, log=True)
    drain.fill(hits)
    out = os.path.join(place.disk, "callgrind.out")
    argv = callgrind_argv(out, drain.argv())
    argv[2:2] = ["--toggle-collect=beacond_sink_kafka_" + op
                 for op in ("batch", "flush")]
    proc = place.start(argv)
    for name in ("log", "kafka"):
        until("all hits", lambda name=name: drain.books(name).get("done", 0)
              >= hits, 300, 0.05, proc)
    place.stop(proc, signal.SIGTERM, 60)
    drain.check(hits)
    return callgrind_total(out)


def instructions_rows(place, kafka):
    low, high = 20000, 60000 if QUICK else 120000
    each = ((sink_instructions(place, kafka, high)
             - sink_instructions(place, kafka, low)) / (high - low))
    yield ("Kafka, instructions a hit above log-only", "%.0f" % each,
           "<= 4,000", "callgrind, the sink's own thread in batch and flush "
           "(produce, acknowledge, checkpoint), %d less %d hits" % (high, low))


# ---- an outage

class Sampler(threading.Thread):
    """A process's own memory, as it goes."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.seen, self.done = pid, [], threading.Event()
        self.start()

    def run(self):
        while not self.done.wait(0.5):
            try:
                self.seen.append(own_bytes(self.pid))
            except OSError:
                return

    def end(self):
        self.done.set()
        self.join()
        return self.seen


def own_bytes(pid):
    """Resident memory that is not a mapped file: the ring is in no sink's
    account."""
    with open("/proc/%d/status" % pid) as f:
        return int(re.search(r"RssAnon:\s+(\d+)", f.read()).group(1)) * 1024


def outage_rows(place, kafka):
    """Down while hits come in, then up again while they still do."""
    kafka.topic("bench")
    drain = KafkaDrain(place, kafka, "bench", 2, 64 * MIB, log=True,
                       spool=True, brokers=kafka.proxied)
    proxy = kafka.proxies[0]
    seconds = 5 + OUTAGE + 10 + OUTAGE
    fill = drain.fill(int(seconds * RATE), "-r", str(RATE), "-w",
                      wait=False)
    proc = place.start(drain.argv())
    until("hits in Kafka", lambda: drain.done() > 4 * RATE, 30, proc=proc)
    before = max(own_bytes(proc.pid), 1)
    sampler = Sampler(proc.pid)
    proxy.refuse = True
    proxy.reset()
    time.sleep(OUTAGE)
    down = sampler.end()
    pending = drain.books()["pending"]
    if pending < 0.8 * OUTAGE * RATE:
        raise RuntimeError("only %d pending after the outage" % pending)
    proxy.heal()
    done = drain.done()
    until("the first after the outage", lambda: drain.done() > done + 1000,
          60, 0.02, proc)
    start, done = time.monotonic(), drain.done()
    until("caught up", lambda: drain.books().get("pending", RATE) < RATE // 2,
          10 * OUTAGE, 0.05, proc)
    rate = (drain.done() - done) / (time.monotonic() - start)
    loading = fill.poll() is None
    peak = own_bytes(proc.pid)
    place.stop(fill)
    fill.stdout.close()
    lost = drain.books()["lost"]
    place.stop(proc)
    yield ("Kafka, catching up after %.0f s of outage" % OUTAGE,
           "%.1f x" % (rate / RATE), ">= 2 x the ingest",
           "%.0f k hits/s delivered while %d/s come in%s; lost: %d"
           % (rate / 1000, RATE, "" if loading else " (at first)", lost))
    tenth = down[len(down) // 10]
    yield ("  helper memory at the outage's end",
           "%.1f MiB" % (down[-1] / MIB), "flat",
           "RssAnon; before %.1f, a tenth into it %.1f, highest %.1f, caught "
           "up %.1f; BENCH_OUTAGE=600 for ten minutes" % (
               before / MIB, tenth / MIB, max(down) / MIB, peak / MIB))


def p99_rows(place, kafka):
    """A worker's latencies with the broker stopped, interleaved with it
    running."""
    rate, pairs = 5000, 3 if QUICK else 9
    kafka.topic("bench")
    system = System(place, lane="64m", http="beacon_kafka brokers=%s "
                    "topic=bench; beacon_spool %s/spool;" % (
                        kafka.plain, place.disk))
    node = kafka.nodes[0]

    def pending():
        return system.status()["sinks"]["kafka"]["pending"]

    up, down = [], []
    system.answer(system.load("/px.gif", r=rate, t=3, c=16))
    for _ in range(pairs):
        until("all in Kafka", lambda: pending() < rate // 10, 60, 0.05)
        up.append(system.answer(system.load("/px.gif", r=rate, t=3, c=16)))
        node.pause()
        system.answer(system.load("/px.gif", r=rate, t=6, c=16))
        down.append(system.answer(system.load("/px.gif", r=rate, t=3, c=16)))
        node.go_on()
    until("all in Kafka", lambda: pending() == 0, 120, 0.05)
    sink = system.status()["sinks"]["kafka"]
    system.stop()
    ratios = [d["p99_us"] / u["p99_us"] for d, u in zip(down, up)]
    yield ("Kafka, worker p99 in an outage",
           "%.2f x" % median(ratios), "<= 1.2 x",
           "broker stopped for 6 s before, %d/s open-loop, 3 s each, median "
           "of %d pairs: %.0f us, before %.0f us; quartiles %s; lost: %d"
           % (rate, pairs, median([d["p99_us"] for d in down]),
              median([u["p99_us"] for u in up]), spread(ratios),
              sink["lost"]))


# ---- against rsyslog

RSYSLOG = """
global(workDirectory="%(dir)s" maxMessageSize="64k")
module(load="imfile" mode="inotify")
module(load="omkafka")
template(name="raw" type="string" string="%%msg%%")
input(type="imfile" File="%(log)s" Tag="hits" Ruleset="kafka"
      persistStateInterval="1000" reopenOnTruncate="off" addMetadata="off")
ruleset(name="kafka") {
    action(type="omkafka" topic="rsyslog" broker="%(brokers)s"
           template="raw" resubmitOnFailure="on" keepFailedMessages="on"
           failedMsgFile="%(dir)s/failed"
           confParam=["compression.codec=lz4", "acks=all",
                      "enable.idempotence=true", "linger.ms=100",
                      "queue.buffering.max.messages=100000"]
           action.resumeRetryCount="-1" action.resumeInterval="1"
           queue.type="LinkedList" queue.filename="hits"
           queue.size="100000" queue.dequeueBatchSize="1024"
           queue.maxDiskSpace="10g" queue.saveOnShutdown="on")
}
"""


def rsyslog(place, kafka, log):
    if not (os.path.exists("/usr/sbin/rsyslogd") and glob.glob(
            "/usr/lib/*/rsyslog/omkafka.so")):
        raise Missing("rsyslog and rsyslog-kafka are not installed")
    directory = os.path.join(place.disk, "rsyslog")
    os.mkdir(directory)
    conf = os.path.join(directory, "rsyslog.conf")
    with open(conf, "w") as f:
        f.write(RSYSLOG % {"dir": directory, "log": log,
                           "brokers": kafka.plain})
    return place.start(["/usr/sbin/rsyslogd", "-n", "-f", conf, "-i",
                        os.path.join(directory, "pid")])


def rsyslog_rows(place, kafka):
    rate, seconds = 15000, 2 if QUICK else 4
    rounds = 3 if QUICK else 9
    for topic in ("bench", "rsyslog"):
        kafka.topic(topic)
    system = System(place, lane="64m", http="beacon_kafka brokers=%s "
                    "topic=bench;" % kafka.plain)
    log = os.path.join(place.disk, "access.log")
    syslog = rsyslog(place, kafka, log)

    def one(path, topic, pid):
        """CPU nanoseconds a hit, until the last one is in Kafka."""
        count = kafka.count(topic)
        before = cpu_ns(pid)
        done = system.answer(system.load(path, n=rate * seconds, r=rate,
                                         c=16))
        until("all in Kafka (%s)" % topic, lambda: kafka.count(topic) - count
              >= done["ok"], 60, 0.1)
        time.sleep(0.2)
        return (cpu_ns(pid) - before) / done["ok"]

    ours, theirs = [], []
    for i in range(rounds + 1):
        pair = (one("/px.gif", "bench", system.helper()),
                one("/log.gif", "rsyslog", syslog.pid))
        if i > 0:                       # warms up
            ours.append(pair[0])
            theirs.append(pair[1])
    ratios = [a / b for a, b in zip(ours, theirs)]
    place.stop(syslog)
    system.stop()
    yield ("Kafka, helper CPU a hit, log and Kafka",
           "%.1f us" % (median(ours) / 1000), "",
           "schedstat, all threads, %d/s, %d rounds; quartiles %s"
           % (rate, rounds, spread([n / 1000 for n in ours])))
    yield ("  of rsyslog's, access_log to Kafka alone",
           "%.2f x" % median(ratios), "<= 0.5 x",
           "imfile, omkafka, disk-assisted queue, resubmit: %.1f us; "
           "quartiles %s" % (median(theirs) / 1000, spread(ratios)))


def rows(place):
    need(BEACOND, FILL, BARE, BOOKS, LOAD)
    kafka = Broker(place)
    try:
        only = os.environ.get("BENCH_KAFKA", "")
        for part in (rate_rows, instructions_rows, outage_rows, p99_rows,
                     rsyslog_rows):
            if only and only not in part.__name__:
                continue
            yield from part(place, kafka)
            for name in ("spool", "log"):
                shutil.rmtree(os.path.join(place.disk, name), True)
    finally:
        kafka.stop()
