#!/usr/bin/python3
"""The helper dies, again and again, during each of Kafka's own faults: nothing
is lost, and at most the window is doubled for each death."""

import json
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_kafka import Authority, Cluster     # noqa: E402
from beacon_kafka_fault import KafkaRig, Mock, dies_during  # noqa: E402
from beacon_rig import Rig                      # noqa: E402

seed()
only = os.environ.get('ONLY', 'one three mock').split()
SASL = {'security.protocol': 'sasl_plaintext', 'sasl.mechanism': 'PLAIN',
        'sasl.username': 'beacon', 'sasl.password': 'right'}


def nothing(rig):
    """No more than what is so from the start."""


def change(rig, name, value):
    """A property of the Kafka sink, from its next start on."""
    for one in rig.sinks[1]['properties']:
        if one['name'] == name:
            one['value'] = value


# ---- one broker

if 'one' in only:
    kafka = Cluster().start()
    node, proxy = kafka.nodes[0], kafka.proxies[0]
    dies_during(kafka, 'broker dead', lambda rig: node.kill(),
                lambda rig: node.start())
    dies_during(kafka, 'broker stopped', lambda rig: node.pause(),
                lambda rig: node.go_on())

    def leave(rig):
        proxy.refuse = True
        proxy.reset()

    def slow(rig):
        proxy.delay = 0.2

    dies_during(kafka, 'broker out of reach', leave,
                lambda rig: proxy.heal(), brokers=kafka.proxied)
    dies_during(kafka, 'broker slow', slow, lambda rig: proxy.heal(),
                brokers=kafka.proxied)
    dies_during(kafka, 'connections reset', nothing,
                lambda rig: proxy.heal(), brokers=kafka.proxied,
                during=lambda rig: (time.sleep(0.1), proxy.reset()))
    dies_during(kafka, 'no topic', nothing,
                lambda rig: kafka.create(rig.topic, 2), create=False)

    # what is acknowledged into a topic goes with it; nothing else does

    kept = []

    def vanish(rig):
        kafka.delete(rig.topic)
        if not ok(wait_until(lambda: rig.topic not in kafka.ask('count'),
                             30), 'a topic is deleted'):
            diag(rig.topic)
        kept.append(rig.sink('kafka')['done'])

    dies_during(kafka, 'topic deleted', vanish,
                lambda rig: kafka.create(rig.topic, 2),
                judge={'gone': range(1000)})
    is_(kept, [1000], 'what was acknowledged before is all that may be gone')

    # one of two topics is another's

    rig = KafkaRig(kafka, brokers=kafka.sasl, create=False,
                   properties=dict(SASL, **{'sasl.username': 'other'}))
    rig.everything = [rig.topic + '-s0', rig.topic + '-s1']
    rig.sinks[1]['topic'] = rig.topic + '-$beacon_site'
    for topic in rig.everything:
        kafka.create(topic, 2)
    kafka.ask('deny', user='other', topic=rig.everything[0])
    dies_during(kafka, 'topic refused', nothing, lambda rig: kafka.ask(
                    'allow', user='other', topic=rig.everything[0]),
                rig=rig, sites=2, create=False)

    # secrets and authorities that are wrong

    rig = KafkaRig(kafka, brokers=kafka.sasl,
                   properties=dict(SASL, **{'sasl.password': 'wrong'}))
    dies_during(kafka, 'password refused', nothing,
                lambda rig: change(rig, 'sasl.password', 'right'),
                rig=rig, create=False)
    os.mkdir(kafka.dir + '/wrong')
    rig = KafkaRig(kafka, brokers=kafka.tls, properties={
        'security.protocol': 'ssl',
        'ssl.ca.location': Authority(kafka.dir + '/wrong').ca})
    dies_during(kafka, 'another authority', nothing,
                lambda rig: change(rig, 'ssl.ca.location', kafka.ca),
                rig=rig, create=False)

    # two clusters: the other one is away

    rig = KafkaRig(kafka)
    away = dict(rig.sinks[1], name='away', brokers=kafka.proxied,
                topic=rig.topic + '-away')
    rig.sinks.append(away)
    rig.everything.append(away['topic'])
    kafka.create(away['topic'])
    leave(rig)
    rig.start()
    for n in range(count(3, 30)):
        rig.push(3000, wait=False, rate=30000)
        time.sleep(random.uniform(0.2, 0.8))
        rig.die()
        rig.start()
    rig.pushed()
    ok(all(rig.wait(name=name) for name in ('log', 'kafka')),
       'another cluster away: the log and this one go on')
    rig.everything = rig.everything[:1]
    is_(len(rig.arrived()[0]), rig.next, 'with every hit')
    is_(rig.sink('away').get('done'), 0, 'of which the other has none')
    rig.everything = [away['topic']]
    proxy.heal()
    rig.judge('another cluster away', seconds=60)
    kafka.finish()

