#!/usr/bin/python3
"""beacon_cors, and what every answer says: preflights, origins, nothing to
cache, over HTTP/1.0, 1.1 and 2."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_ring import Counted, capture_env    # noqa: E402

H2 = free_port()
env, ring = capture_env(values={'H2': str(H2)}, server='''
    listen 127.0.0.1:%%H2%% http2;
    beacon_site $beacon_arg_site;
    location = /off { beacon gif; }
    location = /any { beacon empty; beacon_cors *; }
    location = /list { beacon gif; beacon_cors https://Shop.example
                       http://localhost:3000 https://[2001:db8::1]:8443; }
    location = /none { beacon gif; beacon_cors off; }
    location = /click { beacon_redirect https://shop.example/;
                        beacon_cors https://shop.example; }
    location = /page { beacon on; beacon_cors *; return 200 "a page"; }
    location /outer {
        beacon_cors *;
        location /outer/in { beacon empty; }
        location /outer/off { beacon empty; beacon_cors off; }
    }
    location = /expires { beacon gif; expires max; etag on; gzip on;
                          gzip_types *; gzip_min_length 0; }
    error_page 400 405 413 =200 /fine;
    location = /fine { return 200 "fine"; }
''')
env.start()
count = Counted(env)
ACA = 'access-control-allow-'
SHOP = 'https://shop.example'


def cors(r):
    """The answer's CORS headers and Vary, each name short."""
    return {name[15:]: value for name, value in r.headers
            if name.startswith('access-control-')} | {
                name: value for name, value in r.headers if name == 'vary'}


def hit(target, origin=None, **options):
    headers = dict(options.pop('headers', {}))
    if origin is not None:
        headers['Origin'] = origin
    return env.get(target + '?site=shop', headers, **options)


def preflight(target, origin=SHOP, headers='content-type', method='POST'):
    asked = {'Access-Control-Request-Method': method}
    if headers is not None:
        asked['Access-Control-Request-Headers'] = headers
    return hit(target, origin, headers=asked, method='OPTIONS')


# ---- answers

LISTED = {'allow-origin': SHOP, 'allow-credentials': 'true', 'vary': 'Origin'}
for target, origin, want in (
        ('/off', SHOP, {}), ('/none', SHOP, {}),
        ('/any', SHOP, {'allow-origin': '*'}),
        ('/any', 'null', {'allow-origin': '*'}),
        ('/any', None, {'allow-origin': '*'}),
        ('/list', SHOP, LISTED),
        ('/list', 'http://localhost:3000',
         {**LISTED, 'allow-origin': 'http://localhost:3000'}),
        ('/list', 'https://[2001:db8::1]:8443',
         {**LISTED, 'allow-origin': 'https://[2001:db8::1]:8443'}),
        ('/click', SHOP, LISTED),
        ('/outer/in', SHOP, {'allow-origin': '*'}),
        ('/outer/off', SHOP, {}),
        ('/page', SHOP, {})):
    r = hit(target, origin)
    is_((r.status < 400, cors(r)), (True, want),
        '%s answers %s with %s' % (target, origin, want))
is_(len(ring.new()), 12, 'each is a hit')
for origin in (None, '', 'null', 'https://evil.test', 'http://shop.example',
               'https://shop.example:443', 'https://shop.example/',
               'https://shop.example.evil.test', 'https://xshop.example',
               'https://shop.exampl', 'HTTPS://SHOP.EXAMPLE',
               'https://shop.example, https://evil.test',
               'http://localhost', 'http://localhost:30000', '*',
               'x' * 5000, b'\xff\x01', '"><script>'):
    r = hit('/list', origin)
    is_((r.status, cors(r)), (200, {'vary': 'Origin'}),
        'an origin not listed gets no CORS headers: %s' % ascii(origin)[:40])
    is_(len(ring.new()), 1, 'and its hit counts')
r = env.get('/list?site=shop', [('Origin', 'https://evil.test'),
                                ('Origin', SHOP)])
is_(cors(r), {'vary': 'Origin'}, 'of two origins the first is asked')
ring.new()

# ---- preflights

count.since()
for target, want in (
        ('/any', {'allow-origin': '*'}), ('/list', LISTED),
        ('/click', LISTED)):
    r = preflight(target)
    is_((r.status, r.body, r.header('allow'), cors(r)),
        (204, b'', 'GET, HEAD, POST, OPTIONS',
         {**want, 'allow-methods': 'GET, HEAD, POST',
          'allow-headers': 'content-type', 'max-age': '86400'}),
        'a preflight of %s is answered 204, for a day' % target)
for asked, want in (
        (None, 'Content-Type'), ('', 'Content-Type'),
        ('content-type,sp-anonymous', 'content-type,sp-anonymous'),
        ('X_a, b-2', 'X_a, b-2'), ('*', 'Content-Type'),
        ('a"b', 'Content-Type'), ('<b>', 'Content-Type'),
        ('a;b', 'Content-Type'), ('\xe9', 'Content-Type'),
        ('a' * 512, 'a' * 512), ('a' * 513, 'Content-Type')):
    is_(preflight('/any', headers=asked).header(ACA + 'headers'), want,
        'asked for %s, it allows %s' % (ascii(asked)[:30], want[:30]))
for target, origin in (('/off', SHOP), ('/list', 'https://evil.test'),
                       ('/list', None), ('/none', SHOP)):
    r = preflight(target, origin)
    is_((r.status, [n for n in cors(r) if n != 'vary']), (204, []),
        'a preflight of %s by %s is 204, and allows nothing'
        % (target, origin))
is_((ring.new(), count.since()), ([], {}), 'no preflight is recorded')

