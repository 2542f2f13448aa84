#!/usr/bin/python3
"""beacon_redirect: clicks are captured and go where they may go, nowhere
else."""

import base64
import hashlib
import os
import sys
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_ring import Counted, capture_env    # noqa: E402

MANY = ' '.join('allow=h%d.many.example' % i for i in range(3000))

env, ring = capture_env(ring_options='lane_size=64k', http='''
    map $beacon_arg_c $mapped {
        spring  https://shop.example/spring?c=1;
        rel     /spring;
        default "";
    }
    server_name_in_redirect on;
    large_client_header_buffers 4 16k;
''', server='''
    beacon_site $beacon_arg_site;
    location = /fixed { beacon_redirect https://Shop.example/landing?a=b; }
    location = /prefix {
        beacon_redirect https://shop.example/p/$beacon_arg_p?c=$beacon_arg_c;
    }
    location = /query { beacon_redirect https://shop.example:81?$args; }
    location = /click {
        beacon_redirect $beacon_arg_to allow=shop.example allow=*.cdn.example
            allow=.both.example allow=~^(www\\.)?news\\.example$
            allow=192.0.2.7 allow=XN--bcher-kva.example;
    }
    location = /mapped { beacon_redirect $mapped allow=shop.example; }
    location = /if { beacon_redirect $beacon_arg_to allow=shop.example
                     if=$beacon_arg_consent; }
    location = /any { beacon_redirect $beacon_arg_to allow=~.; }
    location = /loose { beacon_redirect $beacon_arg_to allow=~shop\\.example; }
    location = /many { beacon_redirect $beacon_arg_to %%MANY%%; }
    location = /signed {
        secure_link      $beacon_arg_sig;
        secure_link_md5  "$beacon_arg_to a secret";
        if ($secure_link = "") { return 403; }
        beacon_redirect  $beacon_arg_to allow=~.;
    }
    location = /signed-case {
        secure_link      $beacon_arg_sig;
        secure_link_md5  "$beacon_arg_landingUrl a secret";
        if ($secure_link = "") { return 403; }
        beacon_redirect  $beacon_arg_landingUrl allow=~.;
    }
    location = /from { return 404;
                       error_page 404 =200 /fixed?site=shop; }
    location = /auth { auth_request /inner; empty_gif; }
    location = /inner { internal; beacon_redirect $beacon_arg_to
                        allow=shop.example; }
    error_page 302 400 403 405 413 503 =200 /page;
    location = /page { return 200 "a page"; }
    absolute_redirect on;
''', values={'MANY': MANY})
env.start()
count = Counted(env)
OK = 'https://shop.example/'


def go(target, where='/click', **options):
    """The answer to a click on target, encoded once (bytes as latin-1)."""
    return env.get('%s?site=shop&to=%s' % (
        where, urllib.parse.quote(target.encode('latin-1'), safe='')),
        **options)


def goes(target, want, name, where='/click', **options):
    r = go(target, where, **options)
    good = is_((r.status, r.header_all('location')), (302, [want]), name)
    hits = ring.new()
    is_(len(hits), 1, 'and the click is recorded') or diag(target)
    return good and hits


def refused(target, name, where='/click', encoded=False):
    r = (env.get('%s?site=shop&to=%s' % (where, target)) if encoded
         else go(target, where))
    is_((r.status, r.header('x-beacon-error'), r.header('location'), r.body,
         r.header('cache-control')), (403, 'redirect', None, b'', 'no-store'),
        'refused: %s' % name)
    return r


# ---- the configuration's own targets

r = env.get('/fixed?site=shop&x=1')
is_((r.status, r.header_all('location'), r.body, r.header('content-length')),
    (302, ['https://shop.example/landing?a=b'], b'', '0'),
    'a click is answered 302 with the target of the configuration')
for name, value in (('cache-control', 'no-store'), ('etag', None),
                    ('last-modified', None), ('expires', None),
                    ('content-type', None), ('x-beacon-error', None),
                    ('cross-origin-resource-policy', 'cross-origin')):
    is_(r.header(name), value, 'its %s is %s' % (name, value))
