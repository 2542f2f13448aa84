#!/usr/bin/python3
"""The helper dies at every named point of the live store and its sink, and at
random under load; the store holds what was sent, each hit once, in the order
of its lane, and gaps for the rest."""

import glob
import os
import random
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_collect import Feed, Master, Member  # noqa: E402
from beacon_fault import RingFile               # noqa: E402
from beacon_live import wait_told               # noqa: E402

MIB = 1 << 20
seed()

# What has to happen for a point to be passed, where a load of few sites does
# not: a store made anew, more sites than it has slots, hits larger than what
# is left of a chunk, a death before, a gap, a ring that is nearly full.
NEW, SITES, LARGE, DEAD, FEED, TIGHT = range(6)
NEEDS = {'live.made': NEW, 'live.named': NEW, 'live.retired': NEW,
         'live.evict': SITES, 'live.evicted': SITES,
         'live.site_take': SITES, 'live.site_made': SITES,
         'live.fragment': LARGE, 'live.undone': DEAD, 'live.rebuilt': DEAD,
         'live.passed': TIGHT, 'live.collected': FEED, 'live.before_gap': FEED,
         'live.after_gap': FEED}
SITES_MAX = 5


class Live(Member):
    def __init__(self, size=8 * MIB, names=SITES_MAX):
        super().__init__(lane='8m')
        self.live = {'type': 'live', 'name': 'live', 'at': 'test:5',
                     'size': size, 'visitors': 1}
        self.sinks = [self.live,
                      {'type': 'log', 'name': 'log', 'at': 'test:6',
                       'path': os.path.join(self.logs, 'all.jsonl')}]
        self.names = names

    def fill(self, count, **options):
        return self.push(count, sites=self.names, **options)

    def sent(self):
        return {'s%d' % i: len(range(i, self.next, self.names))
                for i in range(self.names)}

    def settled(self, seconds=30):
        """Until nothing is pending: what a full ring had no room for is not
        done, but lost, and told."""
        def over():
            sink = self.sink('live')
            return (sink.get('done', 0) + sink.get('lost', 0) >= self.next
                    and sink['pending'] == 0)
        return wait_until(over, seconds, 0.02)

    def judge(self, name):
        store = wait_told(self.ring, self.sent())
        bad = store.problems(self.sent())
        books = self.books()
        bad += ['%s: %s' % (key, sink)
                for key, sink in books['sinks'].items()
                if sink['done'] + sink['lost'] + sink['pending']
                != books['accepted']]
        if not ok(store.there and not bad, name):
            diag('\n'.join(bad[:10]))
            diag(str(self.sink('live')))
            self.show_errors(8)
        return store


def points():
    return [line.split('\t')[0]
            for line in tool('beacond', '--points').stdout.splitlines()
            if line.startswith('live.')]


def killed_at(rig, point, nth):
    """Starts a helper that dies there; False: it does not come by."""
    need = NEEDS.get(point)
    rig.start(BEACON_KILL_AT='%s:%d' % (point, nth))
    if need == NEW:
        rig.live['size'] = (24 * MIB) - rig.live['size']
        rig.up()
        rig.reload() if rig.helper.poll() is None else None
    rig.fill(600, size=12000 if need == LARGE else 300, wait=False)
    return rig.died(40)


# ---- at each point, in a store that goes on

rig = Live()
rig.start()
wait_until(lambda: rig.sink('live').get('hits') == 0)
for _ in range(8):                      # until all chunks are somebody's
    rig.fill(2000, size=600)
    rig.settled()
rig.stop()
for point in points():
    if NEEDS.get(point) in (SITES, DEAD, FEED, NEW, TIGHT):
        continue
    often = point not in ('live.noted', 'live.put')     # once a batch
    ok(killed_at(rig, point, random.choice((1, 2, 7)) if often else 1),
       'the helper dies at %s' % point) or rig.kill()
    rig.start()
    rig.pushed()
    rig.settled()
    rig.judge('nothing is lost or doubled by that')
    rig.stop()

