#!/usr/bin/python3
"""beacon on: the page is what it was, byte for byte, and its hit is counted
once, whatever way the request takes."""

import os
import re
import socket
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_ring import Counted, capture_env    # noqa: E402

PLAIN, BACK, WS, DEAD, H2 = [free_port() for _ in range(5)]

# Every location twice: %%BEACON%% is there, or nothing.
PAGES = '''
    root %%ROOT%%/www;
    ssi_types text/plain;
    location = /file.txt { %%BEACON%% }
    location = /big.bin { %%BEACON%% }
    location = /empty.gif { %%BEACON%% empty_gif; }
    location = /return { %%BEACON%% return 200 "a page\\n"; }
    location = /moved { %%BEACON%% return 301 /file.txt; }
    location = /teapot { %%BEACON%% return 418; }
    location = /closed { %%BEACON%% return 444; }
    location = /denied { %%BEACON%% deny all; }
    location = /missing { %%BEACON%% }
    location = /missing-page { %%BEACON%% error_page 404 /error.txt; }
    location = /missing-200 { %%BEACON%% error_page 404 =200 /error.txt; }
    location = /missing-named { %%BEACON%% error_page 404 = @named; }
    location = /missing-moved { %%BEACON%%
                                error_page 404 https://a.example/; }
    location = /return-error { %%BEACON%% error_page 404 /error.txt;
                               return 404; }
    location @named { add_header X-Named yes; return 200 "named\\n"; }
    location = /try { %%BEACON%% try_files /none /file.txt; }
    location = /try-on { %%BEACON%% try_files /none /return; }
    location = /rewritten { %%BEACON%% rewrite ^ /file.txt last; }
    location = /rewritten-here { %%BEACON%% rewrite ^ /file.txt break; }
    location = /if { %%BEACON%% if ($arg_x = 1) { return 403; }
                     if ($arg_y) { add_header X-If yes; } }
    location /dir/ { %%BEACON%% }
    location = /dir { %%BEACON%% return 301 /dir/; }
    location = /ssi.txt { %%BEACON%% ssi on; }
    location = /mirror { %%BEACON%% mirror /file.txt; mirror /pixel;
                         try_files /file.txt =404; }
    location = /auth { %%BEACON%% auth_request /file.txt;
                       try_files /file.txt =404; }
    location = /auth-pixel { %%BEACON%% auth_request /pixel;
                             try_files /file.txt =404; }
    location = /proxy { %%BEACON%% proxy_pass http://127.0.0.1:%%BACK%%; }
    location = /upload { %%BEACON%% proxy_pass http://127.0.0.1:%%BACK%%/ok;
                         client_max_body_size 100; }
    location = /proxy-error { %%BEACON%% proxy_intercept_errors on;
                              error_page 404 500 502 = /file.txt;
                              proxy_pass http://127.0.0.1:%%BACK%%/missing; }
    location = /proxy-dead { %%BEACON%% error_page 502 504 /error.txt;
                             proxy_pass http://127.0.0.1:%%DEAD%%; }
    location = /cached { %%BEACON%% proxy_cache pages;
                         proxy_cache_key $server_port$uri;
                         proxy_cache_valid 10m;
                         proxy_pass http://127.0.0.1:%%BACK%%; }
    location = /streamed { %%BEACON%% proxy_buffering off;
                           proxy_http_version 1.1;
                           proxy_pass http://127.0.0.1:%%BACK%%; }
    location = /accel { %%BEACON%%
                        proxy_pass http://127.0.0.1:%%BACK%%/accel; }
    location = /ws { %%BEACON%% proxy_pass http://127.0.0.1:%%WS%%;
                     proxy_http_version 1.1;
                     proxy_set_header Upgrade $http_upgrade;
                     proxy_set_header Connection upgrade; }
    location = /id { %%BEACON%% add_header X-Result "$beacon_result" always;
                     return 200 "x"; }
    location = /twice { %%BEACON%% error_page 404 = /twice2; }
    location = /twice2 { %%BEACON%% error_page 404 = /twice3; }
    location = /twice3 { %%BEACON%% return 200 "three\\n"; }
    recursive_error_pages on;
    location = /error.txt { }
'''

