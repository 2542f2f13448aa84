#!/usr/bin/python3
"""Stopping: QUIT and TERM drain, whoever is killed; as PID 1 nginx waits for
the helper; without a master process; as a plain user.

Where there is a spool, a stop is over when that has what a log has not taken
within 100 ms: so there is none where all must be in the log at once, whatever
else the processors do."""

import collections
import os
import pwd
import shutil
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402

HITS = 2000


def burst(env, client=None, number=HITS):
    """Hits over one connection, pipelined; True if all are taken."""
    with env.client() as client:
        for start in range(0, number, 100):
            for n in range(start, start + 100):
                client.send(client.format('/px.gif?site=shop&n=%d' % n))
            if any(client.response().status != 200 for _ in range(100)):
                return False
    return True


def logged(env):
    return sorted(int(line['args']['n']) for line in env.lines())


def all_logged(env, name, number=HITS, times=1):
    """One test; who fails says how many, and what else is known."""
    seen = collections.Counter(logged(env))
    if not ok(seen == {n: times for n in range(number)}, name):
        diag('  missing: %s\n  too many: %s' % tuple(
            _short([n for n in range(max([number, *seen]) + 1)
                    if good(seen[n], times if n < number else 0)])
            for good in (int.__lt__, int.__gt__)))
        env.show_error_log()


def _short(numbers):
    return '%d, %s' % (len(numbers), numbers[:10])


def kill_all_but_helper(env):
    """The helper's pid; nobody is left to start another."""
    master = env.master()
    helper = env.helper_pid()
    for pid in [master, *proc.children(master)]:
        if pid != helper:
            env.kill(signal.SIGKILL, pid)
    return helper


# ---- QUIT and TERM

for signum, name in ((signal.SIGQUIT, 'QUIT'), (signal.SIGTERM, 'TERM')):
    env = Env(level='notice')
    env.start()
    ok(burst(env), 'hits are taken')
    ok(env.stop(signum), '%s ends nginx and its helper' % name)
    if env.error_lines('a sink lags: spooling'):
        skip('the log had no time: the next start is to find it all')
    else:
        all_logged(env, 'every hit was logged before')
    ok(env.error_lines('beacond: drained'), 'the helper had drained')
    ok(not os.path.exists(os.path.join(env.ring, 'beacond.sock')),
       'its socket is gone')

    # the helper is killed just before: what stays is found by the next start
    env.start()
    env.allow('exited on signal 9')
    helper = env.helper_pid()
    manager = env.manager_pid()
    env.kill(signal.SIGSTOP, helper)
    burst(env)
    env.kill(signal.SIGSTOP, manager)
    env.kill(signal.SIGKILL, helper)
    env.kill(signum)
    env.kill(signal.SIGCONT, manager)
    ok(env.stop(signum), '%s when the helper was just killed' % name)
    env.start()
    ok(wait_until(lambda e=env: len(logged(e)) == 2 * HITS),
       'the next start finds what was left')
    all_logged(env, 'each hit once', times=2)
    env.finish()


# ---- a log that gets no processor for long, where there is a spool

for signum, name in ((signal.SIGQUIT, 'QUIT'), (signal.SIGTERM, 'TERM')):
    env = Env(level='notice')
    env.start()
    helper = env.helper_pid()
    thread = wait_until(lambda h=helper: proc.thread(h, 'log'))
    if proc.hold(thread):
        ok(burst(env), 'the log stands still, hits are taken')
        env.kill(signum)
        ok(env.wait_error('beacond: drained'),
           '%s: the helper drains all the same' % name)
        is_(logged(env), [], 'though nothing is logged')
        proc.let(thread)
        ok(proc.wait_gone(helper) and env.stop(), 'and ends')
        env.start()
        ok(wait_until(lambda e=env: len(logged(e)) == HITS),
           'the next start finds all in the spool')
        all_logged(env, 'each hit once')
    else:
        skip('no thread may be held here', 6)
    env.finish()


# ---- everything killed at once: the helper alone is left, drains, and goes

env = Env(level='notice', spool=None)
env.allow('exited on signal 9')
env.start()
burst(env)
helper = kill_all_but_helper(env)
ok(env.wait_error('the supervisor is gone'), 'nginx is killed as a whole')
ok(proc.wait_gone(helper), 'the helper drains and goes')
all_logged(env, 'every hit was logged')
env.start()
is_(env.get('/px.gif?site=shop&n=%d' % HITS).status, 200, 'nginx starts again')
ok(wait_until(lambda: len(logged(env)) == HITS + 1), 'and goes on')
env.finish()


# ---- the same, but its log's directory is gone, and then the ring's

env = Env(level='notice', spool=None)
env.allow('exited on signal 9')
env.start()
os.rename(env.log, env.log + '.away')
burst(env, number=100)
helper = kill_all_but_helper(env)
ok(env.wait_error('the supervisor is gone'), 'nginx is killed as a whole')
ok(wait_until(lambda: shutil.rmtree(env.ring) or True), 'with its ring')
ok(proc.wait_gone(helper, 30), 'a helper that nobody can find leaves')
like(''.join(env.error_lines('beacond: the ring')), 'with it 100 hits',
     'and says what it could not log')
env.finish()


# ---- a worker that still has a connection: the helper waits for it

