#!/usr/bin/python3
"""GET and HEAD: what is answered, what is recorded, what is counted."""

import os
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_ring import Counted, capture_env    # noqa: E402

GIF = (b'GIF89a\x01\0\x01\0\x80\x01\0\0\0\0\xff\xff\xff!\xf9\x04\x01\0\0\x01\0'
       b',\0\0\0\0\x01\0\x01\0\0\x02\x02L\x01\0;')

env, ring = capture_env(http='''
    log_format result '$uri $status $beacon_result $beacon_id [$beacon_site]'
                      '[$beacon_visitor][$beacon_field_country]'
                      '[$beacon_arg_x]';
    map $beacon_arg_tenant $tenant { acme acme-inc; default ""; }
    map $beacon_arg_Mixed $mixed { default $beacon_arg_Mixed; }
    geo $remote_addr $country { default GR; }
    set_real_ip_from 127.0.0.1;
    real_ip_header X-Real-IP;
    large_client_header_buffers 4 72k;
''', server='''
    access_log %%ROOT%%/result.log result;
    location = /empty { beacon empty; beacon_site shop; }
    location = /map.gif { beacon gif; beacon_site $tenant; }
    location = /complex { beacon empty; beacon_site a-$beacon_arg_site; }
    location = /if { beacon empty if=$beacon_arg_go; beacon_site shop; }
    location = /const-if { beacon empty if=0; beacon_site shop; }
    location /fields {
        beacon gif;
        beacon_site $beacon_arg_site;
        beacon_visitor $beacon_arg_vid $cookie_vid $http_x_vid;
        beacon_field country $country;
        beacon_field empty $http_x_none;
        beacon_field arg $beacon_arg_x;
        beacon_field mixed "<$beacon_arg_x|$request_method>";
        beacon_field constant here;
        beacon_field Case $beacon_arg_Case;
        beacon_field mapped $mixed;
        beacon_flag bot $http_x_bot;
        beacon_flag never 0;
        beacon_flag always 1;
        location /fields/more {
            beacon empty;
            beacon_field other <$beacon_arg_x>;
        }
    }
    location /nested {
        beacon gif;
        beacon_site shop;
        location /nested/none { return 200 "no hit"; }
        location /nested/off { beacon off; return 200 "no hit"; }
    }
    location = /args { beacon empty; beacon_site shop; beacon_max_args 3; }
    location = /limited { beacon empty; beacon_site shop;
                          limit_except GET { deny all; } }
    location = /iffy {
        beacon empty;
        beacon_site shop;
        if ($arg_a) { set $b 1; }
    }
    location = /expires { beacon gif; beacon_site shop; expires 30d;
                          add_header X-More yes always; }
    location = /variable { return 200
        "[$beacon_arg_x][$beacon_id][$beacon_result][$beacon_site]"; }
    error_page 400 405 414 503 =200 /page;
    location = /page { return 200 "a page"; }
    listen unix:%%ROOT%%/sock;
''')
env.start()
count = Counted(env)


def head(answer, name, value, what):
    is_(answer.header(name), value, '%s: %s' % (what, name))


# ---- the answers

r = env.get('/px.gif?a=b&site=shop')
is_(r.status, 200, 'a hit is answered 200')
is_(r.body, GIF, 'with a GIF of 43 bytes')
head(r, 'content-type', 'image/gif', 'a hit')
head(r, 'content-length', '43', 'a hit')
head(r, 'cache-control', 'no-store', 'a hit')
for name in ('last-modified', 'etag', 'expires', 'x-beacon-error',
             'accept-ranges'):
    is_(r.header(name), None, 'a hit is answered without %s' % name)
hit = ring.one()
is_(list(hit), ['v', 'id', 'time', 'edge', 'site', 'ip', 'method', 'host',
                'path', 'args'], 'its record has these keys')
