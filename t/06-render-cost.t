#!/usr/bin/python3
"""What a hostile query can cost, in instructions: counted, never timed, so
that it is the same on every run.  By each variant, one 16 KiB query may take
so many times what a normal hit takes: those that are known to be bad, and some
made up from what is hard to decode."""

import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402

TIMES = 200
NORMAL = {'avx2': 3000, 'sse2': 4000}       # a hit; others: no limit
MADE_UP = count(100, 3000)

BENCH = os.path.join(BUILD, 'bench', 'render')
if shutil.which('valgrind') is None:
    skip_all('there is no valgrind')
if os.path.basename(BUILD) != 'build':
    skip_all('sanitizers cost instructions of their own')


def costs(*args):
    """{name: instructions a hit}, in the order of the runs."""
    with tempfile.TemporaryDirectory(prefix='beacon-test.') as work:
        out = os.path.join(work, 'out')
        done = subprocess.run(
            ['valgrind', '--tool=callgrind', '--toggle-collect=beacon_render',
             '--dump-after=bench_one*', '--callgrind-out-file=' + out,
             BENCH] + list(args), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        text = done.stdout.decode()
        if done.returncode != 0:
            diag(text[-3000:])
        result = {}
        for i, run in enumerate(re.findall(r'^(\w+) \w+ ns=.* hits=(\d+)$',
                                           text, re.M)):
            with open('%s.%d' % (out, i + 1)) as file:
                total = re.search(r'^totals: (\d+)', file.read(), re.M)
            result[run[0]] = int(total[1]) / int(run[1])
        return result


def bounded(taken, normal, name):
    worst = max(taken, key=taken.get)
    times = taken[worst] / normal
    if not ok(times <= TIMES, name):
        diag('%s takes %d instructions, %.0f times a normal hit\'s %d'
             % (worst, taken[worst], times, normal))
    return '%s: %s %.0f times' % (name, worst[:40], times)


# What valgrind's CPU lacks is not run: the tool then ends with a complaint.
for variant in ('avx2', 'sse2', 'portable'):
    kinds = costs('all', variant)
    if not kinds:
        skip('no variant "%s" here' % variant, 2)
        continue
    normal = kinds.pop('normal')
    ok(normal <= NORMAL.get(variant, normal),
       '%s: a normal hit takes %d instructions' % (variant, normal))
    diag(bounded(kinds, normal, variant + ': no bad query is too expensive'))
    if variant == 'avx2':
        diag(bounded(costs('random', variant, '20261121', str(MADE_UP)),
                     normal, variant + ': nor one that is made up'))

done_testing()
