#!/usr/bin/python3
"""Streams of the live API: order, resuming, gaps, filters; slow readers, many
readers, readers that go; reload and upgrade with streams open; answers that
take several turns."""

import glob
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_view import Live                    # noqa: E402

SERVER = '''
    location /live/ { beacon_live_view; beacon_live_sites *; }
    location /ip/ {
        beacon_live_view ip cors=https://a.example;
        beacon_live_sites *;
    }
    location /held/ {
        beacon_live_view;
        beacon_live_sites *;
        send_timeout 2s;
    }
    location /flood/ {
        beacon_live_view;
        beacon_live_sites *;
        access_log %%ROOT%%/order order;
    }
    location = /hit.gif {
        beacon gif;
        beacon_site shop;
        access_log %%ROOT%%/order order;
    }
'''
H2 = free_port()
env = Env(workers=1, ring_options='lane_size=16m', server=SERVER, http='''
    beacon_live size=24m;
    beacon_visitor $beacon_arg_vid;
    gzip on;
    gzip_types *;
    gzip_min_length 1;
    log_format order '$uri';
    server {
        listen 127.0.0.1:%d http2;
        location /live/ { beacon_live_view; beacon_live_sites *; }
    }
''' % H2)
env.start()
live = Live(env)
ok(live.there(), 'the store is there')


def numbers(events):
    return [event.json()['args'].get('n') for event in events
            if event.event == 'message']


def sequence(cursor):
    return int(cursor.split('.')[1])


# ---- what a stream is

live.hit(n='before')
live.settle()
quiet = live.stream('/v1/quiet/stream')
is_(quiet.status, 404, 'a site that is not there has no stream')
live.hit('quiet')
live.settle()
quiet = live.stream('/v1/quiet/stream')

with live.stream('/v1/shop/stream') as stream:
    is_((stream.status, stream.header('content-type'),
         stream.header('content-encoding'), stream.header('cache-control'),
         stream.header('x-accel-buffering')),
        (200, 'text/event-stream', None, 'no-store', 'no'),
        'a stream has its type, and is not compressed')
    for n in range(5):
        live.hit(n=n)
    events = stream.take(5)
    is_(numbers(events), [str(n) for n in range(5)],
        'hits come as they are taken, from now on')
    is_((stream.retry, stream.beats), (2000, 1),
        'it says when to come again, and at once that it is there')
    is_([sequence(event.id) for event in events],
        list(range(sequence(events[0].id), sequence(events[0].id) + 5)),
        'each has its cursor')
    is_(events[4].id, live.cursor(), 'that of hits?since=')
    ok('ip' not in events[0].json(), 'addresses are not shown')
second = events[1].id

with live.stream('/v1/shop/stream', {'Last-Event-ID': second}) as stream:
    is_(numbers(stream.take(3)), ['2', '3', '4'],
        'who comes again goes on where it was')
with live.stream('/v1/shop/stream?since=' + second) as stream:
    is_(numbers(stream.take(3)), ['2', '3', '4'], 'since= says where, too')
with live.stream('/v1/shop/stream?since=nonsense',
                 {'Last-Event-ID': second}) as stream:
    is_(numbers(stream.take(3)), ['2', '3', '4'],
        'Last-Event-ID goes before it')
with Live(env, '/ip').stream('/v1/shop/stream?since=' + second) as stream:
    is_(stream.next().json()['ip'], '127.0.0.1',
        '"beacon_live_view ip" shows addresses')
for origin, allowed in (('https://a.example', 'https://a.example'),
                        ('https://b.example', None), ('null', None)):
    with Live(env, '/ip').stream('/v1/shop/stream',
                                 {'Origin': origin}) as stream:
        is_(stream.header('access-control-allow-origin'), allowed,
            'pages of %s may %sread it' % (origin, '' if allowed else 'not '))
with live.stream('/v1/shop/stream?since=' + second[:17] + '999999') as stream:
    event = stream.next()
    is_((event.event, event.json(), event.id),
        ('reset', {'reset': True}, live.cursor()),
        'a cursor of no use is reset to the newest')
    live.hit(n='on')
    is_(numbers([stream.next()]), ['on'], 'and it goes on from there')
