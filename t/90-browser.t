#!/usr/bin/python3
"""A real browser on pages of other sites: every transport, preflights,
clicks, page closes; and its URL parser as the oracle of ours."""

import os
import random
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_ring import capture_env             # noqa: E402
import beacon_browser as browser                # noqa: E402

why = browser.available()
if why:
    skip_all(why)

TLS = free_port()
HOSTS = ['px.test', 'shop-a.test', 'shop-b.test', 'evil.test', 'www.evil.test']
A, B, PX = 'https://shop-a.test', 'https://shop-b.test', 'https://px.test'

env, ring = capture_env(values={'TLS': str(TLS)}, ring_options='lane_size=1m',
                        http='''
    log_format seen '$server_name "$request" $status $server_protocol '
                    '"$http_origin" "$http_sec_fetch_mode"';
    ssl_certificate %%ROOT%%/cert.pem;
    ssl_certificate_key %%ROOT%%/key.pem;
    default_type text/html;
    server {
        listen 127.0.0.1:%%TLS%% ssl http2 default_server;
        server_name pages;
        location = /page { return 200 "<!doctype html><title>$host</title>"; }
        location = /coep {
            add_header Cross-Origin-Embedder-Policy require-corp;
            return 200 "<!doctype html><title>coep</title>";
        }
        location = /closing { alias %%ROOT%%/closing.html; }
        location / { return 200 "<!doctype html><title>other</title>"; }
    }
    server {
        listen 127.0.0.1:%%TLS%% ssl http2;
        server_name px.test;
        access_log %%ROOT%%/seen.log seen;
        beacon_site $beacon_arg_site;
        location = /px.gif { beacon gif; }
        location = /list { beacon empty; beacon_cors https://shop-a.test; }
        location = /any { beacon empty; beacon_cors *; }
        location = /off { beacon empty; }
        location = /click { beacon_redirect $beacon_arg_to
                            allow=shop-a.test allow=*.shop-b.test; }
        location = /own.gif {
            beacon gif; beacon_visitor $beacon_cookie; beacon_gpc anonymous;
            beacon_cookie __Host-vid partitioned expires=30d;
        }
        location = /shared.gif {
            beacon gif; beacon_visitor $beacon_cookie; beacon_gpc drop;
            beacon_cookie shared;
        }
        location = /clickany { beacon_redirect $beacon_arg_to allow=~.; }
    }
''')
with open(os.path.join(env.root, 'closing.html'), 'w', encoding='ascii') as f:
    f.write('''<!doctype html><title>closing</title><script>
    addEventListener('pagehide', () => {
        const n = location.hash.slice(1);
        const data = new Blob([JSON.stringify({n})],
                              {type: n & 1 ? 'text/plain'
                                           : 'application/json'});
        if (navigator.sendBeacon('%s/list?site=close&n=' + n, data))
            localStorage.setItem('sent' + n, '1');
    });
    </script>''' % PX)
trust = browser.certificate(env.root, HOSTS)
env.start()
chrome = browser.Browser(env, HOSTS, TLS, trust)


def hits(number=1, seconds=10):
    """That many new hits, at least waited for."""
    got = []
    wait_until(lambda: got.extend(ring.new()) or len(got) >= number, seconds)
    return got


def hit():
    got = hits()
    if len(got) != 1:
        diag('%d hits: %s' % (len(got), got))
        return {}
    return got[0]


def seen(word):
    with open(os.path.join(env.root, 'seen.log'), encoding='latin-1') as file:
        return [line for line in file if word in line]


chrome.get(A + '/page')
is_(chrome.run('return document.title'), 'shop-a.test',
    'the page of another site is there')
is_(ring.new(), [], 'it is no hit')

# ---- transports

size = chrome.run('''
    return new Promise(done => {
        const img = new Image();
        img.onload = () => done([img.width, img.height]);
        img.onerror = () => done('error');
        img.src = args[0];
    });''', PX + '/px.gif?site=shop&how=img&x=%CE%BA')
is_(size, [1, 1], '<img> loads an image of 1 x 1')
got = hit()
is_((got.get('args'), got.get('referer'), got.get('host'), got.get('method')),
    ({'site': 'shop', 'how': 'img', 'x': '\u03ba'}, A + '/', 'px.test', 'GET'),
    'and is recorded')
like(got.get('user_agent', ''), 'Chrome/', 'with its agent')

