#!/usr/bin/python3
"""The live store's core under SIGKILL at every named point and anywhere, and
under flipped bits, with readers beside it: build/live_store says how."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402

number = seed() % 1000000


def results(what, *args):
    """What the tool says, as tests of this file."""
    done = tool('live_store', what, *args, number, check=False, timeout=800,
                errors='replace')
    planned, seen, failed = None, 0, 0
    for line in done.stdout.splitlines():
        result = re.match(r'(not )?ok \d+ - (.*)', line)
        plan = re.match(r'1\.\.(\d+)$', line)
        if result:
            ok(not result.group(1), result.group(2))
            seen += 1
            failed += bool(result.group(1))
        elif plan:
            planned = int(plan.group(1))
        elif line:
            print('# %s' % line)
    if failed:
        diag(done.stdout[-6000:])
    if not ok(planned == seen and done.returncode == (1 if failed else 0),
              '%s: it runs to its end' % what):
        diag('exit code %d: %s' % (done.returncode, done.stdout[-2000:]))


kills, anywhere = count(3, 50), count(40, 1000)
results('kill', kills, anywhere)
tally('live writer kills', 20 * kills + anywhere)
flips = count(100000, 1000000)
results('flip', flips)
tally('bits flipped in a live store', flips)

done_testing()