# ---- refusals say why, also to scripts

for target, want in (('/any', {'allow-origin': '*'}), ('/list', LISTED)):
    r = env.get(target, {'Origin': SHOP})
    is_((r.status, r.header('x-beacon-error'), cors(r)),
        (400, 'site', {**want, 'expose-headers': 'X-Beacon-Error'}),
        '%s refuses so that a listed origin can read why' % target)
r = env.get('/list', {'Origin': 'https://evil.test'})
is_((r.status, cors(r)), (400, {'vary': 'Origin'}), 'others cannot')
r = hit('/any', SHOP, method='PUT')
is_((r.status, cors(r)), (405, {'allow-origin': '*',
                                'expose-headers': 'X-Beacon-Error'}),
    'a method refused is read, too')

# ---- every answer

for target, options in (
        ('/off', {}), ('/any', {}), ('/click', {}), ('/expires', {}),
        ('/off', {'method': 'HEAD'}), ('/off', {'method': 'PUT'}),
        ('/off', {'method': 'OPTIONS'}), ('/off', {'version': 'HTTP/1.0'}),
        ('/off', {'method': 'POST', 'body': 'a=b'})):
    for site in ('site=shop', ''):
        r = env.get('%s?%s' % (target, site), {
            'Accept-Encoding': 'gzip', 'If-None-Match': '*',
            'If-Modified-Since': 'Thu, 01 Jan 2099 00:00:00 GMT'}, **options)
        is_((r.status not in (304, 412),
             'no-store' in r.header_all('cache-control'),
             r.header_all('cross-origin-resource-policy'),
             r.header_all('timing-allow-origin'), r.header('etag'),
             r.header('last-modified'), r.header('accept-ranges')),
            (True, True, ['cross-origin'], ['*'], None, None, None),
            '%s %s: no validator, not to be stored, for any page'
            % (target, options))
ring.new()

# ---- transports

for what, body, kind, want in (
        ('sendBeacon(string)', 'a=b', 'text/plain;charset=UTF-8',
         {'body': 'a=b'}),
        ('sendBeacon(URLSearchParams)', 'a=b&c=%CE%BA',
         'application/x-www-form-urlencoded;charset=UTF-8',
         {'args': {'site': 'shop', 'a': 'b', 'c': '\u03ba'}}),
        ('sendBeacon(Blob of JSON)', '{"a":[1]}', 'application/json',
         {'data': {'a': [1]}}),
        ('sendBeacon(FormData)',
         '------X\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n'
         '------X--\r\n', 'multipart/form-data; boundary=----X',
         {'body': '------X\r\nContent-Disposition: form-data; name="a"\r\n\r\n'
                  'b\r\n------X--\r\n'}),
        ('a ping', 'PING', 'text/ping', {'body': 'PING'}),
        ('AMP', '{"type":"pageview"}', 'text/plain;charset=utf-8',
         {'data': {'type': 'pageview'}}),
        ('a CSP report', '{"csp-report":{"a":"b"}}', 'application/csp-report',
         {'body': '{"csp-report":{"a":"b"}}'})):
    env.post('/list?site=shop', body, kind, {'Origin': SHOP})
    got = ring.one()
    is_({key: got.get(key) for key in want}, want, '%s is kept' % what)
for version in ('HTTP/1.0', 'HTTP/1.1'):
    is_(env.get('/off?site=shop&utm_source=mail', {
        'User-Agent': 'Mozilla/5.0 (via ggpht.com GoogleImageProxy)'},
        version=version).status, 200, "a mail's pixel over %s" % version)
    is_(ring.one()['user_agent'], 'Mozilla/5.0 (via ggpht.com '
        'GoogleImageProxy)', 'is recorded')


def h2(target, *args):
    """(headers as pairs, exit code) of curl over HTTP/2."""
    done = subprocess.run(
        ['curl', '-s', '-D', '-', '-o', '/dev/null', '-m', '20',
         '--http2-prior-knowledge', *args,
         'http://127.0.0.1:%d%s' % (H2, target)],
        stdout=subprocess.PIPE, check=False)
    lines = done.stdout.decode('latin-1').split('\r\n')
    return lines[0].split()[:2], sorted(
        line.split(': ', 1)[0] for line in lines[1:] if ': ' in line)


for args, status, want in (
        ([], '200', 'access-control-allow-credentials '
         'access-control-allow-origin cache-control content-length '
         'content-type cross-origin-resource-policy date server '
         'timing-allow-origin vary'),
        (['-X', 'OPTIONS', '-H', 'Access-Control-Request-Method: POST'],
         '204', 'access-control-allow-credentials access-control-allow-headers '
         'access-control-allow-methods access-control-allow-origin '
         'access-control-max-age allow cache-control '
         'cross-origin-resource-policy date server timing-allow-origin vary')):
    got = h2('/list?site=shop', '-H', 'Origin: ' + SHOP, *args)
    is_((got[0], got[1]), (['HTTP/2', status], want.split()),
        'HTTP/2: headers of %s are these' % status)
is_(h2('/click?site=shop')[0], ['HTTP/2', '302'], 'HTTP/2: a click is')
is_(len(ring.new()), 2, 'both are recorded')

# ---- a full ring says so to scripts, too

for _ in range(2000):
    r = env.get('/list?site=shop&x=' + 'y' * 5000, {'Origin': SHOP})
    if r.status != 204 and r.status != 200:
        break
is_((r.status, r.header('x-beacon-error'), cors(r)),
    (503, 'full', {**LISTED, 'expose-headers': 'X-Beacon-Error'}),
    'a script reads that the ring is full')

done_testing()
