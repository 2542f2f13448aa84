#!/usr/bin/python3
"""The spool: a durable sink that lags hurts no other and loses nothing, until
the spool is full; the spool outlives the ring's directory and damage."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402

seed()


class Spool:
    """A ring, a log whose directory is missing at first, a file of ids."""

    def __init__(self, size=50000000, lane=262144):
        self.ring = tempfile.mkdtemp(prefix='beacon-test.', dir='/dev/shm')
        self.out = tempfile.mkdtemp(prefix='beacon-test.')
        self.spool = os.path.join(self.out, 'spool')
        self.log = os.path.join(self.out, 'log')
        self.size, self.lane = size, lane
        self.helper = None
        self.create()

    def create(self):
        self.epoch = tool('push_cli', 'create', self.ring, self.lane,
                          4).stdout.strip()
        conf = {'v': 2, 'generation': 1, 'build': 'x', 'layout': 2,
                'edge': 'e', 'ring': {'dir': self.ring, 'epoch': self.epoch,
                                      'lane_size': self.lane, 'lanes': 4},
                'helper': {'threads': 1},
                'spool': {'dir': self.spool, 'size': self.size,
                          'min_free': 0},
                'sinks': [{'type': 'log', 'name': 'log',
                           'path': self.log + '/hits.jsonl', 'sync': 'off'},
                          {'type': 'ids', 'name': 'ids',
                           'path': self.out + '/ids'}]}
        self.conf = os.path.join(self.ring, 'beacond.json')
        with open(self.conf, 'w', encoding='utf-8') as file:
            json.dump(conf, file)

    def start(self, **environ):
        with open(os.path.join(self.out, 'errors'), 'ab') as errors:
            self.helper = subprocess.Popen(
                [os.path.join(BUILD, 'beacond'), '-c', self.conf],
                stderr=errors, stdin=subprocess.DEVNULL,
                env={**os.environ, **environ})

    def stop(self, signum=signal.SIGTERM):
        self.helper.send_signal(signum)
        return self.ended(20)

    def ended(self, seconds):
        """Its exit code."""
        return self.helper.wait(seconds * slow())

    def push(self, count, **options):
        done = tool('push_cli', 'push', self.ring, self.epoch, count,
                    *['%s=%s' % item for item in options.items()])
        return done.stdout.split()

    def books(self):
        done = tool('books_cli', self.ring, check=False)
        try:
            return json.loads(done.stdout)
        except ValueError:
            return None

    def ids(self):
        try:
            with open(self.out + '/ids', encoding='ascii') as file:
                return file.read().split()
        except FileNotFoundError:
            return []

    def logged(self):
        try:
            with open(self.log + '/hits.jsonl', 'rb') as file:
                return [json.loads(line)['id'] for line in file]
        except FileNotFoundError:
            return []

    def journal(self):
        return [name for name in os.listdir(self.spool)
                if name.startswith('journal.')]

    def settled(self, accepted=0):
        """Nothing is pending of so many hits at least."""
        books = self.books()
        return books is not None and books['accepted'] >= accepted and all(
            sink['pending'] == 0 for sink in books['sinks'].values())

    def errors(self):
        with open(os.path.join(self.out, 'errors'), encoding='utf-8') as file:
            return file.read()

    def finish(self, name):
        self.stop()
        unlike(self.errors(), r'\[alert\]', name + ': the books balance')
        shutil.rmtree(self.ring)
        shutil.rmtree(self.out)


# ---- one that lags

began = time.monotonic()
s = Spool()
s.start()
sent = s.push(20000)
ok(wait_until(lambda: sorted(s.ids()) == sorted(sent), 20),
   'a sink that cannot write holds up neither workers nor another sink')
os.mkdir(s.log)
ok(wait_until(lambda: len(s.logged()) >= len(sent), 20),
   'it catches up when it can')
is_(s.logged(), sent, 'it has each hit once, in order')
wait_until(s.settled)
ok(wait_until(lambda: not s.journal()),
   'the journal is gone when all have it')
for n in range(3):
    os.rename(s.log, s.log + '.away')
    sent += s.push(20000)
    ok(wait_until(lambda: len(s.ids()) >= len(sent), 20),
       'it lags again, nobody else does')
    os.rename(s.log + '.away', s.log)
    ok(wait_until(lambda: s.settled(len(sent)) and not s.journal(), 20),
       'and catches up')
is_(s.logged(), sent, 'with each hit once, in order')
for text in ('a sink lags', 'no sink lags'):
    lines = [line for line in s.errors().splitlines()
             if 'beacond: ' + text in line]
    if not ok(1 <= len(lines) <= 1 + (time.monotonic() - began) / 60,
              '"%s" is told, once a minute' % text):
        diag('\n'.join(lines))
s.finish('lag')

# ---- the spool full

s = Spool(size=1000000)
s.start()
sent = s.push(20000)
os.mkdir(s.log)
ok(wait_until(lambda: s.settled(len(sent)) and len(s.ids()) >= len(sent), 20),
   'a full spool holds up nobody while another sink takes hits')
is_(sorted(s.ids()), sorted(sent), 'the other sink has all of them')
books, logged = s.books()['sinks'], s.logged()
ok(0 < books['log']['lost'] < len(sent), 'the one that lags loses hits')
is_(books['log']['done'], len(logged), 'what is done is in the log')
is_(books['log']['done'] + books['log']['lost'], len(sent),
    'what is not, is counted')
is_(logged[:500], sent[:500], 'the oldest are kept')
ok(wait_until(lambda: re.search(r'"log" lost \d+ hits', s.errors())),
   'it is logged')
s.finish('full')

# ---- a reboot, and damage

for damaged in (False, True):
    s = Spool()
    s.start()
    sent = s.push(8000)
    ok(wait_until(lambda: len(s.ids()) == len(sent)
                  and (s.books() or {}).get('sinks'), 20),
       'hits are in the spool')
    tail = s.push(1)        # one more, which may stay in the ring
    wait_until(lambda: len(s.ids()) == len(sent) + 1)
    s.stop()                        # drains what is left into the spool
    shutil.rmtree(s.ring)
    os.mkdir(s.ring, 0o700)
    os.mkdir(s.log)
    if damaged:
        names = [os.path.join(s.spool, name) for name in os.listdir(s.spool)
                 if name.startswith('journal.')]
        for name in names:
            with open(name, 'r+b') as file:
                end = os.path.getsize(name)
                for _ in range(20):
                    file.seek(random.randrange(64, end))
                    byte = file.read(1)
                    file.seek(-1, os.SEEK_CUR)
                    file.write(bytes([byte[0] ^ 0x55]))
    s.create()
    s.start()
    ok(wait_until(lambda: s.settled(1), 20), 'the spool drains after a reboot')
    wait_until(lambda: len(s.logged()) >= len(sent) + 1 - 20 * damaged)
    logged = s.logged()
    is_(len(logged), len(set(logged)), 'no hit twice')
    if damaged:
        ok(len(sent) - 20 <= len(logged) < len(sent) + 1
           and set(logged) <= set(sent + tail),
           'damage costs what it hits: %d' % (len(sent) - len(logged)))
    else:
        is_(logged, sent + tail, 'all of them, in order')
    is_(sorted(s.ids()), sorted(sent + tail),
        'the sink that had them gets none again')
    s.finish('reboot')

# ---- rings of an earlier geometry

for point in ('engine.before_retire', 'engine.after_retire'):
    s = Spool()
    os.mkdir(s.log)
    sent = s.push(100)
    old = s.epoch
    s.create()
    sent += s.push(100)
    s.start(BEACON_KILL_AT=point)
    is_(s.ended(30), -signal.SIGKILL, 'killed at ' + point)
    s.start()
    ok(wait_until(lambda: not os.path.exists(s.ring + '/ring.' + old), 30),
       'a drained ring goes')
    ok(wait_until(lambda: s.settled() and s.books()['accepted'] == 200),
       'its hits are counted once')
    is_(sorted(s.logged()), sorted(sent), 'and logged once')
    s.finish('retired')


# ---- killed before the spool's first cursors.json

s = Spool()
s.start(BEACON_KILL_AT='engine.after_reclaim:1')
worker = subprocess.Popen(
    [os.path.join(BUILD, 'push_cli'), 'push', s.ring, s.epoch, '3000',
     'rate=3000'], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
is_(s.ended(30), -signal.SIGKILL, 'killed once the ring gave back what '
    'is spooled')
try:
    os.unlink(s.spool + '/cursors.json')
except FileNotFoundError:
    pass
os.mkdir(s.log)
s.start()
sent = worker.communicate()[0].split()
wait_until(lambda: s.settled() and len(s.logged()) >= len(sent), 20)
is_(s.logged(), sent, 'a sink that has nowhere said where it stands gets what '
    'is in the spool')
s.finish('cursors')

# ---- killed at every point

points = [line.split('\t')[0] for line in tool('beacond', '--points')
          .stdout.splitlines() if line.startswith(('engine.', 'spool.'))
          and 'retire' not in line and 'aside' not in line]
for point in points:
    s = Spool(size=3000000, lane=131072)
    worker = subprocess.Popen(
        [os.path.join(BUILD, 'push_cli'), 'push', s.ring, s.epoch, '3000',
         'rate=3000'], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
        text=True)
    kills = 0
    for n in range(1, 5):
        s.start(BEACON_KILL_AT='%s:%d' % (point, n))
        try:
            s.helper.wait(0.8)
        except subprocess.TimeoutExpired:
            s.helper.kill()
            s.helper.wait()
        kills += 1
        if n == 3:
            os.mkdir(s.log)
    s.start()
    sent = worker.communicate()[0].split()
    wait_until(lambda: s.settled() and len(s.logged()) >= len(sent)
               and len(s.ids()) >= len(sent), 20)
    is_(s.logged(), sent, 'killed at %s: the log has each hit once' % point)
    is_(sorted(s.ids()), sorted(sent), 'so has the other sink')
    s.finish(point)
    tally('kills of the helper', kills)

done_testing()
