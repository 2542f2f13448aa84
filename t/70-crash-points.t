#!/usr/bin/python3
"""The helper kills itself at every point that beacond --points names, and its
successor goes on from there."""

import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_fault import (Trial, external, mount_tmpfs, need_root,
                          resize_tmpfs)         # noqa: E402

seed()
need_root('a small log disk')

# What has to happen for a point to be passed, where load alone does not.
REOPEN, RELOAD, STOP, SPOOL = 'reopen', 'reload', 'stop', 'spool'
NEEDS = {
    'adopt': RELOAD, 'adopted': RELOAD, 'reopen': REOPEN, 'stop': STOP,
    'drained': STOP,
}


def points():
    for line in tool('beacond', '--points').stdout.splitlines():
        name, _, where = line.partition('\t')
        yield name, where


def died(child):
    return wait_until(lambda: child.poll() is not None, 10)


def provoke(name, env, child):
    """Makes the helper pass the point; True once it is dead."""
    need = NEEDS.get(name)
    if need is None and ('spool' in name or 'journal' in name):
        need = SPOOL
    if need == REOPEN:
        child.send_signal(signal.SIGUSR1)
    elif need == RELOAD:
        env.reload()
        child.send_signal(signal.SIGHUP)
    elif need == STOP:
        child.send_signal(signal.SIGTERM)
    elif need == SPOOL:
        resize_tmpfs(env.log, '1m')
        if not wait_until(lambda: child.poll() is not None, 12):
            resize_tmpfs(env.log, '1g')         # or as it drains again
    return died(child)


trial = Trial(load={'rate': 2000}, helper='external',
              ring_options='lane_size=4m lanes=8', sample=False)
env = trial.env
mount_tmpfs(env, env.log, '1g')
env.start(ready=False)
child = external(env)
wait_until(env.helper_pid)
trial.begin()
trial.progress()

met = []
for name, where in points():
    child.terminate()
    child.wait()
    child = external(env, points=name)
    died_of = provoke(name, env, child)
    if died_of:
        is_(child.returncode, -signal.SIGKILL, 'the helper dies at "%s": %s'
            % (name, where))
        met.append(name)
    else:
        ok(False, 'the point "%s" is passed: %s' % (name, where))
        child.kill()
        child.wait()
    resize_tmpfs(env.log, '1g')
    child = external(env)
    ok(trial.progress(), 'its successor drains on after "%s"' % name)

tally('kills at a point', len(met))
ok(met, 'there are points')
trial.finish('killed at every point')
child.terminate()
child.wait()

done_testing()
