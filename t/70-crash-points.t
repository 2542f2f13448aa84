#!/usr/bin/python3
"""The helper kills itself at every point that beacond --points names, and its
successor goes on from there."""

import os
import signal
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_fault import (Trial, external, mount_tmpfs,
                          need_root)            # noqa: E402

seed()
need_root('a small log disk')

# What has to happen for a point to be passed, where load alone does not.
ROTATE, REOPEN, RELOAD, RETIRE, STOP, LEAVE, FULL = range(7)
NEEDS = (
    ('log.before_reopen', ROTATE), ('reopen', REOPEN),
    ('adopt', RELOAD), ('adopted', RELOAD),
    ('engine.before_retire', RETIRE), ('engine.after_retire', RETIRE),
    ('stop', STOP), ('drained', LEAVE),
    ('engine.behind', FULL), ('spool.', FULL),
)
lanes = 8


def points():
    for line in tool('beacond', '--points').stdout.splitlines():
        name, _, where = line.partition('\t')
        # t/54-sink-kafka-crash.t, t/70-crash-live.t and t/56-ring-bad-lane.t
        # have theirs
        if (not name.startswith(('kafka.', 'live.'))
                and not name.endswith('_aside')):
            yield name, where


def tell(env, text):
    """What a manager would say."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.connect(os.path.join(env.ring, 'beacond.sock'))
        generation = sock.recv(4096).split()[2].decode()
        sock.send(text.replace('GENERATION', generation).encode())


def has_file(env, child):
    """The helper has a log file open: what it recovers is done without."""
    status = env.status()
    return (status['helper']['pid'] == child.pid
            and any(sink.get('files') for sink in status['sinks'].values()))


def died(child, seconds=30):
    return wait_until(lambda: child.poll() is not None, seconds)


def fill(env):
    """No room is left where the log is."""
    with open(os.path.join(env.log, 'filler'), 'wb', 0) as file:
        try:
            while True:
                file.write(bytes(65536))
        except OSError:
            pass


def repair(env):
    if os.path.exists(os.path.join(env.log, 'filler')):
        os.unlink(os.path.join(env.log, 'filler'))


def provoke(name, env, child):
    """Makes the helper pass the point; True once it is dead."""
    global lanes
    need = next((need for point, need in NEEDS if name.startswith(point)),
                None)
    if need is not None:
        wait_until(lambda: env.helper_pid() == child.pid
                   or child.poll() is not None)
    if need == ROTATE:
        wait_until(lambda: has_file(env, child), 30)
        os.rename(os.path.join(env.log, 'load.jsonl'),
                  os.path.join(env.log, 'load.jsonl.%d' % lanes))
        lanes += 1
        child.send_signal(signal.SIGUSR1)
    elif need == RELOAD:
        env.reload(adopted=False)
    elif need == RETIRE:
        lanes += 1
        env.configure(ring_options='lane_size=512k lanes=%d' % lanes)
        env.reload(adopted=False)
    elif need == REOPEN:
        tell(env, 'REOPEN')
    elif need == STOP:
        tell(env, 'STOP 100 GENERATION')
    elif need == LEAVE:
        env.stop(helper=False)
        child.send_signal(signal.SIGTERM)
    elif need == FULL:
        fill(env)
        if not died(child, 6):
            repair(env)                 # or while it drains again
    return died(child)


trial = Trial(load={'rate': 2000}, helper='external',
              ring_options='lane_size=512k lanes=8', sample=False)
env = trial.env
if not mount_tmpfs(env, env.log, '256m'):
    skip_all('no mount here')
env.start(ready=False)
child = external(env)
wait_until(env.helper_pid)
trial.begin()
trial.progress()

met = []
for name, where in points():
    child.kill()
    child.wait()
    child = external(env, points=name)
    if provoke(name, env, child):
        is_(child.returncode, -signal.SIGKILL, 'the helper dies at "%s": %s'
            % (name, where))
        met.append(name)
    else:
        ok(False, 'the point "%s" is passed: %s' % (name, where))
        child.kill()
        child.wait()
    repair(env)
    if not env.master():
        env.start(ready=False)
        trial.more()
    child = external(env)
    ok(trial.progress(), 'its successor drains on after "%s"' % name)

tally('kills at a point', len(met))
ok(met, 'there are points')
trial.finish('killed at every point')
child.terminate()
child.wait()

done_testing()
