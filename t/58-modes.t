#!/usr/bin/python3
"""Nobody but the worker user and his group may read what visitors sent, nor
what the configuration says: files of ring, spool and log, whatever the umask
is."""

import os
import stat
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_kafka import Cluster                # noqa: E402
from beacon_kafka_fault import settles          # noqa: E402
from beacon_rig import Rig                      # noqa: E402

kafka = Cluster().start()
os.umask(0)


def below(*tops):
    """Everything in these directories: path and mode."""
    found = {}
    for top in tops:
        for where, dirs, files in os.walk(top):
            for name in dirs + files:
                path = os.path.join(where, name)
                try:
                    found[os.path.relpath(path, os.path.dirname(top))] = \
                        os.lstat(path).st_mode
                except FileNotFoundError:       # a temporary file
                    pass
    return found


def closed(found, what):
    """One test: to all others, and to be written by the group."""
    is_(sorted('%s %o' % (path, stat.S_IMODE(mode))
               for path, mode in found.items() if mode & 0o027), [], what)


def has(found, names, what):
    """One test: files of these beginnings are among them, with a mode."""
    is_([(name, oct(mode)) for name, mode in names
         if not any(path.startswith(name) and stat.S_IMODE(one) == mode
                    for path, one in found.items())], [], what)


# ---- nginx and its helper

env = Env(http='beacon_live size=8m;', workers=1)
env.start()
is_(stat.S_IMODE(os.stat(env.ring).st_mode), 0o700, "the ring's directory")
is_(stat.S_IMODE(os.stat(env.spool).st_mode), 0o700, "the spool's")
is_(env.get('/px.gif?site=shop&n=1').status, 200, 'a hit is taken')
ok(env.wait_drained(), 'and drained')
os.rename(env.log, env.log + '.away')
is_(env.get('/px.gif?site=shop&n=2').status, 200, 'another, without a log')
ok(wait_until(lambda: {'journal', 'cursors', 'schemas', 'log'}
              <= {name.split('.')[0] for name in os.listdir(env.spool)}, 30),
   'is spooled')
found = below(env.ring, env.spool)
closed(found, 'nothing of ring and spool is for others')
has(found, [('ring/' + name, 0o600) for name in (
    'beacon.json', 'beacond.lock', 'beacond.spool', 'counters', 'live.',
    'log.checkpoint', 'ring.')] + [('ring/beacond.sock', 0o600)],
    "the ring's files are the worker user's alone")
has(found, [('spool/' + name, 0o600) for name in (
    'cursors.json', 'journal.', 'log.checkpoint')],
    'so are segments, cursors and the copy of a checkpoint')
os.rename(env.log + '.away', env.log)
ok(env.wait_drained(), 'the log is back')
has(below(env.log), [('log/shop.jsonl', 0o640)], 'its group may read it')
env.finish()

# ---- parked hits and dead letters

kafka.create('dead', max__message__bytes=1000)
for topic, size, waits in (('parked', 100, {'parked_hits': 50}),
                           ('dead', 3000, {'dead_letters': 50})):
    rig = Rig(spool=True)
    rig.sinks = [{'type': 'kafka', 'name': 'kafka', 'at': 'test:5',
                  'brokers': kafka.plain, 'topic': topic,
                  'key': '$beacon_arg_n', 'properties': [
                      {'name': 'compression.codec', 'value': 'none',
                       'at': 'test:6'}]}]
    rig.start()
    rig.push(50, size=size)
    ok(settles(rig, pending=50, lost=0, **waits), 'hits wait, %s' % topic)
    closed(below(rig.spool), 'nothing of theirs is for others')
    has(below(rig.spool), [('spool/kafka.' + topic, 0o750 if topic == 'parked'
                            else 0o640)], 'they are there')
    has(below(rig.ring), [('ring/kafka.checkpoint', 0o600)],
        'nor is the checkpoint')
    is_(rig.stop(), 0, 'the helper ends well')
    rig.remove()

done_testing()
