#!/usr/bin/python3
"""The live store over HUP, USR2 and a death of its helper, below nginx."""

import glob
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_fault import mount_tmpfs            # noqa: E402
from beacon_live import wait_told               # noqa: E402
from beacon_view import Live, VIEW              # noqa: E402

env = Env(http='beacon_live size=8m;', workers=1)
env.start()
sent = {}


def hits(count=30):
    with env.client() as client:
        for n in range(count):
            site = 's%d' % (n % 3)
            if client.request('/px.gif?site=%s&n=%d' % (
                    site, sum(sent.values()))).status == 200:
                sent[site] = sent.get(site, 0) + 1


def check(name):
    store = wait_told(env.ring, sent)
    bad = store.problems(sent)
    if store.missing():
        bad.append('%d missing' % store.missing())
    if not ok(not bad, name):
        diag('\n'.join(bad))
        diag(str(env.status()['sinks']['live']))


def stores():
    return sorted(name for name in glob.glob(os.path.join(env.ring, 'live.*'))
                  if len(os.path.basename(name)) == 21)


def begun(env):
    """A store with a hit: who asks it, a cursor behind that, its file.  Of
    several workers one may find the store a second after another."""
    env.start()
    live = Live(env)
    ok(live.there(), 'a store')
    live.hit(n='before')
    ok(live.settle(), 'with a hit')
    return live, wait_until(live.cursor), stores()


hits()
check('hits are in the store')
first = stores()
ok(env.reload(), 'HUP')
hits()
check('it goes on')
old, new = env.upgrade()
ok(new, 'USR2')
hits()
check('it goes on with two masters')
proc.send(old, signal.SIGQUIT)
ok(wait_until(lambda: not proc.alive(old), 15), 'the old master leaves')
hits()
check('and with the new one alone')
pid = env.kill_helper()
env.allow('exited on signal 9')
hits()
ok(wait_until(lambda: env.helper_pid() not in (None, pid), 15),
   'the helper is killed')
hits()
check('nothing is missing, nor there twice')
is_(stores(), first, 'it is one store all the time')
ok(env.wait_drained(), 'all is drained')
is_(env.unbalanced(), [], 'the books balance')
env.stop()

# ---- a store whose file somebody removes

env = Env(workers=1, http='beacon_live size=8m;', server=VIEW)
live, cursor, first = begun(env)
os.unlink(first[0])
ok(wait_until(lambda: stores() not in ([], first), 20),
   'its file is removed: there is another')
ok(wait_until(lambda: live.get('/v1/shop/hits').status == 404, 20),
   'an empty one, which workers find')
live.hit(n='behind')
ok(live.settle() and env.reload() and live.there(), 'a hit, and a reload')
is_([hit['args']['n'] for hit in live.json('/v1/shop/hits')['hits']],
    ['behind'], 'new workers show it')
is_(live.json('/v1/shop/hits?since=' + cursor).get('reset'), True,
    'cursors of the other one begin anew')
first = stores()
env.allow('exited on signal 9')
pid = env.kill_helper()
live.hit(n='killed')
ok(wait_until(lambda: env.helper_pid() not in (None, pid)) and live.settle(),
   'the helper is killed')
ok(wait_until(lambda: [hit['args']['n'] for hit in
                       live.json('/v1/shop/hits')['hits']]
              == ['behind', 'killed']), 'and goes on with it')
is_(stores(), first, 'which is the same')
is_(len(env.error_lines('was removed, or cut short: it begins anew')), 1,
    'the error log tells of it')
is_(env.unbalanced(), [], 'the books balance')
live.conforms()
env.stop()

# ---- another size, without room for both

env = Env(workers=2, http='beacon_live size=16m;', server=VIEW)
if mount_tmpfs(env, env.shm, '40m'):
    live, cursor, first = begun(env)
    env.configure(http='beacon_live size=24m;')
    ok(env.reload(), 'a reload with a larger one')
    ok(wait_until(lambda: stores() not in ([], first), 60),
       'which is made once all workers have left the other')
    ok(live.there(), 'and is served')
    live.hit(n='behind')
    ok(live.settle() and wait_until(
        lambda: live.json('/v1/shop/hits')['hits'][0]['args']['n']
        == 'behind'), 'with what came since')
    answer = wait_until(lambda: live.json('/v1/shop/hits?since=' + cursor))
    is_(answer and answer.get('reset'), True,
        'cursors of the other one begin anew')
    live.conforms()
else:
    skip('no tmpfs can be mounted here', 8)

done_testing()