hit = ring.one()
is_((hit['site'], hit['path'], hit['args']),
    ('shop', '/fixed', {'site': 'shop', 'x': '1'}), 'and is recorded')
is_(count.since(), {'accepted': 1}, 'and counted')
r = env.get('/fixed?site=shop', method='HEAD')
is_((r.status, r.header('location')),
    (302, 'https://shop.example/landing?a=b'), 'HEAD, too')
r = env.post('/fixed?site=shop', 'a=b')
is_((r.status, r.header('location')),
    (302, 'https://shop.example/landing?a=b'), 'POST, too')
is_([(h['method'], h['args'].get('a')) for h in ring.new()],
    [('HEAD', None), ('POST', 'b')], 'both are recorded')
for condition in (('If-Modified-Since', 'Thu, 01 Jan 2099 00:00:00 GMT'),
                  ('If-None-Match', '*'), ('Range', 'bytes=0-0')):
    is_(env.get('/fixed?site=shop', dict([condition])).status, 302,
        '%s changes nothing' % condition[0])
ring.new()
r = env.get('/prefix?site=shop&p=x/../y&c=a%26b%20c')
is_((r.status, r.header('location')),
    (302, 'https://shop.example/p/x/../y?c=a&b%20c'),
    'a client may choose what stands behind the host')
r = env.get('/query?site=shop')
is_(r.header('location'), 'https://shop.example:81/?site=shop',
    'a query without a path gets one')
r = env.get('/mapped?site=shop&c=spring')
is_(r.header('location'), 'https://shop.example/spring?c=1',
    'a map gives targets')
ring.new()
for target, name in (('/mapped?site=shop&c=none', 'an empty target'),
                     ('/mapped?site=shop&c=rel', 'a relative one'),
                     ('/prefix?site=shop&p=%0d%0aSet-Cookie:%20x', 'CR LF'),
                     ('/prefix?site=shop&p=\\evil.test', 'a backslash')):
    r = env.get(target)
    is_((r.status, r.header('x-beacon-error'), r.header('location')),
        (403, 'redirect', None), 'of a map or in a path: %s' % name)
is_(ring.new(), [], 'what is refused is not recorded')

# ---- targets that are allowed

for target, want in (
        (OK, OK), ('https://shop.example', OK),
        ('HTTP://SHOP.EXAMPLE:8080/A?b#c',
         'http://shop.example:8080/A?b#c'),
        ('https://shop.example./', OK),
        ('https://shop.example/a b?c=\xce\xba',
         'https://shop.example/a%20b?c=%CE%BA'),
        ('https://shop.example?@evil.test/',
         'https://shop.example/?@evil.test/'),
        ('https://shop.example#@evil.test/',
         'https://shop.example/#@evil.test/'),
        ('https://shop.example/@evil.test//x',
         'https://shop.example/@evil.test//x'),
        ('https://a.cdn.example/', 'https://a.cdn.example/'),
        ('https://a.b.cdn.example/', 'https://a.b.cdn.example/'),
        ('https://both.example/', 'https://both.example/'),
        ('https://a.both.example/', 'https://a.both.example/'),
        ('https://news.example/', 'https://news.example/'),
        ('https://www.news.example/', 'https://www.news.example/'),
        ('https://192.0.2.7/', 'https://192.0.2.7/'),
        ('https://xn--bcher-kva.example/',
         'https://xn--bcher-kva.example/')):
    goes(target, want, 'allowed: %s' % ascii(target))
goes('https://h2999.many.example/', 'https://h2999.many.example/',
     'one of 3,000 hosts is found', '/many')
refused('https://h3000.many.example/', 'none of 3,000', '/many')
hits = goes('https://shop.example/?a=1&b=2+3',
            'https://shop.example/?a=1&b=2+3', 'encoded once it arrives whole')
is_(hits and hits[0]['args']['to'], 'https://shop.example/?a=1&b=2+3',
    'and stands in the record')
for where in ('/loose', '/any'):
    goes('https://shop.example.evil.test/', 'https://shop.example.evil.test/',
         'a regex means what it says', where)

# ---- the classic bypasses, encoded once by go()

