#!/usr/bin/python3
"""A spy master and feeds of the test's own: what is believed, what is a gap,
what comes twice, restarts of both."""

import glob
import os
import signal
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), 'lib'))
from beacon_test import *
from beacon_collect import Feed, Master, remove

port = free_port()
endpoint = 'tcp://127.0.0.1:%d' % port
feed = Feed(endpoint)
master = Master(connect=[endpoint])
master.start()
ok(feed.subscribed(), 'the master subscribes to hits and heartbeats')

# ---- hits, gaps

feed.skip('shop', 6)
feed.hit('shop')
ok(wait_until(lambda: master.store().hits() == 1, 10), 'a hit is in the store')
store = master.store()
is_(store.missing(), 0, 'a feed begins anywhere, without a gap')
is_(store.sites['shop'].hits[0][1]['args'], {'n': '1'}, 'it is that hit')
for n in range(10):
    feed.hit('shop')
    feed.hit('blog')
feed.skip('shop', 4)
feed.hit('shop')
store = master.check('what is missing is told with the next hit',
                     {'shop': 16, 'blog': 10})
is_((store.sites['shop'].missing, store.sites['blog'].missing), (4, 0),
    'of its site alone')
is_([b - a for (a, _), (b, _) in zip(store.sites['shop'].hits,
                                     store.sites['shop'].hits[1:])],
    [1] * 10 + [5], 'in its place')
feed.skip('shop', 3)
feed.beat('shop', seq=feed.seq['shop'] + 100000)
feed.beat('shop')
feed.beat('blog')
store = master.check('a heartbeat tells', {'shop': 19, 'blog': 10},
                     beat=lambda: feed.beat('shop'))
is_(store.missing(), 7, 'and once')
ok(wait_until(lambda: master.status().get('gap') == 7, 5),
   'the status counts it')
is_(master.status()['gaps'], {'web1': {'shop': 7}}, 'by edge and site')

# ---- what comes twice, or too late

feed.hit('shop', seq=feed.seq['shop'] - 3)
feed.hit('shop', seq=feed.seq['shop'] - 9)
feed.hit('shop', seq=2)
feed.beat('shop', seq=3)
feed.hit('shop')
master.check('nothing is put twice', {'shop': 20, 'blog': 10})
ok(wait_until(lambda: master.status()['repeated'] == 3, 5), 'repeats count')

# ---- what is not believed