env, ring = capture_env(values={
    'PLAIN': str(PLAIN), 'BACK': str(BACK), 'WS': str(WS), 'DEAD': str(DEAD),
    'H2': str(H2), 'PAGES': PAGES.replace('%%BEACON%%', ''),
    'COUNTED': PAGES.replace('%%BEACON%%',
                             'beacon on; beacon_site $beacon_arg_site;')},
    ring_options='lane_size=64k', http='''
    default_type text/plain;
    gzip on; gzip_types text/plain; gzip_min_length 100;
    proxy_cache_path %%ROOT%%/cache keys_zone=pages:1m use_temp_path=off;
    large_client_header_buffers 4 32k;
    log_format result '$request_uri $status $beacon_result $beacon_id';
    server {
        listen 127.0.0.1:%%PLAIN%%;
        location = /pixel { beacon gif; beacon_site $beacon_arg_site; }
        %%PAGES%%
    }
    server {
        listen 127.0.0.1:%%BACK%%;
        default_type text/plain;
        location = /accel { add_header X-Accel-Redirect /file.txt;
                            return 200; }
        location = /missing { return 404; }
        location = /streamed { ssi on; ssi_types text/plain;
                               root %%ROOT%%/www; try_files /ssi2.txt =404; }
        location = /ok { return 200 "ok $request_method $content_length"; }
        location / { add_header ETag '"x"'; return 200 "behind\\n"; }
    }
    server {
        listen 127.0.0.1:%%H2%% http2;
        root %%ROOT%%/www;
        location / { beacon on; beacon_site shop; }
    }
''', server='''
    access_log %%ROOT%%/result.log result;
    location = /pixel { beacon gif; beacon_site $beacon_arg_site; }
    %%COUNTED%%
    location = /args { beacon on; beacon_site $beacon_arg_site;
                       set $args "site=rewritten&$args"; return 404;
                       error_page 404 /error.txt; }
    location = /args2 { beacon on; beacon_site $beacon_arg_site;
                        set $args "site=rewritten&$args";
                        error_page 404 /error.txt; }
    location = /from { rewrite ^ /to?site=rewritten last; }
    location = /to { beacon on; beacon_site $beacon_arg_site;
                     return 200 "to"; }
    location = /off-after { beacon on; beacon_site $beacon_arg_site;
                            error_page 404 = /off; }
    location = /off { beacon off; return 200 "off"; }
    location = /plain-after { beacon on; beacon_site $beacon_arg_site;
                              error_page 404 = /plain; }
    location = /plain { return 200 "plain"; }
    location = /other-after { beacon on; beacon_site one;
                              error_page 404 = /other; }
    location = /other { beacon on; beacon_site two; return 200 "other"; }
    location = /pixel-after { beacon on; beacon_site $beacon_arg_site;
                              error_page 404 = /pixel?site=shop; }
    location /nested { beacon on; beacon_site shop;
                       location /nested/in { return 200 "in"; } }
    location = /fields { beacon on if=$beacon_arg_go;
                         beacon_site shop; beacon_visitor $beacon_arg_vid;
                         beacon_field status $status;
                         beacon_field type $sent_http_content_type;
                         beacon_flag on 1;
                         return 201 "x"; }
''')
www = os.path.join(env.root, 'www')
os.mkdir(www, 0o755)
os.mkdir(os.path.join(www, 'dir'), 0o755)
for name, data in (('file.txt', b'a file\n' * 100), ('big.bin', b'x' * 300000),
                   ('error.txt', b'an error\n'), ('dir/index.html', b'index'),
                   ('ssi2.txt', b'x<!--#echo var="uri" -->' * 1000),
                   ('ssi.txt', b'[<!--#include virtual="/file.txt" -->]'
                               b'[<!--#include virtual="/pixel" -->]'
                               b'[<!--#include virtual="/proxy" -->]')):
    with open(os.path.join(www, name), 'wb') as file:
        file.write(data)


def websocket_server(listener):
    """Says 101, then sends back what it gets."""
    def serve(peer):
        with peer:
            data = b''
            while b'\r\n\r\n' not in data:
                data += peer.recv(4096)
            peer.sendall(b'HTTP/1.1 101 Switching Protocols\r\n'
                         b'Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n')
            while True:
                data = peer.recv(4096)
                if not data:
                    return
                peer.sendall(data)
    while True:
        peer, _ = listener.accept()
        threading.Thread(target=serve, args=(peer,), daemon=True).start()


threading.Thread(target=websocket_server, daemon=True, args=(
    socket.create_server(('127.0.0.1', WS)),)).start()
env.start()
count = Counted(env)


def page(port, target, **options):
    """The whole answer, without what changes by itself; None: closed."""
    try:
        raw = env.get(target, host='page.example', port=port, **options).raw
    except Closed:
        return None
    raw = raw.replace(b':%d/' % port, b':PORT/')
    return re.sub(rb'\r\nDate: [^\r]*', b'', raw)


