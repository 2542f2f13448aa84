#!/usr/bin/python3
"""What nginx -t says of beacon_spy_collect, and what becomes of it in
beacon.json."""

import json
import os
import sys

import zmq

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_conf import Conf                    # noqa: E402

RING = ('beacon_ring %%RING%% lane_size=1m;\nbeacon_helper %%HELPER%%;\n'
        'beacon_log %%LOG%%/x.jsonl;\n')
conf = Conf(RING + 'beacon_live size=8m;\n')
env = conf.env
PUBLIC, SECRET = (key.decode() for key in zmq.curve_keypair())

# ---- what is well

for args in ('bind=ipc:///run/x.sock', 'connect=tcp://127.0.0.1:5556',
             'bind=tcp://*:5557 insecure name=far',
             'connect=ipc:///a connect=ipc:///b sites=shop,blog.en'):
    said = conf.good('beacon_spy_collect %s;' % args,
                     'beacon_spy_collect %s' % args)
    unlike(said, r'\[warn\]', 'without a warning')
conf.good('beacon_spy_collect bind=ipc:///a; beacon_spy_collect bind=ipc:///b;'
          'beacon_spy;', 'it may repeat, beside a feed')

# ---- what is not

for args, message in (
        ('', 'invalid number of arguments'),
        ('name=x', 'needs "bind=" or "connect="'),
        ('bind=ipc:///a ip=on', 'invalid parameter'),
        ('bind=ipc:///a sites=', 'invalid parameter'),
        ('bind=ipc:///a sites=a,,b', 'invalid parameter'),
        ('bind=ipc:///a sites=a,_b', 'invalid parameter'),
        ('bind=ipc:///a sites=a/b', 'invalid parameter'),
        ('bind=udp://x', 'must begin with'),
        ('bind=tcp://*:5557', 'may write hits there'),
        ('bind=ipc:///a name=log', 'is named "log" too')):
    conf.bad('beacon_spy_collect %s;' % args, message, 'beacon_spy_collect',
             'refused: beacon_spy_collect %s' % args)

path = os.path.join(env.root, 'collect.curve')
with open(path, 'w') as file:
    file.write('public %s\nsecret %s\n' % (PUBLIC, SECRET))
os.chmod(path, 0o644)
conf.bad('beacon_spy_collect bind=tcp://*:5557 curve=%s;' % path,
         'has no line "peer"', 'beacon_spy_collect',
         'a master that binds needs its peers\' keys')
conf.bad('beacon_spy_collect connect=tcp://h:5557 curve=%s;' % path,
         'has no line "server"', 'beacon_spy_collect',
         'one that connects the server\'s')

conf.before = RING
conf.bad('beacon_spy_collect bind=ipc:///a;', 'needs a "beacon_live"',
         'beacon_spy_collect', 'without a live store there is nothing to feed')
env.finished = True
env.remove()

# ---- beacon.json

other = Env(http='beacon_live size=8m;\nbeacon_spy_collect name=edges '
                 'bind=ipc://%%RING%%/edges.sock '
                 'connect=tcp://127.0.0.1:%%FEED%% sites=shop,blog;',
            values={'FEED': str(free_port())})
other.start()
with open(os.path.join(other.ring, 'beacon.json')) as file:
    sinks = json.load(file)['sinks']
sink = [sink for sink in sinks if sink['type'] == 'collect'][0]
is_({key: sink.get(key) for key in ('name', 'bind', 'connect', 'sites',
                                    'insecure', 'ip')},
    {'name': 'edges', 'bind': ['ipc://%s/edges.sock' % other.ring],
     'connect': [other.expand('tcp://127.0.0.1:%%FEED%%')],
     'sites': ['shop', 'blog'], 'insecure': False, 'ip': None},
    'beacon.json has all of it')
ok(wait_until(lambda: 'peers' in other.status()['sinks']['edges'], 10),
   'the helper has such a sink')
is_(other.unbalanced(), [], 'whose books balance')
other.configure(http='beacon_live size=8m;')
ok(other.reload() and wait_until(
    lambda: 'edges' not in other.status()['sinks'], 10),
   'and has not after a reload without')

done_testing()
