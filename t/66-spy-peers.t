#!/usr/bin/python3
"""The spy feed with peers who want little, or send what they should not: what
they cost is bounded, and others do not notice."""

import os
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(__file__), 'lib'))
from beacon_test import *
from beacon_collect import Feed, Master, remove
from beacon_spy_rig import MB, SpyRig, flood, lure

# ---- one that wants a rare site, and does not read

rig = SpyRig()
sub = rig.subscribe()
rig.sleeper(2, 'hit/s7/')
marks = []
for _ in range(20):                     # it is cut off when silent for 15 s
    rig.push(4000, sites=40, rate=12000)
    rig.known(sub, 60)
    marks.append([rig.sink('spy').get(key, 0)
                  for key in ('queued', 'queued_bytes')])
ok(rig.known(sub), 'beside one that wants a fortieth, and does not read')
ok(max(marks)[0] > 100, 'its hits are queued')
is_([mark for mark in marks if mark[1] > mark[0] * 1500 + 200000], [],
    'and they alone take memory')
diag('%d queued, %.1f MB' % (max(marks)[0], max(marks)[1] / MB))
rig.rest()
rig.end()

# ---- a flood of sites, and then quiet

SITES = 5000
rig = SpyRig()
sub = rig.subscribe()
rig.push(SITES, wait=False, sites=SITES, size=0, rate=20000)
ok(rig.known(sub), 'a flood of sites')
ok(rig.until(lambda: len({stat[0] for stat in sub.stats}) == SITES),
   'each of them has heartbeats')
late = rig.subscribe(2, topics=[b'stat/'])
ok(rig.until(lambda: len({stat[0] for stat in late.stats}) == SITES),
   'and for who comes late')
if count(0, 1):
    ok(rig.until(lambda: rig.quiet(late, 3), 120),
       'none any more, once they had no hit for a minute')
    rig.push(1, sites=1, size=0)
    ok(rig.until(lambda: len(late.stats) > 0), 'but again for one that has')
    ok(not rig.until(lambda: len({stat[0] for stat in late.stats}) > 1, 3),
       'and for no other')
    again = rig.subscribe(3, topics=[b'stat/'])
    ok(rig.until(lambda: len({stat[0] for stat in again.stats}) == SITES),
       'and for all, when somebody comes')
rig.end()

# ---- messages that never end; subscriptions that never end

PARTS = b'\x01\x00' * 30000             # 64 bytes of memory each
rig = SpyRig()
base = rig.rss()
sub = rig.subscribe()
rig.push(10)
ok(sub.got(10), 'a subscriber')
sanitized = bool(os.path.dirname(os.environ.get('BEACON_BUILD', '')))
if sanitized:
    skip('memory under a sanitizer')
else:
    ok(flood(rig.endpoint, PARTS, 60 * MB),
       'one that begins a message and never ends it is cut off')
    rig.bounded(rig.rss() - base, 500 * MB, 'the helper is bounded')
    diag('grown by %.1f MB' % ((rig.rss() - base) / MB))
    ok(rig.until(lambda: rig.rss() - base < 100 * MB, 20),
       'and gives it back')
rig.push(10)
ok(sub.got(20), 'hits go on')
ok(sanitized or rig.until(lambda: rig.spy('cut') == 1), 'it is counted') \
    or (rig.show_errors(), diag(str(rig.sink('spy'))))
end = threading.Event()


def mad():
    """Subscribes, and ends it, and subscribes; comes again when cut off."""
    while not end.is_set():
        flood(rig.endpoint, b'\x00\x02\x01x\x00\x02\x00x' * 10000,
              10000 * MB, end=end)


thread = threading.Thread(target=mad)
thread.start()
ok(rig.until(lambda: rig.spy('subscribers') == 2),
   'one that has subscriptions without end')
for n in range(5):
    rig.push(2)
    rig.until(lambda: len(sub.hits) == 22 + 2 * n, 60)
is_(len(sub.hits), 30, 'hits go on beside it')
end.set()
thread.join()
diag('%d were cut off' % rig.spy('cut'))
is_((sub.gap, rig.spy('resets')), (0, 0), 'nobody else was cut off')
rig.end()

# ---- an edge like that

path = os.path.join('/tmp', 'beacon-test-%d.sock' % os.getpid())
master = Master(bind=['ipc://' + path])
master.start()
feed = Feed('ipc://' + path, bind=False)
ok(feed.subscribed(), 'a master with an edge')
feed.hit('shop')
ok(wait_until(lambda: master.store().hits() == 1, 10), 'which has a hit')
if not sanitized:
    ok(flood('ipc://' + path, PARTS, 60 * MB, b'PUB'),
       'another never ends its message, and is cut off')
feed.hit('shop')
master.check('the edge is not', {'shop': 2})
is_(master.status()['gap'], 0, 'it misses nothing')
feed.close()
is_(master.stop(), 0, 'the master ends')
remove(master)
if os.path.exists(path):
    os.unlink(path)

# ---- one that we come to, who never had a peer before

if sanitized:
    skip('memory under a sanitizer')
else:
    master = Master(connect=['ipc://' + path])
    master.start()
    ok(lure('ipc://' + path, PARTS, 60 * MB),
       'an edge that a master connects to is cut off, too')
    os.unlink(path)
    feed = Feed('ipc://' + path)
    ok(feed.subscribed(seconds=20), 'it comes again')
    feed.hit('shop')
    ok(wait_until(lambda: master.store().hits() == 1, 10), 'and has a hit')
    feed.close()
    is_(master.stop(), 0, 'the master ends')
    remove(master)
    os.unlink(path)
    tail = subprocess.Popen([os.path.join(BUILD, 'beacond'), 'tail',
                             'ipc://' + path], stderr=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL)
    ok(lure('ipc://' + path, PARTS, 60 * MB), 'so it is by a tail')
    os.unlink(path)
    tail.terminate()
    is_(tail.wait(20 * slow()), 0, 'which ends well')

done_testing()
