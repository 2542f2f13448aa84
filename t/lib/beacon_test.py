"""What a Beacon test needs: TAP on stdout, and an environment with a real
nginx, the module and beacond in directories of its own.

    #!/usr/bin/python3
    import os, sys
    sys.path.insert(0, os.path.join(os.path.dirname(__file__), 'lib'))
    from beacon_test import *

    env = Env()
    env.start()
    is_(env.get('/px.gif?site=shop').status, 200, 'a hit is answered')
    ok(env.wait_drained(), 'the hit is drained')
    is_(env.lines()[0]['site'], 'shop', 'its line names the site')
    done_testing()

done_testing() (or leaving the program, by whatever way) stops what runs,
checks the error log and that no process is left, and removes the directories.

Environment: BEACON_BUILD (default build), TEST_NGINX_BINARY (default nginx),
BEACON_SOAK=1 (see count() and tally()), BEACON_KEEP=1 keeps the directories,
BEACON_TEST_TIMEOUT seconds (default 600; more where others have the CPU).
"""

import atexit
import faulthandler
import os
import random
import re
import signal
import sys
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import beacon_proc as proc                              # noqa: E402
from beacon_guard import Guard                          # noqa: E402
from beacon_http import Client, Closed, Response        # noqa: E402

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BUILD = os.path.join(TOP, os.environ.get('BEACON_BUILD', 'build'))
SOAK = os.environ.get('BEACON_SOAK', '') not in ('', '0')

__all__ = ['ok', 'is_', 'isnt', 'like', 'unlike', 'is_subset', 'diag', 'skip',
           'skip_all', 'done_testing', 'bail_out', 'wait_until', 'never',
           'slow', 'count', 'tally', 'seed', 'free_port', 'tool', 'Env',
           'Client', 'Closed', 'Response', 'proc', 'TOP', 'BUILD', 'SOAK']


# ---- TAP

class _Tap:
    count = 0
    failed = 0
    finished = False
    envs = []


def _print(text):
    sys.stdout.write(text + '\n')
    sys.stdout.flush()


def diag(text):
    """A comment for people, on stderr, so that prove shows it."""
    for line in str(text).splitlines() or ['']:
        sys.stderr.write('# %s\n' % line)
    sys.stderr.flush()


def ok(good, name):
    """One test; the name is a sentence.  Returns its outcome."""
    _Tap.count += 1
    _print('%sok %d - %s' % ('' if good else 'not ', _Tap.count,
                             str(name).replace('#', '\\#')))
    if not good:
        _Tap.failed += 1
        frame = sys._getframe(1)
        while frame.f_back and frame.f_code.co_filename == __file__:
            frame = frame.f_back
        diag("  failed '%s'\n  at %s line %d" % (
            name, os.path.basename(frame.f_code.co_filename), frame.f_lineno))
    return bool(good)


def _short(value):
    text = repr(value)
    return text if len(text) <= 1000 else text[:1000] + ' …'


def is_(got, expected, name):
    good = ok(got == expected, name)
    if not good:
        diag('       got: %s\n  expected: %s' % (_short(got),
                                                 _short(expected)))
    return good


def isnt(got, unexpected, name):
    good = ok(got != unexpected, name)
    if not good:
        diag('  got what it should not be: %s' % _short(got))
    return good


def like(text, pattern, name):
    if isinstance(text, bytes):
        text = text.decode('latin-1')
    good = ok(re.search(pattern, text, re.M), name)
    if not good:
        diag("  %s\n  does not match '%s'" % (_short(text), pattern))
    return good


def unlike(text, pattern, name):
    if isinstance(text, bytes):
        text = text.decode('latin-1')
    found = re.search(pattern, text, re.M)
    good = ok(not found, name)
    if not good:
        diag("  found %r, matching '%s'" % (found.group(0), pattern))
    return good


def is_subset(part, whole, name):
    """part and whole are sets; shows what is missing."""
    missing = set(part) - set(whole)
    good = ok(not missing, name)
    if not good:
        diag('  %d missing: %s' % (len(missing), _short(sorted(missing)[:10])))
    return good


def skip(reason, n=1):
    """n tests that cannot run here; say why."""
    for _ in range(n):
        _Tap.count += 1
        _print('ok %d # SKIP %s' % (_Tap.count, reason))


def skip_all(reason):
    """The whole file cannot run here."""
    _Tap.finished = True
    _cleanup()
    _print('1..0 # SKIP %s' % reason)
    sys.exit(0)


def bail_out(reason):
    """Fails this file at once."""
    ok(False, reason)
    done_testing()


