#!/usr/bin/python3
"""What is not stored: addresses, Sec-GPC, arguments left out by name; and what
a request is labelled as.  The bytes that must not be stored are searched for
where they could have come to lie: ring, spool, logs, the helper's memory."""

import glob
import json
import os
import random
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_ring import Counted, capture_env    # noqa: E402
import decoder                                  # noqa: E402

env, ring = capture_env(ring_options='lane_size=4m', http='''
    set_real_ip_from 127.0.0.1;
    set_real_ip_from unix:;
    real_ip_header X-Real-IP;
    geo $datacentre { default 0; 203.0.113.0/24 1; 2001:db8:dc::/48 1; }
    map $cookie_consent $consent { yes 1; default ""; }
    map $beacon_arg_email $has_email { default 1; "" 0; }
    large_client_header_buffers 4 64k;
''', server='''
    listen unix:%%ROOT%%/sock;
    beacon_site shop;
    beacon_flag datacentre $datacentre;
    beacon_visitor $beacon_arg_vid $beacon_cookie;

    location = /full { beacon empty; }
    location = /truncate { beacon empty; beacon_ip truncate; }
    location = /off { beacon empty; beacon_ip off; }
    location = /anonymous { beacon empty; beacon_gpc anonymous; }
    location = /anonymous-2 { beacon empty; beacon_gpc anonymous;
                              beacon_visitor $arg_uid $cookie_x; }
    location = /anonymous-3 {
        beacon empty; beacon_gpc anonymous;
        beacon_visitor "$arg_acct.${beacon_arg_Vid}" x$cookie_x$beacon_arg_u;
    }
    location = /anonymous-off { beacon empty; beacon_gpc anonymous;
                                beacon_ip off; }
    location = /drop { beacon gif; beacon_gpc drop; }
    location = /consent { beacon empty if=$consent; }
    location = /own-flag { beacon empty; beacon_flag prefetch $beacon_arg_p;
                           beacon_flag other 1; }
    location = /on { beacon on; beacon_drop_args email;
                     return 200 "$args"; }

    location = /args { beacon empty; beacon_drop_args email Phone;
                       beacon_drop_args pass; }
    location = /keep { beacon empty; beacon_keep_args e url site; }
    location = /both { beacon empty; beacon_keep_args e url;
                       beacon_drop_args email; }
    location /imp { beacon empty; beacon_drop_args email Phone pass; }
    location /keepimp { beacon empty; beacon_keep_args e url; }
    location /allimp { beacon empty; }
    location = /few { beacon empty; beacon_drop_args email;
                      beacon_max_args 3; }
    location = /explicit {
        beacon empty;
        beacon_drop_args vid email;
        beacon_visitor $beacon_arg_vid;
        beacon_field has_email $has_email;
    }
    location /outer {
        beacon empty;
        beacon_drop_args email;
        location = /outer/inherits { beacon empty; }
        location = /outer/replaces { beacon empty; beacon_drop_args phone; }
        location = /outer/keeps { beacon empty; beacon_keep_args e; }
        location = /outer/if { beacon empty; if ($arg_e) { set $x 1; } }
    }
''')
env.start()
changes = Counted(env)
FORM = 'application/x-www-form-urlencoded'


def hit_of(target, **options):
    """The record that a request makes, {} for none."""
    headers = options.pop('headers', {})
    if 'kind' in options:
        headers = {**headers, 'Content-Type': options.pop('kind')}
    answer = env.get(target, headers, **options)
    ok(answer.status in (200, 204), '%s is answered' % target[:60])
    hits = ring.new()
    return hits[0] if hits else {}


def ip_of(target, address):
    return hit_of(target, headers={'X-Real-IP': address}).get('ip')


# ---- addresses

