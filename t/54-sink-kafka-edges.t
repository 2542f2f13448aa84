#!/usr/bin/python3
"""Edges of what waits on the spool's disk: how far Kafka had got when the ring
went; the disk's last room; keys that are no ASCII; a broker that takes seconds
to answer, for hits and for many dead letters."""

import json
import os
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_kafka import Cluster                # noqa: E402
from beacon_kafka_fault import ends, settles    # noqa: E402
from beacon_rig import Rig                      # noqa: E402

kafka = Cluster().start()
proxy = kafka.proxies[0]
only = os.environ.get('ONLY', 'parked journal slow room key').split()
WINDOW = 400


class EdgeRig(Rig):
    """Kafka alone, unless log."""

    min_free = 0

    def __init__(self, topic, brokers=None, log=False, key='$beacon_arg_n'):
        super().__init__(spool=True, lane='16m')
        self.sinks = [{'type': 'kafka', 'name': 'kafka', 'at': 'test:5',
                       'brokers': brokers or kafka.plain, 'topic': topic,
                       'window': WINDOW, 'key': key, 'properties': [
                           {'name': 'compression.codec', 'value': 'none',
                            'at': 'test:6'}]}]
        if log:
            self.sinks.append({'type': 'log', 'name': 'log', 'at': 'test:1',
                               'path': os.path.join(self.logs, self.path)})

    def configure(self):
        name = super().configure()
        with open(name, encoding='utf-8') as file:
            conf = json.load(file)
        conf['spool']['min_free'] = self.min_free
        with open(name, 'w', encoding='utf-8') as file:
            json.dump(conf, file)
        return name

    def checkpoint(self, directory):
        try:
            with open(os.path.join(directory, 'kafka.checkpoint'),
                      encoding='utf-8') as file:
                return file.read()
        except OSError:
            return None

    def copied(self):
        """The spool has a copy of what is in the ring's directory."""
        text = self.checkpoint(self.ring)
        return text and text == self.checkpoint(self.spool)

    def reboots(self):
        """Nothing is left of the ring's directory."""
        self.kill()
        shutil.rmtree(self.ring)
        os.mkdir(self.ring)
        self.epoch = self.tool('fill_cli', self.ring, 'new', 16 << 20, 128)


def cut(away=True):
    proxy.refuse = away
    if away:
        proxy.reset()


def numbers(topic):
    return sorted(int(record.hit()['args']['n'])
                  for record in kafka.read(topic))


def letter(what, rig):
    return [os.path.join(BUILD, 'beacond'), 'dead-letter', what, '-c',
            os.path.join(rig.ring, 'beacon.json')]


def half_way(rig, topic):
    """Half of 4000 hits are delivered, which the copy knows, and the ring
    goes."""
    start = rig.sink('kafka')['done']
    proxy.rate = 400000
    cut(False)
    ok(wait_until(lambda: rig.sink('kafka')['done'] > start + 2000, 60, 0.02),
       'they begin to go out')
    cut()
    proxy.heal()
    proxy.refuse = True
    if not ok(wait_until(rig.copied, 20), 'the spool has a copy of how far '
              'they got'):
        diag(rig.checkpoint(rig.ring), rig.checkpoint(rig.spool))
    rig.reboots()
    before = len(numbers(topic))
    ok(2000 < before < 4000 - WINDOW, 'not all of them have')
    cut(False)
    rig.start()
    ok(wait_until(lambda: len(set(numbers(topic))) == 4000, 60, 0.5),
       'after a reboot the rest does')
    ok(settles(rig, pending=0, lost=0, parked_hits=0), 'nothing waits')
    found = numbers(topic)
    is_(sorted(set(found)), list(range(4000)), 'all hits are there')
    if not ok(len(found) - 4000 <= WINDOW, 'at most the window is doubled'):
        diag('%d of 4000, %d before the reboot' % (len(found), before))


# ---- the ring goes while hits are parked

if 'parked' in only:
    rig = EdgeRig('a-$beacon_site', kafka.proxied)
    rig.start()
    rig.push(4000)
    ok(settles(rig, done=0, parked_hits=4000, lost=0), 'hits are parked')
    cut()
    kafka.create('a-s0')
    half_way(rig, 'a-s0')
    ends(rig)

# ---- and while they are in the journal

if 'journal' in only:
    kafka.create('b')
    rig = EdgeRig('b', kafka.proxied)
    cut()
    rig.start()
    rig.push(4000)
    ok(wait_until(lambda: rig.books().get('spool', 0) > 0, 20),
       'hits are in the journal')
    half_way(rig, 'b')
    ends(rig)

