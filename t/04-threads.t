#!/usr/bin/python3
"""The unit tests that start threads, under ThreadSanitizer: across processes
it would be blind, but ring and batches are libraries."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402

if os.path.basename(BUILD) != 'build':
    skip_all('the tests have this sanitizer of their own')

names = []
for name in sorted(os.listdir(os.path.join(TOP, 't', 'unit'))):
    with open(os.path.join(TOP, 't', 'unit', name), encoding='utf-8') as file:
        if name.endswith('_test.c') and 'pthread_create' in file.read():
            names.append(name[:-len('.c')])
if not names:
    skip_all('no unit test starts threads')

for name in names:
    done = tool(os.path.join('thread', 'unit', name), check=False,
                timeout=300, errors='replace',
                env={**os.environ, 'TSAN_OPTIONS': 'halt_on_error=1'})
    if not ok(done.returncode == 0 and 'ThreadSanitizer' not in done.stdout,
              '%s has no race' % name[:-len('_test')]):
        diag(done.stdout[-6000:])

done_testing()
