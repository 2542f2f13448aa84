#!/usr/bin/python3
"""The live store's arena: one that has no room at a reload, and one whose file
somebody cuts short under who has it mapped."""

import glob
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_fault import mount_tmpfs            # noqa: E402
from beacon_view import Live, VIEW              # noqa: E402


def stores():
    return sorted(name for name in glob.glob(os.path.join(env.ring, 'live.*'))
                  if len(os.path.basename(name)) == 21)


def shown():
    return [hit['args']['n'] for hit in live.json('/v1/shop/hits')['hits']]


def begun(**options):
    """A store with a hit in it."""
    one = Env(http='beacon_live size=16m;', server=VIEW, **options)
    return one, Live(one)


# ---- no room

env, live = begun(workers=2)
if mount_tmpfs(env, env.shm, '42m'):
    env.start()
    ok(live.there(), 'a store')
    live.hit(n='before')
    ok(live.settle(), 'with a hit')
    first = stores()
    others = os.path.join(env.shm, 'others')
    with open(others, 'wb') as file:
        os.posix_fallocate(file.fileno(), 0, 12 << 20)

    env.allow(r'\[emerg\].*less than the live store')

    for size, what in (('64m', 'larger than its tmpfs'),
                       ('31m', 'larger than what is free there')):
        env.configure(http='beacon_live size=%s;' % size)
        code, said = env.check()
        ok(code != 0 and 'less than the live store of %sM' % size[:-1] in said,
           'nginx -t refuses an arena that is %s' % what)
        said = len(env.error_lines('the old configuration stays'))
        ok(env.reload(adopted=False) and wait_until(
            lambda: len(env.error_lines('the old configuration stays')) > said),
           'a reload with one: the old configuration stays')
        like(env.error_lines('the old configuration stays')[-1],
             r'has no room for a live store of %d bytes'
             % (int(size[:-1]) << 20), 'the log says why')
        ok(wait_until(lambda: env.status()['sinks']['live'].get(
            'last_error', '').endswith(
                'has no room for a live store of %d bytes'
                % (int(size[:-1]) << 20))), 'so does the status')
        is_(len(env.error_lines('the old configuration stays')), said + 1,
            'in one line')
        live.hit(n=what)
        ok(live.settle() and wait_until(lambda: shown()[-1:] == [what]),
           'the store goes on')
        is_((stores(), shown()[0]), (first, 'before'), 'with what is in it')
    is_(env.status()['sinks']['live']['errors'], 2, 'they are counted')
    env.allow('exited on signal 9')
    pid = env.kill_helper()
    live.hit(n='killed')
    ok(wait_until(lambda: env.helper_pid() not in (None, pid), 20)
       and live.settle() and wait_until(lambda: shown()[-1:] == ['killed']),
       'the helper is killed: the next one goes on')
    is_((stores(), shown()[0]), (first, 'before'), 'with that store')
    ok(env.wait_error('no room for %d bytes: the store of %d that there was '
                      'goes on' % (31 << 20, 16 << 20)), 'the log says so')
    ok(wait_until(lambda: 'no room for' in env.status()['sinks']['live'].get(
        'last_error', '')), 'the status, too')
    ok(wait_until(lambda: env.status()['sinks']['live']['size'] == 16 << 20),
       'and its size')
    ok(env.reload() and stores() == first and shown()[0] == 'before',
       'a reload with the same, and no more room, leaves it alone')
    aside = os.path.join(env.ring, 'live.%016x.aside' % 1)
    os.rename(others, aside)
    ok(env.reload() and wait_until(lambda: stores() not in ([], first) and
                                   env.status()['sinks']['live']['size']
                                   == 31 << 20, 20),
       'with room, if it is of one that is set aside, it takes its place')
    ok(not os.path.exists(aside), 'which goes')
    ok(wait_until(lambda: 'last_error' not in env.status()['sinks']['live']),
       'the status has no error')
    first = stores()
    env.configure(http='beacon_live size=24m;')
    ok(env.reload() and wait_until(lambda: stores() not in ([], first), 60),
       'one that has room takes its place')
    env.configure(http='beacon_live size=24m visitors=1m;')
    first = stores()
    ok(env.reload() and live.there(), 'a reload with what it has')
    is_(stores(), first, 'leaves it alone')
    live.conforms()
