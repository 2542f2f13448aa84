#!/usr/bin/python3
"""POST: bodies of every kind, framing and size."""

import os
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_ring import Counted, capture_env    # noqa: E402

H2 = free_port()

env, ring = capture_env(values={'H2': str(H2)}, ring_options='lane_size=2m',
                        server='''
    listen 127.0.0.1:%%H2%% http2;
    location = /limit { beacon empty; beacon_site shop; beacon_max_body 100; }
    location = /none { beacon empty; beacon_site shop; beacon_max_body 0; }
    location = /small-buffer {
        beacon empty; beacon_site shop;
        client_body_buffer_size 128; client_max_body_size 1;
        client_body_in_file_only on;
    }
    location = /slow { beacon empty; beacon_site shop; client_body_timeout 1s; }
    error_page 400 408 413 414 500 503 =200 /page;
    location = /page { return 200 "a page"; }
''')
env.start()
count = Counted(env)
URL = '/px.gif?site=shop'
FORM = 'application/x-www-form-urlencoded'


def chunked(data, size=7):
    data = data if isinstance(data, bytes) else data.encode('latin-1')
    parts = [data[i:i + size] for i in range(0, len(data), size)]
    return b''.join(b'%x\r\n%s\r\n' % (len(p), p) for p in parts) \
        + b'0\r\n\r\n'


def post_chunked(target, data, kind=FORM, size=7, **options):
    return env.get(target, {'Content-Type': kind,
                            'Transfer-Encoding': 'chunked'},
                   method='POST', body=chunked(data, size), **options)


# ---- kinds

for kind in (FORM, FORM + '; charset=UTF-8', FORM.upper(), FORM + ';x'):
    r = env.post(URL + '&a=q', 'a=f&b=%20x', kind)
    hit = ring.one()
    is_((r.status, hit['method'], hit['args'], hit.get('repeated')),
        (200, 'POST', {'site': 'shop', 'a': 'q', 'b': ' x'},
         {'a': ['q', 'f']}), '%s is merged into the query' % kind)
for kind in ('application/json', 'text/plain;charset=UTF-8', 'text/plain',
             'Application/JSON'):
    env.post(URL, '{"a": [1, null]}', kind)
    is_(ring.one().get('data'), {'a': [1, None]}, '%s stands as data' % kind)
    env.post(URL, '{"a": [1, null}', kind)
    hit = ring.one()
    is_((hit.get('data'), hit.get('body')), (None, '{"a": [1, null}'),
        '%s that is no JSON stands as body' % kind)
for kind in ('image/png', 'multipart/form-data; boundary=x', 'text/html',
             'application/jsonx', 'text/plain-x', ''):
    env.post(URL, '{"a":1}', kind)
    hit = ring.one()
    is_((hit.get('data'), hit.get('body')), (None, '{"a":1}'),
        '"%s" stands as body' % kind)
env.get(URL, method='POST', body='raw \xff')
is_(ring.one().get('body'), 'raw \ufffd', 'no type at all: body')
env.get(URL, method='POST', headers={'Content-Length': '0',
                                     'Content-Type': 'application/json'})
hit = ring.one()
is_((hit['method'], 'body' in hit, 'data' in hit), ('POST', False, False),
    'an empty POST is a hit without a body')
env.get(URL, method='POST')
is_(ring.one().get('method'), 'POST', 'a POST without length, too')
env.get(URL, method='GET', body='a=b', headers={'Content-Type': FORM})
is_(ring.one()['args'], {'site': 'shop'}, 'the body of a GET is ignored')

# ---- framing

big = 'a=' + 'x' * 65534
for data, size in (('a=b&c=d', 1), ('a=' + 'y' * 3000, 1), (big, 1),
                   (big, 1000), (big, 100000), ('', 1)):
    r = post_chunked(URL, data, size=size)
    want = {'site': 'shop'}
    if data:
        want.update(pair.split('=') for pair in data.split('&'))
    is_((r.status, ring.one().get('args') == want), (200, True),
        '%d bytes in chunks of %d are recorded whole' % (len(data), size))
for data in (big, 'a=b'):
    r = env.post('/small-buffer?site=shop', data)
    is_((r.status, len(ring.one().get('args', {}).get('a', ''))),
        (204, len(data) - 2),
        "%d bytes are taken whatever nginx's own limits say" % len(data))
    r = post_chunked('/small-buffer?site=shop', data)
    is_((r.status, len(ring.one().get('args', {}).get('a', ''))),
        (204, len(data) - 2), 'chunked, too')
is_(os.listdir(os.path.join(env.root, 'tmp_client_body')), [],
    'no body ever went to a file')