for address, truncated in (
        ('203.0.113.77', '203.0.113.0'), ('1.2.3.4', '1.2.3.0'),
        ('254.254.254.254', '254.254.254.0'), ('10.0.0.0', '10.0.0.0'),
        ('2001:db8:1:2:3:4:5:6', '2001:db8:1::'),
        ('2001:db8:ffff:ffff:ffff:ffff:ffff:ffff', '2001:db8:ffff::'),
        ('fe80::1', 'fe80::'), ('::1', '::'),
        ('2002:cb00:714d:1::7', '2002:cb00:7100::'),
        ('64:ff9b::203.0.113.77', '64:ff9b::')):
    ok(ip_of('/full', address), 'the address through realip: %s' % address)
    is_(ip_of('/truncate', address), truncated, '%s is truncated' % address)
    is_(ip_of('/off', address), None, '%s is left out' % address)
is_(ip_of('/full', '::ffff:203.0.113.77'), '203.0.113.77',
    'an IPv4-mapped address is IPv4')
is_(ip_of('/truncate', '::ffff:203.0.113.77'), '203.0.113.0',
    'and truncated as such')
is_(hit_of('/truncate').get('ip'), '127.0.0.0', 'a client\'s own address too')
done = tool('curl', '-s', '--unix-socket', os.path.join(env.root, 'sock'),
            'http://x/truncate')
ok('ip' not in ring.one(), 'a UNIX socket has none')

# ---- Sec-GPC

GPC = {'Sec-GPC': '1', 'X-Real-IP': '203.0.113.77', 'User-Agent': 'Agent/1',
       'Referer': 'https://shop.example/a?b=c', 'Cookie': 'a=b'}
hit = hit_of('/full?vid=v&a=b', headers=GPC)
is_((hit['visitor'], hit['ip'], hit['user_agent']),
    ('v', '203.0.113.77', 'Agent/1'), 'by default Sec-GPC changes nothing')
hit = hit_of('/anonymous?vid=v&a=b', headers=GPC)
is_([hit.get(key) for key in ('visitor', 'ip', 'user_agent', 'referer',
                              'args')],
    [None, '203.0.113.0', None, 'https://shop.example/a?b=c',
     {'a': 'b'}],
    'anonymous: no visitor, not as an argument either; no agent, a truncated '
    'address')
hit = hit_of('/anonymous-2?uid=u&vid=v&UID=w&a=b',
             headers={**GPC, 'Referer': 'https://x/?uid=u'})
is_((hit['args'], hit['referer']), ({'vid': 'v', 'a': 'b'}, 'https://x/'),
    'also where nginx\'s own $arg_ names it, and in the referer')
hit = hit_of('/anonymous-3?acct=1&vid=2&u=3&%75[]=4&a=b',
             headers={**GPC, 'Referer': 'https://x/?VID=2&acct=1'})
is_((hit['args'], hit['referer']), ({'a': 'b'}, 'https://x/'),
    'and where it is a part of the visitor')
is_(hit_of('/anonymous-2?uid=u&vid=v')['args'], {'uid': 'u', 'vid': 'v'},
    'without the signal it stays')
hit = hit_of('/anonymous-off', headers=GPC)
is_((hit.get('ip'), hit.get('user_agent')), (None, None),
    'beacon_ip off is more than that')
changes.since()
for value in ('0', '', '2', '11', 'true', '1, 1'):
    hit = hit_of('/anonymous?vid=v', headers={**GPC, 'Sec-GPC': value})
    is_(hit.get('visitor'), 'v', 'Sec-GPC: %s is no signal' % value)
hit = hit_of('/anonymous?vid=v', headers={'sEC-gPC': '1'})
ok('visitor' not in hit, 'the name of the header may be in any case')
is_(changes.since(), {'accepted': 7}, 'all of these are taken')
answer = env.get('/drop?vid=v', GPC)
is_((answer.status, len(answer.body), ring.new()), (200, 43, []),
    'drop: answered as taken')
is_(changes.since(), {'dropped': 1}, 'and counted as dropped')
ok(hit_of('/drop?vid=v'), 'without the signal it is taken')
changes.since()
answer = env.get('/consent')
is_((answer.status, ring.new(), changes.since()), (204, [], {'dropped': 1}),
    'no consent: no hit')
ok(hit_of('/consent', headers={'Cookie': 'consent=yes'}), 'consent: a hit')

# ---- labels

