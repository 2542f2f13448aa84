#!/usr/bin/python3
"""The live API and what strangers, and other parts of nginx, do to it: bodies,
ranges, HTTP/2, filters of any bytes; internal redirects, SSI, auth_request and
proxies before it; rate limits; workers that shut down or are stopped; a store
whose bits flip."""

import glob
import json
import os
import random
import signal
import subprocess
import sys
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_live import Store                   # noqa: E402
from beacon_view import Live                    # noqa: E402

NAMES = {'X-User': 'thousand',
         'X-Names': ' '.join('n%d' % n for n in range(1000)) + ' shop'}
H2 = free_port()
env = Env(workers=1, ring_options='lane_size=16m', http='''
    beacon_live size=12m;
    beacon_visitor $beacon_arg_vid;
    large_client_header_buffers 4 64k;
    variables_hash_bucket_size 128;
    map $http_x_user $sites {
        default "";
        spaces "   ";
        thousand $http_x_names;
    }
    limit_conn_zone $server_name zone=one:64k;
    server {
        listen 127.0.0.1:%d http2;
        location /live/ { beacon_live_view; beacon_live_sites *; }
        location /slow/ {
            beacon_live_view;
            beacon_live_sites *;
            limit_rate 20k;
        }
    }
''' % H2, server='''
    location /live/ { beacon_live_view; beacon_live_sites *; }
    location /shop/ { beacon_live_view; beacon_live_sites shop; }
    location /blog/ { beacon_live_view ip; beacon_live_sites blog; }
    location /map/ { beacon_live_view; beacon_live_sites $sites; }
    location /login/ {
        beacon_live_view;
        beacon_live_sites *;
        auth_basic live;
        auth_basic_user_file %%ROOT%%/users;
    }
    location /slow/ {
        beacon_live_view;
        beacon_live_sites *;
        limit_rate 20k;
    }
    location /one/ {
        beacon_live_view;
        beacon_live_sites *;
        limit_conn one 1;
    }
    location /gzip/ {
        beacon_live_view;
        beacon_live_sites *;
        gzip on;
        gzip_types *;
        gzip_min_length 1;
    }
    location /ssi/ {
        ssi on;
        ssi_types *;
        root %%ROOT%%;
    }
    location = /asked {
        auth_request /live/v1/shop/visitors?id=one;
        return 204;
    }
    location @live { beacon_live_view; beacon_live_sites *; }
    location /tried/ {
        rewrite ^/tried(/.*)$ $1 break;
        try_files /nowhere @live;
    }
    location /mirrored {
        mirror /live/v1/shop/hits?wait=25&args.e=never;
        return 204;
    }
    location /front/ {
        proxy_pass http://127.0.0.1:%%PORT%%/live/;
        proxy_http_version 1.1;
        proxy_read_timeout 60s;
    }
    location /accel/ {
        proxy_pass http://127.0.0.1:%%PORT%%/answer/;
    }
    location ~ ^/answer/(.*)$ {
        add_header X-Accel-Redirect /live/$1$is_args$args;
        return 200 "not this";
    }
    location /moved/ { rewrite ^/moved/(.*)$ /live/$1 last; }
    error_page 418 = /live/v1/shop/hits;
    location = /teapot { return 418; }
''')
with open(os.path.join(env.root, 'users'), 'w', encoding='ascii') as file:
    file.write('me:{PLAIN}secret\n')
env.start()
live = Live(env)
ok(live.there(), 'the store is there')


def names(page):
    return [hit['args'].get('n') for hit in page['hits']]


for n in range(5):
    live.hit(n=n, vid='one')
live.hit('blog', n='b', vid='two', secret='of-blog')
live.settle()
hits = live.json('/v1/shop/hits')
cursor = hits['next']
epoch = cursor.split('.')[0]

# ---- bodies and ranges

