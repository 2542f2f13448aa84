#!/usr/bin/python3
"""The spy feed with subscribers that are slow, asleep, stopped or mad; with
too many sites; with addresses that are taken.  Nobody else is to notice."""

import os
import re
import signal
import socket
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), 'lib'))
from beacon_test import *
from beacon_spy import Subscriber
from beacon_spy_rig import MB, SpyRig, greet

# ---- slower than the feed

rig = SpyRig()
sub = rig.subscribe()
rig.push(1)
ok(sub.got(1), 'a subscriber has the first hit')
rig.push(count(300000, 3000000))        # nobody polls meanwhile
ok(rig.wait(seconds=60), 'the log has all while the subscriber sleeps')
rig.check('each once')
ok(rig.known(sub), 'it wakes up, and knows what it has missed')
is_(len(sub.hits) + sub.gap, rig.next,
    'to the hit: what came and what is missing is all that was')
ok(sub.gap > 1000, 'which is much')
numbers = [int(hit.line['args']['n']) for hit in sub.hits]
is_(numbers, sorted(set(numbers)), 'what came is in order, each once')
numbers = [hit.seq for hit in sub.hits]
is_(numbers, sorted(set(numbers)), 'and so are its numbers')
ok(rig.until(lambda: rig.spy('queued') == 0
             and rig.spy('sent') + rig.spy('lost') == rig.next),
   'nothing is queued any more')
told, lost = rig.spy('dropped'), rig.spy('lost')
is_((rig.spy('sent') + lost, rig.spy('missed')), (rig.next, lost),
    'the status knows what was sent, and what the sink itself missed')
ok(0.7 * sub.gap <= told + lost <= 1.3 * sub.gap + 1000,
   'and about how much was dropped')
diag('received %d, missing %d; the status says %d dropped, %d missed' % (
    len(sub.hits), sub.gap, told, lost))
before = sub.gap
rig.push(100, rate=1000)
ok(rig.known(sub), 'it keeps up now')
is_(sub.gap, before, 'and misses nothing more')
rig.end()

# ---- asleep, stopped

rig = SpyRig()
base = rig.rss()
sub = rig.subscribe()
rig.sleeper(2)
stopped = rig.sleeper(3)
stopped.send_signal(signal.SIGSTOP)
good = True
while good and rig.next < 80000 and rig.spy('dropped') <= 30000:
    good = rig.lead(sub, 1, 4000, rate=12000)   # they are cut off after 15 s
ok(good, 'beside two that do not read, a third')
is_((len(sub.hits), sub.gap), (rig.next, 0), 'gets everything')
ok(rig.wait(), 'so does the log')
rig.check('each once')


def cut():
    """It took so long that the stopped one, who does not come again, is."""
    return rig.spy('subscribers') < 3


ok(rig.until(lambda: rig.spy('dropped') > 30000 or cut()),
   'that the two miss most is in the status')
is_(rig.spy('lost'), 0, 'the sink itself missed nothing')
mark = max(rig.marks)
ok(mark < 30 * MB, 'what is queued for them is bounded')
ok(mark > 10 * MB or cut(), 'and is not little')
grown = rig.rss() - base
rig.bounded(grown, 64 * MB, 'and the helper is bounded, too')
diag('queued %.1f MB, the helper has grown by %.1f MB' % (mark / MB,
                                                         grown / MB))
stopped.send_signal(signal.SIGCONT)
rig.rest()
ok(rig.until(lambda: rig.spy('queued') == 0 and rig.spy('subscribers') == 1),
   'when they are gone, nothing is')
pushed = rig.spy('dropped')
rig.push(1000, rate=5000)
ok(rig.known(sub) and rig.until(lambda: rig.spy('sent') == rig.next),
   'more hits')
is_((rig.spy('dropped'), sub.gap), (pushed, 0), 'none of them is dropped')
rig.end()

# ---- asleep, with hits of 60 KB

rig = SpyRig()
base = rig.rss()
sub = rig.subscribe()
rig.sleeper(2)
rig.push(1)
ok(sub.got(1), 'a first hit')
ok(rig.lead(sub, 20, 60, size=110000), 'large hits, 130 MB of them')
is_(len(sub.hits) + sub.gap, rig.next, 'what comes and what is missing is all')
ok(rig.until(lambda: rig.spy('resets') >= 1),
   'connections were made anew, for memory\'s sake')
