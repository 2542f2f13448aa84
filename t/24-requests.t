#!/usr/bin/python3
"""Requests as vendors' tags send them, and as attackers do: slow, lying,
smuggled, with too much of everything.  One hit for what is a request, none for
what is not."""

import json
import os
import resource
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_ring import Counted, capture_env    # noqa: E402

H2 = free_port()
env, ring = capture_env(values={'H2': str(H2)}, ring_options='lane_size=2m',
                        http='''
    large_client_header_buffers 8 32k;
    client_header_timeout 2s;
    client_body_timeout 2s;
''', server='''
    listen 127.0.0.1:%%H2%% http2;
    location / { beacon gif; beacon_site v; beacon_visitor $cookie_vid; }
''')
env.start()
count = Counted(env)
FORM = 'application/x-www-form-urlencoded'


def answers(client):
    """Statuses of all answers until the server closes the connection."""
    got = []
    try:
        while True:
            got.append(client.response().status)
    except (Closed, ValueError, OSError):
        return got


def sent(raw, *, end=True):
    """Sends bytes on a connection of its own, and a request that ends it;
    (statuses, hits)."""
    with env.client() as client:
        try:
            client.send(raw)
            if end:
                client.send('GET /end HTTP/1.1\r\nHost: a\r\n'
                            'Connection: close\r\n\r\n')
        except Closed:
            pass
        got = answers(client)
    return got, [h for h in ring.new() if h['path'] != '/end']


# ---- vendors' tags

for target, want in (
        # GA4, Matomo, Snowplow, Meta, GoatCounter, VAST, an ad server
        ('/g/collect?v=2&tid=G-ABC&gtm=45je&_p=17&cid=1.2&ul=el-gr&sr=1920x108'
         '0&dl=https%3A%2F%2Fshop.example%2F%3Fa%3Db&dt=%CE%9A&en=page_view'
         '&ep.x%5By%5D=1',
         {'dl': 'https://shop.example/?a=b', 'dt': '\u039a',
          'ep.x[y]': '1', 'en': 'page_view'}),
        ('/matomo.php?action_name=A%20%3E%20B&idsite=1&rec=1&r=359&h=1&m=2&s=3'
         '&url=http%3A%2F%2Fa.example%2F&_id=&_idn=1&send_image=0&_refts=0'
         '&pv_id=x1&cvar=%7B%221%22%3A%5B%22a%22%2C%22b%22%5D%7D',
         {'action_name': 'A > B', '_id': '', 'cvar': '{"1":["a","b"]}'}),
        ('/i?stm=1&e=pv&url=https%3A%2F%2Fa%2F&tv=js-3.1&cx=eyJhIjoxfQ&res='
         '1x1&dtm=2', {'e': 'pv', 'cx': 'eyJhIjoxfQ'}),
        ('/tr/?id=1&ev=Purchase&dl=x&rl=&if=false&cd[value]=1.5'
         '&cd[currency]=EUR&sw=1', {'cd[value]': '1.5', 'rl': ''}),
        ('/count?p=%2Fa&t=T%20%E2%80%94%20x&r=&e=false&s=1,2,3&b=0&rnd=ab',
         {'t': 'T \u2014 x', 's': '1,2,3'}),
        ('/vast?event=firstQuartile&cb=[CACHEBUSTING]&err=[ERRORCODE]'
         '&ts=[TIMESTAMP]', {'cb': '[CACHEBUSTING]', 'err': '[ERRORCODE]'}),
        ('/imp;ord=123?gdpr=1&gdpr_consent=CPx_A-b.YAAA&gpp=DBABMA~x'
         '&gpp_sid=2_6&us_privacy=1YNN&x=${CACHEBUSTER}%%WIDTH%%',
         {'gdpr_consent': 'CPx_A-b.YAAA', 'gpp': 'DBABMA~x',
          'us_privacy': '1YNN', 'x': '${CACHEBUSTER}%%WIDTH%%'}),
        ('/px?a;b=c&&=d&e', {'a;b': 'c', '': 'd', 'e': ''})):
    is_(env.get(target).status, 200, 'taken: ' + target[:40])
    args = ring.one().get('args', {})
    is_({key: args.get(key) for key in want}, want, 'its arguments are right')
for kind, body in (
        ('application/json; charset=UTF-8',
         '{"schema":"iglu:com.snowplowanalytics.snowplow/payload_data/'
         'jsonschema/1-0-4","data":[{"e":"pv","eid":"x"}]}'),
        ('text/plain', '{"n":"pageview","u":"https://a/","d":"a","r":null}')):
    env.post('/com.vendor/tp2', body, kind)
    is_(ring.one().get('data'), json.loads(body), 'JSON of %s' % kind)

# ---- framing: what nginx refuses is no hit, what it takes is one

GET = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n'


def post(*headers, body=''):
    return ('POST /p HTTP/1.1\r\nHost: a\r\n'
            + ''.join(h + '\r\n' for h in headers) + '\r\n' + body)


