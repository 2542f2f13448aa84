#!/usr/bin/python3
"""Who may see which site: beacon_live_sites, and nginx's own access before
it.  A site that a request may not see is not there, to the byte."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_view import Live                    # noqa: E402

SITES = 1500

env = Env(workers=1, http='''
    beacon_live size=64m;
    beacon_visitor $beacon_arg_vid;
    map $http_x_user $sites {
        default "";
        shop "shop";
        both "shop  blog";
        twice "blog shop blog";
        new "shop new";
        odd "sh op, * .x ../y _overflow";
        all "*";
        more "* new";
    }
    beacon_live_sites $sites;
''', server='''
    location /live/ { beacon_live_view; }
    location /none/ { beacon_live_view; beacon_live_sites ""; }
    location /deny/ { beacon_live_view; beacon_live_sites *; deny all; }
    location = /who { internal; if ($http_x_user) { return 204; } return 401; }
    location /auth/ { beacon_live_view; auth_request /who; }
    location /limit/ {
        beacon_live_view;
        beacon_live_sites *;
        limit_except GET { deny all; }
    }
    location /if/ {
        beacon_live_view;
        if ($http_x_user) { set $x 1; }
    }
''')
env.start()
live = Live(env)
ok(live.there(), 'the store is there')
for site in ('shop', 'blog', 'secret', 'shop2'):
    live.hit(site, vid='someone', url='http://a/' + site)
ok(live.settle(), 'hits are in it')


def sees(user, prefix='/live'):
    """{site: status of its hits}, and the names that sites lists."""
    view = Live(env, prefix)
    headers = {'X-User': user} if user else None
    status = {site: view.get('/v1/%s/hits' % site, headers).status
              for site in ('shop', 'blog', 'secret', 'new', 'nope')}
    listed = [row['site'] for row in view.json('/v1/sites',
                                               headers=headers)['sites']]
    live.wrong += view.wrong
    return {site for site in status if status[site] == 200}, listed


is_(sees(None), (set(), []), 'nobody sees anything unless it is said')
is_(sees('shop'), ({'shop'}, ['shop']), 'one site')
is_(sees('both'), ({'shop', 'blog'}, ['blog', 'shop']), 'two')
is_(sees('twice'), ({'shop', 'blog'}, ['blog', 'shop']), 'twice is once')
is_(sees('new'), ({'shop', 'new'}, ['new', 'shop']),
    'a site that is named is there before its first hit')
allowed, listed = sees('all')
is_((allowed, sorted(listed)), ({'shop', 'blog', 'secret'},
                                ['blog', 'secret', 'shop', 'shop2']),
    'all that are there')
allowed, listed = sees('more')
is_((allowed, sorted(listed)),
    ({'shop', 'blog', 'secret', 'new'},
     ['blog', 'new', 'secret', 'shop', 'shop2']), 'and one that is not')
allowed, listed = sees('odd')
is_(allowed, {'shop', 'blog', 'secret'}, 'what is no name names nothing')
is_(sees('all', '/none'), (set(), []), 'a location may see none')
is_(sees('shop', '/if'), ({'shop'}, ['shop']), 'an "if" changes nothing')

# ---- not there is not there


def raw(path, user, **options):
    response = env.get('/live' + path, {'X-User': user}, **options)
    return [line for line in response.raw.split(b'\r\n')
            if not line.lower().startswith(b'date:')]


for what in ('hits', 'hits?limit=1', 'hits?nonsense=1', 'hits?since=x',
             'hits?wait=25', 'now', 'now?window=1', 'visitors',
             'visitors/someone', 'visitors/nobody', 'stream', 'nope', '',
             'hits/more'):
    hidden = raw('/v1/secret/' + what, 'shop')
    is_(hidden, raw('/v1/nope__/' + what, 'shop'),
        'secret/%s is answered like what is not there' % what)
    is_(hidden, raw('/v1/nope__/' + what, 'all'),
        'also to who may see all that is')
for method in ('HEAD', 'POST', 'OPTIONS'):
    is_(raw('/v1/secret/hits', 'shop', method=method),
        raw('/v1/nope__/hits', 'shop', method=method), 'by %s, too' % method)
is_(raw('/v1/secret/hits', 'shop')[0].split()[1], b'404', 'that is 404')
is_(raw('/v1/shop2/hits', 'shop')[0].split()[1], b'404',
    'a name is not a prefix of another')

headers = {'X-User': 'shop'}
page = live.json('/v1/shop/hits', headers=headers)
is_({hit['site'] for hit in page['hits']}, {'shop'},
    'hits are of the site alone')
cursor = live.json('/v1/blog/hits', headers={'X-User': 'all'})['next']
page = live.json('/v1/shop/hits?since=' + cursor, headers=headers)
ok('blog' not in str(page), "another site's cursor shows nothing of it")
is_(live.json('/v1/shop/now', headers=headers)['top']['page'],
    [{'key': 'a/shop', 'n': 1}], 'now, too')
is_(live.json('/v1/shop/visitors/someone', headers=headers)['hits'], 1,
    'a visitor of two sites is two visitors')

# ---- a site without a hit so far

headers = {'X-User': 'new'}
page = live.json('/v1/new/hits', headers=headers)
is_((page['hits'], page['gap'], page['more']), ([], 0, False),
    'it has no hits')
now = live.json('/v1/new/now', headers=headers)
is_((now['hits'], now['visitors'], now['rate'], sum(now['series']['hits']),
     len(now['series']['hits'])), (0, 0, 0, 0, 30), 'and nobody there')
is_(live.json('/v1/new/visitors', headers=headers), {'visitors': []},
    'no visitors')
is_(live.get('/v1/new/visitors/x', headers).status, 404, 'not one')
row = live.json('/v1/sites', headers=headers)['sites'][0]
is_(row, {'site': 'new', 'hits': 0, 'visitors': 0}, 'sites says so')
with live.stream('/v1/new/stream', headers) as stream, \
        env.client() as poll:
    poll.send(poll.format('/live/v1/new/hits?wait=25&since=' + page['next'],
                          headers=headers))
    live.hit('new', n=1)
    is_(stream.next().json()['args']['n'], '1', 'a stream has the first hit')
    is_(len(poll.response().json()['hits']), 1, 'so has who waits')

# ---- nginx's own access

is_(env.get('/deny/v1/shop/hits').status, 403, 'deny is before us')
is_(env.get('/auth/v1/shop/hits').status, 401, 'auth_request, too')
is_(Live(env, '/auth').get('/v1/shop/hits', {'X-User': 'shop'}).status, 200,
    'who passes sees')
is_(Live(env, '/auth').get('/v1/blog/hits', {'X-User': 'shop'}).status, 404,
    'what he may')
is_(env.get('/limit/v1/shop/hits').status, 200, 'limit_except lets in')
is_(env.get('/limit/v1/shop/hits', method='OPTIONS').status, 403, 'or not')

# ---- many sites

live.hit('many', client=None)
with env.client() as client:
    for n in range(SITES):
        client.request('/px.gif?site=s%d' % n)
ok(live.settle(), '%d sites are in the store' % SITES)
sites = live.json('/v1/sites', headers={'X-User': 'all'})['sites']
is_(len({row['site'] for row in sites}), SITES + 6, 'all are listed, once')
is_(sum(row['hits'] for row in sites), SITES + 6, 'with their hits')

live.conforms()
env.stop()

done_testing()