rig.remove()

# ---- when the ring has no room for what the store lacks

for nth in (1, 2, 7):
    rig = Live(size=128 * MIB)          # making it takes longer than the log
    rig.fill(2000, size=12000, wait=False)
    ring = RingFile(os.path.join(rig.ring, 'ring.' + rig.epoch))
    ok(wait_until(lambda: any(
        lane['tail'] - lane['reclaim'] > 7 * MIB for lane in ring.headers()),
        30), 'a ring is full before there is a helper')
    rig.start(BEACON_KILL_AT='live.passed:%d' % nth)
    ok(rig.died(60), 'the helper dies at live.passed') or rig.kill()
    rig.start(BEACON_KILL_AT='live.noted')      # a batch, or a hole alone
    ok(rig.died(60), 'the next one dies with what it has found untold') \
        or rig.kill()
    rig.start()
    ok(rig.pushed(60) and rig.settled(), 'the next one goes on')
    rig.fill(SITES_MAX)                 # with which it tells of sites that had
    rig.settled()                       # none in the store
    store = rig.judge('what the ring had no room for is told, to the hit')
    diag('%d of %d told' % (store.missing(), rig.next))
    is_(rig.sink('live')['missed_unknown'], 0, 'no hit is of an unknown site')
    rig.stop()
    rig.remove()

# ---- while sites go and come

rig = Live(names=1000000)               # each hit is of another one
for point in ('live.site_take', 'live.site_made', 'live.evict',
              'live.evicted'):
    rig.start(BEACON_KILL_AT=point + ':50')
    for _ in range(8):                  # who is here now is not put out
        rig.fill(400, wait=False)
        if rig.died(2):
            break
    ok(rig.helper is None, 'the helper dies at %s' % point) or rig.kill()
    rig.start()
    rig.pushed()
    rig.settled()
    bad = []
    for name, site in wait_told(rig.ring, {}, 1).sites.items():
        bad += site.order(name, 'n')
    ok(not bad, 'nothing stands there twice') or diag('\n'.join(bad[:10]))
    rig.stop()
rig.remove()

# ---- while it opens a store that somebody left in the middle of a hit

rig = Live()
for point in ('live.undone', 'live.rebuilt'):
    killed_at(rig, 'live.counted', 3)
    rig.start(BEACON_KILL_AT=point)
    ok(rig.died(40), 'the helper dies at %s' % point) or rig.kill()
    rig.start()
    rig.pushed()
    rig.settled()
    rig.judge('the next one finds it whole')
    rig.stop()

# ---- while another store is made

for point in ('live.made', 'live.named', 'live.retired'):
    before = rig.next
    ok(killed_at(rig, point, 1), 'the helper dies at %s' % point) \
        or rig.kill()
    rig.start()
    rig.pushed()
    ok(rig.settled() and wait_until(
        lambda: wait_told(rig.ring, {}, 1).there, 10),
       'there is a store after that')
    bad = []
    for name, site in wait_told(rig.ring, {}, 1).sites.items():
        bad += site.order(name, 'n')
    ok(not bad, 'nothing stands in it twice') or diag('\n'.join(bad))
    rig.stop()
ok(len([name for name in glob.glob(os.path.join(rig.ring, 'live.*'))
        if len(os.path.basename(name)) == 21]) == 1,
   'of all that were made one is left') \
    or diag(str(os.listdir(rig.ring)))
rig.remove()

# ---- at random, under load, with reloads

rig = Live(size=64 * MIB)
rig.start()
rig.up()
for n in range(count(12, 200)):
    rig.fill(2000, rate=4000, wait=False)
    time.sleep(random.uniform(0, 0.4))          # any moment is as good
    if n % 4 == 3:
        rig.live['visitors'] = 1 + n % 3
        rig.reload()
    rig.kill()
    rig.start()
    rig.pushed()
rig.settled()
store = rig.judge('%d helpers that were killed under load lost and doubled '
                  'nothing' % count(12, 200))
