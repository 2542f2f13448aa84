#!/usr/bin/python3
"""A stop waits for what is on its way to Kafka, as long as it may take, though
the spool has it all; what it has not sent yet is the next helper's."""

import os
import signal
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_kafka import Cluster                # noqa: E402
from beacon_kafka_fault import KafkaRig, checkpoint, settles    # noqa: E402

seed()
kafka = Cluster().start()
proxy = kafka.proxies[0]
LEFT = 'without an answer'
CUT = 'does not end'


def rig_of(create=True, **properties):
    return KafkaRig(kafka, brokers=kafka.proxied, create=create, properties={
        name.replace('_', '.'): value for name, value in properties.items()})


def flows(rig):
    """It delivers something, so that its connections are there."""
    rig.push(1000, rate=20000)
    ok(all(rig.wait(name=sink['name']) for sink in rig.sinks
           if sink['type'] == 'kafka'), 'hits flow')


def helper(**properties):
    rig = rig_of(**properties)
    rig.start()
    flows(rig)
    return rig


def in_kafka(rig):
    try:
        return kafka.count(rig.topic)
    except RuntimeError:                # a topic comes or goes meanwhile
        return 0


def succeeded(rig, delay=0):
    """The helper is stopped, and there is a next one, with such a network;
    false: its time, which is short where others have the processors, was up
    before the answer came."""
    is_(rig.stop(signal.SIGQUIT), 0, 'the helper ends well')
    proxy.delay = delay
    late = LEFT in rig.error_text() or CUT in rig.error_text()
    rig.start()
    return not late


def stopped(rig, hits):
    """A stop with hits on their way over a slow network, and the next helper;
    as succeeded()."""
    proxy.delay = 0.6
    rig.push(hits)
    good = succeeded(rig)
    if not ok(rig.wait(name='kafka', seconds=60), 'the next one has the rest'):
        diag(rig.books())
        rig.show_errors()
    return good


def judged(what, hits, **properties):
    """Once the time was enough, that nothing is doubled."""
    for _ in range(5):
        rig = helper(**properties)
        if stopped(rig, hits):
            break
        diag('its time was up')
        rig.end(what)
    numbers, doubles, disorder = rig.arrived()
    is_((len(numbers), doubles, disorder), (rig.next, 0, 0),
        '%s: each arrives once, in order' % what)
    rig.check('%s: the log has each hit once' % what)
    rig.end(what)


judged('what is on the wire', 50)
judged('what waits in the queue behind it', 500, batch_num_messages='20')

# ---- what has arrived, on a connection that broke before the answer came


def broken():
    rig = helper()
    proxy.delay = 1
    rig.push(300)
    ok(wait_until(lambda: in_kafka(rig) == rig.next, 20, 0.02),
       'hits have arrived, the answer is on its way')
    rig.helper.send_signal(signal.SIGQUIT)
    proxy.refuse = True
    proxy.reset()
    time.sleep(0.3)                     # until it is connected again
    proxy.heal()
    is_(rig.ended(), 0, 'the helper ends well')
    rig.start()
    ok(rig.wait(name='kafka', seconds=60), 'the next one has the rest')
    return rig


for tries in range(5):                  # where that takes longer, it is late
    rig = broken()
    numbers, doubles, disorder = rig.arrived()
    if not doubles or tries == 4:
        break
    diag('%d doubles' % doubles)
    rig.end('a connection that broke')
is_((len(numbers), doubles, disorder), (rig.next, 0, 0),
    'a connection that broke: each arrives once, in order')
rig.end('a connection that broke')

# ---- the broker does not answer at all

rig = helper()
proxy.blackhole = True
rig.push(200)
is_(rig.stop(signal.SIGQUIT), 0, 'a broker that stands still: a stop ends')
ok(rig.error_text().count(LEFT) < 2, 'its last wait is one')
proxy.reset()
proxy.heal()
rig.start()
rig.judge('a broker that stood still', more=1)

# ---- three of them: their last waits are one


def three():
    rig = rig_of()
    for name in ('kafka2', 'kafka3'):
        kafka.create(rig.topic + name)
        rig.sinks.insert(0, dict(rig.sinks[-1], name=name,
                                 topic=rig.topic + name))
    rig.start()
    flows(rig)
    ok(rig.wait(), 'into the log, too')
    proxy.blackhole = True
    rig.push(100, rate=500)
    is_(rig.stop(signal.SIGQUIT), 0, 'three that stand still: a stop ends')
    proxy.reset()
    proxy.heal()
    return rig


