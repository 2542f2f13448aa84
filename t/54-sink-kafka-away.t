#!/usr/bin/python3
"""Parked hits and dead letters whose disk, or file, is not there: they are
waited for, or lost and counted, but never taken for delivered; and nobody else
is concerned."""

import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_kafka import Cluster                # noqa: E402
from beacon_kafka_fault import ends, settles    # noqa: E402
from beacon_rig import Rig           # noqa: E402

kafka = Cluster().start()
only = os.environ.get('ONLY', 'start gone letters file late reload running '
                      'begun').split()


def rig_of(prefix, log=True, spool=True, **options):
    rig = Rig(spool=spool, lane='16m', **options)
    rig.sinks = [
        {'type': 'log', 'name': 'log', 'at': 'test:1',
         'path': os.path.join(rig.logs, rig.path)},
        {'type': 'kafka', 'name': 'kafka', 'at': 'test:5',
         'brokers': kafka.plain, 'topic': prefix + '$beacon_site',
         'window': 400, 'key': '$beacon_arg_n', 'properties': [
             {'name': 'compression.codec', 'value': 'none', 'at': 'test:6'}]}]
    if not log:
        del rig.sinks[0]
    return rig


def parked(prefix):
    """A thousand hits are delivered, as many are parked."""
    kafka.create(prefix + 's1')
    rig = rig_of(prefix)
    rig.start()
    rig.push(2000, sites=2)
    ok(settles(rig, done=1000, parked_hits=1000, lost=0), 'hits are parked')
    return rig


def numbers(topic):
    return sorted(int(record.hit()['args']['n'])
                  for record in kafka.read(topic))


def ours(directory):
    return [name for name in os.listdir(directory)
            if name.startswith('kafka.')]


def away(rig):
    """The disk is not mounted: nothing of the sink's is in its place."""
    rig.disk = os.path.join(rig.top, 'disk')
    os.mkdir(rig.disk)
    for name in ours(rig.spool):
        os.rename(os.path.join(rig.spool, name), os.path.join(rig.disk, name))


def back(rig):
    """What was written meanwhile is beneath it."""
    beneath = rig.disk + '.beneath'
    os.mkdir(beneath)
    for name in ours(rig.spool):
        os.rename(os.path.join(rig.spool, name), os.path.join(beneath, name))
    for name in os.listdir(rig.disk):
        os.rename(os.path.join(rig.disk, name), os.path.join(rig.spool, name))


def waits(rig, text='are missing in'):
    """The sink says so in log and status."""
    return wait_until(
        lambda: text in rig.sink('kafka').get('last_error', '')
        and text in rig.error_text(), 30, 0.05)


def gone(rig):
    path = os.path.join(rig.ring, 'kafka.gone')
    with open(path, 'w', encoding='ascii'):
        pass
    return path


# ---- a start without the spool's disk

if 'start' in only:
    rig = parked('a-')
    rig.kill()
    away(rig)
    rig.start()
    rig.push(1000, sites=2)
    ok(waits(rig), 'a start without their disk: the sink waits, and says so')
    ok(rig.wait(), 'the log goes on')
    rig.once_a_minute('are missing in', 'once a minute')
    ok(rig.reload(), 'a reload is taken')
    is_(rig.stop(), 0, 'and a stop')
    told = rig.error_text().count('are missing in')
    rig.start()
    ok(wait_until(lambda: rig.error_text().count('are missing in') > told, 30),
       'the next helper waits as well')
    back(rig)
    ok(settles(rig, done=1500, parked_hits=1500, lost=0),
       'their disk is back: it goes on, and has lost nothing')
    kafka.create('a-s0')
    ok(settles(rig, done=3000, pending=0, lost=0), 'they are delivered')
    is_(numbers('a-s0'), list(range(0, 3000, 2)), 'all of them, once')
    is_(numbers('a-s1'), list(range(1, 3000, 2)), 'as are the others')
    rig.balance('the books balance')
    ends(rig)

# ---- somebody did throw it away

if 'gone' in only:
    rig = parked('b-')
    rig.kill()
    shutil.rmtree(rig.spool)
    os.mkdir(rig.spool)
    rig.start()
    ok(waits(rig), 'the spool is thrown away: the sink waits')
    like(rig.sink('kafka')['last_error'], 'kafka.gone', 'and tells the way on')
    path = gone(rig)
    ok(settles(rig, done=1000, parked_hits=0, lost=1000, pending=0),
       'told that they are gone, it counts them')
    ok(wait_until(lambda: not os.path.exists(path), 10),
       'which does not have to be said again, nor holds for the next')
    rig.push(2000, sites=2)
    ok(settles(rig, done=2000, parked_hits=1000, lost=1000),
       'others are parked in its place')
    kafka.create('b-s0')
    ok(settles(rig, done=3000, pending=0, lost=1000), 'and delivered')
    rig.balance('the books balance')
    ends(rig)

# ---- dead letters only; in the directory of a former configuration

if 'letters' in only:
    kafka.create('c-s0', max__message__bytes=1000)
    rig = rig_of('c-')
    rig.start()
    rig.push(10, size=3000)
    ok(settles(rig, dead_letters=10, pending=10, lost=0), 'letters wait')
    rig.kill()
    former, rig.spool = rig.spool, os.path.join(rig.top, 'spool-2')
    os.mkdir(rig.spool)
    os.rename(former, former + '.disk')
    rig.start()
    ok(waits(rig), 'another spool, and their disk away: the sink waits')
    like(rig.sink('kafka')['last_error'], former + ':', 'for the one they are '
         'in')
    os.rename(former + '.disk', former)
    ok(settles(rig, dead_letters=10, pending=10, lost=0), 'until it is there')
    rig.kill()
    for name in os.listdir(former):
        os.rename(os.path.join(former, name), os.path.join(rig.spool, name))
    os.rmdir(former)
    rig.start()
    rig.push(10)
    ok(settles(rig, dead_letters=10, done=10, lost=0),
       'moved to the new one they are found')
    ends(rig)