with env.client() as client:
    for method in ('GET', 'HEAD'):
        for target in ('v1/shop/hits', 'v1/shop/now', 'v1/sites', 'v1/x/hits',
                       'v1/shop/hits?x', ''):
            is_(client.request('/live/' + target, method=method,
                               body='x' * 20000).status,
                live.get('/' + target).status if target else 200,
                '%s %s with a body is answered' % (method, target))
    client.send(client.format('/live/v1/shop/hits?limit=1', headers={
        'Transfer-Encoding': 'chunked'}) + b'4\r\nabcd\r\n0\r\n\r\n')
    is_(names(client.response().json()), ['4'], 'a chunked one, too')
    client.send(client.format('/live/v1/shop/hits?wait=25&since=' + cursor,
                              headers={'Content-Length': '20'}))
    client.send('x' * 10)
    live.hit(n='late')
    is_(names(client.response().json()), ['late'],
        'who sends a body while waiting is told of a hit')
    client.send('y' * 10)
    is_(client.request('/live/v1/shop/hits?limit=1').status, 200,
        'and goes on behind it')
cursor = live.cursor()
for value in ('bytes=0-9', 'bytes=-5', 'bytes=0-0,2-3', 'bytes=9999-'):
    is_(live.json('/v1/shop/hits?limit=5&since=%s.0' % epoch,
                  headers={'Range': value})['hits'], hits['hits'],
        'Range: %s is of no interest' % value)
with env.client() as client:
    for _ in range(2):
        client.send(client.format('/live/v1/shop/hits?wait=25&since='
                                  + live.cursor()))
    live.hit(n='both')
    is_([names(client.response().json()) for _ in range(2)],
        [['both'], ['both']], 'polls that are sent at once are both told')
with env.client() as client:
    client.send(client.format('http://elsewhere/live/v1/shop/visitors/one'))
    is_(client.response().json()['visitor'], 'one',
        'a target may have a scheme and a host')

# ---- paths

for path, status in (('/live//v1///shop//hits', 200),
                     ('/live/v1/./shop/x/../hits', 200),
                     ('/live/v1/sh%6fp/h%69ts', 200),
                     ('/live/v1/shop/visitors/one?', 200),
                     ('/live/v1/shop/%76isitors/one', 200),
                     ('/live/v1/shop/hits%00', 400),
                     ('/live/v1/shop/hits%', 400),
                     ('/live/v1/shop/hits;x', 404),
                     ('/live/v1/shop%20/hits', 404),
                     ('/live/V1/shop/hits', 404),
                     ('/live/v1/SHOP/hits', 404),
                     ('/live/v1/shop/visitors/x%00', 400),
                     ('/live/../live/v1/sites', 200),
                     ('/moved/v1/shop/visitors/one', 200),
                     ('/shop/v1/blog/hits', 404),
                     ('/shop/v1/shop/../blog/hits', 404),
                     ('/shop/v1/shop/visitors/%2e%2e/%2e%2e/blog/hits', 404),
                     ('/shop/v1/shop/visitors/x/../../../blog/visitors/two',
                      404),
                     ('/shop/v1/shop/visitors/two', 404),
                     ('/shop/v1/blog/visitors/two', 404),
                     ('/blog/v1/blog/visitors/two', 200),
                     ('/blog/v1/shop/visitors/one', 404),
                     ('/blog/v1/shop/visitors?id=one', 404)):
    is_(env.get(path).status, status, '%d for %s' % (status, path))

# ---- filters of any bytes

VALUES = ('\0', '\0\0a', '\x01\x1f\x7f', '"', '\\', '\\"', '\\u0041', '/',
          '\u2028', '\U0001f44d', '\ufffd', 'ü', 'a' * 5000, '\n\r\t\b\f',
          '%00', '</script>', '')
for n, value in enumerate(VALUES):
    live.hit(n='f%d' % n, v=value, **{'k' + value[:50]: 'named'})
live.settle()
for n, value in enumerate(VALUES):
    quoted = urllib.parse.quote(value, safe='')
    is_(names(live.json('/v1/shop/hits?args.v=' + quoted)), ['f%d' % n],
        'a filter finds %s' % ascii(value[:20]))
    is_(names(live.json('/v1/shop/hits?args.k%s=named'
                        % urllib.parse.quote(value[:50], safe=''))),
        ['f%d' % n], 'and by a name with it')
is_(names(live.json('/v1/shop/hits?args.v=&args.v=a')), [],
    'two filters of a name must both hold')
is_(live.get('/v1/shop/hits?args.v=' + '%41' * 10000).json()['hits'], [],
    'a long one finds nothing')
