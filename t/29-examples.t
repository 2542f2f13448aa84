#!/usr/bin/python3
"""The examples in conf/ do what they say."""

import glob
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402

BEHIND = free_port()


def example(name, port):
    """conf/NAME with this environment's ports and directories."""
    with open(os.path.join(TOP, 'conf', name), encoding='ascii') as file:
        text = file.read()
    for old, new in ((r'listen 80;', 'listen 127.0.0.1:%d;' % port),
                     (r'127\.0\.0\.1:8080', '127.0.0.1:%d' % BEHIND),
                     (r'/var/www', '%%ROOT%%/www'),
                     (r'beacon_(ring|log|spool) [^;]*;', '')):
        text = re.sub(old, new, text)
    return text


names = sorted(os.path.basename(path) for path in
               glob.glob(os.path.join(TOP, 'conf', '*.conf')))
ports = {name: free_port() for name in names}
env = Env(http='\n'.join(example(name, ports[name]) for name in names) + '''
    log_format behind '$request_uri $request_method $content_length';
    set_real_ip_from 127.0.0.1;
    real_ip_header X-Real-IP;
    server {
        listen 127.0.0.1:%%BEHIND%%;
        access_log %%ROOT%%/behind.log behind;
        location / { return 200 "behind $request_method $request_uri"; }
        location = /teapot { return 418; }
    }
''', values={'BEHIND': str(BEHIND)}, log='%%LOG%%/$beacon_site.jsonl')
os.makedirs(os.path.join(env.root, 'www', 'assets'))
with open(os.path.join(env.root, 'www', 'assets', 'a'), 'w') as file:
    file.write('asset')
env.start()
seen = set()


def hits(want):
    """The new lines of all logs, once there are as many as wanted."""
    env.wait_drained(accepted=len(seen) + want)
    new = [line for line in env.lines() if line['id'] not in seen]
    seen.update(line['id'] for line in new)
    return new


# ---- beacon.conf

px = ports['beacon.conf']
is_(env.get('/px.gif?site=shop&vid=me', port=px).status, 200,
    'beacon.conf takes a hit')
is_(env.post('/px.gif?site=other', 'x').status, 200, 'the test does, too')
is_(env.get('/px.gif?site=nope', port=px).status, 400,
    'it refuses a site that is not listed')
is_(sorted(h['site'] for h in hits(2)), ['other', 'shop'],
    'both hits are logged')

# ---- rollout.conf

port = ports['rollout.conf']
for i in range(300):
    address = '192.0.2.%d' % (i % 250)
    agent = 'agent %d' % i
    r = env.get('/page%d?a=b' % i, {'X-Real-IP': address,
                                    'User-Agent': agent}, port=port)
    if r.body != b'behind GET /page%d?a=b' % i:
        ok(False, 'a page is what it was: %r' % r)
status = env.status()['capture']
accepted, dropped = status['accepted'] - len(seen), status['dropped']
is_(accepted + dropped, 300, 'of 300 pages, each is captured or dropped')
ok(5 <= accepted <= 75, 'about a tenth is captured: %d' % accepted)
new = hits(accepted)
is_({(h['site'], h['fields']['status']) for h in new}, {('www', '200')},
    'with the status of the page')
for h in new[:3]:
    env.get('/again', {'X-Real-IP': h['ip'], 'User-Agent': h['user_agent']},
            port=port)
is_(len(hits(3)), 3, 'the same visitor is captured again')
is_(env.get('/assets/a', port=port).body, b'asset', 'files go out as ever')
is_(env.status()['capture']['dropped'], dropped, 'and are no hits at all')

# ---- shadow.conf

port = ports['shadow.conf']
is_(env.get('/collect?site=shop&vid=me&x=1', port=port).body,
    b'behind GET /collect?site=shop&vid=me&x=1',
    'the old collector answers as ever')
r = env.get('/collect?site=shop', {
    'Content-Type': 'application/x-www-form-urlencoded'}, method='POST',
    body='a=' + 'b' * 60000, port=port)
is_(r.body, b'behind POST /collect?site=shop', 'a POST, too')
is_(env.get('/collect?site=', port=port).status, 200,
    'also where Beacon refuses its copy')
new = hits(2)
is_([(h['site'], h['path'], h['method'], h.get('visitor'),
      len(h['args'].get('a', ''))) for h in sorted(
          new, key=lambda h: h['method'])],
    [('shop', '/collect', 'GET', 'me', 0),
     ('shop', '/collect', 'POST', None, 60000)],
    'Beacon has the same hits beside it, as the client sent them')
is_(env.get('/shadow?site=shop', port=port).status, 404,
    'nobody reaches the shadow itself')


def behind():
    with open(os.path.join(env.root, 'behind.log'), encoding='ascii') as file:
        return [line for line in file if line.startswith('/collect')]


wait_until(lambda: len(behind()) >= 3)
is_(len(behind()), 3, 'the old collector was asked once for each')

# ---- clicks.conf

port = ports['clicks.conf']


def location(target):
    r = env.get(target, port=port)
    return r.status, r.header('location')


signed = 'https://far.example/x?y=1'
sig = subprocess.run(
    ['sh', '-c', 'printf %s "$0 a secret" | openssl md5 -binary '
     '| openssl base64 | tr +/ -_ | tr -d =', signed],
    stdout=subprocess.PIPE, check=True, text=True).stdout.strip()
for target, want in (
        ('/go?c=spring', (302, 'https://shop.example.com/spring')),
        ('/go?c=nope', (302, 'https://www.example.com/')),
        ('/to?u=https%3A%2F%2Fshop.example.com%2Fa%3Fb',
         (302, 'https://shop.example.com/a?b')),
        ('/to?u=https://a.partner.example/',
         (302, 'https://a.partner.example/')),
        ('/to?u=https://evil.test/', (403, None)),
        ('/to', (403, None)),
        ('/signed?u=https%3A%2F%2Ffar.example%2Fx%3Fy%3D1&sig=' + sig,
         (302, signed)),
        ('/signed?u=https://evil.test/&sig=' + sig, (403, None)),
        ('/signed?u=https://far.example/x', (403, None))):
    is_(location(target), want, '%s: %s' % (target[:40], want))
is_({h['site'] for h in hits(5)}, {'clicks'}, 'five clicks are logged')

done_testing()
