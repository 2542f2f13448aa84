#!/usr/bin/python3
"""Supervision through everything that happens to a running nginx: the helper
killed, its manager killed, reload, upgrade of nginx and of beacond."""

import os
import pwd
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402

env = Env(level='notice')
env.allow('exited on signal 9')
env.start()
sent = 0


def hit(name):
    """One hit, answered and drained by the helper of the moment."""
    global sent
    sent += 1
    answer = env.get('/px.gif?site=shop&n=%d' % sent).status
    done = env.wait_drained(accepted=sent)
    if not ok(answer == 200 and done, name):
        diag('answer %d, drained %s, hello %s' % (answer, done, env.hello()))
        env.show_error_log()


def drainers():
    """Helpers that hold, or wait for, the ring: more than one never drains,
    but one that waits is gone in half a second."""
    return env.helper_pids()


def one_drainer(name):
    """Exactly one helper remains, and it answers."""
    good = wait_until(lambda: len(drainers()) == 1
                      and env.helper_pid() == drainers()[0])
    if not ok(good, name):
        diag('%s, %s' % (drainers(), env.hello()))
        env.show_error_log()
    return env.helper_pid()


hit('a hit passes')


# ---- the helper dies

helper = env.helper_pid()
for i in range(count(5, 50)):
    env.kill_helper()
    wait_until(lambda h=helper: env.helper_pid() not in (None, h))
    if env.helper_pid() in (None, helper):
        break
    helper = env.helper_pid()
ok(i == count(5, 50) - 1, 'a helper that is killed comes back, every time')
hit('and drains')
helper = one_drainer('there is one')
environ = open('/proc/%d/environ' % helper, 'rb').read()
is_(os.readlink('/proc/%d/fd/0' % helper), '/dev/null',
    'its standard input is /dev/null')
is_(os.readlink('/proc/%d/fd/2' % helper), env.error_log,
    'its standard error is the error log')
is_(os.getsid(helper), helper, 'it has a session of its own')
with open('/proc/%d/status' % helper, encoding='ascii') as file:
    status = dict(line.rstrip('\n').split(':\t', 1) for line in file
                  if ':\t' in line)
is_(status['SigIgn'].strip()[-4:], '1000', 'it ignores SIGPIPE and no more')
is_(status['Umask'].strip(), '0027', 'its umask is 027')
listening = [os.readlink('/proc/%d/fd/%s' % (env.worker_pids()[0], fd))
             for fd in os.listdir('/proc/%d/fd' % env.worker_pids()[0])]
mine = [os.readlink('/proc/%d/fd/%s' % (helper, fd))
        for fd in os.listdir('/proc/%d/fd' % helper)]
is_({name for name in mine if name.startswith('socket:')} & set(listening),
    set(), 'it has none of the sockets of nginx')


# ---- its manager dies

helper = env.helper_pid()
for i in range(count(3, 30)):
    manager = env.manager_pid()
    env.kill(signal.SIGKILL, manager)
    adopted = 'helper %d adopted' % helper
    if not wait_until(lambda m=manager: env.manager_pid() not in (None, m)
                      and len(env.error_lines(adopted)) > i):
        break
    if env.helper_pid() != helper:
        break
ok(env.helper_pid() == helper and i == count(3, 30) - 1,
   'a manager that is killed comes back and adopts the helper, every time')
hit('hits pass')

# both at once: nobody restarts it but the next manager
helper = env.helper_pid()
manager = env.manager_pid()
env.kill(signal.SIGSTOP, manager)
env.kill(signal.SIGKILL, helper)
env.kill(signal.SIGKILL, manager)
ok(wait_until(lambda: env.helper_pid() not in (None, helper)),
   'both killed: both come back')
hit('and hits pass')


# ---- HUP

