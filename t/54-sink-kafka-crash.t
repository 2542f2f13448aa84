#!/usr/bin/python3
"""The helper dies while it writes to Kafka, at its named points and anywhere:
nothing is lost, and at most the window is doubled for each death."""

import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_kafka import Cluster                # noqa: E402
from beacon_kafka_fault import KafkaRig         # noqa: E402

seed()
kafka = Cluster().start()

# ---- at each of its points


def parked(rig):
    """The topic is missing, and its hits are parked: with a full window at
    once."""
    rig.start()
    rig.push(3000)
    return wait_until(lambda: rig.sink('kafka').get('parked_hits', 0) > 500,
                      20)


def prepare(point):
    """A rig that passes the point when hits come in."""
    if point.endswith('_park'):
        return KafkaRig(kafka, create=False)
    if point in ('kafka.before_mark', 'kafka.before_unlink'):
        rig = KafkaRig(kafka, create=False)
        ok(parked(rig), 'hits are parked')
        rig.die()
        kafka.create(rig.topic, 2)
        return rig
    rig = KafkaRig(kafka, properties={'compression.codec': 'none'}
                   if point.endswith('_dead') else None)
    if point.endswith('_dead'):
        kafka.ask('config', topic=rig.topic, name='max.message.bytes',
                  value='1000')
    return rig


def finish(rig, point):
    """All that stood in the way is gone."""
    if point.endswith('_park'):
        kafka.create(rig.topic, 2)
    if point.endswith('_dead'):
        kafka.ask('config', topic=rig.topic, name='max.message.bytes',
                  value='1000000')
        wait_until(lambda: rig.sink('kafka').get('in_flight') == 0
                   and rig.sink('kafka').get('dead_letters', 0) > 0, 30)
        tool('beacond', 'dead-letter', 'retry', '-c',
             os.path.join(rig.ring, 'beacon.json'))


PASSES = {'kafka.before_mark': 2000, 'kafka.before_unlink': 1,
          'kafka.before_checkpoint': 2, 'kafka.after_checkpoint': 2}
points = [line.split('\t')[0] for line in
          tool('beacond', '--points').stdout.splitlines()
          if line.startswith('kafka.')]
ok(points, 'beacond lists its points')
for point in points:
    rig = prepare(point)
    times = 1 if point == 'kafka.before_unlink' else count(3, 60)
    died = 0
    for n in range(times):
        rig.start(BEACON_KILL_AT='%s:%d' % (point, random.randint(
            1, PASSES.get(point, 300))))
        rig.push(2000, wait=False, rate=20000,
                 size=3000 if point.endswith('_dead') else 400)
        if rig.died(10):
            died += 1
            rig.deaths += 1
        else:
            rig.die()
    is_(died, times, 'the helper dies at %s' % point)
    tally('deaths at %s' % point, died)
    rig.start()
    finish(rig, point)
    # letters that were dead come behind what was not
    rig.judge('deaths at %s' % point, ordered=not point.endswith('_dead'))

# ---- anywhere

rig = KafkaRig(kafka)
for n in range(count(10, 500)):
    rig.start()
    if len(rig.pushers) < 3:
        rig.push(3000, wait=False, rate=10000)
    time.sleep(random.random() * 0.5)
    rig.die()
    rig.pushers = [p for p in rig.pushers if p.poll() is None]
rig.start()
rig.judge('deaths anywhere')
done_testing()
