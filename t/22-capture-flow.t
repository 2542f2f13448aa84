#!/usr/bin/python3
"""Captured once: internal redirects, subrequests, several servers, nginx's own
phases in front, and error pages that must not touch our answers."""

import os
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_ring import Counted, capture_env    # noqa: E402

OTHER, BAD, DEAD = free_port(), free_port(), free_port()
FLOW = '''
    location = /from-rewrite { rewrite ^ /px.gif last; }
    location = /from-error { return 404; error_page 404 /px.gif?$args; }
    location = /from-error-200 { return 404;
                                 error_page 404 =200 /px.gif?$args; }
    location = /from-try { root %%ROOT%%/nowhere;
                           try_files $uri /px.gif?$args; }
    location = /from-named { root %%ROOT%%/nowhere; try_files $uri @named; }
    location @named { beacon gif; beacon_site named; }
    location = /from-accel { proxy_pass http://127.0.0.1:%%OTHER%%/accel; }

    location /bad { proxy_pass http://127.0.0.1:%%BAD%%;
                    proxy_http_version 1.1;
                    proxy_intercept_errors on; error_page 502 =200 @named; }
    location /bad/unbuffered { proxy_pass http://127.0.0.1:%%BAD%%;
                               proxy_http_version 1.1;
                               proxy_request_buffering off;
                               proxy_intercept_errors on;
                               error_page 502 =200 @named; }
    location /dead { proxy_pass http://127.0.0.1:%%DEAD%%;
                     proxy_http_version 1.1; proxy_request_buffering off;
                     error_page 502 =200 @named; }

    location = /twice { beacon gif; beacon_site $beacon_arg_site;
                        mirror /m1; mirror /m2; }
    location = /page { mirror /m1; mirror /m2; return 200 "a page"; }
    location = /upload { mirror /m1; proxy_pass http://127.0.0.1:%%OTHER%%/ok;
                         client_body_buffer_size 1k; }
    location = /mirrored { mirror /m1; try_files /index.txt =404;
                           root %%ROOT%%; }
    location = /mirrored2 { mirror /m1; mirror /m2; try_files /index.txt =404;
                            root %%ROOT%%; }
    location = /m1 { internal; beacon gif; beacon_site $beacon_arg_site; }
    location = /m2 { internal; beacon empty; beacon_site m2; }

    location = /auth { auth_request /a1; try_files /index.txt =404;
                       root %%ROOT%%; }
    location = /a1 { internal; beacon empty; beacon_site $beacon_arg_site; }
    location = /ssi { ssi on; ssi_types text/plain; default_type text/plain;
                      root %%ROOT%%; try_files /ssi.txt =404; }
    location = /s1 { beacon empty; beacon_site ssi; }
'''

env, ring = capture_env(values={'OTHER': str(OTHER), 'BAD': str(BAD),
                                'DEAD': str(DEAD)}, http='''
    limit_req_zone $server_name zone=one:64k rate=1r/m;
    server {
        listen 127.0.0.1:%%OTHER%%;
        server_name other.example;
        location = /accel { add_header X-Accel-Redirect "/px.gif?site=accel";
                            return 200; }
        location = /ok { return 200 "ok"; }
        location / { beacon empty; beacon_site $beacon_arg_site;
                     beacon_field server $server_name; }
    }
    server {
        listen 127.0.0.1:%%OTHER%%;
        server_name third.example;
        location / { beacon empty; beacon_site third;
                     beacon_flag third 1; }
    }
''', server=FLOW + '''
    error_page 400 403 405 413 414 500 503 =200 /fine;
    location = /fine { return 200 "fine"; }
    location = /denied { deny all; beacon gif; beacon_site shop; }
    location = /limited { limit_req zone=one; beacon gif; beacon_site shop; }
    location = /returned { beacon gif; beacon_site shop; return 204; }
''')
for name, text in (('index.txt', 'a page'),
                   ('ssi.txt', '[<!--#include virtual="/s1?a=b" -->]'
                               '[<!--#include virtual="/s1" -->]')):
    with open(os.path.join(env.root, name), 'w', encoding='ascii') as file:
        file.write(text)
env.start()
count = Counted(env)

# ---- internal redirects

for target, status, path, site in (
        ('/from-rewrite', 200, '/from-rewrite', 'shop'),
        ('/from-error', 404, '/from-error', 'shop'),
        ('/from-error-200', 200, '/from-error-200', 'shop'),
        ('/from-try', 200, '/from-try', 'shop'),
        ('/from-named', 200, '/from-named', 'named'),
        ('/from-accel', 200, '/from-accel', 'accel')):
    r = env.get(target + '?site=shop')
    is_((r.status, r.body[:3]), (status, b'GIF'), '%s is answered' % target)
    hit = ring.one()
    is_((hit.get('site'), hit.get('path')), (site, path),
        'and recorded once, with the path that was asked for')
is_(count.since(), {'accepted': 6}, 'each is accepted once')
for target in ('/from-error-200', '/from-rewrite', '/from-try'):
    r = env.get(target)
    is_((r.status, r.header('x-beacon-error'), r.body[:3]),
        (400, 'site', b'GIF'),
        '%s: a refusal stays one, whatever error_page says' % target)
is_(count.since(), {'site': 3}, 'each is rejected once')

# ---- error pages of a POST that another location has read, or still reads


