#!/usr/bin/python3
"""nginx -t: finds what can be found, in the right place, and changes nothing;
what a live nginx refuses leaves the old configuration working."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402

env = Env()


def line_of(what):
    """The line of nginx.conf that holds what."""
    with open(env.conf_file, encoding='latin-1') as file:
        for number, line in enumerate(file, 1):
            if what in line:
                return number
    return 0


def refused(what, says, name, **options):
    """nginx -t fails, says so, and names the line of what."""
    saved = {key: env.options[key] for key in options}
    env.configure(**options)
    env.allow(says)
    code, text = env.check()
    place = r' in %s:%d( \(\d+: .*\))?$' % (re.escape(env.conf_file),
                                          line_of(what))
    pattern = r'\[emerg\].*%s.*%s' % (says, place)
    if not ok(code != 0 and re.search(pattern, text, re.M), name):
        diag('%d %s' % (code, text))
    env.configure(**saved)


def files():
    """The files of the ring's directory, as a worker user left them."""
    found = set()
    for top, _, names in os.walk(env.ring):
        found |= {os.path.relpath(os.path.join(top, name), env.ring)
                  for name in names}
    return found


# ---- an untouched machine

code, text = env.check()
is_(code, 0, 'nginx -t takes a good configuration')
like(text, r'the ring in ".*" takes at most \d+M: 6 lanes of 1024K',
     'and says what the ring takes at worst')
is_(files(), set(), 'nothing is published, no ring is made')
ok(not env.helper_pids(), 'and no helper is started')

refused('beacon_log', r'\$?nope', 'an unknown template variable is named',
        log='%%LOG%%/$nope.jsonl')
refused('beacon_log', 'Not/There', 'so is an unknown time zone',
        log='%%LOG%%/a.jsonl timezone=Not/There')
refused('beacon_spool', 'must not lie in one another',
        'a spool in the ring is refused, by beacond, in its place',
        spool='%%RING%%/spool')
shutil.rmtree(env.ring)
refused('beacon_ring', 'not on a tmpfs', 'a ring on a disk is refused',
        values={'RING': '%%ROOT%%/disk-ring'})
env.configure(ring_options='lane_size=1m disk=on',
              values={'RING': '%%ROOT%%/disk-ring'})
is_(env.check()[0], 0, 'unless it is said to be meant')
env.configure(ring_options='lane_size=1m', values={})

os.rename(env.helper, env.helper + '.away')
refused('beacon_helper', 'cannot be run', 'a helper that is not there')
env.configure(helper='external')
code, text = env.check()
is_(code, 0, 'where it is external, it need not be there')
like(text, r'\[warn\].*cannot be run, so what it knows .* is not checked',
     'but what it would have checked is not')
env.configure(helper=None)
os.rename(env.helper + '.away', env.helper)

env.configure(log=None, spool=None)
code, text = env.check()
is_(code, 0, 'a configuration without a durable sink is taken')
like(text, r'\[warn\].*no sink is durable', 'with a warning')
env.configure(log='%%LOG%%/$beacon_site.jsonl', spool='%%SPOOL%%')

if env.user:
    closed = os.path.join(env.root, 'closed')
    os.mkdir(closed, 0o700)
    refused('beacon_log', 'the worker user may not enter',
            'a directory that the worker user cannot reach',
            log='%s/in/a.jsonl' % closed)

    small = os.path.join(env.shm, 'small')
    os.mkdir(small)
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=512k', 'tmpfs',
                       small], check=False).returncode == 0:
        refused('beacon_ring', 'less than one lane',
                'a tmpfs without room for a lane',
                values={'RING': small + '/ring'})
        subprocess.run(['mount', '-o', 'remount,size=3m', small], check=True)
        env.configure(values={'RING': small + '/ring'})
        code, text = env.check()
        is_(code, 0, 'one with room for some lanes is taken')
        like(text, r'\[warn\].*has room for', 'with a warning')
        env.configure(values={})
        subprocess.run(['umount', small], check=True)
    else:
        skip('no mount here', 3)
else:
    skip('not root', 4)

deep = '/dev/shm/' + 'x' * 85
refused('beacon_ring', 'longer than 90 bytes', 'a directory too deep for a '
        'socket', values={'RING': deep})
is_(files(), set(), 'none of all this made a ring')


# ---- beside a live nginx

env.start()
before = files()
inode = os.stat(os.path.join(env.ring, 'beacon.json')).st_ino
generation = env.hello()[1]

is_(env.check()[0], 0, 'nginx -t beside a live nginx')
env.configure(log='%%LOG%%/other-$beacon_site.jsonl',
              ring_options='lane_size=2m')
is_(env.check()[0], 0, 'also with another configuration')
is_(files(), before, 'makes no file')
is_(os.stat(os.path.join(env.ring, 'beacon.json')).st_ino, inode,
    'publishes nothing')
is_(env.hello()[1], generation, 'and disturbs no helper')

if env.user:
    env.configure(log='%s/in/a.jsonl' % closed)
    workers = env.worker_pids()
    env.allow('the worker user may not')
    env.kill(signal.SIGHUP)
    ok(env.wait_error('the worker user may not'), 'a reload refuses, too')
    is_(env.worker_pids(), workers, 'and the old workers go on')
    is_(env.get('/px.gif?site=shop').status, 200, 'taking hits')
    is_(env.hello()[1], generation, 'with the old configuration')
else:
    skip('not root', 4)

env.configure(log='%%LOG%%/$beacon_site.jsonl', ring_options='lane_size=2m')
with socket.socket() as taken:
    taken.bind(('127.0.0.1', 0))
    taken.listen()
    env.configure(http='server { listen 127.0.0.1:%d; }'
                  % taken.getsockname()[1])
    env.allow(r'bind\(\) to|still could not bind')
    env.kill(signal.SIGHUP)
    ok(env.wait_error('still could not bind'),
       'a reload that fails after the ring was made')
is_([name for name in files() if '.new.' in name], [],
    'leaves no half-published configuration')
is_(env.get('/px.gif?site=shop').status, 200, 'hits pass')
is_(env.hello()[1], generation, 'with the old configuration')

env.configure(ring_options='lane_size=1m', http='')


# ---- another nginx with the same directory

other = Env(values={'RING': env.ring})
code, text = other.check()
isnt(code, 0, 'another nginx may not use the same ring')
like(text, r'in use by the nginx with prefix "%s' % re.escape(env.root),
     'and is told whose it is')
other.allow('in use by the nginx')
env.allow('in use by the nginx')
done = subprocess.run(other.command(), stdout=subprocess.PIPE, check=False,
                      stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
isnt(done.returncode, 0, 'it does not start')
is_(env.get('/px.gif?site=shop').status, 200, 'the first one goes on')
ok(env.wait_drained(), 'as does its helper')
shutil.rmtree(deep, ignore_errors=True)

done_testing()