env = Env(level='notice', shutdown='60s', spool=None, server='''
        location = /slow {
            limit_rate 300;
            alias %%ROOT%%/slow;
        }
    ''')
with open(os.path.join(env.root, 'slow'), 'wb') as file:
    file.write(b'x' * 100000)
os.chmod(os.path.join(env.root, 'slow'), 0o644)
env.start()
slow = env.client()
slow.send(slow.format('/slow'))
like(slow.sock.recv(1000).decode(), 'HTTP/1.1 200', 'a slow answer is on its '
     'way')
burst(env, number=100)
helper = env.helper_pid()
master = env.master()
env.kill(signal.SIGQUIT)
ok(env.wait_error('beacond: stopping'), 'QUIT: the helper is told')
ok(proc.wait_gone(helper, 15), 'it leaves: that worker owns no lane')
ok(proc.alive(master), 'while the worker still answers')
slow.close()
ok(proc.wait_gone(master, 15), 'and nginx after it')
all_logged(env, 'every hit was logged', number=100)
env.finish()


# ---- as PID 1

if os.geteuid() == 0:
    for signum, name in ((signal.SIGQUIT, 'QUIT'), (signal.SIGTERM, 'TERM')):
        env = Env(level='notice', daemon='off', spool=None)
        space = env.spawn(['unshare', '--pid', '--fork', '--mount-proc',
                           *env.command()])
        ok(wait_until(lambda e=env: e.hello() is not None),
           'nginx starts as PID 1')
        inside = proc.children(space.pid)[0]
        with open(env.pid_file, encoding='ascii') as file:
            is_(file.read(), '1\n', 'and is it')
        helper = [pid for pid in proc.descendants(inside)
                  if proc.cmdline(pid).startswith(env.helper)]
        is_(len(helper), 1, 'with one helper')
        ok(burst(env), 'hits are taken')
        env.kill(signum, inside)
        ok(wait_until(lambda s=space: s.poll() is not None, 15),
           '%s ends it' % name)
        all_logged(env, 'every hit was logged before the namespace went')
        env.finish()

    env = Env(level='notice', daemon='off', spool=None)
    env.allow('exited on signal 9')
    space = env.spawn(['unshare', '--pid', '--fork', '--mount-proc',
                       *env.command()])
    ok(wait_until(lambda: env.hello() is not None), 'nginx starts as PID 1')
    inside = proc.children(space.pid)[0]

    def helpers():
        return [pid for pid in proc.descendants(inside)
                if proc.cmdline(pid).startswith(env.helper)]

    first = helpers()
    env.kill(signal.SIGHUP, inside)
    ok(env.wait_error('configuration 2 is in use'), 'a reload is adopted')
    is_(helpers(), first, 'by the same helper')
    env.kill(signal.SIGKILL, first[0])
    ok(wait_until(lambda: helpers() not in ([], first)),
       'when it is killed, there is another')
    ok(burst(env), 'hits are taken')
    env.kill(signal.SIGQUIT, inside)
    ok(wait_until(lambda: space.poll() is not None, 15), 'QUIT ends it')
    all_logged(env, 'every hit was logged')
    env.finish()
else:
    skip('not root', 19)


# ---- without a master process

env = Env(level='notice', main='master_process off;', spool=None)
done = env.spawn(env.command())
ok(wait_until(lambda: env.hello() is not None),
   'master_process off: the helper is started')
ok(burst(env), 'hits are taken')
helper = env.helper_pid()
single = env.master()
env.kill_helper()
env.allow('exited on signal 9')
ok(wait_until(lambda: env.helper_pid() not in (None, helper)),
   'when it is killed, there is another')
env.kill(signal.SIGUSR1)
ok(env.wait_error('beacond: reopening'), 'USR1 reaches it')
is_(env.get('/px.gif?site=shop&n=%d' % HITS).status, 200, 'hits pass')
helper = env.helper_pid()

# nginx itself takes no connections any more after such a reload
env.kill(signal.SIGHUP)
ok(wait_until(lambda: (env.hello() or (0, 0))[1] == 2), 'a reload is adopted')
is_(env.helper_pid(), helper, 'by the same helper')
env.kill(signal.SIGQUIT, single)
ok(proc.wait_gone(single) and proc.wait_gone(helper),
   'QUIT ends the process and the helper')
all_logged(env, 'every hit was logged', number=HITS + 1)
env.finish()


# ---- as a plain user

if os.geteuid() == 0:
    user = pwd.getpwnam('www-data')
    env = Env(level='notice', daemon='off', user='', spool=None)
    for path in (env.root, env.shm, env.error_log):
        os.chown(path, user.pw_uid, user.pw_gid)
    plain = env.spawn(env.command(), user=user.pw_uid, group=user.pw_gid,
                      extra_groups=[])
    ok(wait_until(lambda: env.hello() is not None),
       'nginx of a plain user starts its helper')
    ok(burst(env), 'hits are taken')
    ok(env.reload(), 'it reloads')
    env.kill(signal.SIGQUIT)
    ok(wait_until(lambda: plain.poll() is not None, 15), 'QUIT ends it')
    all_logged(env, 'every hit was logged')
    env.finish()
else:
    skip('not root', 5)

done_testing()