def serve_bad(listener):
    """Answers 502 when the body has come to its END."""
    while True:
        peer, _ = listener.accept()
        with peer:
            data = b''
            while b'END' not in data:
                more = peer.recv(65536)
                if not more:
                    break
                data += more
            peer.sendall(b'HTTP/1.1 502 Bad\r\nContent-Length: 0\r\n'
                         b'Connection: close\r\n\r\n')


threading.Thread(target=serve_bad, daemon=True, args=(
    socket.create_server(('127.0.0.1', BAD)),)).start()

FRAMES = (('Content-Length: 10', 'hello', 'xxEND'),
          ('Transfer-Encoding: chunked', '5\r\nhello\r\n',
           '5\r\nxxEND\r\n0\r\n\r\n'))
pids = env.worker_pids()


def halves(target, frame):
    """A POST in two pieces: its answer, and the record."""
    header, first, second = frame
    with env.client() as client:
        client.send('POST %s HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n%s'
                    % (target, header, first))
        time.sleep(0.2)
        env.get('/status')              # the one worker has had its turn
        client.send(second)
        r = client.response()
    return (r.status, r.header('x-beacon-error'), r.header('connection'),
            [h.get('body') for h in ring.new()])


count.since()
for frame in FRAMES:
    is_(halves('/bad', frame), (200, None, 'keep-alive', ['helloxxEND']),
        'a body that another location has read is recorded: ' + frame[0])
    is_(halves('/bad/unbuffered', frame), (413, 'body', 'close', []),
        'one that it has used up is refused')
    is_(halves('/dead', frame), (413, 'body', 'close', []),
        'so is one that it still reads')
is_(count.since(), {'accepted': 2, 'body': 4}, 'each is counted')
is_(env.worker_pids(), pids, 'and the worker lives')

# ---- subrequests

r = env.get('/twice?site=shop')
is_(r.body[:3], b'GIF', 'a location that mirrors to two others is answered')
is_([h['site'] for h in ring.new()], ['shop'], 'and its hit recorded once')
r = env.get('/mirrored?site=shop&x=1', {'Referer': 'r', 'User-Agent': 'u'})
is_(r.body, b'a page', 'a page with a mirror is what it is')
hit = ring.one()
is_({k: hit.get(k) for k in ('site', 'path', 'args', 'referer', 'user_agent',
                             'ip', 'method')},
    {'site': 'shop', 'path': '/mirrored', 'args': {'site': 'shop', 'x': '1'},
     'referer': 'r', 'user_agent': 'u', 'ip': '127.0.0.1', 'method': 'GET'},
    'the mirror captures what the client asked the page for')
is_(env.get('/mirrored2?site=shop').body, b'a page',
    'with two mirrors, too')
is_(ring.one().get('site'), 'shop', 'they capture once')
is_(ring.new(), [], 'and not again')
count.since()
refused = env.status()['capture']['rejected']['site']
is_(env.get('/mirrored?site=').body, b'a page',
    "a refused mirror does not change its page's answer")
wait_until(lambda: env.status()['capture']['rejected']['site'] > refused, 5)
is_((ring.new(), count.since()), ([], {'site': 1}), 'it is counted')
r = env.post('/upload?site=shop', 'a=b')
hit = ring.one()
is_((r.body, hit.get('method'), hit.get('args')),
    (b'ok', 'POST', {'site': 'shop', 'a': 'b'}),
    'a mirrored POST is captured with its body')
r = env.post('/upload?site=shop', 'a=' + 'b' * 60000)
is_((r.body, ring.new(), count.since()),
    (b'ok', [], {'accepted': 1, 'body': 1}),
    'one that went to a file is refused: files are not read')

is_(env.get('/auth?site=shop').body, b'a page',
    'auth_request by a captured hit lets the page through')
is_(ring.one().get('args'), {'site': 'shop'},
    "and captures the client's own request")
is_(env.post('/auth?site=shop', 'a=b').body, b'fine',
    'a POST to a static file is refused by nginx')
is_(ring.one().get('method'), 'POST', 'but was captured as what it is')
is_(env.get('/auth').body, b'fine', 'a refused hit does not let it through')
is_(env.get('/ssi?x=1').body, b'[][]', 'pages may include hits')
hit = ring.one()
is_((hit.get('site'), hit.get('path'), hit.get('args')),
    ('ssi', '/ssi', {'x': '1'}), 'they are captured once, as the page')

# ---- nginx's own phases

count.since()
is_(env.get('/denied').body, b'fine', "what nginx denies is nginx's answer")
is_(env.get('/limited').body[:3], b'GIF', 'limit_req lets the first through')
is_(env.get('/limited').body, b'fine', 'and stops the second')
is_(env.get('/returned').status, 204, 'return comes before capture')
is_((len(ring.new()), count.since()), (1, {'accepted': 1}),
    'only what reached the location is captured')

# ---- several servers

for host, want in (('other.example', ('shop', {'server': 'other.example'},
                                      None)),
                   ('third.example', ('third', None, ['third']))):
    is_(env.get('/x?site=shop', host=host, port=OTHER).status, 204,
        '%s answers' % host)
    hit = ring.one()
    is_((hit.get('site'), hit.get('fields'), hit.get('flags')), want,
        'and records by its own configuration')

done_testing()