for how, script, want in (
        ('fetch', "const r = await fetch(args[0], {mode: 'no-cors'});"
         "return r.type", 'opaque'),
        ('keepalive', "const r = await fetch(args[0], {mode: 'no-cors', "
         "method: 'POST', body: 'a=b', keepalive: true}); return r.type",
         'opaque'),
        ('beacon', "return navigator.sendBeacon(args[0], 'text')", True),
        ('empty', 'return navigator.sendBeacon(args[0])', True),
        ('params', 'return navigator.sendBeacon(args[0], '
         "new URLSearchParams({a: 'b c', k: '\u03ba'}))", True),
        ('form', "const f = new FormData(); f.append('a', 'b'); "
         'return navigator.sendBeacon(args[0], f)', True),
        ('json', "return navigator.sendBeacon(args[0], new Blob(['{\"a\":1}'],"
         " {type: 'application/json'}))", True),
        ('binary', 'return navigator.sendBeacon(args[0], '
         'new Uint8Array([0, 255, 10]))', True)):
    where = 'list' if how == 'json' else 'off'
    is_(chrome.run(script, '%s/%s?site=shop&how=%s' % (PX, where, how)), want,
        '%s is sent' % how)
    got = hit()
    is_(got.get('args', {}).get('how'), how, 'and recorded')
    if how == 'params':
        is_(got['args'], {'site': 'shop', 'how': how, 'a': 'b c',
                          'k': '\u03ba'}, 'with its parameters')
    elif how == 'form':
        like(got.get('body', ''), r'form-data; name="a"\r\n\r\nb\r\n',
             'with its form under body')
    elif how == 'json':
        is_(got.get('data'), {'a': 1}, 'with its JSON')
    elif how == 'beacon':
        is_(got.get('body'), 'text', 'with its text')
    elif how == 'binary':
        is_(got.get('body'), '\0\ufffd\n', 'with its bytes')
    elif how == 'keepalive':
        is_(got.get('body'), 'a=b', 'with its text')
ok(seen('how=img') and 'HTTP/2.0' in seen('how=img')[0], 'over HTTP/2')

# ---- CORS as the browser enforces it

ASK = '''
    const r = await fetch(args[0], {method: 'POST', body: '{}',
        headers: {'Content-Type': 'application/json', 'X-Own': '1'},
        credentials: args[1]});
    return [r.status, r.headers.get('X-Beacon-Error')];'''
chrome.run('return 1')
for path, credentials, want in (
        ('list', 'include', [204, None]), ('any', 'omit', [204, None]),
        ('any', 'include', None), ('off', 'omit', None)):
    for _ in range(3):
        r = chrome.run(ASK, '%s/%s?site=shop&c=%s' % (PX, path, credentials),
                       credentials)
        if want:
            is_(r, want, 'JSON to %s with credentials: %s is answered'
                % (path, credentials))
        else:
            ok(isinstance(r, dict) and 'error' in r,
               'JSON to %s with credentials: %s is not sent' % (path,
                                                                credentials))
    is_(len(hits(3 if want else 0, 5)), 3 if want else 0,
        'and recorded' if want else 'nor recorded')
is_([len(seen('OPTIONS /%s?site=shop&c=%s ' % pair)) for pair in
     (('list', 'include'), ('any', 'omit'))], [1, 1],
    'a preflight is asked for once, then cached')
for path in ('list', 'any'):
    is_(chrome.run(ASK, '%s/%s?site=' % (PX, path), 'omit'), [400, 'site'],
        'a script reads why %s refused it' % path)
chrome.get(B + '/page')
r = chrome.run(ASK, PX + '/list?site=shop', 'include')
ok(isinstance(r, dict), 'an origin not listed may not send JSON')
is_(chrome.run('try { const r = await fetch(args[0], {method: "POST", '
               'body: "x"}); return r.status } catch (e) { return "blocked" }',
               PX + '/list?site=shop'), 'blocked', 'nor read an answer')
is_(len(hits()), 1, 'but its plain hit counts')
chrome.get(A + '/coep')
is_(chrome.run('''
    return new Promise(done => {
        const img = new Image();
        img.onload = () => done('loaded');
        img.onerror = () => done('error');
        img.src = args[0];
    });''', PX + '/px.gif?site=shop'), 'loaded',
    'a page that asks for Cross-Origin-Resource-Policy loads it')