# ---- a broker that takes seconds to answer: judged below

if 'slow' in only:
    kafka.create('slow', max__message__bytes=1000)
    slow_rig = EdgeRig('slow', kafka.proxied)
    slow_rig.sinks[0]['properties'].append(
        {'name': 'max.in.flight', 'value': '1', 'at': 'test:7'})
    slow_rig.start()
    slow_rig.push(9, size=3000)
    ok(settles(slow_rig, dead_letters=9, pending=9, lost=0),
       'letters wait')
    kafka.ask('config', topic='slow', name='max.message.bytes',
              value='100000')
    proxy.delay = 2
    slow_began = time.monotonic()
    slow_retry = subprocess.Popen(letter('retry', slow_rig), text=True,
                                  stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE)
    slow_rig.push(1000, rate=10, size=100, wait=False)

# ---- the spool's disk would have less than min_free

if 'room' in only:
    kafka.create('r-s1', max__message__bytes=1000)
    rig = EdgeRig('r-$beacon_site')
    if os.geteuid() != 0 or not rig.mount(
            ['-t', 'tmpfs', '-o', 'size=64m', 'none'], rig.spool):
        skip('no mount here', 7)
    else:
        rig.min_free = 50
        filler = os.path.join(rig.spool, 'filler')
        with open(filler, 'wb') as file:
            file.write(bytes(33 << 20))
        rig.start()
        free = os.statvfs(rig.spool).f_bavail
        rig.push(360, sites=2, size=3000)
        told = ['']

        def tells():
            told.append(rig.sink('kafka').get('last_error', ''))
            return 'min_free' in told[-1]

        ok(wait_until(tells, 60), 'no room: the status tells')
        like(told[-1],
             'no room for (parked hits|dead letters) in %s' % rig.spool,
             'of what, and where')
        rig.once_a_minute('no room for', 'the error log, once a minute')
        ok(wait_until(lambda: rig.sink('kafka').get('topics_parked'), 60),
           'the topic that is missing is parked')
        sink = rig.sink('kafka')
        is_((sink['done'], sink['parked_hits'], sink['dead_letters'],
             sink['lost'], sink['pending']), (0, 0, 0, 0, 360),
            'nothing is written, nothing lost')
        ok(free - os.statvfs(rig.spool).f_bavail < 64,
           'the disk keeps its room')
        os.unlink(filler)
        ok(settles(rig, parked_hits=180, dead_letters=180, lost=0,
                   pending=360), 'all is written once there is')
    ends(rig)

# ---- the key of a dead letter

if 'key' in only:
    KEYS = ['\u03ba\u03bb\u03b5\u03b9\u03b4\u03af', '\u00e9\u00ff\u0080',
            '"\\\u007f\t', 'plain']
    kafka.create('k', max__message__bytes=1000)
    rig = EdgeRig('k', key='$beacon_field_zone')
    rig.start()
    rig.push(4, size=3000, field=','.join(KEYS))
    ok(settles(rig, dead_letters=4, pending=4, lost=0),
       'letters wait whose keys are no ASCII')
    kafka.ask('config', topic='k', name='max.message.bytes', value='100000')
    is_(subprocess.run(letter('retry', rig), timeout=60, check=False,
                       stdout=subprocess.PIPE).stdout,
        b'kafka: 4 delivered, 0 wait\n', 'a retry sends them')
    is_({int(record.hit()['args']['n']): record.key
         for record in kafka.read('k')}, dict(enumerate(KEYS)),
        'each with its key, byte for byte')
    ends(rig)

# ---- the slow broker

if 'slow' in only:
    ok(wait_until(lambda: slow_rig.sink('kafka').get('rtt_ms', 0) >= 4000, 60),
       'the round-trip time is that of a broker that takes 4 s to answer')
    seen = set()
    wait_until(lambda: seen.add(slow_rig.sink('kafka')['rtt_ms']), 5, 0.1)
    if not ok(min(seen) >= 4000, 'also where no answer has come for a while'):
        diag(sorted(seen))
    try:
        out, said = slow_retry.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        slow_retry.kill()
        out, said = slow_retry.communicate()
    took = time.monotonic() - slow_began
    is_((slow_retry.returncode, out, said),
        (0, 'kafka: 9 delivered, 0 wait\n', ''),
        'dead-letter retry waits as long as it gets on')
    ok(took > 35, 'which took long enough to see it')   # one at a time, 4 s
    proxy.heal()
    for pusher in slow_rig.pushers:
        pusher.kill()
        pusher.wait()
    slow_rig.pushers = []
    ends(slow_rig)

done_testing()