else:
    skip('no tmpfs can be mounted here', 27)

# ---- a file that is cut short

for cut, what in ((0, 'to nothing'), (5000, 'behind its head'),
                  (3 << 20, 'in its midst'), ((16 << 20) - 4096, 'at its end')):
    env, live = begun(workers=2)
    env.start()
    ok(live.there(), 'a store')
    pids = env.worker_pids(), env.helper_pid()
    live.hit(count=300, n='before', x='x' * 3000)
    live.settle()
    first = stores()
    os.truncate(first[0], cut)
    strange = [answer for answer in
               (live.get(path) for path in
                ('/v1/shop/hits?limit=1000', '/v1/shop/now', '/v1/sites',
                 '/v1/shop/visitors', '/v1/shop/hits?since=x') * 20)
               if answer.status not in (200, 404, 503)]
    live.hit(count=300, n='amid', x='x' * 3000)
    is_(strange, [], 'a file that is cut %s: readers go on' % what)
    ok(wait_until(lambda: stores() not in ([], first), 20),
       'there is another store')
    ok(wait_until(lambda: env.get('/status').status == 200 and live.hit(n=what)
                  is None and live.settle() and live.get(
                      '/v1/shop/hits?limit=1').status == 200
                  and shown()[-1:] == [what], 20), 'which workers find')
    is_((sorted(env.worker_pids()), env.helper_pid()),
        (sorted(pids[0]), pids[1]), 'nobody died')
    ok(env.wait_drained(), 'all is drained')
    is_(env.unbalanced(), [], 'the books balance')
    env.stop(signal.SIGQUIT)

# ---- and put back, by a copy

env, live = begun(workers=2)
env.start()
ok(live.there(), 'a store')
live.hit(count=300, n='before', x='x' * 3000)
live.settle()
first = stores()
with open(first[0], 'rb') as file:
    copy = file.read()
os.truncate(first[0], 0)
live.hit(n='amid')
live.settle()
live.get('/v1/shop/hits?limit=1000')
try:
    with open(first[0], 'r+b') as file:
        file.write(copy)
except FileNotFoundError:
    diag('it was left at once')
ok(wait_until(lambda: live.hit(n='after') is None and live.settle()
              and live.get('/v1/shop/hits?limit=1').status == 200
              and shown()[-1:] == ['after'], 20),
   'a file that is cut and put back: workers find what comes then')
env.stop(signal.SIGQUIT)

# ---- where there is no room for it and another

for killed in (False, True):
    env, live = begun(workers=2)
    if not mount_tmpfs(env, env.shm, '42m'):
        skip('no tmpfs can be mounted here', 2)
        continue
    env.start()
    ok(live.there(), 'a store')
    first = stores()
    if killed:
        env.allow('exited on signal 9')
        pid = env.helper_pid()
        os.kill(pid, signal.SIGSTOP)
    free = os.statvfs(env.shm)
    with open(os.path.join(env.shm, 'others'), 'wb') as file:
        os.posix_fallocate(file.fileno(), 0,
                           free.f_bavail * free.f_frsize - (4 << 20))
    os.truncate(first[0], (16 << 20) - 4096)
    if killed:
        os.kill(pid, signal.SIGKILL)
    ok(wait_until(lambda: stores() not in ([], first) and live.hit(n='after')
                  is None and live.settle() and live.get(
                      '/v1/shop/hits?limit=1').status == 200
                  and shown()[-1:] == ['after'], 20),
       'a file that is cut, and no room for two: there is another store'
       + (' of the next helper' if killed else ''))
    env.stop(signal.SIGQUIT)

done_testing()
