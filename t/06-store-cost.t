#!/usr/bin/python3
"""What a hit costs the live store's writer, in instructions: counted, never
timed, so never depends on what else the machine does."""

import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402

# A hit of a busy site and 20 others, with AVX2; the goal is 1,200.
MOST = 1500
HITS = 65536

BENCH = os.path.join(BUILD, 'bench', 'live')
if shutil.which('valgrind') is None:
    skip_all('there is no valgrind')
if os.path.basename(BUILD) != 'build':
    skip_all('sanitizers cost instructions of their own')
with open('/proc/cpuinfo') as cpuinfo:
    if not re.search(r'\bavx2\b', cpuinfo.read()):
        skip_all('there is no AVX2')

shm = '/dev/shm' if os.access('/dev/shm', os.W_OK) else None
with tempfile.TemporaryDirectory(prefix='beacon-test.', dir=shm) as store, \
        tempfile.TemporaryDirectory(prefix='beacon-test.') as work:
    out = os.path.join(work, 'out')
    done = subprocess.run(
        ['valgrind', '--tool=callgrind', '--toggle-collect=bench_puts',
         '--callgrind-out-file=' + out, BENCH, 'put', str(HITS), store],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, check=False)
    text = done.stdout.decode()
    hits = re.search(r'^hits=(\d+)', text, re.M)
    if not ok(done.returncode == 0 and hits, 'the store takes %d hits' % HITS):
        diag(text[-3000:])
        done_testing()
        sys.exit()
    with open(out) as file:
        total = re.search(r'^(?:totals|summary): (\d+)', file.read(), re.M)

cost = int(total[1]) / int(hits[1])
ok(cost <= MOST, 'a hit takes %d instructions, at most %d' % (cost, MOST))
done_testing()
