"""A spy master and its edges, without nginx; and a feed of the test's own.

    master = Master(connect=[endpoint])     # or bind=
    edge = Edge('web1', bind=endpoint)
    feed = Feed(endpoint)                   # pyzmq: what an edge would say
    feed.hit('shop'); feed.beat('shop')
"""

import glob
import json
import os
import random

import zmq

from beacon_live import Store
from beacon_rig import Rig
from beacon_test import diag, ok, wait_until

MIB = 1 << 20


class Member(Rig):
    """A rig that comes again."""

    def again(self):
        """Killed, and started."""
        self.kill()
        self.start()
        return self.up()


class Master(Member):
    def __init__(self, size=64 * MIB, local=False, **collect):
        super().__init__()
        self.live = {'type': 'live', 'name': 'live', 'at': 'test:5',
                     'size': size, 'visitors': 300}
        self.collect = {'type': 'collect', 'name': 'collect', 'at': 'test:6',
                        **collect}
        self.sinks = [self.live, self.collect]
        if local:
            self.sinks.append({'type': 'log', 'name': 'log', 'at': 'test:7',
                               'path': os.path.join(self.logs, 'all.jsonl')})

    def status(self):
        return self.sink('collect')

    def store(self):
        return Store(self.ring)

    def told(self, sent, seconds=20, beat=None):
        """Until hits and gaps in the store are what was sent (of each site);
        the store.  beat(): heartbeats, again and again, until they are
        believed."""
        def there():
            if beat:
                beat()
            store = self.store()
            return store if store.there and all(
                name in store.sites and store.sites[name].told >= n
                for name, n in sent.items()) else None
        return wait_until(there, seconds, 0.1) or self.store()

    def check(self, name, sent, beat=None, **options):
        """Hits and gaps are what was sent; the store."""
        store = self.told(sent, beat=beat)
        bad = store.problems(sent, **options)
        if not ok(store.there and not bad, name):
            diag('\n'.join(bad[:10]))
            diag(json.dumps(self.status()))
            self.show_errors()
        return store


class Edge(Member):
    """A helper with a log and a spy feed.  Rings have their edge's name in a
    schema; fill_cli's is "edge" for all of them, so edges differ by that
    alone where the test wants it."""

    def __init__(self, lane='4m', **spy):
        super().__init__(lane=lane)
        spy.setdefault('ip', False)
        self.spy = {'type': 'spy', 'name': 'spy', 'at': 'test:5', **spy}
        self.sinks = [self.spy, {'type': 'log', 'name': 'log', 'at': 'test:6',
                                 'path': os.path.join(self.logs, 'a.jsonl')}]


class Feed:
    """Frames as the test wants them."""

    HIT = ('{"v":1,"id":"%s-0-%x","time":"%s","edge":"%s","site":"%s",'
           '%s"method":"GET","path":"/px.gif","args":{"n":"%d"}}')

    def __init__(self, endpoint, edge='web1', bind=True, keys=None, hwm=0):
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.XPUB)
        self.socket.setsockopt(zmq.XPUB_VERBOSE, 1)     # not the first alone
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.SNDHWM, hwm)
        if keys:
            (self.socket.curve_publickey, self.socket.curve_secretkey,
             self.socket.curve_serverkey) = keys
        (self.socket.bind if bind else self.socket.connect)(endpoint)
        self.edge = edge
        self.restart()
        self.n = 0

    def restart(self):
        self.feed = '%016x' % random.getrandbits(64)
        self.epoch = '%016x' % random.getrandbits(64)
        self.seq = {}

    def subscribed(self, n=2, seconds=10):
        """Once it has heard of so many subscriptions."""
        topics = []

        def heard():
            while self.socket.poll(10):
                topics.append(self.socket.recv())
            return len([t for t in topics if t[:1] == b'\1']) >= n
        return bool(wait_until(heard, seconds, 0))

    def line(self, site, edge=None, n=None, more='', time=None):
        self.n += 1
        return self.HIT % (self.epoch, self.n * 64,
                           time or '2026-11-22T09:00:00.%03dZ' % (self.n
                                                                 % 1000),
                           self.edge if edge is None else edge, site, more,
                           self.n if n is None else n)

    def next(self, site):
        self.seq[site] = self.seq.get(site, 0) + 1
        return self.seq[site]

    def send(self, topic, head, *rest):
        self.socket.send_multipart(
            [part.encode() if isinstance(part, str) else part
             for part in (topic, head) + rest])

    def head(self, site, seq, visitor='0123456789abcdef'):
        text = '%s %s %d' % (self.edge, self.feed, seq)
        return text + ' ' + visitor if visitor else text

    def hit(self, site, seq=None, line=None, visitor='0123456789abcdef'):
        seq = self.next(site) if seq is None else seq
        self.send('hit/%s/' % site, self.head(site, seq, visitor),
                  line or self.line(site))

    def skip(self, site, n=1):
        """Hits that are never sent."""
        for _ in range(n):
            self.next(site)

    def beat(self, site, seq=None):
        self.send('stat/%s/' % site,
                  self.head(site, self.seq[site] if seq is None else seq,
                            None))

    def close(self):
        self.socket.close(0)
        self.context.term()


def remove(*rigs):
    for rig in rigs:
        if rig.helper:
            rig.stop()
        rig.remove()


def stores(ring):
    return glob.glob(os.path.join(ring, 'live.*'))
