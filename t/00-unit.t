#!/usr/bin/python3
"""Runs the C unit tests, build/unit/*_test, as one file."""

import glob
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402

for path in sorted(glob.glob(os.path.join(BUILD, 'unit', '*_test'))):
    name = os.path.basename(path)[:-len('_test')]
    done = tool(os.path.join('unit', os.path.basename(path)), check=False,
                timeout=300, errors='replace')
    passed = failed = 0
    planned = None
    for line in done.stdout.splitlines():
        result = re.match(r'(not )?ok \d+(?: -)? ?(.*)', line)
        plan = re.match(r'1\.\.(\d+)', line)
        if result and result.group(2).startswith('# SKIP'):
            skip('%s: %s' % (name, result.group(2)[7:]))
            passed += 1
        elif result:
            ok(not result.group(1), '%s: %s' % (name, result.group(2)))
            failed += bool(result.group(1))
            passed += not result.group(1)
        elif plan:
            planned = int(plan.group(1))
        elif line:
            print('# %s' % line)        # seen with prove -v
    if failed:
        diag(done.stdout[-6000:])
    if not ok(planned == passed + failed
              and done.returncode == (1 if failed else 0),
              '%s: the test runs to its end' % name):
        diag('%d tests of %s, exit code %d' % (passed + failed, planned,
                                               done.returncode))

done_testing()
