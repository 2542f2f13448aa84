#!/usr/bin/python3
"""Messages of one partition are sent together: each hit arrives, in the order
of its lane, in every partition of every topic, also when the helper dies."""

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
SITES = 3
PARTITIONS = (1, 5, 70)         # one, some, more than runs are told apart


class Rig(KafkaRig):
    """A topic a site, each of other partitions."""

    def __init__(self, window, **options):
        self.WINDOW = window
        super().__init__(kafka, create=False, **options)
        sink = self.sinks[-1]
        sink['topic'] = self.topic + '-$beacon_site'
        self.everything = ['%s-s%d' % (self.topic, n) for n in range(SITES)]
        for topic, partitions in zip(self.everything, PARTITIONS):
            kafka.create(topic, partitions)

    def lane(self, record):
        """Order is kept within that; of messages without a key, among
        themselves."""
        return super().lane(record), record.key is None

    def places(self):
        return len({(record.topic, record.partition)
                    for record in kafka.read(*self.everything)})


for window in (10000, 700):
    rig = Rig(window)
    rig.push(3000, sites=SITES)         # a backlog: full batches
    rig.push(2000, sites=SITES, wait=False, rate=4000)
    rig.start()
    rig.push(4000, sites=SITES, wait=False)
    rig.push(2000, sites=SITES, wait=False, size=3000)
    what = 'a window of %d' % window
    ok(rig.pushed(60) and rig.wait(name='kafka', seconds=60),
       '%s: all are delivered' % what)
    is_(rig.places(), sum(PARTITIONS), '%s: to all partitions' % what)
    rig.judge(what)

rig = Rig(2000)
for n in range(count(5, 60)):
    rig.push(2000, sites=SITES, wait=False)
    rig.start()
    time.sleep(random.random())
    rig.die()
rig.start()
rig.judge('deaths')

# without a key they stay in order among themselves, wherever they go

rig = Rig(2000)
del rig.sinks[-1]['key']
rig.push(3000, sites=SITES)
rig.start()
rig.push(3000, sites=SITES, visitors=50)
rig.push(3000, sites=SITES)
rig.judge('hits without a visitor')

# ---- a parked hit that is too large to be sent holds up none behind it

rig = KafkaRig(kafka, create=False, properties={'message.max.bytes': '2000'})
rig.push(1000, size=700)
rig.start()
ok(wait_until(lambda: rig.sink('kafka').get('parked_hits', 0) >= 1000, 60),
   'hits of a topic that is missing are parked')
rig.push(1, size=3000)
rig.push(100, size=700)
ok(wait_until(lambda: rig.sink('kafka').get('parked_hits', 0) >= 1101, 30),
   'one among them is larger than message.max.bytes')
kafka.create(rig.topic, partitions=2)
ok(wait_until(lambda: rig.sink('kafka')['parked_hits'] == 0, 60),
   'all of them go when the topic is there')
sink = rig.told('dead_letters', lambda n: n == 1, name='kafka')
is_(sink, 1, 'that one is a dead letter')
is_(rig.sink('kafka')['done'], 1100, 'the others are delivered')
rig.balance('and the books agree')
rig.stop()
rig.remove()

done_testing()
