#!/usr/bin/python3
"""The live API: hits with cursors, filters and waiting, numbers of now,
visitors with their trails; bad input; each answer as conf/live-openapi.json
has it."""

import os
import sys
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_view import Live                    # noqa: E402

env = Env(workers=1, http='''
    beacon_live size=8m visitors=2m;
    beacon_visitor $beacon_arg_vid;
    beacon_field country $http_x_country;
    beacon_flag bot $http_x_bot;
    gzip on;
    gzip_types application/json application/problem+json text/event-stream;
    gzip_min_length 1;
    error_page 404 405 400 503 =200 /status;
''', server='''
    location /live/ {
        beacon_live_view cors=https://a.example cors=http://b.example:81;
        beacon_live_sites *;
    }
    location /ip/ { beacon_live_view ip; beacon_live_sites "shop other"; }
    location ~ ^/re(gex)?/ {
        beacon_live_view;
        beacon_live_sites *;
        if ($http_x_if) { set $x 1; }
    }
    location ~ ^/(old|api)/v1/live/ { beacon_live_view; beacon_live_sites *; }
    location /v1/visitors/live/ {
        beacon_live_view;
        beacon_live_sites *;
        if ($http_x_if) { set $x 1; }
    }
    location = /exact { beacon_live_view; }
''')
began = time.monotonic()
env.start()
live = Live(env)
ok(live.there(), 'a worker finds the store that the helper makes')


def hits(path='/v1/shop/hits', **options):
    return live.json(path, **options)


def names(page):
    """Argument n of each hit."""
    return [hit['args'].get('n') for hit in page['hits']]


# ---- hits and cursors

for n in range(10):
    live.hit(n=n, e='view' if n % 2 else 'buy', url='https://s.example/%d' % n,
             vid='v%d' % (n % 3), headers={'X-Country': 'GR'})
live.hit('other', n=99)
ok(live.settle(), 'hits are in the store')

page = hits()
is_(names(page), [str(n) for n in range(10)],
    'without a cursor the newest hits come, ascending')
is_((page['more'], page['gap'], 'reset' in page), (False, 0, False),
    'there are no more, and none is missing')
first = page
is_(names(hits('/v1/shop/hits?limit=3')), ['7', '8', '9'],
    'limit= without a cursor gives the newest')
page = hits('/v1/shop/hits?since=' + page['next'])
is_((page['hits'], page['next'], page['more']), ([], first['next'], False),
    'behind the newest there is nothing, and the cursor stays')

epoch, newest = first['next'].split('.')
page = hits('/v1/shop/hits?limit=4&since=%s.%d' % (epoch, int(newest) - 10))
is_((names(page), page['more']), (['0', '1', '2', '3'], True),
    'limit= cuts a page, and says that there is more')
page = hits('/v1/shop/hits?limit=100&since=' + page['next'])
is_((names(page), page['more']), (['4', '5', '6', '7', '8', '9'], False),
    'the next page goes on behind it')
page = hits('/v1/shop/hits?limit=0')
is_((page['hits'], page['next'], page['more']), ([], first['next'], False),
    'limit=0 without a cursor gives the newest cursor')
since = '%s.%d' % (epoch, int(newest) - 2)
page = hits('/v1/shop/hits?limit=0&since=' + since)
is_((page['hits'], page['next'], page['more'], page['gap']),
    ([], since, True, 0), 'limit=0 with one gives it back')
is_(len(hits('/v1/shop/hits?limit=1000000')['hits']), 10,
    'a limit of a million is no error')
is_(len(hits('/v1/shop/hits?limit=' + '9' * 100)['hits']), 10,
    'nor is one that no number holds')

for what, cursor in (('malformed', 'yesterday'), ('empty', ''),
                     ('cut', epoch), ('with no number', epoch + '.x'),
                     ('with a sign', epoch + '.-1'),
                     ('too long', epoch + '.' + '1' * 17),
                     ('of another store', '0123456789abcdef.3'),
                     ('of the future', '%s.%d' % (epoch, int(newest) + 1)),
                     ('of the far future', epoch + '.9007199254740991'),
                     ('with NUL', epoch + '%00.1')):
    page = hits('/v1/shop/hits?since=' + cursor)
    is_((page.get('reset'), page['hits'], page['gap'], page['next']),
        (True, [], 0, first['next']),
        'a cursor %s begins anew at the newest' % what)
