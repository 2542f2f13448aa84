#!/usr/bin/python3
"""The live API under load: 10,000 streams in one worker, some of which do not
read; a flood of queries that read much; more sites and visitors than the store
has room for.  Hits are taken all the while, and memory is bounded."""

import os
import re
import resource
import select
import signal
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_live import Store                   # noqa: E402
from beacon_rig import Rig                      # noqa: E402
from beacon_view import Live                    # noqa: E402

STREAMS = 10000
SLOW = 100                      # of these, that do not read
HITS = 20
LARGE = 3000
KB = 1024
MIB = 1 << 20


def descriptors(wanted):
    """True if this process, and its children, may open so many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE,
                           (max(soft, wanted), max(hard, wanted)))
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= wanted


def private(pid):
    """Bytes that are the process's own."""
    with open('/proc/%d/smaps_rollup' % pid, encoding='ascii') as file:
        return sum(int(line.split()[1]) * KB for line in file
                   if line.startswith(('Private_Dirty', 'Private_Clean')))


class Crowd:
    """Streams, and what they got."""

    def __init__(self, port, count, target, small=False):
        request = ('GET /live/v1/%s HTTP/1.1\r\nHost: a\r\n\r\n'
                   % target).encode()
        self.poll = select.epoll()
        self.socks, self.got = {}, {}
        for _ in range(count):
            sock = socket.socket()
            if small:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.connect(('127.0.0.1', port))
            sock.sendall(request)
            self.socks[sock.fileno()] = sock
            self.got[sock.fileno()] = bytearray()
            self.poll.register(sock.fileno(), select.EPOLLIN)

    def read(self, enough, seconds=120):
        """Until enough(bytes) is true of each; how many of them."""
        left = {fd for fd, got in self.got.items() if not enough(got)}
        deadline = time.monotonic() + seconds
        while left and time.monotonic() < deadline:
            for fd, _ in self.poll.poll(1):
                data = self.socks[fd].recv(1 << 20)
                if not data:
                    self.poll.unregister(fd)
                self.got[fd] += data
                if enough(self.got[fd]):
                    left.discard(fd)
        return len(self.got) - len(left)

    def forget(self):
        self.got = {fd: bytearray() for fd in self.got}

    def close(self):
        for sock in self.socks.values():
            sock.close()


# ---- 10,000 streams

if not descriptors(STREAMS + 500):
    skip('a process may open %d files here, not %d' % (
        resource.getrlimit(resource.RLIMIT_NOFILE)[0], STREAMS + 500))
