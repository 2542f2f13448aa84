#!/usr/bin/python3
"""Corners of parking: names that begin with a dot, a spool that a reload
changes, what the books say behind a reboot, more topics than the status has
room for; a cluster that is configured no more; many dead letters, and edited
ones."""

import os
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_kafka import Cluster                # noqa: E402
from beacon_kafka_fault import ends, modest, settles    # noqa: E402
from beacon_rig import Rig                      # noqa: E402

kafka = Cluster().start()
only = os.environ.get('ONLY', 'patience dot spool reboot again many stranger '
                      'removed letters edited').split()


def rig_of(topic):
    rig = Rig(spool=True, lane='16m')
    rig.sinks = [
        {'type': 'log', 'name': 'log', 'at': 'test:1',
         'path': os.path.join(rig.logs, rig.path)},
        {'type': 'kafka', 'name': 'kafka', 'at': 'test:5',
         'brokers': kafka.plain, 'topic': topic, 'window': 400,
         'key': '$beacon_arg_n', 'properties': [
             {'name': 'compression.codec', 'value': 'none',
              'at': 'test:6'}]}]
    return rig


def parking(topic):
    """One whose hits wait for their topic."""
    rig = rig_of(topic)
    rig.start()
    rig.push(1000)
    ok(settles(rig, done=0, parked_hits=1000, pending=1000, lost=0),
       'hits are parked')
    modest(rig, 700, 'parked hits')
    return rig


def numbers(*topics):
    return sorted(int(record.hit()['args']['n'])
                  for record in kafka.read(*topics))


def parked(rig):
    """The topics with a file in the spool."""
    try:
        return sorted(os.listdir(os.path.join(rig.spool, 'kafka.parked')))
    except OSError:
        return []


# ---- few hits of a topic that is missing, and a window that is far from full:
# judged when all else is, as it takes 30 s

if 'patience' in only:
    patient = rig_of('p-$beacon_site')
    patient.start()
    patient.push(10)

# ---- a topic whose name begins with a dot

if 'dot' in only:
    rig = parking('.a-$beacon_site')
    rig.kill()
    rig.start()
    ok(rig.up() and settles(rig, done=0, parked_hits=1000, pending=1000,
                            lost=0), 'they outlive the helper')
    kafka.create('.a-s0')
    ok(settles(rig, done=1000, pending=0, lost=0), 'and are delivered')
    is_(numbers('.a-s0'), list(range(1000)), 'all of them, once')
    ends(rig)

# ---- a reload that brings another spool

if 'spool' in only:
    rig = parking('b-$beacon_site')
    rig.spool = os.path.join(rig.top, 'spool-2')
    os.mkdir(rig.spool)
    ok(rig.reload(), 'a reload with another spool')
    rig.says('is used until it is empty', 'finds the old one in use')
    kafka.create('b-s0')
    ok(settles(rig, done=1000, pending=0, lost=0), 'they are delivered')
    ok(wait_until(lambda: rig.error_text().count(' is in use') == 2, 60, 0.05),
       'then the new one is')
    rig.push(1000, sites=2)
    ok(settles(rig, done=1500, parked_hits=500, lost=0),
       'hits of another topic are parked')
    is_(parked(rig), ['b-s1'], 'in the new spool')
    rig.kill()
    os.unlink(os.path.join(rig.ring, 'kafka.checkpoint'))
    kafka.create('b-s1')
    rig.start()
    ok(wait_until(lambda: len(numbers('b-s1')) >= 500, 60, 0.5),
       'where they are found after a reboot')
    ends(rig)

# ---- what a reboot left in the spool is in no books