for tries in range(5):                  # there is 1 s, of which each takes 0.4
    rig = three()
    text = rig.error_text()
    rig.remove()
    if CUT not in text:
        break
unlike(text, CUT, 'and waits for them together')

# ---- or is not there

rig = helper()
proxy.refuse = True
proxy.reset()
rig.push(200)
is_(rig.stop(signal.SIGQUIT), 0, 'a broker that is away: a stop ends')
proxy.heal()
rig.start()
rig.judge('a broker that was away', more=1)

# ---- what is delivered while the helper stops, whatever else is not


def odd(window, partitions=0, **properties):
    """With a topic of so many partitions, which may be none."""
    rig = rig_of(create=False, **properties)
    rig.sinks[1]['window'] = window
    if partitions:
        kafka.create(rig.topic, partitions)
    rig.start()
    return rig


def halfway(rig, delay, hits=0, then=0):
    """As stopped(), but what is on its way may be what was parked, or dead."""
    proxy.delay = delay
    if hits:
        rig.push(hits, size=100)
    else:
        wait_until(lambda: rig.sink('kafka').get('in_flight'), 10, 0.02)
    return succeeded(rig, then)


def many():
    """Of some partitions all is delivered, of others nothing: there are more
    holes than a checkpoint has, as a rule."""
    rig = odd(10000, 12)
    flows(rig)
    good = halfway(rig, 0.25, 9000, 0.1)
    seen = []
    while not seen or seen[-1] < rig.next and len(seen) < 2000:
        seen.append(checkpoint(rig)['engine']['done'])
        time.sleep(0.01)
    proxy.heal()
    if not ok(seen == sorted(seen), 'the next one takes nothing back of it'):
        diag(seen)
    return rig, good


def parked():
    rig = odd(2000, batch_num_messages='20')
    rig.push(3000, size=100)
    ok(wait_until(lambda: rig.sink('kafka').get('parked_hits', 0) > 2000, 60),
       'hits are parked')
    kafka.create(rig.topic, partitions=6)
    ok(wait_until(lambda: in_kafka(rig), 60, 0.02), 'and on their way')
    return rig, halfway(rig, 0.3)


def dead():
    rig = odd(400, 2, compression_codec='none')
    kafka.ask('config', topic=rig.topic, name='max.message.bytes',
              value='3000')
    rig.push(300, size=100)
    rig.push(10, size=4000)
    ok(settles(rig, dead_letters=10), 'dead letters')
    kafka.ask('config', topic=rig.topic, name='max.message.bytes',
              value='100000')
    open(os.path.join(rig.spool, 'kafka.dead.retry'), 'w').close()
    return rig, halfway(rig, 0.5)


for make, what in ((many, 'partitions that are late'),
                   (parked, 'parked hits'), (dead, 'dead letters')):
    for _ in range(5):
        rig, good = make()
        if not ok(settles(rig, done=rig.next, pending=0, lost=0),
                  '%s: the next one has the rest' % what):
            rig.show_errors()
        if good:
            break
        diag('its time was up')
        rig.end(what)
    numbers, doubles, _ = rig.arrived()
    is_((len(numbers), doubles), (rig.next, 0), '%s: each arrives once' % what)
    rig.end(what)

# ---- a stop that is taken back while it waits


def adopted(rig):
    """A manager tells it to stop, another takes it; false: it was late."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as manager:
        manager.settimeout(20 * slow())
        manager.connect(os.path.join(rig.ring, 'beacond.sock'))
        generation = int(manager.recv(4096).split()[2])
        manager.send(b'STOP 30000 %d' % generation)
        rig.says('a sink lags: spooling', 'a stop spools')
        time.sleep(0.5)                 # what is not sent is taken back
        try:
            manager.send(b'ADOPT %d' % (generation + 1))
            return b'ADOPTED' in manager.recv(4096)
        except OSError:
            return False


for _ in range(5):
    rig = helper(batch_num_messages='20')
    proxy.blackhole = True
    rig.push(500)
    taken = adopted(rig)
    proxy.heal()
    if taken:
        break
    rig.ended()
    rig.remove()
ok(taken, 'it is taken back')
if not ok(rig.wait(name='kafka', seconds=60), 'and hits flow again'):
    diag(rig.books())
    rig.show_errors()
numbers, doubles, disorder = rig.arrived()
is_((len(numbers), doubles, disorder), (rig.next, 0, 0),
    'each arrives once, in order')
rig.push(1000)
rig.judge('a stop that is taken back')

done_testing()
