#!/usr/bin/python3
"""Workers and their lanes: none free, given back at shutdown, a late hit; a
full ring; reload; one process; a plain user; PID 1."""

import os
import pwd
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_ring import Counted, capture_env    # noqa: E402

URL = '/px.gif?site=shop'
SLOW = ('POST %s HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\n'
        'Content-Length: 4\r\n\r\nla' % (URL + '&late=1'))


def taken(env):
    return env.get(URL).status == 200


# ---- a full ring

env, ring = capture_env(ring_options='lane_size=64k lanes=1')
env.start()
count = Counted(env)
statuses = [env.get(URL + '&n=%d' % n).status for n in range(700)]
fits = statuses.count(200)
is_((statuses, fits > 300), ([200] * fits + [503] * (700 - fits), True),
    'hits are taken until the lane is full, then refused with 503')
r = env.get(URL)
is_((r.header('x-beacon-error'), r.body[:3], r.header('cache-control')),
    ('full', b'GIF', 'no-store'), 'with the GIF, and why')
is_(count.since(), {'accepted': fits, 'refused': 701 - fits},
    'the books have each')
is_([h['args']['n'] for h in ring.new()], [str(n) for n in range(fits)],
    'the oldest are kept')
is_(len(env.error_lines('the ring is full')), 1,
    'the log says it once, not for each')
ok(env.stop(), 'nginx stops')
env.start()
is_(env.get(URL).status, 503, 'after a restart it is the same ring')
is_(len(ring.all()), fits, 'with the same records')
env.stop()

# ---- fewer lanes than workers

env, ring = capture_env(workers=3, ring_options='lane_size=64k lanes=1')
env.start()


def both():
    """Hits until a worker has taken and a worker has refused one."""
    seen = set()
    for _ in range(400):
        seen.add(env.get(URL + '&both').status)
        if seen == {200, 503}:
            break
    return seen


is_(env.status()['ring']['owned'], 1, 'one of three workers has the one lane')
like(wait_until(lambda: '\n'.join(env.error_lines('all lanes are owned'))),
     r'\[warn\].*trying again', 'the others say so')
is_(both(), {200, 503}, 'that one captures, the others refuse')
ok(env.status()['capture']['refused'] > 0, 'and count it')
count = Counted(env)
for n in range(3):
    pids = env.worker_pids()
    for pid in pids[:2]:
        env.kill(signal.SIGKILL, pid)
    env.allow('exited on signal 9')
    ok(wait_until(lambda: len(env.worker_pids()) == 3
                  and not set(pids[:2]) & set(env.worker_pids())
                  and env.status()['ring']['owned'] == 1),
       'two workers are killed: the lane has an owner again')
    ok(wait_until(lambda: taken(env)), 'which captures')
ok(env.stop(), 'nginx stops')

env, ring = capture_env()
env.start()
if os.geteuid() == 0:
    os.chmod(env.ring, 0)
    env.allow('exited on signal 9')
    old = env.worker_pids()
    env.kill(signal.SIGKILL, old[0])
    ok(wait_until(lambda: env.worker_pids() not in ([], old)
                  and env.get(URL).status == 503),
       'a worker that cannot open the ring refuses hits')
    ok(env.wait_error('ring in .* cannot be attached'), 'and says so')
    is_(env.get('/status').status, 200, 'and answers everything else')
    os.chmod(env.ring, 0o700)
    ok(wait_until(lambda: taken(env)), 'it captures as soon as it can')
    is_(len(env.error_lines('cannot be attached, hits')), 1,
        'the log said it once')
else:
    skip('needs root', 5)
ok(env.stop(), 'nginx stops')

# ---- shutting down

env, ring = capture_env(ring_options='lane_size=64k lanes=3', shutdown='60s')
env.start()
held = []
for n in range(5):
    client = env.client()
    client.send(SLOW)
    held.append(client)
    wait_until(lambda: env.get('/status').status == 200)
    ok(env.reload(), 'reload %d with a request open' % n)
    ok(wait_until(lambda: taken(env)), 'the new worker has a lane')
is_(len(env.worker_pids(leaving=True)), 5,
    'five old workers are still there')
ok(wait_until(lambda: env.status()['ring']['owned'] == 1),
   'but own no lane')
ring.new()
held[0].send('te')
is_(held[0].response().status, 200, 'a late hit of an old worker is taken')
hit = ring.one()
is_((hit.get('body'), hit.get('args', {}).get('late')), ('late', '1'),
    'and recorded')
