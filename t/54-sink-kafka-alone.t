#!/usr/bin/python3
"""What is wrong with one topic stays with it: one without a leader, dead
letters without room, parked hits on a disk that takes nothing; and parked
hits are where they were when the helper comes back."""

import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_kafka import Cluster                # noqa: E402
from beacon_kafka_fault import ends, settles    # noqa: E402
from beacon_rig import Rig           # noqa: E402

kafka = Cluster(nodes=3).start()
only = os.environ.get('ONLY', 'leader disk read frozen stuck letters '
                      'unreadable moved bytes').split()


class KafkaRig(Rig):
    spool_size = 1 << 30

    def configure(self):
        name = super().configure()
        with open(name) as file:
            conf = json.load(file)
        if self.spool:
            conf['spool']['size'] = self.spool_size
            with open(name, 'w') as file:
                json.dump(conf, file)
        return name


def rig_of(prefix, window=400, spool=True, lane='2m'):
    rig = KafkaRig(spool=spool, lane=lane)
    rig.sinks = [
        {'type': 'log', 'name': 'log', 'at': 'test:1',
         'path': os.path.join(rig.logs, rig.path)},
        {'type': 'kafka', 'name': 'kafka', 'at': 'test:5',
         'brokers': kafka.plain, 'topic': prefix + '$beacon_site',
         'window': window, 'key': '$beacon_arg_n', 'properties': [
             {'name': 'compression.codec', 'value': 'none', 'at': 'test:6'}]}]
    return rig


def numbers(topic):
    return sorted({int(record.hit()['args']['n'])
                   for record in kafka.read(topic)})


def leader(topic):
    try:
        return max(0, kafka.ask('leaders', topic=topic)[0])
    except RuntimeError:            # not everywhere yet
        return 0


# ---- one topic's leader is gone, and the window is full of it

if 'leader' in only:
    for n in range(20):
        prefix = 'l%d-' % n
        leads = []
        for i in range(2):
            topic = prefix + 's%d' % i
            kafka.create(topic, replication=1)
            leads.append(wait_until(lambda: leader(topic), 20))
        if leads[0] != leads[1]:
            break
    rig = rig_of(prefix)
    rig.start()
    rig.push(20, sites=2)
    ok(settles(rig, done=20, pending=0), 'two topics, two leaders')
    node = [node for node in kafka.nodes if node.id == leads[0]][0]
    node.kill()
    rig.push(3000, sites=2)
    ok(rig.wait(), 'one dies; the log has everything')
    ok(settles(rig, seconds=100, done=20 + 1500, lost=0),
       "the other's topic gets its hits, though the window is full")
    is_(list(rig.sink('kafka')['parked']), [prefix + 's0'],
        'the one without a leader is parked')
    like(json.dumps(rig.sink('kafka')['parked']), 'others have no room',
         'sooner than its patience is, as it holds up another')
    node.start()
    ok(settles(rig, seconds=60, done=3020, pending=0, lost=0),
       'it gets its hits when its leader is back')
    for i in range(2):
        is_(numbers(prefix + 's%d' % i), list(range(i, 3020, 2)),
            'topic %d has them' % i)
    ends(rig)


# ---- the disk takes nothing, the rest of the spool's promise stands

if 'disk' in only:
    kafka.create('d-s1')
    rig = rig_of('d-', lane='16m')      # nobody has to give way
    disk = rig.fault_spool()
    if disk is None:
        skip('no FUSE here', 6)
    else:
        rig.start()
        rig.push(2000, sites=2)
        ok(settles(rig, done=1000, parked_hits=1000, lost=0),
           'hits of a missing topic are parked')
        disk.fail('write')
        rig.push(4000, sites=2)
        ok(rig.wait(), 'the disk fails; the log has everything')
        ok(settles(rig, seconds=150, done=3000, parked_hits=1000),
           'the other topic goes on')
        sink = rig.sink('kafka')
        ok(sink['lost'] > 1000, 'what could not be parked is lost, counted')
        disk.repair()
        kafka.create('d-s0')
        ok(settles(rig, seconds=60, pending=0), 'the rest arrives')
        sink = rig.sink('kafka')
        is_(sink['done'] + sink['lost'], 6000, 'the books balance')
        is_(len(numbers('d-s0')) + len(numbers('d-s1')), sink['done'],
            'what is done arrived')
    ends(rig)

# ---- parked hits cannot be read just now

if 'read' in only:
    rig = rig_of('r-')
    disk = rig.fault_spool()
    if disk is None:
        skip('no FUSE here', 4)
    else:
        rig.start()
        rig.push(2000)
        ok(settles(rig, parked_hits=2000, lost=0), 'hits are parked')
        disk.fail('read')
        kafka.create('r-s0')
        ok(wait_until(lambda: 'Input/output error' in rig.error_text(), 20),
           'a disk that fails is told')
        disk.repair()
        ok(settles(rig, done=2000, pending=0, lost=0),
           'they go out when it does not')
        is_(numbers('r-s0'), list(range(2000)), 'all of them')
    ends(rig)

# ---- the spool's disk freezes while hits are parked, and letters wait