is_({k: hit[k] for k in ('v', 'edge', 'site', 'ip', 'method', 'host', 'path',
                         'args')},
    {'v': 1, 'edge': 'test', 'site': 'shop', 'ip': '127.0.0.1',
     'method': 'GET', 'host': '127.0.0.1', 'path': '/px.gif',
     'args': {'a': 'b', 'site': 'shop'}}, 'and these values')
like(hit['id'], r'^[0-9a-f]{16}-0-[0-9a-f]+$', 'and an id')
is_(count.since(), {'accepted': 1}, 'it is counted as accepted')

r = env.get('/empty')
is_((r.status, r.body, r.header('content-type'), r.header('content-length')),
    (204, b'', None, None), 'beacon empty answers 204 without a body')
head(r, 'cache-control', 'no-store', 'beacon empty')
ring.new()

r = env.get('/px.gif?site=shop', method='HEAD')
is_((r.status, r.body, r.header('content-length')), (200, b'', '43'),
    'HEAD is answered without the body')
is_(ring.one().get('method'), 'HEAD', 'and recorded as HEAD')

for condition in (('If-Modified-Since', 'Thu, 01 Jan 2099 00:00:00 GMT'),
                  ('If-Unmodified-Since', 'Thu, 01 Jan 1970 00:00:00 GMT'),
                  ('If-None-Match', '*'), ('If-Match', '"x"'),
                  ('Range', 'bytes=0-0')):
    r = env.get('/px.gif?site=shop', dict([condition]))
    is_((r.status, r.body), (200, GIF), '%s changes nothing' % condition[0])
is_(len(ring.new()), 5, 'each of these is recorded')

r = env.get('/expires')
is_([v for v in r.header_all('cache-control') if v == 'no-store'],
    ['no-store'], 'no-store stands beside what "expires" adds')
head(r, 'x-more', 'yes', 'add_header works')
ring.new()

# ---- refusals

count.since()
for target, why in (('/px.gif', 'no'), ('/px.gif?site=', 'an empty'),
                    ('/px.gif?site=a%2Fb', 'a malformed'),
                    ('/px.gif?site=..%2f..%2fetc', 'a climbing'),
                    ('/px.gif?site=_x', 'a reserved'),
                    ('/px.gif?site=.x', 'a hidden'),
                    ('/px.gif?site=%00', 'a NUL as'),
                    ('/px.gif?site=' + 'x' * 65, 'too long a'),
                    ('/map.gif?tenant=other', 'an unlisted')):
    r = env.get(target)
    is_((r.status, r.header('x-beacon-error'), r.body,
         r.header('content-type'), r.header('cache-control')),
        (400, 'site', GIF, 'image/gif', 'no-store'),
        '%s site is refused with 400 and the GIF' % why)
is_(count.since(), {'site': 9}, 'each is counted as rejected for its site')
r = env.get('/px.gif', method='HEAD')
is_((r.status, r.body, r.header('x-beacon-error')), (400, b'', 'site'),
    'HEAD is refused without the GIF')
r = env.get('/complex?site=!')
is_((r.status, r.header('x-beacon-error'), r.body,
     r.header('content-length')), (400, 'site', b'', '0'),
    'beacon empty refuses with an empty body')
is_(env.get('/px.gif?site=' + 'x' * 64).status, 200,
    'a site of 64 bytes is taken')
is_(env.get('/map.gif?tenant=acme').status, 200,
    'a map as allow-list takes what it lists')
is_([h['site'] for h in ring.new()], ['x' * 64, 'acme-inc'],
    'only these are recorded')

count.since()
for method in ('PUT', 'DELETE', 'PATCH', 'PROPFIND', 'FOO'):
    r = env.get('/px.gif?site=shop', method=method)
    is_((r.status, r.header('x-beacon-error'), r.header('allow'), r.body),
        (405, 'method', 'GET, HEAD, POST, OPTIONS', GIF),
        '%s is refused with 405, Allow and the GIF' % method)