for name, value, flags in (
        ('Sec-Purpose', 'prefetch', ['prefetch']),
        ('Sec-Purpose', 'prefetch;prerender', ['prerender']),
        ('Sec-Purpose', 'prefetch; anonymous-client-ip', ['prefetch']),
        ('SEC-PURPOSE', 'PREFETCH', ['prefetch']),
        ('Purpose', 'prefetch', ['prefetch']),
        ('Purpose', 'prerender', ['prerender']),
        ('X-Moz', 'prefetch', ['prefetch']),
        ('X-Moz', 'other', None), ('Purpose', '', None),
        ('X-Purpose', 'prefetch', None), ('Sec-Purposes', 'prefetch', None),
        ('X' * 75, 'prefetch', None), ('X' * 71, 'prerender', None)):
    is_(hit_of('/full', headers={name: value}).get('flags'), flags,
        '%s: %s is labelled %s' % (name[:20], value, flags))
is_(hit_of('/full', headers={'Purpose': 'prefetch',
                             'Sec-Purpose': 'prefetch;prerender'})['flags'],
    ['prerender'], 'what a browser of two minds sends has one label')
is_(hit_of('/own-flag?p=1').get('flags'), ['prefetch', 'other'],
    'a beacon_flag of that name is one and the same')
is_(hit_of('/own-flag', headers={'X-Moz': 'prefetch'}).get('flags'),
    ['prefetch', 'other'], 'whoever sets it')
is_(hit_of('/full', headers={'X-Real-IP': '203.0.113.9'})['flags'],
    ['datacentre'], 'addresses of data centres are labelled by geo')
is_(hit_of('/truncate', headers={'X-Real-IP': '2001:db8:dc::9'})['flags'],
    ['datacentre'], 'before they are truncated')

for query, flags in (
        ('ord=[timestamp]', ['macro']), ('ord=%5Btimestamp%5D', ['macro']),
        ('gdpr=${GDPR}&x=1', ['macro']), ('x=%24%7BGDPR%7D', ['macro']),
        ('cb=%%CACHEBUSTER%%', ['malformed', 'macro']),
        ('cb=%25%25CACHEBUSTER%25%25', ['macro']),
        ('id={{ad.id}}', ['macro']), ('id=%7B%7Bad.id%7D%7D', ['macro']),
        ('[timestamp]', ['macro']), ('a=1&a=[timestamp]', ['macro']),
        ('url=https://x/?cb=[CACHEBUSTING]', ['macro']),
        ('items[0][name]=x', None), ('q={"a":{"b":1}}', None),
        ('title=[PDF] Report', None), ('price=$5', None), ('off=5%25', None)):
    query = query.replace(' ', '+')
    is_(hit_of('/full?' + query).get('flags'), flags,
        '%s is labelled %s' % (query, flags))
is_(hit_of('/full', method='POST', body='cb=%%CACHEBUSTER%%',
           kind='application/x-www-form-urlencoded')['flags'],
    ['malformed', 'macro'], 'in a form, too')
is_(hit_of('/keep?cb=[timestamp]&e=1').get('flags'), None,
    'but not one that was left out')

# ---- arguments by name: places

VALUE = 'FORBIDDEN'


def kept(hit):
    """That nothing of it was stored; returns the arguments."""
    ok(VALUE not in json.dumps(hit), 'nothing of it is stored')
    return hit.get('args')


is_(kept(hit_of('/args?e=x&email=FORBIDDEN&url=y')), {'e': 'x', 'url': 'y'},
    'an argument is left out')
is_(kept(hit_of('/args?%65mail=FORBIDDEN&EMAIL=FORBIDDEN&email[]=FORBIDDEN'
                '&email%5B1%5D=FORBIDDEN&e&phone=FORBIDDEN&pass=FORBIDDEN')),
    {'e': ''}, 'however it is spelt')
is_(kept(hit_of('/args?email=FORBIDDEN')), {}, 'it may be the only one')
hit = hit_of('/args?e=x&emails=1&e-mail=2&xemail=3&email%20=4&a=email')
is_(hit['args'], {'e': 'x', 'emails': '1', 'e-mail': '2', 'xemail': '3',
                  'email ': '4', 'a': 'email'}, 'other names are other names')