else:
    env = Env(workers=1, ring_options='lane_size=16m',
              main='worker_rlimit_nofile %d;' % (STREAMS + 500),
              values={'CONNECTIONS': str(2 * STREAMS + 200)}, http='''
        beacon_live size=16m;
        server {
            listen 127.0.0.1:%%PORT2%% sndbuf=16k;
            location /live/ { beacon_live_view; beacon_live_sites *; }
        }
    ''', server='location /live/ { beacon_live_view; beacon_live_sites *; }')
    port = free_port()
    env.options['values']['PORT2'] = str(port)
    env.configure()
    env.start()
    live = Live(env)
    ok(live.there(), 'the store is there')
    live.hit(n='first')
    live.hit('other', n='first')
    live.settle()
    worker = env.worker_pids()[0]
    before = private(worker)
    crowd = Crowd(env.port, STREAMS - SLOW, 'shop/stream?fields=short')
    slow = Crowd(port, SLOW, 'other/stream', small=True)
    is_((crowd.read(lambda got: b'event: beat' in got),
         slow.read(lambda got: b'event: beat' in got)),
        (STREAMS - SLOW, SLOW), '%d streams are open in one worker' % STREAMS)
    each = (private(worker) - before) / STREAMS
    diag('%.1f KB of the worker for a stream' % (each / KB))
    if 'address' not in BUILD:
        ok(each < 12 * KB, 'each of them takes bounded memory')

    for n in range(HITS):
        live.hit(n=n, url='https://a.example/%d' % n)
    pages = re.compile(rb'"page":"a\.example/(\d+)"')
    whole = [b'%d' % n for n in range(HITS)]
    is_(crowd.read(lambda got: got.count(b'"page":"a.ex') >= HITS),
        STREAMS - SLOW, 'all who read are told of each hit')
    is_({tuple(map(bytes, pages.findall(got))) for got in crowd.got.values()},
        {tuple(whole)}, 'in order, once')

    late = [live.stream('/v1/shop/stream') for _ in range(150)]
    sent_away = sum(stream.status == 503 for stream in late)
    is_((sent_away, env.status()['live']['refused']['stream']), (50, 50),
        'so many more than half of the connections are sent away, and counted')
    for stream in late:
        stream.client.close()

    crowd.forget()
    before = private(worker)
    live.hit('other', count=LARGE, pad='x' * 2000)
    live.hit(url='https://a.example/last')
    ok(live.settle(), 'hits are taken beside them')
    is_(crowd.read(lambda got: b'a.example/last' in got), STREAMS - SLOW,
        'others do not notice who does not read')
    grown = private(worker) - before
    diag('%d that do not read: %.1f KB of the worker each' % (
        SLOW, grown / SLOW / KB))
    if 'address' not in BUILD:
        ok(grown < SLOW * 80 * KB + 8 * MIB,
           'who does not read holds a block of 64 KB, not more')
    is_((env.status()['capture']['refused'], env.worker_pids()),
        (0, [worker]), 'no hit was refused')
    for sock in slow.socks.values():
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    end = live.cursor('other')
    tail = (': %s\n' % end).encode()
    is_(slow.read(lambda got: tail in got[-8192:]), SLOW,
        'once they read they come to the end')

    def told(got):
        return (got.count(b'\ndata: {"v"')
                + sum(map(int, re.findall(rb'\ndata: \{"gap":(\d+)\}', got))))
    is_({told(got) for got in slow.got.values()}, {LARGE},
        'and know of each hit that it is there, or missed')

    ok(env.reload(30), 'a reload with %d streams open' % STREAMS)
    ok(wait_until(lambda: not proc.alive(worker), 30),
       'lets the old worker go')
    crowd.close()
    slow.close()
    live.conforms()
    env.stop()

# ---- a flood of queries beside hits

QUERIES, TAKEN = 300, 100

env = Env(workers=1, ring_options='lane_size=16m', values={
    'CONNECTIONS': '4096'}, http='''
    beacon_live size=24m;
    beacon_visitor $beacon_arg_vid;
    log_format order '$request_method $uri $args $status';
''', server='''
    location /live/ {
        beacon_live_view;
        beacon_live_sites *;
        access_log %%ROOT%%/order order;
    }
    location = /hit.gif {
        beacon gif;
        beacon_site shop;
        access_log %%ROOT%%/order order;
    }
''')


def order(wanted):
    """What was asked for, in the order of the access log, which has it a
    little later than who asked has the answer."""
    def lines():
        with open(os.path.join(env.root, 'order'), encoding='ascii') as file:
            found = [line.split()[1] for line in file if 'limit=0' not in line
                     and 'sites' not in line]
        return found if len(found) >= wanted else None
    return wait_until(lines) or []


env.start()
live = Live(env)
ok(live.there(), 'the store is there')
live.hit(count=3000, pad='x' * 2000)
live.settle()
since = live.cursor().split('.')[0] + '.0'
worker = env.worker_pids()[0]
proc.send(worker, signal.SIGSTOP)
flood = [env.client() for _ in range(QUERIES)]
for client in flood:
    client.send(client.format('/live/v1/shop/hits?args.e=never&since=' + since))
hits = [env.client() for _ in range(TAKEN)]
for client in hits:
    client.send(client.format('/hit.gif'))
proc.send(worker, signal.SIGCONT)
is_({client.response().status for client in hits}, {200},
    'hits are taken beside %d queries that read 4 MB each' % QUERIES)
for client in flood:
    client.sock.settimeout(120)
is_({client.response().json()['gap'] for client in flood}, {0},
    'which are answered, too')
for client in flood + hits:
    client.close()
answered = order(TAKEN + QUERIES)
is_((answered.count('/hit.gif'), len(answered)), (TAKEN, TAKEN + QUERIES),
    'each of them is in the access log')