helper = one_drainer('before the reloads there is one helper')
generation = env.hello()[1]
times = count(20, 200)
most = 1
for i in range(times):
    sent += 1
    env.get('/px.gif?site=shop&n=%d' % sent)
    if not env.reload(adopted=False):
        break
    most = max(most, len(drainers()))
ok(wait_until(lambda: env.hello()[1:] == (generation + times, helper)),
   'the helper lives on over %d reloads' % times)
tally('reloads', times)
is_(most, 1, 'never is there a second one')
hit('hits pass')

env.configure(log=['%%LOG%%/$beacon_site.jsonl', '%%LOG%%/second.jsonl'])
env.reload()
hit('a hit after a reload with another sink')
ok(wait_until(lambda: len(env.raw_lines('second.jsonl')) == 1),
   'goes there, too')
is_(env.helper_pid(), helper, 'with the same helper')

env.configure(ring_options='lane_size=2m')
env.reload()
hit('a hit after a reload with another ring')
ok(wait_until(lambda: len([name for name in os.listdir(env.ring)
                           if name.startswith('ring.')]) == 1),
   'the old ring goes')
env.configure(ring_options='lane_size=1m')
env.reload()
hit('and back')
is_(env.helper_pid(), helper, 'all with the same helper')

env.configure(log='%%LOG%%/$beacon_site.jsonl')
env.reload()
hit('the second sink is gone')
is_(len(env.raw_lines('second.jsonl')), 3, 'as its file shows')

# reloads faster than a helper starts, right after its death
env.kill_helper()
for i in range(3):
    env.kill(signal.SIGHUP)
hit('hits pass after a death between reloads')
helper = one_drainer('there is one helper')


# ---- reopening

moved = env.error_log + '.1'
os.rename(env.error_log, moved)
env.kill(signal.SIGUSR1)
ok(wait_until(lambda: os.path.exists(env.error_log)
              and os.readlink('/proc/%d/fd/2' % helper) == env.error_log),
   'USR1: the helper writes to the new error log')


def reopening():
    """In the new one; but for a writer that was at work in the old one."""
    for path in (moved, env.error_log):
        with open(path, encoding='utf-8') as log:
            if 'beacond: reopening' in log.read():
                return True
    return False


ok(wait_until(reopening), 'and says so')
with open(moved, encoding='utf-8') as old, \
        open(env.error_log, encoding='utf-8') as new:
    whole = old.read() + new.read()
with open(env.error_log, 'w', encoding='utf-8') as file:
    file.write(whole)
env.kill(signal.SIGUSR1)
hit('hits pass')


# ---- USR2, QUIT

helper = env.helper_pid()
times = count(5, 50)
for i in range(times):
    old, new = env.upgrade()
    sent += 1
    env.get('/px.gif?site=shop&n=%d' % sent)
    if not new:
        break
    env.kill(signal.SIGQUIT, old)
    if not proc.wait_gone(old) or env.helper_pid() != helper:
        break
ok(new and env.helper_pid() == helper, 'the helper lives on over %d upgrades '
   'of nginx' % times)
tally('upgrades', times)
hit('hits pass')
one_drainer('there is one helper')


# ---- USR2, rolled back



def upgrade():
    """A new master, which the helper has: (old pid, new pid, generation)."""
    before = env.hello()[1]
    old, new = env.upgrade()
    wait_until(lambda: env.hello()[1] > before)
    return old, new, env.hello()[1]


for signum, name in ((signal.SIGQUIT, 'QUIT'), (signal.SIGTERM, 'TERM')):
    old, new, generation = upgrade()
    env.kill(signum, new)
    proc.wait_gone(new)
    ok(wait_until(lambda: env.hello()[1] > generation),
       'rolled back by %s, the old manager takes over' % name)
    hit('hits pass')
    is_(env.helper_pid(), helper, 'with the same helper')