ok(chrome.run('return performance.getEntriesByType("resource").some('
              'e => e.name.includes("px.gif") && e.responseStart > 0)'),
   'and sees how long it took')
hits()

# ---- clicks


def go(path, to):
    chrome.get(A + '/page')
    try:
        chrome.get('%s/%s?site=shop&to=%s' % (PX, path, to))
    except Exception:                   # a page that cannot be loaded
        pass
    return chrome.driver.current_url


is_(go('click', 'https%3A%2F%2Fshop-a.test%2Flanding%3Fa%3Db%20c'),
    A + '/landing?a=b%20c', 'a click arrives at its target')
is_(len(hits()), 1, 'and is recorded')
for to in ('//evil.test', '/\\evil.test', 'https:evil.test', '\\\\evil.test',
           'https:/\\evil.test', 'https://shop-a.test@evil.test/',
           'https://shop-a.test%5C@evil.test/', '%09//evil.test',
           'https://evil.test%5C.shop-b.test/', 'https:%2F%2F%2Fevil.test',
           'https://evil.test%2523.shop-b.test/', 'javascript:location=1',
           'https://evil.test%EF%BC%8F.shop-b.test/',
           'https://shop-a.test%E3%80%82evil.test/',
           'https://shop-a.test%0d%0aLocation:%20https://evil.test/'):
    where = go('click', to)
    ok(where.startswith(PX + '/click'), 'no way to evil: ' + to) or diag(where)
is_(ring.new(), [], 'none of these is recorded')

# ---- cookies, as the browser's own store has them

IMAGE = '''
    return new Promise(done => {
        const img = new Image();
        img.onload = () => done('loaded');
        img.onerror = () => done('error');
        img.src = args[0];
    });'''
vids = {}
for site in (A, B, A, B):
    chrome.get(site + '/page')
    for name in ('own', 'shared'):
        chrome.run(IMAGE, '%s/%s.gif?site=shop&r=%d' % (PX, name,
                                                        random.random() * 1e9))
        vids.setdefault((site, name), []).append(hit().get('visitor'))
ok(all(vids[site, 'own'][0] and len(set(vids[site, 'own'])) == 1
       for site in (A, B)),
   'the first hit of a visitor has the id that later ones have') or diag(vids)
isnt(vids[A, 'own'][0], vids[B, 'own'][0],
     'a partitioned cookie is another one on another site')
cookies = chrome.command('Storage.getCookies')['cookies']
own = {c['partitionKey']['topLevelSite'] if isinstance(c.get('partitionKey'),
                                                       dict)
       else c.get('partitionKey'): c for c in cookies
       if c['name'] == '__Host-vid'}
is_(set(own), {A, B}, 'the browser keeps one for each site that embeds us')
is_({key: c['value'] for key, c in own.items()},
    {site: vids[site, 'own'][0] for site in (A, B)}, 'with the ids recorded')
is_({(c['secure'], c['httpOnly'], c.get('sameSite'), c['domain'], c['path'])
     for c in own.values()}, {(True, True, 'None', 'px.test', '/')},
    'secure, for HTTP alone, cross-site, of this host')
kept = [c['value'] for c in cookies if c['name'] == 'shared']
is_({vid for site in (A, B) for vid in vids[site, 'shared']} == set(kept)
    if kept else len(set(vids[A, 'shared'] + vids[B, 'shared'])), True
    if kept else 4, 'one that is not partitioned is one for all sites, or, '
    'as this browser has it, refused: %s' % ('kept' if kept else 'refused'))

# ---- Global Privacy Control

chrome.command('Network.enable')
chrome.command('Network.setExtraHTTPHeaders', headers={'Sec-GPC': '1'})
chrome.get(B + '/page')
chrome.run(IMAGE, PX + '/own.gif?site=shop&gpc=1')
got = hit()
is_((got.get('visitor'), got.get('user_agent'), got.get('ip')),
    (None, None, '127.0.0.0'), 'with GPC on a hit is anonymous')
chrome.run(IMAGE, PX + '/shared.gif?site=shop&gpc=1')
chrome.run(IMAGE, PX + '/px.gif?site=shop&gpc=1')
is_([h['path'] for h in hits(1)], ['/px.gif'],
    'or dropped, or logged, as it is configured')
chrome.command('Network.setExtraHTTPHeaders', headers={})

# ---- the browser's URL parser against ours