is_(count.since(), {'method': 5}, 'each is counted as rejected')
with env.client() as client:
    r = client.request('/px.gif?site=shop', method='PUT', body='x' * 100000)
    is_(r.status, 405, 'PUT with a body is refused')
    is_(client.request('/px.gif?site=shop').status, 200,
        'and the connection goes on behind that body')
r = env.get('/px.gif?site=shop', method='OPTIONS')
is_((r.status, r.header('allow'), r.header('x-beacon-error'), r.body),
    (204, 'GET, HEAD, POST, OPTIONS', None, b''), 'OPTIONS is answered 204')
ring.new()
count.since()
env.get('/px.gif?site=shop', method='OPTIONS')
is_((ring.new(), count.since()), ([], {}), 'and neither recorded nor counted')

r = env.get('/px.gif?site=shop&x=' + 'y' * 66000 + '&' + 'z' * 5000)
is_(r.status, 200, 'a query of 70 KB is taken')
is_(len(ring.one()['args']['x']), 66000, 'and recorded whole')
r = env.get('/px.gif?site=shop&' + 'y' * 60000,
            {'Referer': 'r' * 60000, 'User-Agent': 'u' * 60000})
is_((r.status, r.header('x-beacon-error'), r.body), (414, 'size', GIF),
    'a record larger than an eighth of a lane is refused with 414')
is_(count.since(), {'accepted': 1, 'size': 1}, 'and counted')
is_(ring.new(), [], 'and not recorded')

# ---- if=

for target, taken in (('/if?go=1', 1), ('/if?go=x', 1), ('/if?go=00', 1),
                      ('/if?go=%30', 0), ('/if?go=0', 0), ('/if?go=', 0),
                      ('/if', 0), ('/const-if', 0)):
    r = env.get(target)
    is_((r.status, r.header('x-beacon-error'), len(ring.new()),
         count.since()),
        (204, None, taken, {'accepted': 1} if taken else {'dropped': 1}),
        '%s is answered as taken and %s' % (
            target, 'recorded' if taken else 'dropped'))

# ---- fields, flags, visitor

r = env.get('/fields?site=shop&vid=v%201&x=a%2bb+c',
            {'X-Bot': 'yes', 'Cookie': 'vid=c'})
hit = ring.one()
is_(hit['visitor'], 'v 1', 'the visitor is decoded')
is_(hit['fields'], {'country': 'GR', 'arg': 'a+b c',
                    'mixed': '<a+b c|GET>', 'constant': 'here'},
    'fields are constants, arguments, variables and mixtures')
is_(hit['flags'], ['bot', 'always'], 'flags are those neither empty nor 0')
for given, want in (({'Cookie': 'vid=c', 'X-Vid': 'h'}, 'c'),
                    ({'X-Vid': 'h'}, 'h'), ({}, None)):
    env.get('/fields?site=shop&vid=', given)
    is_(ring.one().get('visitor'), want,
        'the visitor is the first that is not empty: %s' % want)
env.get('/fields?site=shop', {'X-Bot': '0'})
is_(ring.one()['flags'], ['always'], 'a flag of 0 is not set')
env.get('/fields?site=shop&Case=1&Mixed=2&mixed=3')
is_(ring.one()['fields'].get('Case'), '1',
    'an argument is found by its case as written')
env.get('/fields?site=shop&case=1')
is_(ring.one()['fields'].get('Case'), None, 'and only so')
env.get('/fields?site=shop&Mixed=a%20b')
is_(ring.one()['fields'].get('mapped'), 'a b',
    'a map finds an argument whatever its case, as nginx makes names lower '
    'case')
env.get('/fields/more?site=shop&vid=1&x=y')
hit = ring.one()
is_((hit['visitor'], hit['fields'], hit['flags']),
    ('1', {'other': '<y>'}, ['always']),
    'a location inherits visitor and flags, and no field where it has one')