hit = hit_of('/args?a=%zz&email=FORBIDDEN&b=%ff')
is_((kept(hit), hit['query'], hit['flags']),
    ({'a': '%zz', 'b': '\ufffd'}, 'a=%zz&b=%ff', ['malformed']),
    'the raw query of a malformed hit is without it too')
hit = hit_of('/few?a&b&c&d&email=FORBIDDEN&e')
is_((kept(hit), hit['query']), ({'a': '', 'b': '', 'c': ''}, 'a&b&c&d&e'),
    'beyond beacon_max_args as well')
is_(kept(hit_of('/keep?a=FORBIDDEN&e=x&FORBIDDEN&=FORBIDDEN&E=FORBIDDEN'
                '&url[]=FORBIDDEN&url=y')), {'e': 'x', 'url': 'y'},
    'beacon_keep_args leaves all others out')
is_(kept(hit_of('/both?a=FORBIDDEN&e=x&email=FORBIDDEN&url=y')),
    {'e': 'x', 'url': 'y'}, 'both can stand together')
for target, args in (('/outer', {'phone': 'b', 'e': 'c'}),
                     ('/outer/inherits', {'phone': 'b', 'e': 'c'}),
                     ('/outer/replaces', {'email': 'a', 'e': 'c'}),
                     ('/outer/keeps', {'e': 'c'}),
                     ('/outer/if', {'phone': 'b', 'e': 'c'})):
    is_(hit_of(target + '?email=a&phone=b&e=c')['args'], args,
        'inheritance: %s' % target)
hit = hit_of('/explicit?vid=me&email=FORBIDDEN&e=x')
is_((kept(hit), hit['visitor'], hit['fields']),
    ({'e': 'x'}, 'me', {'has_email': '1'}),
    'a directive that names an argument has it, the arguments do not')
answer = env.get('/on?email=FORBIDDEN&e=x')
is_((answer.body, kept(ring.one())), (b'email=FORBIDDEN&e=x', {'e': 'x'}),
    'a page gets its arguments, its hit does not')
ok(hit_of('/args?' + 'a=b&' * 7000 + 'email=FORBIDDEN'),
   'a query larger than the scratch')
is_(kept(hit_of('/args?email=FORBIDDEN&a=' + 'x' * 30000)),
    {'a': 'x' * 30000}, 'loses what it must')

# ---- in the path, behind it, and in a query that is JSON

for target, path in (
        ('/imp;a=1;email=FORBIDDEN;b?e=x', '/imp;a=1;b'),
        ('/imp;%65Mail=FORBIDDEN;Email[0]=FORBIDDEN;c', '/imp;c'),
        ('/imp;phone=FORBIDDEN/FORBIDDEN?e=x', '/imp'),
        ('/imp;e;;/x', '/imp;e;;/x'), ('/imp/email/x', '/imp/email/x'),
        ('/imp#email=FORBIDDEN', '/imp'), ('/imp;a#;email=FORBIDDEN', '/imp;a'),
        ('/imp?e=x#email=FORBIDDEN', '/imp'),
        ('/imp#x?email=FORBIDDEN', '/imp'),
        ('/keepimp;e=1;a=FORBIDDEN;url=2;FORBIDDEN', '/keepimp;e=1;url=2'),
        ('http://px.example/imp;email=FORBIDDEN', '/imp')):
    hit = hit_of(target)
    kept(hit)
    is_(hit.get('path'), path, 'path: %s' % target)
is_(hit_of('/allimp;email=1?e=x')['path'], '/allimp;email=1',
    'where nothing is dropped, the path stays')
for query in ('{"email":"FORBIDDEN"}', '%7B%22email%22:%22FORBIDDEN%22%7D',
              '+%5B{"email":"FORBIDDEN&a=b"}]'):
    for target in ('/args', '/keep'):
        hit = hit_of(target + '?' + query)
        is_((kept(hit), hit.get('query'), hit.get('flags')),
            ({}, None, ['query_dropped']),
            '%s?%s is left out, and says so' % (target, query[:12]))
hit = hit_of('/full?{"email":1}')
is_((hit['args'], hit.get('flags')), ({'{"email":1}': ''}, None),
    'where nothing is dropped, it stays')