for query in ('&'.join('args.a%d=1' % n for n in range(1000)),
              '&'.join('limit=%d' % n for n in range(1000)),
              '&'.join('x%d=1' % n for n in range(1000)), 'a' * 60000,
              '%' * 1000, '=', '=&=', 'since=%s&since=%s' % (cursor, cursor)):
    is_(live.get('/v1/shop/hits?' + query).status, 400,
        '400 for %s' % query[:20])
is_(live.get('/v1/shop/hits?' + '&' * 60000).status, 200,
    'nothing 60,000 times is nothing')
for value in ('x' * 60000, epoch + '.' + '9' * 16, '.', '0.0',
              epoch + '.00000000000000001', epoch[:15] + 'g.1'):
    with live.stream('/v1/shop/stream', {'Last-Event-ID': value}) as stream:
        is_(stream.next().event, 'reset',
            'a stream begins anew behind %s' % ascii(value[:20]))

# ---- sites

view = Live(env, '/map')
is_(view.json('/v1/sites', headers={'X-User': 'nobody'}), {'sites': []},
    'an empty value lets nobody see anything')
is_(view.json('/v1/sites', headers={'X-User': 'spaces'}), {'sites': []},
    'so do spaces')
rows = view.json('/v1/sites', headers=NAMES)['sites']
is_((len(rows), [row for row in rows if row['hits']][0]['site']),
    (1001, 'shop'), 'a thousand may be named')
is_(view.get('/v1/n999/hits', NAMES).status, 200,
    'each is there')
is_(view.get('/v1/n1000/hits', NAMES).status, 404,
    'no other is')
is_([row['site'] for row in Live(env, '/shop').json('/v1/sites')['sites']],
    ['shop'], 'a view of one tenant')
is_([row['site'] for row in Live(env, '/blog').json('/v1/sites')['sites']],
    ['blog'], 'and of another do not mix')
ok('ip' in Live(env, '/blog').json('/v1/blog/hits')['hits'][0]
   and 'ip' not in live.json('/v1/blog/hits')['hits'][0],
   'nor does what they show')
response = env.get('/login/v1/shop/hits')
is_((response.status, response.header('www-authenticate')),
    (401, 'Basic realm="live"'), 'auth_basic asks for a password')
login = {'Authorization': 'Basic bWU6c2VjcmV0'}
is_(Live(env, '/login').get('/v1/shop/hits', login).status, 200,
    'and lets in')
with Live(env, '/login').stream('/v1/shop/stream', login) as stream:
    live.hit(n='in')
    is_(stream.next().json()['args']['n'], 'in', 'streams, too')

# ---- other parts of nginx

os.mkdir(os.path.join(env.root, 'ssi'))


def ssi(*targets):
    with open(os.path.join(env.root, 'ssi', 'page'), 'w',
              encoding='ascii') as file:
        file.write('[%s]' % ','.join(
            '<!--#include virtual="%s" -->' % target for target in targets))
    return env.get('/ssi/page').json()


live.hit(count=2000, pad='x' * 2000, e='large')
live.settle()
parts = ssi('/live/v1/shop/hits?limit=3', '/live/v1/shop/now',
            '/live/v1/shop/visitors', '/live/v1/shop/visitors?id=one',
            '/live/v1/shop/visitors/one', '/live/v1/sites',
            '/live/v1/nope/hits', '/live/v1/shop/stream',
            '/live/v1/shop/hits?wait=25&since=' + live.cursor(),
            '/live/v1/shop/hits?args.e=never&since=%s.0' % epoch,
            '/live/v1/shop/hits?args.e=rare')
is_([next(iter(part)) for part in parts],
    ['hits', 'site', 'visitors', 'visitor', 'visitor', 'sites', 'type', 'type',
     'hits', 'hits', 'hits'], 'answers may be parts of a page')
is_(parts[3]['visitor'], 'one', 'with what they are asked')
is_((parts[7]['status'], parts[8]['hits'], parts[9]['hits']), (400, [], []),
    'but no stream is, and none waits')
is_(len(ssi(*['/live/v1/shop/hits?args.e=never'] * 20)), 20,
    'twenty that take several turns are')
with env.client() as client:
    client.send(client.format('/ssi/page'))