def same(target, times=1, name='', query='?site=shop', **options):
    """The page is the same with beacon on; times hits are recorded."""
    what = name or target
    count.since()
    plain = page(PLAIN, target + query, **options)
    if plain is not None and b'GIF' not in plain:
        wait_until(lambda: not ring.new(), 0.2)
    ring.new()
    count.since()
    is_(page(env.port, target + query, **options), plain,
        '%s is what it was' % what)
    hits = []
    wait_until(lambda: hits.extend(ring.new()) or len(hits) >= times,
               5 if times else 0)
    is_(len(hits), times, '%s is recorded %s' % (
        what, ('never', 'once')[times])) or diag(hits)
    changed = count.since()
    is_(changed, {'accepted': times} if times else changed,
        'and counted so')
    return hits[0] if hits else {}


# ---- every kind of page

hit = same('/file.txt')
is_({k: hit.get(k) for k in ('site', 'method', 'path', 'args', 'host')},
    {'site': 'shop', 'method': 'GET', 'path': '/file.txt',
     'args': {'site': 'shop'}, 'host': 'page.example'},
    'the record says what was asked for')
for target in ('/big.bin', '/empty.gif', '/return', '/moved', '/teapot',
               '/denied', '/missing', '/missing-page', '/missing-200',
               '/missing-named', '/missing-moved', '/return-error', '/try',
               '/try-on', '/rewritten', '/rewritten-here', '/if', '/dir/',
               '/dir', '/dir/none', '/ssi.txt', '/mirror', '/auth',
               '/auth-pixel', '/proxy', '/proxy-error', '/proxy-dead',
               '/cached', '/streamed', '/accel', '/twice'):
    hit = same(target)
    is_((hit.get('path'), hit.get('args'), hit.get('method')),
        (target, {'site': 'shop'}, 'GET'), 'as it was asked for')
env.allow('connect.. failed')
same('/closed', 0)
hit = same('/cached', name='a page from the cache')
is_(hit.get('path'), '/cached', 'as often as it is asked for')
same('/cached', headers={'If-None-Match': '"x"'}, name='a 304 from the cache')
for query in ('?site=shop&x=1', '?site=shop&y=1'):
    same('/if', query=query, name='an if: ' + query)

etag = env.get('/file.txt', port=PLAIN).header('etag')
for target, headers in (
        ('/file.txt', {'If-None-Match': etag}),
        ('/file.txt', {'If-Modified-Since':
                       'Thu, 01 Jan 2099 00:00:00 GMT'}),
        ('/file.txt', {'If-Match': '"x"'}),
        ('/big.bin', {'Range': 'bytes=10-19'}),
        ('/big.bin', {'Range': 'bytes=99999999-'}),
        ('/big.bin', {'Range': 'bytes=400-'}),
        ('/file.txt', {'Accept-Encoding': 'gzip'}),
        ('/ssi.txt', {'If-None-Match': '*'}),
        ('/proxy', {'If-None-Match': '"x"'}),
        ('/file.txt', {'Connection': 'close'}),
        ('/return', {'Upgrade': 'websocket', 'Connection': 'Upgrade'})):
    same(target, headers=headers, name='%s with %s' % (target, headers))
unlike(page(env.port, '/big.bin?site=shop', headers={'Range': 'bytes=1-9'}),
       '^HTTP/1.1 200', 'a range is a range')
ring.new()
is_(same('/big.bin', method='HEAD', name='HEAD').get('method'), 'HEAD',
    'it is recorded as HEAD')
same('/file.txt', version='HTTP/1.0', name='HTTP/1.0')
hit = same('/upload', method='POST', body='a=b', name='POST', headers={
    'Content-Type': 'application/x-www-form-urlencoded'})
is_((hit.get('method'), hit.get('args'), hit.get('body')),
    ('POST', {'site': 'shop'}, None), "its body is the page's own")
hit = same('/missing-page', method='POST', body='a=b', name='POST to 405')
is_(hit.get('method'), 'POST', 'its method is what was asked with')
same('/upload', method='POST', body='x' * 101,
     name="a body over the page's own limit")
is_(page(env.port, '/upload', method='POST', body='x' * 101)[:12],
    b'HTTP/1.1 413', 'which holds')
env.allow('too large body')
ring.new()
same('/return', 0, method='OPTIONS', name='OPTIONS')
is_(count.since(), {}, 'and not counted at all')
for method in ('PUT', 'DELETE', 'PROPFIND'):
    count.since()
    is_(page(env.port, '/return?site=shop', method=method),
        page(PLAIN, '/return?site=shop', method=method),
        '%s is what it was' % method)
    is_((ring.new(), count.since()), ([], {'method': 1}),
        'and counted as rejected')

# ---- bad sites, conditions, variables