is_(hit_of('/args?[a]={"b":1}').get('flags'), None,
    'JSON in a value is no such query')

# ---- the referer

for referer, left in (
        ('https://x/?email=FORBIDDEN', 'https://x/'),
        ('https://x/?a=1&%45mail=FORBIDDEN&b', 'https://x/?a=1&b'),
        ('https://x/?a=1#email=FORBIDDEN', 'https://x/?a=1'),
        ('https://x/#/?email=FORBIDDEN', 'https://x/'),
        ('https://x/a/b?a=1', 'https://x/a/b?a=1'),
        ('https://x/i;email=FORBIDDEN;b?a=1', 'https://x/i;b?a=1'),
        ('https://x/i;email=FORBIDDEN?email=FORBIDDEN', 'https://x/i'),
        ('https://x/?{"email":"FORBIDDEN"}', 'https://x/'),
        ('https://x/email', 'https://x/email'), ('', None)):
    hit = hit_of('/args', headers={'Referer': referer})
    kept(hit)
    is_(hit.get('referer'), left, 'Referer: %s' % referer)

# ---- bodies


def body_of(body, kind, target='/args'):
    """(args, data, body, flags)"""
    hit = hit_of(target, method='POST', body=body, kind=kind)
    kept(hit)
    return tuple(hit.get(key) for key in ('args', 'data', 'body', 'flags'))


for kind in (FORM, FORM + '; charset=UTF-8', FORM + ';charset="iso-8859-1"',
             FORM + '; charset=windows-1252', FORM + '; x=y'):
    is_(body_of('e=x&email=FORBIDDEN&b=1', kind, '/args?q=2'),
        ({'q': '2', 'e': 'x', 'b': '1'}, None, None, None), 'a form: %s' % kind)
for kind in (FORM + '; charset=utf-16', FORM + ';Charset=UTF-7',
             FORM + '; charset=ibm037', FORM + '; charset='):
    is_(body_of('e=x&email=FORBIDDEN', kind),
        ({}, None, None, ['body_dropped']),
        '%s could hide a name: the body is left out' % kind)
for body in ('{"email":"FORBIDDEN"}', ' \r\n{"a":"=","email":"FORBIDDEN"}',
             '[{"email":"FORBIDDEN"}]', '%7B%22email%22%3A%22FORBIDDEN%22%7D',
             '+%5b{"email":"FORBIDDEN"}]'):
    is_(body_of(body, FORM), ({}, None, None, ['body_dropped']),
        '%r as a form: left out' % body[:12])
is_(body_of('e={"x":1}&%5fx[]=1', FORM)[0], {'e': '{"x":1}', '_x[]': '1'},
    'JSON in a value stays')
is_(body_of('e=%zz&email=FORBIDDEN', FORM),
    ({'e': '%zz'}, None, 'e=%zz', ['malformed']),
    'the raw form of a malformed hit is without it too')
is_(body_of('e=x&a=FORBIDDEN', FORM, '/keep?e=y'), ({'e': 'y'}, None, None,
                                                   None), 'keep: a form')
for kind in ('application/json', 'text/plain;charset=UTF-8', 'text/plain'):
    is_(body_of('{"e":"x","email":"FORBIDDEN","n":{"email":1}}', kind),
        ({}, {'e': 'x', 'n': {'email': 1}}, None, None), 'JSON: %s' % kind)
is_(body_of('{"\\u0065mail":["FORBIDDEN"],"Email":{"a":"FORBIDDEN"},"e":1}',
            'application/json'), ({}, {'e': 1}, None, None),
    'JSON keys are compared unescaped, in any case')
is_(body_of('{"email":"FORBIDDEN"}', 'application/json'),
    ({}, {}, None, None), 'an object may be empty then')
is_(body_of('{"e":1,"a":"FORBIDDEN","url":2}', 'application/json', '/keep'),
    ({}, {'e': 1, 'url': 2}, None, None), 'keep: JSON')
is_(body_of('[{"email":"FORBIDDEN","e":1}, {"e":[{"email":2}]},'
            '{"Email":"FORBIDDEN"}]', 'application/json'),
    ({}, [{'e': 1}, {'e': [{'email': 2}]}, {}], None, None),
    'a batch: each of its objects')