line = feed.line
bad = [
    ('two frames of a hit', ('hit/shop/', feed.head('shop', 99))),
    ('four frames', ('hit/shop/', feed.head('shop', 99), line('shop'), 'x')),
    ('a heartbeat with a third', ('stat/shop/', feed.head('shop', 99, None),
                                  line('shop'))),
    ('no site', ('hit//', feed.head('shop', 99), line('shop'))),
    ('a site that is none', ('hit/.a/', feed.head('.a', 99), line('.a'))),
    ('a topic within', ('hit/shop/x/', feed.head('shop', 99), line('shop'))),
    ('another site', ('hit/shop/', feed.head('shop', 99), line('blog'))),
    ('another edge', ('hit/shop/', feed.head('shop', 99),
                      line('shop', edge='web2'))),
    ('another version', ('hit/shop/', feed.head('shop', 99),
                         line('shop').replace('{"v":1,', '{"v":2,'))),
    ('no JSON', ('hit/shop/', feed.head('shop', 99), line('shop')[:-1])),
    ('a key twice', ('hit/shop/', feed.head('shop', 99),
                     line('shop', more='"edge":"x",'))),
    ('bytes that are no UTF-8', ('hit/shop/', feed.head('shop', 99),
                                 line('shop').encode() + b'\xff')),
    ('a line break', ('hit/shop/', feed.head('shop', 99),
                      line('shop')[:-1] + ',"x":\n1}')),
    ('another one', ('hit/shop/', feed.head('shop', 99),
                     line('shop').replace('{"n"', '{\r"n"'))),
    ('no line at all', ('hit/shop/', feed.head('shop', 99), '')),
    ('no time', ('hit/shop/', feed.head('shop', 99),
                 line('shop', time='yesterday'))),
    ('the 30th of February', ('hit/shop/', feed.head('shop', 99), line(
        'shop', time='2026-02-30T00:00:00.000Z'))),
    ('24 o\'clock', ('hit/shop/', feed.head('shop', 99), line(
        'shop', time='2026-02-20T24:00:00.000Z'))),
    ('an address out of its place', (
        'hit/shop/', feed.head('shop', 99),
        line('shop')[:-1] + ',"ip":"203.0.113.7"}')),
    ('one that is written otherwise', (
        'hit/shop/', feed.head('shop', 99),
        line('shop')[:-1] + ',"a":{"b":[1,"\\""]},"\\u0069p" :"1.2.3.4"}')),
    ('a visitor out of its place', (
        'hit/shop/', feed.head('shop', 99),
        line('shop')[:-1] + ',"visitor":"Joe"}')),
    ('an argument that is a number', (
        'hit/shop/', feed.head('shop', 99),
        line('shop').replace('"args":{', '"args":{"a":1,'))),
    ('an argument that is an object', (
        'hit/shop/', feed.head('shop', 99),
        line('shop').replace('"args":{', '"args":{"a":{"b":"c"},'))),
    ('a number that is none', ('hit/shop/', 'web1 %s x y' % feed.feed,
                               line('shop'))),
    ('number 0', ('hit/shop/', 'web1 %s 0 y' % feed.feed, line('shop'))),
    ('a feed that is none', ('hit/shop/', 'web1 abc 99 y', line('shop'))),
    ('a visitor out of nowhere', ('hit/shop/', feed.head('shop', 99, 'Joe'),
                                  line('shop'))),
    ('a quote in the visitor', ('hit/shop/', feed.head('shop', 99, 'a"b'),
                                line('shop'))),
    ('an absurd number', ('stat/shop/', feed.head('shop', 1 << 52, None))),
    ('an absurd hit', ('hit/shop/', feed.head('shop', 1 << 52),
                       line('shop'))),
]
for n, (name, frames) in enumerate(bad):
    feed.send(*frames)
    ok(wait_until(lambda: master.status().get('ignored') == n + 1, 5),
       name + ' is ignored, and counted') or diag(str(master.status()))
feed.hit('shop')
store = master.check('nothing of it shows', {'shop': 21, 'blog': 10})
is_(store.missing(), 7, 'nor is it a gap')
master.says(r'ignored \d+ frames, the last because', 'the log says why')
master.once_a_minute('ignored', 'once a minute')

# ---- one that has its own visitor, and an address

feed.hit('shop', visitor='own \\"one\\"',
         line=feed.line('shop', more='"visitor":"own \\"one\\"",'
                                     '"ip":"203.0.113.7",'))
ok(wait_until(lambda: master.store().sites['shop'].taken == 15, 5),
   'a hit may have an address, and a visitor with quotes')

# ---- a frame of a gigabyte; an edge begins anew

other = Feed('tcp://127.0.0.1:%d' % free_port(), edge='web2')
other.close()
feed.send('hit/shop/', feed.head('shop', feed.next('shop')),
          bytes(64 << 20))
ok(feed.subscribed(), 'who sends too much is cut off, and may come again')
feed.hit('shop')
store = master.told({'shop': 24})
is_((store.sites['shop'].told, store.sites['shop'].missing), (24, 8),
    'what was too long is a gap')
feed.restart()
feed.skip('shop', 100)
feed.hit('shop', line=feed.line('shop', time='1999-01-01T00:00:00.000Z'))
feed.skip('shop', 2)
feed.hit('shop', line=feed.line('shop', time='1999-01-01T00:00:00.100Z'))
store = master.told({'shop': 28})
is_((store.sites['shop'].told, store.sites['shop'].missing), (28, 10),
    'an edge that begins anew, years ago, has no gap but its own')

# ---- the master is away

before = store.sites['shop'].told
master.send(signal.SIGSTOP)
for n in range(2000):
    feed.hit('shop')
feed.skip('shop', 50)
master.send(signal.SIGCONT)
store = master.told({'shop': before + 2050}, beat=lambda: feed.beat('shop'))
is_(store.sites['shop'].told, before + 2050,
    'a master that was stopped knows of each hit')
