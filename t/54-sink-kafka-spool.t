#!/usr/bin/python3
"""Kafka away and the spool full, on a full disk, damaged, or of another
version: what is lost is counted, the oldest is kept, nobody else is
concerned."""

import os
import random
import struct
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


def cut(away=True):
    proxy.refuse = away
    if away:
        proxy.reset()


def settled(rig, name='kafka'):
    return wait_until(lambda: rig.sink(name).get('pending') == 0, 60, 0.05)


# ---- a full spool, beside a log that goes on

for what, small in (('spool full', True), ('disk full', False)):
    rig = KafkaRig(kafka, brokers=kafka.proxied)
    if small:
        rig.spool_size = 3 << 20
    elif os.geteuid() != 0 or not rig.mount(
            ['-t', 'tmpfs', '-o', 'size=3m', 'none'], rig.spool):
        skip('no mount here', 9)
        rig.remove()
        continue
    rig.start()
    rig.push(1000)
    rig.wait(name='kafka')
    cut()
    ok(rig.push(20000), '%s: workers do not wait' % what)
    ok(rig.wait(seconds=30), '%s: the log has everything' % what)
    for n in range(2):
        rig.die()
        rig.start()
    ok(rig.push(5000) and rig.wait(seconds=30),
       '%s: also after deaths of the helper' % what)
    cut(False)
    ok(settled(rig), '%s: Kafka gets what was kept' % what)
    sink = rig.sink('kafka')
    ok(sink['lost'] > 0, '%s: hits are lost to it alone, and counted' % what)
    is_(sink['done'] + sink['lost'], rig.next, '%s: the books balance' % what)
    numbers, doubles, disorder = rig.arrived()
    is_(len(numbers), sink['done'], '%s: what is done arrived' % what)
    is_(set(range(4000)) - numbers, set(), '%s: the oldest are kept' % what)
    ok(doubles <= rig.deaths * rig.WINDOW and disorder == 0,
       '%s: in order, doubles within the window' % what)
    rig.says(r'"kafka" lost \d+ hits',
             '%s: the error log says which' % what)
    rig.check('%s: the log has each hit once' % what)
    rig.end(what)

# ---- Kafka alone: then nobody goes on, and nothing is lost

rig = KafkaRig(kafka, brokers=kafka.proxied, log=False)
rig.spool_size = 1 << 20
rig.start()
rig.push(1000)
rig.wait(name='kafka')
cut()
pusher = rig.push(20000, wait=False)
ok(wait_until(lambda: rig.sink('kafka').get('pending', 0) > 2000, 20)
   and pusher.poll() is None, 'Kafka alone: the ring fills')
rig.die()
rig.start()
cut(False)
rig.judge('Kafka alone, spool full')

# ---- a damaged journal


def journal(rig):
    return sorted(os.path.join(rig.spool, name)
                  for name in os.listdir(rig.spool)
                  if name.startswith('journal.')
                  and not name.endswith('.aside'))


def spooled(hits=8000):
    """Hits in the spool that Kafka lacks, and no helper."""
    rig = KafkaRig(kafka, brokers=kafka.proxied)
    cut()
    rig.start()
    rig.push(hits)
    ok(rig.wait(), 'hits are in the log')
    wait_until(lambda: rig.books().get('spool', 0) > 0, 10)
    rig.stop()
    return rig


def starts(rig, deaths):
    """The helper, after so many that died meanwhile."""
    rig.start()
    for _ in range(deaths):
        time.sleep(random.random() * 0.5)
        rig.die()
        rig.start()


for n in range(count(2, 50)):
    rig = spooled(3000)
    flips = random.choice((1, 5, 20))
    for _ in range(flips):
        name = random.choice(journal(rig))
        with open(name, 'r+b') as file:
            at = random.randrange(os.path.getsize(name))
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 1 << random.randrange(8)]))
    cut(False)
    starts(rig, n % 2)
    ok(settled(rig), 'a damaged spool drains')
    numbers, doubles, disorder = rig.arrived()
    ok(doubles <= rig.deaths * rig.WINDOW, 'doubles within the window')
    if not ok(len(numbers) >= rig.next - 2 * flips and not disorder
              and numbers <= set(range(rig.next)),
              'damage costs what it hits'):
        diag('%d of %d, %d flips' % (len(numbers), rig.next, flips))
    sink = rig.sink('kafka')
    is_(sink['done'] + sink['lost'], rig.next, 'and is counted')
    rig.end('damaged')

# ---- a journal of another version


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


rig = spooled(3000)
first = journal(rig)[0]
with open(first, 'r+b') as file:
    head = bytearray(file.read(40))
    struct.pack_into('<I', head, 8, 9)
    struct.pack_into('<I', head, 36, 0)
    struct.pack_into('<I', head, 36, crc32c(bytes(head)))
    file.seek(0)
    file.write(head)
    size = os.path.getsize(first)
cut(False)
starts(rig, 2)
ok(settled(rig), 'a spool of another version does not stop it')
is_(os.path.getsize(first + '.aside'), size, 'it is set aside, untouched')
rig.says('of another version', 'which is told')
sink = rig.sink('kafka')
is_(sink['done'] + sink['lost'], rig.next, 'what was in it is counted')
numbers, doubles, disorder = rig.arrived()
is_(len(numbers), sink['done'], 'all else arrives')
ok(doubles <= rig.deaths * rig.WINDOW, 'doubles within the window')
rig.push(1000)
ok(settled(rig), 'new hits pass')
rig.end('another version')
done_testing()
