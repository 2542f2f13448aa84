#!/usr/bin/python3
"""Visitors: beacon_cookie, $beacon_cookie, and nginx's own userid module."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_ring import Counted, capture_env    # noqa: E402

H2 = free_port()

env, ring = capture_env(values={'H2': str(H2)}, http='''
    log_format visitor '$uri [$beacon_cookie][$beacon_visitor][$sent]';
    map $sent_http_set_cookie $sent { "" ""; default set; }
    map $cookie_consent $consent { yes 1; default ""; }
    map $consent $consented { 1 $beacon_cookie; }
    large_client_header_buffers 4 64k;
''', server='''
    listen 127.0.0.1:%%H2%% http2;
    access_log %%ROOT%%/visitor.log visitor;
    beacon_site shop;
    beacon_visitor $beacon_arg_vid $beacon_cookie;
    beacon_cookie vid;
    location = /vid { beacon gif; }
    location = /full {
        beacon empty;
        beacon_cookie __Secure-id expires=400d domain=.example.com
                      path=/px partitioned;
    }
    location = /host {
        beacon empty;
        beacon_cookie __Host-id expires=1y partitioned;
    }
    location = /consent {
        beacon empty;
        beacon_cookie id if=$consent;
        beacon_visitor $consented;
    }
    location = /arg { beacon empty if=$beacon_arg_go;
                      beacon_cookie vid if=$beacon_arg_yes; }
    location = /off { beacon empty; beacon_cookie off; }
    location = /unused { beacon empty; beacon_visitor $beacon_arg_vid; }
    location = /field {
        beacon empty;
        beacon_field again "<$beacon_cookie>";
        beacon_field plain $beacon_cookie;
        beacon_flag known $cookie_vid;
    }
    location = /site { beacon empty; beacon_site $beacon_arg_s; }
    location = /body { beacon empty; beacon_max_body 10; }
    location = /page { return 200 "[$beacon_cookie]"; }
    location = /mirrored {
        mirror /mirror;
        alias %%ROOT%%/nginx.conf;
    }
    location = /mirror { internal; beacon empty; }
    location = /on/page { beacon on; return 200 "[$beacon_cookie]"; }
    location /on/dir/ {
        beacon on;
        alias %%ROOT%%/;
        index nginx.conf;
    }
    location = /on/dir/nginx.conf { alias %%ROOT%%/nginx.conf; }
    location = /on/if { beacon on if=0; return 200 "[$beacon_cookie]"; }
    location = /click {
        beacon_redirect https://shop.example/?id=$beacon_cookie;
    }
    location = /redirected { rewrite ^ /vid; }
    location = /missing { error_page 404 = /vid; return 404; }
    location = /self { beacon empty; beacon_cookie vid if=$beacon_cookie; }
    location = /gpc { beacon empty; beacon_gpc anonymous; }

    location = /userid {
        beacon gif;
        userid on;
        userid_name uid;
        userid_flags samesite=none secure httponly;
        beacon_cookie off;
        beacon_visitor $uid_got$uid_set;
    }
''')
env.start()
count = Counted(env)
ID = re.compile(r'[0-9a-f]{32}')
ATTRIBUTES = '; Path=/; Secure; HttpOnly; SameSite=None'


def ask(target, cookie=None, **options):
    """(the value of Set-Cookie without its id, the id, the record)"""
    headers = options.pop('headers', {})
    if cookie is not None:
        headers['Cookie'] = cookie
    answer = env.get(target, headers, **options)
    sent = answer.header_all('set-cookie')
    ok(len(sent) < 2, '%s: at most one cookie' % target)
    text = sent[0] if sent else None
    found = ID.search(text or '')
    hits = ring.new()
    return (ID.sub('ID', text) if text else None,
            found.group(0) if found else None,
            hits[0] if hits else {})


# ---- the first hit and the next

text, first, hit = ask('/vid?a=1')
is_(text, 'vid=ID' + ATTRIBUTES, 'a first hit gets a cookie')
is_(hit.get('visitor'), first, 'and has its value as the visitor')
text, _, hit = ask('/vid?a=1', 'vid=' + first)
is_((text, hit.get('visitor')), (None, first),
    'the next has it, and gets none')
text, other, hit = ask('/vid')
isnt(other, first, 'another browser gets another')
for method, target in (('HEAD', '/vid'), ('POST', '/vid')):
    text, value, hit = ask(target, method=method)
    ok(text and hit['visitor'] == value, '%s gets one too' % method)
ids = set()
with env.client() as client:
    for _ in range(500):
        ids.add(ID.search(client.request('/vid').header('set-cookie'))
                .group(0))
is_(len(ids), 500, '500 first hits get 500 different ids')
ring.new()

is_(ask('/vid', 'a=b; vid=mine; c=d')[2].get('visitor'), 'mine',
    'whatever was sent is the visitor, so that a collector can be replaced')
for sent in ('a=b;vid=x y ;c=d', 'vid=;vid=x y', '  vid=x y', ';;vid=x y;'):
    is_(ask('/vid', sent)[2].get('visitor'), 'x y', 'Cookie "%s"' % sent)
for sent in ('vid=', 'VID=1', 'xvid=1', 'vid', 'vi=d', '=', ';;;', ''):
    text, value, hit = ask('/vid', sent)
    ok(text and hit['visitor'] == value,
       'Cookie "%s" is no visitor: a new one is set' % sent)
is_(ask('/vid', 'a=b; vid=two')[2]['visitor'], 'two',
    'it is found among others')
with env.client() as client:
    client.request('/vid', headers=[('Cookie', 'a=b'), ('Cookie', 'vid=3rd')])
is_(ring.one()['visitor'], '3rd', 'and on a second line')
many = '; '.join('c%d=%d' % (i, i) for i in range(1000))
is_(ask('/vid', many + '; vid=last')[2]['visitor'], 'last',
    'and behind 1,000 others')
hit = ask('/vid', 'vid=\xe9\xff"\\')[2]
is_((hit['visitor'], hit['flags']), ('\ufffd\ufffd"\\', ['malformed']),
    'what is no text in it does no harm')
ok(ask('/vid', 'vid=' + 'x' * 8000)[2]['visitor'] == 'x' * 8000,
   'nor does its length')

text, _, hit = ask('/vid?vid=arg')
is_((text and text[:6], hit['visitor']), ('vid=ID', 'arg'),
    'a visitor from elsewhere goes first; the cookie is set all the same')
text, value, hit = ask('/unused')
is_((text and text[:6], 'visitor' in hit), ('vid=ID', False),
    'it is set where nothing asks for it, too')
text, value, hit = ask('/field')
is_(hit['fields'], {'again': '<%s>' % value, 'plain': value},
    'all that ask for it in one request get the same')
is_(hit['visitor'], value, 'the visitor too')

# ---- attributes

is_(ask('/full')[0], '__Secure-id=ID; Max-Age=34560000; Domain=.example.com; '
    'Path=/px; Secure; HttpOnly; SameSite=None; Partitioned',
    'every attribute is there')
is_(ask('/host')[0], '__Host-id=ID; Max-Age=31536000' + ATTRIBUTES
    + '; Partitioned', '__Host- and Partitioned go together')
is_(ask('/host', '__Host-id=x')[2]['visitor'], 'x', 'and it is read again')
is_(ask('/host', 'vid=x')[0][:9], '__Host-id',
    'the name is the location\'s')
is_(ask('/off', 'vid=x')[::2][0], None, '"off" sets none')
ok('visitor' not in ask('/off', 'vid=x')[2], 'and reads none')

# ---- when it is not set

is_(ask('/consent')[0], None, 'without consent none is set')
ok('visitor' not in ask('/consent', 'id=old')[2],
   'nor is one read, where the visitor is mapped like that')
text, value, hit = ask('/consent', 'consent=yes')
is_((text and text[:5], hit['visitor']), ('id=ID', value),
    'with consent one is')
is_(ask('/consent', 'consent=yes; id=old')[2]['visitor'], 'old',
    'and read')
is_(ask('/arg?go=1')[0], None, 'if= is any VALUE')
is_(ask('/arg?go=1&yes=0')[0], None, '"0" is no')
is_(ask('/arg?go=1', 'vid=x')[2]['visitor'], 'x',
    'it says whether one is set; what was sent is read')
ok(ask('/arg?go=1&yes=1')[0], 'a value that is true sets it')
count.since()
is_(ask('/arg?yes=1'), (None, None, {}), 'no cookie for a hit that is dropped')
is_(count.since(), {'dropped': 1}, 'which is counted')
for target, method in (('/site?s=', 'GET'), ('/vid', 'PUT'),
                       ('/vid', 'OPTIONS')):
    is_(ask(target, method=method)[0], None,
        'none with %s %s' % (method, target))
is_(ask('/body', method='POST', body='x' * 11)[0], None,
    'none with a body that is too large')
is_(env.get('/page').body, b'[]', 'a location without beacon makes none')
is_(env.get('/page', {'Cookie': 'vid=x'}).body, b'[x]', 'but reads it')
is_(ask('/self')[0], None, 'an if= that asks for the cookie itself is false')
is_(ask('/gpc')[0][:6], 'vid=ID', 'beacon_gpc does nothing by itself')
text, _, hit = ask('/gpc', headers={'Sec-GPC': '1'})
is_((text, 'visitor' in hit), (None, False), 'with Sec-GPC none is set')
text, _, hit = ask('/gpc', 'vid=x', headers={'Sec-GPC': '1'})
is_((text, 'visitor' in hit), (None, False), 'and none is read')

# ---- redirects and subrequests

text, value, hit = ask('/redirected')
is_((text and text[:6], hit['visitor']), ('vid=ID', value),
    'a rewritten request gets one')
text, value, hit = ask('/missing')
is_((text and text[:6], hit['visitor']), ('vid=ID', value),
    'so does one that an error_page led there')
is_(env.get('/mirrored').header('set-cookie'), None,
    'a subrequest sets none')
ok('visitor' not in ring.one(), 'and makes no visitor up')
env.get('/mirrored', {'Cookie': 'vid=x'})
is_(ring.one().get('visitor'), 'x', 'but has the one that was sent')

# ---- pages and clicks

answer = env.get('/on/page')
hit = ring.one()
is_(answer.header('set-cookie'), 'vid=%s%s' % (hit.get('visitor'), ATTRIBUTES),
    'a page gets a cookie')
is_(answer.body.decode(), '[%s]' % hit.get('visitor'),
    'and can show it at its first view')
text, value, hit = ask('/on/dir/')
is_((text and text[:6], hit.get('visitor')), ('vid=ID', value),
    'so does one that an index leads elsewhere')
is_(ask('/on/dir/', 'vid=x')[2].get('visitor'), 'x', 'whose visitor is known')
answer = env.get('/on/if')
is_((answer.header('set-cookie'), answer.body), (None, b'[]'),
    'a page whose hit is dropped gets none, and is told of none')
answer = env.get('/click')
hit = ring.one()
is_((answer.header('location'), answer.header('set-cookie')),
    ('https://shop.example/?id=%s' % hit.get('visitor'),
     'vid=%s%s' % (hit.get('visitor'), ATTRIBUTES)), 'a click gets one')

# ---- HTTP/2 and plain HTTP/1.0

done = tool('curl', '-s', '--http2-prior-knowledge', '-D', '-', '-o',
            '/dev/null', '-H', 'Cookie: a=b', '-H', 'Cookie: c=d',
            'http://127.0.0.1:%d/vid' % H2)
like(done.stdout, '(?i)set-cookie: vid=[0-9a-f]{32}', 'HTTP/2 gets one')
is_(len(ring.one().get('visitor', '')), 32, 'and is a visitor')
tool('curl', '-s', '--http2-prior-knowledge', '-o', '/dev/null', '-b',
     'a=b; vid=two; c=d', 'http://127.0.0.1:%d/vid' % H2)
is_(ring.one().get('visitor'), 'two', 'and keeps it')
ok(ask('/vid', version='HTTP/1.0')[0], 'HTTP/1.0 gets one')

with open(os.path.join(env.root, 'visitor.log'), encoding='latin-1') as file:
    log = file.read()
like(log, r'(?m)^/vid \[([0-9a-f]{32})\]\[\1\]\[set\]$',
     'an access_log of a first hit has the new value')
like(log, r'(?m)^/vid \[mine\]\[mine\]\[\]$', 'of a later one what was sent')
like(log, r'(?m)^/arg \[-\]\[-?\]\[\]$', 'of a dropped one nothing')
like(log, r'(?m)^/gpc \[-\]\[-?\]\[\]$', 'with Sec-GPC nothing')
like(log, r'(?m)^/page \[-\]\[\]\[\]$', 'a location without beacon has none')

# ---- a full ring

full, _ = capture_env(ring_options='lane_size=64k', server='''
    location = /vid { beacon gif; beacon_site shop; beacon_cookie vid;
                      beacon_visitor $beacon_cookie; }
''')
full.start()
with full.client() as client:
    for _ in range(200):
        answer = client.request('/vid?pad=' + 'x' * 1000)
        if answer.status == 503:
            break
is_((answer.status, answer.header('set-cookie')), (503, None),
    'no cookie with a hit that was refused')

# ---- the userid module

answer = env.get('/userid')
sent = answer.header('set-cookie')
like(sent, r'^uid=[A-Za-z0-9+/=]{24}.*; secure; httponly; samesite=none',
     'the userid module sets its cookie')
new = ring.one().get('visitor', '')
like(new, r'^uid=[0-9A-F]{32}$', 'its id is the visitor of the first hit')
answer = env.get('/userid', {'Cookie': sent.split(';')[0]})
is_((answer.header('set-cookie'), ring.one().get('visitor')), (None, new),
    'and of the next, which gets none')

# ---- reload: ids of old and new workers are no two the same

def some():
    return {ID.search(env.get('/vid').header('set-cookie')).group(0)
            for _ in range(20)}


before = some()
ok(env.reload(), 'after a reload')
is_(len(before | some() | some()), 60, 'ids are still all different')

done_testing()