ok(len(sub.hits) > 700, 'who lives gets most')
rig.bounded(rig.rss() - base, 160 * MB, 'the helper is bounded')
ok(rig.wait(), 'the log has all')
rig.check('each once')
diag('received %d of %d, %d resets, grown by %.1f MB' % (
    len(sub.hits), rig.next, rig.spy('resets'), (rig.rss() - base) / MB))
rig.rest()
rig.end()

# ---- more sites than are remembered

rig = SpyRig()
sub = rig.subscribe(topics=[b'hit/s1', b'stat/s11'])
SITES = count(1000000, 10000000)
base = rig.rss()
rig.push(SITES, wait=False, sites=SITES, size=0)
ok(rig.until(lambda: rig.spy('done') + rig.spy('lost') >= rig.next,
             seconds=180), '%d sites' % SITES)
grown = rig.rss() - base
rig.push(70000, wait=False, sites=70000, size=0, rate=50000)
ok(rig.until(lambda: rig.spy('done') + rig.spy('lost') >= rig.next),
   'some again, whose numbers were forgotten')
sub.quiet(1.5)
is_(rig.spy('sites'), 65536, 'so many are remembered')
is_(rig.spy('evicted') + 65536 >= SITES, True, 'the others are not')
rig.bounded(grown, 48 * MB, 'memory is bounded')
again = {}
for hit in sub.hits:
    again.setdefault((hit.site, hit.feed), []).append(hit.seq)
is_([key for key, seqs in again.items() if seqs != sorted(set(seqs))], [],
    'no number comes twice in a feed')
is_({seq for seqs in again.values() for seq in seqs}, {1},
    'one that was forgotten begins anew')
ok(len({site for site, _ in again}) < len(again), 'in a feed of its own')
is_(sub.gap, 0, 'which nobody takes for a gap')
ok(rig.wait(seconds=60), 'the log has all')
diag('%d sites, %d of their hits came, grown by %.1f MB' % (
    SITES, len(sub.hits), grown / MB))
rig.end()

# ---- mad subscribers

rig = SpyRig()
sub = rig.subscribe()
rig.push(1)
ok(sub.got(1), 'a subscriber')
many = Subscriber(rig.endpoint, topics=[b'x%d' % n for n in range(100100)])
ok(rig.until(lambda: rig.spy('resets') >= 1, 30),
   'one with more than 100,000 subscriptions is cut off')
many.close()
ok(rig.until(lambda: rig.spy('subscriptions') == 1), 'others come back')
resets = rig.spy('resets')
many = Subscriber(rig.endpoint, topics=[b'x%0999d' % n for n in range(4300)])
ok(rig.until(lambda: rig.spy('resets') > resets, 30),
   'so is one whose subscriptions are long')
many.close()
ok(rig.until(lambda: rig.spy('subscriptions') == 1), 'others come back again')


def zmtp(data):
    """Says hello as ZeroMQ does, and sends these bytes; True if cut off."""
    with socket.socket(socket.AF_UNIX) as sock:
        greet(sock, rig.endpoint)
        try:
            sock.sendall(data)
            while sock.recv(4096):
                pass
        except ConnectionError:
            pass
        except TimeoutError:
            return False
        return True


base = rig.rss()
ok(zmtp(b'\x02' + struct.pack('>Q', 1 << 30) + bytes(1000)),
   'who announces a frame of 1 GB is cut off')
ok(zmtp(b'\x02' + struct.pack('>Q', 1 << 63)), 'or of 2^63 bytes')
ok(zmtp(b'\x02' + struct.pack('>Q', 1025) + b'\1' + bytes(1024)),
   'or subscribes to more than 1,024 bytes')
ok(zmtp(os.urandom(5000)), 'or sends nonsense')
rig.bounded(rig.rss() - base, 8 * MB, 'and takes no memory')
rig.push(100)
ok(rig.known(sub), 'the others go on')
with socket.socket(socket.AF_UNIX) as sock:
    greet(sock, rig.endpoint)
    sock.sendall(b'\x00\x02\x00x' * 100)
    ok(rig.until(lambda: rig.spy('subscriptions') == 0),
       'one ends subscriptions that it never had')
    hits = len(sub.hits)
    rig.push(100)
    ok(rig.known(sub), 'the others still go on')
    is_((len(sub.hits) - hits, sub.gap), (100, 0), 'and miss nothing')
rig.end()

# ---- more peers than there are descriptors