LEN = 'Content-Length: %d' % len(GET)
for name, raw in (
        ('length and chunks', post(LEN, 'Transfer-Encoding: chunked',
                                   body='0\r\n\r\n' + GET)),
        ('chunks and length', post('Transfer-Encoding: chunked', LEN,
                                   body='0\r\n\r\n' + GET)),
        ('two lengths', post('Content-Length: 0', LEN, body=GET)),
        ('two equal lengths', post(LEN, LEN, body=GET)),
        ('a list of lengths', post('Content-Length: 0, 5', body=GET)),
        ('a signed length', post('Content-Length: +5', body=GET)),
        ('a negative length', post('Content-Length: -5', body=GET)),
        ('a hexadecimal length', post('Content-Length: 0x5', body=GET)),
        ('an endless length', post('Content-Length: ' + '9' * 40, body=GET)),
        ('no length at all', post('Content-Length:', body=GET)),
        ('another coding', post('Transfer-Encoding: gzip, chunked', body=GET)),
        ('identity', post('Transfer-Encoding: identity', LEN, body=GET)),
        ('a coding twice', post('Transfer-Encoding: chunked',
                                'Transfer-Encoding: chunked',
                                body='0\r\n\r\n' + GET)),
        ('a coding with a tab', post('Transfer-Encoding: \x0bchunked',
                                     body='0\r\n\r\n' + GET)),
        ('two hosts', 'GET /p HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'),
        ('no host', 'GET /p HTTP/1.1\r\n\r\n'),
        ('NUL in a header', 'GET /p HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n'),
        ('a chunk of "5g"', post('Transfer-Encoding: chunked',
                                 body='5g\r\nhello\r\n0\r\n\r\n' + GET)),
        ('a chunk of "-1"', post('Transfer-Encoding: chunked',
                                 body='-1\r\nhello\r\n0\r\n\r\n' + GET)),
        ('a chunk without an end', post('Transfer-Encoding: chunked',
                                        body='5\r\nhelloX\r\n0\r\n\r\n' + GET)),
        ('HTTP/1.0 with chunks', post('Transfer-Encoding: chunked',
                                      body='0\r\n\r\n' + GET).replace(
                                          'HTTP/1.1', 'HTTP/1.0', 1)),
        ('HTTP/3.0', 'GET /p HTTP/3.0\r\nHost: a\r\n\r\n'),
        ('a method of its own', 'G=T /p HTTP/1.1\r\nHost: a\r\n\r\n'),
        ('TLS', b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03')):
    got, hits = sent(raw)
    ok(200 not in got, 'nginx or we refuse: %s' % name) or diag(got)
    is_([h['path'] for h in hits], [], 'and it is no hit')
for name, raw, want in (
        ('a body that looks like a request',
         post(LEN, 'Content-Type: text/plain', body=GET), [('/p', GET)]),
        ('trailers', post('Transfer-Encoding: chunked', 'Trailer: X',
                          body='5\r\nhello\r\n0\r\nX: y\r\n\r\n'),
         [('/p', 'hello')]),
        ('chunk extensions', post('Transfer-Encoding: chunked',
                                  body='5;a="b"\r\nhello\r\n0;x\r\n\r\n'),
         [('/p', 'hello')]),
        ('leading zeros of a chunk', post(
            'Transfer-Encoding: chunked',
            body='0005\r\nhello\r\n000\r\n\r\n'), [('/p', 'hello')]),
        ('empty lines in front', '\r\n\r\n' + post('Content-Length: 0'),
         [('/p', None)])):
    got, hits = sent(raw)
    is_((got[:1], [(h['path'], h.get('body')) for h in hits]), ([200], want),
        'taken: %s' % name)
got, hits = sent(post('Content-Length: 5', body='hello' + GET))
is_((got, [(h['path'], h.get('body')) for h in hits]),
    ([200, 200, 200], [('/p', 'hello'), ('/smuggled', None)]),
    'what stands behind a body is the next request, and nothing else')
for junk in ('\x00\x01\x02', 'GARBAGE\r\n\r\n', '\xff' * 5000,
             'GET\r\n\r\n', 'hello' * 3000):
    got, hits = sent(post('Content-Length: 5', body='hello' + junk), end=False)
    is_((got[:1], [h.get('body') for h in hits]), ([200], ['hello']),
        'junk behind a POST spoils nothing: %s' % ascii(junk)[:20])
    ok(200 not in got[1:], 'and is no hit itself')
got, hits = sent('GET /p HTTP/1.1\nHost: a\n\n')
is_((got, len(hits)), ([200, 200], 1), 'bare line feeds are a request to nginx')

# ---- slow and broken off

with env.client() as client:
    client.send('GET /p HTTP/1.1\r\nHost: a\r\n')
    is_(answers(client), [], 'headers that never end get no answer in time')
with env.client() as client:
    client.send(post('Content-Length: 10', body='hello'))
    is_(answers(client), [], 'nor does a body that never ends')
with env.client() as client:
    client.send(post('Transfer-Encoding: chunked', body='5\r\nhello\r\n'))
    is_(answers(client), [], 'nor do chunks that never end')
with env.client() as client:
    for byte in post('Content-Length: 5', body='hello'):
        client.send(byte)
        time.sleep(0.002)
    is_(client.response().status, 200, 'a request byte by byte is taken')
is_([h.get('body') for h in ring.new()], ['hello'], 'that one alone is a hit')

# ---- slow clients, and many of them

slow = []
fds = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(fds[1], 8192), fds[1]))
many, many_ring = capture_env(ring_options='lane_size=2m', values={
    'CONNECTIONS': '4096'})
