#!/usr/bin/python3
"""What nginx -t says of beacon_live, beacon_live_view and beacon_live_sites,
and what becomes of them in beacon.json."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_conf import Conf                    # noqa: E402

RING = ('beacon_ring %%RING%% lane_size=1m;\nbeacon_helper external;\n'
        'beacon_log %%LOG%%/x.jsonl;\n')
LIVE = 'beacon_live size=8m;\n'
conf = Conf(RING)
env = conf.env
env.options['values']['PORT2'] = str(free_port())


def view(directives):
    """A location that shows the live API."""
    return 'server { listen 127.0.0.1:%%PORT2%%; location /live/ { ' \
           + directives + ' } }'


# ---- what is well

conf.good('beacon_live;', 'beacon_live alone is accepted')
conf.good('beacon_live size=16m visitors=10s;' + view('beacon_live_view;'),
          'a view of it, too')
conf.good('beacon_live_sites "shop _overflow";\nbeacon_live visitors=1h;'
          + view('beacon_live_view ip pixel=https://px.example/px.gif '
                 'cors=https://a.example cors=http://b.example:81;'
                 'beacon_live_sites $http_x_sites; '
                 'if ($arg_x) { set $y 1; }'),
          'all parameters are accepted, and any order')
conf.good(LIVE + view('beacon_live_view; beacon_live_sites *;'),
          'all sites are accepted')
conf.good(LIVE + view('beacon_live_view; beacon_live_sites "";'),
          'so is none')

# ---- beacon_live

for value, message in (
        ('size=7m', 'invalid size in "size=7m": at least 8m'),
        ('size=x', 'invalid size'),
        ('size=', 'invalid size'),
        ('size=100000g', r'has room for \d+M, less than the live store of '
                         '102400000M'),
        ('visitors=9s', 'invalid time in "visitors=9s": 10s to 1h'),
        ('visitors=61m', 'invalid time'),
        ('visitors=x', 'invalid time'),
        ('visitors=', 'invalid time'),
        ('key=', 'invalid parameter "key="'),
        ('key=%%ROOT%%/nope', r'stat\(".*/nope"\) failed'),
        ('key=%%ROOT%%', 'is no file'),
        ('key=a key=b', 'invalid parameter "key=b"'),
        ('from=x', 'invalid parameter "from=x"')):
    conf.bad('beacon_live %s;' % value, message, 'beacon_live',
             'beacon_live refuses "%s"' % value)
conf.bad(LIVE + 'beacon_live size=9m;', 'duplicate, the first stands in',
         'size=9m', 'two stores are refused')
conf.bad(LIVE + 'beacon_log %%LOG%%/y.jsonl name=live;', 'is named "live" too',
         'name=live', 'another sink of that name is refused')

path = os.path.join(env.root, 'key')
with open(path, 'w', encoding='ascii') as file:
    file.write('secret\n')
os.chmod(path, 0o600)
if env.user and os.geteuid() == 0:
    conf.bad('beacon_live key=%%ROOT%%/key;',
             'the worker user may not read ".*/key"', 'beacon_live',
             "a key that is the administrator's alone is refused")
else:
    skip('we are the worker user')
os.chmod(path, 0o644)
conf.good('beacon_live key=%%ROOT%%/key;', 'one that it may read is taken')

# ---- views and sites

for value, message in (
        ('beacon_live_view; beacon_live_view;', 'duplicate, the first stands'),
        ('beacon_live_view ips;', 'invalid parameter "ips"'),
        ('beacon_live_view pixel=;', 'invalid parameter "pixel="'),
        ('beacon_live_view pixel=a pixel=b;', 'invalid parameter "pixel=b"'),
        ('beacon_live_view cors=https://a.example/x;', 'is no origin'),
        ('beacon_live_view cors=*;', 'is no origin'),
        ('beacon_live_view cors=;', 'is no origin'),
        ('empty_gif; beacon_live_view;', 'another directive answers'),
        ('beacon_live_view; empty_gif;', 'another directive answers'),
        ('beacon_live_view; beacon gif; beacon_site s;',
         'another directive answers'),
        ('beacon_live_view; beacon_status;', 'another directive answers'),
        ('beacon_live_sites a; beacon_live_sites b;', 'is duplicate'),
        ('beacon_live_sites "a .b";', '".b" is no site'),
        ('beacon_live_sites "a, b";', '"a," is no site'),
        ('beacon_live_sites _x;', '"_x" is no site')):
    conf.bad(LIVE + view(value), message, 'location /live/',
             'a location refuses "%s"' % value)
conf.bad(view('beacon_live_view;'),
         '"beacon_live_view" without "beacon_live"', 'location /live/',
         'a view without a store is refused')

env = Env(conf='''\
%%MAIN%%
http {
    %%TEMP_PATHS%%
    access_log off;
    beacon_live size=9m;
    server { listen 127.0.0.1:%%PORT2%%; location / { beacon_live_view; } }
}
''', values={'PORT2': str(free_port())})
env.allow(r'\[emerg\]')
code, said = env.check()
ok(code != 0, 'a view without a ring is refused')
like(said, r'"beacon_live_view" without "beacon_ring" in \S+:\d+', 'as that')

# ---- beacon.json

env = Env(http='beacon_live size=9m visitors=2m key=%%ROOT%%/key;',
          server='location /live/ { beacon_live_view; }', helper='external')
with open(os.path.join(env.root, 'key'), 'w', encoding='ascii') as file:
    file.write('secret\n')
os.chmod(os.path.join(env.root, 'key'), 0o644)
env.start()
with open(os.path.join(env.ring, 'beacon.json'), encoding='utf-8') as file:
    sink = json.load(file)['sinks'][1]
like(sink.pop('at'), r'nginx\.conf:\d+$', 'beacon.json says where it stands')
is_(sink, {'type': 'live', 'name': 'live', 'size': 9 << 20, 'visitors': 120,
           'key': os.path.join(env.root, 'key')}, 'and what it is')
env.stop()

done_testing()
