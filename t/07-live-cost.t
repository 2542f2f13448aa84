#!/usr/bin/python3
"""What readers of the live store cost, in instructions: counted, never timed.
Ten new hits cost the same whatever is stored; "now" with full lists of keys
stays below what 200 us are worth, whatever is stored."""

import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402

LIVE = os.path.join(BUILD, 'bench', 'live')
MIB = 1 << 20

# 200 us, at three instructions a nanosecond.
NOW = 600000

if shutil.which('valgrind') is None:
    skip_all('there is no valgrind')
if os.path.basename(BUILD) != 'build':
    skip_all('sanitizers cost instructions of their own')

LARGE = count((300000, 30000, 256), (1000000, 100000, 1280))
space = os.statvfs('/dev/shm')
if space.f_bavail * space.f_frsize < 2 * LARGE[2] * MIB:
    skip_all('/dev/shm has no room for %d MB' % (2 * LARGE[2]))


def made(where, *args):
    for name in os.listdir(where):
        os.unlink(os.path.join(where, name))
    subprocess.run([LIVE, *map(str, args), where], check=True)


def costs(where, function, *args):
    """Instructions of each of what the tool counts; how many hits it found
    there."""
    with tempfile.NamedTemporaryFile(prefix='beacon-test.') as out:
        done = subprocess.run(
            ['valgrind', '--tool=callgrind', '--toggle-collect=' + function,
             '--callgrind-out-file=' + out.name, LIVE, *map(str, args), where],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, check=False, text=True)
        if done.returncode != 0:
            diag(done.stdout[-3000:])
        total = re.search(r'^totals: (\d+)', out.read().decode(), re.M)
    rounds = re.search(r'^\w+=(\d+)', done.stdout, re.M)
    stored = re.search(r'stored=(\d+)', done.stdout)
    return int(total[1]) / int(rounds[1]), int(stored[1])


with tempfile.TemporaryDirectory(prefix='beacon-test.', dir='/dev/shm') as dir_:
    Env.guard.add(dir_)

    made(dir_, 'fill', 10, 1, 64)
    least, _ = costs(dir_, 'bench_scans', 'scan', 100)
    for hits, sites, mib in ((LARGE[0], 1, LARGE[2]),
                             (LARGE[0], 5000, LARGE[2])):
        made(dir_, 'fill', hits, sites, mib)
        n, stored = costs(dir_, 'bench_scans', 'scan', 100)
        diag('ten of %d hits of %d sites: %d instructions, %d of ten'
             % (hits, sites, n, least))
        ok(abs(n / least - 1) < 0.1 and stored > 10,
           'ten new hits cost the same with %d stored, %d sites'
           % (hits, sites))

    for hits, visitors, mib in ((15360, 1000, 64), LARGE):
        made(dir_, 'full', hits, visitors, mib)
        for window in (10, 300, 3600):
            n, stored = costs(dir_, 'bench_nows', 'now', window, 10)
            diag('now, %d s, of %d hits by %d visitors: %d instructions'
                 % (window, hits, visitors, n))
            ok(n < NOW and stored > hits * 0.3,
               'now of %d s is bounded, with %d hits by %d visitors'
               % (window, hits, visitors))

done_testing()