EVIL = (
    '', '/', '/evil', '//evil.test', '///evil.test', '////evil.test',
    '/\\evil.test', '\\\\evil.test', '\\/evil.test', '/\t/evil.test',
    '.evil.test', '@evil.test', '?https://shop.example', 'evil.test',
    'shop.example', 'shop.example/', '//shop.example', '://shop.example',
    'https:shop.example', 'https:/shop.example', 'https:///shop.example',
    'https:\\\\shop.example', 'https:/\\shop.example', 'http:evil.test',
    'https://', 'https://?', 'https://#', 'https:// shop.example',
    ' https://shop.example', '\thttps://shop.example', 'ht\ttps://shop.example',
    'https\n://shop.example', '\x00https://shop.example',
    '\xa0https://shop.example', '\xef\xbb\xbfhttps://shop.example',
    'javascript:alert(1)', 'JavaScript:alert(1)', 'java\nscript:alert(1)',
    'javascript://shop.example/%0aalert(1)', 'data:text/html,<script>',
    'vbscript:x', 'file:///etc/passwd', 'ftp://shop.example/',
    'ws://shop.example/', 'blob:https://shop.example/x', 'about:blank',
    'view-source:https://shop.example/', 'intent://shop.example#Intent;end',
    'https://evil.test', 'https://evil.test/', 'https://evil.test:443/',
    'https://evil.test/https://shop.example/', 'https://evil.test?shop.example',
    'https://evil.test#shop.example', 'https://evil.test/.shop.example',
    'https://shop.example.evil.test', 'https://shop.example-evil.test',
    'https://evil-shop.example', 'https://evilshop.example',
    'https://xshop.example', 'https://example', 'https://op.example',
    'https://cdn.example/', 'https://.cdn.example/', 'https://evilcdn.example',
    'https://evil.test/.cdn.example', 'https://cdn.example.evil.test',
    'https://news.example.evil.test', 'https://evil.test/news.example',
    'https://wwwxnews.example/', 'https://evilboth.example/',
    'https://shop.example@evil.test', 'https://shop.example:80@evil.test/',
    'https://shop.example:x@evil.test/', 'https://evil.test@shop.example/',
    'https://:@shop.example/', 'https://shop.example%40evil.test/',
    'https://shop.example\\@evil.test', 'https://evil.test\\@shop.example',
    'https://evil.test\\.shop.example', 'https://evil.test%5c@shop.example',
    'https://evil.test;@shop.example', 'https://evil.test&@shop.example#',
    'https://evil.test %20@shop.example', 'https://shop.example\\evil',
    'https://evil.test%2f@shop.example', 'https://evil.test%2fshop.example',
    'https://evil.test%00.shop.example', 'https://evil.test\x00.shop.example',
    'https://shop.example%00.evil.test', 'https://shop%2eexample/',
    'https://%73hop.example/', 'https://shop.example%2f', 'https://*/',
    'https://*.cdn.example/', 'https://a..cdn.example/',
    'https://shop.example../', 'https://shop.example:/',
    'https://shop.example:0/', 'https://shop.example:65536/',
    'https://shop.example:8 0/', 'https://shop.example:80:80/',
    'https://shop.example:evil.test/', 'https://shop.example:80evil.test/',
    'https://sh\xce\xbfp.example/', 'https://shop.e\xd1\x85ample/',
    'https://shop\xe3\x80\x82example/', 'https://shop.example\xe3\x80\x82/',
    'https://\xef\xbd\x93hop.example/', 'https://shop.example\xef\xbc\x8fx',
    'https://evil.test\xef\xbc\x8f.shop.example/',
    'https://shop\xc2\xad.example/', 'https://shop.example\xe2\x80\x8b/',
    'https://b\xc3\xbccher.example/',
    'https://evil.test\xe2\x84\x80cdn.example',
    'https://xn--shop-.example/', 'https://xn--.cdn.example/',
    'https://[::1]/', 'https://[::ffff:192.0.2.7]/', 'https://[192.0.2.7]/',
    'https://[shop.example]/', 'https://3221225991/', 'https://0xc0000207/',
    'https://0300.0.02.07/', 'https://192.0.519/', 'https://192.0.2.07/',
    'https://192.0.2.7.evil.test/', 'https://127.0.0.1/', 'https://localhost/',
    'https://shop.example\r\nSet-Cookie: a=b', 'https://shop.example/\r\nX: y',
    'https://shop.example/\n', 'https://shop.example/\r', '\r\nhttps://a/',
    'https://shop.example/\x00', 'https://shop.example/\x1f',
    'https://shop.example/\x7f', 'https://shop.example/\t/evil.test',
    'https://shop.example\t.evil.test', 'https://evil.test\n.shop.example',
    'https://shop.example/\\..\\evil', 'https://shop.example/a\\b',
    'https\x00://shop.example/', 'https%3a//shop.example/',
    'https:%2f%2fshop.example/', '%68ttps://shop.example/',
    'https://evil.test%23.shop.example', 'https://evil.test%3f.shop.example',
    'https://shop.example<.evil.test', 'https://shop.example|evil.test',
    'https://shop.example^evil.test', 'https://shop.example`evil.test',
    'https://shop.example{}evil.test', 'https://shop.example,evil.test',
    'https://shop.example!evil.test', "https://shop.example'evil.test",
    'https://shop.example(evil.test', 'https://shop.example$evil.test',
    'https://shop.example+evil.test', 'https://shop.example=evil.test',
    'https://shop.example~evil.test', 'https://shop.example"evil.test')