for target in ('/nested/none', '/nested/off'):
    r = env.get(target)
    is_((r.status, r.body), (200, b'no hit'),
        '%s is not captured' % target)
is_(ring.new(), [], 'and not recorded')
is_(env.get('/nested').status, 200, 'the outer location is')
ring.new()

is_(env.get('/args?a=1&b=2&c=3&d=4').status, 204,
    'more than beacon_max_args are taken')
is_(ring.one().get('flags'), ['malformed'], 'and flagged')
env.get('/args?a=1&b=2&c=3')
is_(ring.one().get('flags'), None, 'as many as that are not')

is_((env.get('/limited').status, env.get('/limited', method='HEAD').status),
    (204, 204), 'limit_except lets what it lists through')
is_(env.get('/limited', method='PUT').status, 403,
    "and what it denies is nginx's refusal")
is_(len(ring.new()), 2, 'which is not recorded')
is_((env.get('/iffy?a=1').status, env.get('/iffy').status), (204, 204),
    'an "if" in the location keeps it')
is_(len(ring.new()), 2, 'and both are recorded')

# ---- what the client sent

env.get('/./x/..//%70x.gif?site=shop&', host='Px.Example.COM:8080')
hit = ring.one()
is_((hit['path'], hit['host']), ('/./x/..//%70x.gif', 'px.example.com'),
    'path is the raw target up to "?", host is $host')
env.get('http://px.example.com/px.gif?site=shop')
is_((lambda h: (h['path'], h['host']))(ring.one()),
    ('/px.gif', 'px.example.com'), 'of an absolute target, path is its path')
env.get('/px.gif?site=shop', {'Referer': 'https://shop.example/?a="\\b',
                              'User-Agent': b'Mozilla \xff\x01 \xc3\xa9'})
hit = ring.one()
is_(hit['referer'], 'https://shop.example/?a="\\b', 'the referer is raw')
is_(hit['user_agent'], 'Mozilla \ufffd\x01 \xe9', 'so is the user agent')
env.get('/px.gif?site=shop', {'X-Real-IP': '203.0.113.7'})
is_(ring.one()['ip'], '203.0.113.7', 'ip is what realip makes of it')
env.get('/px.gif?site=shop', {'X-Real-IP': '2001:db8::7'})
is_(ring.one()['ip'], '2001:db8::7', 'IPv6 too')
env.get('/px.gif?site=shop', {'X-Real-IP': '::ffff:198.51.100.9'})
is_(ring.one()['ip'], '198.51.100.9', 'an IPv4-mapped address is IPv4')
with socket.socket(socket.AF_UNIX) as sock:
    sock.connect(os.path.join(env.root, 'sock'))
    sock.sendall(b'GET /px.gif?site=shop HTTP/1.0\r\n\r\n')
    while sock.recv(4096):
        pass
hit = ring.one()
is_(('ip' in hit, hit['host']), (False, 'localhost'),
    'over a UNIX-domain socket there is no ip; host is the server\'s name')

for query, args in (
        ('site=shop&a=%zz&b=%', {'site': 'shop', 'a': '%zz', 'b': '%'}),
        ('site=shop&a=%ff', {'site': 'shop', 'a': '\ufffd'}),
        ('site=shop&a=\xff\x80', {'site': 'shop', 'a': '\ufffd\ufffd'})):
    env.get('/px.gif?' + query)
    hit = ring.one()
    is_((hit['args'], hit.get('flags'), 'query' in hit),
        (args, ['malformed'], True),
        'broken bytes are kept and flagged: %s' % ascii(query))