page = hits('/v1/shop/hits?since=%s.%s' % (epoch.upper(), newest))
ok('reset' not in page, 'an upper-case epoch is the same')

# ---- what a hit shows

hit = first['hits'][3]
is_((hit['site'], hit['visitor'], hit['fields']),
    ('shop', 'v0', {'country': 'GR'}), 'a hit is its whole line')
ok('ip' not in hit, 'without its address')
hit = Live(env, '/ip').json('/v1/shop/hits')['hits'][3]
is_(hit['ip'], '127.0.0.1', 'which "beacon_live_view ip" shows')
logged = [line for line in env.lines() if line['site'] == 'shop']
is_(Live(env, '/ip').json('/v1/shop/hits')['hits'], logged,
    'the line is the one that the log has')
page = hits('/v1/shop/hits?fields=short&limit=1')
short = page['hits'][0]
is_({k: v for k, v in short.items() if k != 'time'},
    {'visitor': 'v0', 'page': 's.example/9', 'country': 'GR'},
    'fields=short has the visitor, page and country')
is_(short['time'], logged[-1]['time'], 'and the time')
live.hit(headers={'X-Bot': '1',
                  'Referer': 'http://127.0.0.1/a/b?utm_campaign=may',
                  'User-Agent': 'Mozilla/5.0 (X11) Gecko/1 Firefox/140.0'},
         ref='https://www.google.com/search?q=x', url='', e='row')
live.settle()
short = hits('/v1/shop/hits?fields=short&limit=1')['hits'][0]
is_((short.get('page'), short['referrer'], short['flags']),
    ('/a/b', 'www.google.com/search', ['bot']),
    'a page on the own host is a path; there are referrer and flags')
ok(len(short['visitor']) == 16, 'who has no visitor id has a hash')
is_(hits('/v1/shop/hits?fields=row&limit=1')['hits'][0],
    {**short, 'event': 'row', 'campaign': 'may', 'browser': 'Firefox'},
    'fields=row has event, campaign and browser, too')

# ---- filters

is_(names(hits('/v1/shop/hits?args.e=buy')), ['0', '2', '4', '6', '8'],
    'args.e= filters')
is_(names(hits('/v1/shop/hits?args.e=buy&limit=2')), ['6', '8'],
    'the newest that pass, without a cursor')
is_(names(hits('/v1/shop/hits?args.e=buy&args.n=4')), ['4'],
    'all filters must hold')
page = hits('/v1/shop/hits?args.e=buy&limit=2&since=%s.%d'
            % (epoch, int(newest) - 10))
is_((names(page), page['more']), (['0', '2'], True),
    'and behind a cursor the first that pass')
page = hits('/v1/shop/hits?args.e=nothing&since=%s.0' % epoch)
is_((page['hits'], page['next']),
    ([], '%s.%d' % (epoch, int(newest) + 1)),
    'the cursor advances where nothing passes')
live.hit(vid='v2', **{'a b&c': 'ü "x"'})
live.settle()
is_(len(hits('/v1/shop/hits?args.a+b%26c=%C3%BC%20%22x%22')['hits']), 1,
    'names and values of filters are decoded')
is_(len(hits('/v1/shop/hits?%61rgs.a%20b%26c=%C3%BC+%22x%22')['hits']), 1,
    'the name of the parameter, too')
is_(len(hits('/v1/shop/hits?' + '&'.join(
    'args.e=view' for _ in range(16)))['hits']), 5, 'sixteen filters are fine')

# ---- bad input