# ---- one file, while others are there

if 'file' in only:
    rig = rig_of('d-')
    rig.start()
    rig.push(2000, sites=2)
    ok(settles(rig, parked_hits=2000, lost=0), 'hits of two topics are parked')
    rig.kill()
    path = os.path.join(rig.spool, 'kafka.parked', 'd-s0')
    os.rename(path, os.path.join(rig.top, 'kept'))
    rig.start()
    ok(waits(rig), 'one file is missing: the sink waits')
    os.rename(os.path.join(rig.top, 'kept'), path)
    ok(settles(rig, parked_hits=2000, lost=0), 'it is back')
    for site in (0, 1):
        kafka.create('d-s%d' % site)
    ok(settles(rig, done=2000, pending=0, lost=0), 'all are delivered')
    is_(len(numbers('d-s0') + numbers('d-s1')), 2000, 'once')
    ends(rig)

# ---- a reboot, after which the disk comes later than the helper

if 'late' in only:
    rig = parked('g-')
    rig.kill()
    away(rig)
    os.unlink(os.path.join(rig.ring, 'kafka.checkpoint'))
    kafka.create('g-s0')
    rig.start()
    rig.push(1000, sites=2)
    ok(settles(rig, pending=0, lost=0),
       'no ring and no disk that knows of them: others go out')
    back(rig)
    is_(rig.stop(), 0, 'their disk comes, and the helper stops')
    rig.start()
    ok(wait_until(lambda: numbers('g-s0') == list(range(0, 3000, 2)), 60,
                  0.5), 'the next one finds them, and delivers each once')
    ok(wait_until(lambda: not os.listdir(os.path.join(rig.spool,
                                                      'kafka.parked')), 30),
       'the file goes')
    rig.kill()
    rig.start()
    rig.push(10, sites=2)
    ok(wait_until(lambda: len(numbers('g-s0')) >= 1505, 30, 0.5)
       and settles(rig, pending=0, parked_hits=0), 'nothing is left of it')
    is_(len(numbers('g-s0')), 1505, 'nor sent again')
    ends(rig)

# ---- a reload while their disk stands still

if 'reload' in only:
    kafka.create('h-s1')
    rig = rig_of('h-')
    disk = rig.fault_spool()
    if disk is None:
        skip('no FUSE here', 5)
    else:
        rig.start()
        rig.push(2000, sites=2)
        ok(settles(rig, done=1000, parked_hits=1000, lost=0),
           'hits are parked')
        disk.freeze()
        rig.push(200, sites=2)          # a write that does not come back
        ok(rig.wait(), 'the disk freezes; the log goes on')
        rig.sinks[1]['window'] = 300
        ok(rig.reload(), 'a reload is taken')
        rig.push(200, sites=2)
        ok(rig.wait(), 'the log goes on')
        disk.freeze(False)
        kafka.create('h-s0')
        ok(settles(rig, done=2400, pending=0, lost=0),
           'it thaws, and the topic is there: all are done')
        is_(sorted(set(numbers('h-s0') + numbers('h-s1'))),
            list(range(2400)), 'all have arrived')
    ends(rig)

# ---- while the helper runs

if 'running' in only:
    rig = parked('e-')
    os.unlink(os.path.join(rig.spool, 'kafka.parked', 'e-s0'))
    ok(settles(rig, seconds=60, done=1000, parked_hits=0, lost=1000),
       'somebody removes the file: they are lost, and counted')
    rig.says('1000 parked hits of topic "e-s0" are lost', 'which is told')
    rig.push(2000, sites=2)
    ok(settles(rig, done=2000, parked_hits=1000, lost=1000),
       'the topic is parked again, the other goes on')
    away(rig)
    kafka.create('e-s0')
    ok(wait_until(lambda: 'No such device' in rig.sink('kafka').get(
        'last_error', ''), 30), 'the disk goes: it is told')
    rig.push(2000, sites=2)
    ok(settles(rig, seconds=60, done=3000), 'the other topic goes on')
    back(rig)
    ok(settles(rig, seconds=60, parked_hits=0, pending=0),
       'it comes back: the rest is delivered')
    sink = rig.sink('kafka')
    is_(sink['done'] + sink['lost'], 6000, 'the books balance')
    ok(sink['lost'] <= 2000, 'no more is lost than could not be parked')
    is_(len(numbers('e-s0') + numbers('e-s1')), sink['done'],
        'what is done arrived, once')
    ends(rig)

# ---- a file that cannot be begun, and nobody else who has the hits

if 'begun' in only:
    rig = rig_of('f-', log=False)
    with open(os.path.join(rig.spool, 'kafka.parked'), 'w', encoding='ascii'):
        pass                            # ENOTDIR, for root, too
    rig.start()
    rig.push(1000)
    ok(wait_until(lambda: rig.sink('kafka').get('parked'), 60),
       'a topic is parked, but there can be no file')
    kafka.create('f-s0')
    ok(settles(rig, seconds=90, done=1000, pending=0, lost=0),
       'its hits go out when the topic is there')
    is_(numbers('f-s0'), list(range(1000)), 'each once')
    ends(rig)

done_testing()