def done_testing():
    """Stops and checks every environment, prints the plan, exits."""
    if not _Tap.finished:
        _Tap.finished = True
        for env in list(_Tap.envs):
            try:
                env.finish()
            except Exception:
                ok(False, 'the environment can be taken down')
                diag(traceback.format_exc())
        _no_process_left()
        _print('1..%d' % _Tap.count)
    sys.stdout.flush()
    sys.exit(1 if _Tap.failed or not _Tap.count else 0)


def _descendants():
    return [pid for pid in proc.descendants() if pid != _Tap.guard.pid]


def _no_process_left():
    wait_until(lambda: not _descendants(), 5)
    proc.reap()
    left = _descendants()
    what = ['%d %s' % (pid, proc.cmdline(pid)) for pid in left]
    proc.kill_all(left)
    if not ok(not left, 'no process is left behind'):
        diag('\n'.join(what))


def _cleanup():
    """The last resort, on every way out."""
    for env in list(_Tap.envs):
        env.discard()
    proc.kill_all(_descendants())
    for env in list(_Tap.envs):
        env.remove()
    _Tap.guard.done()


def _at_exit():
    if not _Tap.finished and os.getpid() == _Tap.pid:
        _Tap.finished = True
        for env in _Tap.envs:
            if not env.finished:
                env.show_error_log()
        _print('# the test ended before done_testing()')
        _print('not ok %d - the test runs to its end' % (_Tap.count + 1))
        _print('1..%d' % (_Tap.count + 1))
        _cleanup()
        sys.stdout.flush()
        os._exit(1)
    elif os.getpid() == _Tap.pid:
        _cleanup()


def _on_signal(signum, _frame):
    if os.getpid() != _Tap.pid:
        os._exit(128 + signum)
    if signum == signal.SIGALRM:
        if time.monotonic() - _Tap.began < _Tap.limit * slow():
            signal.alarm(_Tap.limit)
            return
        diag('the test took too long:')
        faulthandler.dump_traceback(sys.stderr)
    sys.exit(128 + signum)


def wait_until(condition, seconds=10, interval=0.01):
    """Polls until condition() is true; returns its last value.  A condition
    that raises OSError, Closed or ValueError is false, and so is one that
    misses something that is not there yet: KeyError, IndexError, TypeError."""
    start = time.monotonic()
    while True:
        try:
            value = condition()
        except (OSError, Closed, ValueError, LookupError, TypeError):
            value = None
        if value or time.monotonic() > start + seconds * slow():
            return value
        time.sleep(interval)


def never(condition, seconds):
    """True if the condition is never true for so long, however slow all is:
    what is to be shown has to stay so."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return False
        time.sleep(0.01)
    return True


def slow():
    """Deadlines are longer where sanitizers make everything slow, or others
    have the CPU."""
    return (4 if 'build/' in os.environ.get('BEACON_BUILD', '') else 1
            ) * proc.wanted()


def count(normal, soak):
    """How often: the first in make test, the second in make soak."""
    return soak if SOAK else normal


def tally(what, number=1):
    """Counts for make soak's summary: tally('worker kills', 30)."""
    _print('# tally: %d %s' % (number, what))
    if os.environ.get('BEACON_TALLY'):
        with open(os.environ['BEACON_TALLY'], 'a', encoding='utf-8') as file:
            file.write('%d %s\n' % (number, what))


def seed():
    """Seeds random from BEACON_SEED or anew, and prints it."""
    value = int(os.environ.get('BEACON_SEED') or
                int.from_bytes(os.urandom(4), 'big'))
    _print('# BEACON_SEED=%d' % value)
    random.seed(value)
    return value


def tool(name, *args, check=True, **options):
    """Runs build/NAME, or NAME of the PATH; returns a CompletedProcess with
    text output.  check: raise on a non-zero exit."""
    import subprocess
    path = os.path.join(BUILD, name)
    if not os.path.exists(path):
        path = name
    options.setdefault('stdin', subprocess.DEVNULL)
    options.setdefault('stdout', subprocess.PIPE)
    options.setdefault('stderr', subprocess.STDOUT)
    options.setdefault('text', True)
    done = subprocess.run([path, *map(str, args)], **options)
    if check and done.returncode != 0:
        diag(done.stdout or '')
        raise RuntimeError('%s exits with %d' % (name, done.returncode))
    return done


_Tap.pid = os.getpid()
_Tap.guard = Guard()
proc.become_reaper()
atexit.register(_at_exit)
for _signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
    signal.signal(_signum, _on_signal)
_Tap.began = time.monotonic()
_Tap.limit = (int(os.environ.get('BEACON_TEST_TIMEOUT', '600'))
              * (10 if SOAK else 1))
signal.alarm(_Tap.limit)

from beacon_env import Env, free_port                   # noqa: E402
Env.registry = _Tap.envs
Env.guard = _Tap.guard