for client in held[1:]:
    wait_until(lambda: env.status()['ring']['owned'] < 3)
    client.send('te')
    is_(client.response().status, 200, 'so is that of another')
is_(len(ring.new()), 4, 'each is recorded')
ok(wait_until(lambda: env.status()['ring']['owned'] == 1),
   'their lanes are given back again')
ok(wait_until(lambda: not env.worker_pids(leaving=True)),
   'then the old workers leave')
for client in held:
    client.close()
count = Counted(env)
for n in range(10):
    env.reload()
    taken(env)
is_(count.since(), {'accepted': 10}, 'ten more reloads: no hit is refused')
ok(env.stop(), 'nginx stops')

# ---- a configuration that cannot be, and one that is changed

env, ring = capture_env(server='location = /new { beacon off; return 404; }')
env.start()
env.configure(http='beacon_nonsense;')
env.kill(signal.SIGHUP)
env.allow('beacon_nonsense')
ok(env.wait_error('unknown directive "beacon_nonsense"'),
   'a broken configuration is refused on reload')
ok(taken(env), 'the old one goes on')
env.configure(http='', server='''location = /new { beacon empty;
    beacon_site new; beacon_field a 1; beacon_flag b 1; }''')
ok(env.reload(), 'a good one is taken')
is_(env.get('/new').status, 204, 'with its new location')
hits = ring.new()
is_([(h['site'], h.get('fields'), h.get('flags')) for h in hits],
    [('shop', None, None), ('new', {'a': '1'}, ['b'])],
    'both records are in the ring, each by its schema')
beacon_json = os.path.join(env.ring, 'beacon.json')
os.unlink(beacon_json)
os.mkfifo(beacon_json)
ok(env.reload(), 'a FIFO in the place of beacon.json does not hold the master')
ok(taken(env), 'hits are taken')
ok(os.path.isfile(beacon_json), 'and it is a file again')
ok(env.stop(), 'nginx stops')

# ---- one process

env, ring = capture_env(main='master_process off;', daemon='off',
                        workers=0)
env.start()
ok(taken(env), 'master_process off: a hit is taken')
is_(ring.one().get('site'), 'shop', 'and recorded')
is_(env.status()['capture']['accepted'], 1, 'the books have it')
env.kill(signal.SIGQUIT)
ok(wait_until(lambda: not env.master()), 'it stops')

# ---- not root, and PID 1

if os.geteuid() == 0:
    user = pwd.getpwnam('nobody')
    env, ring = capture_env(user='', daemon='off')
    for directory in (env.root, env.shm):
        os.chown(directory, user.pw_uid, user.pw_gid)
    os.chown(env.error_log, user.pw_uid, user.pw_gid)
    # nobody may not read where the tests were built
    shutil.copy(env.module, os.path.join(env.root, 'module.so'))
    env.configure(values={'MODULE': os.path.join(env.root, 'module.so')})
    env.spawn(env.command(), user=user.pw_uid, group=user.pw_gid,
              extra_groups=[], cwd='/')
    ok(wait_until(lambda: taken(env)), 'as a plain user: a hit is taken')
    is_(ring.one().get('site'), 'shop', 'and recorded')
    is_(os.stat(env.ring).st_uid, user.pw_uid, 'the ring is that user\'s')
    ok(env.stop(), 'it stops')

    env, ring = capture_env()
    env.start()
    ok(taken(env) and env.stop(), 'a hit is taken, nginx stops')
    env.user = 'nobody nogroup'
    env.configure()
    env.start()
    ok(wait_until(lambda: taken(env)), 'as another user: a hit is taken')
    is_([hit['site'] for hit in ring.all()], ['shop'] * 2,
        'the ring is the same')
    ok(env.stop(), 'it stops')

    env, ring = capture_env(daemon='off')
    child = env.spawn(['unshare', '-fp', '--mount-proc', *env.command()],
                      stderr=subprocess.DEVNULL)
    if wait_until(lambda: taken(env) or child.poll() is not None):
        if child.poll() is not None:
            skip('no namespaces here', 3)
        else:
            ok(True, 'as PID 1: a hit is taken')
            is_(ring.one().get('site'), 'shop', 'and recorded')
            pid = proc.children(child.pid)[0]
            proc.send(pid, signal.SIGQUIT)
            ok(wait_until(lambda: child.poll() is not None), 'it stops')
    else:
        ok(False, 'as PID 1: nginx answers')
else:
    skip('needs root', 11)

done_testing()
