#!/usr/bin/python3
"""The ring's model, checked by spin: every interleaving of two owners, a
helper and a reader of the tail, killed at any step.  And it is tried on four
mistakes, which it has to find."""

import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402

MODEL = os.path.join(TOP, 't', 'model', 'ring.pml')

BUGS = ('a tail read before the lane was locked',
        'a commit before the record is whole',
        'one commit slot instead of two',
        'space given back before it was read')

if os.path.basename(BUILD) != 'build':
    skip_all('a model has no sanitizers')
if not shutil.which('spin') or not shutil.which('cc'):
    skip_all('spin or cc is not installed')


def check(*defines):
    """pan's output for the model with these definitions."""
    with tempfile.TemporaryDirectory(prefix='beacon-test.') as work:
        subprocess.run(['spin', '-a', *defines, MODEL], cwd=work, check=True,
                       stdout=subprocess.DEVNULL)
        subprocess.run(['cc', '-O2', '-DSAFETY', '-DCOLLAPSE',
                        '-DMEMLIM=2000', '-o', 'pan', 'pan.c'], cwd=work,
                       check=True)
        return subprocess.run(['./pan', '-m100000'], cwd=work, text=True,
                              stdout=subprocess.PIPE, timeout=500).stdout


out = check('-DHITS=%d' % count(3, 4))
if not ok('errors: 0' in out and 'Search not completed' not in out,
          'commit, reclaim and claim keep their promises, whoever is killed'):
    diag(out)

for number, what in enumerate(BUGS, 1):
    out = check('-DBUG=%d' % number)
    if not ok('assertion violated' in out, 'the model finds %s' % what):
        diag(out)

done_testing()
