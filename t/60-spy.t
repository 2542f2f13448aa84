#!/usr/bin/python3
"""The spy feed: its frames, who gets what, heartbeats, late and early
subscribers, and what a reload, a death and a new start do to it."""

import json
import os
import re
import stat
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), 'lib'))
from beacon_test import *
from beacon_spy import Subscriber, feed, feed_until, subscribed

SERVER = '''
    location = /v.gif {
        beacon gif;
        beacon_site $beacon_arg_site;
        beacon_visitor $beacon_arg_vid;
    }'''

env = Env(http='beacon_spy;', server=SERVER, workers=1)  # one lane, one order
env.start()
sock = os.path.join(env.ring, 'spy.sock')
endpoint = 'ipc://' + sock
ok(wait_until(lambda: os.path.exists(sock)),
   'the feed is bound to a socket in the ring\'s directory')
is_(stat.S_IMODE(os.stat(sock).st_mode), 0o660, 'its mode is 0660')

# ---- nobody there

for n in range(20):
    env.get('/px.gif?site=shop&n=%d' % n)
ok(env.wait_drained(accepted=20), 'hits without a subscriber are done')
status = feed(env)
is_((status['type'], status['sent'], status['queued'], status['sites'],
     status['lost']), ('spy', 0, 0, 0, 0),
    'none was made into frames, nor counted')

# ---- frames

sub = Subscriber(endpoint)
ok(subscribed(env), 'a subscription is heard of')
ok(feed_until(env, lambda spy: spy['subscribers'] == 1), 'of one subscriber')
env.get('/v.gif?site=shop&vid=8f1c&e=pageview',
        {'Referer': 'https://shop.example/', 'User-Agent': 'Moz/5.0'})
env.get('/px.gif?site=shop&e=2')
ok(sub.got(2), 'what comes now is sent')
first, second = sub.hits[:2]
is_(first.topic, b'hit/shop/', 'the first frame is what is subscribed to')
like(first.head, rb'^test [0-9a-f]{16} 1 8f1c$'.decode(),
     'the second: edge, feed, number, visitor')
ok(env.wait_drained(), 'the log has them')
logged = env.raw_lines('shop.jsonl')
is_(first.json, re.sub(rb'"ip":"127.0.0.1",', b'', logged[20]).rstrip(b'\n'),
    'the third is the line without its address, byte for byte')
unlike(first.json, '"ip"', 'which is not in it')
like(second.head, '^test %s 2 [0-9a-f]{16}$' % first.feed.decode(),
     'numbers rise; a hit without a visitor has a hash')
env.get('/px.gif?site=shop&e=3')
env.get('/px.gif?site=shop&e=4', {'User-Agent': 'other'})
ok(sub.got(4), 'more come')
is_(sub.hits[2].visitor, second.visitor, 'the same address, the same hash')
isnt(sub.hits[3].visitor, second.visitor, 'another agent, another one')
key = os.path.join(env.ring, 'visitor.key')
is_(stat.S_IMODE(os.stat(key).st_mode), 0o600, 'its key is the helper\'s own')

env.get('/v.gif?site=shop&vid=J%22o%20%5C%0A%01%E2%82%AC')
ok(sub.got(5), 'a visitor may be anything')
is_(sub.hits[4].visitor, rb'J\"o \\\n\u0001' + '€'.encode(),
    'and stands in the frame as in JSON: spaces, but no control bytes')
is_(json.loads(b'"%s"' % sub.hits[4].visitor), sub.hits[4].line['visitor'],
    'so that it can be read as such')

# ---- heartbeats

ok(sub.until(lambda: len(sub.stats) >= 3
             and sub.stats[-1][1].endswith(b' 5')), 'heartbeats come')
is_(sub.stats[-1], [b'stat/shop/', b'test %s 5' % first.feed],
    'with the site\'s last number')
is_(sub.gap, 0, 'and nothing is missing')

# ---- by site

shop = Subscriber(endpoint, [b'hit/shop/'])
quiet = Subscriber(endpoint, [b'stat/'])
ok(subscribed(env, 3), 'more subscribe')
for n in range(10):
    for site in ('shop', 'shopify', 'sho', 'shop.de'):
        env.get('/px.gif?site=%s&n=%d' % (site, n))
ok(sub.got(45), 'one gets all')
ok(shop.got(10), 'another its site')
quiet.until(lambda: len({frames[0] for frames in quiet.stats}) >= 4)
is_((len(shop.hits), {hit.topic for hit in shop.hits}, len(shop.stats)),
    (10, {b'hit/shop/'}, 0), 'and no other\'s, of like names')
