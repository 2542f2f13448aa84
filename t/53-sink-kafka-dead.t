#!/usr/bin/python3
"""Messages that a broker refuses for their size: exactly they are dead
letters, whatever batch they came in; they outlive the helper, and go out when
the topic takes them.  Topics that are missing for long are parked, and their
hits outlive the helper, too."""

import json
import os
import re
import resource
import stat
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_clock import Clock                  # noqa: E402
from beacon_kafka import Cluster                # noqa: E402
from beacon_kafka_fault import settles          # noqa: E402
from beacon_rig import Rig                      # noqa: E402

kafka = Cluster().start()


def rig_of(topic, window=400):
    rig = Rig(spool=True, lane='2m')
    rig.sinks = [
        {'type': 'log', 'name': 'log', 'at': 'test:1',
         'path': os.path.join(rig.logs, rig.path)},
        {'type': 'kafka', 'name': 'kafka', 'at': 'test:5',
         'brokers': kafka.plain, 'topic': topic, 'window': window,
         'key': '$beacon_arg_n', 'properties': [
             {'name': 'compression.codec', 'value': 'none', 'at': 'test:6'}]}]
    rig.start()
    return rig


def numbers(topic):
    """Of the hits in a topic, and how many records there are."""
    found = [int(record.hit()['args']['n']) for record in kafka.read(topic)]
    return sorted(set(found)), len(found)


def command(rig, what):
    done = subprocess.run(
        [os.path.join(BUILD, 'beacond'), 'dead-letter', what, '-c',
         os.path.join(rig.ring, 'beacon.json')], timeout=60, text=True,
        stdout=subprocess.PIPE)
    return done.returncode, done.stdout


def letters(rig):
    return [json.loads(line) for line in command(rig, 'list')[1].splitlines()]


# ---- too large

kafka.create('small', partitions=2, max__message__bytes=3000)
rig = rig_of('small')
rig.push(300, size=100)
rig.push(5, size=4000)
rig.push(300, size=100)
ok(settles(rig, done=600, pending=5, dead_letters=5, lost=0),
   'five of 605 are dead letters, and pending')
small = [n for n in range(605) if n not in range(300, 305)]
is_(numbers('small'), (small, 600), 'all others are in the topic, once')
found = letters(rig)
is_(sorted(int(one['value']['args']['n']) for one in found),
    [300, 301, 302, 303, 304], 'dead-letter list shows exactly the five')
is_({(one['sink'], one['topic'], one['key'] == one['value']['args']['n'])
     for one in found}, {('kafka', 'small', True)},
    'with sink, topic and key')
like(found[0]['reason'] if found else '', 'size too large', 'and the reason')
path = os.path.join(rig.spool, 'kafka.dead')
is_(stat.S_IMODE(os.stat(path).st_mode), 0o640, 'the file has mode 0640')

rig.kill()
rig.start()
rig.push(10, size=100)
ok(settles(rig, done=610, pending=5, dead_letters=5, lost=0),
   'they outlive the helper')
is_(command(rig, 'retry'), (1, 'kafka: 0 delivered, 5 wait\n'),
    'dead-letter retry does not help yet')
kafka.ask('config', topic='small', name='max.message.bytes', value='100000')
is_(command(rig, 'retry'), (0, 'kafka: 5 delivered, 0 wait\n'),
    'but does once the topic takes them')
ok(settles(rig, done=615, pending=0, dead_letters=0, lost=0),
   'then they are done')
is_(numbers('small')[0], list(range(615)), 'and in the topic')
is_(letters(rig), [], 'nothing is left in the list')
kafka.ask('config', topic='small', name='max.message.bytes', value='3000')
rig.push(4, size=4000)
ok(settles(rig, done=615, pending=4, dead_letters=4, lost=0), 'four more')
rig.kill()
rig.spool = os.path.join(rig.top, 'spool-2')
os.mkdir(rig.spool)
rig.start()
ok(rig.up() and len(letters(rig)) == 4,
   'the list has them where another spool is configured now')
is_(command(rig, 'retry'), (1, 'kafka: 0 delivered, 4 wait\n'),
    'and retry sends them')
with open(path, 'r+b') as file:
    line = file.readline()
    file.truncate(len(line) + 100)
is_(command(rig, 'retry'), (1, 'kafka: 0 delivered, 1 wait\n'),
    'a retry ends though somebody has truncated the file')
ok(settles(rig, done=615, pending=1, dead_letters=1, lost=3),
   'what is not there any more is lost, and counted')
rig.kill()
with open(path + '.retry', 'w', encoding='ascii') as file:
    file.write('5\n')