for limit in (200, 64):
    rig = SpyRig(nofile=limit)
    sub = rig.subscribe()
    rig.push(10)
    ok(sub.got(10), 'a subscriber, of %d descriptors' % limit)
    peers = []
    while len(peers) < 1000 and rig.spy('turned_away') < 100:
        for _ in range(200 if limit == 64 else 10):
            peer = socket.socket(socket.AF_UNIX)
            peer.setblocking(False)
            peers.append(peer)
            try:
                peer.connect(rig.endpoint[6:])
            except OSError:
                break           # the backlog is full
    ok(rig.until(lambda: rig.spy('turned_away') >= 100),
       'peers that there is no room for are turned away')
    is_(rig.helper.poll(), None, 'the helper lives')
    rig.push(10)
    ok(sub.got(20) and rig.wait(), 'hits go to the subscriber and to the log')
    is_((sub.gap, rig.spy('resets'), rig.spy('subscriptions')), (0, 0, 1),
        'who was there notices nothing')
    for peer in peers:
        peer.close()
    ok(rig.until(lambda: rig.spy('subscribers') == 1), 'they leave')
    late = rig.subscribe(2)
    rig.push(1)
    ok(rig.until(lambda: len(late.hits) == 1), 'and there is room again')
    rig.end()

# ---- addresses that are taken

rig = SpyRig()
port = free_port()
rig.stop()
taken = socket.socket()
taken.bind(('127.0.0.1', port))
taken.listen()
path = os.path.join(rig.top, 'taken.sock')
living = socket.socket(socket.AF_UNIX)
living.bind(path)
living.listen()
stale = os.path.join(rig.top, 'stale.sock')
with socket.socket(socket.AF_UNIX) as dead:
    dead.bind(stale)
plain = os.path.join(rig.top, 'plain')
open(plain, 'w').close()
rig.sinks[1]['bind'] = ['tcp://127.0.0.1:%d' % port, 'ipc://' + path,
                        'ipc://' + stale, 'ipc://' + plain]
rig.endpoint = 'ipc://' + stale
rig.start()
rig.up()
sub = rig.subscribe()
ok(os.path.exists(stale), 'the socket of a dead process is replaced')
ok(rig.until(lambda: 'cannot bind' in str(rig.spy('last_error'))),
   'an address that is taken shows in the status')
rig.push(100)
ok(rig.known(sub) and rig.wait(), 'the other endpoint and the log go on')
rig.once_a_minute('cannot bind', 'it is told once a minute')
living.settimeout(0)
for _ in range(100):
    try:
        living.accept()[0].close()
    except BlockingIOError:
        break
ok(os.path.isfile(plain), 'a file that is no socket is left alone')
living.close()
taken.close()
os.unlink(plain)
tcp = Subscriber('tcp://127.0.0.1:%d' % port)
rig.subs.append(tcp)
ok(rig.until(lambda: rig.spy('subscriptions') == 2, 40),
   'once they are free they are taken')
ok(rig.until(lambda: not rig.spy('last_error'), 40), 'and all is well')
rig.push(10)
ok(tcp.got(10), 'hits come there, too')
rig.end()

# ---- README's lines

with open(os.path.join(TOP, 'README.md'), encoding='utf-8') as file:
    lines = re.search(r'\n\n((?:    .*\n)*    import zmq\n(?:    .*\n)+)',
                      file.read()).group(1)
is_(lines.count('\n'), 10, 'README reads the feed in ten lines')
rig = SpyRig()
code = re.sub('^    ', '', lines, flags=re.M) \
    .replace('ipc:///run/beacon/spy.sock', rig.endpoint).replace('shop', 's0')
read = os.path.join(rig.top, 'read')
reader = subprocess.Popen(['/usr/bin/python3', '-c', code],
                          stdout=open(read, 'wb'))
rig.others.append(reader)
ok(rig.until(lambda: rig.spy('subscriptions') == 2), 'they subscribe')
rig.push(1000, rate=2000)


def seen():
    """Hits, and what is missing, as they print it."""
    with open(read, encoding='utf-8') as file:
        words = [line.rstrip('\n').split(' ', 1) for line in file
                 if line.endswith('\n')]
    return (len([w for w in words if len(w) > 1]), sum(int(w[0])
                                                       for w in words))


ok(rig.until(lambda: seen() == (1000, 0)), 'and print each hit')
reader.send_signal(signal.SIGSTOP)
rig.push(150000)
ok(rig.wait(seconds=60), 'stopped for a while')
reader.send_signal(signal.SIGCONT)
ok(rig.until(lambda: sum(seen()) == rig.next, 30),
   'they know to the hit what they have missed')
ok(seen()[1] > 1000, 'which is much')
diag('README\'s lines: %d hits, %d missing' % seen())
rig.rest()
rig.end()

done_testing()
