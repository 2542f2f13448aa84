#!/usr/bin/python3
"""What a hostile query can cost, in instructions: counted, never timed, so
never depends on what else the machine does.  By each variant, one 16 KiB query
may take so many times what a normal hit takes: those that are known to be bad,
some made up from what is hard to decode, and what the worst of these can be
made into."""

import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402

# A normal hit; how many times that the worst query may take.
NORMAL = {'avx2': 2960, 'sse2': 3930, 'portable': 7930}
TIMES = {'avx2': 150, 'sse2': 160, 'portable': 150}

# What queries are made up of: all that a decoder has a branch for.
PIECES = [b'a', b'%', b'%4', b'%z', b'%41', b'%01', b'%22', b'%ff', b'%ce',
          b'%e1', b'%ed', b'%f0', b'%f4', b'%80', b'%90', b'%a0', b'"', b'\x01',
          b'\0', b'\n', b'+', b'=', b'\x7f', b'\x80', b'\x90', b'\xa4', b'\xce',
          b'\xe0', b'\xe1', b'\xed', b'\xf0', b'\xf4', b'\xff', b'\xce\xa4',
          b'\xf0\x90', b'\xf0\x90\x80', b'&', b'a' * 9, b'a' * 36]
MADE_UP = count(200, 2000)
ROUNDS = count(4, 100)          # in which the worst of them are varied
VARIED = 60
KEPT = 15
UNIT = 250                      # bytes of one; the tool takes 256

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


def made_up():
    """A few pieces, or many, that a query repeats."""
    return random.choices(PIECES, k=random.randint(1, random.choice([6, 60])))


def varied(pieces):
    pieces = list(pieces)
    for _ in range(random.randint(1, 3)):
        at = random.randrange(len(pieces))
        pieces[at:at + random.randrange(2)] = random.choices(
            PIECES, k=random.randrange(3))
        pieces = pieces or made_up()
    return pieces


def climbed(variant):
    """{unit in hex: instructions}: made-up ones, and what the worst of them
    can be made into."""
    taken = {}
    units = {}
    new = [made_up() for _ in range(MADE_UP)]
    for _ in range(ROUNDS + 1):
        new = {b''.join(pieces)[:UNIT].hex(): pieces for pieces in new}
        new = {unit: new[unit] for unit in new if unit not in taken}
        taken.update(costs('units', variant, *new))
        units.update(new)
        worst = sorted(taken, key=taken.get)[-KEPT:]
        new = [varied(units[random.choice(worst)]) for _ in range(VARIED)]
    tally('made-up queries', len(taken))
    return taken


def bounded(variant, taken, normal, name):
    worst = max(taken, key=taken.get)
    times = taken[worst] / normal
    ok(times <= TIMES[variant], '%s: %s' % (variant, name))
    diag('%s takes %d instructions, %.0f times a normal hit\'s %d'
         % (worst, taken[worst], times, normal))


# What valgrind's CPU lacks is not run: the tool then ends with a complaint.
seed()
for variant in NORMAL:
    kinds = costs('all', variant)
    if not kinds:
        skip('no variant "%s" here' % variant, 3)
        continue
    normal = kinds.pop('normal')
    ok(normal <= NORMAL[variant],
       '%s: a normal hit takes %d instructions' % (variant, normal))
    bounded(variant, kinds, normal, 'no bad query is too expensive')
    bounded(variant, climbed(variant), normal, 'nor one that is made up')

done_testing()