old, new, generation = upgrade()
env.kill(signal.SIGWINCH, old)
wait_until(lambda: not env.worker_pids(old))
env.kill(signal.SIGHUP, old)
wait_until(lambda: len(env.worker_pids(old)) == env.workers)
env.kill(signal.SIGQUIT, new)
proc.wait_gone(new)
hit('rolled back with WINCH and HUP, hits pass')
one_drainer('there is one helper')

# a new master that dies as a whole
old, new, generation = upgrade()
family = [new, *proc.children(new)]
proc.kill_all(family)
ok(wait_until(lambda: env.hello()[1] > generation),
   'a new master that dies is replaced, too')
hit('hits pass')
one_drainer('there is one helper')


# ---- another build of beacond

if env.master('.oldbin'):
    env.kill(signal.SIGQUIT, env.master('.oldbin'))
helper = env.helper_pid()
env.install_helper(os.path.join(BUILD, 'beacond'))
env.reload()
ok(wait_until(lambda: env.helper_pid() not in (None, helper)),
   'when beacond was replaced, a reload starts the new one')
ok(env.wait_error('is another build than helper %d' % helper),
   'and the log says why')
ok(proc.wait_gone(helper), 'the old one is gone')
hit('hits pass')
helper = one_drainer('there is one helper')
env.reload()
hit('the next reload')
is_(env.helper_pid(), helper, 'keeps it')

# the old one hangs
shutil.copy(env.helper, env.helper + '.kept')
env.install_helper(os.path.join(BUILD, 'beacond'))
proc.send(helper, signal.SIGSTOP)
env.reload(adopted=False)
sent += 1
is_(env.get('/px.gif?site=shop&n=%d' % sent).status, 200,
    'a helper that hangs when it should be replaced')
proc.send(helper, signal.SIGCONT)
ok(wait_until(lambda: env.helper_pid() not in (None, helper)),
   'is replaced when it goes on')
hit('hits pass')


# ---- a helper that does not start

broken = os.path.join(env.root, 'broken')
shutil.copy('/bin/false', broken)
os.rename(broken, env.helper)
env.kill_helper()
ok(wait_until(lambda: len(env.error_lines('starting one in [1-9]')) >= 3),
   'a helper that does not start is tried again, less and less often')
sent += 1
is_(env.get('/px.gif?site=shop&n=%d' % sent).status, 200, 'hits wait')
env.install_helper(env.helper + '.kept')
ok(env.wait_drained(accepted=sent), 'until it does')
one_drainer('there is one helper')

# ---- nothing to start one with

def limited(limit, says, name):
    """The manager meets a limit while it should start a helper."""
    global sent
    manager = env.manager_pid()
    same = {}
    if env.user:
        same = dict(user=env.user, group=pwd.getpwnam(env.user).pw_gid,
                    extra_groups=[])

    def prlimit(*args):
        return subprocess.run(['prlimit', '--pid', str(manager), *args],
                              check=True, stdout=subprocess.PIPE, text=True,
                              **same).stdout.strip()

    old = prlimit('--noheadings', '--output', 'SOFT', '--' + limit)

    def set_limit(value):
        prlimit('--%s=%s:' % (limit, value))

    before = len(env.error_lines(says))
    set_limit('1')
    env.kill_helper()
    ok(wait_until(lambda: len(env.error_lines(says)) >= before + 3),
       '%s: it is tried again' % name)
    sent += 1
    is_(env.get('/px.gif?site=shop&n=%d' % sent).status, 200, 'hits wait')
    is_(env.manager_pid(), manager, 'the manager lives on')
    set_limit(old)
    ok(env.wait_drained(accepted=sent), 'until there is enough again')


if env.user:
    limited('nproc', r'fork\(\) failed', 'no process')
else:
    skip('limits of processes do not concern the only user', 4)
limited('nofile', r'socketpair\(\) failed', 'no file descriptor')
one_drainer('there is one helper')

is_(sorted(int(line['args']['n']) for line in env.lines('shop.jsonl')),
    list(range(1, sent + 1)), 'every hit was logged, once')

done_testing()