for path in ('/v1/shop/hits?x=1', '/v1/shop/hits?limit=', '/v1/shop/hits?limit',
             '/v1/shop/hits?limit=-1', '/v1/shop/hits?limit=1e3',
             '/v1/shop/hits?limit=1&limit=1', '/v1/shop/hits?wait=x',
             '/v1/shop/hits?wait=1.5', '/v1/shop/hits?fields=long',
             '/v1/shop/hits?window=60', '/v1/shop/hits?args.=1',
             '/v1/shop/hits?args=1', '/v1/shop/hits?since=a&since=b',
             '/v1/shop/hits?' + '&'.join('args.e=1' for _ in range(17)),
             '/v1/shop/now?window=9', '/v1/shop/now?window=3601',
             '/v1/shop/now?window=x', '/v1/shop/now?limit=1',
             '/v1/shop/visitors?limit=x', '/v1/shop/visitors?since=1',
             '/v1/shop/visitors/v1?limit=1', '/v1/sites?limit=1',
             '/v1/shop/stream?limit=1', '/v1/shop/stream?wait=1',
             '/v1/shop/stream?fields=', '/v1/shop/hits?%00=1',
             '/v1/shop/hits?%'):
    response = live.get(path)
    ok(response.status == 400
       and response.header('content-type') == 'application/problem+json',
       '400 for %s' % path[:40])
for path in ('/v1/nope/hits', '/v1/nope/now', '/v1/shop/nope', '/v1/shop',
             '/v1/shop/', '/v1/shop/hits/', '/v1/shop/hits/1', '/v1/',
             '/v1//hits', '/v1/.shop/hits', '/v1/sh%2Fop/hits',
             '/v1/' + 's' * 65 + '/hits', '/v1/sites/',
             '/v1/shop/visitors/', '/v1/shop/visitors/nobody',
             '/v1/shop/visitors/' + 'x' * 1000, '/v2/shop/hits'):
    response = live.get(path)
    ok(response.status == 404 and response.json()['status'] == 404,
       '404 for %s' % path[:40])
for method in ('POST', 'PUT', 'DELETE', 'PATCH', 'BREW'):
    response = live.get('/v1/shop/hits', method=method)
    is_((response.status, response.header('allow')),
        (405, 'GET, HEAD, OPTIONS'), '405 for ' + method)
with env.client() as client:
    response = client.request('/live/v1/shop/hits', method='POST',
                              body='x' * 5000)
    is_(response.status, 405, 'a body is of no interest')
    is_(client.request('/live/v1/sites').status, 200,
        'and the connection goes on')

# ---- headers

for path in ('/v1/sites', '/v1/shop/hits', '/v1/shop/now', '/v1/shop/visitors',
             '/v1/nope/hits', '/v1/shop/hits?x'):
    response = live.get(path, headers={'If-Modified-Since':
                                       'Sun, 22 Nov 2099 00:00:00 GMT'})
    is_((response.header('cache-control'),
         response.header('x-content-type-options'),
         response.header('last-modified'), response.header('etag'),
         response.header('vary')), ('no-store', 'nosniff', None, None,
                                    'Origin'), 'the headers of %s' % path)
    head = live.get(path, method='HEAD')
    is_((head.status, head.body), (response.status, b''),
        'HEAD is answered without a body')
    is_(head.header('content-length'), response.header('content-length'),
        'and with its length')
    for name, value in (('If-None-Match', '*'), ('If-Match', '"x"'),
                        ('If-Unmodified-Since',
                         'Sun, 22 Nov 1999 00:00:00 GMT')):
        is_(live.get(path, headers={name: value}).status, response.status,
            '%s changes nothing' % name)
response = env.get('/live/v1/shop/hits', {'Accept-Encoding': 'gzip'})
is_(response.header('content-encoding'), 'gzip', 'nginx compresses')
response = live.get('/v1/shop/hits', {'Origin': 'https://a.example'})
is_((response.header('access-control-allow-origin'),
     response.header('access-control-allow-credentials')),
    ('https://a.example', 'true'), 'an origin that is listed may read')
response = live.get('/v1/nope/hits', {'Origin': 'http://b.example:81'})
is_(response.header('access-control-allow-origin'), 'http://b.example:81',
    'problems, too')
response = live.get('/v1/shop/hits', {'Origin': 'https://c.example'})
is_(response.header('access-control-allow-origin'), None,
    'one that is not listed may not')
response = Live(env, '/ip').get('/v1/shop/hits',
                                {'Origin': 'https://a.example'})
is_((response.header('access-control-allow-origin'), response.header('vary')),
    (None, None), 'nor any where none is')