with live.stream('/v1/shop/stream?args.e=buy&fields=short') as stream:
    live.hit(e='view', url='http://a/no')
    live.hit(e='buy', url='http://a/yes', vid='me')
    event = stream.next()
    is_((event.json()['page'], event.json()['visitor']), ('a/yes', 'me'),
        'filters and short fields hold for streams')
    is_(live.api.against('ShortHit', event.json()), [],
        'as the document says')
with env.client() as client:
    response = client.request('/live/v1/shop/stream', method='HEAD')
    is_((response.status, response.header('content-type')),
        (200, 'text/event-stream'), 'HEAD has no events')
with env.client() as client:
    client.send(client.format('/live/v1/shop/stream', version='HTTP/1.0'))
    ok(wait_until(lambda: not client.closed() and b'id: ' in client.buffer, 5),
       'HTTP/1.0 has them, too')

curl = subprocess.Popen(
    ['curl', '-sN', '--http2-prior-knowledge', '--max-time', '20',
     'http://127.0.0.1:%d/live/v1/shop/stream' % H2],
    stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
said = curl.stdout.readline() + curl.stdout.readline()
like(said, r'^retry: 2000\nevent: beat', 'so has HTTP/2')
live.hit(n='two')
while said and b'"n":"two"' not in said:
    said = curl.stdout.readline()
like(said, r'^data: \{.*"n":"two"', 'with hits')
curl.send_signal(signal.SIGTERM)
curl.wait()

# ---- gaps, and what takes several turns

start = live.cursor()
live.hit(count=6000, pad='x' * 2500)
live.settle()
end = live.cursor()


def walk(path):
    """Pages until there is no more: (pages, hits, gap, the last next)."""
    pages = hits = gap = 0
    cursor = start
    while pages < 10000:
        page = live.json(path + '&since=' + cursor)
        pages += 1
        hits += len(page['hits'])
        gap += page['gap']
        if not page['more'] or page['next'] == cursor:
            break
        cursor = page['next']
    return pages, hits, gap, page['next']


pages, hits, gap, cursor = walk('/v1/shop/hits?limit=1000000')
ok(gap > 0, 'who comes too late is told of a gap')
is_((hits + gap, cursor), (sequence(end) - sequence(start), end),
    'hits and gap are all there was, to the hit')
ok(hits / pages < 300, 'a page of large hits is cut')
pages, none, gone, cursor = walk('/v1/shop/hits?args.e=never')
is_((none, gone, cursor), (0, gap, end),
    'a filter that matches nothing comes to the end')
ok(1 < pages < 20, 'in pages of what a request may scan')
is_(live.json('/v1/shop/hits?args.e=never')['next'], end,
    'without a cursor, in one')
page = live.json('/v1/shop/hits?limit=1&since=%s.0' % end[:16])
is_((len(page['hits']), page['gap'] > 0, page['gap'] + 1),
    (1, True, sequence(page['next'])),
    'from before the first hit on, those that went are a gap')
page = live.json('/v1/shop/hits?limit=0&since=%s.0' % end[:16])
is_((page['next'], page['gap'], page['more']), (end[:16] + '.0', 0, True),
    'limit=0 gives that cursor back, too')
live.hit(n='last', e='rare')
live.settle()
page = live.json('/v1/shop/hits?args.e=rare')
is_([hit['args']['n'] for hit in page['hits']], ['last'],
    'the newest that pass are found')

end = live.cursor()
with live.stream('/v1/shop/stream?since=' + start) as stream:
    event = stream.next()
    gap = event.json()['gap']
    is_((event.event, live.api.against('Gap', event.json())), ('gap', []),
        'a stream tells of the gap first')
    resume = event.id
    hits = stream.take(sequence(end) - sequence(start) - gap)
    is_((len(hits) + gap, stream.last_id),
        (sequence(end) - sequence(start), end),
        'and has all that is there')
with live.stream('/v1/shop/stream?since=' + resume) as stream:
    event = stream.next()
    is_((event.event, event.id), ('message', hits[0].id),
        'behind the gap there is none, and no hit is left out')

# ---- a flood of queries that read much

def order():
    """What was answered, in order."""
    with open(os.path.join(env.root, 'order'), encoding='ascii') as file:
        return file.read().splitlines()


worker = env.worker_pids()[0]
proc.send(worker, signal.SIGSTOP)       # until all of them are there
flood = [env.client() for _ in range(40)]
for client in flood:
    client.send(client.format('/flood/v1/shop/hits?args.e=never'))
with env.client() as client:
    client.send(client.format('/hit.gif?n=meanwhile'))
    proc.send(worker, signal.SIGCONT)
    is_(client.response().status, 200, 'a hit is taken')
is_({client.response().json()['next'].split('.')[0] for client in flood},
    {end.split('.')[0]}, 'they are answered, too')
ok(wait_until(lambda: len(order()) == 41)
   and order().index('/hit.gif') < 40, 'but not all of them before the hit')
for client in flood:
    client.close()
with env.client() as client:
    client.send(client.format('/live/v1/shop/stream',
                              headers={'Content-Length': '100'}))
    client.send('x' * 10)
    ok(wait_until(lambda: not client.closed() and b'id: ' in client.buffer, 5),
       'a body that does not come is not waited for')
live.settle()
end = live.cursor()

# ---- a reader that does not read

def resident():
    """KB of the worker; 0 where a sanitizer keeps what was freed."""
    if 'address' in BUILD:
        return 0
    with open('/proc/%d/smaps_rollup' % env.worker_pids()[0],
              encoding='ascii') as file:
        return sum(int(line.split()[1]) for line in file
                   if line.startswith(('Private_Dirty', 'Private_Clean')))


slow = [live.stream('/v1/shop/stream') for _ in range(20)]
for stream in slow:
    stream.next(0)
fast = live.stream('/v1/shop/stream?fields=short')
before = resident()
live.hit(count=6000, pad='x' * 2500)
live.settle()
ok(resident() - before < 20 * 2 * 128 + 4096,
   'readers that do not read hold bounded memory')
is_(sum(int(event.json().get('gap', 1)) for event in fast.take(6000)), 6000,
    'others have everything')
end = live.cursor()
sums = []
for stream in slow[:2]:
    total = 0
    while stream.last_id != end:
        event = stream.next()
        if event is None:
            break
        total += event.json()['gap'] if event.event == 'gap' else 1
    sums.append(total)
is_(sums, [6000, 6000], 'once they read they are told what they missed')
for stream in slow:
    stream.client.close()
held = Live(env, '/held').stream('/v1/shop/stream?since=' + start)
ok(wait_until(lambda: env.error_lines('client timed out'), 15),
   'a reader that takes nothing for send_timeout is gone')
held.client.close()

before = resident()
live.hit(count=3000, pad='x' * 100)
live.settle()
fast.take(3000)
live.hit(count=3000, pad='x' * 100)
live.settle()
is_(len(fast.take(3000)), 3000, 'a stream goes on')
ok(resident() - before < 2048, 'and takes no memory for what is past')
fast.client.close()

# ---- many

many = [live.stream('/v1/shop/stream?fields=short') for _ in range(500)]
is_({stream.status for stream in many}, {200}, '500 streams are open')
live.hit(url='http://a/all')
is_([stream.next().json()['page'] for stream in many], ['a/all'] * 500,
    'and each has the hit')
more = [live.stream('/v1/shop/stream') for _ in range(20)]
last = more[-1]
is_((last.status, last.header('retry-after')), (503, '1'),
    'there are no more than half of worker_connections')
response = live.get('/v1/shop/hits?wait=25&since=' + live.cursor())
is_(response.status, 503, 'nobody else waits, either')
refused = env.status()['live']['refused']
is_((refused['stream'], refused['wait']),
    (sum(stream.status == 503 for stream in more), 1),
    'the status says how many were sent away')
is_(live.get('/v1/shop/hits').status, 200, 'who does not wait is answered')
live.hit(count=50)
ok(live.settle(), 'hits are captured')
for stream in many + more:
    stream.client.close()


def one_more():
    with live.stream('/v1/shop/stream') as stream:
        return stream.status == 200


ok(wait_until(one_more, 10), 'when they go there is room again')

# ---- heartbeats

with live.stream('/v1/shop/stream?args.e=never') as stream:
    live.hit(count=3)
    live.settle()
    ok(wait_until(lambda: quiet.next(1) or quiet.beats > 1, 60),
       'a quiet stream shows that it is alive')
    ok(wait_until(lambda: stream.next(1) or stream.beats > 1, 60),
       'so does one whose filter lets nothing through')
    is_(stream.last_id, live.cursor(), 'which tells how far it looked')

# ---- a store that was given up, and none in its place yet

path = glob.glob(os.path.join(env.ring, 'live.????????????????'))[0]


def given_up(retired):
    """Until the worker sees that the store is retired, or is not."""
    with open(path, 'r+b') as file:
        file.seek(128)                  # beacon_live_head_t's "retired"
        file.write(bytes([retired]))
    return wait_until(lambda: env.get('/live/v1/shop/hits').status
                      == (503 if retired else 200), 20)


def poll_now():
    poll = env.client()
    poll.send(poll.format('/live/v1/shop/hits?wait=25&since='
                          + live.cursor()))
    live.cursor()                       # what is answered behind it
    return poll


stream = live.stream('/v1/shop/stream')
poll = poll_now()
ok(given_up(1), 'who asks then is told to come again')
live.hit(n='meanwhile')
ok(live.settle() and given_up(0), 'a hit is taken, and there is one again')
is_(numbers([stream.next()]), ['meanwhile'],
    'a stream that was open has what came')
is_([hit['args']['n'] for hit in poll.response().json()['hits']],
    ['meanwhile'], 'so has who waits')
poll = poll_now()
ok(given_up(1) and env.reload(10), 'a reload without a store')
ok(stream.end(), 'ends streams')
is_(poll.response().status, 503, 'and tells who waits to come again')
ok(given_up(0), 'the new worker finds the next one')
stream.client.close()
poll.close()

# ---- another store

stream = live.stream('/v1/shop/stream')
poll = env.client()
poll.send(poll.format('/live/v1/shop/hits?wait=25&since=' + live.cursor()))
old = live.cursor()
with open(path, 'r+b') as file:
    file.seek(8)
    file.write(b'\xff')                 # a layout that nobody knows
env.kill_helper()
env.allow(r'exited on signal 9')
event = stream.next(20)
is_((event.event, event.id[:16] == old[:16]), ('reset', False),
    'a stream is told that another store has taken the place')
ok('reset' in poll.response().json(), 'so is who waits')
live.hit(n='anew')
is_(numbers([stream.next()]), ['anew'], 'and it goes on')
is_(live.json('/v1/shop/hits?since=' + old)['reset'], True,
    'the old cursor is of no use')
stream.client.close()
poll.close()
start = live.cursor()

# ---- workers that go


def open_all():
    streams = [live.stream('/v1/shop/stream') for _ in range(50)]
    poll = env.client()
    poll.send(poll.format('/live/v1/shop/hits?wait=25&since='
                          + live.cursor()))
    stuck = live.stream('/v1/shop/stream?since=' + start)
    busy = env.client()
    busy.send(busy.format('/live/v1/shop/hits?args.e=never&since=' + start))
    return streams, poll, stuck, busy


def all_end(what, streams, poll, busy):
    ok(all(stream.end() for stream in streams), 'on %s streams end' % what)
    page = poll.response().json()
    is_((page['hits'], page['gap']), ([], 0),
        'on %s who waits is answered' % what)
    ok(busy.response().json()['next'], 'so is who is being answered')


for round_ in range(3):
    streams, poll, stuck, busy = open_all()
    old = env.worker_pids()
    ok(env.reload(10), 'a reload with streams open')
    ok(wait_until(lambda: not any(proc.alive(pid) for pid in old), 10),
       'lets the old worker go')
    all_end('HUP', streams, poll, busy)
    cursor = streams[0].last_id
    live.hit(n='after')
    with live.stream('/v1/shop/stream',
                     {'Last-Event-ID': cursor}) as stream:
        is_(numbers([stream.next()]), ['after'],
            'the new worker goes on where the old one was')
    stuck.client.close()

streams, poll, stuck, busy = open_all()
old, new = env.upgrade()
ok(new, 'an upgrade with streams open')
is_(live.get('/v1/shop/hits').status, 200, 'changes nothing for them')
env.kill(signal.SIGQUIT, old)
all_end('QUIT', streams, poll, busy)
stuck.client.close()
ok(wait_until(lambda: not proc.alive(old), 10), 'the old nginx goes')
is_(live.get('/v1/sites').status, 200, 'the new one answers')

live.conforms()
env.stop()

done_testing()