if 'reboot' in only:
    rig = parking('c-$beacon_site')
    rig.kill()
    shutil.rmtree(rig.ring)
    os.mkdir(rig.ring)
    rig.epoch = rig.tool('fill_cli', rig.ring, 'new', 16 << 20, 128)
    rig.start()
    rig.push(100, sites=2)
    kafka.create('c-s1')
    ok(settles(rig, done=50, pending=50, parked_hits=1050, lost=0),
       'behind a reboot they are not in the books; new ones are')
    rig.kill()
    rig.start()
    ok(rig.up() and settles(rig, done=50, pending=50, parked_hits=1050,
                            lost=0), 'nor those of the next helper')
    kafka.create('c-s0')
    ok(settles(rig, done=100, pending=0, parked_hits=0, lost=0),
       'all are delivered')
    is_(numbers('c-s0', 'c-s1'), list(range(1100)), 'each once')
    kafka.delete('c-s1')
    ok(wait_until(lambda: 'c-s1' not in kafka.ask('count'), 20),
       'a topic goes')
    rig.push(1000, sites=2)
    ok(settles(rig, done=600, pending=500, parked_hits=500, lost=0),
       'what is parked then is pending, not done')
    rig.balance('the books balance')
    kafka.create('c-s1')
    ok(settles(rig, done=1100, pending=0, lost=0), 'until it is delivered')
    ends(rig)

# ---- of what is parked, one is refused: others of its turn are not sent again

if 'again' in only:
    rig = rig_of('g-$beacon_site')
    rig.start()
    rig.push(300, size=100)
    rig.push(1, size=60000)
    rig.push(300, size=100)
    ok(settles(rig, done=0, parked_hits=601, lost=0), 'hits are parked')
    kafka.create('g-s0', partitions=4, max__message__bytes=50000)
    ok(settles(rig, done=600, pending=1, dead_letters=1, lost=0),
       'the topic is there: all but one that is too large are done')
    is_(numbers('g-s0'), [n for n in range(601) if n != 300], 'each once')
    ends(rig)

# ---- more topics are parked than the status has room for

if 'many' in only:
    rig = rig_of('m-$beacon_site')
    rig.start()
    rig.push(1000, sites=40)
    ok(settles(rig, done=0, parked_hits=1000, lost=0),
       'hits of forty topics are parked')
    sink = rig.sink('kafka')
    is_(sink['topics_parked'], 40, 'which the status counts')
    ok(0 < len(sink['parked']) < 40, 'some are named')
    is_(sink['last_success_ns'], 0, 'no hit has arrived: that is no success')
    kafka.create('m-s0')
    ok(settles(rig, done=25, pending=975, lost=0), 'one of them is there')
    ok(wait_until(lambda: rig.sink('kafka')['last_success_ns'], 10),
       'its hits have arrived: that is one')
    ok(wait_until(lambda: rig.sink('kafka')['topics_parked'] == 39, 10),
       'one less is parked')
    ends(rig)

# ---- a broker that wants to know who we are

if 'stranger' in only:
    rig = rig_of('s')
    rig.sinks[1]['brokers'] = kafka.sasl
    rig.start()
    rig.push(10)
    said = [wait_until(lambda: rig.sink('kafka').get('last_error'), 10)]
    for n in range(10):
        time.sleep(0.1)
        said.append(rig.sink('kafka').get('last_error'))

    # of SASL librdkafka knows only where the broker ends the connection before
    # the next request is written: else a pipe is broken

    if not ok(all(one and 'brokers are down' not in one for one in said),
              'the status tells why, not only that brokers are down'):
        diag(said)
    ends(rig)

# ---- a cluster that is configured no more while hits wait for it

if 'removed' in only:
    for how in ('a reload', 'a start'):
        rig = rig_of('r-$beacon_site')
        rig.sinks[1]['brokers'] = '127.0.0.1:1'
        rig.start()
        rig.push(3000)
        ok(rig.wait() and wait_until(
            lambda: rig.sink('kafka').get('pending') == 3000, 10),
           'hits wait for a cluster that is away')
        if how == 'a start':
            rig.kill()
        del rig.sinks[1]
        if how == 'a start':
            rig.start()
        else:
            ok(rig.reload(), 'a reload without it')
        rig.says('"kafka" is configured no more: of the 3000 hits that waited',
                 '%s without it tells how many hits go' % how)
        rig.push(100)
        ok(rig.wait(), 'the log goes on')
        rig.kill()
        rig.start()
        ok(rig.up(), 'another helper')
        is_(rig.error_text().count('configured no more: of'), 1,
            'does not tell it again')
        ends(rig)