is_(({frames[0] for frames in quiet.stats}, quiet.hits),
    ({b'stat/shop/', b'stat/shopify/', b'stat/sho/', b'stat/shop.de/'}, []),
    'a third heartbeats alone, of all sites')
is_([hit.seq for hit in sub.hits if hit.site == 'shopify'],
    list(range(1, 11)), 'each site counts for itself')
is_([hit.seq for hit in shop.hits], list(range(6, 16)),
    'who comes late begins where the others are')
is_(shop.gap, 0, 'and sees no gap')
for other in (shop, quiet):
    other.close()
ok(feed_until(env, lambda spy: (spy['subscribers'], spy['subscriptions'])
              == (1, 1)), 'they leave')

# ---- reload: the same feed, the same connection

ok(env.reload(), 'a reload')
env.get('/px.gif?site=shop&after=reload')
ok(sub.got(46), 'the feed goes on')
is_((sub.hits[-1].feed, sub.hits[-1].seq, sub.gap), (first.feed, 16, 0),
    'it is the same, and nothing is missing')

# ---- nobody there again, then somebody

sub.socket.disconnect(endpoint)
ok(subscribed(env, 0), 'all are gone')
for n in range(30):
    env.get('/px.gif?site=shop&n=%d' % n)
env.get('/px.gif?site=new')
ok(env.wait_drained(), 'hits come meanwhile')
is_(feed(env)['sent'], 46, 'none of them is made into frames')
sub.socket.connect(endpoint)
ok(subscribed(env), 'one comes back')
ok(sub.until(lambda: sub.gap), 'a heartbeat tells it')
is_(sub.counter.gap, {'shop': 30}, 'what it has missed, to the hit')

# ---- the helper dies

sub.hits.clear()
pid = env.kill_helper()
ok(wait_until(lambda: env.helper_pid() not in (None, pid)), 'a new helper')
ok(subscribed(env), 'the subscriber finds it')
env.get('/px.gif?site=shop')
ok(sub.got(1), 'its feed goes on')
isnt(sub.hits[-1].feed, first.feed, 'as another one')
is_(sub.counter.gap, {'shop': 30}, 'which is no gap')
is_(sub.hits[-1].visitor, second.visitor, 'visitors are still the same')
sub.close()
env.allow('exited on signal 9')

# ---- the address; connect; several endpoints; names

port, other = free_port(), free_port()
one = Subscriber('tcp://127.0.0.1:%d' % port, bind=True)
two = Subscriber('tcp://127.0.0.1:%d' % other, bind=True)
env.configure(http='''
    beacon_spy connect=tcp://127.0.0.1:%d connect=tcp://127.0.0.1:%d
               bind=ipc://%%%%ROOT%%%%/many.sock ip=on;
    beacon_spy name=second;
    beacon_spy;''' % (port, other))
os.chmod(env.root, 0o777)
ok(env.reload(), 'a reload to other endpoints')
three = Subscriber('ipc://%s/many.sock' % env.root)
ok(wait_until(lambda: 'spy-3' in env.status()['sinks']), 'is heard of')
ok(subscribed(env, 3), 'a feed is fanned out to masters that bind')
env.get('/px.gif?site=shop&fan=out')
ok(all(sub.got(1) for sub in (one, two, three)), 'each of them gets the hit')
is_([sub.hits[0].head for sub in (one, two)], [three.hits[0].head] * 2,
    'as the same one')
is_(one.hits[0].line['ip'], '127.0.0.1', 'with its address, if ip=on')
ok(wait_until(lambda: sorted(
    name for name in os.listdir(env.ring) if name.endswith('.sock'))
    == ['beacond.sock', 'second.sock', 'spy-3.sock', 'spy.sock']),
   'sockets have their sinks\' names')
is_(env.unbalanced(), [], 'the books balance')
for sub in (one, two, three):
    sub.close()
ok(feed_until(env, lambda spy: spy.get('subscribers') == 0), 'they go')
one = Subscriber('tcp://127.0.0.1:%d' % port, bind=True)
ok(subscribed(env), 'a master who comes again is counted once')
env.get('/px.gif?site=shop&fan=again')
ok(wait_until(lambda: one.got(1) and one.hits[-1].line['args']
              == {'site': 'shop', 'fan': 'again'}), 'and gets hits')
one.close()
ok(env.reload(), 'and a reload after that')

done_testing()