is_(body_of('[{"e":1,"a":"FORBIDDEN"},{"b":"FORBIDDEN"}]', 'text/plain',
            '/keep'), ({}, [{'e': 1}, {}], None, None), 'keep: a batch')
is_(body_of('[]', 'application/json'), ({}, [], None, None), 'an empty one')
hit = hit_of('/args', method='POST', kind='application/json',
             body='{ "b" : 1.50 ,\n"email":"FORBIDDEN", "c" : "\\u00e9" }')
kept(hit)
like(ring.raw()[-1], r'"data":\{ "b" : 1\.50 , "c" : "\\u00e9" \}',
     'what stays, stays byte for byte')
for body in ('{"email":"FORBIDDEN","email":2}', '{"email":"FORBIDDEN"',
             '[{"email":"FORBIDDEN"},1]', '[["email","FORBIDDEN"]]',
             '["email=FORBIDDEN"]', '"email=FORBIDDEN"', 'FORBIDDEN',
             'email=FORBIDDEN', b'{"a":"\xed\xa0\xbd"}FORBIDDEN',
             '[' * 40 + ']' * 40,
             '{"e":"FORBIDDEN"}'.encode('utf-16')):
    for kind in ('application/json', 'text/plain'):
        is_(body_of(body, kind), ({}, None, None, ['body_dropped']),
            '%r cannot be searched: left out' % body[:30])
for kind in ('multipart/form-data; boundary=x', 'application/octet-stream',
             'image/png', 'text/html', ''):
    is_(body_of('email=FORBIDDEN', kind), ({}, None, None, ['body_dropped']),
        '"%s" is not searched: left out' % kind)
is_(body_of('email=FORBIDDEN', 'text/html', '/keep'),
    ({}, None, None, ['body_dropped']), 'keep: neither')
hit = hit_of('/full', method='POST', body='a=b', kind='text/html')
is_((hit.get('body'), hit.get('flags')), ('a=b', None),
    'where nothing is dropped, everything stays')
is_(body_of('', FORM), ({}, None, None, None), 'an empty body is none')
large = json.dumps({'k%d' % i: i for i in range(4000)})
is_(body_of(large[:-1] + ', "email": "FORBIDDEN"}', 'application/json')[1],
    json.loads(large), 'a large object')

# ---- consent strings, byte for byte

TCF = ('gdpr=1&gdpr_consent=CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA'
       '.f_gAAAAAAAAA.YAAAAAAAAAAA&gpp=DBABMA~CPXxRfAPXxRfAAfKABENB'
       '-CgAAAAAAAAAAYgAAAAAAAA~BVQqAAAAAgA.QA&gpp_sid=2,6&us_privacy=1YNN'
       '&addtl_consent=2~39.43.46.55~dv.')
expected = dict(pair.split('=', 1) for pair in TCF.split('&'))
for target in ('/args', '/full', '/truncate'):
    is_(hit_of('%s?email=x&%s&phone=1' % (target, TCF))['args'],
        {**({} if target == '/args' else {'email': 'x', 'phone': '1'}),
         **expected}, 'consent strings through %s' % target)
hit = hit_of('/args?email=x&%s&bad=%%' % TCF)
is_(hit['query'], TCF + '&bad=%', 'raw, too')
is_(hit_of('/args', method='POST', body=TCF + '&email=x', kind=FORM)['args'],
    expected, 'in a form, too')
data = json.dumps({'email': 'x', **expected}, separators=(',', ':'))
hit_of('/args', method='POST', body=data, kind='application/json')
ok('"data":' + json.dumps(expected, separators=(',', ':'))
   in ring.raw()[-1], 'and in JSON')

# ---- against a model: no value of a dropped name survives, nothing else moves

NAMES = ['email', 'Email', '%65mail', 'e%6Dail', 'email[]', 'email%5b0]',
         'phone', 'PASS', 'pass%5B', 'emai', 'emails', 'e', 'url', '', 'a+b',
         '%C3%A9', '%', '%6', 'x%00', 'email%00', '+email', 'e[mail]',
         '[email]']
DROPPED = {'email', 'phone', 'pass'}