with subprocess.Popen([os.path.join(BUILD, 'beacond'), 'dead-letter', 'retry',
                       '-c', os.path.join(rig.ring, 'beacon.json')]) as asking:
    ok(wait_until(lambda: os.stat(path + '.retry').st_size == 0, 10),
       'what a helper that is gone told a retry is no answer to the next')
    asking.kill()
os.unlink(path + '.retry')
rig.sinks = rig.sinks[:1]
rig.start()
ok(wait_until(lambda: path + ' holds dead letters of the Kafka sink "kafka", '
              'which is configured no more' in rig.error_text(), 10),
   'a cluster that is configured no more has a line in the error log')
is_(len(letters(rig)), 1, 'and its letters are in the list')
is_(rig.stop(), 0, 'the helper ends well')
rig.remove()

# ---- a time that the broker does not take: it holds up no other

kafka.create('time', message__timestamp__after__max__ms=3600000)
rig = rig_of('time')
rig.push(300)
rig.push(5, start=int(time.time()) + 2 * 86400)
rig.push(300)
ok(settles(rig, done=600, pending=5, dead_letters=5, lost=0),
   'hits of the day after tomorrow are dead letters')
is_(numbers('time'), (small, 600), 'all others are in the topic, once')
like(letters(rig)[0]['reason'] if letters(rig) else '', 'imestamp',
     'the list has the reason')
kafka.ask('config', topic='time', name='message.timestamp.after.max.ms',
          value=str(30 * 86400000))
is_(command(rig, 'retry'), (0, 'kafka: 5 delivered, 0 wait\n'),
    'retry delivers them once the topic takes them')
ok(settles(rig, done=605, pending=0, dead_letters=0, lost=0),
   'then they are done')
is_(rig.stop(), 0, 'the helper ends well')
rig.remove()

# ---- missing, and the window full of it at once: parked before its 30 s

rig = rig_of('$beacon_site')
kafka.create('s1')
rig.push(4000, sites=2, rate=4000)
ok(settles(rig, done=2000, pending=2000, lost=0),
   'a topic that is missing pins no other')
ok(settles(rig, parked_hits=2000, pending=2000),
   'its hits are parked, and pending')
sink = rig.sink('kafka')
is_(list(sink['parked']), ['s0'], 'the status names it')
like(sink['parked']['s0']['reason'], 'nknown topic', 'with the reason')
is_(stat.S_IMODE(os.stat(os.path.join(rig.spool, 'kafka.parked', 's0'))
                 .st_mode), 0o640, 'in a file of mode 0640')
rig.kill()
rig.start()
rig.push(1000, sites=2)
ok(settles(rig, done=2500, pending=2500, lost=0), 'they outlive the helper')
kafka.create('s0')
ok(settles(rig, done=5000, pending=0, lost=0),
   'once the topic is there, all are done')
is_(numbers('s0'), (list(range(0, 5000, 2)), 2500), 'and in it, once')
is_([int(record.hit()['args']['n']) for record in kafka.read('s0')],
    list(range(0, 5000, 2)), 'in order')
ok(wait_until(lambda: not os.listdir(os.path.join(rig.spool,
                                                  'kafka.parked'))),
   'no file is left behind')
is_(rig.stop(), 0, 'the helper ends well')
rig.remove()

# ---- what waits is damaged while nobody looks


def damage(at, byte):
    with open(os.path.join(rig.spool, 'kafka.parked', 'bad'), 'r+b') as file:
        if byte is None:
            file.truncate(at)
            return
        file.seek(at)
        was = file.read(1)[0]
        file.seek(at)
        file.write(bytes([was ^ byte]))


for what, at, byte, left in (('its head', 3, 4, 0), ('its name', 12, 64, 0),
                             ('a frame', 30000, 1, None),
                             ('its end', 50000, None, None)):
    rig = Rig(spool=True, lane='2m')
    rig.sinks = [{'type': 'kafka', 'name': 'kafka', 'at': 'test:5',
                  'window': 400, 'brokers': kafka.plain, 'topic': 'bad',
                  'key': '$beacon_arg_n'}]
    rig.start()
    rig.push(500)
    ok(settles(rig, parked_hits=500, pending=500), 'hits are parked')
    rig.kill()
    damage(at, byte)
    rig.start()
    rig.up()
    kafka.create('bad')
    ok(settles(rig, pending=0, parked_hits=0), 'damage to %s' % what)
    sink = rig.sink('kafka')
    found = numbers('bad')
    if not ok(sink['lost'] > 0 and sink['done'] + sink['lost'] == 500
              and found == (found[0], sink['done']),
              'what it costs is lost, and counted; the rest arrives, once'):
        diag('%s, %d arrived' % (sink, found[1]))
    is_(sink['done'], left, 'all of it is') if left is not None else ok(
        sink['lost'] < 500, 'no more than is damaged')
    is_(os.path.exists(os.path.join(rig.spool, 'kafka.parked.bad.aside')),
        left is not None, 'a file that cannot be read is set aside')
    rig.says('"bad" are damaged', 'which is told')
    is_(rig.stop(), 0, 'the helper ends well')
    rig.remove()
    kafka.delete('bad')
    wait_until(lambda: 'bad' not in kafka.ask('count'), 20)