seed()
HOSTISH = ['shop-a.test', 'evil.test', 'xn--bcher-kva.test', 'xn--a-.test',
           '127.0.0.1', '0x7f.1', '1.2.3', '[::1]', 'a_b.test', 'A.TEST',
           'b\u00fccher.test', 'a\u3002b', 'a.test.', 'xn--ls8h.test',
           'xn--80ak6aa92e.com', 'r3---x.test', '-a.test', 'a-.test']
PIECES = ['/', '\\', '@', ':', '?', '#', '.', '..', '%', '%2e', '%5c', '%00',
          '\t', '\n', ' ', ';', '&', ',', '[', ']', '|', '^', '`', '"', '<',
          '80', '443', '65536', '//', '\u3002', '\uff0f', '\u200b', '\u00ad',
          '\u2100', '\u212a', 'x', '*', '!', '$', '~', '_', '-', 'xn--', '\x7f']


def made_up():
    text = (random.choice(['https://', 'http://', 'HTTPS://', 'https:/',
                           'https:', '//', 'https:\\\\'])
            + random.choice(HOSTISH)
            + random.choice(['', '/', '/x', ':8443/', '?a', '#b']))
    for _ in range(random.choice([0, 0, 1, 1, 2, 3])):
        at = random.randrange(len(text) + 1)
        text = text[:at] + random.choice(PIECES) + text[
            at + random.choice([0, 0, 1]):]
    return text


texts = [made_up() for _ in range(count(20000, 500000))]
done = subprocess.run(
    [os.path.join(BUILD, 'url_cli')], stdout=subprocess.PIPE, check=True,
    input='\n'.join(text.encode().hex() for text in texts) + '\n', text=True)
judged = done.stdout.splitlines()
is_(len(judged), len(texts), 'each made-up target is judged')
passed = [(text, *line.split(' ')) for text, line in zip(texts, judged)
          if line != '-']
ok(len(passed) > len(texts) / 20, '%d of %d are let through' % (len(passed),
                                                               len(texts)))
chrome.get(A + '/page')
wrong = []
for i in range(0, len(passed), 5000):
    wrong += chrome.run('''
        const host = text => {
            try { const u = new URL(text, 'https://base.test/');
                  return u.protocol + u.hostname.replace(/\\.$/, '') }
            catch (e) { return null }
        };
        return args[0].filter(([text, url, name]) => {
            const want = url.split('//')[0] + name, sent = host(url);
            // one that no browser goes to at all is as good as refused
            return sent !== null
                   && (sent !== want || host(text) !== want);
        });''', passed[i:i + 5000])
is_(wrong[:5], [], 'where ours lets one through, the browser finds the same '
    'host, in what was asked for and in what is sent')

# ---- page closes

chrome.get(A + '/page')
home = chrome.driver.current_window_handle
closes = count(50, 1000)
for n in range(closes):
    chrome.driver.switch_to.new_window('tab' if n % 2 else 'window')
    chrome.get('%s/closing#%d' % (A, n))
    if n % 3 == 0:
        chrome.get(A + '/page')         # left for another page
    chrome.driver.close()
    chrome.driver.switch_to.window(home)
said = {int(key[4:]) for key in chrome.run('return Object.keys(localStorage)')
        if key.startswith('sent')}
ok(len(said) > closes * 0.9, 'the browser says that it sent at %d of %d page '
   'closes' % (len(said), closes))
came = {}
wait_until(lambda: came.update((int(h['args']['n']), h) for h in ring.new()
                               if h['site'] == 'close')
           or said <= set(came), 20)
is_subset(said, set(came), 'each of these hits came')
is_([n for n, h in came.items() if h.get('data') != {'n': str(n)}], [],
    'with its data')
tally('page closes', closes)

# ---- HTTP clients that are no browsers, over the same TLS

done = subprocess.run(
    ['curl', '-s', '--cacert', os.path.join(env.root, 'ca.pem'), '--resolve',
     'px.test:%d:127.0.0.1' % TLS, '-o', '/dev/null', '-w',
     '%{http_version} %{http_code}', '--data', 'a=b',
     'https://px.test:%d/px.gif?site=shop&how=curl' % TLS],
    stdout=subprocess.PIPE, text=True, check=False)
is_(done.stdout, '2 200', 'curl with the CA sends a hit over HTTP/2')
is_(hit().get('args'), {'site': 'shop', 'how': 'curl', 'a': 'b'},
    'which is recorded')

chrome.close()
done_testing()