ok('/live/v1/shop/hits' not in answered[:TAKEN],
   'every hit before any of the queries')

# who is connected already is there in one round of the event loop

for n in range(600):
    live.hit(vid='v%d' % n)
live.settle()
flood = [env.client() for _ in range(QUERIES)]
hits = [env.client() for _ in range(TAKEN)]
for client in flood + hits:
    client.request('/live/v1/sites')
os.truncate(os.path.join(env.root, 'order'), 0)
proc.send(worker, signal.SIGSTOP)
for client in flood:
    client.send(client.format('/live/v1/shop/visitors?limit=500'))
for client in hits:
    client.send(client.format('/hit.gif'))
proc.send(worker, signal.SIGCONT)
is_({client.response().status for client in hits}, {200},
    'hits are taken beside %d lists of visitors' % QUERIES)
is_({len(client.response().json()['visitors']) for client in flood}, {500},
    'which come, too')
for client in flood + hits:
    client.close()
answered = order(TAKEN + QUERIES)
behind = answered[:len(answered) - answered[::-1].index('/hit.gif')]
diag('%d lists were before the last of %d hits'
     % (len(behind) - TAKEN, TAKEN))
ok(len(behind) < 2 * TAKEN, 'most lists wait until the hits are taken')
env.stop()

# ---- more sites, and more visitors, than there is room for


class Stored(Rig):
    def __init__(self, size):
        super().__init__(lane='16m')
        self.size = size
        self.sinks = [
            {'type': 'live', 'name': 'live', 'at': 'test:5', 'size': size,
             'visitors': 10},
            {'type': 'log', 'name': 'log', 'at': 'test:6', 'path':
             os.path.join(self.logs, 'all.jsonl'), 'sync': 'off'}]

    def through(self):
        """The log has all; the store, or it is known that it has not."""
        return self.sink('log')['done'] >= self.next and (
            self.sink('live')['done'] + self.sink('live')['lost'] >= self.next)

    def flood(self, total, what, **options):
        """total hits, a part at a time; the helper's growth."""
        path = os.path.join(self.logs, 'all.jsonl')
        self.start()
        self.push(1000, wait=True)
        ok(self.wait(name='live') and self.wait(), 'a helper with a store')
        base = private(self.helper.pid)
        while self.next < total:
            self.push(min(200000, total - self.next), wait=False, size=0,
                      **options)
            ok(self.pushed(300) and wait_until(self.through, 300, 0.1),
               '%d hits are done with' % self.next)
            os.truncate(path, 0)
        grown = private(self.helper.pid) - base
        diag('%d %s: the helper has grown by %.1f MB, %s' % (
            self.next, what, grown / MIB, self.sink('live')))
        return grown


for what, options in (('sites', {'sites': 1 << 40}),
                      ('visitors', {'visitors': 1 << 40})):
    rig = Stored(32 * MIB)
    grown = rig.flood(count(400000, 10000000), what, **options)
    if 'address' not in BUILD:
        ok(grown < 48 * MIB, 'the helper is bounded, whatever comes')
    wait_until(lambda: rig.sink('live')['hits'] == rig.sink('live')['done'])
    sink = rig.sink('live')
    is_(sink['hits'], sink['done'], 'each hit that is done is in the store')
    is_(sink['done'] + sink['lost'] + sink['pending'], rig.books()['accepted'],
        'the books balance')
    stored = [name for name in os.listdir(rig.ring)
              if re.fullmatch('live.[0-9a-f]{16}', name)]
    is_([os.stat(os.path.join(rig.ring, name)).st_size for name in stored],
        [32 * MIB], 'the store is as large as it was')
    ok(sink['sites' if what == 'sites' else 'visitors'] > 1000
       and sink['sites'] < 4000 and sink['visitors'] < 30000,
       'and full of %s' % what)
    ok(sink['overflow' if what == 'sites' else 'evicted_visitors'] > 0
       or sink['evicted_sites'] > 0, 'the others are counted')
    store = Store(rig.ring)
    ok(all(not site.order(name, 'n') for name, site in store.sites.items()),
       'what is there is in order, once')
    is_(rig.stop(), 0, 'the helper ends')
    rig.remove()

done_testing()
