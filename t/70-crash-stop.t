#!/usr/bin/python3
"""nginx is stopped under load in all the ways it is: what was acknowledged is
in the log by then, or found by the next start."""

import os
import random
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402
from beacon_fault import RingFile, Trial, external      # noqa: E402
from beacon_load import check_log               # noqa: E402

seed()


def undrained(env):
    """Bytes that the lanes of a stopped nginx still hold."""
    return sum(lane['tail'] - lane['reclaim']
               for path in RingFile.all(env.ring)
               for lane in RingFile(path).headers())


def stop_drains(signum, name):
    trial = Trial(sample=False).start()
    env = trial.env
    ok(trial.progress(), 'hits reach the log')
    ok(env.stop(signum), '%s stops nginx and the helper under load' % name)
    is_(undrained(env), 0, '%s drains every lane' % name)
    trial.quiet()
    check_log(env, trial.loads,
              name='%s: all that was acknowledged is in the log' % name)
    env.start()
    trial.more(rate=1000)
    ok(trial.progress(), '%s: the next start goes on' % name)
    trial.finish('stopped by %s and started again' % name)


stop_drains(signal.SIGQUIT, 'QUIT')
stop_drains(signal.SIGTERM, 'TERM')


# As Debian's unit stops it.
trial = Trial(sample=False).start()
env = trial.env
ok(trial.progress(), 'hits reach the log')
master = env.master()
tool('/sbin/start-stop-daemon', '--quiet', '--stop', '--retry', 'QUIT/5',
     '--pidfile', env.pid_file, check=False)
ok(wait_until(lambda: not proc.alive(master), 10),
   'start-stop-daemon --retry QUIT/5 stops nginx')
ok(wait_until(lambda: not env.helper_pids(), 10), 'the helper leaves too')
trial.quiet()
check_log(env, trial.loads, name='start-stop-daemon: all that was '
          'acknowledged is in the log')


# The helper hangs: nginx leaves all the same, the next start finds the hits.
trial = Trial(sample=False).start()
env = trial.env
ok(trial.progress(), 'hits reach the log')
stuck = env.kill_helper(signal.SIGSTOP)
wait_until(lambda: undrained(env) > 0)
ok(env.stop(signal.SIGQUIT, 20, helper=False),
   'nginx stops though its helper hangs')
trial.quiet()
proc.send(stuck, signal.SIGKILL)
proc.wait_gone(stuck)
ok(undrained(env) > 0, 'hits are left in the ring')
env.start()
trial.more(rate=1000)
ok(trial.progress(), 'the next start goes on')
trial.finish('stopped with a helper that hangs')


# A service manager stops the helper while nginx runs and finds it again.
trial = Trial(helper='external', sample=False, follow=False)
env = trial.env
env.start(ready=False)
left = 0
for _ in range(3):
    child = external(env)
    wait_until(lambda: env.helper_pid() == child.pid)
    wait_until(lambda: random.random() < 0.05, 1, 0.02)
    child.terminate()
    left += bool(wait_until(lambda: child.poll() is not None, 10))
    if child.poll() is None:
        child.kill()
        child.wait()
is_(left, 3, 'TERM ends an external helper, adopted or not')
trial.begin()
child = external(env)
ok(trial.progress(), 'the next one goes on')
trial.finish('external helper')
child.terminate()
ok(wait_until(lambda: child.poll() is not None, 10), 'and leaves when told to')


# As PID 1: when nginx is gone, so is everything.
class Namespace(Env):
    """nginx as PID 1 of a namespace.  Its pid file says 1: never read."""

    def command(self, *args):
        return ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc',
                *super().command(*args)]

    def master(self, suffix=''):
        for child in self.popen:
            for pid in proc.children(child.pid):
                if proc.cmdline(pid).startswith('nginx: master'):
                    return pid
        return None

    def helper_pid(self):
        return (self.helper_pids() or [None])[0]


def pid_1(signum, name):
    env = Namespace(daemon='off')
    trial = Trial(env=env, sample=False, follow=False).start()
    load = trial.loads[0]
    ok(trial.progress(), 'as PID 1: hits reach the log')
    ok(env.stop(signum), 'as PID 1: %s stops everything' % name)
    load.stop()
    check_log(env, [load], name='as PID 1: all that was acknowledged before '
              '%s is in the log' % name)


if os.geteuid() == 0 and subprocess.run(
        ['unshare', '--pid', '--fork', '--mount-proc', 'true'],
        check=False).returncode == 0:
    pid_1(signal.SIGQUIT, 'QUIT')
    pid_1(signal.SIGTERM, 'TERM')
else:
    skip('no namespaces here', 8)

done_testing()
