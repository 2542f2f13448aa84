#!/usr/bin/python3
"""Each libFuzzer target, for FUZZ_SECONDS (a few, unless told).  What a
target starts from lies in t/fuzz/NAME/, if it wants anything."""

import glob
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402

seconds = int(os.environ.get('FUZZ_SECONDS', count(3, 60)))
sources = sorted(glob.glob(os.path.join(TOP, 't', 'fuzz', '*_fuzz.c')))
if os.path.basename(BUILD) != 'build':
    skip_all('the targets have sanitizers of their own')
if not sources:
    skip_all('there are no targets')

running = []
with tempfile.TemporaryDirectory(prefix='beacon-test.') as work:
    for source in sources:
        name = os.path.basename(source)[:-len('_fuzz.c')]
        corpus = os.path.join(work, name)
        os.mkdir(corpus)
        seeds = os.path.join(TOP, 't', 'fuzz', name)
        argv = [os.path.join(TOP, 'build', 'fuzz', name + '_fuzz'),
                '-max_total_time=%d' % seconds, '-timeout=10',
                '-rss_limit_mb=2048', '-print_final_stats=1',
                '-artifact_prefix=%s/' % work, corpus]
        if os.path.isdir(seeds):
            argv.append(seeds)
        # At most two at a time: files, because a pipe nobody reads fills.
        while sum(child.poll() is None for _, child, _ in running) >= 2:
            wait_until(lambda: sum(child.poll() is None
                                   for _, child, _ in running) < 2, 60)
        out = open(os.path.join(work, name + '.out'), 'w+b')
        running.append((name, subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=out, cwd=work,
            stderr=subprocess.STDOUT), out))

    for name, child, out in running:
        child.wait()
        out.seek(0)
        text = out.read().decode('latin-1')
        out.close()
        runs = [line.split()[-1] for line in text.splitlines()
                if 'stat::number_of_executed_units' in line]
        if not ok(child.returncode == 0 and runs and int(runs[0]) > 100,
                  '%s survives inputs made up for it' % name):
            diag(text[-6000:])
            for path in glob.glob(os.path.join(work, 'crash-*')):
                with open(path, 'rb') as file:
                    diag('%s: %r' % (os.path.basename(path),
                                     file.read(1000)))
        else:
            tally('fuzzed inputs', int(runs[0]))

done_testing()