def sequence(rng):
    name = rng.choice(NAMES)
    text = name + rng.choice(['=', '=', '=', '', '==']) + rng.choice(
        ['', '1', 'x+y', '%zz', '%ff', 'a%26b', 'email', 'v%d' % rng.random()])
    return rng.choice([text] * 9 + [''])


def model(query):
    """What is left of a query, as pairs of text."""
    text = decoder.Text()
    left = []
    for item in query.encode().split(b'&'):
        raw = decoder.percent_decode(item.partition(b'=')[0]
                                     .replace(b'+', b' '), text)
        name = raw.decode('latin-1')
        name = ''.join(c.lower() if c.isascii() else c for c in name)
        if not (name in DROPPED or name.split('[')[0] in DROPPED):
            left.append(item)
    return b'&'.join(left)


rng = random.Random(seed())
wrong = []
requests = count(3000, 60000)
with env.client() as client:
    for number in range(requests):
        query = '&'.join(sequence(rng) for _ in range(rng.randrange(1, 12)))
        form = '&'.join(sequence(rng) for _ in range(rng.randrange(0, 4)))
        client.request('/args?' + query, method='POST', body=form,
                       headers={'Content-Type': FORM, 'Referer':
                                'https://x/?' + query})
        if number % 500 < 499 and number < requests - 1:
            wrong.append((query, form))
            continue
        wrong.append((query, form))
        for (query, form), hit in zip(wrong, ring.new()):
            arguments = decoder.Arguments(256)
            lost = arguments.take(model(query))
            lost_form = arguments.take(model(form)) if form else False
            again = {k: v for k, v in arguments.values.items() if v[1:]}
            referer = 'https://x/?' + model(query).decode()
            if not model(query) and query:
                referer = referer[:-1]
            if (hit['args'] != {k: v[0] for k, v in arguments.values.items()}
                    or hit.get('repeated', {}) != again
                    or hit.get('query', '') != (model(query).decode()
                                                if lost else '')
                    or hit.get('body', '') != (model(form).decode()
                                               if lost_form else '')
                    or hit.get('referer') != referer):
                diag('%s %s: %s' % (query, form, hit))
                ok(False, 'the model agrees')
                break
        wrong = []
ok(True, '%d generated requests agree with the model' % requests)
env.finish()

# ---- where the bytes could have come to lie

MARK = 'fOrBiDdEn%08xbYtEs' % rng.randrange(2 ** 32)
SEEN = 'aLlOwEd%08xbYtEs' % rng.randrange(2 ** 32)

env = Env(workers=1, ring_options='lane_size=256k lanes=2',
          log='%%LOG%%/$beacon_site.jsonl', http='''
    set_real_ip_from 127.0.0.1;
    real_ip_header X-Real-IP;
    beacon_site shop;
    beacon_ip truncate;
    beacon_gpc anonymous;
    beacon_drop_args email;
    beacon_visitor $beacon_arg_vid;
    beacon_cookie vid;
''', server='''
    location /p { beacon gif; }
    location = /dropped { beacon gif if=$beacon_arg_consent; }
''')
env.start()
ADDRESS = '198.51.100.213'
HEADERS = {'X-Real-IP': ADDRESS,
           'Referer': 'https://x/?email=%s&a=%s#%s' % (MARK, SEEN, MARK)}
BODIES = ((FORM, 'email=%s&a=%s' % (MARK, SEEN)),
          ('application/json', '{"email":"%s","a":"%s"}' % (MARK, SEEN)),
          ('application/json', '[{"email":"%s"},{"a":"%s"}]' % (MARK, SEEN)),
          ('text/plain', '{"email":"%s"' % MARK),
          ('multipart/form-data; boundary=x', '--x\r\n%s\r\n' % MARK))