env.get('/px.gif?site=shop&a=%00%0d%0a%e2%80%a8')
is_(ring.one()['args']['a'], '\0\r\n\u2028', 'control bytes are kept')
env.get('/px.gif?x=%73&site=%73hop+')
is_(ring.new(), [], 'a site is judged decoded: "shop " is none')
env.get('/px.gif?x=%73&s%69te=%73hop')
is_(ring.one()['site'], 'shop', 'names and values are decoded')
env.get('/px.gif?site=first&site=second')
is_(ring.one()['site'], 'first', 'the first of two sites counts')
env.get('/px.gif?' + '&'.join('a%d=%d' % (i, i) for i in range(6000))
        + '&site=shop')
hit = ring.one()
is_(hit.get('flags'), ['malformed'], '6,000 arguments make one flagged record')

# ---- variables

is_(env.get('/variable?x=a%20b').body, b'[a b][][][]',
    '$beacon_arg_x is decoded, in any location; others are empty there')
ids = [h['id'] for h in ring.all()]


def log_lines():
    with open(os.path.join(env.root, 'result.log'), encoding='latin-1') as f:
        return f.read().splitlines()


def logged(target, **options):
    """The access log's line of a request; it is written after the answer, so
    those of earlier requests may still be to come."""
    env.get('/before')
    wait_until(lambda: ''.join(log_lines()[-1:]).startswith('/before '))
    before = len(log_lines())
    env.get(target, **options)
    wait_until(lambda: len(log_lines()) > before)
    return log_lines()[-1]


line = logged('/fields?site=shop&vid=me&x=y')
is_(line, '/fields 200 taken %s [shop][me][GR][y]' % ring.one()['id'],
    'the access log has result, id, site, visitor and fields')
is_(logged('/px.gif').split()[2:4], ['site', '-'], '$beacon_result of a site')
is_(logged('/if').split()[2:4], ['dropped', '-'], 'of a dropped hit')
is_(logged('/px.gif', method='PUT').split()[2], 'method', 'of a method')
is_(logged('/variable').split()[2], '-', 'of what is no hit')

# ---- old and odd protocols

with env.client() as client:
    client.send('GET /px.gif?site=shop&v=09\r\n')
    data = b''
    client.sock.settimeout(10)
    while True:
        more = client.sock.recv(4096)
        if not more:
            break
        data += more
is_(data, GIF, 'HTTP/0.9 gets the GIF and nothing else')
r = env.get('/px.gif?site=shop&v=10', version='HTTP/1.0')
is_((r.status, r.header('connection'), r.body), (200, 'close', GIF),
    'HTTP/1.0 is answered and closed')
is_([h['args']['v'] for h in ring.new()], ['09', '10'], 'both are recorded')
with env.client() as client:
    client.send(''.join('GET /px.gif?site=shop&n=%d HTTP/1.1\r\nHost: a\r\n'
                        '\r\n' % i for i in range(50)))
    good = all(client.response().body == GIF for _ in range(50))
ok(good, '50 pipelined requests on one connection get 50 answers')
is_([h['args']['n'] for h in ring.new()], [str(i) for i in range(50)],
    'and are recorded in their order')
for junk in (b'GET /px.gif?site=shop HTTP/1.1\r\nHost: a\0b\r\n\r\n',
             b'GET /px.gif?site=\0shop HTTP/1.1\r\nHost: a\r\n\r\n',
             b'GET /px.gif?site=sh\rop HTTP/1.1\r\nHost: a\r\n\r\n'):
    with env.client() as client:
        client.send(junk)
        is_(client.response().body, b'a page',
            'nginx itself refuses %s' % ascii(junk)[:48])
is_(ring.new(), [], 'none of these is recorded')
with env.client() as client:
    client.send('GET /px.gif?site=shop HTTP/1.1\r\nHost: a\r\n'
                'Transfer-Encoding: chunked\r\n\r\nzz\r\n')
    r = client.response()
is_((r.status, r.header('x-beacon-error'), r.header('connection')),
    (400, 'body', 'close'), 'a GET with broken chunks is refused, and closed')
is_(ring.new(), [], 'and not recorded')

done_testing()