response = live.get('/v1/shop/hits', {
    'Origin': 'https://a.example', 'Access-Control-Request-Method': 'GET'},
    method='OPTIONS')
is_((response.status, response.header('allow'),
     response.header('access-control-allow-methods'), response.body),
    (204, 'GET, HEAD, OPTIONS', 'GET, HEAD', b''), 'a preflight is answered')

# ---- where it is

response = env.get('/live/')
is_((response.status, response.header('content-type')),
    (200, 'text/html; charset=utf-8'), 'the prefix itself is the page')
ok(env.get('/exact').status == 301, 'without a slash it is elsewhere')
is_(env.get('/exact?site=shop').header('location'), '/exact/?site=shop',
    'with what was asked')
is_(Live(env, '/regex').json('/v1/shop/hits')['next'], hits()['next'],
    'a location may be a regex')
is_(env.get('/live/nope.js').status, 404, 'there is no other page')
for prefix in ('/regex', '/api/v1/live', '/v1/visitors/live'):
    for headers in ({}, {'X-If': '1'}):
        view = Live(env, prefix)
        said = ' with an "if"' if headers else ''
        is_(view.json('/v1/shop/hits', headers=headers)['next'],
            hits()['next'], 'hits are found below %s%s' % (prefix, said))
        is_(view.json('/v1/shop/visitors/v0', headers=headers)['hits'], 4,
            'and a visitor')
        is_(env.get(prefix + '/', headers).status,
            404 if prefix == '/api/v1/live' else 200,
            'and the page, where no regex hides what is ours')
        ok(view.get('/v1/shop/visitors/a%2Fvisitors%2Fb', headers).status
           == 404, 'who is not there is not')

# ---- sites, now, visitors

live.hit('third', vid='x')
live.settle()
sites = {row['site']: row for row in live.json('/v1/sites')['sites']}
is_(sorted(sites), ['other', 'shop', 'third'], 'sites lists them')
is_((sites['third']['hits'], sites['third']['visitors']), (1, 1),
    'with hits and visitors')
now = live.json('/v1/shop/now')
is_((now['site'], now['hits'], now['visitors'], now['rate']),
    ('shop', 12, 4, 0.1), 'now has hits, visitors and the rate')
is_(now['top']['country'], [{'key': 'GR', 'n': 10}], 'a top list')
is_([row['n'] for row in now['top']['page']], [1] * 10,
    'ten keys of each kind')
is_((sum(now['series']['hits']), now['series']['step']), (12, 10),
    'the series holds the hits')
is_(now['cursor'], hits('/v1/shop/hits?limit=0')['next'],
    'and the cursor is where to go on')
is_(len(live.json('/v1/shop/now?window=3600')['series']['hits']), 360,
    'an hour has 360 steps')
is_(len(live.json('/v1/shop/now?window=11')['series']['hits']), 2,
    'a window is rounded up to whole steps')
for url, ref in (('http://127.0.0.1/a', 'http://127.0.0.1/b'),
                 ('http://s.example/a', 'http://s.example/b?c'),
                 ('http://s.example/a', 'http://127.0.0.1/b'),
                 ('http://s.example/a', 'http://t.example/b'),
                 ('http://127.0.0.1/a', 'newsletter')):
    live.hit('third', url=url, ref=ref)
live.settle()
is_({(row['key'], row['n']) for row
     in live.json('/v1/third/now')['top']['referrer']},
    {('/b', 1), ('t.example/b', 1), ('newsletter', 1)},
    'a page of the same host is no referrer that counts')

rows = live.json('/v1/shop/visitors')['visitors']
is_([row['visitor'] for row in rows], ['v2', rows[1]['visitor'], 'v0', 'v1'],
    'visitors come last seen first')
row = rows[2]
is_((row['hits'], row['entry'], row['page'], row['country']),
    (4, 's.example/0', 's.example/9', 'GR'), 'with entry and present page')
is_(row['last'], logged[9]['time'], 'the last time is that of the hit')
is_(row['first'], logged[0]['time'], 'the first, too')
is_((rows[1].get('referrer'), rows[1].get('flags')),
    ('www.google.com/search', ['bot']), 'with referrer and flags')
