#!/usr/bin/python3
"""Clocks that step: the helper's, nginx's, a year back, an hour on.  Ids stay
in order, nothing is lost, nothing stalls."""

import atexit
import glob
import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_fault import Trial, external        # noqa: E402

if os.path.basename(BUILD) != 'build':
    skip_all('faketime and the sanitizers wait for each other at start')

seed()

LIBRARY = next((path for path in (
    '/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1',
    '/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1')
    if os.path.exists(path)), None)
if not LIBRARY:
    skip_all('faketime is not installed')


def traces():
    """What the library keeps on tmpfs, and leaves where it is killed."""
    return set(glob.glob('/dev/shm/*faketime_s??_*'))


def sweep(before):
    for name in traces() - before:
        os.unlink(name)


atexit.register(sweep, traces())


class Clock:
    """A file that says how far off the clocks of its users are."""

    def __init__(self, env):
        self.path = os.path.join(env.root, 'clock')
        self.step('+0')

    def step(self, offset):
        with open(self.path + '.new', 'w', encoding='ascii') as file:
            file.write(offset + '\n')
        os.chmod(self.path + '.new', 0o644)
        os.rename(self.path + '.new', self.path)

    def environ(self):
        return {'LD_PRELOAD': LIBRARY, 'FAKETIME_NO_CACHE': '1',
                'FAKETIME_TIMESTAMP_FILE': self.path,
                'FAKETIME_DONT_FAKE_MONOTONIC': '1',
                'DONT_FAKE_MONOTONIC': '1'}


STEPS = ('-365d', '+0', '+1h', '-2h')

# ---- the helper's clock

trial = Trial(helper='external', load={'rate': 1500})
env = trial.env
clock = Clock(env)
env.start(ready=False)
os.environ.update(clock.environ())
child = external(env)
for name in clock.environ():
    del os.environ[name]
ok(wait_until(env.helper_pid), 'the helper starts with a clock of its own')
trial.begin()
stalled = []
for step in STEPS:
    trial.progress(20)
    clock.step(step)
    if not trial.progress(200):
        stalled.append(step)
is_(stalled, [], "the helper drains on whatever its clock does")
ok(child.poll() is None, 'the helper lives')
trial.finish("the helper's clock steps", failed=0)
child.terminate()
child.wait()
env.finish()

# ---- nginx's clock (and the helper's with it)

trial = Trial(main=''.join('env %s;\n' % name for name in (
    'LD_PRELOAD', 'FAKETIME_NO_CACHE', 'FAKETIME_TIMESTAMP_FILE',
    'FAKETIME_DONT_FAKE_MONOTONIC', 'DONT_FAKE_MONOTONIC')),
    load={'rate': 1500})
env = trial.env
clock = Clock(env)
os.environ.update(clock.environ())
env.start()
for name in clock.environ():
    del os.environ[name]
trial.begin()
stalled = []
for step in STEPS:
    trial.progress(20)
    clock.step(step)
    if not trial.progress(200):
        stalled.append(step)
is_(stalled, [], 'hits reach the log whatever the clock does')
trial.finish('the clock steps', failed=0)
years = {line['time'][:4] for line in env.lines()}
ok(len(years) > 1, 'the hits do tell of two years')

done_testing()
