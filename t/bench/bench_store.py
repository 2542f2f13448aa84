"""The live store: what a hit costs its writer, what hits and aggregates cost a
reader, and whether that depends on what is stored."""

import os
import re

from bench_core import toggled
from bench_util import QUICK, TOOLS, need, run

LIVE = os.path.join(TOOLS, "live")


def emptied(place):
    """A store's directory, for another one."""
    path = os.path.join(place.shm, "live")
    os.makedirs(path, exist_ok=True)
    for name in os.listdir(path):
        os.unlink(os.path.join(path, name))
    return path


def counted(place, function, *args):
    """Instructions for each of what the tool counts, and what it said."""
    total, text = toggled(place, function, [LIVE, *map(str, args)])
    return total / int(re.search(r"^\w+=(\d+)", text, re.M).group(1)), text


def rows(place):
    need(LIVE)
    where = emptied(place)
    hits = 8192 if QUICK else 65536
    count, _ = counted(place, "bench_puts", "put", hits, where)
    ns = re.search(r"\bns=(\d+)",
                   run([LIVE, "put", "200000", emptied(place)]))
    yield ("live store, write", "%s ns, %.0f instr" % (ns.group(1), count),
           "<= 1,200", "a hit of a busy site and 20 others, with its line's "
           "parts and all that is counted; callgrind")

    stored = 100000 if QUICK else 1000000
    least = None
    for hits, sites in ((10, 1), (stored, 1), (100000, 10000),
                        (stored, 10000)):
        where = emptied(place)
        run([LIVE, "fill", str(hits), str(sites), "2048", where])
        count, _ = counted(place, "bench_scans", "scan", 200, where)
        ns = re.search(r"\bns=(\d+)", run([LIVE, "scan", "20000", where]))
        least = least or count
        yield ("  10 new hits of %s of %d" % (
                   "{:,}".format(hits), sites),
               "%s ns, %.0f instr" % (ns.group(1), count),
               "+-10 %", "found by name, scanned from a cursor; %+.1f %%"
               % (100 * (count / least - 1)))

    for hits, visitors, mib in ((15360, 15360, 128),
                                (stored, stored // 10, 1280)):
        where = emptied(place)
        run([LIVE, "full", str(hits), str(visitors), str(mib), where])
        for window in (300, 3600):
            count, _ = counted(place, "bench_nows", "now", window, 20, where)
            text = run([LIVE, "now", str(window), "2000", where])
            ns = int(re.search(r"\bns=(\d+)", text).group(1))
            yield ("  now, %d s, of %s hits by %s visitors" % (
                       window, "{:,}".format(hits), "{:,}".format(visitors)),
                   "%.0f us, %.0f instr" % (ns / 1000, count), "<= 200 us",
                   "and four top lists of ten, of full lists of keys")
    emptied(place)