is_(len(live.json('/v1/shop/visitors?limit=2')['visitors']), 2,
    'limit= cuts them')
is_(live.json('/v1/shop/visitors?limit=0')['visitors'], [], 'also at none')
one = live.json('/v1/shop/visitors/v0')
trail = one.pop('trail')
is_(one, row, 'one visitor has that row')
is_([hit['page'] for hit in trail], ['s.example/%d' % n for n in (0, 3, 6, 9)],
    'and a trail in order of time')
PEOPLE = ('a/b', 'a//b', 'ü"\\', '\x01\x1f\n', '%41', 'a b+c', '?#',
          '/visitors/', '../..', 'v1/shop/visitors/x')
for vid in PEOPLE:
    live.hit(vid=vid)
live.settle()
for vid in PEOPLE:
    quoted = urllib.parse.quote(vid, safe='')
    for path in ('/' + quoted, '?id=' + quoted):
        if vid == '../..' and path[0] == '/':
            continue
        response = live.get('/v1/shop/visitors' + path)
        is_(response.json().get('visitor') if response.status == 200
            else response.status, vid, 'a visitor is found as %s' % ascii(path))
response = Live(env, '/v1/visitors/live').get('/v1/shop/visitors/%2Fvisitors/')
is_(response.json().get('visitor'), '/visitors/',
    'also where the location and the id look like a resource')

# a path cannot say these: nginx takes them out, and so do browsers

for vid in ('.', '..', '../..', '/', './a'):
    live.hit(vid=vid)
live.settle()
for vid in ('.', '..', '../..', '/', './a'):
    one = live.json('/v1/shop/visitors?id='
                    + urllib.parse.quote(vid, safe=''))
    is_((one['visitor'], len(one['trail'])), (vid, one['hits']),
        'id= finds %s, with a trail' % vid)
is_(live.get('/v1/shop/visitors?id=nobody').status, 404,
    'who is not there is not')
is_(live.get('/v1/shop/visitors?id=').status, 404, 'nor is nobody')
for query in ('id=.&limit=1', 'limit=1&id=.', 'id=.&id=.', 'id=.&since=x'):
    is_(live.get('/v1/shop/visitors?' + query).status, 400,
        '400 for visitors?' + query)

# ---- long ids

long = ['L' * 64, 'L' * 65, 'L' * 64 + 'a', 'L' * 64 + 'b', 'L' * 2000,
        'ü' * 40, '"' * 40]
for n, vid in enumerate(long):
    live.hit(vid=vid, count=n + 1)
live.settle()
counts = {}
for row in live.json('/v1/shop/visitors?limit=7')['visitors']:
    quoted = urllib.parse.quote(row['visitor'], safe='')
    for path in ('/' + quoted, '?id=' + quoted):
        one = live.json('/v1/shop/visitors' + path)
        is_((one['visitor'], one['hits'], len(one['trail'])),
            (row['visitor'], row['hits'], row['hits']),
            'a visitor who is listed as %s can be asked for so'
            % ascii(row['visitor']))
    counts[row['visitor']] = row['hits']
is_(sorted(counts.values()), list(range(1, 8)),
    'ids that begin alike are visitors of their own')
for n, vid in enumerate(long):
    one = live.json('/v1/shop/visitors?id=' + urllib.parse.quote(vid))
    is_((one['hits'], one['trail'][0]['visitor']), (n + 1, vid),
        'the whole id of %d bytes finds him, too' % len(vid.encode()))
    if len(vid.encode()) <= 64 and '"' not in vid:
        is_(one['visitor'], vid, 'one that is short enough is listed whole')

# ---- waiting

start = time.monotonic()
cursor = live.cursor()
page = hits('/v1/shop/hits?wait=1&since=' + cursor)
ok(page['hits'] == [] and page['next'] == cursor
   and time.monotonic() - start > 0.9, 'wait= waits, and gives up')


def waiting(path):
    """A request that waits; returns its client."""
    client = env.client()
    client.send(client.format('/live' + path))
    ok(never(lambda: client.closed() or client.buffer, 0.3), 'a request waits')
    return client


