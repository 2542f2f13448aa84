#!/usr/bin/python3
"""beacon_status before there is a helper: its shape, its books, its manners."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_ring import capture_env             # noqa: E402

env, ring = capture_env(
    workers=2, ring_options='lane_size=64k lanes=4',
    log=['%%LOG%%/a', '%%LOG%%/b name=second', '%%LOG%%/c'],
    spool='%%SPOOL%% size=1g',
    http='''beacon_ids %%ROOT%%/ids/ids;
            large_client_header_buffers 4 32k;''',
    server='''
    location = /json { beacon_status json; }
    location = /drop { beacon empty if=0; beacon_site shop; }
    error_page 405 =200 /fine;
    location = /fine { return 200 "fine"; }
''')
env.start()

r = env.get('/status')
is_((r.status, r.header('content-type'), r.header('cache-control')),
    (200, 'application/json', 'no-store'), 'the status is JSON, not cached')
for name in ('last-modified', 'etag'):
    is_(r.header(name), None, 'without %s' % name)
status = r.json()
is_(list(status), ['v', 'edge', 'version', 'capture', 'ring', 'spool',
                   'sinks', 'helper'], 'its members stand in order')
is_((status['v'], status['edge']), (1, 'test'), 'of version 1, by this edge')
is_(status['capture'], {'accepted': 0, 'refused': 0, 'dropped': 0,
                        'rejected': {'site': 0, 'method': 0, 'size': 0,
                                     'body': 0, 'redirect': 0}, 'flags': {}},
    'nothing was captured yet')
is_({k: status['ring'][k] for k in ('lanes', 'used_bytes', 'capacity_bytes',
                                    'oldest_seconds')},
    {'lanes': 4, 'used_bytes': 0, 'capacity_bytes': 4 * 65536,
     'oldest_seconds': 0}, 'the ring is empty')
ok(wait_until(lambda: env.status()['ring']['owned'] == 2),
   'two of its lanes are owned')
is_(status['spool'], {'used_bytes': 0, 'size_bytes': 1 << 30,
                      'oldest_seconds': 0}, 'so is the spool')
is_(list(status['sinks']), ['log', 'second', 'log-3', 'ids'],
    'each sink has its name')
is_((status['helper']['up'], status['helper']['pid']), (False, 0),
    'there is no helper')

for n in range(40):
    env.get('/px.gif?site=shop&n=%d' % n)
    env.get('/drop')
    env.get('/px.gif')
    env.get('/px.gif', method='PUT')
    env.post('/px.gif?site=shop', 'x' * 65537)
    env.get('/px.gif?site=shop&' + 'x' * 9000)
status = env.status('/json')
is_(status['capture'], {'accepted': 40, 'refused': 0, 'dropped': 40,
                        'rejected': {'site': 40, 'method': 40, 'size': 40,
                                     'body': 40, 'redirect': 0}, 'flags': {}},
    'all workers together: each outcome is counted')
for name, sink in status['sinks'].items():
    is_({k: sink[k] for k in ('done', 'lost', 'pending', 'errors',
                              'last_success')},
        {'done': 0, 'lost': 0, 'pending': 40, 'errors': 0,
         'last_success': None}, 'all of it is pending for %s' % name)
ok(status['ring']['used_bytes'] > 40 * 100, 'the ring is in use')
before = status['ring']['oldest_seconds']
ok(wait_until(lambda: env.status()['ring']['oldest_seconds'] > before),
   'its oldest record grows older')

before = len(env.get('/status').body)
r = env.get('/status', method='HEAD')
is_((r.status, r.body), (200, b''), 'HEAD is answered without the body')
for method in ('POST', 'PUT', 'DELETE'):
    is_(env.get('/status', method=method).body, b'fine',
        '%s is refused, as nginx refuses' % method)

with open(os.path.join(TOP, 'README.md'), encoding='utf-8') as file:
    table = file.read().split('| `X-Beacon-Error`, and', 1)[1].split('\n\n')[0]
named = re.findall(r'(?m)^\| `(\w+)`', table)
is_(sorted(named), sorted([*status['capture']['rejected'], 'full']),
    'README has each reason of a refusal in its one table')

ok(env.stop(), 'nginx stops')
env.start()
is_(env.status()['capture'], status['capture'],
    'after a restart the counts are the same')

done_testing()