is_(env.get('/asked').status, 204, 'auth_request may ask for a visitor')
for path, what in (('/accel/v1/shop/hits?limit=1', 'X-Accel-Redirect'),
                   ('/front/v1/shop/hits?limit=1', 'proxy_pass'),
                   ('/moved/v1/shop/hits?limit=1', 'rewrite')):
    response = env.get(path)
    ok(response.status == 200 and 'hits' in response.json()
       and response.header('cache-control') == 'no-store',
       '%s leads to it' % what)
is_(env.get('/tried/v1/shop/hits?limit=1').status, 200,
    'a named location has it, too')
is_(env.get('/mirrored').status, 204, 'so may a mirror')
response = env.get('/teapot')
ok(response.status == 200 and response.json()['hits'], 'so does error_page')
for prefix in ('/accel', '/front', '/moved'):
    poll = env.client()
    poll.send(poll.format(prefix + '/v1/shop/hits?wait=25&since='
                          + live.cursor()))
    ok(never(lambda: poll.closed() or poll.buffer, 0.3),
       'a poll waits behind ' + prefix)
    with Live(env, prefix).stream('/v1/shop/stream') as stream:
        live.hit(n='through')
        is_(stream.next().json()['args']['n'], 'through',
            'events come through ' + prefix)
    is_(names(poll.response().json()), ['through'], 'and the poll is told')
    poll.close()

# ---- HTTP/2


def curl(*paths, seconds=30):
    """All of them on one connection; what each answers."""
    argv = ['curl', '-sN', '--http2-prior-knowledge', '--max-time',
            str(seconds), '-Z', '--parallel-immediate']
    for path in paths:
        argv += ['http://127.0.0.1:%d%s' % (H2, path)]
    return subprocess.run(argv, stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, check=False,
                          stderr=subprocess.DEVNULL).stdout


for path in ('/v1/shop/hits?limit=2', '/v1/shop/visitors?id=one', '/v1/sites',
             '/v1/nope/hits'):
    is_(json.loads(curl('/live' + path)), live.get(path).json(),
        '%s is the same by HTTP/2' % path)
said = curl(*['/live/v1/shop/hits?args.e=never'] * 40)
is_(said.count('"more":'), 40, 'forty that take several turns share one')
told = os.path.join(env.root, 'told')
os.mkdir(told)
files = [[os.path.join(told, '%d.%d' % (child, n)) for n in range(40)]
         for child in range(4)]     # of each, streams and polls in turn
cursor = live.cursor()
children = []
for child in files:
    argv = ['curl', '-sN', '--http2-prior-knowledge', '--max-time', '60', '-Z',
            '--parallel-max', '60', '--parallel-immediate']
    for n, name in enumerate(child):
        argv += ['-o', name, 'http://127.0.0.1:%d/live/v1/shop/%s' % (
            H2, 'hits?wait=25&since=' + cursor if n % 2 else 'stream')]
    children.append(subprocess.Popen(argv, stdin=subprocess.DEVNULL,
                                     stdout=subprocess.DEVNULL,
                                     stderr=subprocess.DEVNULL))


def has(text, names):
    """How many of the files have it."""
    count = 0
    for name in names:
        if os.path.exists(name):
            with open(name, 'rb') as file:
                count += text in file.read()
    return count


ok(wait_until(lambda: all(has(b'event: beat', child[::2]) == 20
                          for child in files), 30),
   'streams and polls share a connection')
live.hit(n='h2')
for child in files:
    wait_until(lambda: has(b'"n":"h2"', child) == 40, 20)
    is_(has(b'"n":"h2"', child), 40, 'all of one are told')
for n, child in enumerate(children):
    child.send_signal((signal.SIGTERM, signal.SIGKILL)[n % 2])
    child.wait()

# ---- slowly

with Live(env, '/slow').stream('/v1/shop/stream?since=%s.0' % epoch) as stream:
    got = [stream.next(60) for _ in range(30)]
    ok(None not in got, 'a stream at a limited rate goes on')
    is_(sorted(int(event.id.split('.')[1]) for event in got),
        [int(event.id.split('.')[1]) for event in got], 'in order')
response = Live(env, '/slow').get('/v1/shop/hits?limit=20')
is_(len(response.json()['hits']), 20, 'so does a page')
said = curl('/slow/v1/shop/hits?limit=20', '/slow/v1/shop/hits?limit=10',
            seconds=60)