with waiting('/v1/shop/hits?wait=25&since=' + cursor) as client:
    live.hit(n='new')
    is_(names(client.response().json()), ['new'], 'and is told of the hit')
cursor = live.cursor()
with waiting('/v1/shop/hits?wait=1000000&args.e=buy&since=' + cursor) as client:
    live.hit(n='no', e='view')
    live.hit(n='yes', e='buy')
    page = client.response().json()
    is_(names(page), ['yes'], 'a filter is waited for')



def passed_by():
    """The answer to a request that waited while a hit came that it did not
    ask for; None: its time was over before."""
    with env.client() as client:
        client.send(client.format('/live/v1/shop/hits?wait=2&args.e=none'
                                  '&since=' + cursor))
        live.hit(n='no', e='view')
        live.settle()
        if client.closed() or client.buffer:
            return None
        return client.response().json()


page = wait_until(passed_by, 30)
is_((page['hits'], page['next']), ([], live.cursor()),
    'the cursor advances while it is')
start = time.monotonic()
ok(hits('/v1/shop/hits?wait=25')['hits'] and time.monotonic() - start < 10,
   'where there are hits already nobody waits')
start = time.monotonic()
live.get('/v1/shop/hits?wait=25&since=nonsense')
live.get('/v1/shop/hits?wait=25&limit=0')
live.get('/v1/shop/hits?wait=25&since=' + live.cursor(), method='HEAD')
ok(time.monotonic() - start < 10, 'a bad cursor, limit=0 and HEAD do not wait')
clients = [waiting('/v1/shop/hits?wait=25&since=' + live.cursor())
           for _ in range(3)]
for client in clients:
    client.close()
live.hit(n='gone')
ok(live.settle() and live.get('/v1/sites').status == 200,
   'who has gone is not missed')

# ---- what was not answered is counted

was = env.status()['live']
for path, method in (('/v1/nope/hits', 'GET'), ('/v1/shop/nope', 'GET'),
                     ('/v1/shop/visitors/nobody', 'GET'), ('/no.js', 'GET'),
                     ('/v1/shop/hits?x=1', 'GET'), ('/v1/sites?x', 'HEAD'),
                     ('/v1/shop/hits', 'PUT')):
    live.get(path, method=method) if path[1] == 'v' else env.get(
        '/live' + path)
now = env.status()['live']
is_({kind: {reason: now[kind][reason] - n for reason, n in of.items()}
     for kind, of in was.items()},
    {'rejected': {'path': 4, 'query': 2, 'method': 1},
     'refused': {'store': 0, 'wait': 0, 'stream': 0}},
    'the status counts what was not answered, by reason')
told = len(env.error_lines('the live API rejected'))
ok(0 < told <= 1 + (time.monotonic() - began) / 60,
   'the error log has one line a minute')
like(env.error_lines('the live API rejected')[0],
     r'\[info\] .* beacon: the live API rejected 1 requests, the last as '
     r'[a-z ]+; this is logged at most once a minute$',
     'with nothing of a request')

live.conforms()
is_subset({('sites', 200), ('hits', 200), ('hits', 400), ('hits', 404),
           ('now', 200), ('now', 400), ('now', 404), ('visitors', 200),
           ('visitors', 400), ('visitor', 200), ('visitor', 404)},
          live.api.seen, 'and all of them have been seen')
env.stop()

# ---- no store

env = Env(workers=1, http='beacon_live size=8m;', helper='external',
          server='location /live/ { beacon_live_view; beacon_live_sites a; }')
env.start()
live = Live(env)
for path in ('/v1/sites', '/v1/a/hits', '/v1/b/hits', '/v1/a/stream'):
    response = live.get(path)
    is_((response.status, response.header('retry-after')), (503, '1'),
        'without a store %s says when to come again' % path)
is_(env.get('/live/').status, 200, 'the page is there')
is_(env.status()['live']['refused'], {'store': 4, 'wait': 0, 'stream': 0},
    'that is counted, too')
like('\n'.join(env.error_lines('the live API refused')),
     r'^.*\[error\] .*refused 1 requests, the last as the live store is not '
     r'there yet;.*$', 'and told once')
live.conforms()
env.stop()

done_testing()
