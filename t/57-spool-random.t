#!/usr/bin/python3
"""At random moments reloads bring one spool or another, the helper is killed,
Kafka is away or the log's directory is.  Then both have every hit, the
log once, and each was accepted once.

BEACON_SEED gives the same moments again; what was done is printed."""

import json
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
proxy = kafka.proxies[0]


class Faults:
    """What may happen, each by its name."""

    def __init__(self, rig):
        self.rig = rig
        self.spools = [rig.spool, os.path.join(rig.top, 'spool-2')]
        self.away = rig.logs + '.away'
        self.changes = 0
        self.kinds = [self.kill, self.respool, self.respool, self.cut,
                      self.heal, self.log_goes, self.log_comes, self.rest]

    def one(self):
        fault = random.choice(self.kinds)
        diag('%d %s' % (self.rig.next, fault.__name__))
        tally(fault.__name__)
        fault()

    def kill(self):
        self.rig.die()
        self.rig.start()

    def respool(self):
        """A change makes the cluster's sink anew, now or when the old spool
        is empty: what is on the wire then may be doubled."""
        self.rig.spool = random.choice(self.spools)
        self.rig.up()
        self.rig.reload()
        self.changes += 2

    @staticmethod
    def cut():
        proxy.refuse = True
        proxy.reset()

    @staticmethod
    def heal():
        proxy.refuse = False

    def log_goes(self):
        if not os.path.exists(self.away):
            os.rename(self.rig.logs, self.away)

    def log_comes(self):
        if os.path.exists(self.away):
            os.rename(self.away, self.rig.logs)

    @staticmethod
    def rest():
        time.sleep(random.uniform(0, 1))


def noted(rig):
    """The spool that is in use."""
    with open(os.path.join(rig.ring, 'beacond.spool'),
              encoding='utf-8') as file:
        return json.load(file)['dir']


for _ in range(count(2, 50)):
    rig = KafkaRig(kafka, brokers=kafka.proxied)
    rig.start()
    rig.push(1000)
    rig.wait(name='kafka')
    faults = Faults(rig)
    for n in range(20):
        rig.push(random.randint(0, 6000), wait=False, rate=20000)
        time.sleep(random.expovariate(1 / 0.2))
        faults.one()
    faults.heal()
    faults.log_comes()
    ok(rig.up(), 'the last helper is there')
    ok(rig.pushed(60) and all(rig.wait(seconds=60, name=name)
                              for name in ('log', 'kafka')), 'all is done')
    is_([(sink['lost'], sink['pending']) for sink
         in rig.books()['sinks'].values()], [(0, 0)] * 2, 'nothing is lost')
    is_(rig.books()['accepted'], rig.next, 'each hit was accepted once')
    ok(wait_until(lambda: noted(rig) == rig.spool, 30),
       'the spool is what is configured')
    rig.judge('whatever happens', more=faults.changes)

done_testing()