before += 2050
is_(master.stop(), 0, 'the master ends')
for n in range(20):
    feed.hit('shop')
master.start()
feed.subscribed()
feed.hit('shop')
store = master.told({'shop': before + 21})
is_(store.sites['shop'].told, before + 21,
    'one that was away counts what it missed')
before += 21
for n in range(count(5, 50)):
    feed.hit('shop')
    feed.hit('blog')
    master.again()
    feed.subscribed()
store = master.told({'shop': before + n + 1}, beat=lambda: (
    feed.beat('shop'), feed.beat('blog')))
is_(store.sites['shop'].told, before + n + 1,
    'so does one that is killed again and again')
ok(not store.problems({name: site.told for name, site in
                       store.sites.items()}, number=None), 'nothing is twice')
master.balance('the books balance')
is_(master.stop(), 0, 'the master ends')

# ---- a collector without a store; a store that goes and comes

master.sinks.remove(master.live)
done = tool('beacond', '-t', '-c', master.configure(), check=False)
ok(done.returncode == 1 and 'test:6: a collector needs a live store'
   in done.stdout, 'a collector needs a live store') or diag(done.stdout)
master.sinks.insert(0, master.live)
master.start()
feed.subscribed()
feed.hit('shop')
wait_until(lambda: master.status().get('hits') == 1)
master.live['size'] = 32 << 20
feed.hit('shop')
ok(master.reload(), 'the store is made anew at a reload')
feed.hit('shop')
feed.hit('shop')
ok(wait_until(lambda: master.store().hits() >= 2, 10), 'and goes on')
os.unlink(glob.glob(os.path.join(master.ring, 'live.' + '?' * 16))[0])
ok(wait_until(lambda: feed.hit('shop') or master.store().hits() >= 2, 20, 0.1),
   'also when its file was removed')
is_(master.stop(), 0, 'the master ends')
remove(master)
feed.close()

# ---- no store for a while

path = os.path.join('/tmp', 'beacon-test-%d.sock' % os.getpid())
master = Master(bind=['ipc://' + path])
places = os.path.join(master.ring, 'live.places')
os.mkdir(places)                        # it is a file, where there is a store
master.start()
ok(wait_until(lambda: os.path.exists(path), 10), 'a master without a store')
feed = Feed('ipc://' + path, bind=False)
ok(feed.subscribed(), 'has an edge')
feed.hit('shop')
ok(wait_until(lambda: 'no live store' in master.status().get('last_error', ''),
              10), 'which waits, as the status says')
is_(master.status()['peers'], 1, 'it is there')
feed.close()
ok(wait_until(lambda: master.status()['peers'] == 0, 10), 'and goes')
os.rmdir(places)
ok(wait_until(lambda: master.store().hits() == 1, 20),
   'once there is a store its hit is in it')
ok(wait_until(lambda: 'last_error' not in master.status(), 10), 'all is well')
is_(master.stop(), 0, 'the master ends')
remove(master)
os.unlink(path)

# ---- more edges than there are descriptors

master = Master(bind=['ipc://' + path])
master.start(nofile=200)
ok(master.up() and wait_until(lambda: os.path.exists(path), 10),
   'a master that listens')
feed = Feed('ipc://' + path, bind=False)
ok(feed.subscribed(), 'and has an edge')
peers = []
while len(peers) < 1000 and master.status().get('turned_away', 0) < 100:
    for _ in range(50):                 # who is silent for 10 s makes room
        peer = socket.socket(socket.AF_UNIX)
        peer.connect(path)
        peers.append(peer)
ok(wait_until(lambda: master.status()['turned_away'] >= 100, 10),
   'peers that there is no room for are turned away')
is_(master.helper.poll(), None, 'the master lives')
feed.hit('shop')
master.check('the edge notices nothing', {'shop': 1})
for peer in peers:
    peer.close()
feed.close()
is_(master.stop(), 0, 'the master ends')
remove(master)
if os.path.exists(path):
    os.unlink(path)

done_testing()