unlike('\n'.join(env.error_lines()), 'buffered to a temporary file',
       'and nginx says nothing of any')

with env.client() as client:
    whole = client.format(URL + '&slow=1', 'POST', {'Content-Type': FORM},
                          'a=' + 'z' * 300)
    for i in range(0, len(whole), 16):
        client.send(whole[i:i + 16])
        time.sleep(0.001)
    is_(client.response().status, 200, 'a body that trickles in is taken')
    whole = client.format(
        URL, 'POST', {'Content-Type': FORM, 'Transfer-Encoding': 'chunked'},
        chunked('b=' + 'z' * 300, 50))
    for i in range(0, len(whole), 16):
        client.send(whole[i:i + 16])
        time.sleep(0.001)
    is_(client.response().status, 200,
        'so is a chunked one, on the same connection')
is_([len(h['args'].get('a', h['args'].get('b'))) for h in ring.new()],
    [300, 300], 'both are recorded whole')

with env.client() as client:
    for one in (client.format(URL + '&n=%d' % i, 'POST',
                              {'Content-Type': FORM}, 'b=%d' % i)
                if i % 3 else
                client.format(URL + '&n=%d' % i, 'POST',
                              {'Content-Type': FORM,
                               'Transfer-Encoding': 'chunked'},
                              chunked('b=%d' % i, 1))
                for i in range(30)):
        client.sock.sendall(one)
    good = all(client.response().status == 200 for _ in range(30))
ok(good, '30 pipelined POSTs get their answers')
is_([(h['args']['n'], h['args']['b']) for h in ring.new()],
    [(str(i), str(i)) for i in range(30)], 'each with its own body')

with env.client() as client:
    client.send('POST %s HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\n'
                'Content-Length: 3\r\nExpect: 100-continue\r\n\r\n'
                % (URL, FORM))
    while b'\r\n\r\n' not in client.buffer:
        client._more()
    like(client.buffer, r'^HTTP/1.1 100', 'Expect: 100-continue is answered')
    client.send('a=b')
    is_(client.response().status, 200, 'then the hit is')
is_(ring.one()['args'].get('a'), 'b', 'with its body')
with env.client() as client:
    client.send('POST %s HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\n'
                'Content-Length: 3\r\n\r\na=bGARBAGE' % (URL, FORM))
    is_(client.response().status, 200,
        'junk behind the declared length is not the body')
is_(ring.one()['args'].get('a'), 'b', 'nor recorded')
ring.new()

# ---- limits

count.since()
is_(env.post('/limit', 'x' * 100).status, 204, 'a body of the limit is taken')
is_(post_chunked('/limit', 'x' * 100).status, 204, 'chunked, too')
is_(len(ring.new()), 2, 'and recorded')
for given, r in (
        ('declared', env.post('/limit', 'x' * 101)),
        ('chunked', post_chunked('/limit', 'x' * 101)),
        ('chunked byte by byte', post_chunked('/limit', 'x' * 101, size=1)),
        ('any, where the limit is 0,', env.post('/none', 'x')),
        ('chunked with a limit of 0', post_chunked('/none', 'x'))):
    is_((r.status, r.header('x-beacon-error'), r.body,
         r.header('connection')), (413, 'body', b'', 'close'),
        'a body too long is refused: %s' % given)
is_((ring.new(), count.since()), ([], {'accepted': 2, 'body': 5}),
    'and counted, not recorded')
r = env.post(URL, 'x' * 65537)
is_((r.status, r.body[:3]), (413, b'GIF'),
    'the default limit is 64k; beacon gif sends its GIF')
is_(env.post(URL, 'x' * 65536).status, 200, 'that much is taken')
ring.new()
with env.client() as client:
    client.send('POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n'
                'Expect: 100-continue\r\n\r\n' % URL)
    r = client.response()
    is_((r.status, r.raw[:12]), (413, b'HTTP/1.1 413'),
        'too long a body is refused before it is sent')
with env.client() as client:
    client.send('POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n'
                '\r\n%s' % (URL, 'x' * 200000))
    is_(client.response().status, 413, 'and while it is')
with env.client() as client:
    client.send('POST %s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n'
                '\r\n' % URL)
    try:
        for _ in range(40):
            client.send(b'4000\r\n' + b'x' * 0x4000 + b'\r\n')
    except Closed:
        pass
    is_(client.response().status, 413, 'an endless chunked body, too')

# ---- broken framing

