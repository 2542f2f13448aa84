#!/usr/bin/python3
"""Three brokers: leaders change, all are restarted one after the other; no hit
is lost."""

import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_kafka import Cluster                # noqa: E402
from beacon_kafka_fault import KafkaTrial, kafka_conf   # noqa: E402

seed()
kafka = Cluster(nodes=3, min__insync__replicas='2').start()
kafka.create('hits', partitions=3)
trial = KafkaTrial(kafka, kafka_conf(kafka.plain), load={'rate': 1000})
trial.start()
ok(trial.moves(500), 'hits flow')


def whole():
    """Every replica is in sync."""
    try:
        return kafka.ask('isr') == 3
    except RuntimeError:
        return False


def ask(*words, **options):
    """Again where the cluster is too busy to answer; None: it stays so."""
    def answer():
        try:
            return [kafka.ask(*words, **options)]
        except RuntimeError:
            return None
    return (wait_until(answer, 120, 1) or [None])[0]


moved = 0
for n in range(count(3, 50)):
    old = ask('leaders', topic='hits')
    ask('lead', topic='hits')
    moved += bool(wait_until(
        lambda: ask('leaders', topic='hits') != old, 10))
    ok(trial.moves(500), 'hits flow after change %d' % (n + 1)) \
        if n < 3 else trial.moves(500)
is_(moved, count(3, 50), 'leaders change under load')
tally('leader changes', moved)

killed = 0
for n in range(count(1, 50)):
    node = random.choice(kafka.nodes)
    node.kill()
    trial.moves(500)
    node.start()
    killed += bool(wait_until(whole, 120, 0.2))
is_(killed, count(1, 50), 'brokers are killed, and come back')
tally('broker kills', killed)

for node in kafka.nodes:
    node.stop()
    node.start()
    ok(wait_until(whole, 60, 0.2), 'broker %d is restarted' % node.id)
ok(trial.moves(500), 'hits flow after a rolling restart')

node = random.choice(kafka.nodes)
node.kill()
ok(trial.moves(2000), 'hits flow with one broker of three dead')
trial.finish('leaders and brokers that come and go')
done_testing()