if 'stuck' in only:
    kafka.create('k-s1', max__message__bytes=3000)
    rig = rig_of('k-', lane='16m')
    disk = rig.fault_spool()
    if disk is None:
        skip('no FUSE here', 8)
    else:
        rig.start()
        rig.push(1000, sites=2)
        rig.push(2, sites=2, size=4000)
        ok(settles(rig, done=500, parked_hits=501, dead_letters=1, lost=0),
           'hits are parked, and a letter waits')
        disk.freeze()
        rig.push(4000, sites=2)
        ok(rig.wait(), 'the disk freezes; the log has everything')
        ok(settles(rig, seconds=60, done=2500),
           "the other topic's hits go out")
        sink = rig.sink('kafka')
        ok(sink['lost'] > 1000, 'what could not be parked is lost, counted')
        disk.freeze(False)
        rig.push(200, sites=2)
        ok(settles(rig, done=2600), 'they go on when it thaws')
        kafka.create('k-s0')
        ok(settles(rig, pending=1, parked_hits=0, dead_letters=1),
           'parked hits go out')
        sink = rig.sink('kafka')
        is_(sink['done'] + sink['lost'] + 1, 5202, 'the books balance')
        found = [record.topic for record in kafka.read('k-s0', 'k-s1')]
        is_((found.count('k-s1'), len(found)), (2600, sink['done']),
            'what is done arrived, once')
    ends(rig)

# ---- the spool's disk freezes while nothing of the sink's is there

if 'frozen' in only:
    kafka.create('f-s0')
    rig = rig_of('f-')
    disk = rig.fault_spool()
    if disk is None:
        skip('no FUSE here', 4)
    else:
        rig.start()
        rig.push(50)
        ok(settles(rig, done=50, pending=0, lost=0), 'hits go out')
        disk.freeze()
        rig.push(3000, rate=1000)
        ok(settles(rig, seconds=30, done=3050, lost=0),
           "they do while the spool's disk is frozen")
        disk.freeze(False)
        rig.push(50)
        ok(settles(rig, done=3100, pending=0, lost=0), 'and afterwards')
        is_(len(numbers('f-s0')), 3100, 'all are in the topic')
    ends(rig)

# ---- dead letters, and no room

if 'letters' in only:
    kafka.create('e-s0', max__message__bytes=1000)
    kafka.create('e-s1')
    rig = rig_of('e-', lane='16m')
    rig.spool_size = 1 << 20
    rig.start()
    rig.push(2000, sites=2, size=3000)
    ok(rig.wait(), 'the log has everything')
    ok(settles(rig, seconds=120, done=1000),
       'dead letters fill the spool; the other topic goes on')
    wait_until(lambda: rig.sink('kafka')['in_flight'] == 0
               and rig.sink('kafka')['lost'] > 0, 40, 0.05)
    sink = rig.sink('kafka')
    if not ok(sink['lost'] > 0
              and sink['dead_letters'] + sink['lost'] == 1000,
              'what there is no room for is lost, counted'):
        diag(str(sink))
    ends(rig)

# ---- a parked file that cannot be opened just now

if 'unreadable' in only:
    kafka.create('u-s1')
    rig = rig_of('u-')
    rig.start()
    rig.push(2000, sites=2)
    ok(settles(rig, done=1000, parked_hits=1000, lost=0), 'hits are parked')
    rig.kill()
    path = os.path.join(rig.spool, 'kafka.parked', 'u-s0')
    os.rename(path, os.path.join(rig.top, 'kept'))
    os.symlink(path, path)              # ELOOP
    rig.start()
    rig.up()
    time.sleep(2)
    os.rename(os.path.join(rig.top, 'kept'), path)
    kafka.create('u-s0')
    ok(settles(rig, seconds=60, done=2000, pending=0, lost=0),
       'and done only when they are')
    is_(numbers('u-s0'), list(range(0, 2000, 2)), 'they arrive')
    ends(rig)

# ---- a spool that comes, and another one, while hits are parked

if 'moved' in only:
    kafka.create('m-s1')
    rig = rig_of('m-', spool=False)
    for n in range(3):
        if n > 0:
            rig.kill()
            rig.spool = os.path.join(rig.top, 'spool-%d' % n)
            os.mkdir(rig.spool)
        rig.start()
        rig.push(2000, sites=2)
        ok(settles(rig, done=(n + 1) * 1000, pending=(n + 1) * 1000,
                   parked_hits=(n + 1) * 1000, lost=0),
           'hits are parked, helper %d' % (n + 1))
    kafka.create('m-s0')
    ok(settles(rig, seconds=60, done=6000, pending=0, lost=0),
       'they are done when the topic is there')
    is_(numbers('m-s0'), list(range(0, 6000, 2)), 'they arrive')
    ends(rig)

# ---- few, but large: the copies that are held have a limit, too

if 'bytes' in only:
    kafka.create('b-s1')
    rig = rig_of('b-', window=10000, lane='16m')
    rig.start()
    rig.push(2400, sites=2, size=60000)
    ok(rig.wait(), 'the log has everything')
    ok(settles(rig, seconds=20, done=1200),
       'a missing topic of large hits does not stop the other for 30 s')
    ends(rig)
    rig = rig_of('c-', window=10000, lane='16m')
    rig.start()
    pusher = rig.push(4000, wait=False, size=60000)
    most = 0

    def all_parked():
        global most
        sink = rig.sink('kafka')
        most = max(most, sink.get('in_flight', 0))
        return sink.get('parked_hits') == 4000

    ok(wait_until(all_parked, 60, 0.05), 'one alone is parked')
    # 64 MiB held, and as much in librdkafka's queue
    if not ok(most * 60000 <= 2.2 * (64 << 20),
              'no more than 64 MiB of it are held meanwhile'):
        diag('%d of 4000 hits' % most)
    ends(rig)

done_testing()