is_(store.missing(), 0, 'there is no gap')
is_(rig.sink('live')['missed_unknown'], 0, 'nor a hit that nobody knows of')
tally('live store writers killed', count(12, 200))
rig.stop()
rig.remove()

# ---- in a flood, from five lanes, and killed in it

rig = Live(size=64 * MIB)
rig.start()
for n in range(count(3, 30)):
    for _ in range(5):
        rig.fill(10000, wait=False)
    time.sleep(random.uniform(0, 0.2))          # any moment is as good
    rig.kill()
    rig.start()
    rig.pushed(60)
rig.settled(60)
store = rig.judge('what a flood had no room for is told, to the hit')
diag('%d of %d told' % (store.missing(), rig.next))
is_(rig.sink('live')['missed_unknown'], 0, 'no hit is of an unknown site')
rig.stop()
rig.remove()

# ---- stopped, under load

def started():
    """Its signals are its own from here on; its sinks have hardly begun."""
    return wait_until(lambda: 'started, configuration %d\n' % rig.generation
                      in rig.error_text(), 30)


rig = Live(size=64 * MIB)
for n in range(count(12, 100)):
    rig.fill(1000, rate=4000, wait=False)
    rig.start()
    ok(started(), 'a helper starts')
    time.sleep(random.choice((0, random.uniform(0, 0.3))))  # any moment
    is_(rig.stop(random.choice((signal.SIGTERM, signal.SIGQUIT)), 60), 0,
        'a stop under load')
rig.start()
rig.pushed()
rig.settled()
# the one before may have done all of it: this one has hardly begun
wait_until(lambda: 'missed_unknown' in rig.sink('live'), 30)
store = rig.judge('stops lost and doubled nothing')
is_(store.missing(), rig.sink('live')['lost'],
    'a gap is what the books say is lost')
is_(rig.sink('live')['missed_unknown'], 0, 'nor a hit that nobody knows of')
rig.stop()
rig.remove()

# ---- a store of another version is set aside

rig = Live()
rig.start()
rig.fill(100)
rig.settled()
rig.stop()
store, = [name for name in glob.glob(os.path.join(rig.ring, 'live.*'))
          if len(os.path.basename(name)) == 21]
with open(store, 'r+b') as file:
    file.seek(8)
    file.write(b'\x63')
rig.start()
rig.fill(50)
ok(wait_until(lambda: os.path.exists(store + '.aside'), 10),
   'a store of another version is set aside')
ok(wait_until(lambda: wait_told(rig.ring, {}, 1).hits() >= 50, 10),
   'and another one made')
rig.stop()
rig.remove()

# ---- a master that dies at the points of feeds

endpoint = 'tcp://127.0.0.1:%d' % free_port()
feed = Feed(endpoint)
master = Master(connect=[endpoint])
master.start()
feed.subscribed()
feed.hit('shop')
ok(wait_until(lambda: master.store().hits() == 1, 10), 'a master has a hit')
master.kill()
for point in ('live.collected', 'live.before_gap', 'live.after_gap',
              'live.before_commit', 'live.after_commit'):
    master.start(BEACON_KILL_AT=point + ':2')
    feed.subscribed()
    for n in range(4):
        feed.hit('shop')
        feed.skip('shop', 2)
        feed.beat('shop')
    dead = wait_until(lambda: feed.skip('shop') or feed.beat('shop')
                      or master.helper.poll(), 40)
    ok(dead and master.died(), 'the master dies at %s' % point) \
        or master.kill()
master.start()
feed.subscribed()
feed.hit('shop')
sent = {'shop': feed.seq['shop']}
store = master.told(sent)
is_(store.sites['shop'].told, sent['shop'],
    'hits and gaps are what was sent, to the hit')
ok(not store.problems(sent), 'nothing is there twice') \
    or diag(str(store.problems(sent)))
master.balance('the books balance')
master.stop()
master.remove()
feed.close()

done_testing()