# ---- a death before there is any checkpoint

rig = Rig(spool=True, lane='2m')
rig.sinks = [{'type': 'kafka', 'name': 'kafka', 'at': 'test:5', 'window': 400,
              'brokers': kafka.plain, 'topic': 'late',
              'key': '$beacon_arg_n'}]
rig.start(BEACON_KILL_AT='kafka.after_park:200')
rig.push(1000, wait=False)
ok(rig.died(40), 'a helper dies while it parks its first hits')
rig.start()
ok(settles(rig, parked_hits=1000, pending=1000),
   'the next one parks all of them, once')
kafka.create('late')
ok(settles(rig, done=1000, pending=0, parked_hits=0, lost=0),
   'and delivers them')
is_(numbers('late'), (list(range(1000)), 1000), 'each once')
is_(rig.stop(), 0, 'the helper ends well')
rig.remove()

# ---- a clock that steps while hits are parked

DAY = 86400

if os.path.basename(BUILD) == 'build':
    rig = Rig(spool=True, lane='2m')
    rig.sinks = [{'type': 'kafka', 'name': 'kafka', 'at': 'test:5',
                  'window': 400, 'brokers': kafka.plain, 'topic': 'clock',
                  'key': '$beacon_arg_n'}]
    clock = Clock(rig.top)
    with clock:
        rig.start()
    for n, step in enumerate((0, -365 * DAY, 7200, -DAY)):
        clock.step(step)
        rig.push(500)
        ok(settles(rig, parked_hits=500 * (n + 1), pending=500 * (n + 1)),
           'hits are parked after a step of %d s' % step)
        if n > 1:
            rig.kill()
            with clock:
                rig.start()
    clock.step(-30 * DAY)
    kafka.create('clock')
    ok(settles(rig, done=2000, pending=0, parked_hits=0, lost=0),
       'and delivered after one more')
    is_(numbers('clock'), (list(range(2000)), 2000), 'each once')
    is_(rig.stop(), 0, 'the helper ends well')
    rig.remove()
else:
    skip('a sanitizer wants to be the first that is loaded', 7)

# ---- passwords


def core_limit(pid):
    with open('/proc/%d/limits' % pid) as file:
        return re.search(r'Max core file size +(\S+)', file.read()).group(1)


for properties, limit in (({}, 'unlimited'), (
        {'security.protocol': 'sasl_plaintext', 'sasl.mechanism': 'PLAIN',
         'sasl.username': 'u', 'sasl.password': 'p'}, '1')):
    rig = Rig()
    rig.sinks = [{'type': 'kafka', 'name': 'kafka', 'at': 'test:5',
                  'brokers': kafka.sasl, 'topic': 'small', 'properties': [
                      {'name': name, 'value': value, 'at': 'test:6'}
                      for name, value in properties.items()]}]
    soft = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (soft, soft))
    rig.start(**{name: os.environ.get(name, '') + ':disable_coredump=0'
                 for name in ('ASAN_OPTIONS', 'TSAN_OPTIONS')})
    if soft != resource.RLIM_INFINITY and limit != '1':
        limit = str(soft)
    ok(wait_until(lambda: core_limit(rig.helper.pid) == limit, 5),
       'the size of a core file with %d properties is limited to %s'
       % (len(properties), limit))
    rig.stop()
    rig.remove()

# a part of a secret is one, too: librdkafka quotes where it is wrong

SECRET = 'hunter2-hunter2'
rig = Rig()
rig.sinks = [{'type': 'kafka', 'name': 'kafka', 'at': 'test:5',
              'brokers': kafka.sasl, 'topic': 'small', 'properties': [
                  {'name': name, 'value': value, 'at': 'test:6'}
                  for name, value in (
                      ('security.protocol', 'sasl_plaintext'),
                      ('sasl.mechanism', 'OAUTHBEARER'),
                      ('enable.sasl.oauthbearer.unsecure.jwt', 'true'),
                      ('sasl.oauthbearer.config',
                       'principal=u %s=x' % SECRET))]}]
rig.start()
ok(wait_until(lambda: 'oauthbearer' in rig.error_text(), 10),
   'a token that cannot be made is told')
unlike(rig.error_text() + json.dumps(rig.books()), SECRET,
       'without what it was to be made of')
is_(rig.stop(), 0, 'the helper ends well')
rig.remove()

done_testing()
