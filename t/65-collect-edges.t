#!/usr/bin/python3
"""Edges and masters, each a real nginx with its helper: sites spread over two
masters, one of them dead, restarts in any order, CURVE."""

import os
import signal
import sys

import zmq

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_env import TEMPLATE                 # noqa: E402
from beacon_live import Store                   # noqa: E402
from beacon_spy import feed_until               # noqa: E402

EDGES, SITES = 3, 4
CONF = TEMPLATE.replace('beacon_edge test;', 'beacon_edge %%EDGE%%;')
ports = [free_port(), free_port()]
sent = {}


def curve(name, lines):
    """A key file of an environment to be; its path."""
    path = '/tmp/beacon-test-curve.%d.%s' % (os.getpid(), name)
    with open(path, 'w') as file:
        file.write(''.join('%s %s\n' % line for line in lines))
    os.chmod(path, 0o644)
    return path


keys = {name: [key.decode() for key in zmq.curve_keypair()]
        for name in ('master', 'edge', 'stranger')}
files = {
    'master': curve('master', [('public', keys['master'][0]),
                               ('secret', keys['master'][1]),
                               ('peer', keys['edge'][0])]),
    'edge': curve('edge', [('public', keys['edge'][0]),
                           ('secret', keys['edge'][1]),
                           ('server', keys['master'][0])]),
    'stranger': curve('stranger', [('public', keys['stranger'][0]),
                                   ('secret', keys['stranger'][1]),
                                   ('server', keys['master'][0])]),
}


def edge(number, key='edge'):
    return Env(conf=CONF, workers=1, values={'EDGE': 'web%d' % number},
               http='beacon_spy %s curve=%s;' % (
                   ' '.join('connect=tcp://127.0.0.1:%d' % port
                            for port in ports), files[key]))


def master(number):
    sites = ','.join('s%d' % i for i in range(SITES) if i % 2 == number)
    return Env(conf=CONF, workers=1, log=None, spool=None,
               values={'EDGE': 'master%d' % number},
               http='beacon_live size=32m;\n'
                    'beacon_spy_collect bind=tcp://127.0.0.1:%d curve=%s '
                    'sites=%s;' % (ports[number], files['master'], sites))


def collect(env):
    return env.status()['sinks']['collect']


def hits(env, count=20):
    """So many at an edge, sites in turn; False: one was not taken."""
    good = True
    with env.client() as client:
        for n in range(count):
            site = 's%d' % (n % SITES)
            good &= client.request('/px.gif?site=%s&n=%d' % (
                site, sum(sent.values()))).status == 200
            sent[site] = sent.get(site, 0) + 1
    return good


def told(env, number, seconds=20):
    """Hits and gaps of its sites are what was sent; the store."""
    wanted = {site: n for site, n in sent.items()
              if int(site[1:]) % 2 == number}

    def there():
        store = Store(env.ring)
        return store if store.there and {
            name: site.told for name, site in store.sites.items()
            } == wanted else None
    store = wait_until(there, seconds, 0.1)
    if not store:
        store = Store(env.ring)
        diag('%s of %s' % ({name: site.told for name, site in
                            store.sites.items()}, wanted))
        diag(str(collect(env)))
        return None
    bad = store.problems(wanted)
    if bad:
        diag('\n'.join(bad))
    return None if bad else store


edges = [edge(n) for n in range(EDGES)]
masters = [master(n) for n in range(2)]
for env in edges:
    env.start()
ok(all(hits(env) for env in edges), 'edges take hits before there is a master')
sent.clear()
for env in masters:
    env.start()
ok(all(wait_until(lambda: collect(env).get('peers') == EDGES, 15)
       for env in masters), 'masters that come later hear of all edges')
for env in edges:
    wait_until(lambda: env.status()['sinks']['spy'].get('subscriptions')
               == 2 * SITES, 10)
ok(all(hits(env) for env in edges), 'hits of three edges')
stores = [told(env, n) for n, env in enumerate(masters)]
ok(all(stores), 'each master has those of its sites, and no others')
is_(sum(store.missing() for store in stores if store), 0, 'without a gap')
is_(sum((env.unbalanced() for env in edges + masters), []), [],
    'all books balance')

# ---- one master is stopped, one edge begins anew

helper = masters[0].helper_pid()
proc.send(helper, signal.SIGSTOP)
ok(all(hits(env, 100) for env in edges), 'edges take hits beside a master '
                                         'that is stopped')
ok(told(masters[1], 1), 'the other master has its own')
is_([env.status()['sinks']['log']['lost'] for env in edges], [0] * EDGES,
    'no edge loses any')
proc.send(helper, signal.SIGCONT)
ok(told(masters[0], 0), 'the one that was stopped knows of each')

# ---- dead, and back

pid = masters[0].kill_helper()
masters[0].allow('exited on signal 9')
ok(all(hits(env, 40) for env in edges), 'and beside one that is dead')
ok(wait_until(lambda: masters[0].helper_pid() not in (None, pid), 15),
   'it comes again')
ok(told(masters[0], 0), 'and knows what it missed, to the hit')
ok(told(masters[1], 1), 'the other one missed nothing')

edges[0].stop()
edges[0].start()
ok(wait_until(lambda: collect(masters[1]).get('peers') == EDGES, 15)
   and feed_until(edges[0], lambda spy: spy['subscriptions'] == 2 * SITES,
                  seconds=15), 'an edge comes again')
ok(all(hits(env) for env in edges), 'and takes hits')
ok(told(masters[0], 0) and told(masters[1], 1), 'they are in the stores')

masters[1].stop()
ok(all(hits(env) for env in edges), 'a master is away for good')
ok(told(masters[0], 0), 'the other one has its hits')
is_([env.status()['sinks']['log']['pending'] if env.wait_drained() else None
     for env in edges], [0] * EDGES, 'no edge waits for anybody')

# ---- a stranger

other = edge(9, 'stranger')
other.start()
for n in range(20):
    other.get('/px.gif?site=s0&n=x%d' % n)
ok(wait_until(lambda: collect(masters[0]).get('peers_refused', 0) > 0, 15),
   'one with a key that nobody knows is turned away')
ok('web9' not in str([hit for site in Store(masters[0].ring).sites.values()
                      for _, hit in site.hits]), 'nothing of it is believed')
for path in files.values():
    os.unlink(path)

done_testing()