count.since()
for body in ('zz\r\n', '3\r\nabcX\r\n', '-1\r\n', 'ffffffffffffffffff\r\n'):
    for first in (len(body), 0):
        with env.client() as client:
            client.send('POST %s HTTP/1.1\r\nHost: a\r\n'
                        'Transfer-Encoding: chunked\r\n\r\n%s'
                        % (URL, body[:first]))
            if not first:
                time.sleep(0.02)
                client.send(body)
            r = client.response()
            is_((r.status, r.header('x-beacon-error'), r.body[:3],
                 r.header('connection')), (400, 'body', b'GIF', 'close'),
                'broken chunks are refused by the module itself: %s, %s'
                % (ascii(body)[:20], 'at once' if first else 'later'))
is_((ring.new(), count.since()), ([], {'body': 8}),
    'and counted, not recorded')
for headers in ('Content-Length: 5\r\nContent-Length: 6\r\n',
                'Content-Length: x\r\n', 'Transfer-Encoding: gzip\r\n'):
    with env.client() as client:
        client.send('POST %s HTTP/1.1\r\nHost: a\r\n%s\r\nabcdef'
                    % (URL, headers))
        isnt(client.response().body[:3], b'GIF',
             'nginx itself refuses %s' % ascii(headers))
with env.client() as client:
    client.send('POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n'
                '\r\nabc' % URL)
    client.sock.shutdown(socket.SHUT_WR)
    try:
        client.response()
        closed = False
    except Closed:
        closed = True
ok(closed, 'a client that goes away in its body gets no answer')
with env.client() as client:
    client.send('POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n'
                '\r\nabc')
    try:
        client.response()
        closed = False
    except Closed:
        closed = True
ok(closed, 'a client that stops in its body is closed without an answer')
is_((ring.new(), count.since()), ([], {}), 'neither is recorded or counted')

# ---- HTTP/2


def curl(*args):
    return subprocess.run(
        ['curl', '-s', '--http2-prior-knowledge', '-o', '-', '-w',
         '%{stderr}%{http_code} %header{x-beacon-error}', *args],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)


def h2(target, *args):
    done = curl(*args, 'http://127.0.0.1:%d%s' % (H2, target))
    return done.stderr.decode().split(), done.stdout


with open(os.path.join(env.root, 'body'), 'w', encoding='ascii') as file:
    file.write(big)
TWO = '/px.gif?site=shop&h=2'
is_((lambda a: (a[0], a[1][:3]))(h2(TWO)), (['200'], b'GIF'),
    'HTTP/2: GET is answered')
is_(ring.one()['args'], {'site': 'shop', 'h': '2'}, 'and recorded')
is_(h2(TWO, '-I')[0], ['200'], 'HTTP/2: HEAD is')
is_(ring.one()['method'], 'HEAD', 'and recorded')
is_(h2(TWO, '-d', 'a=b')[0], ['200'], 'HTTP/2: POST is')
is_(ring.one()['args'].get('a'), 'b', 'and recorded with its body')
is_(h2(TWO, '-d', '@' + os.path.join(env.root, 'body'))[0], ['200'],
    'HTTP/2: a body of 64 KiB is')
is_(len(ring.one()['args'].get('a', '')), 65534, 'and recorded whole')
is_(h2(TWO, '-d', '@' + os.path.join(env.root, 'body'),
       '-H', 'Content-Length:')[0], ['200'],
    'HTTP/2: without a declared length')
is_(len(ring.one()['args'].get('a', '')), 65534, 'too')
with open(os.path.join(env.root, 'body'), 'a', encoding='ascii') as file:
    file.write('x')
is_(h2(TWO, '-d', '@' + os.path.join(env.root, 'body'),
       '-H', 'Content-Length:')[0], ['413', 'body'],
    'HTTP/2: a byte more is refused')
count.since()
# this curl may lose an answer that comes before it has sent the body, nginx's
# own 413 as well
for name, target, data in (('a', TWO, '@' + os.path.join(env.root, 'body')),
                           ('its own', '/limit', 'x' * 101)):
    h2(target, '-d', data)
    is_(count.since(), {'body': 1},
        'HTTP/2: a declared length over %s limit is refused' % name)
is_(h2(TWO, '-X', 'PUT')[0], ['405', 'method'],
    'HTTP/2: PUT is refused')
is_(h2(TWO, '-X', 'OPTIONS')[0], ['204'], 'HTTP/2: OPTIONS is 204')
is_(h2('/px.gif')[0], ['400', 'site'], 'HTTP/2: no site is refused')
is_(ring.new(), [], 'none of these is recorded')
done = tool('h2load', '-n', '2000', '-c', '4', '-m', '10',
            'http://127.0.0.1:%d%s' % (H2, TWO))
like(done.stdout, r'2000 succeeded, 0 failed', 'HTTP/2: 2,000 hits in streams')
is_(len(ring.new()), 2000, 'are 2,000 records')

done_testing()