count.since()
for target in EVIL:
    refused(target, ascii(target))
is_((ring.new(), count.since()), ([], {'redirect': len(EVIL)}),
    'each is counted as rejected, none is recorded')

# Where any host is allowed, the target must still be one that all agree on.
for target in EVIL:
    r = go(target, '/any')
    if r.status == 302:
        like(r.header('location'), r'^https?://[a-z0-9._-]+(:[1-9]\d*)?/',
             'signed or not, %s is plain when it goes out' % ascii(target))
    else:
        is_((r.status, r.header('location')), (403, None),
            'or refused: %s' % ascii(target))
ring.new()

# encoded twice, half, or by the bytes
for target in ('https%253A%252F%252Fshop.example', '%252f%252fevil.test',
               'https://shop.example%252eevil.test', '%2f%2fevil.test',
               'https://evil.test%25%35%63.shop.example',
               'https://shop.example%0d%0aX:y', 'https://shop.example/%0A',
               '%5c%5cevil.test', 'https://shop.example%E3%80%82evil.test',
               'https://shop.example%09.evil.test', '%00', '%',
               'https://shop.example/%00', 'https://shop.example%40evil.test',
               'https://shop.example%u002f', 'https://[', 'https://]'):
    refused(target, 'as sent, %s' % target, encoded=True)
for target, want in (
        ('https://shop.example/%250d%250aX:y',
         'https://shop.example/%0d%0aX:y'),
        ('https://shop.example/%25%35%63', 'https://shop.example/%5c'),
        ('https%3A%2F%2Fshop.example%2F%252e%252e', OK + '%2e%2e')):
    r = env.get('/click?site=shop&to=' + target)
    is_((r.status, r.header('location')), (302, want),
        'what is encoded twice behind the host stays encoded: %s' % target)
ring.new()

r = env.get('/click?site=shop&to=https://evil.test/&to=' + OK)
is_((r.status, r.header('location')), (403, None),
    'the first of two targets counts')
r = env.get('/click?site=shop&TO=https://evil.test/&to=' + OK)
is_((r.status, r.header('location')), (302, OK), 'by its case as written')
r = env.get('/click?site=shop&to=' + OK + 'x' * 14000)
is_((r.status, r.header('x-beacon-error'), r.header('location')),
    (414, 'size', None), 'a record too long is refused, target or not')
r = env.get('/click?site=shop&to=' + OK + '%20' * 1000)
is_((r.status, r.header('location')), (302, OK + '%20' * 1000),
    'a target that grows is sent whole')
ring.new()

# ---- refusals, conditions, a full ring

count.since()
r = env.get('/click?to=' + OK)
is_((r.status, r.header('x-beacon-error'), r.header('location'), r.body),
    (400, 'site', None, b''), 'a click without a site is refused')
r = env.get('/click?site=shop&to=' + OK, method='PUT')
is_((r.status, r.header('x-beacon-error'), r.header('allow')),
    (405, 'method', 'GET, HEAD, POST, OPTIONS'), 'PUT is refused')