is_(said.count('"more":'), 2, 'by HTTP/2, too')
with Live(env, '/one').stream('/v1/shop/stream'):
    is_(env.get('/one/v1/shop/hits').status, 503,
        'limit_conn counts a stream')
ok(wait_until(lambda: env.get('/one/v1/shop/hits').status == 200, 10),
   'until it ends')
with env.client() as client:
    client.send(client.format('/gzip/v1/shop/stream',
                              headers={'Accept-Encoding': 'gzip'}))
    ok(wait_until(lambda: not client.closed()
                  and b'event: beat' in client.buffer, 10),
       'gzip holds no event back')

# ---- a worker that is stopped

live.settle()
streams = [live.stream('/v1/shop/stream') for _ in range(3)]
newest = int(live.cursor().split('.')[1]) + 3000
worker = env.worker_pids()[0]
helper = env.kill_helper(signal.SIGSTOP)
live.hit(count=3000, pad='x' * 3500)
proc.send(worker, signal.SIGSTOP)
proc.send(helper, signal.SIGCONT)
stored = wait_until(
    lambda: Store(env.ring, 'shop').sites['shop'].last == newest, 30, 0.1)
proc.send(worker, signal.SIGCONT)
ok(stored, 'the store goes on beside a worker that is stopped')
for stream in streams:
    told = []
    while sum(told) < 3000:
        event = stream.next(20)
        if event is None:
            break
        told.append(event.json()['gap'] if event.event == 'gap' else 1)
    ok(sum(told) == 3000 and max(told) > 1,
       'its streams are told what they missed, to the hit')
    stream.client.close()

# ---- workers that go

half = [env.client() for _ in range(4)]
wholes = [half[0].format('/live/v1/shop/hits?wait=25&since=' + live.cursor()),
          half[1].format('/live/v1/shop/stream'),
          half[2].format('/live/v1/shop/hits?args.e=never&since=%s.0' % epoch),
          half[3].format('/live/v1/sites')]
for client, text in zip(half, wholes):
    client.send(text[:20])
old = env.worker_pids()
ok(wait_until(lambda: env.get('/status').status == 200, 10), 'half is sent')
ok(env.reload(), 'a worker shuts down')
for client, text in zip(half, wholes):
    client.send(text[20:])
page = half[0].response().json()
is_((page['hits'], page['next']), ([], live.cursor()),
    'a poll that comes then is answered at once')
is_(half[1].response().status, 200, 'a stream ends')
ok('next' in half[2].response().json(), 'what takes turns takes one')
ok('sites' in half[3].response().json(), 'so do the sites')
for client in half:
    client.close()
ok(wait_until(lambda: not any(proc.alive(pid) for pid in old), 10),
   'and the worker goes')

# ---- bits that flip

store = glob.glob(os.path.join(env.ring, 'live.????????????????'))[0]
with open('/proc/%d/maps' % env.worker_pids()[0], encoding='latin-1') as maps:
    mapped = [line.split()[1] for line in maps if store in line]
is_(set(mapped), {'r--s'}, 'a worker can only read the store')
seed()
helper = env.kill_helper(signal.SIGSTOP)
size = os.stat(store).st_size
workers = env.worker_pids()
leaks, odd = [], []
with open(store, 'r+b', buffering=0) as file:
    for n in range(count(400, 4000)):
        for _ in range(200):
            at = random.randrange(4096, size)
            byte = os.pread(file.fileno(), 1, at)[0]
            os.pwrite(file.fileno(), bytes([byte ^ 1 << random.randrange(8)]),
                      at)
        path = random.choice((
            'hits?limit=1000', 'hits?limit=50&since=%s.0' % epoch, 'now',
            'hits?fields=short', 'hits?args.e=large', 'visitors?limit=500',
            'visitors/one', 'now?window=3600'))
        response = env.get('/shop/v1/shop/' + path)
        if b'of-blog' in response.body or b'"blog"' in response.body:
            leaks.append(path)
        if response.status not in (200, 404):
            odd.append('%s: %d' % (path, response.status))
is_((leaks, odd), ([], []), 'flipped bits show nothing of another site')
is_(env.worker_pids(), workers, 'and end no worker')
proc.send(helper, signal.SIGCONT)

live.conforms()
env.stop()

done_testing()
