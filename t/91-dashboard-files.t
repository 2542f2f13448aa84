#!/usr/bin/python3
"""The dashboard's files, as the module serves them: types, headers, validators,
sizes, at whatever address they stand."""

import gzip
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_dashboard import live_env           # noqa: E402

env = live_env(server='''
    location /a/deep/place/ {
        beacon_live_view;
    }
    location /one/ {
        beacon_live_view pixel=https://px.example.com/"p"?a=1;
        beacon_live_sites $arg_as;
    }
''')
env.start()
env.allow('exited on signal 9')     # the helper, killed below
ZIP = {'Accept-Encoding': 'br, gzip'}

page = env.get('/live/')
is_((page.status, page.header('content-type')),
    (200, 'text/html; charset=utf-8'), 'the page is HTML')
names = re.findall(r'(?:src|href)="([^"]+)"', page.body.decode())
ok(len(names) >= 4 and not any(':' in name or name.startswith('/')
                               for name in names),
   'all that it names is relative: ' + ' '.join(names))
main = env.get('/live/main.js')
names = sorted(set(names) | set(re.findall(r"src = '([^']+)'",
                                           main.body.decode())) | {''})
ok('dygraph.js' in names, 'the chart\'s library is one of its files')

TYPES = {'': 'text/html; charset=utf-8', 'js': 'text/javascript; charset=utf-8',
         'css': 'text/css; charset=utf-8', 'svg': 'image/svg+xml'}
total = 0
for name in names:
    target = '/live/' + name
    plain, packed = env.get(target), env.get(target, ZIP)
    kind = TYPES[name.rpartition('.')[2] if name else '']
    name = name or 'the page'
    is_((plain.status, plain.header('content-type'),
         plain.header('content-encoding')), (200, kind, None),
        '%s has its type' % name)
    is_((packed.status, packed.header('content-type'),
         packed.header('content-encoding'), packed.header('vary')),
        (200, kind, 'gzip', 'Accept-Encoding'), 'compressed, too')
    is_(gzip.decompress(packed.body), plain.body, 'which is the same')
    total += len(packed.body)
    isnt(packed.header('etag'), plain.header('etag'),
         'they have ETags of their own')
    for answer, headers in ((plain, {}), (packed, ZIP)):
        tag = answer.header('etag')
        again = env.get(target, {**headers, 'If-None-Match': tag})
        is_((again.status, again.body, again.header('etag')), (304, b'', tag),
            'a browser that has %s is told so: 304' % tag)
    is_(env.get(target, {'If-None-Match': '"other"'}).status, 200,
        'one that has another gets it')
    head = env.get(target, method='HEAD')
    is_((head.status, head.header('content-length'), head.body),
        (200, str(len(plain.body)), b''), 'HEAD tells its length')
    for answer in (plain, packed):
        policy = answer.header('content-security-policy') or ''
        like(policy, "default-src 'none'", 'nothing else may be loaded')
        unlike(policy, 'unsafe|https?:|\\*|data:', 'nothing inline or foreign')
        for part in ("script-src 'self'", "connect-src 'self'", 'base-uri',
                     'form-action', 'frame-ancestors'):
            like(policy, part, 'the policy has ' + part)
        is_((answer.header('x-content-type-options'),
             answer.header('cache-control')), ('nosniff', 'no-cache'),
            'no sniffing; asked for each time')
ok(total <= 60000, 'all of it is at most 60 KB compressed: %d bytes' % total)
diag('%d bytes compressed in %d files' % (total, len(names)))
unlike(page.body + main.body, r'\son\w+=|style="|javascript:|\beval\(|'
       r'innerHTML|outerHTML|insertAdjacentHTML|document\.write',
       'no script or style inline, no markup out of text')
unlike(page.body + main.body, 'https?://(?!www.w3.org)',
       'no address of anybody else')

# ---- what the page cannot know

def told(target):
    answer = env.get(target)
    is_((answer.status, answer.header('cache-control')), (200, 'no-store'),
        target + ' is for this request alone')
    return answer.json()


build = re.search(r'data-build="([0-9a-f]{16})"', page.body.decode()).group(1)
told_ = told('/live/page.json')
is_(told_['build'], build, 'page.json has the build that the page has')
is_((told_['sees'], told_['helper'], told_['pixel']),
    (True, True, 'https://px.example.com/px.gif'),
    'that there are sites and a helper, and the pixel')
told_ = told('/a/deep/place/page.json')
is_((told_['sees'], told_.get('pixel')), (False, None),
    'no beacon_live_sites, no pixel=: told as well')
told_ = told('/one/page.json?as=')
is_((told_['sees'], told_['pixel']),
    (False, 'https://px.example.com/"p"?a=1'), 'an empty value is no site')
is_(told('/one/page.json?as=shop')['sees'], True, 'a name is one')
env.kill_helper()
ok(wait_until(lambda: env.get('/live/page.json').json()['helper']
              and env.helper_pid()), 'a new helper is told, too')

# ---- addresses

for prefix in ('/a/deep/place/', '/one/'):
    is_(env.get(prefix).body, page.body, 'the page is the same at ' + prefix)
    is_(env.get(prefix + 'main.js').body, main.body, 'and its files')
for name in ('index.html', 'embed', 'main.js/', '../live/x', 'feed.js',
             'MAIN.JS', 'main.j', 'v1', 'page.json/x'):
    is_(env.get('/live/' + name).status, 404, 'there is no ' + name)
is_(env.get('/live/main.js', method='POST', body='x').status, 405,
    'nothing is to be written')
is_(env.get('/live/main.js?v=7').status, 200, 'arguments are ignored')
done_testing()