# ---- many dead letters, and a long one

if 'letters' in only:
    rig = rig_of('d')
    letter = ('{"sent":%%d,"topic":"d","time":1,"reason":"x","value":{"v":1,'
              '"id":"0123456789abcdef-0-%%x","args":{"p":"%s"}}}\n')
    path = os.path.join(rig.spool, 'kafka.dead')
    with open(path, 'w', encoding='utf-8') as file:
        for n in range(50000):
            file.write(letter % ('x' * (200000 if n == 777 else 100))
                       % (n % 5 == 0, n))
        file.write('{"sent":0,"topic":"d","ti')
    rig.start()
    ok(wait_until(lambda: rig.sink('kafka').get('dead_letters') == 40000, 60),
       'many dead letters are found')
    with open('/proc/%d/io' % rig.helper.pid, encoding='ascii') as file:
        read = int(file.readline().split()[1])
    size = os.path.getsize(path)
    if not ok(read < 3 * size, 'by reading them about once'):
        diag('%d bytes of %d' % (read, size))
    ends(rig)

# ---- dead letters that somebody has edited, and more that come meanwhile


def retry(rig):
    done = subprocess.run(
        [os.path.join(BUILD, 'beacond'), 'dead-letter', 'retry', '-c',
         os.path.join(rig.ring, 'beacon.json')], timeout=60, text=True,
        stdout=subprocess.PIPE)
    return done.returncode, done.stdout


if 'edited' in only:
    kafka.create('e', max__message__bytes=1000)
    rig = rig_of('e')
    rig.start()
    rig.push(50, size=3000)
    ok(settles(rig, dead_letters=50, pending=50, lost=0), 'letters wait')
    path = os.path.join(rig.spool, 'kafka.dead')
    with open(path, 'r+b') as file:
        lines = file.read().split(b'\n')
        for n, topic in enumerate((b'../e', b'', b'..', b'e' * 250, b'e f')):
            lines[n] = lines[n].replace(b'"topic":"e"',
                                        b'"topic":"%s"' % topic)
        lines[5] = b'{"sent":0,"topic":"e","value":}'
        lines[6] = b'{"sent":0,"topic":7,"value":{}}'
        lines[7] = lines[7][:200]
        file.seek(0)
        file.truncate()
        file.write(b'\n'.join(lines))
    kafka.ask('config', topic='e', name='max.message.bytes', value='100000')
    is_(retry(rig), (1, 'kafka: 42 delivered, 8 wait\n'),
        'a retry sends all but those that somebody has spoilt')
    is_(numbers('e'), list(range(8, 50)), 'each once')
    kafka.ask('config', topic='e', name='max.message.bytes', value='1000')
    pusher = rig.push(200000, wait=False, rate=1000, size=3000)
    ok(wait_until(lambda: rig.sink('kafka').get('dead_letters', 0) > 50, 60),
       'letters come and come')
    modest(rig, 3500, 'dead letters')
    told = rig.error_text().count('have been tried again')
    retry(rig)
    ok(wait_until(lambda: rig.error_text().count('have been tried again')
                  > told, 60) and pusher.poll() is None,
       'a retry ends all the same')
    pusher.kill()
    pusher.wait()
    rig.pushers.remove(pusher)
    ends(rig)

# ---- those of the beginning

if 'patience' in only:
    ok(settles(patient, done=0, parked_hits=10, pending=10, lost=0),
       'hits of a missing topic do not wait in memory for ever')
    ends(patient)

done_testing()