many.start()
for n in range(2000):
    client = many.client()
    client.send('GET /px.gif?site=slow HTTP/1.1\r\nHost: a\r\n' if n % 2
                else post('Content-Length: 100', body='hello').replace(
                    '/p ', '/px.gif?site=slow '))
    slow.append(client)
statuses = []
for n in range(1000):
    for client in slow[2 * n:2 * n + 2]:
        client.send('X')
    if n % 10:
        statuses.append(many.get('/px.gif?site=shop&n=%d' % n).status)
    else:
        statuses.append(many.post('/px.gif?site=shop&n=%d' % n, 'a=b').status)
is_(statuses.count(200), 1000,
    '1,000 requests beside 2,000 slow connections: all are taken')
is_([h['site'] for h in many_ring.new()], ['shop'] * 1000,
    'and recorded, and nothing else is')
for client in slow[:1000]:
    client.send('\r\n\r\n' + 'x' * 100)
got = [client.response().status for client in slow[:1000]]
is_(got, [200] * 1000, 'those that come to an end are taken, too')
is_(len(many_ring.new()), 1000, 'and recorded')
for client in slow:
    client.close()

# ---- too much

cookies = '; '.join('c%d=%d' % (i, i) for i in range(999)) + '; vid=me'
r = env.get('/p', {'Cookie': cookies})
is_((r.status, ring.one().get('visitor')), (200, 'me'),
    '1,000 cookies in one header: the last is found')
r = env.get('/p', [('Cookie', 'c%d=x' % i) for i in range(900)]
            + [('Cookie', 'vid=me')])
is_((r.status, ring.one().get('visitor')), (200, 'me'), 'in 900 headers, too')
for name in ('Referer', 'User-Agent', 'X-Any', 'Cookie', 'Origin',
             'Content-Type', 'Accept'):
    r = env.get('/p', {name: 'x' * 8000})
    hit = ring.one()
    is_((r.status, hit.get('path')), (200, '/p'), '8 KB of %s is taken' % name)
is_(env.get('/p', {'User-Agent': 'u' * 8000, 'Referer': 'r' * 8000}).status,
    200, 'and recorded whole')
hit = ring.one()
is_((len(hit['user_agent']), len(hit['referer'])), (8000, 8000), 'both')
r = env.get('/p', {'X-Big': 'x' * 40000})
is_((r.status, ring.new()), (400, []), "more than nginx's buffers is refused")
is_(env.get('/' + 'x' * 40000).status, 414, 'a target, too')
r = env.get('/p', [('X-%d' % i, 'y') for i in range(2000)])
ok((r.status, len(ring.new())) in ((200, 1), (400, 0)),
   '2,000 headers are taken, or refused by an nginx that counts them')
is_(env.get('/p?' + '&' * 20000 + 'a=b').status, 200, '20,000 empty arguments')
is_(ring.one().get('args'), {'a': 'b'}, 'are none')

# ---- HTTP/2: lies about lengths


def h2(*args):
    done = subprocess.run(
        ['curl', '-s', '-m', '10', '--http2-prior-knowledge', '-o',
         '/dev/null', '-w', '%{http_code}', *args,
         'http://127.0.0.1:%d/p' % H2], stdout=subprocess.PIPE, text=True,
        check=False)
    return done.stdout


for length in ('3', '7', '-1', 'x', '99999999999999999999'):
    status = h2('-d', 'hello', '-H', 'Content-Length: ' + length)
    ok(status != '200', 'HTTP/2: a length of %s for 5 bytes is refused: %s'
       % (length, status))
is_(ring.new(), [], 'and no hit')
is_(h2('-d', 'hello', '-H', 'Transfer-Encoding: chunked') in ('200', '400',
                                                             '000'), True,
    'HTTP/2: a coding of HTTP/1 harms nobody')
ring.new()
is_(h2('-H', 'Cookie: ' + cookies), '200', 'HTTP/2: 1,000 cookies are taken')
is_(ring.one().get('visitor'), 'me', 'and the last is found')
is_(h2('-H', 'Referer: ' + 'r' * 8000), '200', 'HTTP/2: 8 KB are')
is_(len(ring.one().get('referer', '')), 8000, 'and recorded whole')

pids = env.worker_pids()
is_(len(pids), 1, 'the worker lives')
done_testing()