# ---- three brokers

if 'three' in only:
    kafka = Cluster(nodes=3, min__insync__replicas='2').start()

    def whole():
        """Every replica is in sync."""
        try:
            return kafka.ask('isr') == 3
        except RuntimeError:
            return False

    def leaders(rig):
        try:
            return kafka.ask('leaders', topic=rig.topic)
        except RuntimeError:
            return None

    moved = []

    def move(rig):
        old = leaders(rig)
        try:
            kafka.ask('lead', topic=rig.topic)
        except RuntimeError:            # the cluster is busy
            pass
        moved.append(leaders(rig) != old)

    dies_during(kafka, 'leaders change', nothing, nothing, during=move)
    ok(any(moved), 'leaders did change')

    turn = []

    def restart(rig):
        node = kafka.nodes[len(turn) % 3]
        turn.append(node.id)
        node.stop()
        node.start(wait=False)

    def again(rig):
        """The one before is back first, as in a rolling restart."""
        ok(wait_until(whole, 120, 0.2), 'all replicas are in sync')
        restart(rig)

    dies_during(kafka, 'brokers restarted in turn', nothing,
                lambda rig: wait_until(whole, 120, 0.2), during=again)
    kafka.finish()


# ---- a fatal error, by the mock cluster

def fatal():
    mock = Mock()
    mock.ask('topic', 'hits', 1)
    window = 500
    rig = Rig(path='all.log', spool=True, lane='4m')
    rig.sinks = [{'type': 'kafka', 'name': 'kafka', 'at': 'test:5',
                  'brokers': mock.brokers, 'topic': 'hits',
                  'window': window, 'max_topics': 8}]
    rig.start()
    rig.push(1000)
    ok(rig.wait(name='kafka'), 'fatal errors: hits flow before')
    deaths = 0
    for n in range(count(6, 60)):
        told = rig.error_text().count('a new producer is made')
        mock.ask('push', Mock.PRODUCE, *[Mock.OUT_OF_ORDER] * 4)
        # the mock cluster keeps the newest 5 MB
        rig.push(count(2000, 200), wait=False, rate=20000)
        if n % 2:                       # right behind it
            ok(wait_until(lambda: rig.error_text().count(
                'a new producer is made') > told, 20, 0.002),
               'a fatal error, %d' % n)
        time.sleep(random.random() * 0.3)
        rig.kill()
        deaths += 1
        if n % 2:                       # each costs a producer, and a second
            mock.ask('clear', Mock.PRODUCE)
        rig.start()
    rig.pushed()
    if not ok(rig.wait(name='kafka', seconds=60),
              'fatal errors and deaths: all is done'):
        diag(rig.books())
        rig.show_errors()
    made = rig.error_text().count('a new producer is made')
    is_(rig.sink('kafka').get('lost'), 0, 'nothing is lost, say the books')
    numbers = [int(json.loads(value)['args']['n']) for value
               in mock.values('hits', os.path.join(rig.top, 'values'))]
    is_(set(numbers), set(range(rig.next)), 'nothing is lost')
    if not ok(len(numbers) - rig.next <= (deaths + made) * window,
              'at most the window is doubled for each of both'):
        diag('%d, %d deaths, %d fatal' % (len(numbers) - rig.next, deaths,
                                          made))
    tally('deaths around fatal errors', deaths)
    is_(rig.stop(), 0, 'the helper ends well')
    rig.remove()
    mock.stop()


if 'mock' in only:
    fatal()
done_testing()