r = env.get('/click?site=shop&to=' + OK, method='OPTIONS')
is_((r.status, r.header('location')), (204, None), 'OPTIONS is 204')
is_(count.since(), {'site': 1, 'method': 1}, 'these are counted')
r = go(OK, '/if')
is_((r.status, r.header('location'), ring.new(), count.since()),
    (302, OK, [], {'dropped': 1}), 'without consent the click goes on')
r = env.get('/if?site=shop&consent=1&to=' + OK)
is_((r.status, len(ring.new()), count.since()), (302, 1, {'accepted': 1}),
    'with it, it is recorded')
refused('https://evil.test/', 'without consent, too', '/if')
r = env.get('/from')
is_((r.status, r.header('location')),
    (302, 'https://shop.example/landing?a=b'),
    'error_page ... =200 makes no page of a click')
is_(env.get('/auth?site=shop&to=' + OK).status, 500,
    'auth_request does not take a redirect for an answer')
is_(len(ring.new()), 2, 'though its click is recorded')

# ---- signed targets


def sign(target):
    digest = hashlib.md5((target + ' a secret').encode('latin-1')).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip('=')


def signed(target, sig, more=''):
    return env.get('/signed?site=shop%s&sig=%s&to=%s' % (
        more, sig, urllib.parse.quote(target, safe='')))


FAR = 'https://far.example/x?y=1&z=a+b'
count.since()
r = signed(FAR, sign(FAR))
is_((r.status, r.header('location')), (302, FAR), 'a signed target is gone to')
is_(len(ring.new()), 1, 'and recorded')
for target, sig, more, name in (
        (FAR + 'x', sign(FAR), '', 'another than the signed one'),
        (FAR, '', '', 'without a signature'),
        (FAR, 'x' * 22, '', 'with a wrong one'),
        (FAR, sign(FAR), '&to=https://evil.test/', 'with another one before'),
        (FAR, sign(FAR), '&t%6f=https://evil.test/', 'the same, encoded')):
    r = signed(target, sig, more)
    is_(r.header('location'), None, 'a target is not gone to: %s' % name)
r = signed(FAR, sign(FAR), '&TO=https://evil.test/')
isnt(r.header('location'), 'https://evil.test/',
     'nor one that differs only in the case of its name')
FAR_SIG = sign(FAR)
FAR_ARG = urllib.parse.quote(FAR, safe='')
r = env.get('/signed-case?site=shop&sig=%s&landingUrl=%s' % (FAR_SIG, FAR_ARG))
is_((r.status, r.header('location')), (302, FAR),
    'a signed target whose name has capitals is gone to')
for name in ('landingurl', 'LANDINGURL', 'landingURL'):
    for first, second in ((name, 'landingUrl'), ('landingUrl', name)):
        r = env.get('/signed-case?site=shop&sig=%s&%s=%s&%s=%s' % (
            FAR_SIG, first, FAR_ARG, second, 'https://evil.test/'))
        isnt(r.header('location'), 'https://evil.test/',
             'signed as %s, not sent to where %s says' % (first, second))
for target in ('//evil.test/', 'javascript:alert(1)', '/x',
               'https://a@evil.test/'):
    r = signed(target, sign(target))
    is_((r.status, r.header('x-beacon-error'), r.header('location')),
        (403, 'redirect', None), 'signed or not: %s' % target)

# ---- no room

count.since()
ring.new()
while True:
    r = go(OK + 'x' * 3000)
    if not is_((r.status, r.header('x-beacon-error'), r.header('location')),
               (302, None, OK + 'x' * 3000),
               'a click goes on while the ring fills'):
        break
    if count.since().get('refused'):
        break
r = go(OK + 'x' * 3000)
is_((r.status, r.header('location')), (302, OK + 'x' * 3000),
    'it goes on when the ring is full')
is_(count.since(), {'refused': 1}, 'and is counted as refused')
r = go('https://evil.test/')
is_((r.status, r.header('x-beacon-error')), (403, 'redirect'),
    'but not anywhere')
like('\n'.join(env.error_lines()), 'the ring is full', 'the log says so')

done_testing()
