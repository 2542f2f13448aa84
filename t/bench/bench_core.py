"""The library's two hot paths, by the tools that know them: push and
render."""

import os
import re

from bench_util import (QUICK, TOOLS, callgrind_argv, callgrind_total, need,
                        run)

PUSH = os.path.join(TOOLS, "push")
RENDER = os.path.join(TOOLS, "render")


def toggled(place, function, argv):
    """A tool under callgrind, counting inside function: (instructions, what
    the tool printed)."""
    out = os.path.join(place.disk, "callgrind.out")
    full = callgrind_argv(out, argv)
    full.insert(2, "--toggle-collect=" + function)
    text = run(full)
    return callgrind_total(out), text


def push_rows(place):
    need(PUSH)
    rounds = "2001" if QUICK else "20001"
    found = re.findall(r"^(\S+): push ([\d.]+) ns, pop ([\d.]+) ns",
                       run([PUSH, place.shm, rounds]), re.M)
    for i, (variant, push, pop) in enumerate(found):
        counts = []
        for what in ("push", "pop"):
            total, text = toggled(place, "beacon_bench_%s*" % what,
                                  [PUSH, place.shm, "400", variant])
            counts.append(total / int(re.search(r"pushes=(\d+)",
                                                text).group(1)))
        yield ("ring push of 500 bytes, CRC by %s" % variant,
               "%s ns, %.0f instr" % (push, counts[0]),
               "<= 35 ns, <= 400" if i == 0 else "",
               "reserve, copy, commit; median of %s rounds; callgrind"
               % rounds if i == 0 else "the same, another CPU's way")
        yield ("  read and check", "%s ns, %.0f instr" % (pop, counts[1]),
               "", "")


def rendered(kind, variant, rounds):
    """(ns, bytes a line); None: this CPU has no such variant."""
    try:
        text = run([RENDER, kind, variant, str(rounds)])
    except RuntimeError:
        return None
    return tuple(float(re.search(name + r"=([\d.]+)", text).group(1))
                 for name in ("ns", "line"))


def render_instructions(place, kind, variant):
    total, text = toggled(place, "beacon_render", [RENDER, kind, variant, "1"])
    return total / int(re.search(r"hits=(\d+)", text).group(1))


def render_rows(place):
    need(RENDER)
    rounds = 20 if QUICK else 200
    goals = {"avx2": "<= 180 ns, <= 2,700", "sse2": "<= 4,000"}
    normal = None
    for variant in ("avx2", "sse2", "portable"):
        took = rendered("normal", variant, rounds)
        if took is None:
            yield ("render, " + variant, "-", goals.get(variant, ""),
                   "not on this CPU")
            continue
        normal = normal or took[0]
        count = render_instructions(place, "normal", variant)
        yield ("render, " + variant, "%.0f ns, %.0f instr" % (took[0], count),
               goals.get(variant, ""),
               "4,096 different hits, lines of %.0f bytes; best of 5 x %d; "
               "callgrind" % (took[1], rounds))
    kinds = run([RENDER, "list"]).split()
    worst, kind = max((rendered(k, "auto", 40)[0], k) for k in kinds)
    yield ("  worst 16 KB query of %d kinds" % len(kinds),
           "%.0f x" % (worst / normal), "<= 100 x",
           "%s: %.1f us" % (kind, worst / 1000))