for target in ('/file.txt', '/return', '/proxy', '/missing-page', '/ssi.txt',
               '/twice', '/mirror'):
    page(PLAIN, target)
    ring.new()
    count.since()
    is_(page(env.port, target), page(PLAIN, target),
        '%s of a bad site is what it was' % target)
    is_(ring.new(), [], 'and not recorded')
    is_(count.since().get('site', 0) >= 1, True, 'and counted as rejected')
long = '?site=shop&x=' + 'y' * 9000
for target in ('/file.txt', '/return', '/proxy', '/missing-page', '/dir/'):
    plain = page(PLAIN, target + long)
    count.since()
    is_(page(env.port, target + long), plain,
        '%s of a record too large is what it was' % target)
    is_((ring.new(), count.since()), ([], {'size': 1}),
        'and counted as rejected, not recorded')
for target, want in (('/args?a=1', 'rewritten'), ('/args2?a=1', 'rewritten'),
                     ('/from?site=shop', 'rewritten')):
    ring.new()
    env.get(target)
    hits = ring.new()
    want = [want] if target != '/args?a=1' else [want] if hits else []
    is_([h['site'] for h in hits], want,
        '%s: rewritten arguments count' % target)
for target, sites in (('/off-after?site=shop', []),
                      ('/plain-after?site=shop', ['shop']),
                      ('/other-after', ['two']),
                      ('/pixel-after?site=a', ['shop']),
                      ('/nested', ['shop']), ('/nested/in', [])):
    env.get(target)
    is_([h['site'] for h in ring.new()], sites,
        '%s is recorded as of %s' % (target, sites))
r = env.get('/fields?go=1&vid=me')
hit = ring.one()
is_((r.status, hit['visitor'], hit['fields'], hit['flags']),
    (201, 'me', {'status': '201', 'type': 'text/plain'}, ['on']),
    'fields know the status and the type of the page')
count.since()
r = env.get('/fields?go=0')
is_((r.status, ring.new(), count.since()), (201, [], {'dropped': 1}),
    'if= drops hits, not pages')
is_([env.get('/id?site=' + site).header('x-result') for site in
     ('shop', '')], ['taken', 'site'], 'a page may tell its result')
hit = ring.one()


def logged(target):
    env.get(target)
    with open(os.path.join(env.root, 'result.log'), encoding='latin-1') as f:
        return f.read().splitlines()[-1]


wait_until(lambda: 'taken' in logged('/return?site=shop'), 5)
like(logged('/return?site=shop'),
     r'^/return\?site=shop 200 taken [0-9a-f]{16}-0-[0-9a-f]+$',
     'and the access log has its id')
ring.new()

# ---- websockets, HTTP/2

with env.client() as client:
    client.send(client.format('/ws?site=shop', headers={
        'Upgrade': 'websocket', 'Connection': 'Upgrade'}))
    while b'\r\n\r\n' not in client.buffer:
        client._more()
    top, client.buffer = client.buffer.split(b'\r\n\r\n', 1)
    like(top, '^HTTP/1.1 101', 'an upgrade to websocket goes through')
    is_(ring.one().get('path'), '/ws', 'it is recorded at once')
    for word in (b'hello', b'world'):
        client.send(word)
        while word not in client.buffer:
            client._more()
    ok(True, 'and the socket talks')
    is_(ring.new(), [], 'what it says is no hit')
done = subprocess.run(
    ['curl', '-s', '--http2-prior-knowledge',
     'http://127.0.0.1:%d/file.txt?x=1' % H2], stdout=subprocess.PIPE,
    check=False)
is_(done.stdout, b'a file\n' * 100, 'over HTTP/2 a page is what it is')
is_(ring.one().get('args'), {'x': '1'}, 'and recorded')
done = tool('h2load', '-n', '50', '-c', '2', '-m', '5',
            'http://127.0.0.1:%d/file.txt' % H2)
like(done.stdout, r'50 succeeded, 0 failed', '50 in streams')
is_(len(ring.new()), 50, 'are 50 records')

# ---- a full ring costs no page

plain = page(PLAIN, '/file.txt?site=shop')
count.since()
full = 0
for _ in range(400):
    if page(env.port, '/file.txt?site=shop') != plain:
        break
    full = count.since().get('refused', 0)
    if full:
        break
is_((full, page(env.port, '/file.txt?site=shop') == plain), (1, True),
    'with the ring full, pages go out all the same')
is_(count.since(), {'refused': 1}, 'and are counted as refused')
is_(env.get('/pixel?site=shop').status, 503, 'where a pixel says 503')
like(env.wait_error('the ring is full') or '', 'hits are refused',
     'the log says so')

done_testing()