def send():
    with env.client() as client:
        for target in ('/p?email=%s&a=%s', '/p?a=%%zz&%%65mail[]=%s&a=%s',
                       '/p?' + 'b=1&' * 1500 + 'email=%s&a=%s',
                       '/dropped?a=%s&b=%s', '/p;email=%s;a=%s?b=1',
                       '/p;email=%s?a=%s', '/p?[{"email":"%s"}]&%s'):
            target = target % (MARK, SEEN)
            client.request(target, headers=HEADERS)
            client.request(target + '&vid=' + MARK,
                           headers={**HEADERS, 'Sec-GPC': '1',
                                    'User-Agent': MARK,
                                    'Cookie': 'vid=' + MARK})
            for kind, body in BODIES:
                client.request(target, method='POST', body=body,
                               headers={**HEADERS, 'Content-Type': kind})


def memory(pid):
    """All that a process has mapped and can be read."""
    parts = []
    with open('/proc/%d/maps' % pid, encoding='latin-1') as maps, \
            open('/proc/%d/mem' % pid, 'rb', 0) as mem:
        for line in maps:
            match = re.match(r'([0-9a-f]+)-([0-9a-f]+) r', line)
            if not match or line.rstrip().endswith(('[vvar]', '[vsyscall]')):
                continue
            start, end = (int(part, 16) for part in match.groups())
            for at in range(start, end, 1 << 20):
                if end - start > 1 << 34:       # a sanitizer's shadow
                    break
                try:
                    mem.seek(at)
                    parts.append(mem.read(min(1 << 20, end - at)))
                except (OSError, ValueError, OverflowError):
                    pass
    return b''.join(parts)


def places():
    """Where to look: name, content."""
    found = {}
    for name, pattern in (('ring', env.ring), ('spool', env.spool),
                          ('log', env.log)):
        data = b''
        for path in glob.glob(os.path.join(pattern, '**'), recursive=True):
            if os.path.isfile(path):
                with open(path, 'rb') as file:
                    data += file.read()
        found[name] = data
    with open(env.error_log, 'rb') as file:
        found['error.log'] = file.read()
    found['the helper\'s memory'] = memory(env.helper_pid())
    return found


def search(when, seen):
    for name, data in places().items():
        is_((MARK.encode() in data, ADDRESS.encode() in data),
            (False, False), '%s: %s holds none of it' % (when, name))
        if name in seen:
            ok(SEEN.encode() in data, '%s holds what may be stored' % name)


for _ in range(3):
    send()
ok(env.wait_drained(), 'hits are drained')
search('drained', ('ring', 'log', 'the helper\'s memory'))
os.rename(env.log, env.log + '.away')
for _ in range(3):
    send()


def spooled():
    return any(SEEN.encode() in open(path, 'rb').read() for path in
               glob.glob(os.path.join(env.spool, '*')) if os.path.isfile(path))


ok(wait_until(spooled, 30), 'a log that fails: hits go to the spool')
search('spooled', ('spool', 'ring'))
env.kill_helper(19)                                     # SIGSTOP
with env.client() as client:
    for _ in range(400):
        answer = client.request('/p?email=%s&pad=%s' % (MARK, 'x' * 2000),
                                headers=HEADERS)
        if answer.status == 503:
            break
is_(answer.status, 503, 'a full ring refuses')
ok(env.wait_error('ring is full'), 'and says so in the error log')
for pid in env.helper_pids():
    proc.send(pid, 18)                                  # SIGCONT
with open(env.error_log, 'rb') as file:
    ok(MARK.encode() not in file.read(), 'without the request')
flags = {}


def counted():
    flags.update(env.status()['capture']['flags'])
    return flags.get('body_dropped', 0) > 0


os.rename(env.log + '.away', env.log)
ok(env.wait_drained(60), 'the log is repaired')
ok(wait_until(counted), 'body_dropped is in the books')
with env.client() as client:
    client.request('/p', headers={'Sec-Purpose': 'prefetch'})
    client.request('/p', headers={'Sec-Purpose': 'prefetch;prerender'})
    client.request('/p', headers={'X-Moz': 'prefetch'})
    client.request('/p?cb=[timestamp]')
ok(wait_until(lambda: [env.status()['capture']['flags'].get(name) for name in
                       ('prefetch', 'prerender', 'macro')] == [2, 1, 1], 10),
   'prefetch, prerender and macro are, too')
ok(all('prefetch' not in line.get('flags', []) or 'visitor' not in line
       for line in env.lines()), 'the lines say so')
search('repaired', ('log',))

done_testing()
